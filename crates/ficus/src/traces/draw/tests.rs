use serde_json::Map;

use super::*;
use crate::traces::{otlp::Link, tree};

const MILLISECOND: u64 = 1_000_000;
const BEGAN: u64 = 1_700_000_000_000_000_000;

fn id(n: u8) -> String {
    format!("{n:016x}")
}

/// A span from millisecond to millisecond.
fn span(n: u8, parent: Option<u8>, service: &str, name: &str, time: (u64, u64)) -> Span {
    Span {
        id: id(n),
        parent: parent.map(id),
        links: Vec::new(),
        trace: "this".to_owned(),
        service: service.to_owned(),
        name: name.to_owned(),
        kind: "internal",
        start: BEGAN + time.0 * MILLISECOND,
        end: BEGAN + time.1 * MILLISECOND,
        attributes: Map::new(),
        status: "unset",
        message: String::new(),
    }
}

fn kind(kind: &'static str, span: Span) -> Span {
    Span { kind, ..span }
}

fn failed(message: &str, span: Span) -> Span {
    Span { status: "error", message: message.to_owned(), ..span }
}

fn linked(trace: &str, to: u8, span: Span) -> Span {
    Span { links: vec![Link { trace: trace.to_owned(), span: id(to) }], ..span }
}

#[track_caller]
fn is_drawn(spans: &[Span], wanted: &str) {
    let drawn = trace("this", &tree::rows(spans), 80);
    let wanted = wanted.trim_matches('\n');
    assert!(drawn == wanted, "drawn:\n{drawn}\nwanted:\n{wanted}");
}

#[test]
fn a_request_is_drawn_as_a_tree_with_its_times() {
    let publish = kind("producer", span(5, Some(2), "monolith", "publish", (30, 35)));
    is_drawn(
        &[
            failed(
                "the mail server does not answer within its five seconds, and this was the last try",
                kind("client", span(7, Some(6), "notifications", "smtp", (60, 100))),
            ),
            kind("server", span(1, None, "gateway", "POST /v1/users", (0, 40))),
            kind("server", span(2, Some(1), "monolith", "POST /v1/users", (2, 38))),
            span(4, Some(2), "monolith", "a name that is far too long for its column", (20, 30)),
            span(3, Some(2), "monolith", "hash", (3, 20)),
            kind("consumer", linked("this", 5, span(6, None, "notifications", "process", (50, 100)))),
            publish,
        ],
        "
trace this
7 spans of 3 services, 100.0 ms, 1 error; began 2023-11-14T22:13:20Z
                                     kind          start       took
gateway POST /v1/users               server         0 µs    40.0 ms  ━━━━━
└─ monolith POST /v1/users           server       2.0 ms    36.0 ms  ━━━━━
   ├─ monolith hash                  internal     3.0 ms    17.0 ms  ━━━
   ├─ monolith a name that is far …  internal    20.0 ms    10.0 ms    ━━
   └─ monolith publish               producer    30.0 ms     5.0 ms     ━
      └─ linked
         └─ notifications process    consumer    50.0 ms    50.0 ms       ━━━━━━
            └─ notifications smtp    client      60.0 ms    40.0 ms        ━━━━━
                  ! error: the mail server does not answer within its five seconds, and this was the last try
",
    );
}

#[test]
fn a_span_without_its_parent_stands_at_the_root_and_says_so() {
    is_drawn(
        &[span(2, Some(9), "relay", "send", (1, 2)), span(1, None, "gateway", "GET /", (0, 2))],
        "
trace this
2 spans of 2 services, 2.0 ms, 0 errors; began 2023-11-14T22:13:20Z
                                     kind          start       took
gateway GET /                        internal       0 µs     2.0 ms  ━━━━━━━━━━━
relay send                           internal     1.0 ms     1.0 ms       ━━━━━━
   ? its parent 0000000000000009 is not in the trace
",
    );
}

#[test]
fn what_is_said_of_a_span_does_not_break_the_lines_of_the_tree() {
    is_drawn(
        &[
            linked("other", 3, failed("", span(1, None, "a", "root", (0, 4)))),
            failed("\u{1b}[2Jgone", span(2, Some(1), "a", "first", (0, 1))),
            span(3, Some(1), "a", "second", (1, 4)),
        ],
        "
trace this
3 spans of 1 service, 4.0 ms, 2 errors; began 2023-11-14T22:13:20Z
                                     kind          start       took
a root                               internal       0 µs     4.0 ms  ━━━━━━━━━━━
│  ! error: no message
│  ~ linked to trace other
├─ a first                           internal       0 µs     1.0 ms  ━━━
│     ! error: \u{fffd}[2Jgone
└─ a second                          internal     1.0 ms     3.0 ms    ━━━━━━━━━
",
    );
}

#[test]
fn every_span_is_drawn_once_whatever_its_parents_say() {
    let spans = [
        span(1, Some(2), "a", "parent of its parent", (0, 1)),
        span(2, Some(1), "a", "child of its child", (0, 1)),
        span(3, Some(3), "a", "parent of itself", (0, 1)),
        linked("this", 4, span(4, None, "a", "linked to itself", (0, 1))),
        span(4, None, "a", "a second span of this id", (0, 1)),
    ];
    let drawn = trace("this", &tree::rows(&spans), 80);
    for name in ["parent of its pa", "child of its chi", "parent of itself", "linked to itself"] {
        assert_eq!(drawn.matches(name).count(), 1, "{name}:\n{drawn}");
    }
    assert!(!drawn.contains("second span"), "{drawn}");
}

#[test]
fn a_chain_of_many_spans_is_put_in_order() {
    let spans: Vec<Span> = (1_u32..=20_000)
        .map(|n| Span {
            id: format!("{n:016x}"),
            parent: Some(format!("{:016x}", n - 1)),
            ..span(0, None, "a", "deeper", (0, 1))
        })
        .collect();
    assert_eq!(tree::rows(&spans).len(), spans.len());
}

#[test]
fn a_trace_that_took_no_time_has_a_bar() {
    is_drawn(
        &[span(1, None, "a", "instant", (0, 0))],
        "
trace this
1 span of 1 service, 0 µs, 0 errors; began 2023-11-14T22:13:20Z
                                     kind          start       took
a instant                            internal       0 µs       0 µs  ━
",
    );
}

#[test]
fn times_are_short() {
    for (nanoseconds, text) in [
        (0, "0 µs"),
        (999_999, "999 µs"),
        (1_000_000, "1.0 ms"),
        (9_999_900_000, "9999.9 ms"),
        (10_000_000_000, "10.0 s"),
        (604_800_000_000_000, "604800.0 s"),
    ] {
        assert_eq!(time(nanoseconds), text);
    }
}
