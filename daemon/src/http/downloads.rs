//! Downloads.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hexad_api::node::{Download, DownloadChange, DownloadDetail, DownloadFile, DownloadQuery, FileQuery, NewDownload, PAGE_MAX, Page};

use super::Here;
use super::answer::{Answer, Asked, Given, Numbered, Refused, ask};
use super::searches::PAGE_USUAL;

/// Lists downloads
#[utoipa::path(get, path = "/api/downloads", params(DownloadQuery), responses((status = 200, body = Page<Download>), Refused))]
pub(super) async fn downloads(State(face): Here, Asked(mut which): Asked<DownloadQuery>) -> Answer<Json<Page<Download>>> {
    which.limit = Some(which.limit.unwrap_or(PAGE_USUAL).min(PAGE_MAX));
    ask(&face, move |daemon| daemon.downloads(&which)).await.map(Json)
}

/// Begins a download
#[utoipa::path(post, path = "/api/downloads", request_body = NewDownload, responses((status = 201, body = Download), Refused))]
pub(super) async fn begin(State(face): Here, Given(wanted): Given<NewDownload>) -> Answer<(StatusCode, Json<Download>)> {
    let download = ask(&face, move |daemon| daemon.begin_download(wanted)).await??;
    Ok((StatusCode::CREATED, Json(download)))
}

/// Says all that is known of a download
#[utoipa::path(get, path = "/api/downloads/{id}", params(("id" = u64, Path)), responses((status = 200, body = DownloadDetail), Refused))]
pub(super) async fn download(State(face): Here, Numbered(id): Numbered) -> Answer<Json<DownloadDetail>> {
    Ok(Json(ask(&face, move |daemon| daemon.download(id)).await??))
}

/// Lists the files of a download
#[utoipa::path(
    get,
    path = "/api/downloads/{id}/files",
    params(("id" = u64, Path), FileQuery),
    responses((status = 200, body = Page<DownloadFile>), Refused)
)]
pub(super) async fn files(
    State(face): Here,
    Numbered(id): Numbered,
    Asked(mut which): Asked<FileQuery>,
) -> Answer<Json<Page<DownloadFile>>> {
    which.limit = Some(which.limit.unwrap_or(PAGE_USUAL).min(PAGE_MAX));
    Ok(Json(ask(&face, move |daemon| daemon.download_files(id, &which)).await??))
}

/// Changes limits, order, goals and files of a download
#[utoipa::path(
    patch,
    path = "/api/downloads/{id}",
    params(("id" = u64, Path)),
    request_body = DownloadChange,
    responses((status = 200, body = Download), Refused)
)]
pub(super) async fn change(State(face): Here, Numbered(id): Numbered, Given(change): Given<DownloadChange>) -> Answer<Json<Download>> {
    Ok(Json(ask(&face, move |daemon| daemon.change_download(id, change)).await??))
}

/// Lets a download rest
#[utoipa::path(post, path = "/api/downloads/{id}/pause", params(("id" = u64, Path)), responses((status = 200, body = Download), Refused))]
pub(super) async fn pause(State(face): Here, Numbered(id): Numbered) -> Answer<Json<Download>> {
    Ok(Json(ask(&face, move |daemon| daemon.pause(id)).await??))
}

/// Goes on with a download
#[utoipa::path(post, path = "/api/downloads/{id}/resume", params(("id" = u64, Path)), responses((status = 200, body = Download), Refused))]
pub(super) async fn resume(State(face): Here, Numbered(id): Numbered) -> Answer<Json<Download>> {
    Ok(Json(ask(&face, move |daemon| daemon.resume(id)).await??))
}

/// Forgets a download; its files stay where they are
#[utoipa::path(delete, path = "/api/downloads/{id}", params(("id" = u64, Path)), responses((status = 204), Refused))]
pub(super) async fn remove(State(face): Here, Numbered(id): Numbered) -> Answer<StatusCode> {
    ask(&face, move |daemon| daemon.remove(id)).await??;
    Ok(StatusCode::NO_CONTENT)
}
