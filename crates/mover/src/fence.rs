//! Shutting and opening a side, table by table, each in a transaction of its own.

use std::time::{Duration, Instant};

use crate::{
    Error, Mover, Result, Side,
    database::{Database, sqlstate},
    inspect::fence_of,
};

/// C1 as a whole.
pub(crate) const FENCE_BUDGET: Duration = Duration::from_millis(300);
/// Steps without a write pause: aborts, installing, cleaning up.
pub(crate) const PATIENT: Duration = Duration::from_secs(5);

/// Beyond the budget: the server has not answered at all.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// Whether a side refuses writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceState {
    Shut,
    Open,
    /// Some tables refuse and some do not: a step that stopped half way.
    Mixed,
    /// Not installed.
    Absent,
}

impl Mover {
    /// C1: refuses writes on this side from the last commit on. Within 300 ms, else
    /// [`crate::Error::LockTimeout`], and the caller unfences. After [`crate::Error::Unreachable`], or if the call
    /// was dropped, a table may still be shut later: raise the attempt before unfencing.
    pub async fn fence(&self, side: Side, attempt: i64) -> Result<()> {
        self.set_fence(side, attempt, true, FENCE_BUDGET).await
    }

    /// The way back from C1 (abort), and the healing of a side that owns: accepts writes again. Tries for 5 s.
    pub async fn unfence(&self, side: Side, attempt: i64) -> Result<()> {
        self.set_fence(side, attempt, false, PATIENT).await
    }

    async fn set_fence(
        &self,
        side: Side,
        attempt: i64,
        shut: bool,
        budget: Duration,
    ) -> Result<()> {
        let tables = self.tables_of(side);
        let each = tables.iter().map(|table| async move {
            let database = self.database(side);
            let call = || async {
                sqlx::query("SELECT ficus.fence_table($1, $2, $3, $4)")
                    .bind(&self.inner.capability)
                    .bind(attempt)
                    .bind(table)
                    .bind(shut)
                    .execute(&database.steps)
                    .await
            };
            bounded(database, table, budget, call).await.map(drop)
        });
        // All are waited for: one that was dropped could shut its table after the caller has unfenced.
        let mut answers = futures::future::join_all(each).await;
        // Of a lock that was not to be had it is known that nothing was done; another error comes before it.
        answers.sort_by_key(|answer| matches!(answer, Err(Error::LockTimeout { .. })));
        answers.into_iter().collect()
    }

    /// Whether this side refuses writes now.
    pub async fn fence_state(&self, side: Side) -> Result<FenceState> {
        let tables: Vec<String> = self.tables_of(side).into_iter().map(str::to_owned).collect();
        fence_of(self.database(side), &tables).await
    }

    /// How many statements this database's fence has refused since it was made (a crash skips up to 32).
    pub async fn refused(&self, side: Side) -> Result<i64> {
        let database = self.database(side);
        let refused = sqlx::query_scalar(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ficus.refused",
        )
        .fetch_one(&database.follow);
        database.ask(refused).await
    }
}

/// Repeats a call whose locks were not to be had, after 2 to 12 ms, until the budget is spent. The call bounds
/// each of its locks to 60 ms itself.
pub(crate) async fn bounded<T, F>(
    database: &Database,
    table: &str,
    budget: Duration,
    call: impl Fn() -> F,
) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let begun = Instant::now();
    loop {
        let answer = tokio::time::timeout(budget + SILENCE, call()).await;
        match answer.map_err(|_| Error::Unreachable { side: database.side })? {
            Ok(done) => return Ok(done),
            Err(error) if !was_locked(&error) => return Err(database.error(error)),
            Err(_) if begun.elapsed() < budget => {
                let jitter = Duration::from_secs_f64(0.002 + 0.01 * ficus_process::random::unit());
                tokio::time::sleep(jitter).await;
            }
            Err(_) => {
                return Err(Error::LockTimeout {
                    side: database.side,
                    table: table.to_owned(),
                    milliseconds: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
                });
            }
        }
    }
}

/// `lock_not_available`, `deadlock_detected`
fn was_locked(error: &sqlx::Error) -> bool {
    matches!(sqlstate(error).as_deref(), Some("55P03" | "40P01"))
}

/// A call of a step function whose arguments are capability, attempt, table and a text.
pub(crate) async fn step(
    mover: &Mover,
    side: Side,
    attempt: i64,
    text: &'static str,
    table: &str,
    more: &str,
) -> Result<()> {
    let database = mover.database(side);
    let call = || async {
        sqlx::query(text)
            .bind(&mover.inner.capability)
            .bind(attempt)
            .bind(table)
            .bind(more)
            .execute(&database.steps)
            .await
    };
    bounded(database, table, PATIENT, call).await.map(drop)
}
