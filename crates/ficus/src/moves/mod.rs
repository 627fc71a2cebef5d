//! Verbs, and what is printed of them.

mod cut_off;
mod doctor;
mod journal;
mod outcome;
mod status;
mod table;
mod waiting;
mod watch;

use std::process::ExitCode;

use ficus_control_api::control::v1::{
    CompleteRequest, CreateRequest, Outcome, StatusRequest, SwitchRequest, VerbRequest,
    moves_client::MovesClient,
};
use tonic::{Response, Status, transport::Channel};

use crate::{
    cli::Verb,
    controllers::{Controllers, Failure},
    out,
};

pub use status::list;

type Answer = Result<Response<Outcome>, Status>;

/// Has the verb done and prints what came of it.
pub async fn run(
    controllers: &Controllers,
    capability: &str,
    verb: Verb,
    json: bool,
) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Status { watch: true, journal } => {
            watch::run(controllers, capability, journal, json).await
        }
        Verb::Status { journal, .. } => status::run(controllers, capability, journal, json).await,
        Verb::Doctor => doctor::run(controllers, capability, json).await,
        verb => {
            let outcome = obeyed(controllers, capability, &verb).await?;
            outcome::print(&outcome, json)
        }
    }
}

/// Survives a controller that dies in the middle.
async fn obeyed(
    controllers: &Controllers,
    capability: &str,
    verb: &Verb,
) -> anyhow::Result<Outcome> {
    loop {
        let work = controllers.call(|moves| command(moves, capability.to_owned(), verb.clone()));
        match waiting::telling(controllers, capability, work).await {
            Ok(outcome) => return Ok(outcome),
            Err(Failure::Failed(error)) => return Err(error),
            Err(Failure::CutOff(error)) => {
                out::warn(format_args!(
                    "the controller went away in the middle ({error}); asking the others"
                ));
                if let Some(outcome) = cut_off::find_out(controllers, capability, verb).await? {
                    return Ok(outcome);
                }
            }
        }
    }
}

async fn command(mut moves: MovesClient<Channel>, capability: String, verb: Verb) -> Answer {
    let plain = |dry_run| VerbRequest { capability: capability.clone(), dry_run };
    match verb {
        Verb::Create(dry) => moves.create(CreateRequest { capability, dry_run: dry.dry_run }).await,
        Verb::Prepare(dry) => moves.prepare(plain(dry.dry_run)).await,
        Verb::Start(dry) => moves.start(plain(dry.dry_run)).await,
        Verb::Stop(dry) => moves.stop(plain(dry.dry_run)).await,
        Verb::Vdiff(dry) => moves.vdiff(plain(dry.dry_run)).await,
        Verb::Cancel(dry) => moves.cancel(plain(dry.dry_run)).await,
        Verb::SwitchTraffic(switch) | Verb::ReverseTraffic(switch) => {
            let forward = matches!(verb, Verb::SwitchTraffic(_));
            let (dry_run, tries) = (switch.dry.dry_run, switch.tries);
            let request = SwitchRequest { capability, dry_run, tries };
            if forward {
                moves.switch_traffic(request).await
            } else {
                moves.reverse_traffic(request).await
            }
        }
        Verb::Complete { dry, soak } => {
            let soak_seconds = Some(u32::try_from(soak.as_secs()).unwrap_or(u32::MAX));
            let request = CompleteRequest { capability, dry_run: dry.dry_run, soak_seconds };
            moves.complete(request).await
        }
        Verb::Status { .. } | Verb::Doctor => {
            Err(Status::internal("status and doctor are no commands"))
        }
    }
}

/// The moves that status knows.
async fn moves(
    controllers: &Controllers,
    capability: &str,
    journal: u32,
) -> Result<Vec<ficus_control_api::control::v1::Move>, Failure> {
    let answer = controllers.call(|mut client| {
        let mut request =
            tonic::Request::new(StatusRequest { capability: capability.to_owned(), journal });
        request.set_timeout(std::time::Duration::from_secs(2));
        async move { client.status(request).await }
    });
    Ok(answer.await?.moves)
}
