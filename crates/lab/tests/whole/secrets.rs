//! Passwords, session tokens and e-mail addresses stay where they belong: none is in a log, a trace, a metric or a
//! topic, whatever goes wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use trellis_testkit::wait_until;

use crate::http;
use crate::stack::{PATIENCE, PROGRAMS, Stack};

const PASSWORD: &str = "canary-password-open-sesame";
const WRONG: &str = "canary-wrong-password-here";
const TOKEN: &str = "canary-token-0123456789abcdef";
const EMAIL: &str = "canary-person@example.org";
const STRANGER: &str = "canary-stranger@example.org";

/// Asks to be traced, so that every span of it is kept.
async fn ask(stack: &Stack, line: &str, token: &str, body: &str) -> (u16, String) {
    let id = format!("{:032x}", u128::from_ne_bytes(ficus_process::random::bytes()));
    let key = format!("key-{id}");
    let headers = format!(
        "traceparent: 00-{id}-00f067aa0ba902b7-01\r\nIdempotency-Key: {key}\r\nAuthorization: Bearer {token}\r\n"
    );
    http::send(&stack.gateway(), line, &headers, body).await
}

fn refused((status, answer): (u16, String)) {
    assert!((400..=422).contains(&status), "{status} {answer}");
}

/// Everything that a person does with what must stay secret, right and wrong; the session's token.
async fn live(stack: &Stack, email: &str) -> String {
    let sign_up = json!({"email": email, "name": "Somebody", "password": PASSWORD}).to_string();
    let (status, answer) = ask(stack, "POST /v1/sign-up", TOKEN, &sign_up).await;
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let (token, workspace) = (answer["token"].as_str().unwrap(), &answer["workspace_id"]);
    let sign_in = |password: &str| json!({"email": email, "password": password}).to_string();
    refused(ask(stack, "POST /v1/sign-up", TOKEN, &sign_up).await);
    assert_eq!(ask(stack, "POST /v1/sign-in", TOKEN, &sign_in(PASSWORD)).await.0, 200);
    refused(ask(stack, "POST /v1/sign-in", TOKEN, &sign_in(WRONG)).await);
    let short = json!({"email": STRANGER, "name": "", "password": "canary-wrong"}).to_string();
    refused(ask(stack, "POST /v1/sign-up", TOKEN, &short).await);
    for broken in [
        format!("{{\"email\": \"{email}\", \"password\": {PASSWORD}}}"),
        format!("{{\"email\": 5, \"password\": \"{PASSWORD}\"}}"),
        format!("{{\"{PASSWORD}\": \"{email}\"}}"),
        format!("{{\"email\": \"{email}\", \"password\": [\"{PASSWORD}\"]}}"),
        format!("\"{PASSWORD}"),
    ] {
        refused(ask(stack, "POST /v1/sign-in", TOKEN, &broken).await);
    }
    let members = format!("POST /v1/workspaces/{workspace}/members");
    let invited = json!({"email": STRANGER}).to_string();
    refused(ask(stack, &members, token, &invited).await);
    assert_eq!(ask(stack, "GET /v1/inbox", token, "").await.0, 200);
    refused(ask(stack, "GET /v1/inbox", TOKEN, "").await);
    let query = format!("GET /v1/inbox?page_token={TOKEN}&token={token}&email={email}");
    refused(ask(stack, &query, token, "").await);
    token.to_owned()
}

/// A mail server that refuses everybody by name.
async fn refuse_mails(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(refuse(stream));
    }
}

async fn refuse(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail\r\n").await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let answer = match line.split(':').next().unwrap_or_default() {
            "RCPT TO" => format!("550 5.1.1 no such person:{}", &line["RCPT TO:".len()..]),
            _ => "250 ok\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// The broker's segments, what the programs have said and the spans; addresses belong into the mail server's file.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&path, found),
            Ok(_) if path.extension().is_some_and(|kind| kind == "log") => found.push(path),
            Ok(_) if path.ends_with("spans.jsonl") => found.push(path),
            _ => {}
        }
    }
}

fn contains(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|part| part == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_a_trace_a_metric_or_a_topic() {
    let mut stack = Stack::start().await;
    let first = live(&stack, EMAIL).await;
    stack.copied().await;
    stack.switch(true).await;
    let second = live(&stack, &format!("second-{EMAIL}")).await;
    stack.has_sent("notifications").await;
    wait_until("the spans of both have arrived", PATIENCE, async || {
        let spans = fs::read_to_string(stack.folder().join("spans.jsonl")).unwrap_or_default();
        spans.contains("take a mail") && spans.contains("Introspect")
    })
    .await;
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    for program in PROGRAMS {
        let metrics = http::send(&stack.metrics(program), "GET /metrics", "", "").await.1;
        kept.push((format!("the metrics of {program}"), metrics.into_bytes()));
    }

    let smtp = stack.smtp();
    kept.push(("the log of sandbox".to_owned(), stack.log("sandbox").into_bytes()));
    stack.kill("sandbox");
    tokio::spawn(refuse_mails(TcpListener::bind(smtp).await.unwrap()));
    let third = live(&stack, &format!("third-{EMAIL}")).await;
    wait_until("a mail was refused", PATIENCE, async || {
        let statement = "SELECT count(*) FROM deliveries WHERE last_error LIKE '%550%'";
        sqlx::query_scalar::<_, i64>(statement).fetch_one(&stack.service).await.unwrap() > 0
    })
    .await;

    for program in PROGRAMS.into_iter().filter(|program| *program != "sandbox") {
        kept.push((format!("the log of {program}"), stack.log(program).into_bytes()));
    }
    let mut paths = Vec::new();
    files(stack.folder(), &mut paths);
    assert!(
        paths.iter().any(|path| path.to_string_lossy().contains("trellis.auth.v1")),
        "no topic"
    );
    for path in paths {
        if let Ok(bytes) = fs::read(&path) {
            kept.push((path.display().to_string(), bytes));
        }
    }
    // They were under way: where they belong they are found.
    assert!(contains(&fs::read(stack.mail_file()).unwrap(), "canary-person"));
    let secrets =
        [PASSWORD, WRONG, TOKEN, "canary-person", "canary-stranger", &first, &second, &third];
    let leaks: Vec<_> = kept
        .iter()
        .flat_map(|(place, bytes)| {
            let leaked = secrets.iter().filter(|secret| contains(bytes, secret));
            leaked.map(move |secret| format!("{secret} is in {place}"))
        })
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
