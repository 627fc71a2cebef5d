//! What services ask of auth on the inside port.

use tonic::transport::Channel;
use trellis_contracts::auth::v1::directory_client::DirectoryClient;
use trellis_contracts::auth::v1::sessions_client::SessionsClient;
use trellis_contracts::auth::v1::{IntrospectRequest, IntrospectResponse, LookUpRequest, Person};

use crate::harness::Trellis;

async fn channel(trellis: &Trellis) -> Channel {
    let address = format!("http://{}", trellis.internal);
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_token_says_whose_it_is_while_the_session_is_open() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let mut sessions = SessionsClient::new(channel(&trellis).await);
    let mut ask = async || {
        let request = IntrospectRequest { token: person.token.clone() };
        sessions.introspect(request).await.unwrap().into_inner()
    };
    let subject = person.id.to_string();
    assert_eq!(ask().await, IntrospectResponse { active: true, subject });
    person.post("/v1/sign-out", serde_json::json!({})).await.ok();
    assert_eq!(ask().await, IntrospectResponse { active: false, subject: String::new() });
}

#[tokio::test]
async fn the_directory_answers_the_persons_that_exist() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let mut directory = DirectoryClient::new(channel(&trellis).await);
    let request = LookUpRequest { user_ids: vec![person.id, 999_999] };
    let answer = directory.look_up(request).await.unwrap().into_inner();
    let (email, name) = (person.email.clone(), "Person 0".to_owned());
    assert_eq!(answer.persons, [Person { user_id: person.id, name, email }]);
}
