//! What changes, as server-sent events. Who reads too slowly is told to load again; nobody is waited for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::IntoResponse;
use futures_util::stream;
use hexad_api::node::{Change, Changes};
use hexad_api::{Problem, ProblemKind, json_line};
use tokio::sync::OwnedSemaphorePermit;

use super::Here;
use super::answer::{Answer, Refused};

/// How often something is said when nothing changes, so that proxies keep the connection and the end of the other side is noticed.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Bytes that are sent as one where many things change at once.
const BATCH_BYTES: usize = 64 << 10;
/// How soon a browser comes back when the stream has ended.
const GREETING: &str = "retry: 2000\n\n";

/// One who listens.
struct Listener {
    node: Changes,
    lab: Changes,
    greeting: bool,
    _room: OwnedSemaphorePermit,
}

/// Tells what changes, from `hello` on, as long as somebody listens
#[utoipa::path(get, path = "/api/events", responses((status = 200, body = Change, content_type = "text/event-stream"), Refused))]
pub(super) async fn events(State(face): Here) -> Answer<impl IntoResponse> {
    let room = face.listeners.clone().try_acquire_owned().map_err(|_| {
        Problem::new("too many listen to the events of this node").hint("close some of its pages").kind(ProblemKind::Unavailable)
    })?;
    let mut lab = face.runs.changes();
    // The node greets for both.
    lab.try_next();
    let listener = Listener { node: face.daemon.changes(), lab, greeting: true, _room: room };
    let body = Body::from_stream(stream::unfold(listener, |mut listener| async move {
        let bytes = listener.next().await?;
        Some((Ok::<_, Infallible>(bytes), listener))
    }));
    // nginx would keep back what it gets until there is more of it.
    let buffering = HeaderName::from_static("x-accel-buffering");
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (buffering, "no")], body))
}

impl Listener {
    /// What is to be sent next; `None` when the node has ended.
    async fn next(&mut self) -> Option<Bytes> {
        let mut text = String::new();
        if std::mem::take(&mut self.greeting) {
            text.push_str(GREETING);
        }
        let change = tokio::select! {
            change = self.node.next() => change?,
            change = self.lab.next() => change?,
            () = tokio::time::sleep(SILENCE_MAX) => return Some(Bytes::from_static(b":\n\n")),
        };
        append(&mut text, &change);
        while text.len() < BATCH_BYTES {
            let Some(change) = self.node.try_next().or_else(|| self.lab.try_next()) else { break };
            append(&mut text, &change);
        }
        Some(text.into())
    }
}

/// JSON has no line ends of its own, so one line of data is enough.
fn append(text: &mut String, change: &Arc<Change>) {
    if let Ok(json) = json_line(&**change) {
        for part in ["event: ", change.name(), "\ndata: ", &json, "\n\n"] {
            text.push_str(part);
        }
    }
}
