//! Our own overlays over QUIC: one UDP port, one connection per peer, a stream for each connection of the node.
//!
//! A connection is opened by whoever needs the first stream and used by both; it is closed when it has had no stream for a while. Small messages
//! that the node sends as datagrams go as datagrams of the same connection.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hexad_core::{Address as _, ConnId, Dial, Door, Endpoint, Input, Level, Link, Map, Network, Role, Via, Why};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, EndpointConfig, IdleTimeout, Incoming, SendDatagramError, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use rustls::pki_types::CertificateDer;
use socket2::Type;
use tokio::time::{Instant, timeout};

use super::conn::Talk;
use super::doors::{Doorway, Sockets, both_families, socket};
use super::handle::{AddrOf, MessageOf};
use super::key::{ANOTHER_KEY, NodeKey, public_key_in};
use super::line::LineCell;
use super::reach::{canonical, is_private};
use super::stage::{Seat, Stage};
use super::stream::Stream;

/// What a stream begins with, so that the peer hears of it before anything is said: the node's messages follow.
const MESSAGES: u8 = 0;
/// Accepting a connection, or the first byte of a stream, may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A peer that is silent for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How often somebody who has nothing to say shows that he is there.
const KEEP_ALIVE: Duration = Duration::from_secs(7);
/// A connection without streams is kept so long: opening another costs a round trip and two signatures.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Streams that one peer may open.
const PEER_STREAMS_MAX: u32 = 256;
/// Bytes of datagrams that wait on a connection in each direction.
const DATAGRAM_BUFFER_BYTES: usize = 256 << 10;
/// How long the last packets of a closing host may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// How often it is looked whether they have left.
const LOOK: Duration = Duration::from_millis(1);

/// One open door for QUIC.
pub(super) struct QuicDoor {
    door: Door,
    key: NodeKey,
    alpn: &'static [u8],
    endpoints: Vec<(SocketAddr, quinn::Endpoint)>,
    peers: RefCell<Map<[u8; 32], Rc<Peer>>>,
    /// Connections that have not proven their key yet.
    half_open: Cell<usize>,
    connections: Cell<usize>,
}

/// What there is with one peer.
#[derive(Default)]
struct Peer {
    open: RefCell<Option<Rc<Open>>>,
    /// Only one dials at a time.
    gate: tokio::sync::Mutex<()>,
}

/// An open connection.
struct Open {
    connection: Connection,
    streams: Rc<()>,
    used: Cell<Instant>,
}

impl QuicDoor {
    fn alive(&self, key: &[u8; 32]) -> Option<Rc<Open>> {
        let peer = self.peers.borrow().get(key)?.clone();
        let open = peer.open.borrow();
        open.as_ref().filter(|open| open.connection.close_reason().is_none()).cloned()
    }

    fn peer(&self, key: [u8; 32]) -> Rc<Peer> {
        self.peers.borrow_mut().entry(key).or_default().clone()
    }

    fn forget_strangers(&self) {
        let gone = |peer: &Rc<Peer>| {
            Rc::strong_count(peer) == 1 && peer.open.borrow().as_ref().is_none_or(|open| open.connection.close_reason().is_some())
        };
        self.peers.borrow_mut().retain(|_, peer| !gone(peer));
    }

    /// Lets nobody else in. What is open stays so.
    pub(super) fn close(&self) {
        self.endpoints.iter().for_each(|(_, endpoint)| endpoint.set_server_config(None));
    }

    /// Ends all connections, and lets the peers know, once the datagrams that were given to them have left.
    pub(super) async fn part(&self) {
        let waits = |peer: &Rc<Peer>| {
            let open = peer.open.borrow();
            open.as_ref().is_some_and(|open| {
                open.connection.close_reason().is_none() && open.connection.datagram_send_buffer_space() < DATAGRAM_BUFFER_BYTES
            })
        };
        let until = Instant::now() + GOODBYE;
        // Connections send in tasks of their own, which have to have their turn.
        tokio::task::yield_now().await;
        while self.peers.borrow().values().any(waits) && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        for (_, endpoint) in &self.endpoints {
            endpoint.close(VarInt::from_u32(0), b"the host ends");
            let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
        }
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.connections.get() == 0
    }
}

