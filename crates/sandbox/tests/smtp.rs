//! Mails go in by a real client and lie in the file when they are acknowledged.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor, message::header::ContentType,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trellis_testkit::{Program, free_address, unique};

struct Sandbox {
    _program: Program,
    smtp: SocketAddr,
    http: SocketAddr,
    file: PathBuf,
}

impl Sandbox {
    async fn start() -> Self {
        let (smtp, http) = (free_address(), free_address());
        let file = std::env::temp_dir().join(unique("mails"));
        let arguments = [
            format!("--smtp-listen={smtp}"),
            format!("--http-listen={http}"),
            format!("--mail-file={}", file.display()),
        ];
        let none: [(&str, &str); 0] = [];
        let mut program = Program::start(env!("CARGO_BIN_EXE_sandbox"), arguments, none);
        program.healthy(http).await;
        Self { _program: program, smtp, http, file }
    }

    fn client(&self) -> AsyncSmtpTransport<Tokio1Executor> {
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(self.smtp.port())
            .build()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }

    async fn http(&self, request: &str) -> String {
        exchange(self.http, request).await
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn mail(id: &str, body: &str) -> Message {
    Message::builder()
        .message_id(Some(id.to_owned()))
        .from("trellis@example.org".parse().unwrap())
        .to("ada@example.org".parse().unwrap())
        .subject("Welcome")
        .header(ContentType::TEXT_PLAIN)
        .body(body.to_owned())
        .unwrap()
}

#[tokio::test]
async fn a_mail_lies_in_the_file_when_it_is_acknowledged() {
    let sandbox = Sandbox::start().await;
    let client = sandbox.client();
    for n in 0..3 {
        let id = format!("<mail-{n}@trellis.local>");
        client.send(mail(&id, "one\r\n.two\r\n..three\r\n")).await.unwrap();
        let lines = sandbox.lines();
        assert_eq!(lines.len(), n + 1);
        assert!(lines[n].contains(&id), "{}", lines[n]);
        assert!(lines[n].contains(r#""to":"ada@example.org","subject":"Welcome""#), "{}", lines[n]);
    }
    assert!(sandbox.http("GET /smtp/count HTTP/1.0\r\n\r\n").await.ends_with(r#"{"count":3}"#));
}

#[tokio::test]
async fn a_slow_server_takes_as_long_as_it_is_told() {
    let sandbox = Sandbox::start().await;
    let request = "POST /smtp/delay HTTP/1.0\r\nContent-Type: application/json\r\n\
                   Content-Length: 21\r\n\r\n{\"milliseconds\": 300}";
    assert!(sandbox.http(request).await.contains(" 204 "));
    let start = Instant::now();
    sandbox.client().send(mail("<slow@trellis.local>", "text")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn commands_may_be_pipelined_and_come_in_the_wrong_order() {
    let sandbox = Sandbox::start().await;
    let answer = exchange(
        sandbox.smtp,
        "EHLO test\r\nRCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\nmail from:<a@b> SIZE=9\r\n\
         rcpt to:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nSTARTTLS\r\nQUIT\r\n",
    )
    .await;
    let codes: Vec<&str> = answer.lines().map(|line| &line[..4]).collect();
    let wanted = "220 |250-|250-|250-|250 |503 |503 |250 |250 |250 |250 |250 |354 |250 |502 |221 ";
    assert_eq!(codes.join("|"), wanted);
    // "Subject: x", an empty line and ".dot", each with its end.
    assert!(sandbox.lines()[0].contains(r#""bytes":20"#), "{}", sandbox.lines()[0]);
}
