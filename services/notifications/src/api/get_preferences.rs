use tonic::Response;
use trellis_contracts::notifications::v1::{GetPreferencesRequest, PreferenceSet};

use super::call::Call;
use super::wire;
use crate::error::Error;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<GetPreferencesRequest>,
) -> Result<Response<PreferenceSet>, Error> {
    let preferences = store::preferences::read(&pool, call.user_id).await?;
    Ok(Response::new(wire::preference_set(&preferences)))
}
