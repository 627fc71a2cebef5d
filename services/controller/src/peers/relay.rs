//! How far a side's relay is behind, as it says in its own database.

use std::time::Duration;

use ficus_events::Lag;
use ficus_pg::within;
use tokio::time::timeout;

use crate::{Error, error::Result};

/// For the answer, which a long backlog may keep from coming, and for a farewell.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lag of the capability's relay in the database at `url`. Where none has ever run it is all there is.
pub async fn lag(url: &str, capability: &str) -> Result<Lag> {
    let pool = ficus_pg::connect(url, "ficus-controller relay lag", 1).map_err(Error::Relay)?;
    let lag = within(PATIENCE, ficus_events::lag(&pool, capability)).await;
    let _ = timeout(PATIENCE, pool.close()).await;
    lag.map_err(Error::Relay)
}
