//! The controller is stopped before a step for ten seconds, another takes over, and then the stopped one wakes.
//! The cases of a direction run at once: most of their time is the ten seconds.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use ficus_control_api::control::v1::{Outcome, SwitchRequest};
use tokio::task::JoinHandle;
use tonic::Status;
use trellis_testkit::wait_until;

use crate::shop::{CAPABILITY, Controller, HEALED, Shop, Writers, done, verb};

const STOPPED: Duration = Duration::from_secs(10);
/// Of a switch that does not come to where its controller stops.
const TRIES: usize = 5;

/// Has the first controller, which stops at a place of it, make a switch, and waits until it has stopped there. A switch that
/// ends before it comes so far, because the machine is busy, is asked for again.
pub async fn stopped_switching(
    shop: &mut Shop,
    forward: bool,
) -> JoinHandle<Result<Outcome, Status>> {
    for _ in 0..TRIES {
        let mut moves = shop.leader().await;
        done(&moves.vdiff(verb()).await.unwrap().into_inner());
        let request = SwitchRequest { capability: CAPABILITY.to_owned(), dry_run: false, tries: 1 };
        let switching = tokio::spawn(async move {
            let answer = if forward {
                moves.switch_traffic(request).await
            } else {
                moves.reverse_traffic(request).await
            };
            answer.map(tonic::Response::into_inner)
        });
        wait_until("the controller is to stop", Duration::from_secs(30), async || {
            switching.is_finished() || is_stopped(&shop.controllers[0])
        })
        .await;
        if !switching.is_finished() {
            return switching;
        }
        println!("asked for again: {:?}", switching.await.unwrap());
    }
    panic!("the controller never came to where it stops");
}

fn is_stopped(controller: &Controller) -> bool {
    let pid = controller.program.id().to_string();
    let said = Command::new("ps").args(["-o", "stat=", "-p", &pid]).output().unwrap();
    String::from_utf8_lossy(&said.stdout).trim_start().starts_with('T')
}

pub fn wake(controller: &Controller) {
    let pid = controller.program.id().to_string();
    assert!(Command::new("kill").args(["-s", "CONT", &pid]).status().unwrap().success());
}

async fn until_writes_go_on(writers: &Writers) {
    let before = writers.count();
    wait_until("writes are to go on", HEALED, async || writers.count() > before + 20).await;
}

/// Stops the leader before `step` of a switch; `decided` is whether C6 has happened by then.
async fn stopped_before(step: &str, forward: bool, decided: bool) {
    let what = format!("before {step}, forward {forward}");
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let writers = Writers::start(&shop, 2).await;
    shop.verified().await;
    if !forward {
        done(&shop.switch(true).await.unwrap());
    }
    shop.controllers.clear();
    shop.controller(&format!("controller.before.{step}=stop")).await;
    shop.leader().await;
    shop.controller("").await;
    let switching = stopped_switching(&mut shop, forward).await;
    let stopped = Instant::now();

    let other = shop.controllers[1].address.to_string();
    wait_until("another is to heal the move", HEALED, async || {
        let status = shop.status().await;
        status.leader.ends_with(&other) && status.step.is_empty()
    })
    .await;
    println!("{what}: healed after {:?}", stopped.elapsed());
    let healed = shop.status().await;
    let service = forward == decided;
    assert_eq!(healed.owner == "service", service, "{what}: {:#?}", healed.journal);
    assert_eq!(shop.open().await, [!service, service], "{what}");
    until_writes_go_on(&writers).await;
    tokio::time::sleep_until((stopped + STOPPED).into()).await;

    let woken = Instant::now();
    wake(&shop.controllers[0]);
    let answer = switching.await.unwrap();
    assert!(answer.is_err() || !answer.unwrap().done, "{what}: the late one says that it switched");
    until_writes_go_on(&writers).await;
    assert_eq!(shop.open().await, [!service, service], "{what}: the late one changed an owner");
    let acknowledged = writers.stop().await;
    shop.until_equal(HEALED).await;
    println!("{what}: both sides equal {:?} after the late one woke", woken.elapsed());
    let late = shop.status().await;
    assert_eq!((late.epoch, late.attempt), (healed.epoch, healed.attempt), "{what}");
    assert!(late.leader.ends_with(&other), "{what}: {} leads", late.leader);

    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(!service).await.unwrap());
    let customers = shop.customers(!service).await;
    assert!(acknowledged.iter().all(|customer| customers.get(customer) == Some(&1)), "{what}");
    assert_eq!(customers.len(), acknowledged.len() + 500, "{what}");
}

async fn stopped_before_each(forward: bool) {
    tokio::join!(
        Box::pin(stopped_before("C1", forward, false)),
        Box::pin(stopped_before("C6", forward, false)),
        Box::pin(stopped_before("C7", forward, true)),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_the_fence_the_point_of_no_return_and_the_opening() {
    stopped_before_each(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_each_of_them_in_a_reverse() {
    stopped_before_each(false).await;
}
