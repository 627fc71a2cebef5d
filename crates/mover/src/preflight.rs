//! What stands against a switch or a completion, and what can be told of a move.

use ficus_pg::Pool;

use crate::{
    Direction, Error, FenceState, Mover, Refusal, Result, Side,
    follower::{cursor::Cursor, pace::LARGEST_DRAIN},
    sql,
    uninstall::retired_name,
};

impl Mover {
    /// Everything in the two databases that stands against switching in this direction: copy or diff not
    /// done, keys still to be compared, capture or fences not as they must be, holders of the tables' locks, and,
    /// if there is nothing else, a way back that a row of each table does not survive.
    /// (Lag, pickers and workers are the controller's to check.) Also connects the sessions that C1 will need.
    pub async fn preflight(&self, direction: Direction) -> Result<Vec<Refusal>> {
        let mut found = self.check_stream(direction).await?;
        found.extend(self.check_capture().await?);
        for (side, wanted) in
            [(direction.source(), FenceState::Open), (direction.target(), FenceState::Shut)]
        {
            let state = self.fence_state(side).await?;
            if state != wanted {
                found.push(Refusal::new(
                    &format!("fence of the {side}"),
                    format!("is {state:?} and must be {wanted:?}"),
                    "wait for the controller to heal it, or prepare again",
                ));
            }
            found.extend(self.holders(side).await?);
            self.database(side).warm(self.tables_of(side).len()).await?;
        }
        if found.is_empty() {
            found.extend(self.rehearse(direction).await?);
        }
        Ok(found)
    }

    async fn check_stream(&self, direction: Direction) -> Result<Vec<Refusal>> {
        let cursor = match Cursor::load(self, direction, None).await {
            Ok(cursor) => cursor,
            Err(Error::LostCursor { .. }) => {
                let reason = format!("there is no open {direction} cursor");
                return Ok(vec![Refusal::new("stream", reason, "start the move")]);
            }
            Err(error) => return Err(error),
        };
        let target = self.database(direction.target());
        let pending = count_pending(&target.follow, &self.inner.capability, direction);
        let pending = target.ask_much(pending).await?;
        let (verdict, mut found) = (&cursor.verify.verdict, Vec::new());
        if !cursor.copy.done {
            let reason = format!("{} rows are copied so far", cursor.copy.rows);
            found.push(Refusal::new("copy", reason, "wait until it is done"));
        } else if !verdict.whole {
            let reason = "the two sides have not been compared whole".to_owned();
            found.push(Refusal::new("diff", reason, "wait until they are, or run vdiff"));
        }
        if verdict.rows_differing > 0 {
            let reason =
                format!("{} rows differ: {}", verdict.rows_differing, verdict.differing.join("; "));
            found.push(Refusal::new("diff", reason, "mend them, then run vdiff"));
        }
        if pending > i64::from(LARGEST_DRAIN) / 4 {
            let reason = format!("{pending} keys are still to be compared again");
            found.push(Refusal::new("diff", reason, "wait until there are fewer"));
        }
        Ok(found)
    }

    /// Who would keep C1 from a table: transactions older than a quarter of a second that hold a conflicting lock,
    /// prepared ones of any age (they have no process), and autovacuums against wraparound, which do not yield.
    async fn holders(&self, side: Side) -> Result<Vec<Refusal>> {
        let database = self.database(side);
        let rows = sqlx::query_as(
            "SELECT DISTINCT c.relname::text,
                    CASE WHEN l.pid IS NULL THEN 'a prepared transaction'
                         ELSE format('process %s (%s): %s', a.pid, a.application_name, left(a.query, 60)) END
             FROM pg_locks AS l
             JOIN pg_class AS c ON c.oid = l.relation
             LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
             WHERE l.locktype = 'relation' AND l.granted
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
               AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
               AND (l.pid IS NULL
                    OR CASE WHEN a.backend_type = 'autovacuum worker' THEN a.query LIKE '%to prevent wraparound%'
                            ELSE a.xact_start < clock_timestamp() - interval '250 ms' END)",
        )
        .bind(self.tables_of(side))
        .fetch_all(&database.follow);
        let rows: Vec<(String, String)> = database.ask(rows).await?;
        Ok(rows
            .into_iter()
            .map(|(table, who)| {
                Refusal::new(&table, format!("{who} holds it"), "let it end, or end it")
            })
            .collect())
    }

