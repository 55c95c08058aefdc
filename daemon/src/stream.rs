//! `hexad stream`: what is being fetched, served by HTTP from the first byte on. Where somebody reads is told to the networks, which bring it first.
//!
//! Served at a loopback address to whoever names it as such: a page on the web cannot lead a browser here by a name of its own.

use std::future::Future;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use hexad_api::{Event, Problem};
use hexad_content::{Layout, PercentEncoded};
use hexad_core::{OpId, ShareId};
use hexad_driver::ReadShare as _;
use hexad_driver::transfers::Transfers;
use hyper::body::Frame;
use tokio::sync::{oneshot, watch};

use crate::session::Happening;
use crate::web::{self, Limits};

/// What a player is given at a time.
const CHUNK_BYTES: u64 = 256 << 10;
/// How far ahead of a reader the networks are told to bring things first.
const AHEAD_BYTES: u64 = 32 << 20;
/// How far a reader goes before they are told again.
const STEP_BYTES: u64 = 1 << 20;

/// What is being streamed, as far as it is known.
struct Known {
    share: ShareId,
    layout: Arc<Layout>,
    wanted: Vec<bool>,
}

/// What the books of a fetch and its HTTP face share.
pub(crate) struct Stage {
    known: Mutex<Option<Known>>,
    /// Counts whatever may let a reader go on.
    news: watch::Sender<u64>,
}

impl Stage {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { known: Mutex::new(None), news: watch::Sender::new(0) })
    }

    /// The download is open: it is known what there is to be read. Returns the indices of the files and their paths, the largest first.
    pub(crate) fn opened(&self, share: ShareId, layout: Arc<Layout>, wanted: Vec<bool>) -> Vec<(usize, String)> {
        let mut files: Vec<usize> = (0..layout.files().len()).filter(|&index| wanted.get(index).copied().unwrap_or(false)).collect();
        files.sort_by_key(|&index| std::cmp::Reverse(layout.files()[index].length));
        let named =
            files.into_iter().map(|index| (index, PercentEncoded(&layout.files()[index].path.join("/"), "/").to_string())).collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { share, layout, wanted });
        self.happened();
        named
    }

    /// More is verified.
    pub(crate) fn happened(&self) {
        self.news.send_modify(|count| *count += 1);
    }
}

/// The HTTP face of one fetch.
struct Face {
    stage: Arc<Stage>,
    transfers: Arc<Transfers>,
    happenings: Sender<Happening>,
    task: OpId,
}

/// Ends the face when dropped.
pub(crate) struct Running(Option<oneshot::Sender<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(quit) = self.0.take() {
            let _ = quit.send(());
        }
    }
}

/// Listens where players connect.
pub(crate) fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), Problem> {
    if !address.ip().is_loopback() {
        return Err(Problem::new(format!("expected a loopback address to stream at, came {address}"))
            .hint("what is streamed is for players on this machine: name 127.0.0.1:PORT"));
    }
    web::bind(address)
}

/// Serves what `task` fetches until the returned value is dropped.
pub(crate) fn serve(
    listener: std::net::TcpListener,
    stage: Arc<Stage>,
    transfers: Arc<Transfers>,
    happenings: Sender<Happening>,
    task: OpId,
) -> Result<Running, Problem> {
    let (quit, quitting) = oneshot::channel();
    let face = Arc::new(Face { stage, transfers, happenings, task });
    let pages =
        Router::new().route("/", get(list)).route("/{index}", get(file)).route("/{index}/{*name}", get(named_file)).with_state(face);
    // A player may be paused for hours.
    let limits = Limits { connections_max: 32, connection_deadline: std::time::Duration::from_secs(24 * 3600), ..Limits::default() };
    thread::Builder::new()
        .name("hexad-stream".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return tracing::error!("the stream's runtime cannot be built") };
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => web::serve(listener, pages, limits, quitting).await,
                    Err(wrong) => tracing::error!(%wrong, "nobody can be streamed to"),
                }
            });
            runtime.shutdown_background();
        })
        .map_err(|wrong| Problem::new(format!("the stream's thread cannot be started: {wrong}")))?;
    Ok(Running(Some(quit)))
}

/// The address of a file.
pub(crate) fn address_of(at: SocketAddr, index: usize, path: &str) -> String {
    format!("http://{at}/{index}/{path}")
}

