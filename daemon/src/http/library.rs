//! What we offer, and files that are sent here to be offered.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use hexad_api::node::{Folder, LibraryQuery, PAGE_MAX, Page, Share, ShareChange, ShareDetail};
use hexad_api::{Problem, ProblemKind, TorrentVersion};
use serde::Deserialize;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::Here;
use super::answer::{Answer, Asked, Given, Named, Numbered, Refused, ask};
use super::searches::PAGE_USUAL;
use crate::source::plain;

/// Who sends nothing for so long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Parts of a file that wait for the disk.
const WAITING_PARTS_MAX: usize = 16;
/// What the parts of a file are called until it is whole. Nobody offers what begins with a dot.
const UNFINISHED: &str = ".hexad-upload-";

/// A path on the node's machine.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PathOf {
    /// Absolute.
    path: String,
}

/// What is to be offered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Offered {
    /// Absolute, on the node's machine.
    path: String,
    /// Of which version its torrent is; as the settings say when absent.
    #[serde(default)]
    version: Option<TorrentVersion>,
}

/// Lists what is offered
#[utoipa::path(get, path = "/api/library", params(LibraryQuery), responses((status = 200, body = Page<Share>), Refused))]
pub(super) async fn library(State(face): Here, Asked(mut which): Asked<LibraryQuery>) -> Answer<Json<Page<Share>>> {
    which.limit = Some(which.limit.unwrap_or(PAGE_USUAL).min(PAGE_MAX));
    ask(&face, move |daemon| daemon.library(&which)).await.map(Json)
}

/// Says all that is known of one share: how others reach it, too
#[utoipa::path(get, path = "/api/library/{id}", params(("id" = u64, Path)), responses((status = 200, body = ShareDetail), Refused))]
pub(super) async fn shared(State(face): Here, Numbered(id): Numbered) -> Answer<Json<ShareDetail>> {
    Ok(Json(ask(&face, move |daemon| daemon.shared(id)).await??))
}

/// Offers a file or folder of the node's machine
#[utoipa::path(post, path = "/api/library", request_body = Offered, responses((status = 201, body = Share), Refused))]
pub(super) async fn share(State(face): Here, Given(what): Given<Offered>) -> Answer<(StatusCode, Json<Share>)> {
    let share = ask(&face, move |daemon| daemon.share(Path::new(&what.path), what.version)).await??;
    Ok((StatusCode::CREATED, Json(share)))
}

/// Gives a share a link that leads to what its owner puts in its place later
#[utoipa::path(
    patch,
    path = "/api/library/{id}",
    params(("id" = u64, Path)),
    request_body = ShareChange,
    responses((status = 200, body = Share), Refused)
)]
pub(super) async fn change(State(face): Here, Numbered(id): Numbered, Given(change): Given<ShareChange>) -> Answer<Json<Share>> {
    Ok(Json(ask(&face, move |daemon| daemon.change_share(id, change)).await??))
}

/// Offers it no longer; no file is deleted
#[utoipa::path(delete, path = "/api/library/{id}", params(("id" = u64, Path)), responses((status = 204), Refused))]
pub(super) async fn unshare(State(face): Here, Numbered(id): Numbered) -> Answer<StatusCode> {
    ask(&face, move |daemon| daemon.unshare(id)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a file, and offers it
#[utoipa::path(
    put,
    path = "/api/library/files/{name}",
    params(("name" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Share), Refused)
)]
pub(super) async fn send(State(face): Here, Named(name): Named, body: Body) -> Answer<(StatusCode, Json<Share>)> {
    let place = ask(&face, move |daemon| daemon.place_for(&name)).await??;
    receive(body, place.clone()).await?;
    let share = ask(&face, move |daemon| daemon.share(&place, None)).await??;
    Ok((StatusCode::CREATED, Json(share)))
}

/// Lists watched folders
#[utoipa::path(get, path = "/api/library/folders", responses((status = 200, body = Vec<Folder>), Refused))]
pub(super) async fn folders(State(face): Here) -> Answer<Json<Vec<Folder>>> {
    ask(&face, |daemon| daemon.folders()).await.map(Json)
}

/// Watches a folder: every file in it is offered
#[utoipa::path(post, path = "/api/library/folders", request_body = PathOf, responses((status = 201, body = Folder), Refused))]
pub(super) async fn add_folder(State(face): Here, Given(which): Given<PathOf>) -> Answer<(StatusCode, Json<Folder>)> {
    let folder = ask(&face, move |daemon| daemon.add_folder(Path::new(&which.path))).await??;
    Ok((StatusCode::CREATED, Json(folder)))
}

/// Watches it no longer; no file is deleted
#[utoipa::path(delete, path = "/api/library/folders", request_body = PathOf, responses((status = 204), Refused))]
pub(super) async fn remove_folder(State(face): Here, Given(which): Given<PathOf>) -> Answer<StatusCode> {
    ask(&face, move |daemon| daemon.remove_folder(Path::new(&which.path))).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes a body to where it is to stand. Nothing is there before all of it has come.
async fn receive(body: Body, place: PathBuf) -> Answer<()> {
    let (to, parts) = mpsc::channel(WAITING_PARTS_MAX);
    let writing = tokio::task::spawn_blocking(move || write(parts, &place));
    let mut body = body.into_data_stream();
    let came = loop {
        match tokio::time::timeout(SILENCE_MAX, body.next()).await {
            Ok(Some(Ok(part))) => {
                // Whoever writes has met with a problem, and says so himself.
                if to.send(Part::Bytes(part)).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => {
                let _ = to.send(Part::End).await;
                break Ok(());
            }
            Ok(Some(Err(_))) => break Err(Problem::new("the file did not come whole").hint("send it again")),
            Err(_) => break Err(Problem::new(format!("nothing came for {} seconds", SILENCE_MAX.as_secs())).hint("send it again")),
        }
    };
    drop(to);
    let written = writing.await.map_err(|_| Refused::internal())?;
    came?;
    Ok(written?)
}

/// What comes of a file.
enum Part {
    Bytes(Bytes),
    End,
}

/// A file whose end has not come is not kept.
fn write(mut parts: mpsc::Receiver<Part>, place: &Path) -> Result<(), Problem> {
    let trouble = |wrong: &io::Error| {
        let problem = Problem::new(format!("{} cannot be written: {}", place.display(), plain(wrong)));
        match wrong.kind() {
            io::ErrorKind::AlreadyExists => problem.hint("rename the file, or take away what is there").kind(ProblemKind::Conflict),
            _ => problem.hint("make room, or choose another folder in the settings").kind(ProblemKind::Unavailable),
        }
    };
    let folder = place.parent().unwrap_or(Path::new("."));
    // Whoever may read other files of the folder may read this one.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().prefix(UNFINISHED).permissions(permissions).tempfile_in(folder);
    let mut file: NamedTempFile = file.map_err(|wrong| trouble(&wrong))?;
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Bytes(bytes) => file.write_all(&bytes).map_err(|wrong| trouble(&wrong))?,
            Part::End => {
                file.persist_noclobber(place).map_err(|wrong| trouble(&wrong.error))?;
                return Ok(());
            }
        }
    }
    Err(Problem::new("the file did not come whole").hint("send it again"))
}
