//! `hexad serve tracker`: a node in the tracker role, and its HTTP face (BEP 3, 7, 23, 48).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hexad_api::{Event, FcpRequest, Problem, Roles, Stop, Task, TrackerRequest};
use hexad_bittorrent::node::tracker_role::{PeerAnnounce, TrackerTotals};
use hexad_bittorrent::wire::http_tracker;
use hexad_bittorrent::{BitTorrent, Config, Reply, Request, TrackerConfig, doors};
use hexad_core::{OpId, Operation, Progress};
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent};
use hexad_driver::transfers::{Transfers, TransfersConfig};
use tokio::sync::oneshot;

use crate::source::plain;
use crate::web::{self, Limits};

/// A request that the node does not answer in time gets a 503.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Torrents kept.
const TORRENTS_MAX: usize = 100_000;
/// Peers kept per torrent.
const TORRENT_PEERS_MAX: usize = 100_000;
/// Seconds that peers can be told to wait at most.
const INTERVAL_S_MAX: u64 = 7 * 24 * 3600;
const JOIN: OpId = OpId(0);

/// The tracker role.
pub(crate) struct TrackerRole;

impl Roles for TrackerRole {
    fn serve_fcp(&self, request: FcpRequest) -> Result<Task, Problem> {
        crate::fcp::serve(&request)
    }

    fn serve_tracker(&self, request: TrackerRequest) -> Result<Task, Problem> {
        let (events, watched) = mpsc::channel();
        let http = request.http.map(web::bind).transpose()?;
        let transfers = Transfers::start(TransfersConfig::default(), mpsc::channel().0);
        let (handle, host_events) =
            Host::<BitTorrent>::start(node_config(&request), HostConfig::default(), transfers.clone(), transfers.clone());
        let node = Arc::new(NodeFace { handle, asked: Mutex::new(HashMap::new()), next: AtomicU64::new(1) });
        listen_to_node(node.clone(), host_events, events.clone());
        node.handle.start(JOIN, Operation::Join { bootstrap: Vec::new() });
        let (quit, quitting) = oneshot::channel();
        if let Some((listener, address)) = http {
            serve_http(listener, node.clone(), quitting)?;
            let _ = events.send(listening(address, "tracker-http"));
        }
        Ok(Task { events: watched, stop: Box::new(StopTracker { node, transfers, events, quit: Some(quit) }) })
    }
}

fn node_config(request: &TrackerRequest) -> Config {
    let interval = Duration::from_secs(request.interval_s.clamp(1, INTERVAL_S_MAX));
    Config {
        listen: None,
        dht: false,
        pex: false,
        lsd: false,
        tracker: Some(TrackerConfig {
            udp: request.udp,
            torrents_max: TORRENTS_MAX,
            torrent_peers_max: TORRENT_PEERS_MAX,
            interval,
            // A peer may miss one announce.
            peer_expiry: interval * 2 + Duration::from_secs(60),
            requests_per_minute_max: request.requests_per_minute_max,
        }),
        ..Config::default()
    }
}

fn listening(address: SocketAddr, purpose: &str) -> Event {
    Event::Listening { network: "bittorrent".into(), address: address.to_string(), purpose: purpose.into() }
}

struct StopTracker {
    node: Arc<NodeFace>,
    transfers: Arc<Transfers>,
    events: Sender<Event>,
    quit: Option<oneshot::Sender<()>>,
}

impl Stop for StopTracker {
    fn stop(&mut self) {
        if let Some(quit) = self.quit.take() {
            let _ = quit.send(());
            // Said first: whoever listens to the node takes its end for a failure.
            let _ = self.events.send(Event::Stopped);
            self.node.handle.shutdown();
            self.transfers.shutdown();
        }
    }
}

impl Drop for StopTracker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Puts questions to the node and hands its answers to who asked.
struct NodeFace {
    handle: Handle<BitTorrent>,
    asked: Mutex<HashMap<OpId, oneshot::Sender<Reply>>>,
    next: AtomicU64,
}

impl NodeFace {
    async fn ask(&self, request: Request) -> Option<Reply> {
        let op = OpId(self.next.fetch_add(1, Ordering::Relaxed));
        let (to, answer) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(op, to);
        self.handle.start(op, Operation::Own(request));
        let answer = tokio::time::timeout(ANSWER_DEADLINE, answer).await;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&op);
        answer.ok()?.ok()
    }

    fn answered(&self, op: OpId, reply: Reply) {
        if let Some(to) = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&op) {
            let _ = to.send(reply);
        }
    }
}

