//! A switch in the control database: C0's pending, C1's announcement, C6, and what follows or undoes it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ficus_mover::{Direction, Side};
use uuid::Uuid;

use super::{Hand, Result, bounded, one};
use crate::{Error, domain::Step};

/// C6 is asked for with this much patience; then its answer counts as unknown.
const DECISION: Duration = Duration::from_secs(1);

/// What C6 says it happened under.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    pub from: Side,
    pub epoch: i64,
    pub pending: Uuid,
}

impl Hand {
    /// C0: a switch is under way.
    pub async fn begin_switch(&self, to: Side, text: &str) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move SET step = 'C0', switching_to = $3
                  WHERE capability = $1 AND attempt = $2 AND owner <> $3
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'C0', $4, $5 FROM changed",
            self.capability,
            self.attempt,
            to.as_str(),
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// C0: asks all pickers to act on a switch that is pending, for 3 s; never prolonged.
    pub async fn ask_pending(&self) -> Result<Uuid> {
        let pending = sqlx::query_scalar!(
            "UPDATE move SET pending = gen_random_uuid(),
                             pending_until = clock_timestamp() + interval '3 s'
              WHERE capability = $1 AND attempt = $2 AND step = 'C0'
             RETURNING pending AS \"pending!\"",
            self.capability,
            self.attempt,
        )
        .fetch_optional(&self.store.pool);
        bounded(pending).await?.ok_or(Error::Stale)
    }

    /// Before C1: says that the source is about to be fenced. False if *pending* would not live through
    /// the 1,000 ms that C1 to C6 may take.
    pub async fn announce_fence(&self) -> Result<bool> {
        let changed = sqlx::query!(
            "UPDATE move SET step = 'C1'
              WHERE capability = $1 AND attempt = $2 AND step = 'C0'
                AND pending_until > clock_timestamp() + interval '1 s'",
            self.capability,
            self.attempt,
        )
        .execute(&self.store.pool);
        Ok(bounded(changed).await?.rows_affected() == 1)
    }

    /// C6, the point of no return, with the journal of the steps before it. False: it did not happen. An
    /// error leaves open whether it happened; only raising the attempt can tell. Whether *pending* still lives is asked
    /// once the row is locked: a picker that registers may hold it for a while.
    pub async fn decide(&self, decision: &Decision, steps: &[(&str, String)]) -> Result<bool> {
        let names: Vec<String> = steps.iter().map(|(name, _)| (*name).to_owned()).collect();
        let texts: Vec<String> = steps.iter().map(|(_, text)| text.clone()).collect();
        let decided = sqlx::query!(
            "WITH decided AS (
                 UPDATE move
                    SET owner = switching_to, epoch = epoch + 1, step = 'C6',
                        switched_at = clock_timestamp()
                  WHERE capability = $1 AND attempt = $2 AND owner = $3 AND epoch = $4
                    AND step = 'C1' AND pending = $5
                    AND pending_until > (
                            SELECT clock_timestamp()
                              FROM (SELECT FROM move WHERE capability = $1 FOR UPDATE) AS locked)
                 RETURNING attempt, epoch, owner
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, said.step,
                    CASE said.step WHEN 'C6' THEN format(said.text, owner) ELSE said.text END, $8
               FROM decided, unnest($6::text[], $7::text[]) WITH ORDINALITY AS said (step, text, n)
              ORDER BY said.n",
            self.capability,
            self.attempt,
            decision.from.as_str(),
            decision.epoch,
            decision.pending,
            &names,
            &texts,
            self.store.name,
        )
        .execute(&self.store.pool);
        match tokio::time::timeout(DECISION, decided).await {
            Ok(decided) => Ok(decided?.rows_affected() > 0),
            Err(_) => Err(Error::ControlSilent),
        }
    }

    /// C7 and C8: writes are open at the new owner, *pending* is over; then the late pickers are no longer
    /// waited for.
    pub async fn passed(&self, step: Step, text: &str) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move SET step = $3, pending = NULL, pending_until = NULL
                  WHERE capability = $1 AND attempt = $2 AND owner = switching_to
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, $3, $4, $5 FROM changed",
            self.capability,
            self.attempt,
            step.as_str(),
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// C9: changes flow the other way from here on, and the switch is over. When C6 was.
    pub async fn finish_switch(&self, direction: Direction, text: &str) -> Result<DateTime<Utc>> {
        let at = sqlx::query_scalar!(
            "WITH changed AS (
                 UPDATE move
                    SET step = NULL, switching_to = NULL, pending = NULL, pending_until = NULL,
                        stream = 'following', direction = $3, stream_error = '',
                        diff_at = NULL, diff_clean = NULL, diff_rows = NULL, diff_differing = NULL
                  WHERE capability = $1 AND attempt = $2 AND owner = switching_to
                 RETURNING attempt, epoch, switched_at
             ), told AS (
                 INSERT INTO journal (capability, attempt, epoch, step, text, by)
                 SELECT $1, attempt, epoch, 'C9', $4, $5 FROM changed
             )
             SELECT switched_at AS \"at!\" FROM changed",
            self.capability,
            self.attempt,
            direction.as_str(),
            text,
            self.store.name,
        )
        .fetch_optional(&self.store.pool);
        bounded(at).await?.ok_or(Error::Stale)
    }

    /// The switch is given up before C6: the owner stays, *pending* is over.
    pub async fn abort_switch(&self, text: &str) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move
                    SET step = NULL, switching_to = NULL, pending = NULL, pending_until = NULL
                  WHERE capability = $1 AND attempt = $2
                    AND switching_to IS DISTINCT FROM owner
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'abort', $3, $4 FROM changed",
            self.capability,
            self.attempt,
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use sqlx::Executor as _;
    use trellis_testkit::{Migrations, Server, database};

    use super::*;
    use crate::{app::MIGRATOR, store::Store};

    #[tokio::test]
    async fn pending_that_ends_while_c6_waits_for_the_row_is_over() {
        let migrations = Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations" };
        let database = database(Server::Second, &[migrations]).await;
        let pool = database.pool().await;
        let store = Store::new(pool.clone(), "first".to_owned(), "first:1".to_owned());
        store.lease().await.unwrap();
        let create = "INSERT INTO move (capability, definition) VALUES ('ledger', '{}')";
        pool.execute(create).await.unwrap();
        let (hand, facts) = store.raise("ledger", "a test").await.unwrap();
        hand.begin_switch(Side::Service, "a test").await.unwrap();
        let pending = hand.ask_pending().await.unwrap();
        assert!(hand.announce_fence().await.unwrap());
        let soon = "UPDATE move SET pending_until = clock_timestamp() + interval '0.3 s'";
        pool.execute(soon).await.unwrap();

        let mut registration = database.connect().await;
        registration.execute("BEGIN; SELECT FROM move FOR SHARE").await.unwrap();
        let decision = Decision { from: Side::Monolith, epoch: facts.epoch, pending };
        let steps = [("C6", "the %s owns it".to_owned())];
        let asking = tokio::spawn(async move { hand.decide(&decision, &steps).await });
        database.blocked(1).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        registration.execute("COMMIT").await.unwrap();
        assert!(!asking.await.unwrap().unwrap(), "it was decided after the end of pending");
    }
}
