//! What every test stands on: a database with aggregates, an outbox and a consumer's tables.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use ficus_events::{
    ApplyError, Consumer, ConsumerConfig, Event, Handler, MIGRATOR, NewEvent, Relay, append,
};
use ficus_owners::{Owners, Side, View};
use ficus_pg::{Pool, Transaction};
use ficus_process::Shutdown;
use sqlx::PgConnection;
use tokio::{runtime::Runtime, task::JoinHandle};
use trellis_testkit::{Database, Migrations, Server, database, kafka, unique, wait_until};
use uuid::Uuid;

pub const CAPABILITY: &str = "library";
pub const KIND: &str = "library.v1.BookChanged";
pub const PATIENCE: Duration = Duration::from_mins(1);

const TABLES: &str = "
    CREATE TABLE books (id text PRIMARY KEY, version bigint NOT NULL DEFAULT 0);
    CREATE TABLE inbox (event_id uuid PRIMARY KEY);
    CREATE TABLE mended (what text PRIMARY KEY);
    CREATE TABLE parked (
        topic text, key text, event_id uuid NOT NULL, reason text NOT NULL, PRIMARY KEY (topic, key)
    );
    CREATE TABLE applied (
        id bigserial PRIMARY KEY, key text NOT NULL, version bigint NOT NULL, side text NOT NULL,
        traceparent text
    );
    CREATE SEQUENCE refusals;
    CREATE FUNCTION fence() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('refusals');
        RAISE EXCEPTION 'fenced' USING ERRCODE = 'ZF001', DETAIL = 'capability=library epoch=2';
    END $$;
    CREATE TRIGGER fence BEFORE INSERT ON applied FOR EACH STATEMENT EXECUTE FUNCTION fence();
    ALTER TABLE applied DISABLE TRIGGER fence;";

