//! Errors in HTTP: problem details (RFC 9457) with a stable `code`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Error, FENCED, Kind};

/// The document that is answered as `application/problem+json`.
#[derive(Debug, Serialize)]
pub struct Problem<'a> {
    /// `about:blank`: the title is the status's own.
    pub r#type: &'a str,
    pub title: &'a str,
    pub status: u16,
    pub code: &'a str,
    pub detail: &'a str,
}

/// The JSON Schema of a problem document.
pub fn schema() -> Value {
    json!({
        "description": "Problem details (RFC 9457).",
        "type": "object",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "description": "Stable, for programs."},
            "detail": {"type": "string", "description": "For people."},
        },
        "required": ["type", "title", "status", "code", "detail"],
    })
}

impl Error {
    /// The status that says the same in HTTP.
    pub fn http_status(&self) -> StatusCode {
        match self.kind {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Fenced { .. } | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Status, headers and body of the answer.
    pub fn problem(&self) -> (StatusCode, HeaderMap, Bytes) {
        let status = self.http_status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: &self.code,
            detail: &self.detail,
        };
        let body = serde_json::to_vec(&problem).expect("strings and a number are JSON");
        (status, self.headers(), body.into())
    }

    /// The same as one response.
    pub fn response<B: From<Bytes>>(&self) -> Response<B> {
        let (status, headers, body) = self.problem();
        let mut response = Response::new(B::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        match &self.kind {
            Kind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Kind::Fenced { capability, epoch } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                if let Ok(value) = HeaderValue::try_from(format!("{capability} {epoch}")) {
                    headers.insert(FENCED, value);
                }
            }
            _ => {}
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_status_and_code() {
        let (status, headers, body) = Error::conflict("email_taken", "sign in instead").problem();
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            body,
            r#"{"type":"about:blank","title":"Conflict","status":409,"code":"email_taken","detail":"sign in instead"}"#
        );
    }

    #[test]
    fn the_schema_names_what_a_problem_has() {
        let (_, _, body) = Error::internal().problem();
        let problem: Value = serde_json::from_slice(&body).expect("JSON");
        let has: Vec<_> = problem.as_object().expect("an object").keys().collect();
        let schema = schema();
        assert_eq!(
            schema["properties"].as_object().expect("an object").keys().collect::<Vec<_>>(),
            has
        );
        let mut required: Vec<_> = schema["required"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        required.sort_unstable();
        assert_eq!(required, has);
    }

    #[test]
    fn a_fenced_one_says_by_whom() {
        let (_, headers, _) = Error::fenced("notifications", 4).problem();
        assert_eq!(headers[FENCED], "notifications 4");
        assert_eq!(headers[header::RETRY_AFTER], "1");
    }
}
