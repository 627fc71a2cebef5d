//! A try that is cut off leaves nothing behind that would shut the owner later.

use std::time::Duration;

use sqlx::Executor;
use trellis_testkit::wait_until;

use crate::shop::{Shop, Writers, done, verb};

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_takes_too_long_does_not_shut_the_owner_after_the_abort() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let writers = Writers::start(&shop, 2).await;
    shop.verified().await;
    let slow = "ALTER FUNCTION ficus.set_fence(text, boolean) RENAME TO set_fence_now;
                CREATE FUNCTION ficus.set_fence(p_table text, p_shut boolean) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM pg_sleep(4) WHERE p_shut;
                    PERFORM ficus.set_fence_now(p_table, p_shut);
                END $$";
    shop.monolith.execute(slow).await.unwrap();
    let before = shop.status().await;
    let outcome = shop.switch_once(true).await.unwrap();
    assert!(
        !outcome.done && outcome.lines.iter().any(|line| line.contains("1,000 ms")),
        "{outcome:?}"
    );

    wait_until("the slow fence is to be over", Duration::from_secs(8), async || {
        let busy = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE '%fence_table%' AND state = 'active'
                       AND pid <> pg_backend_pid()";
        let busy: i64 = sqlx::query_scalar(busy).fetch_one(&shop.monolith).await.unwrap();
        busy == 0
    })
    .await;
    assert_eq!(shop.open().await, [true, false], "it was shut after the abort");
    let status = shop.status().await;
    assert_eq!((status.owner.as_str(), status.step.as_str()), ("monolith", ""));
    assert!(status.attempt > before.attempt + 1, "only a higher attempt ends what was cut off");

    let quick = "DROP FUNCTION ficus.set_fence(text, boolean);
                 ALTER FUNCTION ficus.set_fence_now(text, boolean) RENAME TO set_fence";
    shop.monolith.execute(quick).await.unwrap();
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(true).await.unwrap());
    let acknowledged = writers.stop().await;
    let customers = shop.customers(true).await;
    assert!(acknowledged.iter().all(|customer| customers.get(customer) == Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_was_cut_off_is_followed_by_one_that_succeeds() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    done(&shop.switch(true).await.unwrap());
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    let slow_at_first = "
        CREATE SEQUENCE ficus.fences;
        ALTER FUNCTION ficus.set_fence(text, boolean) RENAME TO set_fence_now;
        CREATE FUNCTION ficus.set_fence(p_table text, p_shut boolean) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF p_shut AND nextval('ficus.fences') = 1 THEN
                PERFORM pg_sleep(4);
            END IF;
            PERFORM ficus.set_fence_now(p_table, p_shut);
        END $$";
    shop.service.execute(slow_at_first).await.unwrap();
    let outcome = shop.switch(false).await.unwrap();
    assert!(outcome.lines.iter().any(|line| line.contains("1,000 ms")), "{outcome:?}");
    done(&outcome);
}
