//! What a doctor looks at: what is installed, whose cursors are open, what older attempts have left.

use crate::{
    Direction, FenceState, Mover, Result, Side, database::Database, uninstall::retired_name,
};

/// A direction's cursor, as its target's database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorState {
    pub epoch: i64,
    /// Nobody can follow from it.
    pub closed: bool,
}

impl Mover {
    /// Everything of this capability that a database has while a move is under way and not else, for people: triggers
    /// on its tables, views, functions, cursors, logs. Empty also where the mover's schema is not there. A shut
    /// fence is none of it at a service that has `owned`, and keeps it ([`Mover::uninstall`]).
    pub async fn installed(&self, side: Side, owned: bool) -> Result<Vec<String>> {
        let database = self.database(side);
        let migrated = sqlx::query_scalar("SELECT to_regclass('ficus.cursor') IS NOT NULL")
            .fetch_one(&database.follow);
        if !database.ask(migrated).await? {
            return Ok(Vec::new());
        }
        let found = sqlx::query_scalar(
            "SELECT format('trigger %s of %s', t.tgname, c.relname)
             FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
             WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($2)
               AND t.tgname LIKE 'ficus\\_%' AND NOT ($3 AND t.tgenabled = 'A' AND t.tgname LIKE 'ficus\\_fence\\_%')
             UNION ALL
             SELECT format('view ficus.%I', viewname) FROM pg_views
             WHERE schemaname = 'ficus' AND starts_with(viewname, $1 || '.')
             UNION ALL
             SELECT format('function ficus.%I', proname) FROM pg_proc
             WHERE pronamespace = 'ficus'::regnamespace AND starts_with(proname, $1 || '.')
             UNION ALL
             SELECT format('the %s cursor', direction) FROM ficus.cursor WHERE capability = $1
             UNION ALL
             SELECT format('%s entries of the log', count(*)) FROM ficus.dirty
             WHERE capability = $1 HAVING count(*) > 0
             UNION ALL
             SELECT format('%s keys to compare', count(*)) FROM ficus.reverify
             WHERE capability = $1 HAVING count(*) > 0",
        )
        .bind(&self.inner.capability)
        .bind(self.tables_of(side))
        .bind(owned && side == Side::Service)
        .fetch_all(&database.follow);
        database.ask(found).await
    }

    /// The cursor of a direction, if there is one.
    pub async fn cursor_state(&self, direction: Direction) -> Result<Option<CursorState>> {
        let target = self.database(direction.target());
        let row = sqlx::query_as(
            "SELECT epoch, closed FROM ficus.cursor WHERE capability = $1 AND direction = $2",
        )
        .bind(&self.inner.capability)
        .bind(direction.as_str())
        .fetch_optional(&target.follow);
        let row: Option<(i64, bool)> = target.ask(row).await?;
        Ok(row.map(|(epoch, closed)| CursorState { epoch, closed }))
    }

    /// How many sessions of attempts below this one have a transaction open in this database.
    pub async fn open_sessions(&self, side: Side, below: i64) -> Result<i64> {
        let database = self.database(side);
        let open = sqlx::query_scalar(
            "SELECT count(*)
             FROM pg_stat_activity
             WHERE datname = current_database() AND xact_start IS NOT NULL
               AND substring(application_name FROM '^ficus:' || $1 || ':([0-9]{1,18})$')::bigint < $2",
        )
        .bind(&self.inner.capability)
        .bind(below)
        .fetch_one(&database.follow);
        database.ask(open).await
    }

    /// The fence of the monolith's tables after [`Mover::complete`] has renamed them.
    pub async fn retired_fence(&self) -> Result<FenceState> {
        let tables: Vec<String> =
            self.tables_of(Side::Monolith).into_iter().map(retired_name).collect();
        fence_of(self.database(Side::Monolith), &tables).await
    }
}

/// Whether these tables refuse writes.
pub(crate) async fn fence_of(database: &Database, tables: &[String]) -> Result<FenceState> {
    let counted = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE tgenabled = 'A'), count(*) FILTER (WHERE tgenabled = 'D')
         FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
           AND t.tgname LIKE 'ficus\\_fence\\_%'",
    )
    .bind(tables)
    .fetch_one(&database.follow);
    let (shut, open): (i64, i64) = database.ask(counted).await?;
    let all = i64::try_from(3 * tables.len()).unwrap_or(i64::MAX);
    Ok(match (shut, open) {
        (0, 0) => FenceState::Absent,
        (shut, 0) if shut == all => FenceState::Shut,
        (0, open) if open == all => FenceState::Open,
        _ => FenceState::Mixed,
    })
}
