//! A broker of one test's own: the programs' topics and groups have fixed names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ficus_events::dead_letters;
use tokio::process::Child;
use trellis_lab::servers::{Kafka, ports};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running Kafka, killed with this value.
pub struct Broker {
    pub address: String,
    _process: Child,
}

/// A message, as far as the order of messages goes.
#[derive(Debug, Clone)]
pub struct Message {
    pub event: String,
    pub key: String,
    pub version: i64,
}

impl Broker {
    pub async fn start(folder: &Path) -> Self {
        let [port, controller] = ports::free().unwrap();
        let data: PathBuf = folder.join("kafka");
        let kafka = Kafka::find().await.unwrap();
        kafka.create(&data, port, controller).await.unwrap();
        let mut command = kafka.server(&data).command(&folder.join("kafka.log")).unwrap();
        let process = command.kill_on_drop(true).spawn().unwrap();
        ports::opened(port, PATIENCE).await.unwrap();
        Self { address: format!("127.0.0.1:{port}"), _process: process }
    }

    /// Everything in a topic; messages of one key in the order in which every consumer reads them.
    pub async fn read(&self, topic: &str) -> Vec<Message> {
        let kafka = ficus_events::Kafka::from(self.address.as_str());
        let messages = dead_letters::list(&kafka, Some(topic), PATIENCE).await.unwrap();
        let read = |message: dead_letters::DeadLetter| Message {
            event: message.event_id,
            key: message.key,
            version: message.version.parse().unwrap(),
        };
        messages.into_iter().map(read).collect()
    }
}
