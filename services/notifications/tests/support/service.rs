//! The service, started on port 0 with databases of its own.

use std::time::Duration;

use clap::Parser;
use ficus_pg::Pool;
use ficus_process::{Clock, Shutdown};
use ficus_rpc::identity::Signer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use trellis_notifications::app;
use trellis_notifications::config::Config;
use trellis_testkit::{Database, kafka, unique};

use super::{control_database, peers, service_database};

/// A running service, its database, and the signer whose keys it knows.
pub struct Service {
    pub pool: Pool,
    pub control: Pool,
    pub channel: Channel,
    signer: Signer,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
    _databases: [Database; 2],
}

impl Service {
    /// Starts it; mails go to `smtp`, where there may be nobody.
    pub async fn start(smtp: &str) -> Self {
        let (database, control) = (service_database().await, control_database().await);
        let signer = Signer::generate(Clock::system());
        let keys = format!("http://{}/", peers::keys(&signer).await);
        let directory = peers::directory().await;
        let instance = unique("notifications");
        let config = Config::parse_from([
            "notifications",
            &format!("--database-url={}", database.url()),
            &format!("--control-database-url={}", control.url()),
            &format!("--kafka-brokers={}", kafka()),
            &format!("--smtp-address={smtp}"),
            &format!("--directory={directory}"),
            &format!("--gateway-keys={keys}"),
            &format!("--instance={instance}"),
        ]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let (pool, control_pool) = (database.pool().await, control.pool().await);
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { app::serve_on(listener, &config, shutdown).await }
        });
        Self {
            pool,
            control: control_pool,
            channel: Endpoint::from_shared(url).unwrap().connect_lazy(),
            signer,
            shutdown,
            task,
            _databases: [database, control],
        }
    }

    /// A request by a person who is signed in.
    pub fn by<M>(&self, user_id: i64, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let token = self.signer.sign(&user_id.to_string()).unwrap();
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request.set_timeout(Duration::from_secs(10));
        request
    }

    /// The same under an idempotency key.
    pub fn keyed<M>(&self, user_id: i64, key: &str, message: M) -> Request<M> {
        let mut request = self.by(user_id, message);
        request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
        request
    }

    /// Makes the service the owner.
    pub async fn own(&self) {
        sqlx::query(
            "INSERT INTO move (capability, owner, epoch, definition)
             VALUES ('notifications', 'service', 2, '{}')",
        )
        .execute(&self.control)
        .await
        .unwrap();
    }

    /// Ends it as SIGTERM does and waits for its end.
    pub async fn end(self) {
        self.shutdown.request();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        ended.expect("the service is to drain in 10 s").unwrap().unwrap();
    }
}
