//! What is asked over HTTP: one trace, or the latest.

use std::{io, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{answer, id::TraceId, store::Spans};

const MAX_TRACES: usize = 200;

#[derive(serde::Deserialize)]
struct Search {
    #[serde(default = "twenty")]
    limit: usize,
}

/// As many as Tempo gives unless it is asked for more.
fn twenty() -> usize {
    20
}

/// Why there is no answer.
enum Refusal {
    NoId(String),
    Unknown(TraceId),
    Failed(io::Error),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoId(error) => (StatusCode::BAD_REQUEST, error).into_response(),
            Self::Unknown(id) => {
                (StatusCode::NOT_FOUND, format!("trace {id} is not known")).into_response()
            }
            Self::Failed(error) => {
                tracing::error!(%error, "failed to read spans");
                (StatusCode::INTERNAL_SERVER_ERROR, "failed to read the spans").into_response()
            }
        }
    }
}

/// `GET /api/traces/{id}` and `GET /api/search?limit=`.
pub fn routes(spans: Arc<Spans>) -> Router {
    Router::new()
        .route("/api/traces/{id}", get(trace))
        .route("/api/search", get(search))
        .with_state(spans)
}

async fn trace(
    State(spans): State<Arc<Spans>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let id: TraceId = id.parse().map_err(|error| Refusal::NoId(format!("{error}")))?;
    let found = read(move || spans.trace(id)).await?;
    if found.is_empty() {
        return Err(Refusal::Unknown(id));
    }
    Ok(Json(answer::trace(&found)))
}

async fn search(
    State(spans): State<Arc<Spans>>,
    Query(search): Query<Search>,
) -> Result<Json<Value>, Refusal> {
    let traces = read(move || latest(&spans, search.limit.min(MAX_TRACES))).await?;
    Ok(Json(json!({ "traces": traces })))
}

fn latest(spans: &Spans, count: usize) -> io::Result<Vec<Value>> {
    let mut traces = Vec::new();
    for id in spans.latest(count) {
        traces.extend(answer::found(id, &spans.trace(id)?));
    }
    Ok(traces)
}

/// Files are read where that holds nobody up.
async fn read<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(io::Error::other).flatten().map_err(Refusal::Failed)
}
