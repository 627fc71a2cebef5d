//! An answer.

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::Value;

/// An answer, of any status.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The JSON of an answer that must have succeeded.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Holds that this is a problem document of the status and the code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        let said = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{said}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["code"], code, "{said}");
        assert_eq!(problem["status"], status);
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
