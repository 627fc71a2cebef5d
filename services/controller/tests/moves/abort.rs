//! A try that is cut off leaves nothing behind that would shut the owner later.

use std::time::{Duration, Instant};

use ficus_control_api::control::v1::SwitchRequest;
use ficus_owners::Role;
use ficus_pg::Pool;
use sqlx::Executor;
use trellis_testkit::{Line, wait_until};

use crate::shop::{CAPABILITY, Shop, Writers, done, verb};

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

async fn is_held(pool: &Pool) -> bool {
    sqlx::query_scalar("SELECT held FROM ficus.relay").fetch_one(pool).await.unwrap()
}

/// The relay of whoever does not own has nothing to send, so nothing else would ever tell that it is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_an_abort_could_not_release_is_released_later() {
    let mut shop = Shop::new().await;
    // Relays that have sent everything that ever comes.
    let relay = "INSERT INTO ficus.relay (capability, snap, system_identifier, timeline)
                 VALUES ('orders', '900000000:900000000:', 1, 1)";
    shop.monolith.execute(relay).await.unwrap();
    shop.service.execute(relay).await.unwrap();
    shop.controller("").await;
    shop.verified().await;
    done(&shop.switch(true).await.unwrap());
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());

    let unreachable = "
        CREATE FUNCTION ficus.no_release() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'as if it were away';
        END $$;
        CREATE TRIGGER no_release BEFORE UPDATE ON ficus.relay FOR EACH ROW
        WHEN (OLD.held AND NOT NEW.held) EXECUTE FUNCTION ficus.no_release()";
    shop.monolith.execute(unreachable).await.unwrap();
    let gateway = shop.picker(Role::Gateway).await;
    let busy = gateway.begin(CAPABILITY);
    let outcome = shop.switch_once(false).await.unwrap();
    assert!(!outcome.done, "{outcome:?}");
    drop(busy);
    assert!(is_held(&shop.monolith).await);
    let found = shop.doctor().await.unwrap().findings;
    assert!(found.iter().any(|line| line.contains("the monolith's relay is held")), "{found:?}");

    shop.monolith.execute("DROP TRIGGER no_release ON ficus.relay").await.unwrap();
    shop.controllers.clear();
    shop.controller("").await;
    let released = async || !is_held(&shop.monolith).await;
    wait_until("the relay is released", Duration::from_secs(10), released).await;
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(false).await.unwrap());
    let found = shop.doctor().await.unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
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

/// Gateways hold writes for 2 s, and whoever takes a move in hand may wait for the other side's word for 3 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_to_who_has_fallen_silent_shuts_the_owner_no_longer_than_its_own_budget() {
    let mut shop = Shop::new().await;
    let line = Line::to(shop.databases[1].url()).await;
    shop.controller_reaching(line.url(), "controller.C1=wait:500").await;
    shop.verified().await;
    let mut moves = shop.leader().await;
    let switch = SwitchRequest { capability: CAPABILITY.to_owned(), dry_run: false, tries: 1 };
    let switching = tokio::spawn(async move { moves.switch_traffic(switch).await });
    let is_open = async || shop.open().await[0];
    wait_until("it is to be fenced", Duration::from_secs(10), async || !is_open().await).await;
    line.lose_the_host();
    let lost = Instant::now();
    wait_until("it is to be open", Duration::from_secs(15), &is_open).await;
    let shut = lost.elapsed();
    switching.abort();
    println!("open {shut:?} after the service was lost");
    assert!(shut < Duration::from_secs(3), "{shut:?}");
}
