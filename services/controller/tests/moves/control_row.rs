//! The control database is not what it was: its row is older than the databases, or an answer of its was lost.

use std::time::Duration;

use ficus_control_api::control::v1::{CreateRequest, moves_client::MovesClient};
use sqlx::Executor;
use tokio::time::{sleep, timeout};
use trellis_testkit::wait_until;

use crate::shop::{CAPABILITY, Shop, done, verb};

const PATIENCE: Duration = Duration::from_secs(30);
/// Of the row, what a backup would bring back.
const KEEP: &str =
    "CREATE TABLE backup AS SELECT owner, epoch, attempt, stream, direction FROM move";
const RESTORE: &str =
    "UPDATE move SET (owner, epoch, attempt, stream, direction) = (SELECT * FROM backup)";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_from_before_a_switch_does_not_undo_it() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    let control = shop.databases[2].pool().await;
    control.execute(KEEP).await.unwrap();
    done(&shop.switch(true).await.unwrap());
    let written = "INSERT INTO purchases (buyer, total) VALUES ('after the switch', 7)";
    shop.controllers.clear();
    shop.service.execute(written).await.unwrap();
    control.execute(RESTORE).await.unwrap();

    shop.controller("").await;
    let mut found = Vec::new();
    wait_until("the doctor finds it", PATIENCE, async || {
        found = shop.doctor().await.unwrap().findings;
        found.iter().any(|line| line.contains("has seen epoch 2 and the control row is of epoch 1"))
    })
    .await;
    // Tokens that are only behind in attempts are passed by trying again and again.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(shop.open().await, [false, true], "{found:?}");

    let righted =
        "UPDATE move SET owner = 'service', epoch = 2, stream = 'following', direction = 'reverse'";
    control.execute(righted).await.unwrap();
    wait_until("it is in hand again", PATIENCE, async || {
        let compared = shop.leader().await.vdiff(verb()).await;
        compared.is_ok_and(|outcome| outcome.into_inner().done)
    })
    .await;
    done(&shop.switch(false).await.unwrap());
    assert_eq!(shop.customers(false).await.get("after the switch"), Some(&1));
}

/// As after a failover to a replica that was behind: the owner was changed and has been opened. `told` is whether the old
/// owner's database has learned of that, which may have been away.
async fn the_change_of_owner_is_lost(told: bool) {
    let mut shop = Shop::new().await;
    shop.controller("controller.C7=kill").await;
    shop.verified().await;
    let control = shop.databases[2].pool().await;
    let keep = "CREATE TABLE backup (LIKE move);
                CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO backup SELECT OLD.*;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER keep BEFORE UPDATE ON move FOR EACH ROW
                WHEN (OLD.owner <> NEW.owner) EXECUTE FUNCTION keep()";
    control.execute(keep).await.unwrap();
    assert!(shop.switch(true).await.is_err(), "it was to die");
    shop.controllers.clear();
    let told_of = "SELECT epoch FROM ficus.token";
    let epoch: i64 = sqlx::query_scalar(told_of).fetch_one(&shop.monolith).await.unwrap();
    assert_eq!(epoch, 2, "the old owner's database is told before the new owner is opened");
    let lose = "UPDATE move SET (owner, epoch, attempt, step, switching_to, stream, direction)
                    = (SELECT owner, epoch, attempt, step, switching_to, stream, direction FROM backup)";
    control.execute(lose).await.unwrap();
    if !told {
        shop.monolith.execute("UPDATE ficus.token SET epoch = 1").await.unwrap();
    }
    shop.controller("").await;
    wait_until("somebody has tried to take it in hand, three times", PATIENCE, async || {
        // Two before: after it was created, and for the switch.
        let journal = "SELECT count(*) FROM journal WHERE step = 'attempt'";
        sqlx::query_scalar::<_, i64>(journal).fetch_one(&control).await.unwrap() > 5
    })
    .await;
    assert_eq!(shop.open().await, [false, true], "the old owner's database was told: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_has_lost_the_change_of_owner_does_not_open_the_old_one_beside() {
    tokio::join!(the_change_of_owner_is_lost(true), the_change_of_owner_is_lost(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_creation_was_not_answered_is_in_hand() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let control = shop.databases[2].pool().await;
    let slow = "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM pg_sleep(2.5);
                    RETURN NULL;
                END $$;
                CREATE TRIGGER slowly AFTER INSERT OR UPDATE OF definition ON move
                FOR EACH ROW EXECUTE FUNCTION slowly()";
    let create = || CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
    // Anew, after a cancellation, it is in hand as what was cancelled.
    for _ in ["first", "anew"] {
        control.execute(slow).await.unwrap();
        let unknown = shop.leader().await.create(create()).await;
        assert!(unknown.is_err(), "{unknown:?}");
        wait_until("it is written down", PATIENCE, async || {
            let count = "SELECT count(*) FROM move WHERE unfinished";
            sqlx::query_scalar::<_, i64>(count).fetch_one(&control).await.unwrap() == 1
        })
        .await;
        control.execute("DROP TRIGGER slowly ON move; DROP FUNCTION slowly()").await.unwrap();
        wait_until("it obeys", PATIENCE, async || {
            let prepared = shop.leader().await.prepare(verb()).await;
            prepared.is_ok_and(|outcome| outcome.into_inner().done)
        })
        .await;
        done(&shop.leader().await.cancel(verb()).await.unwrap().into_inner());
    }
}

/// Whoever leads has read which moves there are, however long that takes.
#[tokio::test(flavor = "multi_thread")]
async fn no_leader_says_that_a_move_is_in_nobodys_hand() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    shop.controllers.clear();
    let mut control = shop.databases[2].connect().await;
    control.execute("BEGIN; LOCK TABLE move").await.unwrap();
    shop.controller("").await;
    let address = format!("http://{}", shop.controllers[0].address);
    let asking = tokio::spawn(async move {
        let mut moves = MovesClient::connect(address).await.unwrap();
        loop {
            match moves.vdiff(verb()).await {
                Ok(outcome) => return outcome.into_inner(),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    // The lease of the one before has ended by then.
    sleep(Duration::from_secs(3)).await;
    control.execute("COMMIT").await.unwrap();
    done(&timeout(PATIENCE, asking).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_from_before_the_clock_went_back_is_not_waited_for() {
    let mut shop = Shop::new().await;
    let control = shop.databases[2].pool().await;
    let ahead = "INSERT INTO lease (name, holder, address, expires_at)
                 VALUES ('controller', 'dead', '', clock_timestamp() + interval '1 h')";
    control.execute(ahead).await.unwrap();
    shop.controller("").await;
    shop.leader().await;
}
