//! Searches that stay.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hexad_api::node::{NewSearch, PAGE_MAX, Page, Search, SearchDetail};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Here;
use super::answer::{Answer, Asked, Given, Numbered, Refused, ask};

/// Items of a page when nobody says how many.
pub(super) const PAGE_USUAL: usize = 100;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The first item, from 0 on.
    offset: usize,
    /// How many at most, up to 1000; 100 when absent.
    limit: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self { offset: 0, limit: PAGE_USUAL }
    }
}

/// Lists searches, the latest first
#[utoipa::path(get, path = "/api/searches", params(Part), responses((status = 200, body = Page<Search>), Refused))]
pub(super) async fn searches(State(face): Here, Asked(part): Asked<Part>) -> Answer<Json<Page<Search>>> {
    ask(&face, move |daemon| daemon.searches(part.offset, part.limit.min(PAGE_MAX))).await.map(Json)
}

/// Begins a search
#[utoipa::path(post, path = "/api/searches", request_body = NewSearch, responses((status = 201, body = Search), Refused))]
pub(super) async fn begin(State(face): Here, Given(wanted): Given<NewSearch>) -> Answer<(StatusCode, Json<Search>)> {
    let search = ask(&face, move |daemon| daemon.begin_search(wanted)).await??;
    Ok((StatusCode::CREATED, Json(search)))
}

/// Says how a search stands, and what it has found
#[utoipa::path(get, path = "/api/searches/{id}", params(("id" = u64, Path), Part), responses((status = 200, body = SearchDetail), Refused))]
pub(super) async fn search(State(face): Here, Numbered(id): Numbered, Asked(part): Asked<Part>) -> Answer<Json<SearchDetail>> {
    Ok(Json(ask(&face, move |daemon| daemon.search(id, part.offset, part.limit.min(PAGE_MAX))).await??))
}

/// Asks again, and for more
#[utoipa::path(post, path = "/api/searches/{id}/more", params(("id" = u64, Path)), responses((status = 200, body = Search), Refused))]
pub(super) async fn more(State(face): Here, Numbered(id): Numbered) -> Answer<Json<Search>> {
    Ok(Json(ask(&face, move |daemon| daemon.search_more(id)).await??))
}

/// Forgets a search
#[utoipa::path(delete, path = "/api/searches/{id}", params(("id" = u64, Path)), responses((status = 204), Refused))]
pub(super) async fn end(State(face): Here, Numbered(id): Numbered) -> Answer<StatusCode> {
    ask(&face, move |daemon| daemon.end_search(id)).await??;
    Ok(StatusCode::NO_CONTENT)
}
