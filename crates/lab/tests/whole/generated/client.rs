//! Sends requests, on connections that are kept.

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::request::Request;

#[derive(Clone)]
pub struct Client {
    gateway: String,
    connections: Connections<HttpConnector, Full<Bytes>>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub fn of(gateway: &str) -> Self {
        let connections = Connections::builder(TokioExecutor::new()).build_http();
        Self { gateway: gateway.to_owned(), connections }
    }

    /// The answer, or why there is none.
    pub async fn send(&self, request: &Request) -> Result<Answer, String> {
        let target = format!("{}{}", self.gateway, request.target);
        let mut built = http::Request::builder().method(&request.method).uri(target);
        for (name, value) in &request.headers {
            built = built.header(*name, value.as_slice());
        }
        let built =
            built.body(Full::from(request.body.clone())).map_err(|error| error.to_string())?;
        let answered = self.connections.request(built).await;
        let (head, body) = answered.map_err(|error| format!("no answer: {error:?}"))?.into_parts();
        let body = body.collect().await.map_err(|error| format!("half an answer: {error:?}"))?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    }
}
