//! From the command line to what it does.

use std::process::ExitCode;

use ficus_control_api::subject::Subject;

use crate::{
    cli::{Cli, Command, MoveCommand},
    controllers::Controllers,
    dlq, load, moves, traces,
};

/// Does what was asked.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Move(command) => {
            let subject = Subject::read(&cli.config).map_err(|error| anyhow::anyhow!("{error}"))?;
            let controllers = Controllers::new(&subject.control.controllers)?;
            on_move(&controllers, command, cli.json).await
        }
        Command::Dlq(command) => dlq::run(command, cli.json).await,
        Command::Trace(command) => traces::run(command, cli.json).await,
        Command::Load(command) => load::run(*command, &cli.config, cli.json).await,
    }
}

async fn on_move(
    controllers: &Controllers,
    command: MoveCommand,
    json: bool,
) -> anyhow::Result<ExitCode> {
    match command.verb {
        Some(verb) => moves::run(controllers, &command.capability, verb, json).await,
        None if command.capability == "list" => moves::list(controllers, json).await,
        None => anyhow::bail!(
            "what is to be done with the move of {}? `ficus move {0} status` shows it, `ficus move --help` \
             names the verbs",
            command.capability
        ),
    }
}
