//! The wiring on one screen.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ficus_events::{Consumer, ConsumerConfig, Relay};
use ficus_owners::{Owners, Role, Side};
use ficus_pg::Migrations;
use ficus_process::Shutdown;
use ficus_rpc::identity::Verifier;
use ficus_rpc::incoming;
use ficus_rpc::observe::ServedLayer;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tonic::transport::server::{Router, Server as Grpc};
use tower::layer::util::{Identity, Stack};
use trellis_contracts::FILE_DESCRIPTOR_SET;
use trellis_contracts::notifications::v1::deliveries_server::DeliveriesServer;
use trellis_contracts::notifications::v1::inbox_server::InboxServer;
use trellis_contracts::notifications::v1::preferences_server::PreferencesServer;

use crate::api::Server;
use crate::config::Config;
use crate::events::incoming::{Incoming, TOPICS};
use crate::mailer::{IN_FLIGHT, Mailer};
use crate::peers::{Directory, Smtp};

/// This service's own tables.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Connections to the database at most.
const CONNECTIONS: u32 = 24;

/// Brings the database to this version.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let all = [
        Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations" },
        Migrations { migrator: &ficus_events::MIGRATOR, table: "_sqlx_migrations_events" },
        Migrations { migrator: &ficus_mover::MIGRATOR, table: "_sqlx_migrations_mover" },
    ];
    ficus_pg::migrate(config.database()?, &all).await.context("failed to migrate")
}

/// Serves at the configured address until shutdown is requested.
pub async fn serve(config: &Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("failed to listen on {}", config.listen))?;
    serve_on(listener, config, shutdown).await
}

/// Serves, applies events, publishes and sends mails until shutdown is requested.
pub async fn serve_on(
    listener: TcpListener,
    config: &Config,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let pool = ficus_pg::connect(config.database()?, "notifications", CONNECTIONS)?;
    ficus_pg::watch(&pool, "notifications");
    let keys: Result<Vec<_>, _> = config.gateway_keys.iter().map(|url| url.parse()).collect();
    let keys = keys.context("--gateway-keys must be URLs")?;
    let server = Server::new(pool.clone(), Verifier::fetching(keys));
    let smtp = Smtp::at(&config.smtp_address, IN_FLIGHT)?;
    let directory = Directory::at(&config.directory).context("--directory must be a URL")?;
    let owners = tokio::select! {
        owners = owners(config) => owners?,
        () = shutdown.requested() => return Ok(()),
    };

    let relay = Relay::new(&pool, &*config.kafka_brokers, "notifications", &*config.instance);
    let consumer = Consumer::new(
        ConsumerConfig::new(
            &*config.kafka_brokers,
            "trellis.notifications",
            &*config.instance,
            &TOPICS,
        ),
        owners.clone(),
        "notifications",
        Side::Service,
        Arc::new(Incoming::new(pool.clone())),
    );
    let mailer = Mailer::new(&pool, owners.clone(), directory, smtp);

    let mut workers = JoinSet::new();
    workers.spawn(relay.run(shutdown.clone()));
    workers.spawn(consumer.run(shutdown.clone()));
    workers.spawn(mailer.run(shutdown.clone()));
    tracing::info!(address = %listener.local_addr()?, "serving");
    let incoming = incoming(listener);
    let serving = grpc(server).await?.serve_with_incoming_shutdown(incoming, shutdown.requested());
    let (answered, worked) = tokio::join!(
        async { serving.await.inspect_err(|_| shutdown.request()) },
        all_end(workers, &shutdown)
    );
    owners.leave().await;
    answered.context("failed to serve gRPC")?;
    worked.context("a worker failed")
}

/// Waits for the workers' end; one that fails ends the process, which is better than half of it.
async fn all_end(mut workers: JoinSet<()>, shutdown: &Shutdown) -> Result<(), JoinError> {
    let mut outcome = Ok(());
    while let Some(ended) = workers.join_next().await {
        outcome = outcome.and(ended.inspect_err(|_| shutdown.request()));
    }
    outcome
}

async fn owners(config: &Config) -> anyhow::Result<Owners> {
    let capabilities = ["notifications".to_owned()];
    let url = config.control_database()?;
    Ok(Owners::start(url, &config.instance, Role::Worker, capabilities).await?)
}

/// The contract's services beside health and reflection. No call outlives what its caller allows.
async fn grpc(server: Server) -> anyhow::Result<Router<Stack<ServedLayer, Identity>>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<InboxServer<Server>>().await;
    health.set_serving::<PreferencesServer<Server>>().await;
    health.set_serving::<DeliveriesServer<Server>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(Grpc::builder()
        .layer(ServedLayer::grpc())
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(InboxServer::new(server.clone()))
        .add_service(PreferencesServer::new(server.clone()))
        .add_service(DeliveriesServer::new(server)))
}
