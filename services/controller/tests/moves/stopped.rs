//! The controller is stopped before a step, another takes over, and then the stopped one wakes.

use std::{process::Command, time::Duration};

use crate::shop::{CAPABILITY, Shop, Writers, done, verb};
use trellis_testkit::wait_until;

/// Stops the leader before `step`, has the other one take over and make `next` the owner, and wakes it.
async fn stopped_before(step: &str, decided: bool) {
    let mut shop = Shop::new().await;
    shop.controller(&format!("controller.before.{step}=stop")).await;
    let writers = Writers::start(&shop, 4).await;
    shop.verified().await;
    shop.controller("").await;

    let leader = shop.status().await.leader;
    assert!(leader.ends_with(&shop.controllers[0].address.to_string()), "another leads too early");
    let mut moves = shop.leader().await;
    let request = ficus_control_api::control::v1::SwitchRequest {
        capability: CAPABILITY.to_owned(),
        dry_run: false,
        tries: 1,
    };
    let switching = tokio::spawn(async move { moves.switch_traffic(request).await });
    wait_until("another is to take the move in hand", Duration::from_secs(10), async || {
        let status = shop.status().await;
        status.step.is_empty() && status.attempt > 2
    })
    .await;
    let status = shop.status().await;
    assert_eq!(status.owner == "service", decided, "{step}: {:#?}", status.journal);
    assert_eq!(shop.open().await, [!decided, decided], "{step}");

    let before = writers.count();
    let woken = Command::new("kill")
        .args(["-s", "CONT", &shop.controllers[0].program.id().to_string()])
        .status()
        .unwrap();
    assert!(woken.success());
    assert!(switching.await.unwrap().map_or(true, |outcome| !outcome.into_inner().done), "{step}");
    wait_until("writes are to go on", Duration::from_secs(5), async || {
        writers.count() > before + 50
    })
    .await;
    assert_eq!(shop.open().await, [!decided, decided], "{step}: the late one changed an owner");

    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(!decided).await.unwrap());
    let acknowledged = writers.stop().await;
    shop.until_equal(Duration::from_secs(5)).await;
    let customers = shop.customers(!decided).await;
    assert!(acknowledged.iter().all(|customer| customers.get(customer) == Some(&1)), "{step}");
    assert_eq!(customers.len(), acknowledged.len() + 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_the_fence() {
    stopped_before("C1", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_the_point_of_no_return() {
    stopped_before("C6", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_the_opening() {
    stopped_before("C7", true).await;
}
