//! A request is one trace, whichever processes work for it and whenever they do.

use std::collections::HashMap;

use serde_json::{Value, json};
use trellis_testkit::{unique, wait_until};

use crate::http;
use crate::page;
use crate::people::{People, Person};
use crate::stack::{PATIENCE, Stack};

const PAGE: &str = include_str!("../../../../docs/observability.md");
const CALLER: &str = "00f067aa0ba902b7";

/// One trace, as it is kept.
struct Trace {
    spans: HashMap<String, Span>,
}

#[derive(Debug)]
struct Span {
    service: String,
    name: String,
    parent: String,
}

impl Trace {
    async fn read(stack: &Stack, id: &str) -> Self {
        let asked = format!("GET /api/traces/{id}");
        let (status, body) = http::send(&stack.sandbox(), &asked, "", "").await;
        let trace: Value = match status {
            200 => serde_json::from_str(&body).unwrap(),
            _ => json!({"batches": []}),
        };
        let mut spans = HashMap::new();
        for batch in trace["batches"].as_array().unwrap() {
            let service = &batch["resource"]["attributes"][0]["value"]["stringValue"];
            for span in batch["scopeSpans"][0]["spans"].as_array().unwrap() {
                let text = |name: &str| span[name].as_str().unwrap().to_owned();
                let service = service.as_str().unwrap().to_owned();
                let read = Span { service, name: text("name"), parent: text("parentSpanId") };
                spans.insert(text("spanId"), read);
            }
        }
        Self { spans }
    }

    /// Whether there are such spans, each `service: name`, each the parent of the next, from the caller's on.
    fn has(&self, chain: &str) -> bool {
        let chain: Vec<&str> = chain.split(" > ").collect();
        self.spans.values().any(|last| {
            let mut wanted = chain.iter().rev();
            let mut span = last;
            while wanted.next() == Some(&&*span.text()) {
                let Some(parent) = self.spans.get(&span.parent) else {
                    return span.parent == CALLER && wanted.next().is_none();
                };
                span = parent;
            }
            false
        })
    }

    fn text(&self) -> String {
        let mut lines: Vec<_> = self
            .spans
            .iter()
            .map(|(id, span)| format!("{id} < {}: {}", span.parent, span.text()))
            .collect();
        lines.sort();
        lines.join("\n")
    }
}

impl Span {
    fn text(&self) -> String {
        format!("{}: {}", self.service, self.name)
    }
}

/// Sends a request that asks to be traced, and waits until its trace has all these chains; the trace's id.
async fn traced(
    stack: &Stack,
    line: &str,
    headers: &str,
    body: &Value,
    chains: &[String],
) -> String {
    let id = format!("{:032x}", u128::from_ne_bytes(ficus_process::random::bytes()));
    let key = unique("write");
    let headers =
        format!("traceparent: 00-{id}-{CALLER}-01\r\nIdempotency-Key: {key}\r\n{headers}");
    let (status, said) = http::send(&stack.gateway(), line, &headers, &body.to_string()).await;
    assert_eq!(status, 200, "{said}");
    for chain in chains {
        let whole =
            wait_until(chain, PATIENCE / 2, async || Trace::read(stack, &id).await.has(chain));
        let found = tokio::time::timeout(PATIENCE / 4, whole).await.is_ok();
        assert!(found, "{chain} is not in\n{}", Trace::read(stack, &id).await.text());
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_up_to_the_delivered_mail() {
    let stack = Stack::start().await;
    let person = People::of(&stack).new_person().await;
    stack.copied().await;
    stack.switch(true).await;
    signed_up(&stack).await;
    let id = chosen(&stack, &person).await;
    for line in page::blocks(PAGE).into_iter().flat_map(str::lines) {
        let typed = stack.typed(&line.replace("TRACE_ID", &id));
        assert_eq!(typed.status, Some(0), "{typed:?}");
        let says = if line.contains("TRACE_ID") { "gateway PUT /v1/notification" } else { &id };
        assert!(typed.out.contains(says), "{typed:?}");
    }
}

/// HTTP, SQL, outbox, relay, Kafka, consumer, SQL, gRPC, SMTP.
async fn signed_up(stack: &Stack) {
    let request = "gateway: POST > gateway: POST > monolith: POST /v1/sign-up";
    let event = format!(
        "{request} > monolith: create trellis.auth.v1 > monolith: send trellis.auth.v1 \
         > notifications: process trellis.auth.v1"
    );
    let mail = format!("{event} > notifications: deliver a mail");
    let directory = "trellis.auth.v1.Directory/LookUp";
    let chains = [
        format!("{request} > monolith: /trellis.auth.v1.Accounts/SignUp"),
        format!("{mail} > notifications: {directory} > monolith: {directory}"),
        format!("{mail} > notifications: send mail > sandbox: take a mail"),
        format!("{mail} > notifications: record a mail"),
    ];
    let body = json!({
        "email": format!("{}@example.org", unique("person")),
        "name": "Somebody",
        "password": "correct horse battery staple",
    });
    traced(stack, "POST /v1/sign-up", "", &body, &chains).await;
}

/// HTTP, gRPC, SQL, outbox, relay; the trace's id.
async fn chosen(stack: &Stack, person: &Person) -> String {
    let route = "/v1/notification-preferences";
    let rpc = "trellis.notifications.v1.Preferences/UpdatePreferences";
    let introspection = "trellis.auth.v1.Sessions/Introspect";
    let topic = "trellis.notifications.v1";
    let call = format!("gateway: PUT {route} > gateway: {rpc} > notifications: {rpc}");
    let chains = [
        format!("gateway: PUT {route} > gateway: {introspection} > monolith: {introspection}"),
        format!("{call} > notifications: /{rpc}"),
        format!("{call} > notifications: create {topic} > notifications: send {topic}"),
    ];
    let kind = json!({"kind": "KIND_MENTION", "in_app": true, "email": false});
    let headers = format!("Authorization: Bearer {}\r\n", person.token());
    let body = json!({"preferences": [kind]});
    traced(stack, &format!("PUT {route}"), &headers, &body, &chains).await
}
