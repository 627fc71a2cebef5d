//! What services ask of auth, by gRPC on the inside port.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};
use trellis_contracts::auth::v1::directory_server::Directory as DirectoryRpc;
use trellis_contracts::auth::v1::sessions_server::Sessions as SessionsRpc;
use trellis_contracts::auth::v1::{
    IntrospectRequest, IntrospectResponse, LookUpRequest, LookUpResponse, Person, SignInRequest,
    SignInResponse, SignOutRequest, SignOutResponse,
};

use crate::modules::auth::{Directory, Sessions};

/// More persons than this are not looked up at once.
const MOST: usize = 1000;

/// Answers for auth.
#[derive(Clone)]
pub struct Inside {
    pub sessions: Arc<Sessions>,
    pub directory: Arc<dyn Directory>,
}

#[async_trait]
impl SessionsRpc for Inside {
    async fn sign_in(&self, _: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        Err(Status::unimplemented("sign in at the public API"))
    }

    async fn sign_out(
        &self,
        _: Request<SignOutRequest>,
    ) -> Result<Response<SignOutResponse>, Status> {
        Err(Status::unimplemented("sign out at the public API"))
    }

    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        let person = self.sessions.person(&request.get_ref().token);
        let subject = person.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(IntrospectResponse { active: person.is_some(), subject }))
    }
}

#[async_trait]
impl DirectoryRpc for Inside {
    async fn look_up(
        &self,
        request: Request<LookUpRequest>,
    ) -> Result<Response<LookUpResponse>, Status> {
        let ids = request.into_inner().user_ids;
        if ids.len() > MOST {
            return Err(Status::invalid_argument("at most 1000 persons are looked up at once"));
        }
        let persons = self.directory.look_up(&ids).await?.into_iter();
        let persons = persons
            .map(|person| Person {
                user_id: person.user_id,
                name: person.name,
                email: person.email,
            })
            .collect();
        Ok(Response::new(LookUpResponse { persons }))
    }
}
