//! The controller is killed right after each step; another one heals what it left.

use std::time::{Duration, Instant};

use crate::shop::{Shop, Writers, done, verb};
use trellis_testkit::{free_address, wait_until};

const STEPS: [&str; 10] = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9"];

/// Kills the leader right after `step` of a switch, and checks what the other one makes of it. Whether
/// the service owns then.
async fn killed_at(shop: &mut Shop, step: &str, forward: bool, writers: &Writers) -> bool {
    shop.controllers.clear();
    shop.controller(&format!("controller.{step}=kill")).await;
    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    shop.controller("").await;
    let answer = shop.switch(forward).await;
    assert!(answer.is_err(), "{step}: it was to die, and said {answer:?}");
    let died = Instant::now();
    shop.controllers.remove(0);

    let mut status = shop.status().await;
    while !status.step.is_empty() {
        assert!(died.elapsed() < Duration::from_secs(5), "{step}: still at {}", status.step);
        tokio::time::sleep(Duration::from_millis(20)).await;
        status = shop.status().await;
    }
    println!("{step} forward {forward}: healed after {:?}, {} owns", died.elapsed(), status.owner);
    assert!(died.elapsed() < Duration::from_secs(5), "{step}: healed late");
    let service = status.owner == "service";
    let decided = STEPS.iter().position(|known| *known == step).unwrap() >= 6;
    assert_eq!(service, forward == decided, "{step}: the point of no return is C6");
    assert_eq!(shop.open().await, [!service, service], "{step}: one side is open");
    let before = writers.count();
    wait_until("writes are to go on", Duration::from_secs(5), async || {
        writers.count() > before + 8
    })
    .await;
    service
}

/// Makes `wanted` the owner with controllers that nobody kills.
async fn owned_by(shop: &mut Shop, service: bool) {
    if (shop.status().await.owner == "service") != service {
        let mut moves = shop.leader().await;
        done(&moves.vdiff(verb()).await.unwrap().into_inner());
        done(&shop.switch(service).await.unwrap());
    }
}

async fn killed_everywhere(forward: bool) {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let writers = Writers::start(&shop, 4).await;
    shop.verified().await;
    for step in STEPS {
        owned_by(&mut shop, !forward).await;
        killed_at(&mut shop, step, forward, &writers).await;
    }
    let acknowledged = writers.stop().await;
    shop.until_equal(Duration::from_secs(5)).await;
    let service = shop.status().await.owner == "service";
    let customers = shop.customers(service).await;
    for customer in &acknowledged {
        assert_eq!(customers.get(customer), Some(&1), "{customer}");
    }
    assert_eq!(customers.len(), acknowledged.len() + 500);
}

/// The owner must not refuse writes because the other side is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_opens_the_owner_before_it_asks_the_other_side() {
    let mut shop = Shop::new().await;
    shop.controller("controller.C1=kill").await;
    shop.verified().await;
    let nowhere = format!("postgres://nobody@{}/nothing", free_address());
    shop.controller_reaching(&nowhere, "").await;
    assert!(shop.switch(true).await.is_err(), "it was to die");
    assert_eq!(shop.open().await, [false, false]);
    shop.controllers.remove(0);
    let open = "the owner is to be open, though nobody reaches the service";
    wait_until(open, Duration::from_secs(5), async || shop.open().await == [true, false]).await;

    shop.controllers.clear();
    shop.controller("").await;
    let writers = Writers::start(&shop, 2).await;
    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(true).await.unwrap());
    writers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_step_forward() {
    killed_everywhere(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_step_of_a_reverse() {
    killed_everywhere(false).await;
}
