//! Networks.

use axum::Json;
use axum::extract::State;
use hexad_api::node::NetworkStatus;

use super::Here;
use super::answer::{Answer, Named, Refused, ask};

/// Says how all networks stand
#[utoipa::path(get, path = "/api/networks", responses((status = 200, body = Vec<NetworkStatus>), Refused))]
pub(super) async fn networks(State(face): Here) -> Answer<Json<Vec<NetworkStatus>>> {
    ask(&face, |daemon| daemon.networks()).await.map(Json)
}

/// Says how a network stands, and who is whose neighbour there
#[utoipa::path(get, path = "/api/networks/{name}", params(("name" = String, Path)), responses((status = 200, body = NetworkStatus), Refused))]
pub(super) async fn network(State(face): Here, Named(name): Named) -> Answer<Json<NetworkStatus>> {
    Ok(Json(ask(&face, move |daemon| daemon.network(&name)).await??))
}

/// Joins a network
#[utoipa::path(post, path = "/api/networks/{name}/join", params(("name" = String, Path)), responses((status = 200, body = NetworkStatus), Refused))]
pub(super) async fn join(State(face): Here, Named(name): Named) -> Answer<Json<NetworkStatus>> {
    Ok(Json(ask(&face, move |daemon| daemon.join(&name)).await??))
}

/// Leaves a network
#[utoipa::path(post, path = "/api/networks/{name}/leave", params(("name" = String, Path)), responses((status = 200, body = NetworkStatus), Refused))]
pub(super) async fn leave(State(face): Here, Named(name): Named) -> Answer<Json<NetworkStatus>> {
    Ok(Json(ask(&face, move |daemon| daemon.leave(&name)).await??))
}
