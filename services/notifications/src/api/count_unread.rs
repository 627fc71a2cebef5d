use tonic::Response;
use trellis_contracts::notifications::v1::{CountUnreadRequest, CountUnreadResponse};

use super::call::Call;
use crate::error::Error;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<CountUnreadRequest>,
) -> Result<Response<CountUnreadResponse>, Error> {
    let unread = store::inbox::count_unread(&pool, call.user_id).await?;
    Ok(Response::new(CountUnreadResponse { unread }))
}
