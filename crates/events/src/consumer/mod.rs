//! Applies a capability's events while this process's side owns it: [`gate`] says when, [`client`]
//! receives, [`session`] is the loop, [`batch`] applies and [`dead`] puts aside what cannot be, which
//! [`redrive`] applies again.

mod attempt;
mod batch;
mod client;
mod config;
mod dead;
mod failure;
mod fault;
mod gate;
mod handler;
mod lag;
mod redrive;
mod session;
mod span;

use std::{sync::Arc, time::Duration};

use ficus_owners::{Owners, Side};
use ficus_process::Shutdown;

pub use config::ConsumerConfig;
pub use handler::{ApplyError, Handler};

use gate::Gate;
use session::End;

const AFTER_AN_ERROR: Duration = Duration::from_millis(500);

/// Reads topics and hands what is new to a [`Handler`], in order for each key.
pub struct Consumer {
    config: ConsumerConfig,
    gate: Gate,
    handler: Arc<dyn Handler>,
}

impl Consumer {
    /// Works only while `side` owns `capability`.
    pub fn new(
        config: ConsumerConfig,
        owners: Owners,
        capability: impl Into<String>,
        side: Side,
        handler: Arc<dyn Handler>,
    ) -> Self {
        Self { config, gate: Gate::new(owners, capability.into(), side), handler }
    }

    /// Runs until shutdown is requested; errors are logged and tried again. It stops wherever it stands:
    /// what is not committed is rolled back, and comes again.
    pub async fn run(self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.requested() => {}
            () = self.follow_ownership() => {}
        }
    }

    async fn follow_ownership(&self) {
        loop {
            let epoch = self.gate.owned().await;
            tracing::info!(group = self.config.group, epoch, "the consumer joins");
            match session::run(&self.config, &self.gate, self.handler.as_ref()).await {
                End::NotOwner => tracing::info!(group = self.config.group, "the consumer leaves"),
                End::Replaced => {
                    tracing::warn!(
                        instance = self.config.instance_id,
                        "another took this consumer's place"
                    );
                    self.gate.heard_anew().await;
                }
                End::Broken(error) => {
                    tracing::warn!(group = self.config.group, %error, "failed to consume");
                    tokio::time::sleep(AFTER_AN_ERROR).await;
                }
            }
        }
    }
}
