//! Progress with time left, until there is nothing to wait for.

use std::{process::ExitCode, time::Duration};

use ficus_control_api::control::v1::Move;
use indicatif::{ProgressBar, ProgressStyle};

use super::{moves, status};
use crate::{
    controllers::{Controllers, Failure},
    exit,
};

const BETWEEN: Duration = Duration::from_millis(500);
const STYLE: &str = "{msg} [{wide_bar}] {human_pos}/{human_len}";

pub(super) async fn run(
    controllers: &Controllers,
    capability: &str,
    journal: u32,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let style = ProgressStyle::with_template(STYLE)?;
    let bar = ProgressBar::new(0).with_style(style);
    loop {
        match moves(controllers, capability, journal).await {
            Ok(found) => {
                let Some(one) = found.first() else { return Ok(exit::ERROR) };
                show(&bar, one);
                if !waits(one) {
                    bar.finish_and_clear();
                    status::print(one, json)?;
                    return Ok(exit::of(!failed(one)));
                }
            }
            Err(Failure::CutOff(_)) => {
                bar.set_message("the controller went away; asking the others");
            }
            Err(failure) => return Err(failure.into()),
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

fn show(bar: &ProgressBar, one: &Move) {
    bar.set_length(one.rows_total.max(one.rows_copied));
    bar.set_position(one.rows_copied);
    bar.set_message(status::in_short(one));
}

/// Copying, comparing for the first time, and changing owners end by themselves.
fn waits(one: &Move) -> bool {
    match one.phase.as_str() {
        "copying" | "switching" | "completing" => true,
        "following" | "switched" => one.diff.is_none(),
        _ => false,
    }
}

fn failed(one: &Move) -> bool {
    matches!(one.phase.as_str(), "error" | "irreversible" | "needs re-base")
}
