//! The HTTP face of a node: the API, its stream of events, the page, figures for Prometheus.
//!
//! Everything goes through [`Daemon`]; what a face of HTTP knows beside it is who may come in (`door.rs`) and which runs of the lab it has begun.

mod answer;
mod dht;
mod door;
mod downloads;
mod events;
mod friends;
mod guesses;
mod lab;
mod library;
mod metrics;
mod networks;
mod page;
mod searches;
mod settings;
mod status;
mod token;
mod words;

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use hexad_api::node::Daemon;
use hexad_api::{Laboratory, Problem, ProblemKind};
use tokio::sync::{Semaphore, oneshot};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::source::plain;
use crate::web::{self, Limits};
use answer::Refused;
use door::Door;

pub use token::kept_token;

/// Bytes of a body, files that are sent here left out.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;
/// Who listens to events at a time; each holds a connection.
const LISTENERS_MAX: usize = 64;
/// A stream of events lasts as long as somebody looks, and a large file takes as long as it takes.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Threads on which questions to the node wait.
const WAITING_THREADS_MAX: usize = 16;
/// How long what is being answered may go on when the face is stopped.
const FAREWELL: Duration = Duration::from_millis(500);

/// What only the page of this node may do, and only with what this node sends.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; \
                           connect-src 'self'; worker-src 'self'; manifest-src 'self'; frame-src 'self'; base-uri 'self'; form-action 'self'; \
                           frame-ancestors 'none'";

/// How a node is reached over HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What comes before every path, such as `/hexad`; `/` when there is nothing.
    pub base_path: String,
    /// Names by which others call us, beside those of loopback and the address itself: that of a proxy in front.
    pub allowed_hosts: Vec<String>,
    /// What callers must know; may be absent on loopback only.
    pub token: Option<String>,
    /// Where the last report of the lab stands.
    pub lab_report: Option<PathBuf>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4080)),
            base_path: "/".into(),
            allowed_hosts: Vec::new(),
            token: None,
            lab_report: None,
        }
    }
}

impl HttpSettings {
    /// Opens the door that they name.
    ///
    /// # Errors
    /// When the address cannot be listened at, or anything else of them cannot be used.
    pub fn bind(&self) -> Result<TcpListener, Problem> {
        normal_base(&self.base_path)?;
        Door::new(self.listen, &self.allowed_hosts, self.token.clone())?;
        TcpListener::bind(self.listen).map_err(|wrong| self.trouble(&wrong))
    }

    fn trouble(&self, wrong: &std::io::Error) -> Problem {
        Problem::new(format!("{} cannot be listened at: {}", self.listen, plain(wrong)))
            .hint("is a node running there already? Another address for the page and the API is given with --http")
            .kind(ProblemKind::Unavailable)
    }
}

/// All that answers share.
struct Face {
    daemon: Arc<dyn Daemon>,
    door: Door,
    /// What comes before every path, without a slash at its end.
    base: String,
    /// Room for those who listen to events.
    listeners: Arc<Semaphore>,
    runs: lab::Runs,
    lab_report: Option<PathBuf>,
    tally: metrics::Tally,
    /// The description of the API as it is sent.
    openapi: std::sync::OnceLock<String>,
    /// What `GET api` says.
    index: std::sync::OnceLock<status::Index>,
}

/// What every answer has at hand.
type Here = State<Arc<Face>>;

