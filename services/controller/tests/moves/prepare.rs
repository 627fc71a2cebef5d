//! A preparation that was cut off is taken back by whoever takes over, and can be done again.

use std::time::Duration;

use ficus_control_api::control::v1::CreateRequest;
use sqlx::Executor;
use trellis_testkit::wait_until;

use crate::shop::{CAPABILITY, Shop, done, verb};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_preparation_leads_to_a_start_that_works() {
    let mut shop = Shop::new().await;
    shop.controller("controller.installed=kill").await;
    let mut moves = shop.leader().await;
    let create = CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
    done(&moves.create(create).await.unwrap().into_inner());
    assert!(moves.prepare(verb()).await.is_err(), "it was to die");
    shop.controllers.clear();
    assert_eq!(shop.open().await, [true, false], "it had installed the fences");
    let between = "INSERT INTO orders (customer, total) VALUES ('between', 1)";
    shop.monolith.execute(between).await.unwrap();

    shop.controller("").await;
    assert_eq!(shop.status().await.phase, "planned");
    wait_until("what it had installed is to be gone", Duration::from_secs(30), async || {
        let found = shop.doctor().await;
        found.is_ok_and(|found| found.findings.is_empty())
    })
    .await;
    assert_eq!(shop.open().await, [true, true]);
    let mut moves = shop.leader().await;
    done(&moves.prepare(verb()).await.unwrap().into_inner());
    done(&moves.start(verb()).await.unwrap().into_inner());
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(true).await.unwrap());
    assert_eq!(shop.customers(true).await.get("between"), Some(&1));
}

/// One that was stopped in the midst of it, and wakes, must install nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_ends_a_preparation_that_has_installed_nothing_yet() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let create = CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
    done(&shop.leader().await.create(create).await.unwrap().into_inner());
    shop.controllers.clear();
    shop.controller("").await;
    let attempt = shop.status().await.attempt;
    for pool in [&shop.monolith, &shop.service] {
        wait_until("older attempts are to be over", Duration::from_secs(30), async || {
            let known = sqlx::query_scalar("SELECT attempt FROM ficus.token").fetch_optional(pool);
            known.await.unwrap() >= Some(attempt)
        })
        .await;
    }
}
