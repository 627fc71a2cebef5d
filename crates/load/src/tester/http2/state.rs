//! What is known of a connection and its streams: what is to be written, and what came of what was read. Nothing in it
//! knows of sockets.

use std::{
    collections::HashMap,
    task::{Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode};
use loona_hpack::Decoder;
use percent_encoding::percent_decode;

use super::{
    super::{
        call::{Answer, Call, Ended},
        frame::{
            Frame, MAX_FRAME, PREFACE, flag, kind, put, put_header, put_known,
            setting::{
                ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS,
                MAX_FRAME_SIZE,
            },
        },
        spoken::Spoken,
    },
    Error,
};

/// What may come before more is asked for: as much as can be said.
const WINDOW: u32 = 0x7fff_ffff;
/// Of the connection as long as nobody says otherwise.
const FIRST_WINDOW: u32 = 65_535;
/// HPACK's table, as large as it is unless somebody says otherwise.
const TABLE: usize = 4_096;
/// The headers of one answer.
const MAX_BLOCK: usize = 64 * 1024;
/// A connection whose streams have come so far is replaced before their numbers run out.
const LAST_STREAM: u32 = 0x7fff_0000;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The other side has not said yet what it takes.
    Greeting,
    Open,
    /// The other side takes no more streams.
    Closing,
    /// Nobody has the connection any more.
    Dropped,
}

/// What is known of a connection and its streams.
pub(super) struct State {
    /// What is to be written, and how much has been.
    pub(super) output: BytesMut,
    pub(super) written: usize,
    pub(super) streams: HashMap<u32, Stream>,
    /// Streams that have not ended.
    pub(super) active: u32,
    next: u32,
    decoder: Decoder<'static>,
    /// Headers that are not whole: of which stream, and whether it ends with them.
    block: Option<(u32, bool, BytesMut)>,
    /// What may still be sent: by all streams, by a new one, in a frame.
    window: i64,
    first_window: i64,
    max_frame: usize,
    pub(super) max_streams: u32,
    /// What has come since the other side was last told that it may send more.
    received: u32,
    pub(super) phase: Phase,
    /// The next headers begin with HPACK's table of no size (RFC 7541, 4.2): the other side wants a smaller one, and
    /// nothing is ever put into it.
    resize: bool,
    pub(super) over: Option<Error>,
    pub(super) driver: Option<Waker>,
}

/// One request and its answer.
#[derive(Default)]
pub(super) struct Stream {
    waker: Option<Waker>,
    /// How much had been put out before it.
    at: usize,
    /// What may still be sent of it, and what of it was not.
    window: i64,
    unsent: Bytes,
    status: Option<StatusCode>,
    ended: Option<Ended>,
    body: BytesMut,
    outcome: Option<Result<Answer, Error>>,
}

impl State {
    pub(super) fn new() -> Self {
        let mut output = BytesMut::from(PREFACE);
        let mut settings = Vec::new();
        for (name, value) in [(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, WINDOW)] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        put(&mut output, kind::SETTINGS, 0, 0, &settings);
        put(&mut output, kind::WINDOW_UPDATE, 0, 0, &(WINDOW - FIRST_WINDOW).to_be_bytes());
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(TABLE);
        Self {
            output,
            written: 0,
            streams: HashMap::new(),
            active: 0,
            next: 1,
            decoder,
            block: None,
            window: FIRST_WINDOW.into(),
            first_window: FIRST_WINDOW.into(),
            max_frame: MAX_FRAME,
            max_streams: u32::MAX,
            received: 0,
            phase: Phase::Greeting,
            resize: false,
            over: None,
            driver: None,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.over.is_none() && self.phase < Phase::Closing && self.next < LAST_STREAM
    }

    /// Nobody will ask for anything any more.
    pub(super) fn is_left(&self) -> bool {
        let is_done = self.streams.is_empty() && self.output.is_empty();
        self.phase == Phase::Dropped || (!self.is_usable() && is_done)
    }

    /// Puts a request out as soon as there is room for it.
    pub(super) fn try_open(
        &mut self,
        call: &Call,
        number: u64,
        more: Option<&(HeaderName, HeaderValue)>,
    ) -> Poll<Result<u32, Error>> {
        if !self.is_usable() {
            return Poll::Ready(Err(Error::Unsent));
        }
        if self.active >= self.max_streams {
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.open(call, number, more)))
    }

    /// Puts a request out; the number of its stream.
    fn open(&mut self, call: &Call, number: u64, more: Option<&(HeaderName, HeaderValue)>) -> u32 {
        let id = self.next;
        self.next += 2;
        self.active += 1;
        let at = self.written + self.output.len();
        let block = block(call, more, std::mem::take(&mut self.resize));
        let mut chunks = block.chunks(self.max_frame).peekable();
        let mut kind = kind::HEADERS;
        while let Some(chunk) = chunks.next() {
            let flags = if chunks.peek().is_none() { flag::END_HEADERS } else { 0 };
            put(&mut self.output, kind, flags, id, chunk);
            kind = kind::CONTINUATION;
        }
        let unsent = call.body.numbered(number);
        if unsent.is_empty() {
            put(&mut self.output, kind::DATA, flag::END_STREAM, id, &[]);
        }
        let stream = Stream { at, window: self.first_window, unsent, ..Stream::default() };
        self.streams.insert(id, stream);
        self.send(id);
        self.wake_driver();
        id
    }

