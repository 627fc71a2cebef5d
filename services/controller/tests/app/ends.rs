//! A gateway that ends is a picker no more: no switch waits for it.

use std::time::Duration;

use trellis_testkit::wait_until;

use crate::stand::Stand;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_has_left_the_control_database() {
    let mut stand = Stand::new().await;
    stand.controller("").await;
    stand.ficus("create").await;
    let mut gateway = stand.gateway("leaving").await;
    wait_until("the gateway is a picker", Duration::from_secs(30), async || {
        stand.pickers().await.contains(&gateway.name)
    })
    .await;
    gateway.end().await;
    assert!(!stand.pickers().await.contains(&gateway.name));
}
