//! The wiring: what a request passes, in order.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, error_handling::HandleErrorLayer, middleware, routing::get};
use ficus_control_api::subject::Subject;
use ficus_owners::{Owners, Role};
use ficus_process::{Clock, Shutdown};
use ficus_routing::{HoldLayer, Match, RouteLayer};
use ficus_rpc::{
    identity::Signer,
    observe::{self, ServedLayer},
};
use http::Request;
use tokio::net::TcpListener;
use tower::{
    ServiceBuilder, limit::GlobalConcurrencyLimitLayer, load_shed::LoadShedLayer,
    timeout::TimeoutLayer,
};

use crate::{
    api::{self, openapi::Document},
    config::{Config, Limits},
    error, headers,
    lanes::Lanes,
    limits::{self, Arrivals, Deadline},
    openapi,
    owners::Followed,
    server, trace,
    upstream::{self, Contract, Identity, Upstreams},
};

/// Runs the gateway until it is told to stop, and then until every request has its answer.
pub async fn serve(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let subject = Subject::read(&config.config)?;
    let contract = upstream::contract(&subject)?;
    let Some(owners) = owners(&subject, &config.name, &shutdown).await? else { return Ok(()) };
    let lanes = lanes(&subject, &contract, owners.clone(), config.limits, &shutdown)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("failed to listen on {}", config.listen))?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    server::run(listener, lanes, config.limits, shutdown).await;
    owners.leave().await;
    Ok(())
}

/// Every layer that a request passes, outermost first, on each lane. What counts requests or tokens counts those of all.
pub fn lanes(
    subject: &Subject,
    contract: &Contract,
    owners: Owners,
    limits: Limits,
    shutdown: &Shutdown,
) -> anyhow::Result<Lanes> {
    let signer = Signer::generate(Clock::system());
    let identity = Arc::new(Identity::new(subject, contract, &signer)?);
    let idle_time = Duration::from_secs(limits.idle_time);
    let table = Arc::new(contract.table(subject)?);
    let time_limit = Duration::from_secs(limits.time_limit);
    let hold = HoldLayer::new(Followed(owners), &table, ficus_routing::Limits::default());
    let places = GlobalConcurrencyLimitLayer::new(limits.in_flight);
    let arrivals = Arrivals::of(limits);
    let own = own(subject, contract, signer, shutdown)?;

    Lanes::start(|| {
        let table = table.clone();
        let passed_on = ServiceBuilder::new()
            // Whatever goes wrong below becomes a problem document here, and is logged here.
            .layer(HandleErrorLayer::new(error::answer))
            // More requests than can be worked on are refused at once; a queue would only make all of them late.
            .layer(LoadShedLayer::new())
            .layer(places.clone())
            // A request that takes longer has nobody waiting for it; those below learn when that will be.
            .layer(TimeoutLayer::new(time_limit))
            .map_request(move |request| Deadline::within(time_limit, request))
            // Method and path name the capability; what they do not name is the monolith's.
            .layer(RouteLayer::new(table))
            .map_request(routed)
            // The owner of this moment is chosen; what it refuses because of its fence is held and repeated.
            .layer(hold.clone())
            // To the monolith over HTTP, or to the service over gRPC or HTTP.
            .service(Upstreams::new(subject, &identity, idle_time)?);

        Ok(own
            .clone()
            .method_not_allowed_fallback(async || error::method_not_allowed())
            .fallback_service(passed_on)
            .layer(
                ServiceBuilder::new()
                    // What concerns one hop, or says who somebody is, goes no further in either direction.
                    .layer(middleware::from_fn(headers::rebuilt))
                    // The caller's trace goes on where it is well formed.
                    .layer(middleware::from_fn(trace::sound))
                    // Every request is a span of a trace, and counted; one that is refused below too.
                    .layer(ServedLayer::http())
                    // A body that is too large is refused before it is read, or where it turns out to be.
                    .layer(middleware::from_fn_with_state(limits, limits::body))
                    // Only what has arrived is worked on.
                    .layer(middleware::from_fn_with_state(arrivals.clone(), limits::arrived)),
            ))
    })
}

/// What the gateway answers itself.
fn own(
    subject: &Subject,
    contract: &Contract,
    signer: Signer,
    shutdown: &Shutdown,
) -> anyhow::Result<Router> {
    let mut own = Router::new()
        .route("/healthz", get(api::health::alive))
        .route("/readyz", get(api::health::ready).with_state(shutdown.clone()))
        .route("/.well-known/jwks.json", get(api::jwks::keys).with_state(signer));
    // A subject without protos may have a description of its own there.
    if contract.0.is_some() {
        let document = Arc::new(Document::new(&openapi::document(subject, contract)?));
        own = own.route("/openapi.json", get(api::openapi::document).with_state(document));
    }
    Ok(own)
}

/// Counts the request under the route that was found.
fn routed<B>(request: Request<B>) -> Request<B> {
    if let Some(found) = request.extensions().get::<Match>() {
        observe::route(request.extensions(), found.route.template.clone());
    }
    request
}

/// Follows the control database, however long it is away; `None` when told to stop meanwhile.
async fn owners(
    subject: &Subject,
    name: &str,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Owners>> {
    let url = subject.control.database.url()?;
    let capabilities = subject.capability.keys().cloned();
    let start = Owners::start(&url, name, Role::Gateway, capabilities);
    tokio::pin!(start);
    loop {
        tokio::select! {
            owners = &mut start => return Ok(Some(owners?)),
            () = shutdown.requested() => return Ok(None),
            () = tokio::time::sleep(Duration::from_secs(3)) => tracing::warn!(
                variable = subject.control.database.env,
                "waiting for the control database; nothing is served before it has said who owns what"
            ),
        }
    }
}
