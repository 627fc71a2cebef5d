//! What stands against a switch is named before anything begins, and a dry run shows it.

use std::time::Duration;

use ficus_control_api::control::v1::{Outcome, SwitchRequest};
use sqlx::Executor;
use trellis_testkit::wait_until;

use crate::shop::{CAPABILITY, Shop, done, verb};

async fn planned(shop: &mut Shop) -> Outcome {
    let request = SwitchRequest { capability: CAPABILITY.to_owned(), dry_run: true, tries: 1 };
    shop.leader().await.switch_traffic(request).await.unwrap().into_inner()
}

fn refused(outcome: &Outcome, words: &[&str]) {
    assert!(!outcome.done, "{outcome:?}");
    let says = |line: &String| words.iter().all(|word| line.contains(word));
    assert!(outcome.refusals.iter().any(says), "{words:?} is not in {:?}", outcome.refusals);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_needs_a_fresh_comparison() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    done(&planned(&mut shop).await);
    let control = shop.databases[2].pool().await;
    for aged in [
        "UPDATE move SET diff_at = clock_timestamp() - interval '15 min'",
        // From before the clock went back.
        "UPDATE move SET diff_at = clock_timestamp() + interval '1 h'",
    ] {
        control.execute(aged).await.unwrap();
        refused(&planned(&mut shop).await, &["diff", "15 minutes", "ficus move orders vdiff"]);
    }
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    done(&planned(&mut shop).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picker_that_is_silent_since_before_the_move_is_waited_for_by_name() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let control = shop.databases[2].pool().await;
    let silent = "INSERT INTO picker (picker, capability, role, epoch, heard_at)
                  VALUES ('lost-gateway', 'orders', 'gateway', 0, clock_timestamp() - interval '1 h')";
    control.execute(silent).await.unwrap();
    shop.verified().await;
    refused(&planned(&mut shop).await, &["pickers", "gateway lost-gateway"]);
    // One that was heard after the move was written down has stopped reading by itself.
    let older = "UPDATE move SET created_at = clock_timestamp() - interval '2 h'";
    control.execute(older).await.unwrap();
    done(&planned(&mut shop).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_picker_from_before_the_clock_went_back_expires() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let control = shop.databases[2].pool().await;
    let ahead = "INSERT INTO picker (picker, capability, role, epoch, heard_at)
                 VALUES ('dead-gateway', 'orders', 'gateway', 1, clock_timestamp() + interval '1 h')";
    control.execute(ahead).await.unwrap();
    let expires = async {
        wait_until("it is to expire", Duration::from_secs(20), async || {
            let ahead = "SELECT count(*) FROM picker WHERE heard_at > clock_timestamp()";
            sqlx::query_scalar::<_, i64>(ahead).fetch_one(&control).await.unwrap() == 0
        })
        .await;
        // As it would in 40 s.
        control.execute("DELETE FROM picker WHERE picker = 'dead-gateway'").await.unwrap();
    };
    let (switched, ()) = tokio::join!(shop.switch(true), expires);
    done(&switched.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_old_owner_would_not_take_back_stands_against_the_switch() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let constraint = "ALTER TABLE orders ADD CONSTRAINT small CHECK (total < 7) NOT VALID";
    shop.monolith.execute(constraint).await.unwrap();
    let rows = shop.rows().await;
    refused(&planned(&mut shop).await, &["way back", "monolith", "small"]);
    assert!(!shop.switch(true).await.unwrap().done);
    assert_eq!(shop.open().await, [true, false], "what was opened is shut again");
    assert_eq!(shop.rows().await, rows, "what was written is taken back");
    shop.monolith.execute("ALTER TABLE orders DROP CONSTRAINT small").await.unwrap();
    done(&shop.switch(true).await.unwrap());
    shop.until_equal(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_whose_writes_would_not_be_captured_stands_against_the_switch() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let forgets = "CREATE OR REPLACE FUNCTION ficus.\"orders.purchases\"() RETURNS trigger
                   LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$";
    shop.service.execute(forgets).await.unwrap();
    refused(&planned(&mut shop).await, &["way back", "purchases", "not captured"]);
}

/// Its database would have been opened, and nobody there to answer a request.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_running_is_made_the_owner_of_nothing() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    done(&planned(&mut shop).await);
    shop.home.leave().await;
    let words = ["process", "the service takes no connections at http://127.0.0.1:"];
    refused(&planned(&mut shop).await, &words);
    refused(&shop.switch(true).await.unwrap(), &words);
    assert_eq!(shop.open().await, [true, false]);
    let found = shop.doctor().await.unwrap().findings;
    assert!(
        found.iter().any(|line| line.contains("the monolith takes no connections")),
        "{found:?}"
    );
}

/// As one of millions of events, which takes longer than the answer is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_cannot_be_counted_in_time_stands_against_the_switch() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let mut counted = shop.monolith.begin().await.unwrap();
    counted.execute("LOCK TABLE ficus.outbox").await.unwrap();
    refused(&planned(&mut shop).await, &["relay", "monolith", "cannot be measured", "backlog"]);
    let found = shop.doctor().await.unwrap().findings;
    let told = |line: &String| line.contains("the monolith's relay cannot be measured");
    assert!(found.iter().any(told), "{found:?}");
    counted.rollback().await.unwrap();
    done(&planned(&mut shop).await);
}