/// Whether a browser names us by an address of this machine, and not by a name that somebody else has led to it.
fn is_ours(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// All addresses, one a line: what players take as a playlist.
async fn list(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    if !is_ours(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let known = face.stage.known.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Known { layout, wanted, .. }) = &*known else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let files = layout.files().iter().enumerate().filter(|(index, _)| wanted.get(*index).copied().unwrap_or(false));
    let lines: String =
        files.map(|(index, file)| format!("http://{host}/{index}/{}\n", PercentEncoded(&file.path.join("/"), "/"))).collect();
    ([(header::CONTENT_TYPE, "audio/x-mpegurl")], lines).into_response()
}

async fn named_file(state: State<Arc<Face>>, Path((index, _)): Path<(usize, String)>, method: Method, headers: HeaderMap) -> Response {
    file(state, Path(index), method, headers).await
}

/// One file, or a range of it.
async fn file(State(face): State<Arc<Face>>, Path(index): Path<usize>, method: Method, headers: HeaderMap) -> Response {
    if !is_ours(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut news = face.stage.news.subscribe();
    // Players ask before it is known what the link stands for.
    let (share, start, length, name) = loop {
        {
            let known = face.stage.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Known { share, layout, wanted }) = &*known {
                if !wanted.get(index).copied().unwrap_or(false) {
                    return StatusCode::NOT_FOUND.into_response();
                }
                let range = layout.file_range(index);
                break (*share, range.start, range.end - range.start, layout.files()[index].path.last().cloned().unwrap_or_default());
            }
        }
        if news.changed().await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let part = match asked.map(|text| range_of(text, length)) {
        None | Some(Asked::Other) => None,
        Some(Asked::Part(part)) => Some(part),
        Some(Asked::Beyond) => {
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{length}"))]).into_response();
        }
    };
    let bytes = part.clone().unwrap_or(0..length);
    let status = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut answer = Response::builder()
        .status(status)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_TYPE, kind_of(&name))
        .header(header::CONTENT_LENGTH, bytes.end - bytes.start);
    if part.is_some() {
        answer = answer.header(header::CONTENT_RANGE, format!("bytes {}-{}/{length}", bytes.start, bytes.end - 1));
    }
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let reading =
            Reading { face, share, at: start + bytes.start, end: start + bytes.end, file_end: start + length, told: None, next: None };
        Body::new(reading)
    };
    answer.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Part(Range<u64>),
    /// Nothing of that is there.
    Beyond,
    /// Several parts, or no range of bytes: the whole is an answer to that (RFC 9110, section 14.2).
    Other,
}

fn range_of(text: &str, length: u64) -> Asked {
    let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return Asked::Other };
    let (first, last) = (first.trim(), last.trim());
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Asked::Other,
    };
    if part.start < part.end { Asked::Part(part) } else { Asked::Beyond }
}

/// What players go by.
fn kind_of(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "mp4" | "m4v" => "video/mp4",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "mov" => "video/quicktime",
        "ts" => "video/mp2t",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "wav" => "audio/wav",
        "srt" | "txt" => "text/plain; charset=utf-8",
        "vtt" => "text/vtt",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        // What a browser would run is not among them.
        _ => "application/octet-stream",
    }
}

type Next = Pin<Box<dyn Future<Output = std::io::Result<Bytes>> + Send>>;

/// The body of an answer: waits for what is not there yet.
struct Reading {
    face: Arc<Face>,
    share: ShareId,
    /// In the layout, as all that follow.
    at: u64,
    end: u64,
    file_end: u64,
    /// Where the networks think that it reads.
    told: Option<u64>,
    next: Option<Next>,
}

impl Reading {
    /// Lets the networks know where it reads.
    fn tell(&mut self) {
        if self.told.is_none_or(|told| self.at.abs_diff(told) >= STEP_BYTES) {
            self.told = Some(self.at);
            let window = self.at..self.at.saturating_add(AHEAD_BYTES).min(self.file_end);
            let _ = self.face.happenings.send(Happening::Reads(self.face.task, window));
        }
    }

    fn read(&self) -> Next {
        let (face, share, at, end) = (self.face.clone(), self.share, self.at, self.end.min(self.at + CHUNK_BYTES));
        Box::pin(async move {
            let mut news = face.stage.news.subscribe();
            let until = loop {
                let ready =
                    face.transfers.held(share).and_then(|held| held.within(at..end).iter().next()).filter(|first| first.start == at);
                if let Some(first) = ready {
                    break first.end;
                }
                let gone = |_| std::io::Error::other("the session ends");
                news.changed().await.map_err(gone)?;
            };
            let transfers = face.transfers.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(until - at).unwrap_or(0)];
                transfers.read(share, at, &mut [IoSliceMut::new(&mut bytes)], false).map(|()| Bytes::from(bytes))
            });
            reading.await.unwrap_or_else(|wrong| Err(std::io::Error::other(wrong)))
        })
    }
}

impl hyper::body::Body for Reading {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        if self.next.is_none() {
            self.tell();
            self.next = Some(self.read());
        }
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let read = std::task::ready!(next.as_mut().poll(cx));
        self.next = None;
        Poll::Ready(Some(read.map(|bytes| {
            self.at += bytes.len() as u64;
            Frame::data(bytes)
        })))
    }
}

/// What a task that streams says when players can connect.
pub(crate) fn listening(address: String) -> Event {
    Event::Listening { network: "http".into(), address, purpose: "stream".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_players_write_them() {
        for (text, expected) in [
            ("bytes=0-", Asked::Part(0..100)),
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=10-19", Asked::Part(10..20)),
            ("bytes=90-1000", Asked::Part(90..100)),
            ("bytes=-10", Asked::Part(90..100)),
            ("bytes=-1000", Asked::Part(0..100)),
            ("bytes=100-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=20-10", Asked::Other),
            ("bytes=0-1,5-6", Asked::Other),
            ("lines=0-1", Asked::Other),
            ("bytes=x-y", Asked::Other),
            ("bytes=0-18446744073709551615", Asked::Part(0..100)),
        ] {
            assert_eq!(range_of(text, 100), expected, "{text}");
        }
    }

    #[test]
    fn only_who_names_this_machine_is_answered() {
        let host = |name: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, name.parse().unwrap());
            is_ours(&headers)
        };
        for name in ["127.0.0.1:8000", "127.0.0.1", "localhost:1", "[::1]:80", "[::1]"] {
            assert!(host(name), "{name}");
        }
        for name in ["evil.example", "evil.example:8000", "192.0.2.1", "127.0.0.1.evil.example", "localhost.evil.example:80"] {
            assert!(!host(name), "{name}");
        }
        assert!(!is_ours(&HeaderMap::new()));
    }
}
