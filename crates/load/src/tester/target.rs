//! Where requests go.

use std::{fmt, str::FromStr};

use http::uri::{Authority, PathAndQuery};

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1
    Http,
    /// gRPC over HTTP/2
    Grpc,
}

/// `http://host:port/path` or `grpc://host:port/package.Service/Method`; `https` and `grpcs` with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub protocol: Protocol,
    /// With TLS.
    pub secure: bool,
    pub authority: Authority,
    pub path: PathAndQuery,
}

/// Where connections go.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// host:port
    pub address: String,
    /// With TLS.
    pub secure: bool,
}

impl Server {
    /// The name that its certificate must have: the address without its port.
    pub fn name(&self) -> &str {
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Target {
    /// Where a URL leads, whatever follows its host.
    pub fn server_of(url: &str) -> Result<(Server, Protocol), String> {
        let target = Self::read(url)?;
        Ok((target.server(), target.protocol))
    }

    /// As a URL has it, whether or not it names a gRPC method.
    fn read(text: &str) -> Result<Self, String> {
        let wrong = |why| wrong(text, why);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let (protocol, secure) = match &*scheme.to_ascii_lowercase() {
            "http" => (Protocol::Http, false),
            "https" => (Protocol::Http, true),
            "grpc" => (Protocol::Grpc, false),
            "grpcs" => (Protocol::Grpc, true),
            _ => return Err(wrong("an unknown scheme")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority: Authority = authority.parse().map_err(|_| wrong("no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a name or password goes into a header"));
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(wrong("no port that there is"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let path: PathAndQuery = path.parse().map_err(|_| wrong("no path that can be sent"))?;
        Ok(Self { protocol, secure, authority, path })
    }

    /// The port that the scheme has if none was given.
    pub fn server(&self) -> Server {
        let host = self.authority.as_str();
        let address = match (self.authority.port_u16(), self.secure) {
            (Some(_), _) => host.to_owned(),
            (None, false) => format!("{host}:80"),
            (None, true) => format!("{host}:443"),
        };
        Server { address, secure: self.secure }
    }

    /// As URLs have it.
    pub fn scheme(&self) -> &'static str {
        match (self.protocol, self.secure) {
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
            (Protocol::Grpc, false) => "grpc",
            (Protocol::Grpc, true) => "grpcs",
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

fn wrong(text: &str, why: &str) -> String {
    format!("{text}: {why}; say http://host:port/path or grpc://host:port/package.Service/Method")
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = Self::read(text)?;
        let named = |(service, method): (&str, &str)| {
            !service.is_empty() && !method.is_empty() && !method.contains('/')
        };
        if target.protocol == Protocol::Grpc && !target.method().is_some_and(named) {
            return Err(wrong(text, "no method"));
        }
        Ok(target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().expect("a target")
    }

    #[test]
    fn targets_are_read_and_written() {
        let tasks = target("http://127.0.0.1:8200/v1/tasks?limit=5");
        assert_eq!((tasks.protocol, &*tasks.server().address), (Protocol::Http, "127.0.0.1:8200"));
        assert_eq!(tasks.to_string(), "http://127.0.0.1:8200/v1/tasks?limit=5");
        assert_eq!(target("http://example.test").path, "/");
        assert_eq!(target("HTTP://[::1]").to_string(), "http://[::1]/");
        let call = target("grpc://[::1]:8231/a.b.C/Do");
        assert_eq!(call.method(), Some(("a.b.C", "Do")));
        assert_eq!((&*call.server().address, call.server().name()), ("[::1]:8231", "::1"));
    }

    #[test]
    fn where_a_url_leads_is_known_without_its_method() {
        let server = Server { address: "a:1".to_owned(), secure: false };
        assert_eq!(Target::server_of("grpc://a:1"), Ok((server, Protocol::Grpc)));
        let error = Target::server_of("127.0.0.1:8200").expect_err("no scheme");
        assert!(error.starts_with("127.0.0.1:8200: no scheme; say"), "{error}");
    }

    #[test]
    fn the_scheme_says_whether_there_is_tls_and_which_port_is_meant() {
        for (text, secure, address) in [
            ("http://example.test/", false, "example.test:80"),
            ("https://example.test/", true, "example.test:443"),
            ("https://example.test:8443/", true, "example.test:8443"),
            ("grpcs://example.test/a.B/C", true, "example.test:443"),
        ] {
            let server = Server { address: address.to_owned(), secure };
            assert_eq!(target(text).server(), server);
            assert_eq!(server.name(), "example.test");
            assert_eq!(target(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_none_says_what_one_is() {
        for text in [
            "",
            "gateway",
            "ftp://a/",
            "http://",
            "http://me:pw@a/",
            "http://a:99999/",
            "http://a:/",
            "grpc://a:1",
            "grpc://a:1/S",
            "grpcs://a:1/S/",
        ] {
            assert!(
                text.parse::<Target>().expect_err(text).contains("grpc://host:port/"),
                "{text}"
            );
        }
    }
}
