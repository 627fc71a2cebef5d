//! Requests that two parsers could end at different bytes, each with another request behind it: all are refused and
//! the connection is closed, and not one byte of them reaches the owner.

use crate::{
    recorder::Recorder,
    stand::{LIMITS, Stand, code_of},
};

/// An answer to each read.
const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

const BEHIND: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(lines: &str, body: &str) -> String {
    format!("POST /first HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")
}

/// `Content-Length` beside `Transfer-Encoding`, in any spelling and order.
fn both() -> Vec<String> {
    let encodings = [
        "Transfer-Encoding: chunked",
        "transfer-encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "Transfer-Encoding:chunked",
        "Transfer-Encoding: chunked ",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: ",
    ];
    let lengths = [
        "Content-Length: 5",
        "content-length: 5",
        "Content-Length:5",
        "Content-Length: 0",
        "Content-Length: 005",
    ];
    let pairs = encodings.iter().flat_map(|encoding| {
        lengths.iter().flat_map(move |length| {
            [format!("{encoding}\r\n{length}\r\n"), format!("{length}\r\n{encoding}\r\n")]
        })
    });
    pairs.map(|lines| post(&lines, "0\r\n\r\n")).collect()
}

/// One of the two, in a spelling that some take for it and some do not, or several times.
fn one() -> Vec<String> {
    let encodings = [
        "xchunked",
        "chunked, chunked",
        "chunked,chunked",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "chunked, identity",
        "chunked;q=1",
        "\"chunked\"",
        "chunk",
        "chunked,",
        ",chunked",
        "chunked\u{b}",
        "",
        "\u{b}chunked",
        "cow",
        "chunked\0",
        "'chunked'",
        "[chunked]",
    ];
    let lengths = [
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5,5",
        "5, 5",
        "",
        "5;",
        "5.0",
        "1e1",
        "٥",
        "5\u{b}",
        "\"5\"",
        "5h",
        "99999999999999999999",
        "5\0",
        " ",
        "_5",
        "5_0",
    ];
    let twice = [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nX: y\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding: cow\r\n",
    ];
    let encodings =
        encodings.iter().map(|value| post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n"));
    let lengths =
        lengths.iter().map(|value| post(&format!("Content-Length: {value}\r\n"), "abcde"));
    let twice = twice.iter().map(|lines| post(lines, "0\r\n\r\n"));
    encodings.chain(lengths).chain(twice).collect()
}

/// Lines that end, begin or are folded where some do not see it.
fn lines() -> Vec<String> {
    let fields = [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: b",
        "X: y",
        "Connection: close",
        "Cookie: a=b",
    ];
    let mut all = Vec::new();
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap();
        for lines in [
            format!("X: y\r\n {field}\r\n"),
            format!("X: y\r\n\t{field}\r\n"),
            format!("{name}:\r\n {value}\r\n"),
            format!("{name} : {value}\r\n"),
            format!("{name}\t: {value}\r\n"),
            format!(" {field}\r\n"),
            format!("X: y\n{field}\r\n"),
            format!("{field}\nX: y\r\n"),
            format!("X: y\r{field}\r\n"),
            format!("{field}\rX: y\r\n"),
            format!("{name}\0: {value}\r\n"),
            format!("{name} {value}\r\n"),
        ] {
            all.push(post(&lines, ""));
        }
    }
    for head in [
        "GET /first HTTP/1.1\nHost: a\r\n\r\n",
        "GET /first HTTP/1.1\r\nHost: a\n\r\n",
        "GET /first HTTP/1.1\r\nHost: a\r\n\n",
        "GET /first HTTP/1.1\nHost: a\n\n",
        "GET /first HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET /first HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /first HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "GET /first HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n",
    ] {
        all.push(head.to_owned());
    }
    all
}

