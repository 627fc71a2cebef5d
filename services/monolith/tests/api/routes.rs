//! The contract's annotations and the routes are the same.

use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use trellis_contracts::DESCRIPTOR_POOL;

use crate::harness::Trellis;

#[tokio::test]
async fn every_annotated_rpc_is_routed() {
    let trellis = Trellis::start().await;
    let mut asked = 0;
    for (name, method, path) in DESCRIPTOR_POOL
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter_map(|rpc| {
            binding(&rpc).map(|(method, path)| (rpc.full_name().to_owned(), method, path))
        })
    {
        let reply = trellis.send(&method, &path, &[], String::new()).await;
        // Without a session each refuses before it looks for anything.
        assert!(matches!(reply.status, 401 | 422), "{name}: {method} {path}: {}", reply.status);
        asked += 1;
    }
    assert!(asked >= 20, "only {asked} RPCs are annotated");
}

#[tokio::test]
async fn what_no_route_names_is_not_found() {
    let trellis = Trellis::start().await;
    trellis.send("GET", "/v2/sign-up", &[], String::new()).await.refused(404, "not_found");
    trellis.send("GET", "/v1/sign-up", &[], String::new()).await.refused(404, "not_found");
    assert_eq!(trellis.send("GET", "/healthz", &[], String::new()).await.status, 200);
}

/// Method and path of the RPC's `google.api.http`, with 1 for each variable.
fn binding(rpc: &MethodDescriptor) -> Option<(String, String)> {
    let http = DESCRIPTOR_POOL.get_extension_by_name("google.api.http").unwrap();
    let options = rpc.options();
    if !options.has_extension(&http) {
        return None;
    }
    let rule = options.get_extension(&http);
    let rule: &DynamicMessage = rule.as_message().unwrap();
    let (field, path) = rule.fields().find_map(|(field, value)| match value {
        Value::String(path) if field.containing_oneof().is_some() => Some((field, path.clone())),
        _ => None,
    })?;
    let path: Vec<_> =
        path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
    Some((field.name().to_uppercase(), path.join("/")))
}
