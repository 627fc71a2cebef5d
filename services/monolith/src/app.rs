//! The wiring on one screen.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::get;
use axum::serve::ListenerExt;
use ficus_events::{Consumer, ConsumerConfig, Relay};
use ficus_owners::{Owners, Role, Side};
use ficus_pg::{Migrations, Pool};
use ficus_process::{InFlight, Shutdown};
use ficus_rpc::incoming;
use ficus_rpc::observe::ServedLayer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::server::{Router as GrpcRouter, Server as Grpc};
use tower::layer::util::{Identity, Stack};
use trellis_contracts::FILE_DESCRIPTOR_SET;
use trellis_contracts::auth::v1::directory_server::DirectoryServer;
use trellis_contracts::auth::v1::sessions_server::SessionsServer;

use crate::config::Config;
use crate::http;
use crate::modules::auth::api::Inside;
use crate::modules::auth::{self, Auth, Passwords, Sessions};
use crate::modules::core::{self, Core};
use crate::modules::idempotency::{Capability, Writes};
use crate::modules::notifications::{
    self, Courier, IN_FLIGHT, Incoming, Local, MailMode, Mailer, Notifications, Notify, Outgoing,
    Smtp, TOPICS,
};

/// Trellis's own tables.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Connections to the database at most.
const CONNECTIONS: u32 = 20;
/// Those besides for claims, renewals and records of mails, and for whom they go to.
const MAIL_CONNECTIONS: u32 = 6;

/// Mails that all requests together send at a time, inline.
const INLINE_MAILS: u32 = 32;

/// What has to run on the database before it is served.
pub fn migrations() -> [Migrations; 3] {
    [
        Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations" },
        Migrations { migrator: &ficus_events::MIGRATOR, table: "_sqlx_migrations_events" },
        Migrations { migrator: &ficus_mover::MIGRATOR, table: "_sqlx_migrations_mover" },
    ]
}

/// Brings the database to this version.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    ficus_pg::migrate(config.database()?, &migrations()).await.context("failed to migrate")
}

/// Serves at the configured addresses until shutdown is requested.
pub async fn serve(config: &Config, shutdown: Shutdown) -> anyhow::Result<()> {
    Server::bind(config).await?.run(config, shutdown).await
}

/// Listens, and is not served yet.
pub struct Server {
    public: TcpListener,
    internal: TcpListener,
}

impl Server {
    /// Listens at the configured addresses.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let listen = async |at| {
            TcpListener::bind(at).await.with_context(|| format!("failed to listen on {at}"))
        };
        let public = listen(config.listen).await?;
        Ok(Self { public, internal: listen(config.internal_listen).await? })
    }

    /// Where the public API and the inside calls are served.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.local_addr()?, self.internal.local_addr()?))
    }

    /// Serves, publishes, applies events and sends mails until shutdown is requested.
    pub async fn run(self, config: &Config, shutdown: Shutdown) -> anyhow::Result<()> {
        let pool = ficus_pg::connect(config.database()?, "monolith", CONNECTIONS)?;
        ficus_pg::watch(&pool, "monolith");
        prepare(config, &notifications::Store::new(pool.clone())).await?;
        let owners = tokio::select! {
            owners = owners(config) => owners?,
            () = shutdown.requested() => return Ok(()),
        };
        let trellis = Trellis::wire(config, &pool, &owners)?;

        let mut running = JoinSet::new();
        if let Some(brokers) = &config.kafka_brokers {
            for capability in ["auth", "core", notifications::NAME] {
                let relay = Relay::new(&pool, &**brokers, capability, &*config.instance);
                running.spawn(relay.run(shutdown.clone()));
            }
            running.spawn(consumer(brokers, &owners, &pool).run(shutdown.clone()));
        }
        running.spawn(trellis.mailer.run(shutdown.clone()));

        let (address, internal) = self.addresses()?;
        tracing::info!(%address, %internal, "serving");
        let public = self.public.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let ended = shutdown.clone();
        let public = axum::serve(public, trellis.public)
            .with_graceful_shutdown(async move { ended.requested().await });
        let inside = grpc(trellis.inside)
            .await?
            .serve_with_incoming_shutdown(incoming(self.internal), shutdown.requested());
        let (public, inside) = tokio::join!(async { public.await }, inside);
        shutdown.request();
        while running.join_next().await.is_some() {}
        owners.leave().await;
        public.context("failed to serve HTTP")?;
        inside.context("failed to serve gRPC")
    }
}

/// The modules, each with what it needs of the others.
struct Trellis {
    public: Router,
    inside: Inside,
    mailer: Mailer,
}

