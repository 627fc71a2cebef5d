//! Who asks, for a service that believes the gateway alone.
//!
//! A service verifies callers' tokens by keys that it fetches where `--gateway-keys` says. A scenario names one more
//! such place, and for the length of the run this serves a key there that signs its users' tokens.

use std::{convert::Infallible, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use ficus_process::Clock;
use ficus_rpc::identity::Signer;
use http::{Response, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::AbortHandle};

use super::{
    scenario,
    template::{Names, fill},
};

/// What a user's token is called in a scenario.
const NAME: &str = "identity";
/// How long a token outlives the run, for what is still in flight.
const MARGIN: Duration = Duration::from_mins(2);

/// Serves the key until it is dropped.
pub(super) struct Inside(AbortHandle);

impl Inside {
    /// Gives every user a token that outlives the run. Fails if the address is taken.
    pub async fn open(
        inside: &scenario::Inside,
        users: &mut [Names],
        length: Duration,
    ) -> anyhow::Result<Self> {
        let signer = Signer::generate(Clock::system());
        for names in users {
            let subject = fill(&inside.subject, names)?;
            let token = signer.sign_for(&subject, length + MARGIN);
            let token = token.context("failed to sign a user's token")?;
            names.insert(NAME.to_owned(), token);
        }
        let listener = TcpListener::bind(&inside.keys).await;
        let listener = listener.with_context(|| {
            format!("failed to serve keys at {}, where the service fetches them", inside.keys)
        })?;
        let keys = Bytes::from(signer.jwks());
        Ok(Self(tokio::spawn(serve(listener, keys)).abort_handle()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whatever is asked, the answer is the keys.
async fn serve(listener: TcpListener, keys: Bytes) {
    while let Ok((stream, _)) = listener.accept().await {
        let keys = keys.clone();
        let answer = service_fn(move |_| {
            let mut answer = Response::new(Full::new(keys.clone()));
            let json = http::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(CONTENT_TYPE, json);
            async { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async {
            // One that breaks is the service's to open again.
            let _ = connection.await;
        });
    }
}
