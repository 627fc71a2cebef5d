use tonic::Response;
use trellis_contracts::notifications::v1::{ListDeliveriesRequest, ListDeliveriesResponse};

use super::call::Call;
use super::wire;
use crate::domain::page::Page;
use crate::error::Error;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<ListDeliveriesRequest>,
) -> Result<Response<ListDeliveriesResponse>, Error> {
    let page = Page::asked(call.message.page_size, &call.message.page_token)?;
    let rows = store::deliveries::list(&pool, call.user_id, page).await?;
    let (rows, next_page_token) = page.cut(rows, |delivery| delivery.id);
    let deliveries = rows.iter().map(wire::delivery).collect();
    Ok(Response::new(ListDeliveriesResponse { deliveries, next_page_token }))
}
