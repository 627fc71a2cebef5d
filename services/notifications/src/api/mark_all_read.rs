use tonic::Response;
use trellis_contracts::notifications::v1::{MarkAllReadRequest, MarkAllReadResponse};

use super::call::Call;
use super::write::{self, Begun};
use crate::error::Error;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<MarkAllReadRequest>,
) -> Result<Response<MarkAllReadResponse>, Error> {
    let mut write = match write::begin(&pool, &call).await? {
        Begun::Fresh(write) => write,
        Begun::Replayed(response) => return Ok(response),
    };
    let marked = store::inbox::mark_all_read(&mut write.tx, call.user_id).await?;
    write.answer(MarkAllReadResponse { marked }).await
}
