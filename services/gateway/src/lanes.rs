//! The threads that work on requests: one for each processor, with a runtime and connections to the owners of its own. So
//! what a request and its answer pass wakes no other thread.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::Context;
use axum::Router;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

/// How many names are looked up at once on a lane; a lookup cannot be given up.
const NAMES: usize = 64;

/// All lanes. They end, with whatever is under way on them, when this is dropped.
#[derive(Debug)]
pub struct Lanes(Vec<Lane>);

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    router: Router,
    /// Each connection that is open has a share of it.
    open: Arc<()>,
    _end: oneshot::Sender<Infallible>,
}

impl Lanes {
    /// Starts as many as there are processors. `router` is called for each, in its runtime.
    pub fn start(router: impl Fn() -> anyhow::Result<Router>) -> anyhow::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        (0..processors)
            .map(|number| Lane::start(number, &router))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Has the connection worked on where the fewest are open.
    pub fn put<F>(
        &self,
        stream: TcpStream,
        work: impl FnOnce(TcpStream, Router) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stream = stream.into_std()?;
        let fewest = self.0.iter().min_by_key(|lane| Arc::strong_count(&lane.open));
        let lane = fewest.expect("there is one for each processor");
        let (router, open) = (lane.router.clone(), lane.open.clone());
        lane.runtime.spawn(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => work(stream, router).await,
                Err(error) => tracing::warn!(%error, "failed to take a connection"),
            }
            drop(open);
        });
        Ok(())
    }
}

impl Lane {
    fn start(
        number: usize,
        router: impl FnOnce() -> anyhow::Result<Router>,
    ) -> anyhow::Result<Self> {
        let (made, handle) = mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        // The runtime lives on its thread alone: to drop one in an asynchronous context would be a panic.
        let run = move || match runtime() {
            Ok(runtime) => {
                let _ = made.send(Ok(runtime.handle().clone()));
                let _ = runtime.block_on(ended);
                // Not for a name that is still being looked up.
                runtime.shutdown_background();
            }
            Err(error) => {
                let _ = made.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name(format!("lane-{number}"));
        thread.spawn(run).context("failed to start a thread")?;
        let handle = handle.recv()?.context("failed to start a runtime")?;
        let router = {
            let _entered = handle.enter();
            router()?
        };
        Ok(Self { runtime: handle, router, open: Arc::default(), _end: end })
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(NAMES).build()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{collections::BTreeMap, time::Duration};

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_cannot_be_read_is_told() {
        let error = Lanes::start(|| anyhow::bail!("write http://host:port")).unwrap_err();
        assert_eq!(error.to_string(), "write http://host:port");
    }

    #[tokio::test]
    async fn connections_are_spread_and_end_with_the_lanes() {
        const EACH: usize = 3;
        let lanes = Lanes::start(|| Ok(Router::new())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (begun, where_) = mpsc::channel();
        let mut callers = Vec::new();
        for _ in 0..lanes.0.len() * EACH {
            callers.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            let begun = begun.clone();
            let work = async move |stream: TcpStream, _| {
                begun.send(thread::current().name().unwrap().to_owned()).unwrap();
                stream.readable().await.unwrap();
            };
            lanes.put(stream, work).unwrap();
        }
        let mut on = BTreeMap::new();
        for _ in &callers {
            *on.entry(where_.recv_timeout(Duration::from_secs(30)).unwrap()).or_insert(0) += 1;
        }
        assert!(on.len() == lanes.0.len() && on.values().all(|&of| of == EACH), "{on:?}");
        drop(lanes);
        for caller in callers {
            caller.readable().await.unwrap();
            assert_eq!(caller.try_read(&mut [0]).unwrap(), 0);
        }
    }
}
