//! From flags, and a scenario if one is named, to what is sent.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use ficus_load::{
    Body, Call, Check, DialError, Dialer, Kind, Offer, Plan, Protocol, Schedule, Server, Shape,
    Slo, Target, Wanted,
};
use ficus_process::Clock;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    capacity,
    check::{Form, check},
    filled::Filled,
    inside::Inside,
    openapi::{self, Answers},
    recorded,
    reflect::{self, Reflection},
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
/// What is recorded is no longer unless somebody says that it is meant.
const DAY: Duration = Duration::from_hours(24);

/// A run, ready to begin.
pub(super) struct Made {
    pub plan: Plan,
    pub slo: Option<Slo>,
    /// Where programs serve metrics, by their names.
    pub metrics: BTreeMap<String, String>,
    /// Tells a service who asks, as long as it is kept.
    pub _inside: Option<Inside>,
}

/// What is sent, before its names are filled in.
struct Asked {
    name: String,
    /// If it is a scenario's that was written down; errors tell it.
    file: Option<PathBuf>,
    scenario: Scenario,
    /// Of an operation.
    answers: Option<Arc<Answers>>,
}

/// Fails if nothing listens there, if a gRPC method is not known, or if users cannot be set up.
pub(super) async fn make(command: &LoadCommand, aim: &Aim, folder: &Path) -> anyhow::Result<Made> {
    let dialer = dialer(command)?;
    let asked = asked(command, aim, folder, &dialer).await?;
    let file = asked.file.clone();
    let made = made(command, asked, dialer).await;
    match file {
        Some(file) => made.with_context(|| file.display().to_string()),
        None => made,
    }
}

async fn made(command: &LoadCommand, asked: Asked, dialer: Dialer) -> anyhow::Result<Made> {
    let Asked { name, scenario, answers, file } = asked;
    let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let scenario = Arc::new(scenario);
    let recorded = match (&command.replay, &scenario.run.replay) {
        (Some(path), _) => Some(recorded::read(path)?),
        (None, Some(path)) if command.rate.is_none() && !command.find_capacity => {
            Some(recorded::read(&folder.join(path))?)
        }
        _ => None,
    };
    ensure!(
        recorded.is_none() || command.spacing.is_none(),
        "--spacing is for a rate; the scenario sends when its record says, unless you give --rate"
    );
    let length = length(command, recorded.as_deref())?;
    ensure!(
        command.warm_up < length,
        "the warm-up of {:?} leaves nothing of {length:?}; give --for more or --warm-up less",
        command.warm_up
    );
    let of_file = parsed(scenario.run.rate.as_deref(), "rate of [run]")?;
    let slo = command.slo.clone().or(parsed(scenario.run.slo.as_deref(), "slo of [run]")?);
    ensure!(
        slo.is_some() || !command.find_capacity,
        "--find-capacity needs what must hold; say --slo 'p99<100ms,errors<1%'"
    );
    ensure!(
        !command.find_capacity
            || command.rate.as_ref().is_none_or(|rate| rate.constant_rate().is_some()),
        "--find-capacity tries one constant rate after the other; say the first one, as --rate 100"
    );
    let common = common(command, &scenario)?;
    reach(&scenario, &common, &dialer).await?;
    let count = command.users.unwrap_or(scenario.users.count);
    let mut users = users::set_up(&scenario, &common, count, &dialer).await?;
    let inside = match &scenario.users.inside {
        Some(inside) => Some(Inside::open(inside, &mut users, lifetime(command, length)).await?),
        None => None,
    };
    let mut reflection = Reflection::new(&dialer);
    let (mut offers, mut kept) = (Vec::new(), Kept::default());
    for call in &scenario.call {
        let offer =
            offer(call, &common, &users, answers.as_ref(), &mut reflection, &mut kept).await;
        offers.push(of_call(offer, &call.name)?);
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
            share: command.share,
            dialer,
        },
        slo,
        metrics,
        _inside: inside,
    })
}

fn dialer(command: &LoadCommand) -> anyhow::Result<Dialer> {
    let Some(path) = &command.ca else { return Dialer::new(None).map_err(|error| anyhow!(error)) };
    let read = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let dialer = Dialer::new(Some(&read)).map_err(|error| anyhow!(error));
    dialer.with_context(|| format!("{} holds no certificates in PEM", path.display()))
}

