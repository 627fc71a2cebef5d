//! Names and addresses, for other modules.

use async_trait::async_trait;
use ficus_rpc::Error;

use super::domain::Person;
use super::store::Store;
use crate::error::refusal;

/// Who persons are. While auth is in this process the answer comes from its tables.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The persons that exist, in no order; an id that names nobody is left out.
    async fn look_up(&self, user_ids: &[i64]) -> Result<Vec<Person>, Error>;
}

/// Answers from this database.
#[derive(Clone)]
pub struct Local(pub Store);

#[async_trait]
impl Directory for Local {
    async fn look_up(&self, user_ids: &[i64]) -> Result<Vec<Person>, Error> {
        self.0.persons(user_ids).await.map_err(|error| refusal(&error))
    }
}
