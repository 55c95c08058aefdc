//! What there is to ask, and how the node stands.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use hexad_api::node::Status;
use serde::Serialize;
use utoipa::ToSchema;

use super::Here;
use super::answer::{Answer, Refused, ask};

/// All paths of the API.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Index {
    /// Where the description of all of it is.
    openapi: String,
    /// The paths.
    paths: Vec<IndexLine>,
}

/// A path of the API.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct IndexLine {
    /// How it is asked.
    method: String,
    /// Below the base path.
    path: String,
    /// What it does.
    about: String,
}

impl Index {
    pub(super) fn of(description: &utoipa::openapi::OpenApi) -> Self {
        let line = |method: &str, path: &str, operation: &utoipa::openapi::path::Operation| IndexLine {
            method: method.into(),
            path: path.into(),
            about: operation.summary.clone().unwrap_or_default(),
        };
        let mut paths = Vec::new();
        for (path, item) in &description.paths.paths {
            let ways = [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)];
            paths.extend(ways.into_iter().filter_map(|(method, way)| Some(line(method, path, way.as_ref()?))));
        }
        Self { openapi: "api/openapi.json".into(), paths }
    }
}

/// Lists what can be asked
#[utoipa::path(get, path = "/api", responses((status = 200, body = Index), Refused))]
pub(super) async fn index(State(face): Here) -> Answer<Json<Index>> {
    face.index.get().cloned().map(Json).ok_or_else(Refused::internal)
}

/// Describes all that can be asked
#[utoipa::path(get, path = "/api/openapi.json", responses((status = 200, body = Object, content_type = "application/json"), Refused))]
pub(super) async fn openapi(State(face): Here) -> Answer<impl IntoResponse> {
    let text = face.openapi.get().cloned().ok_or_else(Refused::internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], text))
}

/// Says how the node and its networks stand
#[utoipa::path(get, path = "/api/status", responses((status = 200, body = Status), Refused))]
pub(super) async fn status(State(face): Here) -> Answer<Json<Status>> {
    ask(&face, |daemon| daemon.status()).await.map(Json)
}

/// Whether the node is there, which it is as soon as it answers; open to everybody who calls it by its name.
pub(super) async fn health() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
}
