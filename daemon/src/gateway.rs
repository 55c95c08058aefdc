//! The web gateway of `hexad serve fcp --gateway`: a browser asks for keys, and is given what the node finds. What browsers are given, and what not, is
//! said by `hexad_freenet::gateway`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use hexad_api::Problem;
use hexad_core::Progress;
use hexad_freenet::gateway::{self, Asked, Page};
use hexad_freenet::{Reply, Request};
use tokio::sync::{Semaphore, oneshot};

use crate::fcp::Desk;
use crate::source::plain;
use crate::web::{self, Limits};

/// Browsers have several connections each, and few people share a gateway.
const CONNECTIONS_MAX: usize = 100;
/// A large file takes its time, and so does looking for one.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Keys that are looked for at a time; others wait.
const LOOKED_FOR_MAX: usize = 32;
/// A browser is not kept waiting for longer than this.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// How often a key is asked for again that was not found.
const RETRIES: u32 = 1;

struct Gateway {
    desk: Arc<Desk>,
    room: Semaphore,
}

/// Where it listens, and whoever has it end.
pub(crate) fn serve(desk: Arc<Desk>, address: SocketAddr) -> Result<(SocketAddr, oneshot::Sender<()>), Problem> {
    let trouble = |wrong: std::io::Error| {
        Problem::new(format!("{address} cannot be listened at: {}", plain(&wrong)))
            .hint("choose another address with --gateway; port 0 lets the system choose")
    };
    let listener = std::net::TcpListener::bind(address).map_err(trouble)?;
    listener.set_nonblocking(true).map_err(trouble)?;
    let bound = listener.local_addr().map_err(trouble)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(trouble)?;
    let (quit, quitting) = oneshot::channel();
    let gateway = Arc::new(Gateway { desk, room: Semaphore::new(LOOKED_FOR_MAX) });
    let limits = Limits { connections_max: CONNECTIONS_MAX, connection_deadline: CONNECTION_DEADLINE, ..Limits::default() };
    thread::Builder::new()
        .name("hexad-gateway".into())
        .spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                web::serve(listener, Router::new().fallback(answer).with_state(gateway), limits, quitting).await;
            });
        })
        .map_err(trouble)?;
    Ok((bound, quit))
}

async fn answer(State(gateway): State<Arc<Gateway>>, method: Method, target: Uri, headers: HeaderMap) -> Response<Body> {
    let said = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let mut hosts = headers.get_all(header::HOST).iter();
    let one = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok());
    let page = if !one.is_some_and(gateway::is_our_host) {
        gateway::refused(421, "This gateway is for this machine, by its address or as localhost.")
    } else if method != Method::GET && method != Method::HEAD {
        gateway::refused(405, "Pages are read here, by GET.")
    } else {
        let target = target.path_and_query().map_or("/", |target| target.as_str());
        match gateway::asked(target) {
            Asked::Page(page) => *page,
            Asked::Key(want) => gateway.look_for(&want).await.part(said(header::RANGE)),
        }
    };
    respond(page, method == Method::HEAD)
}

impl Gateway {
    async fn look_for(&self, want: &gateway::Want) -> Page {
        let Ok(_permit) = self.room.acquire().await else { return gateway::refused(503, "The gateway is being closed.") };
        let (op, told) = self.desk.ask(Request::Get { uri: want.uri.to_string(), bytes_max: want.bytes_max, retries: RETRIES });
        // Also where the browser goes away, which drops this future.
        let asking = Asking { desk: &self.desk, op };
        let told = tokio::time::timeout(ANSWER_DEADLINE, told).await;
        drop(asking);
        match told {
            Ok(Ok(Progress::Own(Reply::Got { uri, mime, bytes }))) => gateway::found(want, &uri, mime.as_deref(), &bytes),
            Ok(Ok(Progress::Failed(failure))) => gateway::failed(&failure),
            Ok(_) => gateway::refused(503, "The node has ended."),
            Err(_) => gateway::refused(504, "The network has not answered in time."),
        }
    }
}

/// Takes a question back when nobody waits for its answer any more.
struct Asking<'a> {
    desk: &'a Desk,
    op: hexad_core::OpId,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.desk.take_back(self.op);
    }
}

fn respond(page: Page, head: bool) -> Response<Body> {
    let mut response = Response::builder().status(page.status).header(header::CONTENT_LENGTH, page.body.len());
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    let body = if head { Body::empty() } else { Body::from(page.body) };
    response.body(body).unwrap_or_else(|_| {
        let mut broken = Response::new(Body::empty());
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
