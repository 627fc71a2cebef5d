//! `ficus trace`, and what any verb does when its reader has gone.

use std::fs::File;

use serde_json::{Value, json};

use crate::store::{answering, ficus, said, trace};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_trace_is_drawn() {
    let from = format!("http://{}", answering("200 OK", &trace()));
    let traceparent = format!("00-{ID}-00f067aa0ba902b7-01");
    let (status, out, err) = said(&mut ficus(&["trace", &traceparent, "--from", &from]));
    let wanted = "\
trace 4bf92f3577b34da6a3ce929d0e0e4736
1 span of 1 service, 2.0 ms, 0 errors; began 2023-11-14T22:13:20Z
                                     kind          start       took
gateway GET /v1/inbox                server         0 µs     2.0 ms  ━━━━━━━━━━━
";
    assert_eq!((status, out.as_str(), err.as_str()), (0, wanted, ""));
}

#[test]
fn a_trace_is_json_for_machines() {
    let from = format!("http://{}/", answering("200 OK", &trace()));
    let (status, out, _) = said(ficus(&["trace", ID, "--json"]).env("FICUS_TRACES", from));
    let found: Value = serde_json::from_str(&out).unwrap();
    let span = json!({
        "span_id": "00f067aa0ba902b7",
        "parent_span_id": null,
        "links": [],
        "service": "gateway",
        "name": "GET /v1/inbox",
        "kind": "server",
        "start_unix_nano": 1_700_000_000_000_000_000_u64,
        "end_unix_nano": 1_700_000_000_002_000_000_u64,
        "attributes": {},
        "status": "unset",
        "status_message": "",
        "place": "root",
        "below": null,
    });
    assert_eq!((status, found), (0, json!({ "trace_id": ID, "spans": [span] })));
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn the_latest_traces_are_listed() {
    let one = json!({
        "traceID": "bf92f3577b34da6a3ce929d0e0e4736",
        "rootServiceName": "gateway",
        "rootTraceName": "POST /v1/users",
        "startTimeUnixNano": "1700000000000000000",
        "durationMs": 41,
        "serviceStats": { "gateway": { "spanCount": 2 }, "monolith": { "spanCount": 7, "errorCount": 1 } },
    });
    let from =
        format!("http://{}", answering("200 OK", &json!({ "traces": [one], "metrics": {} })));
    let (status, out, _) = said(&mut ficus(&["trace", "--from", &from]));
    let wanted = "\
trace                             spans  errors       took  root
0bf92f3577b34da6a3ce929d0e0e4736      9       1      41 ms  gateway POST /v1/users
";
    assert_eq!((status, out.as_str()), (0, wanted));
}

#[test]
fn what_fails_says_what_to_do() {
    let unknown = answering("404 Not Found", &json!("trace not found"));
    let broken = answering("500 Internal Server Error", &json!("no disk"));
    let nobody = "127.0.0.1:1".parse().unwrap();
    for (from, id, wanted) in [
        (
            unknown,
            ID,
            "knows no trace 4bf92f3577b34da6a3ce929d0e0e4736; a span arrives some seconds",
        ),
        (
            broken,
            ID,
            "or name another with --from: it answered 500 Internal Server Error: \"no disk\"",
        ),
        (nobody, ID, "start it, or name another with --from: Connection refused"),
        (unknown, "zzz", "\"zzz\" is no trace: give its id"),
    ] {
        let (status, out, err) =
            said(&mut ficus(&["trace", id, "--from", &format!("http://{from}")]));
        assert!(err.starts_with("ficus: ") && err.contains(wanted), "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
}

#[test]
fn a_reader_who_has_gone_is_no_error() {
    let from = format!("http://{}", answering("200 OK", &trace()));
    for more in [&["--json"][..], &[]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = ficus(&["trace", ID, "--from", &from]);
        let done = command.args(more).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
        assert_eq!(done.status.code(), Some(0));
    }
}

#[test]
fn nobody_who_reads_errors_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = ficus(&["trace", "zzz"]).stderr(writer).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "101 is a panic");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let from = format!("http://{}", answering("200 OK", &trace()));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let done = ficus(&["trace", ID, "--from", &from]).stdout(full).output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert!(err.starts_with("ficus: failed to write to standard output: No space left"), "{err}");
    assert_eq!(done.status.code(), Some(1));
}