/// Opens a door once the node's key is there.
pub(super) async fn listen<N: Network>(stage: &Rc<Stage<N>>, door: Door, at: SocketAddr) -> io::Result<(SocketAddr, Doorway)> {
    let key = stage.node_key().await.map_err(io::Error::other)?.clone();
    let alpn = N::NAME.as_bytes();
    let tls = key.server_config(alpn).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(io::Error::other)?));
    config.transport_config(transport());
    let (bound, endpoints) = both_families(at, |at| {
        let socket = socket(at, Type::DGRAM, stage.config.interface.as_deref())?;
        socket.bind(&at.into())?;
        let endpoint = quinn::Endpoint::new(EndpointConfig::default(), Some(config.clone()), socket.into(), Arc::new(TokioRuntime))?;
        Ok((endpoint.local_addr()?, endpoint))
    })?;
    let quic =
        Rc::new(QuicDoor { door, key, alpn, endpoints, peers: RefCell::default(), half_open: Cell::new(0), connections: Cell::new(0) });
    let tasks =
        quic.endpoints.iter().map(|(_, endpoint)| stage.spawn(accept_all(stage.clone(), quic.clone(), endpoint.clone())).abort_handle());
    let tasks = tasks.collect();
    Ok((bound, Doorway { sockets: Sockets::Quic(quic), tasks }))
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(PEER_STREAMS_MAX));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.max_idle_timeout(IdleTimeout::try_from(SILENCE_MAX).ok());
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    transport.datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES));
    transport.datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    Arc::new(transport)
}

async fn accept_all<N: Network>(stage: Rc<Stage<N>>, quic: Rc<QuicDoor>, endpoint: quinn::Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let from = canonical(incoming.remote_address());
        let refused = |code| stage.note(Level::Drop, code, AddrOf::<N>::of_socket(from), "");
        if !stage.config.outside && !is_private(from.ip()) {
            incoming.refuse();
            refused("outside_not_allowed");
        } else if quic.connections.get() >= stage.config.connections_max {
            incoming.refuse();
            refused("no_room_for_connection");
        } else if quic.half_open.get() >= stage.config.half_open_max && !incoming.remote_address_validated() {
            // Whoever can receive at that address comes again at once.
            let _ = incoming.retry();
        } else if quic.half_open.get() >= 2 * stage.config.half_open_max {
            incoming.refuse();
            refused("no_room_for_connection");
        } else {
            quic.half_open.set(quic.half_open.get() + 1);
            stage.spawn(welcome(stage.clone(), quic.clone(), incoming, from));
        }
    }
}

/// Learns who has come, and serves him.
async fn welcome<N: Network>(stage: Rc<Stage<N>>, quic: Rc<QuicDoor>, incoming: Incoming, from: SocketAddr) {
    let shaking = async { incoming.accept().ok()?.await.ok() };
    let connection = timeout(PATIENCE, shaking).await.ok().flatten();
    quic.half_open.set(quic.half_open.get() - 1);
    let Some((connection, key)) = connection.and_then(|connection| key_of(&connection).map(|key| (connection, key))) else {
        return stage.note(Level::Drop, "quic_handshake_failed", AddrOf::<N>::of_socket(from), "");
    };
    serve(stage, quic, connection, key);
}

/// The key that the peer has proven.
fn key_of(connection: &Connection) -> Option<[u8; 32]> {
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    public_key_in(shown.first()?)
}

/// Keeps an open connection: takes streams and datagrams in, and closes it when nobody needs it.
fn serve<N: Network>(stage: Rc<Stage<N>>, quic: Rc<QuicDoor>, connection: Connection, key: [u8; 32]) -> Rc<Open> {
    let open = Rc::new(Open { connection, streams: Rc::new(()), used: Cell::new(Instant::now()) });
    *quic.peer(key).open.borrow_mut() = Some(open.clone());
    quic.connections.set(quic.connections.get() + 1);
    let kept = open.clone();
    stage.clone().spawn(async move {
        keep(&stage, &quic, &kept, key).await;
        quic.connections.set(quic.connections.get() - 1);
        quic.forget_strangers();
    });
    open
}

