//! Tables, sequences and settings that a move cannot live with.

use crate::{Mover, Refusal, Result, Side, definition::Table, sql};

/// Each row: what it is about, why it is refused, what to do. $1 are the capability's tables on this side.
const TABLES: &str = "
    WITH moved AS (
        SELECT c.* FROM pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
    )
    SELECT tbl, 'there is no such table', 'create it in schema public, or take it out of tables.toml'
    FROM unnest($1) AS tbl WHERE tbl NOT IN (SELECT relname FROM moved)
    UNION ALL
    SELECT relname, 'it is no ordinary table', 'partitioned tables, views and foreign tables cannot be moved'
    FROM moved WHERE relkind <> 'r'
    UNION ALL
    SELECT relname, 'it is a partition or takes part in inheritance', 'detach it'
    FROM moved
    WHERE relispartition OR EXISTS (SELECT FROM pg_inherits WHERE moved.oid IN (inhrelid, inhparent))
    UNION ALL
    SELECT relname, 'it is unlogged: a crash empties it without a trace', 'ALTER TABLE … SET LOGGED'
    FROM moved WHERE relpersistence <> 'p'
    UNION ALL
    SELECT relname, 'it has no primary key', 'add one'
    FROM moved WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = moved.oid AND indisprimary)
    UNION ALL
    SELECT relname, 'it has row-level security, and the mover''s role may not see every row',
           'give the role BYPASSRLS'
    FROM moved
    WHERE relrowsecurity
      AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolbypassrls OR rolsuper))
      AND (relforcerowsecurity OR NOT pg_has_role(relowner, 'USAGE'))
    UNION ALL
    SELECT r.relname, format('foreign key %s crosses the capability''s edge: %s references %s',
                             k.conname, k.conrelid::regclass, k.confrelid::regclass),
           'drop it, and keep the reference as a plain column'
    FROM pg_constraint AS k JOIN moved AS r ON r.oid IN (k.conrelid, k.confrelid)
    WHERE k.contype = 'f'
      AND (k.conrelid IN (SELECT oid FROM moved)) <> (k.confrelid IN (SELECT oid FROM moved))
    UNION ALL
    SELECT relname, format('trigger %s runs on it, which would not run for rows that are carried over', t.tgname),
           'do in the application what it does, and drop it'
    FROM moved JOIN pg_trigger AS t ON t.tgrelid = moved.oid
    WHERE NOT t.tgisinternal
      AND t.tgname NOT IN ('ficus_capture_row', 'ficus_capture_truncate', 'ficus_fence_row',
                           'ficus_fence_statement', 'ficus_fence_truncate')
    UNION ALL
    SELECT relname, format('rule %s rewrites statements on it', r.rulename), 'drop the rule'
    FROM moved JOIN pg_rewrite AS r ON r.ev_class = moved.oid WHERE moved.relkind = 'r'
    ORDER BY 1, 2";

/// Sequences that defaults or identity columns draw from. $1 are the capability's tables, $2 the sequences that
/// tables.toml names, on this side.
const SEQUENCES: &str = "
    WITH used AS (
        SELECT d.refobjid AS sequence, a.adrelid AS tbl
        FROM pg_depend AS d JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
        WHERE d.refclassid = 'pg_class'::regclass
        UNION
        SELECT d.objid, d.refobjid
        FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
    ), drawn AS (
        SELECT s.relname AS sequence, t.relname AS tbl,
               t.relnamespace = 'public'::regnamespace AND t.relname = ANY ($1) AS moved
        FROM used JOIN pg_class AS s ON s.oid = used.sequence AND s.relkind = 'S'
        JOIN pg_class AS t ON t.oid = used.tbl
    )
    SELECT name, 'there is no such sequence', 'mend tables.toml'
    FROM unnest($2) AS name WHERE to_regclass(format('public.%I', name)) IS NULL
    UNION ALL
    SELECT DISTINCT mine.sequence::text, format('%s draws from it and %s of another capability does too', mine.tbl, theirs.tbl),
           'give each a sequence of its own'
    FROM drawn AS mine JOIN drawn AS theirs USING (sequence) WHERE mine.moved AND NOT theirs.moved
    UNION ALL
    SELECT DISTINCT sequence::text, format('%s draws from it and tables.toml does not name it', tbl),
           'add a [[sequence]]'
    FROM drawn WHERE moved AND sequence <> ALL ($2)";