async fn asked(
    command: &LoadCommand,
    aim: &Aim,
    folder: &Path,
    dialer: &Dialer,
) -> anyhow::Result<Asked> {
    let (name, path) = match aim {
        Aim::Url(target) => return of_flags(command, target, dialer).await,
        Aim::Scenario(name) => {
            let found = scenario::find(name, folder)?;
            (found.name, found.path)
        }
        Aim::File(path) => (path.display().to_string(), path.clone()),
    };
    ensure!(
        command.body.is_none()
            && command.method.is_none()
            && command.header.is_empty()
            && command.expect.is_empty()
            && command.check.is_empty()
            && command.operation.is_none(),
        "--body, --method, --header, --expect, --check and --operation go with a URL; what a scenario sends is in its \
         file"
    );
    let scenario = Scenario::read(&path)?;
    Ok(Asked { name, file: Some(path), scenario, answers: None })
}

/// What a scenario has as a text, and how that is called.
fn parsed<T: FromStr<Err = String>>(text: Option<&str>, called: &str) -> anyhow::Result<Option<T>> {
    let parse = |text: &str| text.parse().map_err(|error| anyhow!("{called}: {error}"));
    text.map(parse).transpose()
}

/// Of a scenario's call errors tell which one it is; of a URL there is but one.
fn of_call<T>(result: anyhow::Result<T>, call: &str) -> anyhow::Result<T> {
    if call.is_empty() { result } else { result.with_context(|| format!("call {call}")) }
}

/// As asked for, else as long as what is replayed.
fn length(command: &LoadCommand, recorded: Option<&[Duration]>) -> anyhow::Result<Duration> {
    if let Some(length) = command.length {
        return Ok(length);
    }
    let Some(last) = recorded.and_then(<[_]>::last) else { return Ok(LENGTH) };
    ensure!(
        *last < DAY,
        "the first and the last request of the record lie {:.1} days apart; say --for, and as much of it is replayed",
        last.as_secs_f64() / DAY.as_secs_f64()
    );
    Ok(*last + Duration::from_millis(1))
}

/// Of all runs together.
fn lifetime(command: &LoadCommand, length: Duration) -> Duration {
    if command.find_capacity { length * capacity::RUNS } else { length }
}

/// The scenario that flags make of one call.
async fn of_flags(
    command: &LoadCommand,
    target: &Target,
    dialer: &Dialer,
) -> anyhow::Result<Asked> {
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
    let mut name = target.to_string();
    let (url, method, answers) = match &command.operation {
        Some(operation) => {
            name = format!("{}://{} {operation}", target.scheme(), target.authority);
            let look = command.check.iter().any(|check| check == "schema");
            let found = openapi::find(target, operation, &command.param, look, dialer).await?;
            (found.url, Some(found.method), found.answers)
        }
        None => (target.to_string(), command.method.as_ref().map(ToString::to_string), None),
    };
    let mut scenario = Scenario::default();
    scenario.call.push(scenario::Request {
        name: String::new(),
        weight: 1.0,
        url,
        method,
        header,
        body: body.map(Value::String),
        expect: command.expect.iter().map(http::StatusCode::as_u16).collect(),
        check: command.check.clone(),
        keep: BTreeMap::new(),
    });
    Ok(Asked { name, file: None, scenario, answers })
}

/// What names stand for that all users share.
fn common(command: &LoadCommand, scenario: &Scenario) -> anyhow::Result<Names> {
    let mut names = Names::new();
    // Testers that begin together have another one too.
    let random = u16::from_le_bytes(ficus_process::random::bytes());
    let run = format!("{}{random:05}", Clock::system().now().timestamp_millis());
    names.insert("run".to_owned(), run);
    names.extend(scenario.set.clone());
    for (name, value) in &command.set {
        ensure!(
            scenario.set.contains_key(name),
            "the scenario has no {name} to set; its [set] has {}",
            match scenario.set.len() {
                0 => "nothing".to_owned(),
                _ => scenario.set.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            }
        );
        names.insert(name.clone(), value.clone());
    }
    Ok(names)
}

/// Each server is tried once, before anything is sent. Servers are the same for all users.
async fn reach(scenario: &Scenario, common: &Names, dialer: &Dialer) -> anyhow::Result<()> {
    let mut tried = Vec::new();
    let setup = scenario.users.setup.iter().map(|setup| ("of users.setup", &setup.url));
    let calls = scenario.call.iter().map(|call| (call.name.as_str(), &call.url));
    for (name, written) in setup.chain(calls) {
        // What follows may be each user's own.
        let end = written.find("://").map_or(0, |at| at + 3);
        let end = written[end..].find(['/', '?']).map_or(written.len(), |at| at + end);
        let server = fill(&written[..end], common)
            .and_then(|url| Target::server_of(&url).map_err(|error| anyhow!(error)));
        let (server, protocol) = of_call(server, name)?;
        if !tried.contains(&(server.clone(), protocol)) {
            try_out(&server, protocol, dialer).await?;
            tried.push((server, protocol));
        }
    }
    Ok(())
}

