//! A trace for machines: its spans in the order of the tree, each saying where it stands.

use serde_json::{Value, json};

use super::{
    otlp::{Link, Span},
    tree::{At, Place, Row},
};

pub(super) fn trace(id: &str, rows: &[Row<'_>]) -> Value {
    let spans: Vec<Value> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Span(at) => Some(place(at)),
            Row::Linked { .. } => None,
        })
        .collect();
    json!({ "trace_id": id, "spans": spans })
}

fn place(at: &At<'_>) -> Value {
    let mut value = span(at.span);
    value["place"] = match at.place {
        Place::Root => "root",
        Place::Child => "child",
        Place::Linked => "linked",
        Place::Orphan => "orphan",
    }
    .into();
    value["below"] = at.below.into();
    value
}

fn span(span: &Span) -> Value {
    json!({
        "span_id": span.id,
        "parent_span_id": span.parent,
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "start_unix_nano": span.start,
        "end_unix_nano": span.end,
        "attributes": span.attributes,
        "status": span.status,
        "status_message": span.message,
    })
}

fn link(link: &Link) -> Value {
    json!({ "trace_id": link.trace, "span_id": link.span })
}
