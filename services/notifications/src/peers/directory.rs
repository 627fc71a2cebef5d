//! The directory of persons, at whoever owns auth.

use std::time::Duration;

use ficus_rpc::observe::{Called, CalledLayer};
use tonic::transport::{Channel, Endpoint};
use tower::Layer;
use trellis_contracts::auth::v1::LookUpRequest;
use trellis_contracts::auth::v1::directory_client::DirectoryClient;

use super::Failed;
use crate::domain::mail::{Obstacle, Person};

const DEADLINE: Duration = Duration::from_secs(2);

/// Names and addresses of persons.
#[derive(Clone)]
pub struct Directory(DirectoryClient<Called<Channel>>);

impl Directory {
    /// Connects when first asked, and again when the connection is gone.
    pub fn at(url: &str) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(DEADLINE)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        Ok(Self(DirectoryClient::new(
            CalledLayer::grpc("directory").layer(endpoint.connect_lazy()),
        )))
    }

    /// The person with this id.
    pub async fn look_up(&self, user_id: i64) -> Result<Person, Failed> {
        let mut request = tonic::Request::new(LookUpRequest { user_ids: vec![user_id] });
        request.set_timeout(DEADLINE);
        let answer = tokio::time::timeout(DEADLINE, self.0.clone().look_up(request))
            .await
            .map_err(|_| Failed::away("the directory is away: deadline"))?
            .map_err(|status| {
                let code = ficus_rpc::Error::from_status(&status).code;
                Failed::away(format!("the directory is away: {code}"))
            })?;
        let persons = answer.into_inner().persons;
        let person = persons.into_iter().find(|person| person.user_id == user_id);
        let person = person.ok_or_else(|| Failed::new(Obstacle::Refused, "the person is gone"))?;
        Ok(Person { name: person.name, email: person.email })
    }
}
