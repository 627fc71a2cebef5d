//! Which capability a method and a path belong to.

use ficus_routing::{CapabilityRoutes, Payload, RouteTable, TableError};
use http::Method;
use prost_reflect::DescriptorPool;

const HTTP: &str = r#"
syntax = "proto3";
package google.api;
message HttpRule {
  string selector = 1;
  oneof pattern { string get = 2; string put = 3; string post = 4; string delete = 5; string patch = 6; }
  string body = 7;
  string response_body = 12;
  repeated HttpRule additional_bindings = 11;
}
"#;
const ANNOTATIONS: &str = r#"
syntax = "proto3";
package google.api;
import "google/api/http.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { HttpRule http = 72295728; }
"#;

/// A descriptor set with one service, whose methods are these.
fn pool(methods: &str) -> DescriptorPool {
    let shop = format!(
        "syntax = \"proto3\"; package shop.v1; import \"google/api/annotations.proto\";
         service Shop {{ {methods} }}
         message Item {{ int64 id = 1; string name = 2; }}"
    );
    let folder =
        std::env::temp_dir().join(format!("ficus-routing-{}-{:p}", std::process::id(), &shop));
    std::fs::create_dir_all(folder.join("google/api")).expect("a folder");
    for (name, text) in [
        ("google/api/http.proto", HTTP),
        ("google/api/annotations.proto", ANNOTATIONS),
        ("shop.proto", &shop),
    ] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let mut compiler = protox::Compiler::new([&folder]).expect("a compiler");
    compiler.include_imports(true).open_file("shop.proto").expect("a sound file");
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice());
    std::fs::remove_dir_all(folder).expect("the folder is removed");
    pool.expect("a pool")
}

fn annotated(methods: &str) -> Result<RouteTable, TableError> {
    let packages = ["shop.v1".to_owned()];
    let shop = CapabilityRoutes { name: "shop", packages: &packages, routes: &[] };
    RouteTable::build(Some(&pool(methods)), &[shop])
}

fn listed(routes: &[&str]) -> Result<RouteTable, TableError> {
    let routes: Vec<String> = routes.iter().map(|&route| route.to_owned()).collect();
    RouteTable::build(None, &[CapabilityRoutes { name: "shop", packages: &[], routes: &routes }])
}

#[test]
fn annotations_make_routes_with_their_rpcs() {
    let table = annotated(
        r#"rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/v1/items/{id}"}; }
           rpc Put(Item) returns (Item) { option (google.api.http) = {
             put: "/v1/items/{id}" body: "*" additional_bindings {post: "/v1/items/{id}/put" body: "name"} }; }
           rpc Inside(Item) returns (Item);"#,
    )
    .expect("a table");
    let rpc = |method, path| {
        let found = table.find(&method, path)?;
        assert_eq!(*found.fields, [("id".to_owned(), "7".to_owned())]);
        let rpc = found.route.rpc.as_ref()?;
        Some((rpc.method.name().to_owned(), rpc.payload.clone()))
    };
    assert_eq!(rpc(Method::GET, "/v1/items/7"), Some(("Get".to_owned(), Payload::None)));
    assert_eq!(rpc(Method::HEAD, "/v1/items/7"), Some(("Get".to_owned(), Payload::None)));
    assert_eq!(rpc(Method::PUT, "/v1/items/7"), Some(("Put".to_owned(), Payload::Whole)));
    let field = Payload::Field("name".to_owned());
    assert_eq!(rpc(Method::POST, "/v1/items/7/put"), Some(("Put".to_owned(), field)));
    assert_eq!(rpc(Method::DELETE, "/v1/items/7"), None);
}

#[test]
fn listed_routes_name_their_capability_and_nothing_else_does() {
    let table = listed(&["GET /shop/{a}", "POST /shop/{b}/pay"]).expect("a table");
    let found = table.find(&Method::POST, "/shop/7/pay").expect("a route");
    assert_eq!(&*found.route.capability, "shop");
    assert!(found.route.rpc.is_none());
    for path in ["/shop", "/shop/", "/shop/7/pay/", "/shop/7/8", "/"] {
        assert!(table.find(&Method::POST, path).is_none(), "{path}");
    }
}