/// A face that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct HttpFace {
    address: SocketAddr,
    base: String,
    quit: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpFace {
    /// Opens the face of `daemon`, at `listener` where there is one, else where the settings say.
    ///
    /// # Errors
    /// When the address cannot be listened at, or the settings cannot be used.
    pub fn open(
        daemon: Arc<dyn Daemon>,
        laboratory: Arc<dyn Laboratory>,
        settings: &HttpSettings,
        listener: Option<TcpListener>,
    ) -> Result<Self, Problem> {
        let trouble = |wrong: &std::io::Error| settings.trouble(wrong);
        let listener = listener.map_or_else(|| settings.bind(), Ok)?;
        listener.set_nonblocking(true).map_err(|wrong| trouble(&wrong))?;
        let address = listener.local_addr().map_err(|wrong| trouble(&wrong))?;
        let base = normal_base(&settings.base_path)?;
        let face = Arc::new(Face {
            daemon,
            door: Door::new(address, &settings.allowed_hosts, settings.token.clone())?,
            base: base.clone(),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            runs: lab::Runs::new(laboratory),
            lab_report: settings.lab_report.clone(),
            tally: metrics::Tally::default(),
            openapi: std::sync::OnceLock::new(),
            index: std::sync::OnceLock::new(),
        });
        let pages = pages(face);
        let (quit, quitting) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(WAITING_THREADS_MAX)
            .enable_all()
            .build()
            .map_err(|wrong| trouble(&wrong))?;
        let answer = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let limits = Limits { connections_max: CONNECTIONS_MAX, connection_deadline: CONNECTION_DEADLINE, ..Limits::default() };
                web::serve(listener, pages, limits, quitting).await;
            });
            runtime.shutdown_timeout(FAREWELL);
        };
        let thread = std::thread::Builder::new().name("hexad-http".into()).spawn(answer).map_err(|wrong| trouble(&wrong))?;
        Ok(Self { address, base, quit: Some(quit), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a browser on this machine opens, without a token.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        match address.ip() {
            std::net::IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            std::net::IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{address}{}/", self.base)
    }

    /// Answers nobody from here on; what is being answered may go on for half a second.
    pub fn stop(&mut self) {
        if let Some(quit) = self.quit.take() {
            let _ = quit.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for HttpFace {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `/a/b` for `a/b/`, and nothing for `/`.
fn normal_base(given: &str) -> Result<String, Problem> {
    let parts: Vec<&str> = given.split('/').filter(|part| !part.is_empty()).collect();
    let is_plain =
        |part: &&str| !matches!(*part, "." | "..") && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if !parts.iter().all(is_plain) {
        return Err(Problem::new(format!("expected a base path such as /hexad, came '{given}'")).hint("use letters, digits, -, . and _"));
    }
    Ok(parts.iter().map(|part| format!("/{part}")).collect())
}

/// All that can be asked, whatever comes before its path.
fn pages(face: Arc<Face>) -> Router {
    let (api, description) = words::described(&face.base);
    let _ = face.index.set(status::Index::of(&description));
    let _ = face.openapi.set(description.to_json().unwrap_or_default());
    let inner = api
        .route("/metrics", get(metrics::metrics))
        .route("/health", get(status::health))
        .method_not_allowed_fallback(page::wrong_method)
        .fallback(page::page)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(CompressionLayer::new().gzip(true))
        .layer(middleware::from_fn_with_state(face.clone(), guard))
        .with_state(face.clone());
    if face.base.is_empty() {
        return inner;
    }
    Router::new().fallback(below).with_state((face.base.clone(), inner))
}

/// Takes away what comes before every path.
async fn below(State((base, inner)): State<(String, Router)>, mut request: Request) -> Response {
    let rest = request.uri().path().strip_prefix(base.as_str()).map(str::to_owned);
    match rest.as_deref() {
        Some("") => return Redirect::permanent(&format!("{base}/")).into_response(),
        Some(path) if path.starts_with('/') => {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = PathAndQuery::try_from(format!("{path}{query}")).ok();
            match Uri::from_parts(parts) {
                Ok(uri) => *request.uri_mut() = uri,
                Err(_) => return StatusCode::BAD_REQUEST.into_response(),
            }
        }
        _ => return Refused::not_found(format!("everything here is below {base}/")).into_response(),
    }
    match inner.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Lets in who may come, and says to the browser what answers may do.
async fn guard(State(face): Here, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_api = path == "/api" || path.starts_with("/api/");
    let admitted = face.door.admit(request.method(), request.uri().authority(), request.headers()).and_then(|()| {
        if is_api || path == "/metrics" {
            face.door.check(from.ip(), request.headers())?;
        }
        door::says_what_it_brings(request.method(), path, request.headers())
    });
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            tracing::debug!(problem = %refused.problem(), "a request is refused");
            refused.into_response()
        }
    };
    face.tally.count(response.status());
    let headers = response.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::CONTENT_SECURITY_POLICY, if is_api { "default-src 'none'; frame-ancestors 'none'" } else { PAGE_POLICY });
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::X_FRAME_OPTIONS, "DENY");
    say(header::REFERRER_POLICY, "no-referrer");
    say(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    say(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    say(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    say(header::CACHE_CONTROL, "no-store");
    response
}

/// A mistake of ours is an answer as well.
fn on_panic(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("an answer over HTTP has panicked");
    Refused::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::normal_base;

    #[test]
    fn a_base_path_is_written_in_one_way() {
        for (given, normal) in [("/", ""), ("", ""), ("hexad", "/hexad"), ("/a/b/", "/a/b")] {
            assert_eq!(normal_base(given).as_deref(), Ok(normal));
        }
        for bad in ["/a b", "/../x", "/a?b", "/é"] {
            assert!(normal_base(bad).is_err(), "{bad}");
        }
    }
}
