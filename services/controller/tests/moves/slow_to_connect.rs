//! A control database that takes its time to accept a connection, as one on a busy machine does.

use std::time::Duration;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use trellis_testkit::wait_until;

use crate::shop::Shop;

/// Longer than between two renewals of the lease.
const SLOW: Duration = Duration::from_secs(1);

/// Passes each connection on, late.
async fn late(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let to = to.clone();
            tokio::spawn(async move {
                tokio::time::sleep(SLOW).await;
                let mut to = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_slow_to_connect_to_is_waited_for() {
    let mut shop = Shop::new().await;
    let url = shop.control_url();
    let server = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let slow = url.replace(server, &late(server.to_owned()).await);
    shop.controller_led_by(&slow).await;
    wait_until("it leads", Duration::from_secs(20), async || shop.find_leader().await.is_some())
        .await;
}
