//! A request of a scenario with what its names stand for.

use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use ficus_load::{Protocol, Target, Wanted};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    scenario::Request,
    template::{NUMBER, Names, fill, fill_json, with_number},
};

/// What is sent for one user.
#[derive(Debug)]
pub(super) struct Filled {
    pub target: Target,
    pub method: Method,
    pub headers: HeaderMap,
    /// May hold the mark of a number.
    pub body: Option<Bytes>,
    pub wanted: Wanted,
    pub check: Vec<String>,
}

impl Filled {
    /// A call's, whose body may have a place for a number. Fails at a name that stands for nothing, and at what cannot
    /// be sent.
    pub fn call(request: &Request, names: &Names) -> anyhow::Result<Self> {
        Self::new(request, names, &with_number(names))
    }

    /// A setup's, as [`Filled::call`], but that no number stands anywhere.
    pub fn setup(request: &Request, names: &Names) -> anyhow::Result<Self> {
        Self::new(request, names, names)
    }

    fn new(request: &Request, names: &Names, of_body: &Names) -> anyhow::Result<Self> {
        let target: Target =
            fill(&request.url, names)?.parse().map_err(|error: String| anyhow!(error))?;
        let body = request.body.as_ref().map(|body| text(body, of_body)).transpose()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.header {
            let name: HeaderName =
                name.parse().with_context(|| format!("\"{name}\" is no name of a header"))?;
            let value = fill(value, names)?;
            let sent = HeaderValue::from_str(&value);
            headers.append(name, sent.with_context(|| format!("\"{value}\" cannot be sent"))?);
        }
        let (method, wanted) = match target.protocol {
            Protocol::Grpc => {
                ensure!(
                    request.method.is_none() && request.expect.is_empty(),
                    "method and expect are for HTTP targets; a gRPC call is right if it ends with OK"
                );
                (Method::POST, Wanted::GrpcOk)
            }
            Protocol::Http => (method(request)?, wanted(&request.expect)?),
        };
        if target.protocol == Protocol::Http {
            headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
            if let (Some(body), false) = (&body, headers.contains_key(CONTENT_TYPE)) {
                is_json(body)?;
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
        }
        let check = request.check.iter().map(|check| fill(check, names));
        let check = check.collect::<anyhow::Result<_>>()?;
        Ok(Self { target, method, headers, body, wanted, check })
    }
}

fn text(body: &Value, names: &Names) -> anyhow::Result<Bytes> {
    Ok(match body {
        Value::String(text) => fill(text, names)?.into(),
        other => fill_json(other, names)?.to_string().into(),
    })
}

/// A number's mark stands for a number, be it in a text or not.
fn is_json(body: &[u8]) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(body).replace(NUMBER, "0");
    let read: Result<IgnoredAny, _> = serde_json::from_str(&text);
    read.map(drop).context(
        "the body is no JSON; say by a header Content-Type what it is if it is something else",
    )
}

fn method(request: &Request) -> anyhow::Result<Method> {
    match (&request.method, &request.body) {
        (Some(method), _) => method.parse().with_context(|| format!("\"{method}\" is no method")),
        (None, Some(_)) => Ok(Method::POST),
        (None, None) => Ok(Method::GET),
    }
}

fn wanted(expect: &[u16]) -> anyhow::Result<Wanted> {
    if expect.is_empty() {
        return Ok(Wanted::Success);
    }
    let status = |&code| StatusCode::from_u16(code).with_context(|| format!("{code} is no status"));
    Ok(Wanted::Status(expect.iter().map(status).collect::<anyhow::Result<_>>()?))
}