/// One writer's database with relay and consumer of its own; all that runs ends with it.
pub struct Bench {
    pub pool: Pool,
    pub broker: String,
    pub topic: String,
    pub group: String,
    pub database: Database,
    shutdown: Shutdown,
    running: Vec<JoinHandle<()>>,
    /// Where they run. It is not waited for: a client whose broker is gone for good may never close.
    work: Option<Runtime>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::at(kafka()).await
    }

    /// With another broker than the tests share.
    pub async fn at(broker: String) -> Self {
        let migrations = Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations_events" };
        let database = database(Server::First, &[migrations]).await;
        let pool = database.pool().await;
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        Self {
            pool,
            broker,
            topic: unique("library"),
            group: unique("group"),
            shutdown: Shutdown::new(),
            running: Vec::new(),
            work: Some(Runtime::new().unwrap()),
            database,
        }
    }

    pub fn start_relay(&mut self, instance: &str) -> ficus_events::Waker {
        let relay = Relay::new(&self.pool, self.broker.clone(), CAPABILITY, instance);
        let waker = relay.waker();
        self.run_beside(relay.run(self.shutdown.clone()));
        waker
    }

    pub fn start_consumer(&mut self, owners: &Owners, side: Side) {
        let (broker, pool) = (self.broker.clone(), self.pool.clone());
        let consumer = consumer(broker, pool, &self.group, &self.topic, owners, side);
        self.run_beside(consumer.run(self.shutdown.clone()));
    }

    fn run_beside(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.extend(self.work.as_ref().map(|work| work.spawn(task)));
    }

    /// Changes a book and appends its event, as a writer must: the row's lock first.
    pub async fn write(&self, conn: &mut PgConnection, book: &str, payload: &[u8]) {
        let version = sqlx::query_scalar(
            "INSERT INTO books (id, version) VALUES ($1, 1)
             ON CONFLICT (id) DO UPDATE SET version = books.version + 1 RETURNING version",
        );
        let version = version.bind(book).fetch_one(&mut *conn).await.unwrap();
        let event = NewEvent {
            capability: CAPABILITY,
            topic: &self.topic,
            key: book.to_owned(),
            version,
            kind: KIND,
            payload: payload.to_vec(),
        };
        append(conn, &event).await.unwrap();
    }

    pub async fn write_one(&self, book: &str, payload: &[u8]) {
        let mut tx = self.pool.begin().await.unwrap();
        self.write(&mut tx, book, payload).await;
        tx.commit().await.unwrap();
    }

    pub async fn applied(&self) -> Vec<(String, i64)> {
        sqlx::query_as("SELECT key, version FROM applied ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub async fn wait_for_applied(&self, wanted: usize) -> Vec<(String, i64)> {
        let what = format!("{wanted} events are to be applied");
        wait_until(&what, PATIENCE, async || self.applied().await.len() >= wanted).await;
        self.applied().await
    }

    /// Waits until everything appended is published and confirmed.
    pub async fn wait_for_relay(&self) {
        wait_until("the relay is to send everything", PATIENCE, async || {
            ficus_events::lag(&self.pool, CAPABILITY).await.unwrap().events == 0
        })
        .await;
    }

    pub async fn number(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    /// Ends relays and consumers and waits for them.
    pub async fn stop(&mut self) {
        self.shutdown.request();
        for task in self.running.drain(..) {
            task.await.unwrap();
        }
        self.shutdown = Shutdown::new();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.request();
        if let Some(work) = self.work.take() {
            work.shutdown_background();
        }
    }
}

/// One that applies the topic's events in the database behind `pool`.
pub fn consumer(
    broker: String,
    pool: Pool,
    group: &str,
    topic: &str,
    owners: &Owners,
    side: Side,
) -> Consumer {
    let config = ConsumerConfig::new(broker, group, "library-0", &[topic]);
    Consumer::new(config, owners.clone(), CAPABILITY, side, Arc::new(Shelf { pool, side }))
}

pub fn owned_by(side: Side, epoch: i64) -> View {
    View { owner: side, epoch, ..View::NO_MOVE }
}

pub fn owners(side: Side) -> Owners {
    Owners::fixed([(CAPABILITY.to_owned(), owned_by(side, 1))])
}

/// Applies events to `applied`; the payload says what is to go wrong.
struct Shelf {
    pool: Pool,
    side: Side,
}

#[async_trait]
impl Handler for Shelf {
    async fn begin(&self) -> sqlx::Result<Transaction> {
        ficus_pg::begin(&self.pool, "apply").await
    }

    async fn fresh(&self, tx: &mut Transaction, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
        let inserted = sqlx::query_scalar(
            "INSERT INTO inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id",
        );
        Ok(inserted.bind(ids).fetch_all(&mut **tx).await?.into_iter().collect())
    }

    async fn parked(&self, tx: &mut Transaction, events: &[&Event]) -> sqlx::Result<HashSet<Uuid>> {
        let parked: Vec<(String, String)> =
            sqlx::query_as("SELECT topic, key FROM parked").fetch_all(&mut **tx).await?;
        let is_parked = |event: &Event| {
            parked.iter().any(|(topic, key)| *topic == event.topic && *key == event.key)
        };
        Ok(events.iter().filter(|event| is_parked(event)).map(|event| event.id).collect())
    }

    async fn park(&self, tx: &mut Transaction, event: &Event, reason: &str) -> sqlx::Result<()> {
        let park = sqlx::query("INSERT INTO parked VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
        let park = park.bind(&event.topic).bind(&event.key).bind(event.id).bind(reason);
        park.execute(&mut **tx).await?;
        Ok(())
    }

    async fn follow(&self, tx: &mut Transaction, event: &Event) -> sqlx::Result<bool> {
        let follow = sqlx::query("UPDATE parked SET event_id = $3 WHERE topic = $1 AND key = $2");
        let follow = follow.bind(&event.topic).bind(&event.key).bind(event.id);
        Ok(follow.execute(&mut **tx).await?.rows_affected() == 1)
    }

    async fn unpark(
        &self,
        tx: &mut Transaction,
        topic: &str,
        key: &str,
        redriven: &[Uuid],
    ) -> sqlx::Result<bool> {
        let unpark = sqlx::query_scalar(
            "WITH freed AS (
                 DELETE FROM parked WHERE topic = $1 AND key = $2 AND event_id = ANY ($3) RETURNING true
             )
             SELECT EXISTS (SELECT FROM freed)
                 OR NOT EXISTS (SELECT FROM parked WHERE topic = $1 AND key = $2)",
        );
        unpark.bind(topic).bind(key).bind(redriven).fetch_one(&mut **tx).await
    }

    async fn apply(&self, tx: &mut Transaction, event: &Event) -> Result<(), ApplyError> {
        if event.kind != KIND {
            return Err(ApplyError::Rejected(format!("{} is not known", event.kind)));
        }
        match &event.payload[..] {
            b"nul" => {
                let nul = sqlx::query("INSERT INTO mended VALUES ($1)").bind("a\0b");
                nul.execute(&mut **tx).await?;
            }
            b"rejected" => return Err(ApplyError::Rejected("it cannot be read".into())),
            b"failing" => return Err(ApplyError::Failed("it does not work".into())),
            wants if wants.starts_with(b"wants ") => {
                let what = String::from_utf8_lossy(&wants[6..]).into_owned();
                let mended = sqlx::query_scalar("SELECT true FROM mended WHERE what = $1");
                if mended.bind(&what).fetch_optional(&mut **tx).await?.unwrap_or(false) {
                    return self.insert(tx, event).await;
                }
                return Err(ApplyError::Failed(format!("there is no {what}")));
            }
            _ => {}
        }
        self.insert(tx, event).await
    }
}

impl Shelf {
    async fn insert(&self, tx: &mut Transaction, event: &Event) -> Result<(), ApplyError> {
        let insert = sqlx::query(
            "INSERT INTO applied (key, version, side, traceparent) VALUES ($1, $2, $3, $4)",
        );
        insert
            .bind(&event.key)
            .bind(event.version)
            .bind(self.side.as_str())
            .bind(ficus_process::trace::current_traceparent())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
