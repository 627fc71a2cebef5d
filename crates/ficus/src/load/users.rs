//! Users of a scenario, made known to the target before the load.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use ficus_load::{Dialer, Protocol, Wanted};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    filled::Filled,
    scenario::{self, Scenario},
    template::Names,
};
use crate::{cause::root, fetch::connector};

const PATIENCE: Duration = Duration::from_secs(30);
/// Users that are set up at a time.
const AT_ONCE: usize = 8;
const STYLE: &str = "{bar:20} {pos}/{len} users are set up";

/// What each of so many users' names stand for: `common`, `user` and what the setup kept. Without a user, one whose
/// names are the common ones alone.
pub(super) async fn set_up(
    scenario: &Arc<Scenario>,
    common: &Names,
    count: u32,
    dialer: &Dialer,
) -> anyhow::Result<Vec<Names>> {
    if count == 0 {
        ensure!(scenario.users.setup.is_empty(), "its users have a setup, but there are none");
        return Ok(vec![common.clone()]);
    }
    let bar = ProgressBar::new(count.into()).with_style(ProgressStyle::with_template(STYLE)?);
    let client: Sender = Client::builder(TokioExecutor::new()).build(connector(dialer));
    let mut users: Vec<(u32, Names)> = Vec::new();
    let mut under_way = JoinSet::new();
    let mut next = 1..=count;
    loop {
        while under_way.len() < AT_ONCE {
            let Some(user) = next.next() else { break };
            let mut names = common.clone();
            names.insert("user".to_owned(), user.to_string());
            let (scenario, client) = (scenario.clone(), client.clone());
            under_way.spawn(async move {
                let set_up = one(&scenario.users.setup, names, &client).await;
                Ok((user, set_up.with_context(|| format!("failed to set up user {user}"))?))
            });
        }
        let Some(ended) = under_way.join_next().await else { break };
        let ended: anyhow::Result<_> = ended?;
        users.push(ended?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    users.sort_unstable_by_key(|(user, _)| *user);
    Ok(users.into_iter().map(|(_, names)| names).collect())
}

type Sender = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

async fn one(
    setup: &[scenario::Request],
    mut names: Names,
    client: &Sender,
) -> anyhow::Result<Names> {
    for request in setup {
        let filled = Filled::setup(request, &names)?;
        let told = format!("{} {}", filled.method, filled.target);
        let answer = tokio::time::timeout(PATIENCE, ask(filled, client)).await;
        let answer = answer
            .map_err(|_| anyhow!("no answer within {PATIENCE:?}"))
            .flatten()
            .with_context(|| told.clone())?;
        for (name, place) in &request.keep {
            let kept = kept(&answer, place);
            let kept = kept.with_context(|| format!("{told}: its answer has no {place}"))?;
            names.insert(name.clone(), kept);
        }
    }
    Ok(names)
}

async fn ask(filled: Filled, client: &Sender) -> anyhow::Result<Value> {
    ensure!(filled.target.protocol == Protocol::Http, "a setup speaks HTTP only");
    let mut request = Request::new(Full::new(filled.body.unwrap_or_default()));
    *request.method_mut() = filled.method;
    *request.uri_mut() = filled.target.to_string().parse()?;
    *request.headers_mut() = filled.headers;
    let answer = client.request(request).await.map_err(|error| anyhow!("{}", root(&error)))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| anyhow!("{}", root(&error)))?;
    let body = body.to_bytes();
    let right = match &filled.wanted {
        Wanted::Status(wanted) => wanted.contains(&status),
        Wanted::Success | Wanted::GrpcOk | Wanted::GrpcStream => status.is_success(),
    };
    if !right {
        bail!("it answered {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn kept(answer: &Value, place: &str) -> Option<String> {
    match answer.pointer(place)? {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::kept;

    #[test]
    fn what_is_kept_is_a_text_or_a_number() {
        let answer = json!({"id": 7, "items": [{"token": "t"}]});
        assert_eq!(kept(&answer, "/id").as_deref(), Some("7"));
        assert_eq!(kept(&answer, "/items/0/token").as_deref(), Some("t"));
        assert_eq!(kept(&answer, "/items"), None);
        assert_eq!(kept(&answer, "/no"), None);
    }
}