async fn keep<N: Network>(stage: &Rc<Stage<N>>, quic: &Rc<QuicDoor>, open: &Rc<Open>, key: [u8; 32]) {
    let peer = Endpoint::Key(key, canonical(open.connection.remote_address()));
    loop {
        tokio::select! {
            // Datagrams first: what came before the end is heard, though the end is known.
            biased;
            datagram = open.connection.read_datagram() => {
                let Ok(bytes) = datagram else { return };
                open.used.set(Instant::now());
                hear(stage, quic.door, &peer, &bytes);
            }
            stream = open.connection.accept_bi() => {
                let Ok((send, recv)) = stream else { return };
                open.used.set(Instant::now());
                let stream = Stream::new(send, recv, open.streams.clone());
                stage.spawn(take_in(stage.clone(), quic.door, peer.clone(), stream));
            }
            () = tokio::time::sleep_until(open.used.get() + IDLE_MAX) => {
                if Rc::strong_count(&open.streams) == 1 {
                    open.connection.close(VarInt::from_u32(0), b"idle");
                    return;
                }
                open.used.set(Instant::now());
            }
        }
    }
}

fn hear<N: Network>(stage: &Rc<Stage<N>>, door: Door, peer: &Endpoint, bytes: &[u8]) {
    let Some(from) = AddrOf::<N>::of_endpoint(peer.clone()) else { return };
    match N::decode_datagram(door, bytes) {
        Ok(message) => {
            stage.hear(Input::Received(Link::Datagram(door, from), message));
            stage.settle();
        }
        Err(malformed) => stage.note(Level::Drop, "malformed_datagram", Some(from), malformed.to_string()),
    }
}

/// Lives through a connection that a peer has opened.
async fn take_in<N: Network>(stage: Rc<Stage<N>>, door: Door, peer: Endpoint, mut stream: Stream) {
    let begun = matches!(timeout(PATIENCE, stream.first_byte()).await, Ok(Some(MESSAGES)));
    let from = || AddrOf::<N>::of_endpoint(peer.clone());
    if !begun {
        return stage.note(Level::Drop, "malformed_stream", from(), "");
    }
    let Some(seat) = stage.seat() else {
        return stage.note(Level::Drop, "no_room_for_connection", from(), "closed at once: as many connections are open as may be");
    };
    let (conn, cell) = stage.accept();
    let codec = stage.codec(Role::Acceptor, None);
    Talk::new(stage, conn, cell, codec, stream, seat).live(peer, Via::Accepted(door)).await;
}

/// Opens a stream to a peer and lives through it.
pub(super) async fn dial<N: Network>(
    stage: Rc<Stage<N>>,
    conn: ConnId,
    cell: Rc<LineCell<MessageOf<N>>>,
    to: ([u8; 32], SocketAddr),
    dial: Dial,
    seat: Seat<N>,
) {
    let opened = tokio::select! {
        biased;
        () = cell.ended() => return,
        opened = open_stream(&stage, to, dial.deadline) => opened,
    };
    if cell.fate().is_some() {
        return;
    }
    let (stream, peer) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            stage.closed(conn, why);
            return stage.settle();
        }
    };
    let codec = stage.codec(Role::Dialler, Some(&dial));
    Talk::new(stage, conn, cell, codec, stream, seat).live(peer, Via::Dialled).await;
}

async fn open_stream<N: Network>(stage: &Rc<Stage<N>>, to: ([u8; 32], SocketAddr), deadline: Duration) -> Result<(Stream, Endpoint), Why> {
    let Some(quic) = stage.doors.borrow().quic() else {
        stage.note(Level::Debug, "cannot_dial", None, "no door for QUIC is open");
        return Err(Why::Unreachable);
    };
    let opening = async {
        let open = connected(stage, &quic, to, deadline).await?;
        open.used.set(Instant::now());
        let (mut send, recv) = open.connection.open_bi().await.map_err(|_| Why::Broken)?;
        send.write_all(&[MESSAGES]).await.map_err(|_| Why::Broken)?;
        let peer = Endpoint::Key(to.0, canonical(open.connection.remote_address()));
        Ok((Stream::new(send, recv, open.streams.clone()), peer))
    };
    // Twice as long: waiting for another dial to the same peer comes first.
    timeout(deadline * 2, opening).await.unwrap_or(Err(Why::TimedOut))
}

