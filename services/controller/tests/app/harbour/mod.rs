//! A harbour's logbook as strangers would have it: axum, sqlx, tables of their own, no crate of Ficus. The
//! old office and the new one run the same program with other statements. All that it does for a move is
//! `Failure`: what the fence refuses is rolled back and answered by the published rule.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use ficus_pg::Pool;
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgDatabaseError};

/// What one office asks its database.
pub struct Statements {
    count: &'static str,
    enter: &'static str,
    amend: &'static str,
    read: &'static str,
}

pub const OLD: Statements = Statements {
    count: "INSERT INTO boats (name, entries) VALUES ($1, 1)
            ON CONFLICT (name) DO UPDATE SET entries = boats.entries + 1",
    enter: "INSERT INTO log_entries (boat, said, urgent)
            VALUES ($1, $2, CASE WHEN $3 THEN 'yes' ELSE 'no' END) RETURNING id",
    amend: "UPDATE log_entries SET said = $3 WHERE boat = $1 AND id = $2",
    read: "SELECT entries::bigint, (SELECT said FROM log_entries WHERE boat = $1 ORDER BY id DESC LIMIT 1)
             FROM boats WHERE name = $1",
};

pub const NEW: Statements = Statements {
    count: "INSERT INTO vessels (vessel, line_count) VALUES ($1, 1)
            ON CONFLICT (vessel) DO UPDATE SET line_count = vessels.line_count + 1",
    enter: "INSERT INTO lines (vessel, body, alarm) VALUES ($1, $2, $3) RETURNING line_no",
    amend: "UPDATE lines SET body = $3 WHERE vessel = $1 AND line_no = $2",
    read:
        "SELECT line_count, (SELECT body FROM lines WHERE vessel = $1 ORDER BY line_no DESC LIMIT 1)
             FROM vessels WHERE vessel = $1",
};

#[derive(Clone)]
struct Office {
    pool: Pool,
    ask: &'static Statements,
}

pub fn router(pool: Pool, ask: &'static Statements) -> Router {
    Router::new()
        .route("/logbook/{boat}", get(read))
        .route("/logbook/{boat}/entries", post(enter))
        .route("/logbook/{boat}/entries/{id}", put(amend))
        .route("/tides", get(tides))
        .with_state(Office { pool, ask })
}

async fn enter(
    State(office): State<Office>,
    Path(boat): Path<String>,
    Json(entry): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let mut tx = office.pool.begin().await?;
    sqlx::query(office.ask.count).bind(&boat).execute(&mut *tx).await?;
    let id: i64 = sqlx::query_scalar(office.ask.enter)
        .bind(&boat)
        .bind(entry["said"].as_str())
        .bind(entry["urgent"] == true)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

async fn amend(
    State(office): State<Office>,
    Path((boat, id)): Path<(String, i64)>,
    Json(entry): Json<Value>,
) -> Result<StatusCode, Failure> {
    let amended = sqlx::query(office.ask.amend)
        .bind(boat)
        .bind(id)
        .bind(entry["said"].as_str())
        .execute(&office.pool)
        .await?;
    Ok(if amended.rows_affected() == 1 { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

async fn read(
    State(office): State<Office>,
    Path(boat): Path<String>,
) -> Result<Json<Value>, Failure> {
    let row = sqlx::query(office.ask.read).bind(boat).fetch_optional(&office.pool).await?;
    let (entries, last) = match row {
        Some(row) => (row.try_get::<i64, _>(0)?, row.try_get::<Option<String>, _>(1)?),
        None => (0, None),
    };
    Ok(Json(json!({ "entries": entries, "last": last })))
}

async fn tides(State(office): State<Office>) -> Result<Json<Value>, Failure> {
    let levels = sqlx::query_scalar::<_, String>("SELECT level::text FROM tides ORDER BY at");
    Ok(Json(json!(levels.fetch_all(&office.pool).await?)))
}

struct Failure(sqlx::Error);

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match fenced(&self.0) {
            Some(fenced) => {
                (StatusCode::SERVICE_UNAVAILABLE, [("Ficus-Fenced", fenced)]).into_response()
            }
            None => (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response(),
        }
    }
}

/// `capability=logbook epoch=3` of the error's detail, as the header says it: `logbook 3`.
fn fenced(error: &sqlx::Error) -> Option<String> {
    let error =
        error.as_database_error().filter(|error| error.code().as_deref() == Some("ZF001"))?;
    let detail = error.downcast_ref::<PgDatabaseError>().detail()?;
    Some(detail.strip_prefix("capability=")?.replace(" epoch=", " "))
}
