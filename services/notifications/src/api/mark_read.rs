use ficus_rpc::Error as Refusal;
use tonic::Response;
use trellis_contracts::notifications::v1::{MarkReadRequest, Notification};

use super::call::Call;
use super::wire;
use super::write::{self, Begun};
use crate::error::Error;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<MarkReadRequest>,
) -> Result<Response<Notification>, Error> {
    let mut write = match write::begin(&pool, &call).await? {
        Begun::Fresh(write) => write,
        Begun::Replayed(response) => return Ok(response),
    };
    let id = call.message.notification_id;
    let notification = store::inbox::mark_read(&mut write.tx, call.user_id, id)
        .await?
        .ok_or_else(|| Refusal::not_found("not_found", "there is no such notification"))?;
    write.answer(wire::notification(&notification)).await
}
