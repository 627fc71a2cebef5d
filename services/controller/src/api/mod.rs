//! `ficus.control.v1.Moves`: wire to domain in the first line, domain to wire in the last.

mod status;
mod wire;

use std::{sync::Arc, time::Duration};

use ficus_control_api::control::v1::{
    CompleteRequest, CreateRequest, DoctorResponse, Outcome, StatusRequest, StatusResponse,
    SwitchRequest, VerbRequest, moves_server::Moves,
};
use tonic::{Request, Response, Status};

use crate::{domain::Verb, hand::Options, leader::Leader};

type Answer<T> = Result<Response<T>, Status>;

/// The service.
#[derive(Clone)]
pub struct Api {
    leader: Arc<Leader>,
}

impl Api {
    pub(crate) fn new(leader: Arc<Leader>) -> Self {
        Self { leader }
    }

    async fn verb(&self, capability: &str, verb: Verb, options: Options) -> Answer<Outcome> {
        let outcome = self.leader.command(capability, verb, options).await;
        outcome.map(|outcome| Response::new(wire::outcome(outcome))).map_err(wire::refused)
    }

    async fn plain(&self, request: Request<VerbRequest>, verb: Verb) -> Answer<Outcome> {
        let VerbRequest { capability, dry_run } = request.into_inner();
        self.verb(&capability, verb, Options { dry_run, ..Options::default() }).await
    }

    async fn switch(&self, request: Request<SwitchRequest>, verb: Verb) -> Answer<Outcome> {
        let SwitchRequest { capability, dry_run, tries } = request.into_inner();
        let tries = if tries == 0 { Options::default().tries } else { tries };
        self.verb(&capability, verb, Options { dry_run, tries, ..Options::default() }).await
    }
}

#[tonic::async_trait]
impl Moves for Api {
    async fn create(&self, request: Request<CreateRequest>) -> Answer<Outcome> {
        let CreateRequest { capability, dry_run } = request.into_inner();
        let outcome = self.leader.create(&capability, dry_run).await.map_err(wire::refused)?;
        Ok(Response::new(wire::outcome(outcome)))
    }

    async fn prepare(&self, request: Request<VerbRequest>) -> Answer<Outcome> {
        self.plain(request, Verb::Prepare).await
    }

    async fn start(&self, request: Request<VerbRequest>) -> Answer<Outcome> {
        self.plain(request, Verb::Start).await
    }

    async fn stop(&self, request: Request<VerbRequest>) -> Answer<Outcome> {
        self.plain(request, Verb::Stop).await
    }

    async fn vdiff(&self, request: Request<VerbRequest>) -> Answer<Outcome> {
        self.plain(request, Verb::Vdiff).await
    }

    async fn switch_traffic(&self, request: Request<SwitchRequest>) -> Answer<Outcome> {
        self.switch(request, Verb::SwitchTraffic).await
    }

    async fn reverse_traffic(&self, request: Request<SwitchRequest>) -> Answer<Outcome> {
        self.switch(request, Verb::ReverseTraffic).await
    }

    async fn complete(&self, request: Request<CompleteRequest>) -> Answer<Outcome> {
        let CompleteRequest { capability, dry_run, soak_seconds } = request.into_inner();
        let soak = soak_seconds.map_or(Options::default().soak, |s| Duration::from_secs(s.into()));
        self.verb(&capability, Verb::Complete, Options { dry_run, soak, ..Options::default() })
            .await
    }

    async fn cancel(&self, request: Request<VerbRequest>) -> Answer<Outcome> {
        self.plain(request, Verb::Cancel).await
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let StatusRequest { capability, journal } = request.into_inner();
        let moves =
            status::moves(&self.leader, &capability, journal).await.map_err(wire::refused)?;
        Ok(Response::new(StatusResponse { moves }))
    }

    async fn doctor(&self, request: Request<VerbRequest>) -> Answer<DoctorResponse> {
        self.leader.leads().map_err(wire::refused)?;
        let capability = request.into_inner().capability;
        let found = self.leader.doctor(&capability).await.map_err(wire::refused)?;
        Ok(Response::new(DoctorResponse { findings: found.findings, checked: found.checked }))
    }
}
