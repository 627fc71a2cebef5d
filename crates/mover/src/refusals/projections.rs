//! Projections that do not give their table's rows, or read what no capture sees. Tried as temporary views.

use sqlx::PgConnection;

use crate::{
    Direction, Mover, Refusal, Result,
    catalog::{Shape, describe},
    definition::Table,
    sql,
};

/// What a view reads that is not among the captured tables $2, and the volatile functions that it calls.
const OUTSIDE: &str = "
    SELECT DISTINCT 'reads ' || c.oid::regclass::text || ', which `from` does not name' AS what
    FROM pg_rewrite AS r
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    WHERE r.ev_class = to_regclass($1) AND c.oid <> r.ev_class
      AND NOT (c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($2))
    UNION
    SELECT 'calls ' || p.proname || '(), which gives another answer each time'
    FROM pg_rewrite AS r
    CROSS JOIN regexp_matches(r.ev_action::text, ':(?:funcid|opfuncid) (\\d+)', 'g') AS called
    JOIN pg_proc AS p ON p.oid = called[1]::oid
    WHERE r.ev_class = to_regclass($1) AND p.provolatile = 'v'";

impl Mover {
    pub(super) async fn projection_refusals(&self, direction: Direction) -> Result<Vec<Refusal>> {
        let (source, target) =
            (self.database(direction.source()), self.database(direction.target()));
        let mut trial = source.write().await?;
        let mut at_target = target.follow.acquire().await.map_err(|e| target.error(e))?;
        let mut found = Vec::new();
        for table in self.inner.definition.tables(direction) {
            let name = sql::table(&table.table);
            let into = target.ask_much(describe(&mut at_target, &name)).await?;
            let given = source.ask_much(self.try_view(table, &mut trial)).await?;
            let refuse = |reason: String| {
                Refusal::new(&table.table, format!("the {direction} projection {reason}"), NEXT)
            };
            let from = match given {
                Ok(from) => from,
                Err(reason) => {
                    found.push(refuse(format!("fails: {reason}")));
                    continue;
                }
            };
            let view = sql::trial_view(&self.inner.capability, &table.table);
            if let Err(reason) = Shape::new(table, &view, &from, &into) {
                found.push(refuse(format!("does not match: {reason}")));
            }
            let outside = source.ask_much(self.outside(table, &mut trial)).await?;
            found.extend(outside.into_iter().map(refuse));
        }
        Ok(found)
    }

    /// The columns that a projection gives, or why it gives none.
    async fn try_view(
        &self,
        table: &Table,
        trial: &mut PgConnection,
    ) -> sqlx::Result<Result<Vec<crate::catalog::Described>, String>> {
        sqlx::query("SAVEPOINT projection").execute(&mut *trial).await?;
        let statement =
            sql::create_trial_view(&self.inner.capability, &table.table, &table.projection);
        match sqlx::query(statement).execute(&mut *trial).await {
            Ok(_) => {
                let view = sql::trial_view(&self.inner.capability, &table.table);
                describe(trial, &view).await.map(Ok)
            }
            Err(error) if error.as_database_error().is_some() => {
                sqlx::query("ROLLBACK TO projection").execute(&mut *trial).await?;
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn outside(&self, table: &Table, trial: &mut PgConnection) -> sqlx::Result<Vec<String>> {
        let from: Vec<&str> = table.from.keys().map(String::as_str).collect();
        sqlx::query_scalar(OUTSIDE)
            .bind(sql::trial_view(&self.inner.capability, &table.table))
            .bind(from)
            .fetch_all(trial)
            .await
    }
}

const NEXT: &str = "mend the projection or tables.toml in the move folder";
