//! The RPC's request, from body, query and path.

use ficus_routing::{Match, Payload, Rpc};
use ficus_rpc::{Error, json};
use prost_reflect::{DynamicMessage, Kind, ReflectMessage, Value};

/// Reads the body as JSON, then the query, then the path: a later one outdoes an earlier one.
pub fn request(
    rpc: &Rpc,
    found: &Match,
    query: Option<&str>,
    body: &[u8],
) -> Result<DynamicMessage, Error> {
    let input = rpc.method.input();
    let mut message = match &rpc.payload {
        Payload::None | Payload::Whole => json::decode_dynamic(input, body)?,
        Payload::Field(name) => within(DynamicMessage::new(input), name, body)?,
    };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        json::set(&mut message, &name, &value)?;
    }
    for (name, value) in &*found.fields {
        json::set(&mut message, name, value)?;
    }
    Ok(message)
}

/// The message with the body as one of its fields.
fn within(mut message: DynamicMessage, name: &str, body: &[u8]) -> Result<DynamicMessage, Error> {
    let field = message.descriptor().get_field_by_name(name);
    let field = field.ok_or_else(|| bad_request(format!("there is no field {name}")))?;
    let Kind::Message(inner) = field.kind() else {
        return Err(bad_request(format!("{name} cannot be a body")));
    };
    message.set_field(&field, Value::Message(json::decode_dynamic(inner, body)?));
    Ok(message)
}

fn bad_request(detail: String) -> Error {
    Error::invalid("bad_request", detail)
}

#[cfg(test)]
mod tests {
    use ficus_routing::{CapabilityRoutes, RouteTable};
    use http::Method;

    use super::*;

    fn read(method: &Method, path: &str, query: &str, body: &str) -> Result<String, Error> {
        let packages = ["trellis.notifications.v1".to_owned(), "trellis.core.v1".to_owned()];
        let capability = CapabilityRoutes { name: "n", packages: &packages, routes: &[] };
        let pool = &trellis_contracts::DESCRIPTOR_POOL;
        let table = RouteTable::build(Some(pool), &[capability]).expect("a table");
        let found = table.find(method, path).expect("a route");
        let rpc = found.route.rpc.as_ref().expect("an RPC");
        let message = request(rpc, &found, Some(query), body.as_bytes())?;
        Ok(String::from_utf8(json::encode_dynamic(&message)).expect("JSON is UTF-8"))
    }

    #[test]
    fn the_query_fills_the_request_of_a_read() {
        let request =
            read(&Method::GET, "/v1/inbox", "page_size=7&page_token=a%2Fb&unread_only=true", "");
        assert_eq!(
            request.expect("a request"),
            r#"{"page_size":7,"page_token":"a/b","unread_only":true}"#
        );
    }

    #[test]
    fn the_path_outdoes_the_body_and_no_body_is_an_empty_one() {
        let path = "/v1/inbox/9007199254740993/read";
        for body in ["", "{}", r#"{"notification_id":1}"#] {
            let request = read(&Method::POST, path, "", body).expect("a request");
            assert_eq!(request, r#"{"notification_id":9007199254740993}"#);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let deep = format!("{}=1", vec!["a"; 4_000].join("."));
        let read = |path, query, body| {
            let method = if path == "/v1/inbox" { &Method::GET } else { &Method::POST };
            read(method, path, query, body).expect_err("a refusal").detail
        };
        assert_eq!(read("/v1/inbox", "page_size=x", ""), "page_size has no such value");
        assert_eq!(read("/v1/inbox", "colour=red", ""), "there is no field colour");
        assert_eq!(read("/v1/inbox", &deep, ""), "a field is 32 messages deep at most");
        assert_eq!(read("/v1/inbox/x/read", "", ""), "notification_id has no such value");
        assert!(read("/v1/inbox/1/read", "", "{").starts_with("failed to read the body"));
        assert!(read("/v1/inbox/1/read", "", r#"{"colour":1}"#).contains("colour"));
    }
}
