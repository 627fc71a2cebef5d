//! Passwords, session tokens and e-mail addresses stay where they belong: none is in a log, a trace, a metric or a
//! topic, whatever goes wrong with them.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use trellis_testkit::wait_until;

use crate::http;
use crate::stack::{PATIENCE, PROGRAMS, Stack};

const PASSWORD: &str = "canary-password-open-sesame";
const WRONG: &str = "canary-wrong-password-here";
const TOKEN: &str = "canary-token-0123456789abcdef";
const EMAIL: &str = "canary-person@example.org";
const STRANGER: &str = "canary-stranger@example.org";

async fn ask(stack: &Stack, line: &str, token: &str, body: &str) -> (u16, String) {
    ask_in(&trace(), stack, line, token, body).await
}

/// The id of a new trace.
fn trace() -> String {
    format!("{:032x}", u128::from_ne_bytes(ficus_process::random::bytes()))
}

/// Asks to be traced, so that every span of it is kept.
async fn ask_in(id: &str, stack: &Stack, line: &str, token: &str, body: &str) -> (u16, String) {
    let key = format!("key-{id}");
    let headers = format!(
        "traceparent: 00-{id}-00f067aa0ba902b7-01\r\nIdempotency-Key: {key}\r\nAuthorization: Bearer {token}\r\n"
    );
    http::send(&stack.gateway(), line, &headers, body).await
}

fn refused((status, answer): (u16, String)) {
    assert!((400..=422).contains(&status), "{status} {answer}");
}

/// Everything that a person does with what must stay secret, right and wrong; the session's token, and the id of the
/// sign-up's trace.
async fn live(stack: &Stack, email: &str) -> (String, String) {
    let sign_up = json!({"email": email, "name": "Somebody", "password": PASSWORD}).to_string();
    let trace = trace();
    let (status, answer) = ask_in(&trace, stack, "POST /v1/sign-up", TOKEN, &sign_up).await;
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
    (token.to_owned(), trace)
}

/// Passes on to the mail server, and from a moment on is one that refuses everybody by name.
async fn mail_server(listener: TcpListener, sandbox: SocketAddr, refuses: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, sandbox, refuses.clone()));
    }
}

async fn converse(
    mut stream: TcpStream,
    sandbox: SocketAddr,
    refuses: CancellationToken,
) -> std::io::Result<()> {
    if refuses.is_cancelled() {
        return refuse(stream).await;
    }
    let mut passed_on = TcpStream::connect(sandbox).await?;
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut passed_on) => {}
        () = refuses.cancelled() => {}
    }
    Ok(())
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stack = Stack::start_with(async |environment| {
        let (_, smtp) = environment.iter_mut().find(|(name, _)| *name == "SMTP_ADDRESS").unwrap();
        *smtp = address.to_string();
    })
    .await;
    let closing = CancellationToken::new();
    tokio::spawn(mail_server(listener, stack.smtp(), closing.clone()));

    let (first, _) = live(&stack, EMAIL).await;
    stack.copied().await;
    stack.switch(true).await;
    let (second, sent) = live(&stack, &format!("second-{EMAIL}")).await;
    let spans = || fs::read_to_string(stack.folder().join("spans.jsonl")).unwrap_or_default();
    let has = |trace: &str, name: &str| {
        spans().lines().any(|span| span.contains(trace) && span.contains(name))
    };
    wait_until("a mail was sent", PATIENCE, async || has(&sent, "take a mail")).await;
    closing.cancel();
    let (third, refused) = live(&stack, &format!("third-{EMAIL}")).await;
    wait_until("a mail was refused", PATIENCE, async || has(&refused, "send mail")).await;
    wait_until("the refusal is recorded", PATIENCE, async || {
        let statement = "SELECT count(*) FROM deliveries WHERE last_error LIKE '%550%'";
        sqlx::query_scalar::<_, i64>(statement).fetch_one(&stack.service).await.unwrap() > 0
    })
    .await;
    stack.has_sent("notifications").await;

    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    for program in PROGRAMS {
        let (status, metrics) = http::send(&stack.metrics(program), "GET /metrics", "", "").await;
        assert_eq!(status, 200, "{metrics}");
        kept.push((format!("the metrics of {program}"), metrics.into_bytes()));
        kept.push((format!("the log of {program}"), stack.log(program).into_bytes()));
    }
    let mut paths = Vec::new();
    files(stack.folder(), &mut paths);
    for path in paths {
        match fs::read(&path) {
            Ok(bytes) => kept.push((path.display().to_string(), bytes)),
            // The broker writes segments anew and removes them.
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{}", path.display()),
        }
    }
    // What they were in was kept where it is looked for, and where they belong they are found.
    let is_kept = |what: &str, place: &str| {
        let found = kept.iter().any(|(path, bytes)| path.contains(place) && contains(bytes, what));
        assert!(found, "{what} is not in {place}");
    };
    is_kept("trellis.events.v1.UserSignedUp", "trellis.auth.v1");
    is_kept(&refused, "spans.jsonl");
    is_kept("http_server_request_duration", "the metrics of gateway");
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
