#![expect(clippy::unwrap_used, reason = "tests")]

mod sound;

use std::{collections::BTreeSet, path::Path};

use http::Method;
use prost_reflect::DescriptorPool;

use super::*;

fn trellis() -> (Subject, Contract) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ficus.toml");
    let pool = trellis_contracts::DESCRIPTOR_POOL.clone();
    (Subject::read(&file).unwrap(), Contract(Some(pool)))
}

const SHOP: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
service Shop {
  // Finds one.
  rpc Get(Query) returns (Item) { option (google.api.http) = {get: "/items/{id}"}; }
  rpc Put(PutRequest) returns (Item) { option (google.api.http) = {put: "/items/{item.id}" body: "item"}; }
  rpc Drop(Item) returns (Item) { option (google.api.http) = {
    delete: "/items/{id}" additional_bindings {post: "/items/{id}/drop" body: "*"} }; }
  rpc Inside(Item) returns (Item);
}
service Streams {
  rpc All(Item) returns (stream Item) { option (google.api.http) = {get: "/all"}; }
}
message Item { int64 id = 1; string name = 2; Item part = 3; }
message Query { int64 id = 1; repeated string words = 2; Range range = 3; }
message Range { int32 from = 1; }
message PutRequest { Item item = 1; bool strict = 2; }
"#;

/// The part that Trellis does without.
const HTTP: &str = r#"
syntax = "proto3";
package google.api;
message HttpRule {
  oneof pattern { string get = 2; string put = 3; string post = 4; string delete = 5; string patch = 6; }
  string body = 7;
  repeated HttpRule additional_bindings = 11;
}
"#;

fn shop(subject: &str) -> Value {
    let folder = format!("ficus-openapi-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(folder.join("google/api")).unwrap();
    std::fs::write(folder.join("google/api/http.proto"), HTTP).unwrap();
    std::fs::write(folder.join("shop.proto"), SHOP).unwrap();
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut compiler = protox::Compiler::new([folder.as_path(), &proto]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file("shop.proto").unwrap();
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    let always = r#"
        control = { database = { env = "UNUSED" }, controllers = [] }
        monolith = { url = "http://127.0.0.1:1", database = { env = "UNUSED" } }
    "#;
    let subject: Subject = toml::from_str(&format!("{always}{subject}")).unwrap();
    document(&subject, &Contract(Some(pool))).unwrap()
}

/// Method, path and id of every operation.
fn operations(document: &Value) -> BTreeSet<(String, String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            (method.to_uppercase(), path.clone(), id)
        })
    });
    each.collect()
}

#[test]
fn every_route_has_its_operation_and_every_operation_its_rpc() {
    let (subject, contract) = trellis();
    let document = document(&subject, &contract).unwrap();
    let operations = operations(&document);
    let table = contract.table(&subject).unwrap();
    assert!(table.routes().len() >= 7);
    for route in table.routes() {
        let method = &route.rpc.as_ref().unwrap().method;
        let id = format!("{}_{}", method.parent_service().name(), method.name());
        let operation = (route.method.to_string(), route.template.to_string(), id);
        assert!(operations.contains(&operation), "{operation:?}");
    }
    let moved = |path: &str| {
        path.starts_with("/v1/inbox") || path.contains("notification") || path == "/v1/deliveries"
    };
    for (method, path, id) in &operations {
        let method: Method = method.parse().unwrap();
        let found = table.find(&method, &path.replace(['{', '}'], ""));
        assert_eq!(found.is_some(), moved(path), "{method} {path} {id}");
    }
    let pool = contract.0.as_ref().unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let annotated: BTreeSet<_> = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter(|method| method.options().has_extension(&http))
        .map(|method| format!("{}_{}", method.parent_service().name(), method.name()))
        .collect();
    let described: BTreeSet<_> = operations.into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(described, annotated);
}

#[test]
fn documents_are_sound() {
    let (subject, contract) = trellis();
    sound::check(&document(&subject, &contract).unwrap());
    sound::check(&shop(""));
}

#[test]
fn a_write_has_its_key_its_body_without_the_path_and_problems() {
    let (subject, contract) = trellis();
    let document = document(&subject, &contract).unwrap();
    let create = &document["paths"]["/v1/workspaces/{workspace_id}/projects"]["post"];
    assert_eq!(create["parameters"][0]["name"], "workspace_id");
    assert_eq!(create["parameters"][1]["$ref"], "#/components/parameters/IdempotencyKey");
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["name"]);
    let answer = &create["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(answer["$ref"], "#/components/schemas/trellis.core.v1.Project");
    let problem = &document["components"]["responses"]["Problem"]["content"];
    assert!(problem.get("application/problem+json").is_some());
    assert_eq!(document["security"], json!([{"bearer": []}]));
    assert!(create.get("security").is_none());
    for path in ["/v1/sign-up", "/v1/sign-in"] {
        assert_eq!(document["paths"][path]["post"]["security"], json!([]), "{path}");
    }
    let list = &document["paths"]["/v1/inbox"]["get"];
    let names: Vec<_> = list["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["page_size", "page_token", "unread_only"]);
    assert_eq!(list["description"], "Newest first.");
    assert_eq!(list["parameters"][0]["description"], "At most 100; 0 means 50.");
}

#[test]
fn bindings_of_every_sort_are_described() {
    let document = shop("");
    let item = &document["paths"]["/items/{id}"];
    let names = |operation: &Value| -> Vec<String> {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        parameters
            .filter_map(|p| Some(format!("{} {}", p["in"].as_str()?, p["name"].as_str()?)))
            .collect()
    };
    assert_eq!(names(&item["get"]), ["path id", "query words", "query range.from"]);
    assert_eq!(item["get"]["parameters"][1]["schema"]["type"], "array");
    // The same path, whatever its field is called.
    assert_eq!(names(&item["put"]), ["path id", "query strict"]);
    assert_eq!(
        item["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/shop.v1.Item-Input"
    );
    assert_eq!(names(&item["delete"]), ["path id", "query name"]);
    assert!(item["delete"].get("requestBody").is_none());
    assert_eq!(document["paths"]["/items/{id}/drop"]["post"]["operationId"], "Shop_Drop_2");
    assert_eq!(operations(&document).len(), 4, "neither what streams nor what is not annotated");
    assert!(document.get("security").is_none(), "how callers say who they are is not known");
}

#[test]
fn listed_routes_are_described_as_far_as_they_are_known() {
    let document = shop(
        r#"[capability.stock]
           service = "http://127.0.0.1:1"
           http = true
           database = { env = "UNUSED" }
           routes = ["GET /stock/{item}/count"]
           move = """#,
    );
    sound::check(&document);
    let operation = &document["paths"]["/stock/{item}/count"]["get"];
    assert_eq!(operation["operationId"], "GET_stock_item_count");
    assert_eq!(operation["parameters"][0]["schema"], json!({"type": "string"}));
}