    /// Everything that stands against [`Mover::complete`]: a reverse diff that is not clean, views of others.
    pub async fn preflight_complete(&self) -> Result<Vec<Refusal>> {
        let mut found = self.check_stream(Direction::Reverse).await?;
        let monolith = self.database(Side::Monolith);
        let tables = self.tables_of(Side::Monolith);
        let views = sqlx::query_as(
            "SELECT DISTINCT c.relname::text, v.oid::regclass::text
             FROM pg_depend AS d
             JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
             JOIN pg_class AS v ON v.oid = r.ev_class
             JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
             WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
               AND v.oid <> c.oid AND v.relnamespace <> 'ficus'::regnamespace",
        )
        .bind(&tables)
        .fetch_all(&monolith.follow);
        let views: Vec<(String, String)> = monolith.ask_much(views).await?;
        for (table, view) in views {
            found.push(Refusal::new(&table, format!("view {view} reads it"), "drop the view"));
        }
        let retired: Vec<String> = tables.iter().map(|table| retired_name(table)).collect();
        let taken = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1)
               AND EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($2))",
        )
        .bind(&retired)
        .bind(&tables)
        .fetch_all(&monolith.follow);
        let taken: Vec<String> = monolith.ask_much(taken).await?;
        for name in taken {
            let reason = "the name that the retired table will have is taken".to_owned();
            found.push(Refusal::new(&name, reason, "rename or drop it"));
        }
        Ok(found)
    }

    /// Triggers that are missing or not enabled as they must be, on both sides; empty when all is well.
    pub async fn check_capture(&self) -> Result<Vec<Refusal>> {
        let mut found = Vec::new();
        for side in [Side::Monolith, Side::Service] {
            let database = self.database(side);
            let broken = sqlx::query_scalar(
                "SELECT name || ' of ' || tbl
                 FROM unnest($1) AS tbl
                 CROSS JOIN unnest(ARRAY['ficus_capture_row', 'ficus_capture_truncate', 'ficus_fence_row',
                                         'ficus_fence_statement', 'ficus_fence_truncate']) AS name
                 WHERE NOT EXISTS (
                     SELECT FROM pg_trigger
                     WHERE tgrelid = to_regclass(format('public.%I', tbl)) AND tgname = name
                       AND (tgenabled = 'A' OR tgenabled = 'D' AND name LIKE 'ficus\\_fence%'))",
            )
            .bind(self.tables_of(side))
            .fetch_all(&database.follow);
            let broken: Vec<String> = database.ask(broken).await?;
            let next = "somebody changed it: cancel and prepare again";
            found.extend(broken.iter().map(|trigger| {
                let reason = format!("missing or not enabled always on the {side}'s database");
                Refusal::new(trigger, reason, next)
            }));
        }
        Ok(found)
    }

    /// Rows that a copy in this direction will carry, from the source's statistics.
    pub async fn rows_total(&self, direction: Direction) -> Result<u64> {
        let source = self.database(direction.source());
        let mut total = 0;
        for table in self.inner.definition.tables(direction) {
            let from: Vec<&str> = table.from.keys().map(String::as_str).collect();
            let rows = sqlx::query_scalar(
                "SELECT coalesce(max(CASE WHEN reltuples >= 0 THEN reltuples ELSE pg_relation_size(oid) / 100 END), 0)::bigint
                 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1)",
            )
            .bind(from)
            .fetch_one(&source.follow);
            let rows: i64 = source.ask(rows).await?;
            total += u64::try_from(rows).unwrap_or_default();
        }
        Ok(total)
    }

    /// Vacuums and analyses the direction's target, so that no autovacuum starts during the switch.
    pub async fn vacuum_target(&self, direction: Direction) -> Result<()> {
        let target = self.database(direction.target());
        for table in self.tables_of(direction.target()) {
            target.ask_much(sqlx::query(sql::vacuum(table)).execute(&target.follow)).await?;
        }
        Ok(())
    }
}

async fn count_pending(pool: &Pool, capability: &str, direction: Direction) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM ficus.reverify WHERE capability = $1 AND direction = $2",
    )
    .bind(capability)
    .bind(direction.as_str())
    .fetch_one(pool)
    .await
}
