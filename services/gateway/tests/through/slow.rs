//! Those who send slowly, and those who say nothing more.

use std::time::{Duration, Instant};

use ficus_gateway::config::Limits;
use ficus_owners::Owners;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use trellis_testkit::setting;

use crate::{
    recorder::Recorder,
    stand::{LIMITS, MOVING, Stand},
};

const SLOW: Limits =
    Limits { sender_time: 2, idle_time: 4, in_flight: 8, time_limit: 30, ..LIMITS };

const HEAD: &str = "POST /v1/inbox/7/read HTTP/1.1\r\nHost: a\r\n";

/// `FICUS_CONNECTIONS=9000` for a run by hand; each takes two files of this process.
fn connections() -> u64 {
    setting("FICUS_CONNECTIONS", 200)
}

async fn start() -> Stand {
    Stand::with(Owners::fixed([("notifications".to_owned(), MOVING)]), SLOW).await
}

/// Sends a byte now and then until the connection ends; what was answered, and after how long.
async fn dribble(
    stand: &Stand,
    head: &str,
    rest: &'static [u8],
    pause: Duration,
) -> (String, Duration) {
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let began = Instant::now();
    let mut answer = Vec::new();
    let sending = async {
        for byte in rest {
            tokio::time::sleep(pause).await;
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = sending => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("{head:?} is not cut off"),
    }
    (String::from_utf8(answer).unwrap(), began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_senders_are_cut_off_and_take_nobodys_place() {
    let stand = std::sync::Arc::new(start().await);
    let connections = connections();
    let pause = Duration::from_millis((connections / 2).clamp(100, 1_000));
    let mut slow = JoinSet::new();
    for n in 0..connections {
        let stand = stand.clone();
        slow.spawn(async move {
            let (head, rest): (_, &'static [u8]) = match n % 4 {
                0 => (HEAD.to_owned(), &[b'x'; 1_000]),
                1 => (format!("{HEAD}Content-Length: 1000\r\n\r\n"), &[b' '; 1_000]),
                2 => (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n3e8\r\n"), &[b' '; 1_000]),
                _ => (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"), &[b'0'; 1_000]),
            };
            (n, dribble(&stand, &head, rest, pause).await)
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        let began = Instant::now();
        let answer = stand.post("/v1/inbox/7/read", "{}").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        longest = longest.max(began.elapsed());
    }
    println!(
        "{connections} slow senders; the longest of 100 requests beside them took {longest:?}"
    );
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    assert_eq!(stand.monolith.lines().len(), 100, "what is slow has not been passed on");
    while let Some(ended) = slow.join_next().await {
        let (n, (answer, after)) = ended.unwrap();
        assert!(after < Duration::from_secs(6), "{n} after {after:?}");
        if n % 4 != 0 {
            assert!(
                answer.starts_with("HTTP/1.1 408 ") && answer.contains("too_slow"),
                "{n}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn those_who_send_large_bodies_slowly_take_few_places() {
    let stand = start().await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(stand.address).await.unwrap();
        let head = "POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 17_000]).await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..100 {
        let answer = stand.post("/v1/inbox/7/read", "{}").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let mut refused = 0;
    for stream in &mut slow {
        let mut answer = [0; 12];
        let reading = stream.read_exact(&mut answer);
        let answered = tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
        refused += usize::from(answered.is_ok() && answer == *b"HTTP/1.1 503");
    }
    assert_eq!(refused, 19, "of eight places one is for them");
}

#[tokio::test]
async fn an_answer_of_which_nothing_more_comes_breaks_off() {
    let recorder = Recorder::saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let stand = Stand::before(&recorder, Limits { idle_time: 1, ..SLOW }).await;
    let answer = stand.raw("GET /any HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_off() {
    let owners = Owners::fixed([]);
    let stand = Stand::with(owners, Limits { idle_time: 1, ..SLOW }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(stand.address).await.unwrap();
    // More than fits into the buffers on the way back.
    let length = 7 << 20;
    let head = format!("POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; length]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(ended.is_ok() && answer.len() < length, "{} bytes of {length} came", answer.len());
}

#[tokio::test]
async fn a_body_that_comes_steadily_may_take_longer() {
    let stand = start().await;
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    let head =
        "POST /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..30 {
        stream.write_all(&[b'x'; 2_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.99}");
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_and_not_before() {
    let stand = start().await;
    for request in ["", "GET /any HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(stand.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let began = Instant::now();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let after = began.elapsed();
        assert!(after > Duration::from_secs(3) && after < Duration::from_secs(6), "{after:?}");
        assert_eq!(answer.is_empty(), request.is_empty(), "{answer}");
    }
}
