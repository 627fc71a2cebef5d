//! What should not be.

use std::process::ExitCode;

use ficus_control_api::control::v1::VerbRequest;
use serde_json::json;

use crate::{controllers::Controllers, exit};

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
        let value = json!({ "findings": answer.findings, "checked": answer.checked });
        println!("{}", serde_json::to_string(&value)?);
    } else {
        for line in &answer.checked {
            println!("checked: {line}");
        }
        for line in &answer.findings {
            println!("found: {line}");
        }
        if answer.findings.is_empty() {
            println!("nothing is wrong");
        }
    }
    Ok(exit::of(answer.findings.is_empty()))
}
