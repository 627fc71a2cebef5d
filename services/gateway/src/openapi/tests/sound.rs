//! What OpenAPI 3.1 asks of a document beside the form of its schemas, which is JSON Schema's to say.

use std::collections::BTreeSet;

use serde_json::Value;

/// Fails for the first thing that is wrong.
pub fn check(document: &Value) {
    keys(document, "/", &["openapi", "info"], &["tags", "paths", "components", "security"]);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    keys(&document["info"], "/info", &["title", "version"], &[]);
    let tags = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap());
    let tags: Vec<_> = tags.collect();
    assert_eq!(tags.len(), tags.iter().collect::<BTreeSet<_>>().len(), "{tags:?}");
    let (mut ids, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        let segments = path.strip_prefix('/').unwrap().split('/');
        let pattern: Vec<_> =
            segments.map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
        assert!(patterns.insert(pattern), "{path} stands twice");
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(["get", "put", "post", "delete", "patch"].contains(&method.as_str()), "{at}");
            check_operation(document, operation, path, &at);
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{at}");
            for tag in operation.get("tags").and_then(Value::as_array).into_iter().flatten() {
                assert!(tags.contains(&tag.as_str().unwrap()), "{at}: {tag}");
            }
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(name.chars().all(plain), "{name}");
    }
    check_schemas(document);
}

fn check_operation(document: &Value, operation: &Value, path: &str, at: &str) {
    let may = ["tags", "description", "parameters", "requestBody", "security"];
    keys(operation, at, &["operationId", "responses"], &may);
    let mut seen = BTreeSet::new();
    for parameter in operation["parameters"].as_array().unwrap() {
        let parameter = resolved(document, parameter);
        keys(parameter, at, &["name", "in", "schema"], &["description", "required"]);
        let place = parameter["in"].as_str().unwrap();
        assert!(["path", "query", "header"].contains(&place), "{at}: {place}");
        assert!(place != "path" || parameter["required"] == true, "{at}: {parameter}");
        assert!(seen.insert((place, parameter["name"].as_str().unwrap())), "{at}: {parameter}");
    }
    let named = seen.iter().filter(|(place, _)| *place == "path").map(|(_, name)| *name);
    let fields = path.split(['{', '}']).skip(1).step_by(2);
    assert_eq!(named.collect::<BTreeSet<_>>(), fields.collect(), "{at}");
    let responses = operation["responses"].as_object().unwrap();
    assert!(!responses.is_empty(), "{at}");
    for (status, response) in responses {
        assert!(status == "default" || status.len() == 3, "{at}: {status}");
        keys(resolved(document, response), at, &["description"], &["headers", "content"]);
    }
    if let Some(body) = operation.get("requestBody") {
        keys(body, at, &["content"], &["description", "required"]);
    }
    for requirement in operation.get("security").and_then(Value::as_array).into_iter().flatten() {
        for scheme in requirement.as_object().unwrap().keys() {
            assert!(document["components"]["securitySchemes"].get(scheme).is_some(), "{at}");
        }
    }
}

/// Those it must have, and none but those that it may have.
fn keys(object: &Value, at: &str, must: &[&str], may: &[&str]) {
    let object = object.as_object().unwrap_or_else(|| panic!("{at} is no object"));
    for name in must {
        assert!(object.contains_key(*name), "{at} has no {name}");
    }
    for name in object.keys() {
        assert!(must.contains(&name.as_str()) || may.contains(&name.as_str()), "{at} has {name}");
    }
}

fn resolved<'a>(document: &'a Value, object: &'a Value) -> &'a Value {
    match object.get("$ref").and_then(Value::as_str) {
        Some(to) => {
            document.pointer(to.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {to}"))
        }
        None => object,
    }
}

/// Every reference leads somewhere, and every schema is one by the schema of schemas.
fn check_schemas(document: &Value) {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("openapi.json", document.clone()).unwrap();
    let mut places = Vec::new();
    collect(document, "", &mut places);
    assert!(places.len() > 10, "only {places:?}");
    for place in places {
        let outcome = compiler.compile(&format!("openapi.json#{place}"), &mut boon::Schemas::new());
        assert!(outcome.is_ok(), "{place}: {:#}", outcome.unwrap_err());
    }
}

/// Where schemas stand; every other reference is followed.
fn collect(value: &Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name_at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                if name == "schema" || at == "/components/schemas" {
                    places.push(name_at);
                } else {
                    collect(value, &name_at, places);
                }
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                collect(value, &format!("{at}/{index}"), places);
            }
        }
        _ => {}
    }
}
