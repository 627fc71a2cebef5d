//! Cancelling: what it takes away, what it leaves alone, and that it is finished by whoever takes over.

use ficus_control_api::control::v1::CreateRequest;
use ficus_pg::Pool;
use sqlx::Executor;
use trellis_testkit::wait_until;

use crate::shop::{CAPABILITY, HEALED, Shop, Writers, done, verb};

/// The mover's triggers and views on both sides.
async fn installed(shop: &Shop) -> i64 {
    let count = async |pool: &Pool| -> i64 {
        let query = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'ficus%')
                          + (SELECT count(*) FROM pg_views WHERE schemaname = 'ficus')
                          + (SELECT count(*) FROM ficus.cursor) + (SELECT count(*) FROM ficus.dirty)";
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    };
    count(&shop.monolith).await + count(&shop.service).await
}

/// Kills the leader at `failpoint` of a cancellation; another one is to finish it.
async fn killed_at(failpoint: &str) {
    let mut shop = Shop::new().await;
    shop.controller(&format!("{failpoint}=kill")).await;
    let writers = Writers::start(&shop, 2).await;
    shop.verified().await;
    shop.controller("").await;
    assert!(installed(&shop).await > 0);

    let mut moves = shop.leader().await;
    assert!(moves.cancel(verb()).await.is_err(), "{failpoint}: it was to die");
    shop.controllers.remove(0);
    wait_until("another is to finish it", HEALED, async || {
        shop.status().await.phase == "cancelled"
    })
    .await;
    assert_eq!(installed(&shop).await, 0, "{failpoint}");
    let mut moves = shop.leader().await;
    done(&moves.cancel(verb()).await.unwrap().into_inner());

    let acknowledged = writers.stop().await;
    let [monolith, service] = shop.rows().await;
    assert_eq!((monolith.len(), service.len()), (2_000 + 2 * acknowledged.len(), 0));
    shop.verified().await;
    assert_eq!(shop.status().await.phase, "verified", "{failpoint}: it can be created anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_finishes_a_cancellation_that_was_cut_off() {
    tokio::join!(
        Box::pin(killed_at("controller.cancelling")),
        Box::pin(killed_at("controller.cancelling.emptied")),
        Box::pin(killed_at("controller.cancelling.uninstalled")),
    );
}

/// What was sent to it before the way back may arrive later, and would be nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_has_owned_accepts_nothing_after_a_cancellation() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    done(&shop.switch(true).await.unwrap());
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(false).await.unwrap());
    done(&shop.leader().await.cancel(verb()).await.unwrap().into_inner());
    let late = "INSERT INTO purchases (buyer, total) VALUES ('late', 1)";
    let refused = shop.service.execute(late).await.expect_err("nobody would see it");
    assert!(ficus_pg::fenced(&refused).is_some(), "{refused}");
    assert_eq!(shop.open().await, [true, false]);
    assert_eq!(shop.doctor().await.unwrap().findings, [""; 0]);

    shop.controllers.clear();
    shop.controller("").await;
    shop.verified().await;
    done(&shop.switch(true).await.unwrap());
    shop.service.execute(late).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_move_that_has_copied_nothing_leaves_the_services_rows() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.service.execute("INSERT INTO purchases (buyer, total) VALUES ('own', 1)").await.unwrap();
    let mut moves = shop.leader().await;
    let create = CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
    done(&moves.create(create).await.unwrap().into_inner());
    let refused = moves.prepare(verb()).await.unwrap().into_inner();
    assert!(refused.refusals.iter().any(|line| line.contains("not empty")), "{refused:?}");
    done(&moves.cancel(verb()).await.unwrap().into_inner());
    let [_, service] = shop.rows().await;
    assert_eq!(service.len(), 1, "they were never the move's");
}