async fn try_out(server: &Server, protocol: Protocol, dialer: &Dialer) -> anyhow::Result<()> {
    let tried = timeout(PATIENCE, dialer.try_out(server, protocol)).await;
    let Ok(tried) = tried else {
        bail!("{server} did not answer within {PATIENCE:?}; is it the right address?");
    };
    tried.map_err(|error| {
        let next = match &error {
            DialError::Lookup(_) => {
                format!("no host {} is known; is it the right name?", server.name())
            }
            DialError::Connect(refused) if refused.kind() == ErrorKind::ConnectionRefused => {
                format!("nothing listens at {server}; start the target first")
            }
            DialError::Connect(_) => format!("failed to reach {server}"),
            DialError::Certificate(_) => format!(
                "TLS with {server} failed; --ca FILE says whose certificates are to be believed"
            ),
            DialError::NoTls(_) => {
                format!("{server} does not speak TLS; http:// and grpc:// do without")
            }
            DialError::Tls(_) => {
                format!(
                    "TLS with {server} failed; http:// and grpc:// do without, if it speaks none"
                )
            }
            DialError::Name(_) => format!("TLS with {server} failed"),
            DialError::NoHttp2 | DialError::Other(_) => {
                format!("{server} cannot be called by gRPC")
            }
        };
        anyhow::Error::new(error).context(next)
    })
}

/// One call for all, or one for each user where it has something of the user's own.
async fn offer(
    request: &scenario::Request,
    common: &Names,
    users: &[Names],
    answers: Option<&Arc<Answers>>,
    reflection: &mut Reflection,
    kept: &mut Kept,
) -> anyhow::Result<Offer> {
    let everybody = std::slice::from_ref(common);
    let users = if Filled::call(request, common).is_ok() { everybody } else { users };
    let mut calls: Vec<Call> = Vec::with_capacity(users.len());
    let (mut server, mut first_checks) = (Server::default(), Vec::new());
    for (user, names) in users.iter().enumerate() {
        let filled = Filled::call(request, names)?;
        server = filled.target.server();
        let (target, (shared, own)) = (&filled.target, split(request, &filled.headers));
        let (mut kind, form, body) = match target.protocol {
            Protocol::Http => {
                let kind = Kind::http(target, filled.method, shared, filled.wanted);
                let body = Body::new(filled.body.unwrap_or_default(), NUMBER);
                (kind, Form::Http(answers.cloned()), body)
            }
            Protocol::Grpc => {
                let method = reflection.method(target).await?;
                let streams = method.is_server_streaming();
                let wanted = if streams { Wanted::GrpcStream } else { Wanted::GrpcOk };
                let body = filled.body.unwrap_or_else(|| Bytes::from_static(b"{}"));
                let body = Body::grpc(&reflect::encoded(&method, &body)?, NUMBER);
                let form = Form::Grpc { kind: method.output(), streams };
                (Kind::grpc(target, shared, wanted), form, body)
            }
        };
        let checks = request.check.iter().zip(&filled.check);
        let checks = checks.map(|(written, text)| check(written, text, &form));
        kind.checks = checks.collect::<anyhow::Result<Vec<Check>>>()?;
        let mut call = Call::new(kind, target, body);
        call.own = kept.own(user, own);
        match calls.first() {
            Some(first) => share(&mut call, first, filled.check == first_checks),
            None => first_checks = filled.check,
        }
        calls.push(call);
    }
    Ok(Offer { name: request.name.clone(), weight: request.weight, server, calls })
}

/// Keeps once what is the same for both: there may be a call for each of ten thousand users.
fn share(call: &mut Call, first: &Call, same_checks: bool) {
    let same =
        call.kind.headers == first.kind.headers && call.kind.authority == first.kind.authority;
    if same && same_checks {
        call.kind = first.kind.clone();
    }
    if call.body == first.body {
        call.body = first.body.clone();
    }
    if call.path == first.path {
        call.path = first.path.clone();
    }
}

/// Headers of each user, which are the same in most calls.
#[derive(Default)]
struct Kept(Vec<Arc<[Header]>>);

type Header = (HeaderName, HeaderValue);

impl Kept {
    fn own(&mut self, user: usize, own: Box<[Header]>) -> Arc<[Header]> {
        match self.0.get(user) {
            Some(kept) if **kept == *own => kept.clone(),
            Some(_) => own.into(),
            None => {
                let own: Arc<[Header]> = own.into();
                self.0.push(own.clone());
                own
            }
        }
    }
}

/// Headers that have a name in them may be a user's own.
fn split(request: &scenario::Request, headers: &HeaderMap) -> (HeaderMap, Box<[Header]>) {
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
