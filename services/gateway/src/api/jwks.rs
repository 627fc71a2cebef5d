//! The keys by which services verify who calls.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ficus_rpc::identity::Signer;
use http::header;

/// `GET /.well-known/jwks.json`
pub async fn keys(State(signer): State<Signer>) -> Response {
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], signer.jwks()).into_response()
}
