//! The places where a test can make the controller die or stop.

use ficus_process::failpoint;

/// Right before and right after the step: `controller.before.C1`, `controller.C1`.
pub(super) async fn around<T, E>(
    step: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    failpoint::reach(&format!("controller.before.{step}")).await;
    let value = work.await?;
    failpoint::reach(&format!("controller.{step}")).await;
    Ok(value)
}
