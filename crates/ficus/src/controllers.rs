//! The controllers of `ficus.toml`, of which one leads.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use ficus_control_api::control::v1::moves_client::MovesClient;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::cause::root;

/// A lease lasts 1.5 s, so a leader is found long before.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_millis(200);
/// A controller that stopped is given up after this; one that works on a verb answers pings meanwhile.
const SILENCE: Duration = Duration::from_secs(3);
const LEADER: &str = "ficus-leader";

/// Where they are.
#[derive(Debug)]
pub struct Controllers {
    endpoints: Vec<Endpoint>,
    /// Which one to ask first: not the one that failed last.
    next: AtomicUsize,
}

/// Why a call has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The controller went away in the middle: whether it did what it was told is not known.
    CutOff(String),
    Failed(anyhow::Error),
}

impl Controllers {
    pub fn new(addresses: &[String]) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !addresses.is_empty(),
            "ficus.toml names no controllers; add them under [control]"
        );
        let endpoints =
            addresses.iter().map(|address| endpoint(address)).collect::<anyhow::Result<_>>()?;
        Ok(Self { endpoints, next: AtomicUsize::new(0) })
    }

    /// Calls the one that leads. What never reached a leader is tried again, at every controller in turn.
    pub async fn call<T, F>(
        &self,
        mut call: impl FnMut(MovesClient<Channel>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let start = Instant::now();
        let mut leader: Option<Endpoint> = None;
        let mut last = String::new();
        while start.elapsed() < PATIENCE {
            let endpoint = leader.take().unwrap_or_else(|| self.next());
            match endpoint.connect().await {
                Ok(channel) => match call(MovesClient::new(channel)).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) if never_led(&status) => {
                        leader = named(&status);
                        self.pass_over();
                        status.message().clone_into(&mut last);
                    }
                    Err(status) if cut_off(&status) => {
                        self.pass_over();
                        return Err(Failure::CutOff(status.message().to_owned()));
                    }
                    Err(status) => return Err(Failure::Failed(told(&status))),
                },
                Err(error) => {
                    last = format!("{} {}", endpoint.uri(), root(&error));
                    self.pass_over();
                }
            }
            tokio::time::sleep(BETWEEN).await;
        }
        Err(Failure::Failed(anyhow::anyhow!(
            "no controller of {} leads ({last}); see that they run and reach the control database",
            self.addresses().join(", ")
        )))
    }

    fn addresses(&self) -> Vec<String> {
        self.endpoints.iter().map(|endpoint| endpoint.uri().to_string()).collect()
    }

    fn next(&self) -> Endpoint {
        self.endpoints[self.next.load(Ordering::Relaxed) % self.endpoints.len()].clone()
    }

    fn pass_over(&self) {
        self.next.fetch_add(1, Ordering::Relaxed);
    }
}

fn endpoint(address: &str) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_shared(address.to_owned()).with_context(|| {
        format!("\"{address}\" is no address of a controller; say http://host:port")
    })?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(1))
        .http2_keep_alive_interval(SILENCE)
        .keep_alive_timeout(SILENCE)
        .keep_alive_while_idle(true))
}

/// The answer of one that does not lead; it has done nothing.
fn never_led(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && (status.metadata().contains_key(LEADER)
            || status.message() == "another controller leads")
}

fn named(status: &Status) -> Option<Endpoint> {
    let address = status.metadata().get(LEADER)?.to_str().ok()?;
    endpoint(address).ok()
}

/// The connection ended, or the controller lost the move while it worked.
fn cut_off(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
}

fn told(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}

impl From<Failure> for anyhow::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::CutOff(error) => {
                anyhow::anyhow!("the controller went away: {error}; try again")
            }
            Failure::Failed(error) => error,
        }
    }
}