#[test]
fn another_spelling_of_a_path_is_the_same_path() {
    let table = listed(&["GET /shop/{a}/b"]).expect("a table");
    for (path, field) in [
        ("/%73hop/7/b", "7"),
        ("/shop/%37/%62", "7"),
        ("/shop/a%2Fb/b", "a/b"),
        ("/shop/%2541/b", "%41"),
        ("/shop/%/b", "%"),
        ("/shop/%C3%A9/b", "é"),
        ("/shop/é/b", "é"),
    ] {
        let found = table.find(&Method::GET, path).unwrap_or_else(|| panic!("{path} has a route"));
        assert_eq!(found.fields[0].1, field, "{path}");
    }
}

#[test]
fn the_whole_contract_has_the_routes_of_packages_that_nobody_names() {
    let pool = pool(
        r#"rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/items/{id}"}; }
           rpc Again(Item) returns (Item) { option (google.api.http) = {get: "/items/{name}"}; }
           rpc All(Item) returns (stream Item) { option (google.api.http) = {get: "/all"}; }
           rpc Put(Item) returns (Item) { option (google.api.http) = {put: "/items/{name}" body: "*"}; }"#,
    );
    let (whole, left_out) = RouteTable::default().completed(&pool, &[], "monolith");
    let routes: Vec<_> = whole.routes().iter().map(|route| &*route.template).collect();
    assert_eq!(routes, ["/items/{id}", "/items/{name}"]);
    assert_eq!(whole.routes()[0].pattern(), whole.routes()[1].pattern());
    assert_eq!(whole.routes()[1].fields(), ["name"]);
    assert_eq!(&*whole.routes()[0].capability, "monolith");
    assert!(whole.capabilities().is_empty(), "nothing of it moves");
    let [TableError::Twice { .. }, TableError::Unsupported { .. }] = left_out.as_slice() else {
        panic!("{left_out:?}")
    };
    let packages = ["shop.v1".to_owned()];
    let shop = CapabilityRoutes { name: "shop", packages: &packages, routes: &[] };
    let (whole, left_out) = RouteTable::default().completed(&pool, &[shop], "monolith");
    assert!(whole.routes().is_empty() && left_out.is_empty(), "it is named");
}

#[test]
fn what_cannot_be_routed_is_refused() {
    for methods in [
        r#"rpc A(stream Item) returns (Item) { option (google.api.http) = {get: "/a"}; }"#,
        r#"rpc A(Item) returns (stream Item) { option (google.api.http) = {get: "/a"}; }"#,
        r#"rpc A(Item) returns (Item) { option (google.api.http) = {get: "/a" response_body: "name"}; }"#,
        r#"rpc A(Item) returns (Item) { option (google.api.http) = {get: "/{name=a/*}"}; }"#,
        r#"rpc A(Item) returns (Item) { option (google.api.http) = {get: "/a/**"}; }"#,
        r#"rpc A(Item) returns (Item) { option (google.api.http) = {get: "/a:verb"}; }"#,
        r#"rpc A(Item) returns (Item) { option (google.api.http) = {body: "*"}; }"#,
    ] {
        let refused = annotated(methods);
        assert!(matches!(refused, Err(TableError::Unsupported { .. })), "{methods}: {refused:?}");
    }
    for line in ["/shop", "GET shop", "G@T /shop", "GET /shop/{a", "GET /{a}b"] {
        assert!(matches!(listed(&[line]), Err(TableError::Malformed(_))), "{line}");
    }
    assert!(matches!(listed(&["GET /a", "GET /a"]), Err(TableError::Twice { .. })));
    let packages = ["nowhere.v1".to_owned()];
    let nowhere = CapabilityRoutes { name: "n", packages: &packages, routes: &[] };
    let refused = RouteTable::build(Some(&pool("")), &[nowhere]);
    assert!(matches!(refused, Err(TableError::UnknownPackage { .. })));
    assert!(matches!(RouteTable::build(None, &[nowhere]), Err(TableError::NoDescriptors(_))));
}
