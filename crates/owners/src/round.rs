//! One round trip in SQL: write down what is acted on, read `move`.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Role,
    state::{Heard, Said},
};

pub(crate) struct Round<'a> {
    pub picker: &'a str,
    /// Which of those that were given this name it is.
    pub instance: Uuid,
    pub role: Role,
    pub said: &'a [(String, Said)],
}

pub(crate) struct Row {
    capability: String,
    owner: String,
    epoch: i64,
    pending: Option<Uuid>,
    pending_left: f64,
    unfinished: bool,
    retired: bool,
    written: bool,
}

/// Columns of [`Said`], for `unnest`.
struct Columns {
    capabilities: Vec<String>,
    epochs: Vec<i64>,
    pendings: Vec<Option<Uuid>>,
    quiets: Vec<bool>,
}

impl From<&[(String, Said)]> for Columns {
    fn from(said: &[(String, Said)]) -> Self {
        Self {
            capabilities: said.iter().map(|(name, _)| name.clone()).collect(),
            epochs: said.iter().map(|(_, said)| said.epoch).collect(),
            pendings: said.iter().map(|(_, said)| said.pending).collect(),
            quiets: said.iter().map(|(_, said)| said.quiet).collect(),
        }
    }
}

/// A registration. FOR SHARE waits for a change of `move` that is under way, and such a change
/// waits for this: either the picker reads it, or whoever made it sees the picker. One statement, which the server ends
/// by itself: a picker that is lost in the midst of it must not go on holding the row. It must outlive a crash of the
/// server; renewals need not.
///
/// A process that begins takes the name over (`first`): who had it has most likely died. One that lives finds its name
/// taken, and nothing written, with its next round; it goes on under another that is free, or whose process no switch
/// waits for any more, and under that alone.
pub(crate) async fn register(
    connection: &mut PgConnection,
    round: &Round<'_>,
    first: bool,
) -> Result<Vec<Row>, sqlx::Error> {
    let said = Columns::from(round.said);
    sqlx::query_as!(
        Row,
        r#"
        WITH durable AS MATERIALIZED (
            SELECT set_config('synchronous_commit', 'on', true)
        ), registered AS (
            INSERT INTO picker (picker, capability, role, epoch, pending, quiet, heard_at, instance)
            SELECT $1, said.*, clock_timestamp(), $7
              FROM (SELECT c, $2::text, e, p, q
                      FROM durable, unnest($3::text[], $4::bigint[], $5::uuid[], $6::boolean[])
                           AS u (c, e, p, q)) AS said
            ON CONFLICT (picker, capability) DO UPDATE
            SET role = excluded.role, epoch = excluded.epoch, pending = excluded.pending,
                quiet = excluded.quiet, heard_at = clock_timestamp(), instance = excluded.instance
            WHERE $8 OR picker.instance = excluded.instance
               OR picker.heard_at < clock_timestamp() - interval '40 s'
            RETURNING capability
        ), once AS (
            DELETE FROM picker WHERE instance = $7 AND picker <> $1
        ), known AS MATERIALIZED (
            SELECT * FROM move WHERE capability = ANY ($3) ORDER BY capability FOR SHARE
        )
        SELECT c AS "capability!", coalesce(owner, 'monolith') AS "owner!",
               coalesce(epoch, 0) AS "epoch!", pending AS "pending?",
               coalesce(extract(epoch FROM pending_until - clock_timestamp()), 0)::float8
                   AS "pending_left!",
               coalesce(unfinished, false) AS "unfinished!", coalesce(retired, false) AS "retired!",
               c IN (SELECT capability FROM registered) AS "written!"
          FROM unnest($3::text[]) AS c LEFT JOIN known ON capability = c
        "#,
        round.picker,
        round.role.as_str(),
        &said.capabilities,
        &said.epochs,
        &said.pendings as &[Option<Uuid>],
        &said.quiets,
        round.instance,
        first,
    )
    .fetch_all(connection)
    .await
}

/// A renewal and an acknowledgement: one statement, one round trip.
pub(crate) async fn renew(
    connection: &mut PgConnection,
    round: &Round<'_>,
) -> Result<Vec<Row>, sqlx::Error> {
    let said = Columns::from(round.said);
    sqlx::query_as!(
        Row,
        r#"
        WITH renewed AS (
            INSERT INTO picker (picker, capability, role, epoch, pending, quiet, heard_at, instance)
            SELECT $1, said.*, clock_timestamp(), $7
              FROM (SELECT c, $2::text, e, p, q
                      FROM unnest($3::text[], $4::bigint[], $5::uuid[], $6::boolean[])
                           AS u (c, e, p, q)) AS said
            ON CONFLICT (picker, capability) DO UPDATE
            SET role = excluded.role, epoch = excluded.epoch, pending = excluded.pending,
                quiet = excluded.quiet, heard_at = clock_timestamp()
            WHERE picker.instance = excluded.instance
            RETURNING capability
        )
        SELECT c AS "capability!", coalesce(owner, 'monolith') AS "owner!",
               coalesce(epoch, 0) AS "epoch!", pending AS "pending?",
               coalesce(extract(epoch FROM pending_until - clock_timestamp()), 0)::float8
                   AS "pending_left!",
               coalesce(unfinished, false) AS "unfinished!", coalesce(retired, false) AS "retired!",
               c IN (SELECT capability FROM renewed) AS "written!"
          FROM unnest($3::text[]) AS c LEFT JOIN move ON capability = c
        "#,
        round.picker,
        round.role.as_str(),
        &said.capabilities,
        &said.epochs,
        &said.pendings as &[Option<Uuid>],
        &said.quiets,
        round.instance,
    )
    .fetch_all(connection)
    .await
}

