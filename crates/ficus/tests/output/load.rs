//! `ficus load` against servers of the test.

use std::{
    io::BufRead as _,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::transport::{Server, server::TcpIncoming};

use crate::store::{answering, ficus, said};

/// A gRPC server with health and reflection, for as long as the runtime lives.
fn grpc(runtime: &Runtime) -> SocketAddr {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_, health) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .unwrap();
        let server = Server::builder().add_service(health).add_service(reflection);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        address
    })
}

fn load(target: &str, more: &[&str]) -> (i32, String, String) {
    let common = ["load", target, "--for", "2s", "--warm-up", "0s", "--threads", "1"];
    said(&mut ficus(&[&common[..], more].concat()))
}

#[test]
fn a_grpc_method_is_called_by_reflection() {
    let runtime = Runtime::new().unwrap();
    let target = format!("grpc://{}/grpc.health.v1.Health/Check", grpc(&runtime));
    let file = std::env::temp_dir().join(format!("load-{}.json", std::process::id()));
    let out = file.to_str().unwrap();
    let (status, out, err) = load(&target, &["--rate", "50", "--json", "--out", out]);
    let told: Value = serde_json::from_str(&out).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(told, written);
    assert_eq!(
        (told["sent"].clone(), told["ok"].clone()),
        (json!(100), json!(100)),
        "{told} {err}"
    );
    for field in [
        "schema",
        "commit",
        "seed",
        "started_at",
        "broker",
        "postgres",
        "target",
        "target_rate",
        "achieved_rate",
        "duration_s",
        "shed",
        "errors",
        "latency_ms",
        "service_ms",
        "histogram",
        "void",
        "why_void",
    ] {
        assert!(told.get(field).is_some(), "{field}");
    }
    // On a machine that is busy with other things the run may be void, and says so.
    assert_eq!(status, if told["void"] == json!(true) { 2 } else { 0 }, "{told}");
    assert_eq!(status == 2, err.contains("void: "), "{err}");
}

