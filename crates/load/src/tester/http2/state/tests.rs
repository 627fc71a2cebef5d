//! The connection by itself.

use bytes::Buf as _;

use super::{super::tests::call, *};

/// A connection that is open, and what it says from now on.
fn opened() -> State {
    let mut state = State::new();
    feed(&mut state, kind::SETTINGS, 0, 0, &[]).expect("settings");
    written(&mut state);
    state
}

fn feed(
    state: &mut State,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &[u8],
) -> Result<(), &'static str> {
    let mut bytes = BytesMut::new();
    put(&mut bytes, kind, flags, stream, payload);
    state.take(&mut bytes)
}

/// What has been put out, as if it were on its way: kind, flags, stream and length.
fn written(state: &mut State) -> Vec<(u8, u8, u32, usize)> {
    let mut output = state.output.split();
    state.written += output.len();
    if output.starts_with(PREFACE) {
        output.advance(PREFACE.len());
    }
    let mut frames = Vec::new();
    while let Some(frame) = Frame::take(&mut output).expect("sound") {
        frames.push((frame.kind, frame.flags, frame.stream, frame.payload.len()));
    }
    frames
}

fn outcome(state: &mut State, id: u32) -> Poll<Result<Answer, Error>> {
    state.outcome(id, Waker::noop())
}

/// `:status: 200`, by its place in the table.
const OK: &[u8] = &[0x88];

#[test]
fn a_request_waits_for_the_window() {
    let mut state = opened();
    let first = state.open(&call(&vec![0; 60_000]), 0, None);
    let second = state.open(&call(&vec![0; 60_000]), 0, None);
    let data = |state: &mut State, id| -> usize {
        let frames = written(state).into_iter();
        frames.filter(|frame| frame.0 == kind::DATA && frame.2 == id).map(|frame| frame.3).sum()
    };
    assert_eq!(state.streams[&first].unsent.len(), 0);
    assert_eq!(state.streams[&second].unsent.len(), 2 * 60_005 - 65_535);
    written(&mut state);
    feed(&mut state, kind::WINDOW_UPDATE, 0, 0, &10_000_u32.to_be_bytes()).expect("sound");
    assert_eq!(data(&mut state, second), 10_000);
    feed(&mut state, kind::WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes()).expect("sound");
    assert_eq!(data(&mut state, second), 2 * 60_005 - 65_535 - 10_000);
    // A smaller window for all: what was sent already counts.
    let third = state.open(&call(&[0; 10]), 0, None);
    written(&mut state);
    let setting = [&4_u16.to_be_bytes()[..], &5_u32.to_be_bytes()].concat();
    feed(&mut state, kind::SETTINGS, 0, 0, &setting).expect("sound");
    assert_eq!(state.streams[&third].window, 5 - 15);
    let fourth = state.open(&call(&[0; 10]), 0, None);
    assert_eq!(data(&mut state, fourth), 5);
    feed(&mut state, kind::WINDOW_UPDATE, 0, fourth, &10_u32.to_be_bytes()).expect("sound");
    assert_eq!(written(&mut state), [(kind::DATA, flag::END_STREAM, fourth, 10)]);
}

#[test]
fn an_answer_is_put_together_of_its_frames() {
    let mut state = opened();
    let id = state.open(&call(b""), 0, None);
    feed(&mut state, kind::HEADERS, flag::END_HEADERS, id, &[8, 3, b'1', b'0', b'3']).expect("103");
    feed(&mut state, kind::HEADERS, 0, id, OK).expect("sound");
    assert!(feed(&mut state, kind::PING, 0, 0, &[0; 8]).is_err(), "in the midst of headers");
    let mut state = opened();
    let id = state.open(&call(b""), 0, None);
    feed(&mut state, kind::HEADERS, 0, id, OK).expect("sound");
    feed(&mut state, kind::CONTINUATION, flag::END_HEADERS, id, b"\0\x01a\x01b").expect("sound");
    feed(&mut state, kind::DATA, 0, id, b"\0\0\0").expect("sound");
    feed(&mut state, kind::PING, 0, 0, &[1; 8]).expect("sound");
    feed(&mut state, kind::DATA, flag::PADDED, id, b"\x01\0\0\0").expect("sound");
    assert!(outcome(&mut state, id).is_pending());
    let trailers = b"\0\x0bgrpc-status\x010\0\x0cgrpc-message\x10fine%2C%20%C3%A9";
    let ends = flag::END_HEADERS | flag::END_STREAM;
    feed(&mut state, kind::HEADERS, ends, id, trailers).expect("sound");
    let Poll::Ready(Ok(answer)) = outcome(&mut state, id) else { unreachable!() };
    assert_eq!(&*answer.body, &[0; 5]);
    assert_eq!(answer.ended.map(|ended| ended.message).as_deref(), Some("fine, é"));
    let frames = written(&mut state);
    assert!(frames.contains(&(kind::PING, flag::ACK, 0, 8)), "{frames:?}");
}