    /// Puts out what may be of a stream's body.
    fn send(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        while !stream.unsent.is_empty() {
            let may = usize::try_from(self.window.min(stream.window)).unwrap_or_default();
            let length = stream.unsent.len().min(may).min(self.max_frame);
            if length == 0 {
                return;
            }
            let chunk = stream.unsent.split_to(length);
            let flags = if stream.unsent.is_empty() { flag::END_STREAM } else { 0 };
            put(&mut self.output, kind::DATA, flags, id, &chunk);
            let length = i64::try_from(length).unwrap_or_default();
            self.window -= length;
            stream.window -= length;
        }
    }

    fn send_all(&mut self) {
        let waits = |(id, stream): (&u32, &Stream)| (!stream.unsent.is_empty()).then_some(*id);
        let mut waiting: Vec<_> = self.streams.iter().filter_map(waits).collect();
        waiting.sort_unstable();
        for id in waiting {
            self.send(id);
        }
    }

    /// Takes all frames that are whole.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<(), &'static str> {
        let spoken = (self.phase == Phase::Greeting).then(|| Spoken::of(read)).flatten();
        if let Some(other) = spoken.and_then(Spoken::instead_of_http2) {
            return Err(other);
        }
        while let Some(frame) = Frame::take(read)? {
            let is_block = |(id, ..): &(u32, bool, BytesMut)| {
                (frame.kind, frame.stream) == (kind::CONTINUATION, *id)
            };
            if !self.block.as_ref().is_none_or(is_block) {
                return Err("headers are not whole");
            }
            if self.phase == Phase::Greeting && frame.kind != kind::SETTINGS {
                return Err("it does not begin with settings");
            }
            match frame.kind {
                kind::DATA => self.data(&frame)?,
                kind::HEADERS => {
                    let block = BytesMut::from(frame.content()?);
                    self.block = Some((frame.stream, frame.has(flag::END_STREAM), block));
                    self.headers(&frame)?;
                }
                kind::CONTINUATION => {
                    let (.., block) = self.block.as_mut().ok_or("headers without a beginning")?;
                    block.extend_from_slice(&frame.payload);
                    if block.len() > MAX_BLOCK {
                        return Err("headers are longer than may be");
                    }
                    self.headers(&frame)?;
                }
                kind::RST_STREAM => self.reset(frame.stream, frame.number()?),
                kind::SETTINGS if !frame.has(flag::ACK) => self.settings(&frame)?,
                kind::PING if !frame.has(flag::ACK) => {
                    put(&mut self.output, kind::PING, flag::ACK, 0, &frame.payload);
                }
                kind::GOAWAY => self.go_away(frame.number()? & 0x7fff_ffff),
                kind::WINDOW_UPDATE => self.widen(frame.stream, frame.number()? & 0x7fff_ffff),
                kind::PUSH_PROMISE => return Err("it promises what nobody asked for"),
                _ => {}
            }
        }
        Ok(())
    }

    fn data(&mut self, frame: &Frame) -> Result<(), &'static str> {
        // Padding counts too; and what nobody waits for any more.
        self.received += u32::try_from(frame.payload.len()).unwrap_or_default();
        if self.received > WINDOW / 2 {
            let received = std::mem::take(&mut self.received);
            put(&mut self.output, kind::WINDOW_UPDATE, 0, 0, &received.to_be_bytes());
        }
        let content = frame.content()?;
        if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.body.extend_from_slice(&content);
        }
        if frame.has(flag::END_STREAM) {
            self.answered(frame.stream);
        }
        Ok(())
    }

    /// Reads headers, if this frame is their last one. Those that nobody waits for have a part in those to come.
    fn headers(&mut self, frame: &Frame) -> Result<(), &'static str> {
        if !frame.has(flag::END_HEADERS) {
            return Ok(());
        }
        let Some((id, ends, block)) = self.block.take() else { return Ok(()) };
        let (mut status, mut code, mut message) = (None, None, String::new());
        let decoded = self.decoder.decode_with_cb(&block, |name, value| match &*name {
            b":status" => status = StatusCode::from_bytes(&value).ok(),
            b"grpc-status" => code = Some(String::from_utf8_lossy(&value).into_owned()),
            b"grpc-message" => {
                message = percent_decode(&value).decode_utf8_lossy().into_owned();
            }
            _ => {}
        });
        decoded.map_err(|_| "its headers")?;
        if let Some(stream) = self.streams.get_mut(&id) {
            // What precedes the answer (RFC 9110, 15.2) is none.
            if let Some(status) = status.filter(|status| !status.is_informational()) {
                stream.status = Some(status);
            }
            if let Some(code) = code {
                stream.ended = Some(Ended { code, message });
            }
        }
        if ends {
            self.answered(id);
        }
        Ok(())
    }

    fn answered(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let body = std::mem::take(&mut stream.body).freeze();
        let outcome = match stream.status {
            Some(status) => Ok(Answer { status, body, ended: stream.ended.take() }),
            None => Err(Error::Malformed("an answer without a status")),
        };
        // An answer that does not wait for the whole request leaves a stream that is half open.
        if !stream.unsent.is_empty() {
            put(&mut self.output, kind::RST_STREAM, 0, id, &CANCEL.to_be_bytes());
        }
        self.conclude(id, outcome);
    }

    fn reset(&mut self, id: u32, code: u32) {
        let error = if code == REFUSED_STREAM { Error::Unsent } else { Error::Reset(code) };
        self.conclude(id, Err(error));
    }

    fn conclude(&mut self, id: u32, outcome: Result<Answer, Error>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.outcome.is_some() {
            return;
        }
        stream.outcome = Some(outcome);
        stream.unsent = Bytes::new();
        self.active -= 1;
        if let Some(waker) = stream.waker.take() {
            waker.wake();
        }
    }

    fn settings(&mut self, frame: &Frame) -> Result<(), &'static str> {
        for (name, value) in frame.settings() {
            match name {
                MAX_CONCURRENT_STREAMS => self.max_streams = value,
                MAX_FRAME_SIZE => {
                    let value = usize::try_from(value).ok();
                    let sound = value.filter(|value| (MAX_FRAME..1 << 24).contains(value));
                    self.max_frame = sound.ok_or("a frame's size that is none")?;
                }
                HEADER_TABLE_SIZE => self.resize |= usize::try_from(value).is_ok_and(|v| v < TABLE),
                INITIAL_WINDOW_SIZE if value > WINDOW => return Err("a window is too large"),
                INITIAL_WINDOW_SIZE => {
                    let more = i64::from(value) - self.first_window;
                    self.first_window += more;
                    for stream in self.streams.values_mut() {
                        stream.window += more;
                    }
                }
                _ => {}
            }
        }
        self.phase = self.phase.max(Phase::Open);
        put(&mut self.output, kind::SETTINGS, flag::ACK, 0, &[]);
        self.send_all();
        Ok(())
    }

    fn widen(&mut self, id: u32, by: u32) {
        if id == 0 {
            self.window += i64::from(by);
            return self.send_all();
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.window += i64::from(by);
            self.send(id);
        }
    }

    /// Streams after the last one were not looked at.
    fn go_away(&mut self, last: u32) {
        self.phase = self.phase.max(Phase::Closing);
        let after: Vec<_> = self.streams.keys().copied().filter(|id| *id > last).collect();
        for id in after {
            self.conclude(id, Err(Error::Unsent));
        }
    }

    pub(super) fn end(&mut self, why: Error) {
        let all: Vec<_> = self.streams.iter().map(|(id, stream)| (*id, stream.at)).collect();
        for (id, at) in all {
            let begun = self.streams.get(&id).is_some_and(|stream| stream.status.is_some());
            let error = match &why {
                _ if at >= self.written => Error::Unsent,
                Error::NoAnswer if begun => Error::CutOff,
                why => why.clone(),
            };
            self.conclude(id, Err(error));
        }
        self.over = Some(why);
    }

    /// What became of a request; nobody asks twice.
    pub(super) fn outcome(&mut self, id: u32, waker: &Waker) -> Poll<Result<Answer, Error>> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(Error::NoAnswer));
        };
        let Some(outcome) = stream.outcome.take() else {
            stream.waker = Some(waker.clone());
            return Poll::Pending;
        };
        self.streams.remove(&id);
        if !self.is_usable() {
            self.wake_driver();
        }
        Poll::Ready(outcome)
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if stream.outcome.is_none() {
            self.active -= 1;
            put(&mut self.output, kind::RST_STREAM, 0, id, &CANCEL.to_be_bytes());
        }
        self.wake_driver();
    }

    pub(super) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

/// A request's headers; the places are those of RFC 7541, appendix A.
fn block(call: &Call, more: Option<&(HeaderName, HeaderValue)>, resize: bool) -> Vec<u8> {
    const NO_TABLE: u8 = 0x20;
    const POST: u8 = 0x83;
    const HTTP: u8 = 0x86;
    const HTTPS: u8 = 0x87;
    const AUTHORITY: u8 = 1;
    const PATH: u8 = 4;
    let mut block = Vec::with_capacity(256);
    if resize {
        block.push(NO_TABLE);
    }
    let kind = &*call.kind;
    block.extend_from_slice(&[POST, if kind.secure { HTTPS } else { HTTP }]);
    put_known(&mut block, AUTHORITY, kind.authority.as_str().as_bytes());
    put_known(&mut block, PATH, call.path.as_str().as_bytes());
    let own = call.own.iter().chain(more).map(|(name, value)| (name, value));
    for (name, value) in kind.headers.iter().chain(own) {
        put_header(&mut block, name, value);
    }
    block
}

#[cfg(test)]
mod tests;
