//! What can be set while the node runs.

use axum::Json;
use axum::extract::State;
use hexad_api::node::UpSettings;

use super::Here;
use super::answer::{Answer, Given, Refused, ask};

/// Says what is set
#[utoipa::path(get, path = "/api/settings", responses((status = 200, body = UpSettings), Refused))]
pub(super) async fn settings(State(face): Here) -> Answer<Json<UpSettings>> {
    ask(&face, |daemon| daemon.settings()).await.map(Json)
}

/// Sets it; what needs a restart is said in `restart`
#[utoipa::path(put, path = "/api/settings", request_body = UpSettings, responses((status = 200, body = UpSettings), Refused))]
pub(super) async fn set(State(face): Here, Given(wanted): Given<UpSettings>) -> Answer<Json<UpSettings>> {
    Ok(Json(ask(&face, move |daemon| daemon.set_settings(wanted)).await??))
}
