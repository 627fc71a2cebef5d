//! From flags, and a scenario if one is named, to what is sent.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use ficus_load::{Body, Call, Offer, Plan, Protocol, Schedule, Shape, Slo, Target};
use ficus_process::Clock;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::{
    capacity,
    filled::Filled,
    inside::Inside,
    openapi, recorded,
    reflect::Reflection,
    scenario::{self, Scenario},
    template::{NUMBER, Names, fill},
    users,
};
use crate::cli::{Aim, LoadCommand, Spacing};

const PATIENCE: Duration = Duration::from_secs(5);
/// Requests a second unless somebody says otherwise.
const RATE: f64 = 100.0;

/// Of a run, unless somebody says otherwise.
const LENGTH: Duration = Duration::from_secs(30);

/// A run, ready to begin.
pub(super) struct Made {
    pub plan: Plan,
    pub slo: Option<Slo>,
    /// Where programs serve metrics, by their names.
    pub metrics: BTreeMap<String, String>,
    /// Tells a service who asks, as long as it is kept.
    pub _inside: Option<Inside>,
}

/// Fails if nothing listens there, if a gRPC method is not known, or if users cannot be set up.
pub(super) async fn make(command: &LoadCommand, aim: &Aim, folder: &Path) -> anyhow::Result<Made> {
    let recorded = command.replay.as_deref().map(recorded::read).transpose()?;
    let length = length(command, recorded.as_deref());
    ensure!(
        command.warm_up < length,
        "the warm-up of {:?} leaves nothing of {length:?}; give --for more or --warm-up less",
        command.warm_up
    );
    let (name, scenario) = match aim {
        Aim::Url(target) => (target.to_string(), of_flags(command, target).await?),
        Aim::Scenario(name) => {
            let found = scenario::find(name, folder)?;
            (found.name, Scenario::read(&found.path)?)
        }
        Aim::File(path) => (path.display().to_string(), Scenario::read(path)?),
    };
    if !matches!(aim, Aim::Url(_)) {
        ensure!(
            command.body.is_none()
                && command.method.is_none()
                && command.header.is_empty()
                && command.expect.is_empty()
                && command.operation.is_none(),
            "--body, --method, --header, --expect and --operation go with a URL; what a scenario sends is in its file"
        );
    }
    let scenario = Arc::new(scenario);
    let rate = |text: &String| text.parse::<Shape>().map_err(|error| anyhow!(error));
    let of_file = scenario.run.rate.as_ref().map(rate).transpose()?;
    let slo = |text: &String| text.parse::<Slo>().map_err(|error| anyhow!(error));
    let slo = command.slo.clone().or(scenario.run.slo.as_ref().map(slo).transpose()?);
    ensure!(
        slo.is_some() || !command.find_capacity,
        "--find-capacity needs what must hold; say --slo 'p99<100ms,errors<1%'"
    );
    let common = common(command, &scenario)?;
    reach(&scenario, &common).await?;
    let count = command.users.unwrap_or(scenario.users.count);
    let mut users = users::set_up(&scenario, &common, count).await?;
    let inside = match &scenario.users.inside {
        Some(inside) => Some(Inside::open(inside, &mut users, lifetime(command, length)).await?),
        None => None,
    };
    let mut reflection = Reflection::default();
    let mut offers = Vec::new();
    for call in &scenario.call {
        let offer = offer(call, &common, &users, &mut reflection).await;
        offers.push(offer.with_context(|| format!("{name}: call {}", call.name))?);
    }
    let spacing = command.spacing.or(scenario.run.spacing).unwrap_or(Spacing::Even).into();
    let shape = command.rate.clone().or(of_file).unwrap_or_else(|| Shape::constant(RATE));
    let mut metrics = BTreeMap::new();
    // Only the page shows them.
    if command.report.is_some() {
        metrics = filled(&scenario.metrics, &common)?;
        metrics.extend(command.metrics.iter().cloned());
    }
    Ok(Made {
        plan: Plan {
            name,
            offers,
            schedule: match recorded {
                Some(all) => Schedule::Recorded(all.into()),
                None => Schedule::Rate { shape, spacing },
            },
            length,
            warm_up: command.warm_up,
            seed: command.seed,
            threads: command.threads.unwrap_or_else(processors),
            connections: command.connections,
            in_flight: command.in_flight,
            timeout: command.timeout,
            traced: command.traced / 100.0,
            traces: traces(),
            first_number: 0,
        },
        slo,
        metrics,
        _inside: inside,
    })
}

/// As asked for, else as long as what is replayed.
fn length(command: &LoadCommand, recorded: Option<&[Duration]>) -> Duration {
    let last = recorded.and_then(<[_]>::last);
    let whole = last.map(|last| *last + Duration::from_millis(1));
    command.length.or(whole).unwrap_or(LENGTH)
}

/// Of all runs together.
fn lifetime(command: &LoadCommand, length: Duration) -> Duration {
    if command.find_capacity { length * capacity::RUNS } else { length }
}

