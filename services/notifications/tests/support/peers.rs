//! Stand-ins for those that the service calls: the gateway's keys and the directory.

use std::net::SocketAddr;

use ficus_rpc::identity::Signer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};
use trellis_contracts::auth::v1::directory_server::{Directory, DirectoryServer};
use trellis_contracts::auth::v1::{LookUpRequest, LookUpResponse, Person};

/// Answers the signer's keys to every request.
pub async fn keys(signer: &Signer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let keys = signer.jwks();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let length = keys.len();
            let start =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            let _ = stream.write_all(start.as_bytes()).await;
            let _ = stream.write_all(&keys).await;
        }
    });
    address
}

/// Knows every person.
struct Everybody;

#[async_trait]
impl Directory for Everybody {
    async fn look_up(
        &self,
        request: Request<LookUpRequest>,
    ) -> Result<Response<LookUpResponse>, Status> {
        let known = request.into_inner().user_ids.into_iter();
        let persons = known.map(|user_id| Person {
            user_id,
            name: format!("Person {user_id}"),
            email: format!("person-{user_id}@example.org"),
        });
        Ok(Response::new(LookUpResponse { persons: persons.collect() }))
    }
}

/// Serves the directory and answers its URL.
pub async fn directory() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener);
    let served = Server::builder().add_service(DirectoryServer::new(Everybody));
    tokio::spawn(served.serve_with_incoming(incoming));
    format!("http://{address}")
}
