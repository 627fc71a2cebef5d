//! What should not be.

use std::process::ExitCode;

use ficus_control_api::control::v1::VerbRequest;
use serde_json::json;

use crate::{controllers::Controllers, exit, out};

pub(super) async fn run(
    controllers: &Controllers,
    capability: &str,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let answer = controllers
        .call(|mut moves| {
            let request = VerbRequest { capability: capability.to_owned(), dry_run: false };
            async move { moves.doctor(request).await }
        })
        .await?;
    if json {
        out::say_json(&json!({ "findings": answer.findings, "checked": answer.checked }))?;
    } else {
        for line in &answer.checked {
            out::say(format_args!("checked: {line}"))?;
        }
        for line in &answer.findings {
            out::say(format_args!("found: {line}"))?;
        }
        if answer.findings.is_empty() {
            out::say("nothing is wrong")?;
        }
    }
    Ok(exit::of(answer.findings.is_empty()))
}
