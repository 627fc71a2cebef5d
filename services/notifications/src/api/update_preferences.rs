use tonic::Response;
use trellis_contracts::notifications::v1::{PreferenceSet, UpdatePreferencesRequest};

use super::call::Call;
use super::wire;
use super::write::{self, Begun};
use crate::error::Error;
use crate::events::outgoing;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<UpdatePreferencesRequest>,
) -> Result<Response<PreferenceSet>, Error> {
    let changes = wire::changes(&call.message.preferences)?;
    let mut write = match write::begin(&pool, &call).await? {
        Begun::Fresh(write) => write,
        Begun::Replayed(response) => return Ok(response),
    };
    let version = store::preferences::change(&mut write.tx, call.user_id, &changes).await?;
    outgoing::preferences_changed(&mut write.tx, call.user_id, version).await?;
    let preferences = store::preferences::read_in(&mut write.tx, call.user_id).await?;
    write.answer(wire::preference_set(&preferences)).await
}
