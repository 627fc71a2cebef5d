//! An operation of an HTTP target, by its own description (<https://spec.openapis.org/oas/v3.1.1.html>).

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use boon::{Compiler, SchemaIndex, Schemas};
use ficus_load::{Dialer, Protocol, Target};
use http::StatusCode;
use serde_json::Value;

use crate::fetch::Fetcher;

const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 16 * 1024 * 1024;
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// What a description calls itself among its own references.
const ITSELF: &str = "openapi.json";

/// One of a target's operations, with its parameters in place.
pub(super) struct Operation {
    pub url: String,
    pub method: String,
    /// If they are to be looked at.
    pub answers: Option<Arc<Answers>>,
}

/// What answers an operation has, by its description.
pub(super) struct Answers {
    schemas: Schemas,
    /// By status: `200`, `2XX` or `default`; none where nothing is said of the answer's JSON.
    by_status: BTreeMap<String, Option<SchemaIndex>>,
}

/// The operation with these parameters, of which all that stand in its path must be there; with what its answers must
/// be, if they are to be looked at.
pub(super) async fn find(
    target: &Target,
    operation: &str,
    parameters: &[(String, String)],
    look: bool,
    dialer: &Dialer,
) -> anyhow::Result<Operation> {
    let base = format!("{}://{}", target.scheme(), target.authority);
    ensure!(target.protocol == Protocol::Http, "--operation is for HTTP targets");
    ensure!(target.path == "/", "--operation says the path; the target is {base}");
    let document = document(&base, dialer).await;
    let document = document.with_context(|| format!("failed to read {base}/{ITSELF}"))?;
    let (path, method, described) = look_up(&document, operation)?;
    let answers = look.then(|| Answers::read(&document, path, method).map(Arc::new)).transpose();
    let answers = answers.with_context(|| format!("{base}/{ITSELF}: {operation}"))?;
    let path = filled(path, &described, parameters, &document)?;
    let (url, method) = (format!("{base}{path}"), method.to_ascii_uppercase());
    Ok(Operation { url, method, answers })
}

impl Answers {
    /// Fails at a schema that is none.
    fn read(document: &Value, path: &str, method: &str) -> anyhow::Result<Self> {
        let version = document["openapi"].as_str().unwrap_or("none");
        ensure!(
            version.starts_with("3.1"),
            "its version is {version}; only OpenAPI 3.1 describes answers by JSON Schema, so leave --check schema out"
        );
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let sound = |error: boon::CompileError| anyhow!("{error}");
        compiler.add_resource(ITSELF, document.clone()).map_err(sound)?;
        let mut by_status = BTreeMap::new();
        let place =
            format!("/paths/{}/{method}/responses", path.replace('~', "~0").replace('/', "~1"));
        let responses = document.pointer(&place).and_then(Value::as_object);
        for (status, response) in responses.into_iter().flatten() {
            let (at, response) = followed(document, format!("{place}/{status}"), response);
            let json = response["content"].as_object().into_iter().flatten();
            let mut json = json.filter(|(kind, media)| is_json(kind) && !media["schema"].is_null());
            let schema = json.next().map(|(kind, _)| {
                let at = format!("{ITSELF}#{at}/content/{}/schema", kind.replace('/', "~1"));
                compiler.compile(&at, &mut schemas).map_err(sound)
            });
            by_status.insert(status.clone(), schema.transpose()?);
        }
        Ok(Self { schemas, by_status })
    }

    /// Says what does not fit; what the description does not speak of does.
    pub fn fit(&self, status: StatusCode, body: &[u8]) -> Result<(), String> {
        let names = [status.as_str(), &format!("{}XX", status.as_u16() / 100), "default"];
        let described = names.iter().find_map(|name| self.by_status.get(*name));
        let Some(schema) = described.copied().flatten() else { return Ok(()) };
        let body = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
        self.schemas.validate(&body, schema).map_err(|error| {
            // The innermost cause is what is wrong; those around it say that something is.
            let mut inner = &error;
            while let Some(cause) = inner.causes.first() {
                inner = cause;
            }
            format!("{} {}", inner.instance_location, inner.kind).trim_start().to_owned()
        })
    }
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Answers").field(&self.by_status.keys()).finish()
    }
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

/// What a reference leads to and where that is, or the value itself; references to other documents lead nowhere.
fn followed<'d>(document: &'d Value, at: String, value: &'d Value) -> (String, &'d Value) {
    let (mut at, mut value) = (at, value);
    // A circle ends somewhere.
    for _ in 0..16 {
        let Some(place) = value["$ref"].as_str().and_then(|to| to.strip_prefix('#')) else { break };
        let Some(there) = document.pointer(place) else { break };
        (at, value) = (place.to_owned(), there);
    }
    (at, value)
}

