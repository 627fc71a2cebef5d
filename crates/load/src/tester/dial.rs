//! Connections, with TLS where it is asked for.

use std::{io, sync::Arc};

use bytes::BytesMut;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

use super::{
    frame::{PREFACE, kind, put},
    spoken::Spoken,
    target::{Protocol, Server},
};

/// A connection; with TLS the right one.
pub type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// Opens connections.
#[derive(Debug, Clone)]
pub struct Dialer {
    tls: ClientConfig,
    http: Arc<ClientConfig>,
    grpc: Arc<ClientConfig>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Its host has no address.
    #[error(transparent)]
    Lookup(io::Error),
    #[error(transparent)]
    Connect(io::Error),
    #[error(transparent)]
    Tls(io::Error),
    /// Its certificate is not believed.
    #[error(transparent)]
    Certificate(io::Error),
    /// What it says is nothing that TLS has.
    #[error(transparent)]
    NoTls(io::Error),
    /// Its certificate cannot be asked for.
    #[error("\"{0}\" is no host that TLS can be spoken with")]
    Name(String),
    #[error("it does not speak HTTP/2, as gRPC does")]
    NoHttp2,
    /// It speaks something else, and what to say then.
    #[error("{0}")]
    Other(&'static str),
}

impl DialError {
    fn tls(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => Self::Certificate(error),
            Some(rustls::Error::InvalidMessage(_)) => Self::NoTls(error),
            _ => Self::Tls(error),
        }
    }

    /// What reports sum up under.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lookup(_) | Self::Connect(_) => "connect",
            Self::Tls(_)
            | Self::Certificate(_)
            | Self::NoTls(_)
            | Self::Name(_)
            | Self::NoHttp2
            | Self::Other(_) => "tls",
        }
    }
}

impl Dialer {
    /// Believes the certificates that are vouched for by those of a PEM text, or without it by those that the system
    /// believes. Fails if the text holds none.
    pub fn new(ca: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| error.to_string())?;
                    roots.add(certificate).map_err(|error| error.to_string())?;
                }
                if roots.is_empty() {
                    return Err("there is no certificate in it".to_owned());
                }
            }
            // Where the system has none, nobody is believed, and a connection says so.
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let versions = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions();
        let tls = versions
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let speaking = |protocol: &[u8]| {
            let mut tls = tls.clone();
            tls.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(tls)
        };
        let (http, grpc) = (speaking(b"http/1.1"), speaking(b"h2"));
        Ok(Self { tls, http, grpc })
    }

    /// For clients that say by themselves what they speak.
    pub fn tls(&self) -> ClientConfig {
        self.tls.clone()
    }

    /// A connection that is ready for requests.
    pub async fn dial(&self, server: &Server, protocol: Protocol) -> Result<Stream, DialError> {
        let addresses = lookup_host(&server.address).await.map_err(DialError::Lookup)?;
        let addresses: Vec<_> = addresses.collect();
        let stream = TcpStream::connect(&*addresses).await.map_err(DialError::Connect)?;
        stream.set_nodelay(true).map_err(DialError::Connect)?;
        if !server.secure {
            return Ok(Either::Left(stream));
        }
        let name = ServerName::try_from(server.name().to_owned())
            .map_err(|_| DialError::Name(server.name().to_owned()))?;
        let config = match protocol {
            Protocol::Http => &self.http,
            Protocol::Grpc => &self.grpc,
        };
        let stream = TlsConnector::from(config.clone()).connect(name, stream).await;
        let stream = stream.map_err(DialError::tls)?;
        if protocol == Protocol::Grpc && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(DialError::NoHttp2);
        }
        Ok(Either::Right(stream))
    }

    /// Fails unless the server listens; where HTTP/2 is expected, unless it is what is spoken. A server of HTTP/1.1
    /// says nothing before it is asked for something.
    pub async fn try_out(&self, server: &Server, protocol: Protocol) -> Result<(), DialError> {
        let mut stream = self.dial(server, protocol).await?;
        if protocol == Protocol::Http {
            return Ok(());
        }
        let mut greeting = BytesMut::from(PREFACE);
        put(&mut greeting, kind::SETTINGS, 0, 0, &[]);
        let mut first = [0; 4];
        let greeted = async {
            stream.write_all(&greeting).await?;
            stream.read_exact(&mut first).await
        };
        greeted.await.map_err(|_| DialError::NoHttp2)?;
        let spoken = Spoken::of(&first).ok_or(DialError::NoHttp2)?;
        spoken.instead_of_http2().map_or(Ok(()), |next| Err(DialError::Other(next)))
    }
}