impl Mover {
    pub(super) async fn table_refusals(&self, side: Side) -> Result<Vec<Refusal>> {
        let database = self.database(side);
        let rows = sqlx::query_as(TABLES).bind(self.tables_of(side)).fetch_all(&database.follow);
        let mut found = refusals(side, database.ask_much(rows).await?);
        for table in self.inner.definition.tables(side.outward().opposite()) {
            let key = sqlx::query_scalar(
                "SELECT array_agg(a.attname::text) FROM pg_index AS i
                 JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                 WHERE i.indrelid = to_regclass($1) AND i.indisprimary",
            )
            .bind(sql::table(&table.table))
            .fetch_one(&database.follow);
            let key: Option<Vec<String>> = database.ask_much(key).await?;
            let mut named = table.key.clone();
            named.sort_unstable();
            let mut key = key.unwrap_or_default();
            key.sort_unstable();
            if !key.is_empty() && key != named {
                let reason =
                    format!("its primary key is ({}), tables.toml says otherwise", key.join(", "));
                found.push(Refusal::new(&table.table, reason, "mend tables.toml"));
            }
            found.extend(self.covers_refusal(side, table).await?);
        }
        Ok(found)
    }

    /// A change of a row whose covers are not known, for one is null, could not be told from one that concerns no row.
    async fn covers_refusal(&self, side: Side, table: &Table) -> Result<Option<Refusal>> {
        let database = self.database(side);
        let nullable = sqlx::query_scalar(
            "SELECT string_agg(attname, ', ') FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attname = ANY ($2) AND attnum > 0 AND NOT attnotnull",
        )
        .bind(sql::table(&table.table))
        .bind(&table.covers)
        .fetch_one(&database.follow);
        let nullable: Option<String> = database.ask_much(nullable).await?;
        let reason = |names| {
            format!("covers {names} may be null: changes of such rows would not be carried over")
        };
        let next = "SET NOT NULL, or cover other columns";
        Ok(nullable.map(|names| Refusal::new(&table.table, reason(names), next)))
    }

    pub(super) async fn sequence_refusals(&self, side: Side) -> Result<Vec<Refusal>> {
        let database = self.database(side);
        let named: Vec<&str> = self.inner.definition.sequences.iter().map(|s| s.of(side)).collect();
        let rows = sqlx::query_as(SEQUENCES)
            .bind(self.tables_of(side))
            .bind(named)
            .fetch_all(&database.follow);
        Ok(refusals(side, database.ask_much(rows).await?))
    }

    /// A commit that does not wait for the log can be taken for seen and be gone after a crash.
    pub(super) async fn setting_refusals(&self, side: Side) -> Result<Vec<Refusal>> {
        let database = self.database(side);
        let off = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_file_settings WHERE name = 'synchronous_commit' AND setting = 'off')
                 OR EXISTS (SELECT FROM pg_db_role_setting AS s
                            WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                              AND 'synchronous_commit=off' = ANY (s.setconfig))",
        )
        .fetch_one(&database.follow);
        let off: bool = database.ask_much(off).await?;
        let reason = format!("synchronous_commit is off on the {side}'s database");
        let refusal = Refusal::new("synchronous_commit", reason, "set it to on");
        Ok(off.then_some(refusal).into_iter().collect())
    }

    pub(super) async fn rows_in_target(&self) -> Result<Vec<Refusal>> {
        let database = self.database(Side::Service);
        let mut found = Vec::new();
        for table in self.tables_of(Side::Service) {
            let name = sql::table(table);
            let there = sqlx::query_scalar("SELECT to_regclass($1)::text")
                .bind(&name)
                .fetch_one(&database.follow);
            let there: Option<String> = database.ask_much(there).await?;
            if there.is_none() {
                continue;
            }
            let any = sqlx::query_scalar(sql::any_row(&name)).fetch_one(&database.follow);
            let any: bool = database.ask_much(any).await?;
            if any {
                let reason = "the target is not empty".to_owned();
                found.push(Refusal::new(
                    table,
                    reason,
                    "empty it, or cancel the move that filled it",
                ));
            }
        }
        Ok(found)
    }
}

fn refusals(side: Side, rows: Vec<(String, String, String)>) -> Vec<Refusal> {
    let each = rows.into_iter();
    each.map(|(name, reason, next)| {
        Refusal::new(&name, format!("{reason} (on the {side}'s database)"), &next)
    })
    .collect()
}
