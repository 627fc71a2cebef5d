//! The public API as an OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.1.html>), from the same table and
//! the same rules by which requests are routed, read and answered.

mod operation;

use std::collections::BTreeMap;

use ficus_control_api::subject::{IdentityMode, Subject};
use ficus_routing::{Route, RouteTable, TableError};
use ficus_rpc::{
    json::{comment, schema::Schemas},
    problem,
};
use serde_json::{Map, Value, json};

use crate::upstream::Contract;
use operation::Operation;

/// The document of every route that the table or the rest of the contract names.
pub fn document(subject: &Subject, contract: &Contract) -> Result<Value, TableError> {
    let (table, left_out) = contract.public(subject)?;
    for error in left_out {
        tracing::warn!(%error, "it is not in the OpenAPI document");
    }
    let known = subject.identity.mode == IdentityMode::Introspect;
    let mut schemas = Schemas::default();
    let paths = paths(&table, &mut schemas, known);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Public API", "version": "1"},
        "tags": tags(&table),
        "paths": paths,
        "components": components(schemas),
    });
    if known {
        let scheme = json!({"bearer": {"type": "http", "scheme": "bearer"}});
        document["components"]["securitySchemes"] = scheme;
        document["security"] = json!([{"bearer": []}]);
    }
    Ok(document)
}

/// Routes whose paths are alike but for the names of their fields are one path, under the first one's names.
fn paths(table: &RouteTable, schemas: &mut Schemas, known: bool) -> Map<String, Value> {
    let mut first: BTreeMap<String, &Route> = BTreeMap::new();
    let mut named = BTreeMap::new();
    let mut paths = Map::new();
    for route in table.routes() {
        let first = *first.entry(route.pattern()).or_insert(route);
        let operation = Operation { route, names: first.fields(), known };
        let id = unique(operation.id(), &mut named);
        let item = paths.entry(&*first.template).or_insert_with(|| json!({}));
        item[route.method.as_str().to_lowercase()] = operation.object(&id, schemas);
    }
    paths
}

/// A second operation of the same name, as an additional binding is, is numbered.
fn unique(id: String, named: &mut BTreeMap<String, u32>) -> String {
    let times = named.entry(id.clone()).or_default();
    *times += 1;
    if *times == 1 { id } else { format!("{id}_{times}") }
}

/// A tag for each gRPC service, with its comment.
fn tags(table: &RouteTable) -> Vec<Value> {
    let services = table.routes().iter().filter_map(|route| route.rpc.as_ref());
    let services = services.map(|rpc| rpc.method.parent_service().clone());
    let services: BTreeMap<_, _> = services.map(|s| (s.full_name().to_owned(), s)).collect();
    let tag = |(name, service): (&String, &prost_reflect::ServiceDescriptor)| match comment(
        &service.parent_file(),
        service.path(),
    ) {
        Some(text) => json!({"name": name, "description": text}),
        None => json!({"name": name}),
    };
    services.iter().map(tag).collect()
}

fn components(schemas: Schemas) -> Value {
    let mut schemas = schemas.into_components();
    schemas.insert("Problem".to_owned(), problem::schema());
    json!({
        "schemas": schemas,
        "parameters": {"IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The caller's name for this write. The same request under the same key is done once: \
                a repetition gets the first answer. Another request under the same key is refused with 422.",
            "schema": {"type": "string", "maxLength": 255},
        }},
        "headers": {"IdempotentReplayed": {
            "description": "Present where this is the stored answer of an earlier request.",
            "schema": {"type": "string", "const": "true"},
        }},
        "responses": {"Problem": {
            "description": "Why there is no answer.",
            "headers": {"Retry-After": {
                "description": "Seconds; only where the same request may succeed later.",
                "schema": {"type": "integer"},
            }},
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }},
    })
}

#[cfg(test)]
mod tests;
