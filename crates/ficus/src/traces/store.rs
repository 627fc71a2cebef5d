//! Questions to the trace store.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use ficus_load::Dialer;
use hyper::StatusCode;
use serde_json::Value;

use crate::fetch::Fetcher;

const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024 * 1024;

pub(super) struct Store {
    url: String,
    client: Fetcher,
}

pub(super) enum Answer {
    Found(Value),
    NotFound,
}

impl Store {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        ensure!(
            url.starts_with("http://") || url.starts_with("https://"),
            "\"{url}\" is no address of a trace store; say --from http://host:port"
        );
        let dialer = Dialer::new(None).map_err(|error| anyhow!(error))?;
        let client = Fetcher::new(PATIENCE, MAX_ANSWER, &dialer);
        Ok(Self { url: url.trim_end_matches('/').to_owned(), client })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.ask(path).await.with_context(|| {
            format!(
                "failed to ask the trace store {}; start it, or name another with --from",
                self.url
            )
        })
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.url);
        let (status, body) = self.client.get(&url, "application/json").await?;
        match status {
            StatusCode::OK => {
                Ok(Answer::Found(serde_json::from_slice(&body).context("its answer is no JSON")?))
            }
            StatusCode::NOT_FOUND => Ok(Answer::NotFound),
            status => bail!("it answered {status}: {}", String::from_utf8_lossy(&body).trim()),
        }
    }
}
