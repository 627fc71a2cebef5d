//! From flags to what is sent.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use ficus_load::{Call, Plan, Protocol, Wanted};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::{net::TcpStream, time::timeout};

use super::reflect;
use crate::cli::LoadCommand;

const PATIENCE: Duration = Duration::from_secs(5);

/// Fails if nothing listens there, or a gRPC method is not known.
pub(super) async fn make(command: &LoadCommand) -> anyhow::Result<Plan> {
    ensure!(
        command.warm_up < command.length,
        "the warm-up of {:?} leaves nothing of {:?}; give --for more or --warm-up less",
        command.warm_up,
        command.length
    );
    let address = command.target.address();
    let reached = timeout(PATIENCE, TcpStream::connect(&address)).await;
    let reached = reached
        .map_err(|_| anyhow!("no answer within {PATIENCE:?}"))
        .and_then(|reached| Ok(reached?));
    reached.with_context(|| format!("nothing listens at {address}; start the target first"))?;
    Ok(Plan {
        target: command.target.clone(),
        call: call(command).await?,
        shape: command.rate.clone(),
        spacing: command.spacing.into(),
        length: command.length,
        warm_up: command.warm_up,
        seed: command.seed,
        threads: command.threads.unwrap_or_else(processors),
        connections: command.connections,
        in_flight: command.in_flight,
        timeout: command.timeout,
        traced: command.traced / 100.0,
    })
}

async fn call(command: &LoadCommand) -> anyhow::Result<Call> {
    let (target, headers) = (&command.target, headers(&command.header)?);
    let body = command.body.as_deref().map(body).transpose()?;
    if target.protocol == Protocol::Grpc {
        ensure!(
            command.method.is_none() && command.expect.is_empty(),
            "--method and --expect are for http:// targets; a gRPC call is right if it ends with OK"
        );
        let message = reflect::message(target, body.as_deref().unwrap_or(b"{}")).await?;
        return Ok(Call::grpc(target, headers, &message));
    }
    let method = match (&command.method, &body) {
        (Some(method), _) => method.clone(),
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let wanted = if command.expect.is_empty() {
        Wanted::Success
    } else {
        Wanted::Status(command.expect.clone())
    };
    let mut headers = headers;
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    if body.is_some() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    Ok(Call::http(target, method, headers, body.unwrap_or_default(), wanted))
}

fn headers(given: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in given {
        let (name, value) = header
            .split_once(':')
            .with_context(|| format!("\"{header}\" is no header; say --header 'Name: value'"))?;
        let name: HeaderName =
            name.trim().parse().with_context(|| format!("\"{name}\" is no name of a header"))?;
        let value = HeaderValue::from_str(value.trim());
        headers.append(name, value.with_context(|| format!("\"{header}\" cannot be sent"))?);
    }
    Ok(headers)
}

/// The text itself, or after an @ what the file holds.
fn body(text: &str) -> anyhow::Result<Bytes> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned().into()) };
    if file.is_empty() {
        bail!("--body @ names no file");
    }
    let read = std::fs::read(Path::new(file));
    Ok(read.with_context(|| format!("failed to read {file}"))?.into())
}

fn processors() -> u32 {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(there).unwrap_or(1)
}
