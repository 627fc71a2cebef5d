//! An operation of an HTTP target, by its own description (<https://spec.openapis.org/oas/v3.1.1.html>).

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, bail, ensure};
use ficus_load::{Protocol, Target};
use serde_json::Value;

use crate::fetch::Fetcher;

const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 16 * 1024 * 1024;
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// URL and method of the operation with these parameters, of which all that stand in its path must be there.
pub(super) async fn find(
    target: &Target,
    operation: &str,
    parameters: &[(String, String)],
) -> anyhow::Result<(String, String)> {
    ensure!(target.protocol == Protocol::Http, "--operation is for http:// targets");
    ensure!(
        target.path == "/",
        "--operation says the path; the target is http://{}",
        target.authority
    );
    let base = format!("http://{}", target.authority);
    let document = document(&base).await;
    let document = document.with_context(|| format!("failed to read {base}/openapi.json"))?;
    let (path, method, described) = look_up(&document, operation)?;
    let path = filled(path, &described, parameters)?;
    Ok((format!("{base}{path}"), method.to_ascii_uppercase()))
}

async fn document(base: &str) -> anyhow::Result<Value> {
    let client = Fetcher::new(PATIENCE, MAX_ANSWER);
    let (status, body) = client.get(&format!("{base}/openapi.json"), "application/json").await?;
    ensure!(status.is_success(), "it answered {status}; is it the right address?");
    serde_json::from_slice(&body).context("its answer is no JSON")
}

/// Path, method, and the descriptions that hold parameters: the path's and the operation's.
fn look_up<'d>(
    document: &'d Value,
    wanted: &str,
) -> anyhow::Result<(&'d str, &'d str, [&'d Value; 2])> {
    let mut known = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            if !METHODS.contains(&method.as_str()) || id.is_empty() {
                continue;
            }
            if id == wanted {
                return Ok((path, method, [item, operation]));
            }
            known.push(id);
        }
    }
    known.sort_unstable();
    bail!("there is no operation {wanted}; there are {}", known.join(", "))
}

/// The path with what stands in it, and all else as its query.
fn filled(
    path: &str,
    described: &[&Value],
    parameters: &[(String, String)],
) -> anyhow::Result<String> {
    let mut filled = path.to_owned();
    let mut query = Vec::new();
    for (name, value) in parameters {
        let place = format!("{{{name}}}");
        if filled.contains(&place) {
            filled = filled.replace(&place, &encoded(value));
        } else if described.iter().any(|one| in_query(one, name)) {
            query.push(format!("{}={}", encoded(name), encoded(value)));
        } else {
            bail!("{path} has no parameter {name}");
        }
    }
    if let Some((_, rest)) = filled.split_once('{') {
        let name = rest.split('}').next().unwrap_or_default();
        bail!("{path} needs {name}; say --param {name}=…");
    }
    if !query.is_empty() {
        filled = format!("{filled}?{}", query.join("&"));
    }
    Ok(filled)
}

fn in_query(described: &Value, name: &str) -> bool {
    let parameters = described["parameters"].as_array();
    parameters.into_iter().flatten().any(|one| one["name"] == name && one["in"] == "query")
}

/// All but what RFC 3986 calls unreserved, as percent and two digits.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(operation: &str, parameters: &[(&str, &str)]) -> Result<(String, String), String> {
        let document = json!({"paths": {
            "/items/{item_id}": {
                "parameters": [{"name": "trace", "in": "query"}],
                "get": {"operationId": "Shop_Get", "parameters": [
                    {"name": "item_id", "in": "path"}, {"name": "fields", "in": "query"},
                ]},
                "delete": {"operationId": "Shop_Drop"},
            },
        }});
        let parameters: Vec<_> =
            parameters.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let (path, method, described) =
            look_up(&document, operation).map_err(|error| error.to_string())?;
        let path = filled(path, &described, &parameters).map_err(|error| error.to_string())?;
        Ok((method.to_owned(), path))
    }

    #[test]
    fn an_operation_is_found_and_its_parameters_are_put_in_place() {
        let found = of("Shop_Get", &[("item_id", "a/7"), ("fields", "name&price")]);
        let wanted = ("get".to_owned(), "/items/a%2F7?fields=name%26price".to_owned());
        assert_eq!(found, Ok(wanted));
        assert_eq!(
            of("Shop_Drop", &[("item_id", "7")]).map(|(method, _)| method),
            Ok("delete".to_owned())
        );
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_say() {
        let wrong = |operation, parameters: &[_]| of(operation, parameters).expect_err("wrong");
        assert!(wrong("Shop_Put", &[]).ends_with("there are Shop_Drop, Shop_Get"));
        assert!(wrong("Shop_Get", &[]).ends_with("say --param item_id=…"));
        assert!(
            wrong("Shop_Get", &[("item_id", "7"), ("colour", "red")])
                .ends_with("no parameter colour")
        );
    }
}