/// The scenario that flags make of one call.
async fn of_flags(command: &LoadCommand, target: &Target) -> anyhow::Result<Scenario> {
    ensure!(
        command.set.is_empty() && command.users.is_none(),
        "--set and --users go with a scenario, not with a URL"
    );
    let mut header = BTreeMap::new();
    for given in &command.header {
        let (name, value) = given
            .split_once(':')
            .with_context(|| format!("\"{given}\" is no header; say --header 'Name: value'"))?;
        header.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    let body = command.body.as_deref().map(body).transpose()?;
    let (url, method) = match &command.operation {
        Some(operation) => {
            let (url, method) = openapi::find(target, operation, &command.param).await?;
            (url, Some(method))
        }
        None => (target.to_string(), command.method.as_ref().map(ToString::to_string)),
    };
    let mut scenario = Scenario::default();
    scenario.call.push(scenario::Request {
        name: "call".to_owned(),
        weight: 1.0,
        url,
        method,
        header,
        body: body.map(Value::String),
        expect: command.expect.iter().map(http::StatusCode::as_u16).collect(),
        keep: BTreeMap::new(),
    });
    Ok(scenario)
}

/// What names stand for that all users share.
fn common(command: &LoadCommand, scenario: &Scenario) -> anyhow::Result<Names> {
    let mut names = Names::new();
    let run = Clock::system().now().timestamp_millis();
    names.insert("run".to_owned(), run.to_string());
    names.extend(scenario.set.clone());
    for (name, value) in &command.set {
        ensure!(
            scenario.set.contains_key(name),
            "the scenario has no {name} to set; it has {}",
            scenario.set.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        );
        names.insert(name.clone(), value.clone());
    }
    Ok(names)
}

/// Each address is tried once, before anything is sent. Addresses are the same for all users.
async fn reach(scenario: &Scenario, common: &Names) -> anyhow::Result<()> {
    let mut tried = Vec::new();
    for request in scenario.users.setup.iter().chain(&scenario.call) {
        let end = request.url.find("://").map_or(0, |at| at + 3);
        let end = request.url[end..].find('/').map_or(request.url.len(), |at| at + end);
        let url = fill(&request.url[..end], common)?;
        // A gRPC target must have a method; any will do to learn the address.
        let target: Target = format!("{url}/any/path").parse().map_err(|e: String| anyhow!(e))?;
        let address = target.address();
        if tried.contains(&address) {
            continue;
        }
        let reached = timeout(PATIENCE, TcpStream::connect(&address)).await;
        let reached = reached
            .map_err(|_| anyhow!("no answer within {PATIENCE:?}"))
            .and_then(|reached| Ok(reached?));
        reached.with_context(|| format!("nothing listens at {address}; start the target first"))?;
        tried.push(address);
    }
    Ok(())
}

/// One call for all, or one for each user where it has something of the user's own.
async fn offer(
    request: &scenario::Request,
    common: &Names,
    users: &[Names],
    reflection: &mut Reflection,
) -> anyhow::Result<Offer> {
    let everybody = std::slice::from_ref(common);
    let users = if Filled::call(request, common).is_ok() { everybody } else { users };
    let mut calls: Vec<Call> = Vec::new();
    let mut address = String::new();
    for names in users {
        let filled = Filled::call(request, names)?;
        address = filled.target.address();
        let (shared, own) = split(request, &filled.headers);
        let mut call = match filled.target.protocol {
            Protocol::Http => {
                let headers = Call::http_headers(&filled.target, shared);
                let body = Body::new(filled.body.unwrap_or_default(), NUMBER);
                Call::http(&filled.target, filled.method, Arc::new(headers), body, filled.wanted)
            }
            Protocol::Grpc => {
                let body = filled.body.unwrap_or_else(|| Bytes::from_static(b"{}"));
                let message = reflection.message(&filled.target, &body).await?;
                let headers = Arc::new(Call::grpc_headers(shared));
                Call::grpc(&filled.target, headers, &message)
            }
        };
        if let Some(first) = calls.first().filter(|first| first.headers == call.headers) {
            call.headers = first.headers.clone();
        }
        call.own = own;
        calls.push(call);
    }
    Ok(Offer { name: request.name.clone(), weight: request.weight, address, calls })
}

/// Headers that have a name in them may be a user's own.
fn split(
    request: &scenario::Request,
    headers: &HeaderMap,
) -> (HeaderMap, Box<[(HeaderName, HeaderValue)]>) {
    let named = |name: &HeaderName| {
        let given =
            request.header.iter().find(|(given, _)| given.eq_ignore_ascii_case(name.as_str()));
        given.is_some_and(|(_, value)| value.contains("${"))
    };
    let mut shared = HeaderMap::new();
    let mut own = Vec::new();
    for (name, value) in headers {
        if named(name) {
            own.push((name.clone(), value.clone()));
        } else {
            shared.append(name.clone(), value.clone());
        }
    }
    (shared, own.into())
}

fn filled(
    urls: &BTreeMap<String, String>,
    common: &Names,
) -> anyhow::Result<BTreeMap<String, String>> {
    urls.iter().map(|(name, url)| Ok((name.clone(), fill(url, common)?))).collect()
}

/// The text itself, or after an @ what the file holds.
fn body(text: &str) -> anyhow::Result<String> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    if file.is_empty() {
        bail!("--body @ names no file");
    }
    let read = std::fs::read_to_string(Path::new(file));
    read.with_context(|| format!("failed to read {file}"))
}

/// Another one each time.
pub(super) fn traces() -> u64 {
    u64::from_le_bytes(ficus_process::random::bytes())
}

fn processors() -> u32 {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(there).unwrap_or(1)
}
