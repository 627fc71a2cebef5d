//! Questions to the trace store.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, header::ACCEPT};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use crate::cause::root;

const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024 * 1024;

pub(super) struct Store {
    url: String,
    client: Client<HttpConnector, Empty<Bytes>>,
}

pub(super) enum Answer {
    Found(Value),
    NotFound,
}

impl Store {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        ensure!(
            url.starts_with("http://"),
            "\"{url}\" is no address of a trace store; say --from http://host:port"
        );
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { url: url.trim_end_matches('/').to_owned(), client })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(path)).await;
        asked.map_err(|_| anyhow!("no answer within {PATIENCE:?}")).flatten().with_context(|| {
            format!(
                "failed to ask the trace store {}; start it, or name another with --from",
                self.url
            )
        })
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Answer> {
        let request = Request::get(format!("{}{path}", self.url))
            .header(ACCEPT, "application/json")
            .body(Empty::new())?;
        let answer =
            self.client.request(request).await.map_err(|error| anyhow!("{}", root(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!("{}", root(error.as_ref())))?.to_bytes();
        match status {
            StatusCode::OK => {
                Ok(Answer::Found(serde_json::from_slice(&body).context("its answer is no JSON")?))
            }
            StatusCode::NOT_FOUND => Ok(Answer::NotFound),
            status => bail!("it answered {status}: {}", String::from_utf8_lossy(&body).trim()),
        }
    }
}
