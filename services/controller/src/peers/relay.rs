//! How far a side's relay is behind, as it says in its own database.

use ficus_events::Lag;

use crate::{Error, error::Result};

/// The lag of the capability's relay in the database at `url`. Where none has ever run it is all there is.
pub async fn lag(url: &str, capability: &str) -> Result<Lag> {
    let pool = ficus_pg::connect(url, "ficus-controller relay lag", 1).map_err(Error::Relay)?;
    let lag = ficus_events::lag(&pool, capability).await;
    pool.close().await;
    lag.map_err(Error::Relay)
}
