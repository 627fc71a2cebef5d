//! The move of notifications, commanded as the command line does.

use std::time::{Duration, Instant};

use ficus_control_api::control::v1::{
    CreateRequest, Outcome, SwitchRequest, VerbRequest, moves_client::MovesClient,
};
use tonic::transport::Channel;
use trellis_testkit::wait_until;

use crate::stack::{PATIENCE, Stack};

const CAPABILITY: &str = "notifications";

impl Stack {
    /// The move is created, prepared, copied and compared.
    pub async fn copied(&self) {
        let mut moves = self.moves().await;
        let create = CreateRequest { capability: CAPABILITY.to_owned(), dry_run: false };
        done(&moves.create(create).await.unwrap().into_inner());
        done(&moves.prepare(verb()).await.unwrap().into_inner());
        done(&moves.start(verb()).await.unwrap().into_inner());
        self.compared().await;
    }

    /// Both sides were compared whole; a switch asks for it.
    pub async fn compared(&self) {
        done(&self.moves().await.vdiff(verb()).await.unwrap().into_inner());
    }

    /// Makes the service the owner, or the monolith.
    pub async fn switch(&self, forward: bool) {
        self.compared().await;
        let outcome = switch(self.moves().await, forward).await;
        done(&outcome);
    }

    /// A client of the controller once it leads.
    pub async fn moves(&self) -> MovesClient<Channel> {
        let mut found = None;
        wait_until("the controller leads", PATIENCE, async || {
            let Ok(mut moves) = MovesClient::connect(self.controller()).await else { return false };
            let leads = moves.status(ficus_control_api::control::v1::StatusRequest::default());
            let leads = leads.await.is_ok();
            found = Some(moves);
            leads
        })
        .await;
        found.unwrap()
    }
}

/// Asks for a switch and waits for what became of it. One that is refused because the stream or the relay is behind, as they
/// may be on a machine that is busy, is asked for again.
pub async fn switch(mut moves: MovesClient<Channel>, forward: bool) -> Outcome {
    let begun = Instant::now();
    loop {
        let request = SwitchRequest { capability: CAPABILITY.to_owned(), dry_run: false, tries: 5 };
        let answer = if forward {
            moves.switch_traffic(request).await
        } else {
            moves.reverse_traffic(request).await
        };
        let outcome = answer.unwrap().into_inner();
        let behind = outcome.refusals.iter().any(|line| line.contains(" ms behind"));
        if !behind || begun.elapsed() > PATIENCE {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub fn done(outcome: &Outcome) {
    assert!(outcome.done, "refused: {outcome:#?}");
}

fn verb() -> VerbRequest {
    VerbRequest { capability: CAPABILITY.to_owned(), dry_run: false }
}