/// Chunks whose size or end is told in two ways.
fn chunks() -> Vec<String> {
    let bodies = [
        "0x5\r\nabcde\r\n0\r\n\r\n",
        "+5\r\nabcde\r\n0\r\n\r\n",
        "-5\r\nabcde\r\n0\r\n\r\n",
        " 5\r\nabcde\r\n0\r\n\r\n",
        "_5\r\nabcde\r\n0\r\n\r\n",
        "\r\nabcde\r\n0\r\n\r\n",
        "g\r\nabcde\r\n0\r\n\r\n",
        "5\nabcde\r\n0\r\n\r\n",
        "5\rabcde\r\n0\r\n\r\n",
        "5;a\nb\r\nabcde\r\n0\r\n\r\n",
        "5;a\rb\r\nabcde\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabcde\r\n0\r\n\r\n",
        "10000000000000005\r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde0\r\n\r\n",
        "5\r\nabcde\n0\r\n\r\n",
        "5\r\nabcdeX\r\n0\r\n\r\n",
        "4\r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde\r\n0\n\r\n",
        "5\r\nabcde\r\n0\r\n\n",
        "5 \r\nabcde\r\n0\r\n\r\n",
        "5\r\nabcde\r\n0 \r\n\r\n",
    ];
    bodies.iter().map(|body| post("Transfer-Encoding: chunked\r\n", body)).collect()
}

/// First lines of another protocol, or that end where some do not see it.
fn first_lines() -> Vec<String> {
    let lines = [
        "POST /first HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
        "GET /first HTTP/2.0\r\nHost: a",
        "GET /first HTTP/0.9\r\nHost: a",
        "GET /first HTTP/1.2\r\nHost: a",
        "GET /first http/1.1\r\nHost: a",
        "GET /first HTTP/1.1 HTTP/1.1\r\nHost: a",
        "GET /first\r\nHost: a",
        "GET /fir st HTTP/1.1\r\nHost: a",
        "GET /fir\u{b}st HTTP/1.1\r\nHost: a",
        "GET /fir\0st HTTP/1.1\r\nHost: a",
        "G\u{e9}T /first HTTP/1.1\r\nHost: a",
        "GET\u{b}/first HTTP/1.1\r\nHost: a",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close",
        "PRI * HTTP/2.0\r\n\r\nSM",
    ];
    lines.iter().map(|line| format!("{line}\r\n\r\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_two_hundred_ambiguous_requests_is_passed_on() {
    let recorder = Recorder::saying(EMPTY).await;
    let stand = Stand::before(&recorder, LIMITS).await;
    let cases: Vec<String> = [both(), one(), lines(), chunks(), first_lines()].concat();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let whole = cases.into_iter().map(|case| vec![case]);
    // The head is looked at before the rest has come.
    let split = chunks().into_iter().map(|case| {
        let (head, body) = case.split_once("\r\n\r\n").unwrap();
        vec![format!("{head}\r\n\r\n"), body.to_owned()]
    });
    let mut wrong = Vec::new();
    for mut parts in whole.chain(split) {
        let case = parts.concat();
        parts.last_mut().unwrap().push_str(BEHIND);
        let answer = stand.raw_in(&parts).await;
        let passed = recorder.take();
        let codes = ["ambiguous_request", "unreadable_request", "method_not_taken", "bad_request"];
        let refused = answer.starts_with("HTTP/1.1 400 ")
            && answer.matches("HTTP/1.1 ").count() == 1
            && codes.contains(&&*code_of(&answer));
        // The preface of another protocol may end the connection without a word.
        let wordless = answer.is_empty() && case.starts_with("PRI ");
        if !(refused || wordless) || !passed.is_empty() {
            wrong.push(format!(
                "{case:?}\n  was answered {answer:.60?}\n  and passed on as {passed:.200?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_requests_reach_the_owner_as_one_each() {
    let recorder = Recorder::saying(EMPTY).await;
    let stand = Stand::before(&recorder, LIMITS).await;
    for (case, body) in [
        ("GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", ""),
        (
            "POST /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nGET /",
            "GET /",
        ),
        (
            "POST /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nGET /\r\n0\r\n\r\n",
            "GET /",
        ),
        (
            "GET /first HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
            "",
        ),
    ] {
        let answer = stand.raw(case).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{case:?} was answered {answer:?}");
        let passed = recorder.take();
        assert_eq!(passed.matches("/first HTTP/1.1\r\n").count(), 1, "{passed:?}");
        assert!(passed.contains(body) && !passed.contains("h2c"), "{passed:?}");
    }
}