/// The open connection to a peer, or a new one.
async fn connected<N: Network>(
    stage: &Rc<Stage<N>>,
    quic: &Rc<QuicDoor>,
    (key, at): ([u8; 32], SocketAddr),
    deadline: Duration,
) -> Result<Rc<Open>, Why> {
    if let Some(open) = quic.alive(&key) {
        return Ok(open);
    }
    let peer = quic.peer(key);
    let gate = peer.gate.lock().await;
    if let Some(open) = quic.alive(&key) {
        return Ok(open);
    }
    let Ok(_turn) = stage.dials.acquire().await else { return Err(Why::NoRoom) };
    let connection = timeout(deadline, connect(stage, quic, key, at)).await.unwrap_or(Err(Why::TimedOut));
    let open = connection.map(|connection| serve(stage.clone(), quic.clone(), connection, key));
    drop(gate);
    drop(peer);
    quic.forget_strangers();
    open
}

async fn connect<N: Network>(stage: &Rc<Stage<N>>, quic: &Rc<QuicDoor>, key: [u8; 32], at: SocketAddr) -> Result<Connection, Why> {
    let at = canonical(at);
    if !stage.config.outside && !is_private(at.ip()) {
        stage.note(Level::Debug, "outside_not_allowed", None, at.to_string());
        return Err(Why::Unreachable);
    }
    let Some((_, endpoint)) = quic.endpoints.iter().find(|(own, _)| own.is_ipv4() == at.is_ipv4()) else { return Err(Why::Unreachable) };
    let tls = quic.key.client_config(key, quic.alpn).ok().and_then(|tls| QuicClientConfig::try_from(tls).ok());
    let Some(tls) = tls else { return Err(Why::Unreachable) };
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(transport());
    let connecting = endpoint.connect_with(config, at, "hexad.invalid").map_err(|_| Why::Unreachable)?;
    connecting.await.map_err(|error| {
        if error.to_string().contains(ANOTHER_KEY) {
            return Why::Ours(ANOTHER_KEY.into());
        }
        tracing::debug!(network = N::NAME, %at, %error, "not connected");
        match error {
            quinn::ConnectionError::TimedOut => Why::TimedOut,
            _ => Why::Unreachable,
        }
    })
}

/// Sends a datagram to a peer, over the open connection or a new one.
pub(super) fn send_datagram<N: Network>(stage: &Rc<Stage<N>>, quic: Rc<QuicDoor>, key: [u8; 32], at: SocketAddr, bytes: Bytes) {
    if let Some(open) = quic.alive(&key) {
        return give(stage, &open, key, at, bytes);
    }
    let Some(question) = stage.asks.begin() else {
        return drop_it(stage, key, at, "too many questions are being answered to connect for it");
    };
    let stage = stage.clone();
    stage.clone().spawn(async move {
        let _question = question;
        match connected(&stage, &quic, (key, at), PATIENCE).await {
            Ok(open) => give(&stage, &open, key, at, bytes),
            Err(why) => drop_it(&stage, key, at, &format!("{why:?}")),
        }
    });
}

fn give<N: Network>(stage: &Rc<Stage<N>>, open: &Open, key: [u8; 32], at: SocketAddr, bytes: Bytes) {
    open.used.set(Instant::now());
    if open.connection.datagram_send_buffer_space() < bytes.len() {
        return drop_it(stage, key, at, "the connection is full");
    }
    match open.connection.send_datagram(bytes) {
        Ok(()) => {}
        Err(SendDatagramError::TooLarge) => drop_it(stage, key, at, "it is too long"),
        Err(error) => drop_it(stage, key, at, &error.to_string()),
    }
}

fn drop_it<N: Network>(stage: &Stage<N>, key: [u8; 32], at: SocketAddr, why: &str) {
    stage.note(Level::Drop, "datagram_dropped", AddrOf::<N>::of_endpoint(Endpoint::Key(key, at)), why.to_owned());
}
