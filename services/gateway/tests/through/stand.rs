//! A gateway between a client and two owners, everything on ports of its own.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use ficus_control_api::subject::Subject;
use ficus_gateway::{app, config::Limits, server, upstream::Contract};
use ficus_owners::{Owners, Side, View};
use ficus_process::Shutdown;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::{monolith::Monolith, recorder::Recorder, service::Service};

pub const LIMITS: Limits =
    Limits { body_limit: 8 << 20, time_limit: 5, sender_time: 10, idle_time: 60, in_flight: 100 };
pub const MOVING: View =
    View { owner: Side::Monolith, epoch: 1, pending: None, unfinished: true, retired: false };
pub const PENDING: View = View { pending: Some(Uuid::from_u128(7)), ..MOVING };
pub const MOVED: View = View { owner: Side::Service, epoch: 2, ..MOVING };

/// The gateway has read the one before by then.
const BETWEEN_PARTS: Duration = Duration::from_millis(50);

pub struct Stand {
    pub address: SocketAddr,
    pub monolith: Arc<Monolith>,
    pub service: Arc<Service>,
    pub owners: Owners,
    pub shutdown: Shutdown,
    pub serving: JoinHandle<()>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The stable code of a problem document.
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Stand {
    /// Notifications stand as the view says.
    pub async fn start(view: View) -> Self {
        Self::with(Owners::fixed([("notifications".to_owned(), view)]), LIMITS).await
    }

    pub async fn with(owners: Owners, limits: Limits) -> Self {
        let (monolith, service) = (Monolith::start().await, Service::start().await);
        let subject = subject(monolith.address, service.address);
        Self::of(&subject, owners, limits, monolith, service).await
    }

    /// A gateway that reads this `ficus.toml`.
    pub async fn of(
        subject: &str,
        owners: Owners,
        limits: Limits,
        monolith: Arc<Monolith>,
        service: Arc<Service>,
    ) -> Self {
        let subject: Subject = toml::from_str(subject).unwrap();
        assert_eq!(subject.folder, Path::new(""));
        let known = subject.capability.values().any(|capability| !capability.packages.is_empty());
        let contract = Contract(known.then(|| trellis_contracts::DESCRIPTOR_POOL.clone()));
        let shutdown = Shutdown::new();
        let lanes = app::lanes(&subject, &contract, owners.clone(), limits, &shutdown).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(server::run(listener, lanes, limits, shutdown.clone()));
        Self { address, monolith, service, owners, shutdown, serving }
    }

    /// Before a monolith that says always the same.
    pub async fn before(recorder: &Recorder, limits: Limits) -> Self {
        let (monolith, service) = (Monolith::start().await, Service::start().await);
        let subject = subject(recorder.address, service.address);
        Self::of(&subject, Owners::fixed([]), limits, monolith, service).await
    }

    pub fn now(&self, view: View) {
        self.owners.set("notifications", view);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &[], Bytes::copy_from_slice(body.as_bytes())).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        send(self.address, method, path, headers, body).await
    }

    /// A request that goes on while the test does something else.
    pub fn begin(&self, method: Method, path: &str, body: &str) -> JoinHandle<Answer> {
        let (address, path, body) = (self.address, path.to_owned(), body.to_owned());
        tokio::spawn(async move { send(address, method, &path, &[], body.into()).await })
    }

    /// Sends bytes as they are, and reads what comes until the connection is closed.
    pub async fn raw(&self, request: &str) -> String {
        self.raw_in(&[request.to_owned()]).await
    }

    /// The same in parts that come one after another.
    pub async fn raw_in(&self, parts: &[String]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(BETWEEN_PARTS).await;
            }
            stream.write_all(part.as_bytes()).await.unwrap();
        }
        let request = parts.concat();
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(3), reading).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            read.is_ok(),
            "the connection stays open: {request:.99?} was answered {text:.999?}"
        );
        text
    }
}

/// The stable code of an answer, as it was read, that is a problem document.
pub fn code_of(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = format!("\r\ncontent-length: {}\r\n", body.len());
    assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"), "{answer}");
    assert!(head.contains(&length) && head.contains("\r\nconnection: close\r\n"), "{answer}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", problem["status"])), "{answer}");
    problem["code"].as_str().unwrap().to_owned()
}

/// A `ficus.toml` with these two owners.
pub fn subject(monolith: SocketAddr, service: SocketAddr) -> String {
    format!(
        r#"[control]
           database = {{ env = "UNUSED" }}
           controllers = []
           [monolith]
           url = "http://{monolith}"
           internal = "http://{service}"
           database = {{ env = "UNUSED" }}
           [identity]
           mode = "introspect"
           endpoint = "trellis.auth.v1.Sessions/Introspect"
           [capability.notifications]
           service = "http://{service}"
           database = {{ env = "UNUSED" }}
           packages = ["trellis.notifications.v1"]
           move = """#
    )
}

async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}
