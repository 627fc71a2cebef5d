//! The program itself: `migrate` an empty database, then serve until SIGTERM.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;
use std::time::Duration;

use support::control_database;
use tokio_stream::StreamExt;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use trellis_testkit::{Program, Server, database, free_address, kafka, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_notifications");

#[tokio::test]
async fn it_migrates_and_serves_until_it_is_told_to_end() {
    let (own, control) = (database(Server::Second, &[]).await, control_database().await);
    let migrated =
        Command::new(PROGRAM).args(["migrate", "--database-url", own.url()]).status().unwrap();
    assert!(migrated.success());

    let address = free_address();
    let mut program = Program::start(
        PROGRAM,
        [format!("--listen={address}"), "--smtp-address=127.0.0.1:9".to_owned()],
        [
            ("NOTIFICATIONS_DATABASE_URL", own.url()),
            ("CONTROL_DATABASE_URL", control.url()),
            ("KAFKA_BROKERS", &kafka()),
        ],
    );
    program.listening(address).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();

    let mut health = HealthClient::new(channel.clone());
    let asked = HealthCheckRequest { service: "trellis.notifications.v1.Inbox".to_owned() };
    let status = health.check(asked).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(channel);
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers =
        reflection.server_reflection_info(tokio_stream::once(asked)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    assert!(list.service.iter().any(|s| s.name == "trellis.notifications.v1.Deliveries"));

    let pid = program.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    wait_until("the program is to end", Duration::from_secs(10), async || !program.is_running())
        .await;
}