async fn document(base: &str, dialer: &Dialer) -> anyhow::Result<Value> {
    let client = Fetcher::new(PATIENCE, MAX_ANSWER, dialer);
    let (status, body) = client.get(&format!("{base}/{ITSELF}"), "application/json").await?;
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
    ensure!(!known.is_empty(), "there is no operation {wanted}, nor any other one");
    bail!("there is no operation {wanted}; there are {}", known.join(", "))
}

/// The path with what stands in it, and all else as its query.
fn filled(
    path: &str,
    described: &[&Value],
    parameters: &[(String, String)],
    document: &Value,
) -> anyhow::Result<String> {
    let mut filled = path.to_owned();
    let mut query = Vec::new();
    for (name, value) in parameters {
        let place = format!("{{{name}}}");
        if filled.contains(&place) {
            filled = filled.replace(&place, &encoded(value));
        } else if described.iter().any(|one| in_query(document, one, name)) {
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

fn in_query(document: &Value, described: &Value, name: &str) -> bool {
    let parameters = described["parameters"].as_array().into_iter().flatten();
    let mut parameters = parameters.map(|one| followed(document, String::new(), one).1);
    parameters.any(|one| one["name"] == name && one["in"] == "query")
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

    fn shop() -> Value {
        json!({
            "openapi": "3.1.0",
            "paths": {
                "/items/{item_id}": {
                    "parameters": [{"name": "trace", "in": "query"}],
                    "get": {
                        "operationId": "Shop_Get",
                        "parameters": [
                            {"name": "item_id", "in": "path"}, {"$ref": "#/components/parameters/fields"},
                        ],
                        "responses": {
                            "200": {"$ref": "#/components/responses/Item"},
                            "4XX": {"content": {"application/problem+json": {"schema": {"required": ["code"]}}}},
                            "304": {"description": "as before"},
                            "204": {"content": {"application/json": {}}},
                            "default": {"content": {"application/json": {"schema": {"required": ["error"]}}}},
                        },
                    },
                    "delete": {"operationId": "Shop_Drop"},
                },
            },
            "components": {
                "parameters": {"fields": {"name": "fields", "in": "query"}},
                "responses": {"Item": {"content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Item"},
                }}}},
                "schemas": {"Item": {
                    "type": "object", "required": ["name"], "properties": {"price": {"type": "integer"}},
                }},
            },
        })
    }

    fn of(operation: &str, parameters: &[(&str, &str)]) -> Result<(String, String), String> {
        let document = shop();
        let parameters: Vec<_> =
            parameters.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let (path, method, described) =
            look_up(&document, operation).map_err(|error| error.to_string())?;
        let path = filled(path, &described, &parameters, &document);
        Ok((method.to_owned(), path.map_err(|error| error.to_string())?))
    }

    #[test]
    fn an_operation_is_found_and_its_parameters_are_put_in_place() {
        let found = of("Shop_Get", &[("item_id", "a/7"), ("fields", "name&price"), ("trace", "1")]);
        let wanted = ("get".to_owned(), "/items/a%2F7?fields=name%26price&trace=1".to_owned());
        assert_eq!(found, Ok(wanted));
        assert_eq!(
            of("Shop_Drop", &[("item_id", "7")]).map(|(method, _)| method),
            Ok("delete".to_owned())
        );
    }

    #[test]
    fn an_answer_fits_what_the_description_says_of_its_status() {
        let answers = Answers::read(&shop(), "/items/{item_id}", "get").expect("sound");
        let fit = |status: u16, body: &str| {
            answers.fit(StatusCode::from_u16(status).expect("a status"), body.as_bytes())
        };
        assert_eq!(fit(200, r#"{"name": "a", "price": 5}"#), Ok(()));
        assert_eq!(fit(404, r#"{"code": "not_found"}"#), Ok(()));
        assert_eq!(fit(304, ""), Ok(()));
        assert_eq!(fit(204, ""), Ok(()));
        assert!(fit(500, "{}").expect_err("the default").contains("error"));
        let price = fit(200, r#"{"name": "a", "price": "5"}"#).expect_err("a text");
        assert!(price.contains("/price") && price.contains("integer"), "{price}");
        assert!(fit(200, "{}").expect_err("no name").contains("name"));
        assert!(fit(404, "{}").expect_err("no code").contains("code"));
        assert!(fit(200, "ok").expect_err("no JSON").starts_with("no JSON"));
    }

    #[test]
    fn only_what_is_described_by_json_schema_is_looked_at() {
        let mut document = shop();
        document["openapi"] = json!("3.0.3");
        let error = Answers::read(&document, "/items/{item_id}", "get").expect_err("3.0");
        assert!(error.to_string().contains("3.0.3"), "{error}");
    }

    #[test]
    fn references_that_lead_nowhere_come_to_an_end() {
        let document =
            json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}, "c": {"$ref": "other.json"}});
        for name in ["a", "c"] {
            assert!(followed(&document, String::new(), &document[name]).1.is_object());
        }
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
