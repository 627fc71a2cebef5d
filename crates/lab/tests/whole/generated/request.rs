//! One request, which can be printed and sent again.

use std::fmt::{self, Display, Formatter, Write as _};

use http::Method;

#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header; none is given twice.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_slice())
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.unset(name);
        self.headers.push((name, value.into()));
    }

    pub fn unset(&mut self, name: &str) {
        self.headers.retain(|(other, _)| *other != name);
    }
}

/// For a shell, with the gateway's address in `$GATEWAY`.
impl Display for Request {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "printf '%b' '{}' | curl -i --path-as-is ", escaped(&self.body, "\\0"))?;
        if self.method == Method::HEAD {
            write!(out, "--head ")?;
        } else {
            write!(out, "-X {} --data-binary @- ", self.method)?;
        }
        for (name, value) in &self.headers {
            write!(out, "-H $'{name}: {}' ", escaped(value, "\\"))?;
        }
        write!(out, "\"$GATEWAY\"'{}'", self.target.replace('\'', "%27"))
    }
}

/// Bytes that are not plain as octal, in the manner of `printf` or of `$'…'`.
fn escaped(bytes: &[u8], octal: &str) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if (b' '..=b'~').contains(&byte) && !b"'\\".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "{octal}{byte:03o}");
        }
    }
    text
}
