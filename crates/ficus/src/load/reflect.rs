//! What a gRPC target takes, by its own word: server reflection
//! (<https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use ficus_load::{Dialer, Protocol, Server, Target};
use hyper_util::rt::TokioIo;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, prost::Message as _};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::{Code, Streaming, transport::Endpoint};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::template::NUMBER;

const PATIENCE: Duration = Duration::from_secs(5);

/// What targets told of themselves; each is asked once for a service.
pub(super) struct Reflection {
    dialer: Dialer,
    pools: BTreeMap<(Server, String), DescriptorPool>,
}

impl Reflection {
    pub fn new(dialer: &Dialer) -> Self {
        Self { dialer: dialer.clone(), pools: BTreeMap::new() }
    }

    /// What a call takes and what it brings. Fails if the target has no such method.
    pub async fn method(&mut self, target: &Target) -> anyhow::Result<MethodDescriptor> {
        let (service, method) = target.method().context("a gRPC target has a method")?;
        let key = (target.server(), service.to_owned());
        if !self.pools.contains_key(&key) {
            let asked = tokio::time::timeout(PATIENCE, pool(target, service, &self.dialer)).await;
            let pool = asked
                .map_err(|_| anyhow!("{target} did not tell what it takes within {PATIENCE:?}"))?;
            self.pools.insert(key.clone(), pool?);
        }
        let described = self.pools[&key]
            .get_service_by_name(service)
            .with_context(|| format!("{target}: what it tells of {service} has no such service"))?;
        described.methods().find(|known| known.name() == method).with_context(|| {
            let known: Vec<_> = described.methods().map(|known| known.name().to_owned()).collect();
            format!("{service} has no method {method}; it has {}", known.join(", "))
        })
    }
}

/// The request's messages, encoded: one, or of a method that takes a stream as many as a list has. Fails if the JSON is
/// no such message.
pub(super) fn encoded(method: &MethodDescriptor, json: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let kind = method.input();
    let numbered = json.windows(NUMBER.len()).any(|part| part == NUMBER.as_bytes());
    let none = || {
        let aside = if numbered { " (${number} has a place in texts only)" } else { "" };
        format!("the body is no {} in JSON{aside}", kind.full_name())
    };
    let json: serde_json::Value = serde_json::from_slice(json).with_context(none)?;
    let messages = match json {
        serde_json::Value::Array(all) if method.is_client_streaming() => all,
        one => vec![one],
    };
    let message = |json| {
        let message = DynamicMessage::deserialize(kind.clone(), json).with_context(none)?;
        Ok(message.encode_to_vec())
    };
    messages.into_iter().map(message).collect()
}

/// The file that has the service, and all that it imports.
async fn pool(target: &Target, service: &str, dialer: &Dialer) -> anyhow::Result<DescriptorPool> {
    let mut endpoint = Endpoint::from_shared(format!("http://{}", target.authority))?;
    if target.secure {
        endpoint = endpoint.origin(format!("https://{}", target.authority).parse()?);
    }
    let (dialer, server) = (dialer.clone(), target.server());
    let connector = tower::service_fn(move |_| {
        let (dialer, server) = (dialer.clone(), server.clone());
        async move { dialer.dial(&server, Protocol::Grpc).await.map(TokioIo::new) }
    });
    let channel = endpoint
        .connect_with_connector(connector)
        .await
        .with_context(|| format!("failed to reach {}", target.authority))?;
    let mut client = ServerReflectionClient::new(channel);
    let (questions, receiver) = tokio::sync::mpsc::channel(1);
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let ask = async |question| {
        let request =
            ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        questions.send(request).await.map_err(|_| unreflected(target, "it hung up"))
    };
    // Some servers say nothing before they are asked.
    ask(MessageRequest::FileContainingSymbol(service.to_owned())).await?;
    let answers = client.server_reflection_info(stream).await;
    let mut answers = answers.map_err(|status| unreflected(target, status.message()))?.into_inner();

    let mut files: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    let mut open = Vec::new();
    loop {
        for file in answer(&mut answers, target, service).await? {
            for import in &file.dependency {
                if !files.contains_key(import) && asked.insert(import.clone()) {
                    open.push(MessageRequest::FileByFilename(import.clone()));
                }
            }
            files.insert(file.name().to_owned(), file);
        }
        let Some(question) = open.pop() else { break };
        ask(question).await?;
    }
    let set = FileDescriptorSet { file: files.into_values().collect() };
    DescriptorPool::from_file_descriptor_set(set)
        .context("what the target tells of itself is not whole")
}

async fn answer(
    answers: &mut Streaming<ServerReflectionResponse>,
    target: &Target,
    service: &str,
) -> anyhow::Result<Vec<FileDescriptorProto>> {
    let unknown = |why: &str| {
        anyhow!("{} has no {service}: {why}; is it the right address?", target.authority)
    };
    // Some servers say it by an answer, some by the call's status.
    let answer = answers.message().await.map_err(|status| match status.code() {
        Code::NotFound => unknown(status.message()),
        _ => unreflected(target, status.message()),
    })?;
    match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::FileDescriptorResponse(files)) => files
            .file_descriptor_proto
            .iter()
            .map(|file| FileDescriptorProto::decode(&file[..]).context("a descriptor is damaged"))
            .collect(),
        Some(MessageResponse::ErrorResponse(error)) => Err(unknown(&error.error_message)),
        _ => Err(unreflected(target, "it gave another answer than was asked for")),
    }
}

fn unreflected(target: &Target, why: &str) -> anyhow::Error {
    anyhow!(
        "{} does not tell what it takes ({why}); give it gRPC server reflection, so that --body can be encoded",
        target.authority
    )
}
