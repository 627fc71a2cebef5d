//! An owner that speaks gRPC: JSON becomes its protobuf request, and its answer becomes JSON.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ficus_routing::{Body, Match};
use ficus_rpc::{
    Error, FENCED, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, json,
    observe::{Called, CalledLayer},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use prost_reflect::DynamicMessage;
use tonic::{
    Code, ConnectError, Status, TimeoutExpired,
    metadata::{AsciiMetadataKey, MetadataMap, MetadataValue},
    transport::{self, Endpoint},
};
use tower::Layer;

use super::{codec, fields, identity::Identity};
use crate::{
    error::{UpstreamError, find},
    limits::Deadline,
};

/// The largest JSON that is turned into a message.
const BODY_BYTES: usize = 1 << 20;
const CONNECT_TIME: Duration = Duration::from_secs(1);
/// A connection whose other end is silent for this long, and then again, is given up.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A connection on which every call is observed.
pub type Channel = Called<transport::Channel>;

/// A channel that connects when it is first used, and again whenever it has broken.
/// `peer` names its other end in metrics and traces.
pub fn channel(url: &str, peer: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("failed to read the address {url}: write http://host:port"))?;
    let channel = endpoint
        .connect_timeout(CONNECT_TIME)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .connect_lazy();
    Ok(CalledLayer::grpc(peer).layer(channel))
}

/// One service.
#[derive(Clone)]
pub struct GrpcUpstream {
    channel: Channel,
    identity: Arc<Identity>,
}

impl GrpcUpstream {
    pub fn new(url: &str, peer: &str, identity: Arc<Identity>) -> anyhow::Result<Self> {
        Ok(Self { channel: channel(url, peer)?, identity })
    }

    /// Calls the RPC behind the route. The service's errors are answers.
    pub async fn send(
        &self,
        request: Request<Body>,
        found: &Match,
    ) -> Result<Response, UpstreamError> {
        let Some(rpc) = &found.route.rpc else { return Err(Error::internal().into()) };
        let (parts, body) = request.into_parts();
        let body = whole(body).await?;
        let message = match fields::request(rpc, found, parts.uri.query(), &body) {
            Ok(message) => message,
            Err(error) => return Ok(error.response()),
        };
        let call = self.call(&parts, message).await?;
        match codec::unary(&self.channel, &rpc.method, call).await {
            Ok(answer) => Ok(answered(answer.metadata(), answer.get_ref())),
            Err(status) => refused(status),
        }
    }

    async fn call(
        &self,
        parts: &Parts,
        message: DynamicMessage,
    ) -> Result<tonic::Request<DynamicMessage>, UpstreamError> {
        let mut call = tonic::Request::new(message);
        if let Some(deadline) = parts.extensions.get::<Deadline>() {
            call.set_timeout(deadline.remaining());
        }
        let metadata = call.metadata_mut();
        carry(&parts.headers, &HeaderName::from_static(IDEMPOTENCY_KEY), metadata);
        let caller = parts.headers.get(header::AUTHORIZATION);
        if let Some(token) = self.identity.inside(caller).await? {
            metadata.insert("authorization", token);
        }
        Ok(call)
    }
}

/// The whole body, for it can only be read as a whole.
async fn whole(body: Body) -> Result<Bytes, UpstreamError> {
    let body = Limited::new(body, BODY_BYTES).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let error = match find::<http_body_util::LengthLimitError>(&*error) {
            Some(_) => Error::too_large("body_too_large", "the body is larger than 1 MiB"),
            None => Error::invalid("bad_request", "failed to read the body"),
        };
        error.into()
    })
}

fn carry(headers: &HeaderMap, name: &HeaderName, metadata: &mut MetadataMap) {
    let value = headers.get(name).map(|value| MetadataValue::try_from(value.as_bytes()));
    if let (Some(Ok(value)), Ok(key)) = (value, name.as_str().parse::<AsciiMetadataKey>()) {
        metadata.insert(key, value);
    }
}

fn answered(metadata: &MetadataMap, message: &DynamicMessage) -> Response {
    let json = HeaderValue::from_static("application/json");
    let mut response =
        ([(header::CONTENT_TYPE, json)], json::encode_dynamic(message)).into_response();
    if metadata.get(IDEMPOTENT_REPLAYED).is_some_and(|value| value == "true") {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// What the service said, or, where the connection said it, what that means.
fn refused(status: Status) -> Result<Response, UpstreamError> {
    use std::error::Error as _;
    let local = status.source().is_some() && status.metadata().get(FENCED).is_none();
    // A proxy before a service that has died says so in its place, and does not know what had been done.
    let theirs = status.code() == Code::Unavailable && !Error::is_told_by(&status);
    if !(local || theirs) || find::<TimeoutExpired>(&status).is_some() {
        return Ok(Error::from_status(&status).response());
    }
    if find::<ConnectError>(&status).is_some() {
        return Err(UpstreamError::Unreachable(status.into()));
    }
    Err(UpstreamError::Lost(status.into()))
}
