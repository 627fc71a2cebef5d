//! Where requests go.

use std::{fmt, str::FromStr};

use http::uri::{Authority, PathAndQuery};

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1
    Http,
    /// A unary gRPC call over HTTP/2, without TLS.
    Grpc,
}

/// `http://host:port/path` or `grpc://host:port/package.Service/Method`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub protocol: Protocol,
    pub authority: Authority,
    pub path: PathAndQuery,
}

impl Target {
    /// host:port, the port that the scheme has if none was given.
    pub fn address(&self) -> String {
        match self.authority.port_u16() {
            Some(_) => self.authority.as_str().to_owned(),
            None => format!("{}:80", self.authority),
        }
    }

    /// A gRPC call's service and method; the target's form has seen to it that there are both.
    pub fn method(&self) -> Option<(&str, &str)> {
        if self.protocol == Protocol::Http {
            return None;
        }
        self.path.path().strip_prefix('/')?.split_once('/')
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text}: {why}; say http://host:port/path or grpc://host:port/package.Service/Method"
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let protocol = match scheme {
            "http" => Protocol::Http,
            "grpc" => Protocol::Grpc,
            "https" | "grpcs" => return Err(wrong("TLS is not spoken")),
            _ => return Err(wrong("an unknown scheme")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority: Authority = authority.parse().map_err(|_| wrong("no host"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let path: PathAndQuery = path.parse().map_err(|_| wrong("no path that can be sent"))?;
        let target = Self { protocol, authority, path };
        let named = |(service, method): (&str, &str)| {
            !service.is_empty() && !method.is_empty() && !method.contains('/')
        };
        if protocol == Protocol::Grpc && !target.method().is_some_and(named) {
            return Err(wrong("no method"));
        }
        Ok(target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        let target: Target = "http://127.0.0.1:8200/v1/tasks?limit=5".parse().expect("a target");
        assert_eq!(
            (target.protocol, target.address().as_str()),
            (Protocol::Http, "127.0.0.1:8200")
        );
        assert_eq!(target.to_string(), "http://127.0.0.1:8200/v1/tasks?limit=5");
        let target: Target = "http://example.test".parse().expect("a target");
        assert_eq!((target.address().as_str(), target.path.as_str()), ("example.test:80", "/"));
        let target: Target = "grpc://[::1]:8231/a.b.C/Do".parse().expect("a target");
        assert_eq!(
            (target.method(), target.address().as_str()),
            (Some(("a.b.C", "Do")), "[::1]:8231")
        );
    }

    #[test]
    fn what_is_none_says_what_one_is() {
        for text in [
            "",
            "gateway",
            "https://a/",
            "ftp://a/",
            "http://",
            "grpc://a:1",
            "grpc://a:1/S",
            "grpc://a:1/S/",
        ] {
            assert!(
                text.parse::<Target>().expect_err(text).contains("grpc://host:port/"),
                "{text}"
            );
        }
    }
}