impl Trellis {
    fn wire(config: &Config, pool: &Pool, owners: &Owners) -> anyhow::Result<Self> {
        let sessions = Arc::new(Sessions::default());
        let users = auth::Store::new(pool.clone());
        let directory: Arc<dyn auth::Directory> = Arc::new(auth::Local(users.clone()));

        let store = notifications::Store::new(pool.clone());
        let outgoing = Outgoing { broker: config.kafka_brokers.is_some() };
        // A claim that cannot be renewed, because requests wait for connections, is a mail that is sent twice.
        let apart = pool.apart("monolith mails", MAIL_CONNECTIONS);
        let mails = notifications::Store::new(apart.clone());
        let persons: Arc<dyn auth::Directory> = Arc::new(auth::Local(auth::Store::new(apart)));
        let in_flight = InFlight::default();
        let smtp = |connections| Smtp::at(&config.smtp_address, connections);
        let courier = |smtp| {
            let (directory, store) = (Arc::clone(&persons), mails.clone());
            let in_flight = in_flight.clone();
            Courier { directory, smtp, store, outgoing, in_flight }
        };
        let mailer = Mailer {
            store: mails.clone(),
            owners: owners.clone(),
            courier: courier(smtp(IN_FLIGHT)?),
        };
        let notify: Arc<dyn Notify> = Arc::new(Local {
            mode: notifications::ModeReader::default(),
            owners: owners.clone(),
            courier: courier(smtp(INLINE_MAILS)?.for_requests()),
            outgoing,
        });

        let writes = |capability| Writes::new(pool.clone(), capability);
        let notifications = Notifications {
            sessions: Arc::clone(&sessions),
            store,
            writes: writes(Capability::Notifications),
            outgoing,
        };
        let core = Core {
            sessions: Arc::clone(&sessions),
            notify: Arc::clone(&notify),
            store: core::Store::new(pool.clone()),
            writes: writes(Capability::Core),
        };
        let auth = Auth {
            sessions: Arc::clone(&sessions),
            passwords: Passwords::new()?,
            notify,
            store: users,
            writes: writes(Capability::Auth),
        };
        let public = routes(auth, core, notifications);
        Ok(Self { public, inside: Inside { sessions, directory }, mailer })
    }
}

fn routes(auth: Auth, core: Core, notifications: Notifications) -> Router {
    Router::new()
        .merge(auth::api::routes().with_state(auth))
        .merge(core::api::routes().with_state(core))
        .merge(notifications::api::routes().with_state(notifications))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(http::not_found)
        .method_not_allowed_fallback(http::not_found)
        // Nobody is cut off while they still send.
        .layer(from_fn(http::drained))
        // A body larger than this is refused before it is read to its end.
        .layer(DefaultBodyLimit::max(http::BODY_LIMIT))
        // The time limit and the note of what was done cover the whole request.
        .layer(from_fn(http::around))
        // Every request is a span of the caller's trace, and counted.
        .layer(ServedLayer::http())
}

/// Auth's inside calls, beside health and reflection.
async fn grpc(inside: Inside) -> anyhow::Result<GrpcRouter<Stack<ServedLayer, Identity>>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SessionsServer<Inside>>().await;
    health.set_serving::<DirectoryServer<Inside>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(Grpc::builder()
        .layer(ServedLayer::grpc())
        .load_shed(true)
        .concurrency_limit_per_connection(256)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(SessionsServer::new(inside.clone()))
        .add_service(DirectoryServer::new(inside)))
}

/// Applies events while the monolith owns notifications. Group and member are named like the service's,
/// so that a new owner takes the partitions over at once.
fn consumer(brokers: &str, owners: &Owners, pool: &Pool) -> Consumer {
    let config = ConsumerConfig::new(brokers, "trellis.notifications", "notifications-0", &TOPICS);
    let handler = Arc::new(Incoming(notifications::Store::new(pool.clone())));
    Consumer::new(config, owners.clone(), notifications::NAME, Side::Monolith, handler)
}

/// Without a control database there are no moves, and nobody to ask.
async fn owners(config: &Config) -> anyhow::Result<Owners> {
    let capabilities = [notifications::NAME.to_owned()];
    match &config.control_database_url {
        Some(url) => Ok(Owners::start(url, &config.instance, Role::Worker, capabilities).await?),
        None => Ok(Owners::fixed([])),
    }
}

/// Sets the mail mode, and refuses to start on what cannot work.
async fn prepare(config: &Config, store: &notifications::Store) -> anyhow::Result<()> {
    let migrated = store.is_migrated().await.context("failed to reach the database")?;
    ensure!(migrated, "the database is not migrated: run `monolith migrate` first");
    let mode = match config.mail_mode {
        Some(mode) => mode.into(),
        None => store.mode().await?,
    };
    ensure!(
        config.kafka_brokers.is_some() || mode == MailMode::Inline,
        "queued mail needs a broker: set KAFKA_BROKERS, or start with --mail-mode inline"
    );
    store.set_mode(mode).await?;
    Ok(())
}
