//! One membership of the group, from joining to leaving.

use std::time::Duration;

use ficus_process::{failpoint, fault};

use super::{
    ConsumerConfig, Handler, batch,
    client::{self, Client, Received},
    dead::DeadLetters,
    failure::Interruption,
    gate::{Gate, NotOwner},
    lag, redrive,
};

const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why a membership ended.
pub enum End {
    NotOwner,
    /// Another has joined under this member's name.
    Replaced,
    Broken(String),
}

impl From<client::Error> for End {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Replaced => Self::Replaced,
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<NotOwner> for End {
    fn from(_: NotOwner) -> Self {
        Self::NotOwner
    }
}

/// Consumes until something ends the membership. What was received and not committed then comes again,
/// to this member or to another.
pub async fn run(config: &ConsumerConfig, gate: &Gate, handler: &dyn Handler) -> End {
    tokio::select! {
        () = gate.lost() => End::NotOwner,
        end = consume(config, gate, handler) => end,
    }
}

async fn consume(config: &ConsumerConfig, gate: &Gate, handler: &dyn Handler) -> End {
    if let Err(error) = config.kafka.create_topics(&config.all_topics()).await {
        return End::Broken(error.to_string());
    }
    let client = match Client::join(config) {
        Ok(client) => client,
        Err(error) => return error.into(),
    };
    tokio::select! {
        end = process(config, &client, gate, handler) => end,
        never = lag::measure(&client, &config.group) => match never {},
        never = redrive::run(config, gate, handler) => match never {},
    }
}

async fn process(
    config: &ConsumerConfig,
    client: &Client,
    gate: &Gate,
    handler: &dyn Handler,
) -> End {
    let mut dead = DeadLetters::new(config);
    loop {
        let batch = match client.receive().await {
            Ok(batch) => batch,
            Err(error) => return error.into(),
        };
        if fault::planted("offset-first") {
            if let Err(error) = client.commit(&batch).await {
                return error.into();
            }
            failpoint::reach("consumer.committed").await;
        }
        if let Err(NotOwner) = apply(&batch, gate, handler, &mut dead).await {
            return End::NotOwner;
        }
        failpoint::reach("consumer.applied").await;
        if let Err(error) = client.commit(&batch).await {
            return error.into();
        }
        lag::applied(&batch, &config.group);
    }
}

/// Applies the batch, however long the database, the broker or the fence refuse. It stays in hand
/// meanwhile, so nothing has to be sought back.
async fn apply(
    batch: &[Received],
    gate: &Gate,
    handler: &dyn Handler,
    dead: &mut DeadLetters<'_>,
) -> Result<(), NotOwner> {
    let mut wait = SHORTEST_WAIT;
    loop {
        match batch::apply(batch, gate, handler, dead).await {
            Ok(()) => return Ok(()),
            Err(Interruption::NotOwner) => return Err(NotOwner),
            Err(Interruption::Fenced) => tracing::info!("the fence refused a batch, which waits"),
            Err(Interruption::Database(error)) => {
                tracing::warn!(%error, "failed to apply a batch, which waits");
            }
            Err(Interruption::Broker(error)) => {
                tracing::warn!(%error, "failed to write a dead letter, the batch waits");
            }
            Err(Interruption::Letters(error)) => tracing::warn!(%error, "a batch waits"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
