//! A foreign subject is moved there and back under writes.

use std::time::{Duration, Instant};

use ficus_control_api::control::v1::{CompleteRequest, StatusRequest, moves_client::MovesClient};
use ficus_owners::Role;
use sqlx::Executor;
use trellis_testkit::{setting, wait_until};

use crate::shop::{CAPABILITY, Shop, Writers, done, verb};

/// Changes of owner, one more if they would end at the monolith: `FICUS_SWITCHES=100`.
const SWITCHES: u64 = 3;
/// Each of some 150 writes a second: `FICUS_WRITERS=10`.
const WRITERS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_move_there_and_back_loses_and_doubles_nothing() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.controller("").await;
    let _worker = shop.picker(Role::Worker).await;
    let writers = Writers::start(&shop, setting("FICUS_WRITERS", WRITERS)).await;
    shop.verified().await;
    assert_eq!(shop.status().await.phase, "verified");

    let switches = setting("FICUS_SWITCHES", SWITCHES) | 1;
    let (begun, already) = (Instant::now(), writers.count());
    let mut pauses = Vec::new();
    for number in 0..switches {
        let (forward, before) = (number % 2 == 0, writers.count());
        let outcome = shop.switch(forward).await.unwrap();
        done(&outcome);
        let report = outcome.switch.unwrap();
        println!("forward {forward}: epoch {} pause {} ms", report.epoch, report.pause_ms);
        // A second from C1 to C5, another for C6, and a late picker.
        assert!(report.pause_ms < 2_500.0);
        pauses.push(report.pause_ms);
        assert_eq!(shop.open().await, [!forward, forward]);
        let mut moves = shop.leader().await;
        done(&moves.vdiff(verb()).await.unwrap().into_inner());
        assert!(writers.count() > before, "no write was acknowledged during and after the switch");
    }

    pauses.sort_by(f64::total_cmp);
    println!(
        "{switches} changes of owner at {:.0} writes/s: pause p50 {} ms, p99 {} ms, most {} ms",
        f64::from(u32::try_from(writers.count() - already).unwrap())
            / begun.elapsed().as_secs_f64(),
        pauses[pauses.len() / 2],
        pauses[(pauses.len() * 99).div_ceil(100) - 1],
        pauses[pauses.len() - 1],
    );

    let acknowledged = writers.stop().await;
    shop.until_equal(Duration::from_secs(30)).await;
    let customers = shop.customers(true).await;
    for customer in &acknowledged {
        assert_eq!(customers.get(customer), Some(&1), "{customer}");
    }
    assert_eq!(customers.len(), acknowledged.len() + 500);

    let mut moves = shop.leader().await;
    let soaked = |seconds| CompleteRequest {
        capability: CAPABILITY.to_owned(),
        dry_run: false,
        soak_seconds: Some(seconds),
    };
    let early = moves.complete(soaked(3_600)).await.unwrap().into_inner();
    assert!(!early.done && early.refusals.iter().any(|line| line.starts_with("soak")), "{early:?}");
    shop.monolith.execute("CREATE VIEW public.report AS TABLE public.orders").await.unwrap();
    let read = moves.complete(soaked(0)).await.unwrap().into_inner();
    assert!(
        !read.done && read.refusals.iter().any(|line| line.contains("view report")),
        "{read:?}"
    );
    shop.monolith.execute("DROP VIEW report").await.unwrap();
    done(&moves.complete(soaked(0)).await.unwrap().into_inner());
    let status = shop.status().await;
    assert_eq!(status.phase, "completed");
    for line in &status.journal {
        println!("{} {} {}: {}", line.at.unwrap(), line.epoch, line.step, line.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_leaves_nothing_and_can_be_created_anew() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let mut moves = shop.leader().await;
    done(&moves.cancel(verb()).await.unwrap().into_inner());
    assert_eq!(shop.status().await.phase, "cancelled");
    let [monolith, service] = shop.rows().await;
    assert_eq!((monolith.len(), service.len()), (2_000, 0));
    shop.verified().await;
    assert_eq!(shop.status().await.phase, "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_any_more_is_not_done() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let mut control = shop.databases[2].connect().await;
    control.execute("BEGIN; SELECT FROM move FOR UPDATE").await.unwrap();
    let mut first = shop.leader().await;
    let comparing = tokio::spawn(async move { first.vdiff(verb()).await });
    shop.databases[2].blocked(1).await;
    let mut second = shop.leader().await;
    let stopping = tokio::time::timeout(Duration::from_millis(300), second.stop(verb())).await;
    assert!(stopping.is_err(), "nobody was busy: {stopping:?}");
    // Until the controller has heard that nobody waits.
    tokio::time::sleep(Duration::from_millis(100)).await;
    control.execute("COMMIT").await.unwrap();
    done(&comparing.await.unwrap().unwrap().into_inner());
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    assert_eq!(shop.status().await.stream, "following");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_names_the_leader() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.leader().await;
    shop.controller("").await;
    wait_until("the second is to know the leader", Duration::from_secs(30), async || {
        let address = format!("http://{}", shop.controllers[1].address);
        let mut second = MovesClient::connect(address).await.unwrap();
        let refused = second.status(StatusRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        refused.metadata().get("ficus-leader").is_some()
    })
    .await;
}
