//! The web gateway of `hexad serve fcp --gateway`: a browser asks for keys, and is given what the node finds. What browsers are given, and what not, is
//! said by `hexad_freenet::gateway`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use hexad_api::Problem;
use hexad_core::{OpId, Progress};
use hexad_freenet::gateway::{self, Asked, Page};
use hexad_freenet::{Reply, Request};
use tokio::sync::{Semaphore, oneshot, watch};

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

/// A browser that shows pages is told after so long how far it is.
const TELL_AFTER: Duration = Duration::from_secs(2);
/// What no browser has asked for for so long is not looked for any more, and what was found is not kept for it.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

struct Gateway {
    desk: Arc<Desk>,
    room: Semaphore,
    /// What browsers wait for that come back for it, by what they ask for.
    coming: Mutex<HashMap<String, Arc<Coming>>>,
}

/// Something that a browser waits for.
struct Coming {
    began: Instant,
    asked: Mutex<Instant>,
    op: Mutex<Option<OpId>>,
    page: watch::Sender<Option<Page>>,
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
    let gateway = Arc::new(Gateway { desk, room: Semaphore::new(LOOKED_FOR_MAX), coming: Mutex::default() });
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
            Asked::Key(want) => {
                // Who shows pages says so, and can be shown how far it is.
                let shows = said(header::ACCEPT).is_some_and(|accept| accept.contains("text/html")) && method == Method::GET;
                let page = if shows { gateway.wait_for(target, *want).await } else { gateway.look_for(&want, |_| ()).await };
                page.part(said(header::RANGE))
            }
        }
    };
    respond(page, method == Method::HEAD)
}

impl Gateway {
    /// What is found soon; else how far it is. It is looked for further while the browser asks again.
    async fn wait_for(self: &Arc<Self>, target: &str, want: gateway::Want) -> Page {
        let now = Instant::now();
        let coming = {
            let mut all = locked(&self.coming);
            match all.get(target) {
                Some(coming) => coming.clone(),
                None if all.len() >= CONNECTIONS_MAX => return gateway::refused(503, "Too much is looked for."),
                None => {
                    let coming =
                        Arc::new(Coming { began: now, asked: Mutex::new(now), op: Mutex::default(), page: watch::Sender::new(None) });
                    all.insert(target.to_owned(), coming.clone());
                    tokio::spawn(self.clone().bring(target.to_owned(), want.clone(), coming.clone()));
                    coming
                }
            }
        };
        *locked(&coming.asked) = now;
        let mut page = coming.page.subscribe();
        if let Ok(Ok(page)) = tokio::time::timeout(TELL_AFTER, page.wait_for(Option::is_some)).await {
            locked(&self.coming).remove(target);
            return page.clone().unwrap_or_else(|| gateway::refused(503, "The gateway is being closed."));
        }
        let counts = (*locked(&coming.op)).and_then(|op| self.desk.counts(op));
        gateway::waiting(&want, counts.as_ref(), coming.began.elapsed().as_secs())
    }

    /// Looks for something until it is there, or nobody asks for it any more.
    async fn bring(self: Arc<Self>, target: String, want: gateway::Want, coming: Arc<Coming>) {
        let abandoned = async {
            loop {
                let asked = *locked(&coming.asked);
                if asked.elapsed() >= ABANDONED_AFTER {
                    return;
                }
                tokio::time::sleep_until((asked + ABANDONED_AFTER).into()).await;
            }
        };
        tokio::select! {
            page = self.look_for(&want, |op| *locked(&coming.op) = Some(op)) => {
                coming.page.send_replace(Some(page));
                // Whoever takes it takes it from the list as well.
                tokio::time::sleep(ABANDONED_AFTER).await;
            }
            () = abandoned => {}
        }
        let mut all = locked(&self.coming);
        if all.get(&target).is_some_and(|other| Arc::ptr_eq(other, &coming)) {
            all.remove(&target);
        }
    }

    async fn look_for(&self, want: &gateway::Want, told_op: impl FnOnce(OpId)) -> Page {
        let Ok(_permit) = self.room.acquire().await else { return gateway::refused(503, "The gateway is being closed.") };
        let (op, told) = self.desk.ask(Request::Get { uri: want.uri.to_string(), bytes_max: want.bytes_max, retries: RETRIES });
        told_op(op);
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a question back when nobody waits for its answer any more.
struct Asking<'a> {
    desk: &'a Desk,
    op: OpId,
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