#[test]
fn another_protocol_is_told_with_what_to_say() {
    for (first, wanted) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "say http://"),
        (&[0x15, 3, 3, 0, 2, 2, 70], "say grpcs://"),
    ] {
        let told = State::new().take(&mut BytesMut::from(first)).expect_err("no HTTP/2");
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn what_the_server_has_not_taken_may_be_sent_again() {
    let mut state = opened();
    let ids: Vec<_> = (0..3).map(|_| state.open(&call(b""), 0, None)).collect();
    written(&mut state);
    feed(&mut state, kind::RST_STREAM, 0, ids[1], &7_u32.to_be_bytes()).expect("sound");
    let go_away = [ids[0].to_be_bytes(), 0_u32.to_be_bytes()].concat();
    feed(&mut state, kind::GOAWAY, 0, 0, &go_away).expect("sound");
    assert!(!state.is_usable() && !state.is_left());
    for id in &ids[1..] {
        assert!(matches!(outcome(&mut state, *id), Poll::Ready(Err(Error::Unsent))));
    }
    let ends = flag::END_HEADERS | flag::END_STREAM;
    feed(&mut state, kind::HEADERS, ends, ids[0], OK).expect("sound");
    assert!(matches!(outcome(&mut state, ids[0]), Poll::Ready(Ok(_))));
    assert!(state.is_left());
}

#[test]
fn a_connection_that_breaks_says_of_each_request_how_far_it_was() {
    let mut state = opened();
    let ids: Vec<_> = (0..3).map(|_| state.open(&call(b""), 0, None)).collect();
    written(&mut state);
    feed(&mut state, kind::HEADERS, flag::END_HEADERS, ids[0], OK).expect("sound");
    feed(&mut state, kind::RST_STREAM, 0, ids[1], &2_u32.to_be_bytes()).expect("sound");
    let late = state.open(&call(b""), 0, None);
    state.end(Error::NoAnswer);
    let of = |state: &mut State, id| match outcome(state, id) {
        Poll::Ready(Err(error)) => error,
        other => unreachable!("{other:?}"),
    };
    assert!(matches!(of(&mut state, ids[0]), Error::CutOff));
    assert!(matches!(of(&mut state, ids[1]), Error::Reset(2)));
    assert!(matches!(of(&mut state, ids[2]), Error::NoAnswer));
    assert!(matches!(of(&mut state, late), Error::Unsent), "it never left");
}

#[test]
fn a_smaller_table_is_agreed_to() {
    let mut state = opened();
    let setting = [&1_u16.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    feed(&mut state, kind::SETTINGS, 0, 0, &setting).expect("sound");
    assert!(state.resize);
    assert_eq!(block(&call(b""), None, true)[..2], [0x20, 0x83]);
    state.open(&call(b""), 0, None);
    assert!(!state.resize, "once");
}

#[test]
fn a_great_many_bytes_are_given_back() {
    let mut state = opened();
    let id = state.open(&call(b""), 0, None);
    written(&mut state);
    state.received = WINDOW / 2;
    feed(&mut state, kind::DATA, 0, id, b"abc").expect("sound");
    assert_eq!(written(&mut state), [(kind::WINDOW_UPDATE, 0, 0, 4)]);
}

#[test]
fn what_is_no_http_2_is_told() {
    assert!(feed(&mut State::new(), kind::PING, 0, 0, &[0; 8]).is_err(), "no settings");
    for (kind, stream, payload) in [
        (kind::CONTINUATION, 1, &b""[..]),
        (kind::PUSH_PROMISE, 1, b"\0\0\0\x02"),
        (kind::WINDOW_UPDATE, 0, b"\0"),
        (kind::RST_STREAM, 1, b""),
        (kind::GOAWAY, 0, b"\0\0"),
        (kind::SETTINGS, 0, b"\0\x05\0\0\0\0"),
        (kind::SETTINGS, 0, b"\0\x05\x01\0\0\0"),
        (kind::SETTINGS, 0, b"\0\x04\x80\0\0\0"),
    ] {
        assert!(feed(&mut opened(), kind, 0, stream, payload).is_err(), "{kind}");
    }
    let mut state = opened();
    let id = state.open(&call(b""), 0, None);
    assert!(feed(&mut state, kind::HEADERS, flag::END_HEADERS, id, &[0xff]).is_err());
}
