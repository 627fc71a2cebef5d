//! Pickers, as `crates/owners` registers them.

use uuid::Uuid;

use super::{Result, Store, bounded};

/// A process that picks an owner.
#[derive(Debug, Clone)]
pub struct Picker {
    pub name: String,
    pub role: String,
    /// What it acts on.
    pub epoch: i64,
    pub heard_seconds_ago: f64,
}

/// What the registered pickers have acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Registered {
    /// Those that have not, by name and role.
    pub missing: Vec<String>,
}

impl Registered {
    pub fn all_have(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Store {
    /// Pickers heard within the last hour.
    pub async fn pickers(&self, capability: &str) -> Result<Vec<Picker>> {
        let rows = sqlx::query_as!(
            Picker,
            "SELECT picker AS name, role, epoch,
                    extract(epoch FROM clock_timestamp() - heard_at)::float8 AS \"heard_seconds_ago!\"
               FROM picker
              WHERE capability = $1 AND heard_at > clock_timestamp() - interval '1 hour'
              ORDER BY role, picker",
            capability
        )
        .fetch_all(&self.pool);
        bounded(rows).await
    }

    /// Has registrations expire in 40 s that a clock has dated which went back since: who has died counts as silent at once,
    /// and is waited for no longer than that. Who lives says so anew within a second.
    pub async fn not_from_the_future(&self, capability: &str) -> Result<()> {
        let dated = sqlx::query!(
            "UPDATE picker
                SET heard_at = greatest(clock_timestamp() - interval '4 s',
                                        (SELECT created_at FROM move WHERE capability = $1))
              WHERE capability = $1 AND heard_at > clock_timestamp() + interval '1 s'",
            capability
        )
        .execute(&self.pool);
        bounded(dated).await.map(drop)
    }

    /// Who is registered (heard less than 40 s ago), and has been silent for 3 s or acts on another epoch.
    /// One that was heard last before the move was written down never expires: nothing tells it to stop
    /// reading at the old owner.
    pub async fn not_current(&self, capability: &str, epoch: i64) -> Result<Registered> {
        let rows = sqlx::query_scalar!(
            "SELECT format('%s %s (epoch %s, heard %s s ago)', role, picker, epoch,
                           round(extract(epoch FROM clock_timestamp() - heard_at), 1)) AS \"who!\"
               FROM picker
              WHERE capability = $1
                AND (heard_at > clock_timestamp() - interval '40 s'
                     OR heard_at < (SELECT created_at FROM move WHERE move.capability = $1))
                AND (epoch <> $2 OR heard_at < clock_timestamp() - interval '3 s')
              ORDER BY role, picker",
            capability,
            epoch
        )
        .fetch_all(&self.pool);
        Ok(Registered { missing: bounded(rows).await? })
    }

    /// Who is registered and does not act on this epoch and *pending*, or is not quiet.
    pub async fn not_quiet(
        &self,
        capability: &str,
        epoch: i64,
        pending: Uuid,
    ) -> Result<Registered> {
        let rows = sqlx::query_scalar!(
            "SELECT format(CASE WHEN epoch = $2 AND pending IS NOT DISTINCT FROM $3
                                THEN '%s %s has something under way'
                                ELSE '%s %s has not acknowledged' END, role, picker) AS \"who!\"
               FROM picker
              WHERE capability = $1 AND heard_at > clock_timestamp() - interval '40 s'
                AND NOT (epoch = $2 AND pending IS NOT DISTINCT FROM $3 AND quiet)
              ORDER BY role, picker",
            capability,
            epoch,
            pending
        )
        .fetch_all(&self.pool);
        Ok(Registered { missing: bounded(rows).await? })
    }

    /// Who is registered and does not act on this epoch yet.
    pub async fn not_at(&self, capability: &str, epoch: i64) -> Result<Registered> {
        let rows = sqlx::query_scalar!(
            "SELECT format('%s %s', role, picker) AS \"who!\"
               FROM picker
              WHERE capability = $1 AND epoch <> $2
                AND heard_at > clock_timestamp() - interval '40 s'
              ORDER BY role, picker",
            capability,
            epoch
        )
        .fetch_all(&self.pool);
        Ok(Registered { missing: bounded(rows).await? })
    }
}
