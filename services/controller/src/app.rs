//! The wiring.

use std::sync::Arc;

use anyhow::Context;
use ficus_control_api::{control::v1::moves_server::MovesServer, subject::Subject};
use ficus_pg::Migrations;
use ficus_process::Shutdown;
use ficus_rpc::{incoming, observe::ServedLayer};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tonic::transport::Server;

use crate::{
    api::Api,
    config::{Command, Config, Serve},
    leader::Leader,
    metrics,
    store::Store,
};

/// The control database's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// Connections to the control database.
const CONNECTIONS: u32 = 10;

/// Serves, or migrates.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    match config.command {
        Some(Command::Migrate(migrate)) => {
            let migrations = Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations" };
            ficus_pg::migrate(&migrate.database, &[migrations])
                .await
                .context("failed to migrate the control database")
        }
        Some(Command::Serve(serve)) => self::serve(serve, shutdown).await,
        None => serve(config.serve, shutdown).await,
    }
}

async fn serve(config: Serve, shutdown: Shutdown) -> anyhow::Result<()> {
    let subject = Subject::read(&config.config)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("failed to listen on {}", config.listen))?;
    let address = match config.address {
        Some(address) => address,
        None => format!("http://{}", listener.local_addr()?),
    };
    let pool =
        ficus_pg::connect(&subject.control.database.url()?, "ficus-controller", CONNECTIONS)?;
    ficus_pg::watch(&pool, "ficus-controller");
    let store = Store::new(pool, config.name, address);
    let leader = Arc::new(Leader::new(store, subject));

    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<MovesServer<Api>>().await;
    let leading = tokio::spawn(Arc::clone(&leader).run(shutdown.clone()));
    tokio::spawn(metrics::watch(Arc::clone(&leader), shutdown.clone()));
    tracing::info!(address = %listener.local_addr()?, "serving");
    Server::builder()
        .layer(ServedLayer::grpc())
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(10)))
        .add_service(health_service)
        .add_service(MovesServer::new(Api::new(leader)))
        .serve_with_incoming_shutdown(incoming(listener), async move {
            shutdown.requested().await;
        })
        .await
        .context("failed to serve")?;
    leading.await.context("the leader's task failed")
}