#[test]
fn a_method_that_streams_is_answered_when_the_stream_ends() {
    let runtime = Runtime::new().unwrap();
    let address = grpc(&runtime);
    let target =
        format!("grpc://{address}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    let questions =
        r#"[{"listServices": "${number}"}, {"host": "h", "listServices": "${number}"}]"#;
    let checks = ["--check", "/1/originalRequest/host=h", "--check", "grpc.health.v1.Health"];
    let (_, out, err) =
        load(&target, &[&["--rate", "20", "--json", "--body", questions], &checks[..]].concat());
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((&told["ok"], &told["errors"]), (&json!(40), &json!({})), "{err}");
}

#[test]
fn what_a_grpc_target_does_not_have_is_told_in_one_line() {
    let runtime = Runtime::new().unwrap();
    let address = grpc(&runtime);
    for (path, more, wanted) in [
        ("grpc.health.v1.Health/Chek", &[][..], "has no method Chek; it has Check, Watch\n"),
        ("no.Such/Check", &[], "has no no.Such: "),
        (
            "grpc.health.v1.Health/Check",
            &["--body", "{\"servise\":\"\"}"],
            "the body is no grpc.health.v1.HealthCheckRequest in JSON: ",
        ),
        (
            "grpc.health.v1.Health/Check",
            &["--body", "{\"service\": ${number}}"],
            "in JSON (${number} has a place in texts only): ",
        ),
        ("grpc.health.v1.Health/Check", &["--expect", "200"], "are for HTTP targets"),
        ("grpc.health.v1.Health/Check", &["--check", ""], "an empty check says nothing"),
    ] {
        let (status, out, err) = load(&format!("grpc://{address}/{path}"), more);
        assert!(err.contains(wanted) && err.lines().count() == 1, "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
}

#[test]
fn a_target_that_is_down_or_speaks_something_else_is_told_in_one_line() {
    let answers = answering("200 OK", &json!({}));
    for (target, wanted) in [
        (
            "http://127.0.0.1:9/".to_owned(),
            "nothing listens at 127.0.0.1:9; start the target first: Connection refused",
        ),
        (
            format!("grpc://{answers}/a.B/C"),
            "cannot be called by gRPC: it speaks HTTP/1.1; say http://\n",
        ),
        ("http://nowhere.invalid/".to_owned(), "no host nowhere.invalid is known; is it the right"),
    ] {
        let (status, out, err) = load(&target, &[]);
        assert!(err.contains(wanted) && err.lines().count() == 1, "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
}

#[test]
fn tls_that_fails_is_told_in_one_line() {
    let plain = answering("200 OK", &json!({}));
    for scheme in ["https", "grpcs"] {
        let (status, out, err) = load(&format!("{scheme}://{plain}/a.B/C"), &[]);
        let wanted = format!("{plain} does not speak TLS; http:// and grpc:// do without: ");
        assert!(err.contains(&wanted) && err.lines().count() == 1, "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
    let (status, _, err) = load(&format!("https://{plain}/"), &["--ca", "Cargo.toml"]);
    assert!(err.contains("Cargo.toml holds no certificates in PEM: there is no"), "{err}");
    assert_eq!(status, 1);
}

#[test]
fn an_answer_that_is_wrong_however_fast_is_an_error_of_its_check() {
    let target = format!("http://{}/", answering("200 OK", &json!({"id": 7})));
    let checks = ["--rate", "20", "--check", "/id=7", "--check", "/id=8"];
    let (status, out, err) = load(&target, &checks);
    assert!(err.contains("was answered as wanted: check /id=8: it is 7\n"), "{err}");
    assert!(out.contains("check /id=8"), "{out}");
    assert_eq!(status, 2);
    let runtime = Runtime::new().unwrap();
    let target = format!("grpc://{}/grpc.health.v1.Health/Check", grpc(&runtime));
    let (_, out, err) =
        load(&target, &["--rate", "20", "--check", "/status=SERVING", "--check", "schema"]);
    assert!(!err.contains("was answered as wanted"), "{out}{err}");
}

#[test]
fn a_grpc_server_that_is_asked_by_http_is_told() {
    let runtime = Runtime::new().unwrap();
    let (status, _, err) = load(&format!("http://{}/", grpc(&runtime)), &["--rate", "5"]);
    assert!(err.contains("it speaks HTTP/2; say grpc://"), "{err}");
    assert_eq!(status, 2);
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_sent() {
    let target = format!("http://{}/", answering("200 OK", &json!({})));
    let file = std::env::temp_dir().join(format!("arrivals-{}.log", std::process::id()));
    std::fs::write(&file, "1\n1764323999\n").unwrap();
    for (flags, wanted) in [
        (&["--body", "not json"][..], "the body is no JSON; say by a header Content-Type"),
        (
            &["--find-capacity", "--slo", "p99<1s", "--rate", "1..9"],
            "say the first one, as --rate 100",
        ),
        (&["--expect", "ok"], "\"ok\" is no status; say 200, or 200,404"),
    ] {
        let (status, out, err) = load(&target, flags);
        assert!(err.contains(wanted), "{err}");
        assert_eq!((status == 0, out.as_str()), (false, ""));
    }
    let replay = ["load", &target, "--replay", file.to_str().unwrap()];
    let (status, _, err) = said(&mut ficus(&replay));
    std::fs::remove_file(file).unwrap();
    assert!(err.contains("lie 20420.4 days apart; say --for"), "{err}");
    assert_eq!(status, 1);
    let text = ["--body", "not json", "--header", "Content-Type: text/plain", "--rate", "5"];
    let (_, out, err) = load(&target, &text);
    assert!(out.contains("10 answered as wanted"), "{out}{err}");
}

#[test]
fn a_report_of_an_operation_is_named_after_it() {
    let shop =
        json!({"openapi": "3.1.0", "paths": {"/items": {"get": {"operationId": "Shop_List"}}}});
    let target = format!("http://{}", answering("200 OK", &shop));
    let (_, out, err) = load(&target, &["--rate", "5", "--operation", "Shop_List", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!(told["target"], json!(format!("{target} Shop_List")));
}

#[test]
fn where_nothing_was_answered_no_time_is_told() {
    let target = format!("http://{}/", answering("404 Not Found", &json!({})));
    let file = std::env::temp_dir().join(format!("nothing-{}.html", std::process::id()));
    let (status, _, _) = load(&target, &["--rate", "5", "--report", file.to_str().unwrap()]);
    let page = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(file).unwrap();
    assert!(page.contains("<dt>p99</dt><dd>– ms</dd>") && !page.contains(">0.0 ms"), "{status}");
    assert_eq!(status, 2);
}

#[test]
fn a_search_that_is_stopped_says_so() {
    let target = format!("http://{}/", answering("200 OK", &json!({})));
    let search =
        ["load", &target, "--find-capacity", "--slo", "p99<9s", "--rate", "5", "--for", "2s"];
    let mut command = ficus(&[&search[..], &["--warm-up", "0s"]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let interrupted = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.ends_with("; stopped before the search was over\n"), "{told}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_cannot_be_written_is_told_before_anything_is_sent_and_loses_nothing_after() {
    let target = format!("http://{}/", answering("200 OK", &json!({})));
    for flag in ["--out", "--report"] {
        let (status, out, err) = load(&target, &["--rate", "5", flag, "/nowhere/report"]);
        assert!(err.contains("/nowhere/report cannot be written: No such file"), "{err}");
        assert_eq!((status, out.as_str()), (1, ""));
    }
    let page = std::env::temp_dir().join(format!("kept-{}.html", std::process::id()));
    let files = ["--out", "/dev/full", "--report", page.to_str().unwrap()];
    let (status, out, err) = load(&target, &[&["--rate", "5"], &files[..]].concat());
    let written = std::fs::read_to_string(&page).unwrap();
    std::fs::remove_file(page).unwrap();
    assert!(written.contains("<html") && out.contains("10 answered as wanted"), "{out}");
    assert!(err.contains("failed to write /dev/full"), "{err}");
    assert_eq!(status, 1);
    let (_, _, err) =
        load(&target, &["--rate", "5", "--out", "/dev/full", "--report", "/dev/full"]);
    assert_eq!(err.matches("failed to write /dev/full").count(), 2, "{err}");
}

#[test]
fn what_was_not_waited_for_is_an_error() {
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/", deaf.local_addr().unwrap());
    let run = ["load", &target, "--rate", "10", "--for", "10m", "--timeout", "10m", "--json"];
    let mut command = ficus(&[&run[..], &["--warm-up", "0s"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let interrupt = || Command::new("kill").args(["-s", "INT", &pid]).status().unwrap();
    // The first is only tried; each request has one of its own.
    let _unanswered: Vec<_> = (0..16).map(|_| deaf.accept().unwrap()).collect();
    assert!(interrupt().success());
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ctrl-C once more") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended at the first");
    }
    assert!(interrupt().success());
    let output = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let abandoned = told["errors"]["abandoned"].as_u64().unwrap_or_default();
    assert!(abandoned >= 10 && told["sent"] == json!(abandoned), "{told}");
    assert_eq!((&told["latency_ms"], output.status.code()), (&Value::Null, Some(2)), "{told}");
}

#[test]
fn ctrl_c_ends_the_sending_and_the_report_is_told() {
    let target = format!("http://{}/", answering("200 OK", &json!({})));
    let mut command =
        ficus(&["load", &target, "--rate", "20", "--for", "10m", "--warm-up", "0s", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let interrupted = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((10..=100).contains(&told["ok"].as_u64().unwrap()), "{told}");
    assert!(told["duration_s"].as_f64().unwrap() < 10.0, "{told}");
}

#[test]
fn an_slo_makes_the_exit_status_a_verdict() {
    let target = format!("http://{}/", answering("503 Service Unavailable", &json!("busy")));
    let (status, out, err) = load(&target, &["--rate", "20", "--slo", "errors<1%"]);
    assert!(err.contains("not met: errors<1%: 100.000%\n"), "{err}");
    assert!(err.contains("was answered as wanted: status 503: \"busy\"\n"), "{err}");
    assert!(out.contains("status 503"), "{out}");
    assert_eq!(status, 2);
    let (_, _, err) =
        load(&target, &["--rate", "20", "--expect", "503", "--slo", "errors<1%,p50<10s"]);
    assert!(!err.contains("not met"), "{err}");
}