fn listen_to_node(node: Arc<NodeFace>, mut host_events: hexad_driver::host::Events<BitTorrent>, events: Sender<Event>) {
    thread::spawn(move || {
        while let Some(event) = host_events.blocking_recv() {
            match event {
                HostEvent::Report(op, Progress::Own(reply)) => node.answered(op, reply),
                HostEvent::Report(JOIN, Progress::Failed(failure)) => {
                    let _ = events.send(Event::Failed {
                        message: failure.to_string(),
                        hint: Some("choose another address with --udp; port 0 lets the system choose".into()),
                    });
                }
                HostEvent::Bound(door, address) if door == doors::TRACKER => {
                    let _ = events.send(listening(address, "tracker-udp"));
                }
                _ => {}
            }
        }
        // Nobody hears this where the tracker was stopped.
        let _ = events.send(Event::Failed {
            message: "the tracker's part of this program has ended, which is a mistake of ours".into(),
            hint: Some("run the same command again with -v, and tell us what it says".into()),
        });
    });
}

fn serve_http(listener: std::net::TcpListener, node: Arc<NodeFace>, quitting: oneshot::Receiver<()>) -> Result<(), Problem> {
    let trouble = |wrong: &std::io::Error| Problem::new(format!("the tracker's HTTP face cannot be started: {}", plain(wrong)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|wrong| trouble(&wrong))?;
    thread::Builder::new()
        .name("hexad-tracker".into())
        .spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let pages = Router::new()
                    .route("/", get(totals))
                    .route("/stats", get(totals))
                    .route("/announce", get(announce))
                    .route("/scrape", get(scrape))
                    .with_state(node);
                web::serve(listener, pages, Limits::default(), quitting).await;
            });
        })
        .map_err(|wrong| trouble(&wrong))?;
    Ok(())
}

async fn announce(State(node): State<Arc<NodeFace>>, ConnectInfo(from): ConnectInfo<SocketAddr>, RawQuery(query): RawQuery) -> Response {
    let query = match http_tracker::parse_announce(&query.unwrap_or_default()) {
        Ok(query) => query,
        Err(wrong) => return refused(&wrong.to_string()),
    };
    let announce = PeerAnnounce {
        info_hash: query.info_hash,
        peer: SocketAddr::new(from.ip().to_canonical(), query.port),
        left: query.left,
        event: query.event,
        peers_wanted: query.peers_wanted,
    };
    match node.ask(Request::TrackerAnnounce(announce)).await {
        Some(Reply::TrackerTold(Ok(told))) => {
            let answer = http_tracker::AnnounceAnswer {
                interval_s: Some(told.interval.as_secs()),
                interval_min_s: Some(told.interval_min.as_secs()),
                seeders: Some(told.counts.seeders),
                leechers: Some(told.counts.leechers),
                completed: Some(told.counts.completed),
                peers: told.peers,
                external_ip: Some(from.ip().to_canonical()),
                ..http_tracker::AnnounceAnswer::default()
            };
            bencoded(http_tracker::write_announce(&answer, query.compact))
        }
        Some(Reply::TrackerTold(Err(refusal))) => refused(&refusal.to_string()),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn scrape(State(node): State<Arc<NodeFace>>, ConnectInfo(from): ConnectInfo<SocketAddr>, RawQuery(query): RawQuery) -> Response {
    let hashes = match http_tracker::parse_scrape(&query.unwrap_or_default()) {
        Ok(hashes) => hashes,
        Err(wrong) => return refused(&wrong.to_string()),
    };
    match node.ask(Request::TrackerScrape(from.ip(), hashes.clone())).await {
        Some(Reply::TrackerCounts(Ok(counts))) => bencoded(http_tracker::write_scrape(&hashes.into_iter().zip(counts).collect::<Vec<_>>())),
        Some(Reply::TrackerCounts(Err(refusal))) => refused(&refusal.to_string()),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The statistics page.
async fn totals(State(node): State<Arc<NodeFace>>) -> Response {
    match node.ask(Request::TrackerTotals).await {
        Some(Reply::TrackerTotals(totals)) => Html(page(&totals)).into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn page(totals: &TrackerTotals) -> String {
    let rows = [
        ("torrents", totals.torrents as u64),
        ("peers over IPv4", totals.peers_v4 as u64),
        ("peers over IPv6", totals.peers_v6 as u64),
        ("of them seeds", totals.seeds as u64),
        ("announces answered", totals.announces),
        ("scrapes answered", totals.scrapes),
        ("refused", totals.refused),
        ("peers forgotten for silence", totals.expired),
        ("bytes that peers take", totals.peer_bytes as u64),
    ];
    let rows: String = rows.iter().map(|(label, value)| format!("<tr><th scope=row>{label}<td>{value}\n")).collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Hexad tracker</title>\n<h1>Hexad tracker</h1>\n<table>\n{rows}</table>\n"
    )
}

fn bencoded(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain")], body).into_response()
}

fn refused(why: &str) -> Response {
    let answer = http_tracker::AnnounceAnswer { failure: Some(why.to_owned()), ..http_tracker::AnnounceAnswer::default() };
    bencoded(http_tracker::write_announce(&answer, true))
}
