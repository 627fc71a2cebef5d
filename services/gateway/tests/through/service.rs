//! The service behind the inbox, and the question who a token belongs to, on one gRPC port.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};
use trellis_contracts::{
    auth::v1::{
        IntrospectRequest, IntrospectResponse, SignInRequest, SignInResponse, SignOutRequest,
        SignOutResponse,
        sessions_server::{Sessions, SessionsServer},
    },
    notifications::v1::{
        CountUnreadRequest, CountUnreadResponse, ListNotificationsRequest,
        ListNotificationsResponse, MarkAllReadRequest, MarkAllReadResponse, MarkReadRequest,
        Notification,
        inbox_server::{Inbox, InboxServer},
    },
};

/// The token of the next page after `large`; more than tonic takes unless it is told otherwise.
pub const LARGE: usize = 5 << 20;
/// What is written of this one is answered as by a proxy before a service that has died.
pub const NOBODYS_WORD: i64 = 14;

pub struct Service {
    pub address: SocketAddr,
    /// How many writes meet the fence before it opens.
    pub fenced: AtomicUsize,
    pub written: Mutex<Vec<i64>>,
    pub metadata: Mutex<MetadataMap>,
    pub introspected: AtomicUsize,
}

impl Service {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fenced, introspected) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (written, metadata) = (Mutex::default(), Mutex::default());
        let service = Arc::new(Self { address, fenced, written, metadata, introspected });
        let server = Server::builder()
            .add_service(InboxServer::from_arc(service.clone()))
            .add_service(SessionsServer::from_arc(service.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        service
    }

    pub fn written(&self) -> Vec<i64> {
        self.written.lock().unwrap().clone()
    }

    pub fn metadata(&self, name: &str) -> Option<String> {
        let metadata = self.metadata.lock().unwrap();
        metadata.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

#[tonic::async_trait]
impl Inbox for Service {
    async fn list_notifications(
        &self,
        request: Request<ListNotificationsRequest>,
    ) -> Result<Response<ListNotificationsResponse>, Status> {
        *self.metadata.lock().unwrap() = request.metadata().clone();
        let asked = request.into_inner();
        let notification =
            Notification { id: i64::from(asked.page_size), kind: 2, ..Default::default() };
        let notifications = vec![notification];
        let next_page_token = match &*asked.page_token {
            "large" => "x".repeat(LARGE),
            _ => asked.page_token,
        };
        Ok(Response::new(ListNotificationsResponse { notifications, next_page_token }))
    }

    async fn count_unread(
        &self,
        _: Request<CountUnreadRequest>,
    ) -> Result<Response<CountUnreadResponse>, Status> {
        Err(ficus_rpc::Error::not_found("not_found", "there is nothing").into())
    }

    async fn mark_read(
        &self,
        request: Request<MarkReadRequest>,
    ) -> Result<Response<Notification>, Status> {
        if request.get_ref().notification_id == NOBODYS_WORD {
            return Err(Status::unavailable("no healthy upstream"));
        }
        let shut = self.fenced.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if shut.is_ok() {
            return Err(ficus_rpc::Error::fenced("notifications", 2).into());
        }
        *self.metadata.lock().unwrap() = request.metadata().clone();
        let id = request.into_inner().notification_id;
        self.written.lock().unwrap().push(id);
        let mut response = Response::new(Notification { id, read: true, ..Default::default() });
        response.metadata_mut().insert("idempotent-replayed", "true".parse().unwrap());
        Ok(response)
    }

    async fn mark_all_read(
        &self,
        _: Request<MarkAllReadRequest>,
    ) -> Result<Response<MarkAllReadResponse>, Status> {
        std::future::pending().await
    }
}

#[tonic::async_trait]
impl Sessions for Service {
    async fn sign_in(&self, _: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn sign_out(
        &self,
        _: Request<SignOutRequest>,
    ) -> Result<Response<SignOutResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    /// The token `person-42` belongs to person 42.
    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        self.introspected.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let token = request.into_inner().token;
        let subject = token.strip_prefix("person-").unwrap_or_default().to_owned();
        Ok(Response::new(IntrospectResponse { active: !subject.is_empty(), subject }))
    }
}
