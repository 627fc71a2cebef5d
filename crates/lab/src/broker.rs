//! A broker by itself, for a test that kills it.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::servers::Kafka;

/// What `lab broker` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// What it keeps; made the first time
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    controller_port: u16,
}

/// This process becomes the broker.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { folder, port, controller_port } = arguments;
    let kafka = Kafka::find().await?;
    if !folder.exists() {
        kafka.create(&folder, port, controller_port).await?;
    }
    let mut server = kafka.server(&folder).command(&folder.join("kafka.log"))?;
    Err(server.as_std_mut().exec()).context("failed to run java")
}