pub(crate) async fn leave(
    connection: &mut PgConnection,
    picker: &str,
    instance: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM picker WHERE picker = $1 AND instance = $2", picker, instance)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether another process has taken the name over.
pub(crate) fn taken_over(rows: &[Row]) -> bool {
    rows.iter().any(|row| !row.written)
}

/// What `rows` say of `capability`; where there is no move the monolith owns it, at epoch 0.
pub(crate) fn find(rows: &[Row], capability: &str) -> Heard {
    rows.iter().find(|row| row.capability == capability).map_or(Heard::NO_MOVE, Heard::from)
}

impl From<&Row> for Heard {
    fn from(row: &Row) -> Self {
        Self {
            owner: row.owner.parse().expect("a check on move.owner allows these words only"),
            epoch: row.epoch,
            pending: row.pending,
            pending_left: Duration::from_secs_f64(row.pending_left.max(0.0)),
            unfinished: row.unfinished,
            retired: row.retired,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use sqlx::{Executor as _, migrate::Migrator};
    use tokio::time::timeout;
    use trellis_testkit::{Database, Migrations, Server, database};

    use super::*;

    static CONTROL: Migrator = sqlx::migrate!("../../services/controller/migrations");

    const ELDER: Uuid = Uuid::from_u128(1);
    const YOUNGER: Uuid = Uuid::from_u128(2);

    async fn control() -> Database {
        let migrations = Migrations { migrator: &CONTROL, table: "_sqlx_migrations_controller" };
        database(Server::Second, &[migrations]).await
    }

    async fn registered(
        connection: &mut PgConnection,
        (picker, instance): (&str, Uuid),
        capabilities: &[&str],
        first: bool,
    ) -> bool {
        let said: Vec<_> =
            capabilities.iter().map(|name| ((*name).to_owned(), Said::default())).collect();
        let round = Round { picker, instance, role: Role::Gateway, said: &said };
        !taken_over(&register(connection, &round, first).await.unwrap())
    }

    async fn known(connection: &mut PgConnection) -> Vec<(String, String, Uuid)> {
        let query = "SELECT picker, capability, instance FROM picker ORDER BY picker, capability";
        sqlx::query_as(query).fetch_all(connection).await.unwrap()
    }

    #[tokio::test]
    async fn who_comes_back_takes_no_name_of_one_that_lives_and_leaves_none_behind() {
        let database = control().await;
        let mut connection = database.connect().await;
        let of = |picker: &str, capability: &str, instance| {
            (picker.to_owned(), capability.to_owned(), instance)
        };
        assert!(registered(&mut connection, ("n", ELDER), &["x", "y"], true).await);
        assert!(registered(&mut connection, ("n", YOUNGER), &["x"], true).await);
        assert!(!registered(&mut connection, ("n", ELDER), &["x", "y"], false).await);
        assert!(registered(&mut connection, ("n~2", ELDER), &["x", "y"], false).await);
        let all = [of("n", "x", YOUNGER), of("n~2", "x", ELDER), of("n~2", "y", ELDER)];
        assert_eq!(known(&mut connection).await, all);
        leave(&mut connection, "n", ELDER).await.unwrap();
        assert_eq!(known(&mut connection).await, all, "it is another's");
    }

    #[tokio::test]
    async fn a_name_whose_process_no_switch_waits_for_is_used_again() {
        let database = control().await;
        let mut connection = database.connect().await;
        assert!(registered(&mut connection, ("n~2", ELDER), &["x"], false).await);
        assert!(!registered(&mut connection, ("n~2", YOUNGER), &["x"], false).await);
        let silent = "UPDATE picker SET heard_at = heard_at - interval '41 s'";
        connection.execute(silent).await.unwrap();
        assert!(registered(&mut connection, ("n~2", YOUNGER), &["x"], false).await);
    }

    #[tokio::test]
    async fn a_picker_that_is_lost_while_it_registers_holds_nobody_up() {
        let database = control().await;
        let (mut holder, mut controller) = (database.connect().await, database.connect().await);
        let known = "INSERT INTO move (capability, definition) VALUES ('ledger', '{}');
                     INSERT INTO picker (picker, capability, role, epoch, heard_at)
                     VALUES ('gateway-0', 'ledger', 'gateway', 0, clock_timestamp());
                     BEGIN; SELECT FROM picker FOR UPDATE";
        holder.execute(known).await.unwrap();
        let mut connection = database.connect().await;
        let said = [("ledger".to_owned(), Said::default())];
        let round =
            Round { picker: "gateway-0", instance: ELDER, role: Role::Gateway, said: &said };
        let mut registering = Box::pin(register(&mut connection, &round, true));
        tokio::select! {
            biased;
            _ = &mut registering => panic!("it was to wait"),
            () = database.blocked(1) => {}
        }
        // From here on the picker does nothing any more.
        holder.execute("COMMIT").await.unwrap();
        let change = controller.execute("UPDATE move SET attempt = attempt + 1");
        timeout(Duration::from_secs(3), change).await.expect("it is held up").unwrap();
    }
}
