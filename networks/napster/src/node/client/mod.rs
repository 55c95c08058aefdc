//! The client: a member of any number of servers, who offers files and gets those of others.

mod fetches;
mod locator;
mod offers;
mod peers;
mod searches;
mod servers;
mod uploads;

pub use locator::{Locator, digests_of, token_of};
pub use offers::Audio;
pub use servers::ServerId;

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_content::Ranges;
use hexad_core::{
    Bind, ConnId, Context, Endpoint, Failure, Level as NoteLevel, Map, OpId, Outbox, Output, Progress, Set, ShareId, Span, Why,
};

use self::fetches::Fetch;
use self::offers::Offers;
use self::peers::Peering;
use self::searches::Asking;
use self::servers::{Phase, Question, Server};
use super::{Node, Timer};
use crate::doors;
use crate::wire::{Peer, Search, Text, ToClient, ToServer};

/// How our program calls itself. A server that is ours takes the first word for a sign that we count sizes as they are.
const CLIENT: &str = concat!("Hexad ", env!("CARGO_PKG_VERSION"));

pub(crate) type Out = Outbox<Node>;

/// Bounds and switches of the client role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The data port, where peers connect to us; `None` is firewalled.
    pub listen: Option<SocketAddr>,
    /// Our name; an empty one is invented, and another if it is taken.
    pub nick: String,
    /// Our password; an empty one is that of a guest.
    pub password: String,
    /// Whether to register our name where it is not.
    pub register: bool,
    /// What servers are told of our e-mail address.
    pub email: String,
    /// Our link, 0 (unknown) to 10 (T3 and more).
    pub speed: u32,
    /// Servers at a time.
    pub servers_max: usize,
    /// A dial takes no longer.
    pub connect_deadline: Span,
    /// A server's answer to a login takes no longer.
    pub login_deadline: Span,
    /// The first pause after a server was lost or refused us; doubled each time.
    pub retry_min: Span,
    /// The longest such pause.
    pub retry_max: Span,
    /// A join that no server has answered by then has failed.
    pub join_deadline: Span,
    /// Searches at a time.
    pub searches_max: usize,
    /// Questions that wait for one server.
    pub questions_max: usize,
    /// A search ends after so long, whoever has not answered.
    pub search_deadline: Span,
    /// Fetches at a time.
    pub fetches_max: usize,
    /// Sources of one fetch at a time.
    pub sources_max: usize,
    /// How long an owner may take to answer a request that a server passes on.
    pub request_deadline: Span,
    /// A source that sends nothing for so long is left.
    pub stall_deadline: Span,
    /// A fetch to which nothing comes for so long has failed.
    pub fetch_patience: Span,
    /// Bytes of a share's description.
    pub description_bytes_max: usize,
    /// Connections with other programs at a time.
    pub peers_max: usize,
    /// To how many of them we give at a time.
    pub uploads_max: usize,
    /// Who connects has to say by then what he wants.
    pub command_deadline: Span,
    /// Who says nothing for so long is disconnected.
    pub idle_deadline: Span,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 6699))),
            nick: String::new(),
            password: String::new(),
            register: false,
            email: String::new(),
            speed: 0,
            servers_max: 16,
            connect_deadline: Span::from_secs(10),
            login_deadline: Span::from_secs(20),
            retry_min: Span::from_secs(2),
            retry_max: Span::from_secs(300),
            join_deadline: Span::from_secs(45),
            searches_max: 64,
            questions_max: 64,
            search_deadline: Span::from_secs(20),
            fetches_max: 64,
            sources_max: 8,
            request_deadline: Span::from_secs(30),
            stall_deadline: Span::from_secs(30),
            fetch_patience: Span::from_secs(90),
            description_bytes_max: 16 << 20,
            peers_max: 256,
            uploads_max: 32,
            command_deadline: Span::from_secs(20),
            idle_deadline: Span::from_secs(120),
        }
    }
}

/// What the client wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTimer {
    /// A login should be over.
    Login(ServerId),
    /// Try a server again.
    Retry(ServerId),
    /// A join should be in effect.
    Join(OpId),
    /// A publish should be in effect.
    Publish(OpId),
    /// A search has taken long enough.
    Search(OpId),
    /// Look after a fetch.
    Fetch(OpId),
    /// A connection should have said something.
    Peer(ConnId),
}

/// What is known of our data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataPort {
    /// Nobody has asked for it.
    Closed,
    Opening,
    Open(u16),
    Firewalled,
}

/// The client.
#[derive(Debug)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    nick: Text,
    port: DataPort,
    servers: Map<ServerId, Server>,
    server_conns: Map<ConnId, ServerId>,
    last_server: u32,
    /// Joins that are not cancelled; `true` once reported done.
    joins: Map<OpId, bool>,
    /// Publishes that wait until we are somewhere.
    unpublished: Set<OpId>,
    offers: Offers,
    askings: Map<OpId, Asking>,
    /// Questions that are put once more in other words; their first end does not count.
    again: Map<OpId, u32>,
    fetches: Map<OpId, Fetch>,
    peers: Map<ConnId, Peering>,
    /// Which of them have come in.
    accepted: Set<ConnId>,
    /// What has been proven of shares since they were put into the snapshot.
    gained: Map<ShareId, Ranges>,
}

/// A name that nobody is likely to have.
fn invented_nick(cx: &mut Context<'_>) -> Text {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let letters: String = (0..8).map(|_| char::from(LETTERS[cx.dice.index(LETTERS.len()).unwrap_or(0)])).collect();
    format!("hexad-{letters}").into()
}

impl Client {
    /// The servers that we want to be logged in at, and whether we are.
    pub(crate) fn servers(&self) -> Vec<(Endpoint, bool)> {
        self.servers.values().map(|server| (server.endpoint.clone(), matches!(server.phase, Phase::In(..)))).collect()
    }

    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            nick: config.nick.as_str().into(),
            config,
            port: DataPort::Closed,
            servers: Map::new(),
            server_conns: Map::new(),
            last_server: 0,
            joins: Map::new(),
            unpublished: Set::new(),
            offers: Offers::default(),
            askings: Map::new(),
            again: Map::new(),
            fetches: Map::new(),
            peers: Map::new(),
            accepted: Set::new(),
            gained: Map::new(),
        }
    }

    /// The data port as servers are told; 0 is firewalled.
    fn port(&self) -> u16 {
        if let DataPort::Open(port) = self.port { port } else { 0 }
    }

    fn port_is_awaited(&self) -> bool {
        self.port == DataPort::Opening
    }

    /// Opens the data port, if it is not yet.
    fn open_port(&mut self, out: &mut Out) {
        if self.port != DataPort::Closed {
            return;
        }
        match self.config.listen {
            Some(address) => {
                self.port = DataPort::Opening;
                out.push(Output::Listen(doors::PEERS, Bind::Stream(address)));
            }
            None => self.port = DataPort::Firewalled,
        }
    }

    pub(crate) fn on_bound(&mut self, bound: Result<SocketAddr, String>, cx: &mut Context<'_>, out: &mut Out) {
        self.port = match bound {
            Ok(address) => DataPort::Open(address.port()),
            Err(why) => {
                out.note(NoteLevel::Warn, "no_data_port", None, format!("others cannot connect to us: {why}"));
                DataPort::Firewalled
            }
        };
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        for id in ids {
            self.try_server(id, cx, out);
        }
        self.tell_port(out);
    }

    pub(crate) fn start_join(&mut self, op: OpId, bootstrap: Vec<Endpoint>, cx: &mut Context<'_>, out: &mut Out) {
        if self.nick.is_empty() {
            self.nick = invented_nick(cx);
        }
        let fresh: Vec<Endpoint> = bootstrap.into_iter().filter(|endpoint| self.server_at(endpoint).is_none()).collect();
        if fresh.is_empty() {
            return out.report(op, Progress::Failed(Failure::Unusable("expected a server that is not joined, came none".into())));
        }
        if self.servers.len() + fresh.len() > self.config.servers_max {
            return out.report(op, Progress::Failed(Failure::Full("servers")));
        }
        self.open_port(out);
        self.joins.insert(op, false);
        for endpoint in fresh {
            self.add_server(op, endpoint, cx, out);
        }
        out.wake(cx.now + self.config.join_deadline, Timer::Client(ClientTimer::Join(op)));
    }

    /// A server has let us in.
    fn on_joined(&mut self, op: OpId, out: &mut Out) {
        if let Some(done) = self.joins.get_mut(&op).filter(|done| !**done) {
            *done = true;
            out.report(op, Progress::Done);
        }
    }

    /// A server has taken what these were about.
    fn on_published(&mut self, ops: &Set<OpId>, out: &mut Out) {
        for op in ops.iter().filter(|op| self.unpublished.remove(op)) {
            out.report(*op, Progress::Done);
        }
    }

    /// No server has taken it in time.
    fn on_publish_deadline(&mut self, op: OpId, out: &mut Out) {
        if self.unpublished.remove(&op) {
            let paths = self.offers.remove(op).unwrap_or_default();
            self.withdraw(&paths, out);
            out.report(op, Progress::Failed(Failure::TimedOut(self.config.join_deadline.as_secs())));
        }
    }

    fn on_join_deadline(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        if self.joins.get(&op) != Some(&false) {
            return;
        }
        let refusal = self.servers.values().filter(|server| server.op == op).find_map(|server| server.refusal.clone());
        let failure = refusal.map_or(Failure::TimedOut(self.config.join_deadline.as_secs()), Failure::Refused);
        self.leave(op, cx, out);
        out.report(op, Progress::Failed(failure));
    }

    fn leave(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        self.joins.remove(&op);
        let ids: Vec<ServerId> = self.servers.iter().filter(|(_, server)| server.op == op).map(|(&id, _)| id).collect();
        for id in ids {
            self.remove_server(id, cx, out);
        }
    }

    /// A server is gone; what it was to bring about is looked at by its own deadlines.
    fn on_server_gone(&mut self, _: ServerId, _: &mut Context<'_>, _: &mut Out) {}

    pub(crate) fn start_publish(&mut self, op: OpId, id: ShareId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(share) = cx.shares.share(id).cloned() else {
            return out.report(op, Progress::Failed(Failure::NotReady("no such share".into())));
        };
        if share.proof.as_ref().is_some_and(|proof| !proof.is_proof()) {
            return out.report(op, Progress::Failed(Failure::Unusable("nothing proves this share, so it is not given on".into())));
        }
        if self.joins.is_empty() {
            return out.report(op, Progress::Failed(Failure::NotReady("no server was joined".into())));
        }
        if self.offers.has(id) {
            return out.report(op, Progress::Failed(Failure::Unusable("the share is published already".into())));
        }
        self.open_port(out);
        self.offers.add(op, id, &share);
        let paths: Vec<Text> = self.offers.paths(Some(id)).collect();
        self.unpublished.insert(op);
        for server in self.servers_in() {
            self.offer(server, paths.clone(), [op].into_iter().collect(), cx, out);
        }
        out.wake(cx.now + self.config.join_deadline, Timer::Client(ClientTimer::Publish(op)));
    }

    /// A share that was being fetched is complete.
    fn on_complete(&mut self, id: ShareId, cx: &Context<'_>, out: &mut Out) {
        if self.offers.complete(id) {
            let paths: Vec<Text> = self.offers.paths(Some(id)).collect();
            for server in self.servers_in() {
                self.offer(server, paths.clone(), Set::new(), cx, out);
            }
        }
        let kept = &self.offers;
        self.gained.retain(|&share, _| share == id || kept.has(share) || cx.shares.share(share).is_some());
    }

    pub(crate) fn start_search(&mut self, op: OpId, query: hexad_core::Query, cx: &Context<'_>, out: &mut Out) {
        self.search(op, query, cx, out);
    }

    /// A search with all that the grammar has.
    pub(crate) fn start_own_search(&mut self, op: OpId, search: Search, wanted: usize, cx: &Context<'_>, out: &mut Out) {
        self.start_asking(op, &Question::Search(search), wanted, false, cx, out);
    }

    pub(crate) fn start_browse(&mut self, op: OpId, nick: &str, cx: &Context<'_>, out: &mut Out) {
        self.start_asking(op, &Question::Browse(nick.into()), usize::MAX, true, cx, out);
    }

    pub(crate) fn start_whois(&mut self, op: OpId, nick: &str, cx: &Context<'_>, out: &mut Out) {
        self.start_asking(op, &Question::Whois(nick.into()), usize::MAX, true, cx, out);
    }

    /// Says something to somebody, on every server.
    pub(crate) fn say(&mut self, op: OpId, nick: &str, text: &str, out: &mut Out) {
        let servers = self.servers_in();
        for &id in &servers {
            if let Some(conn) = self.server_conn(id) {
                out.send_to(conn, ToServer::PrivateMessage { nick: nick.into(), text: text.into() }.into());
            }
        }
        let progress = if servers.is_empty() { Progress::Failed(Failure::NotReady("no server was joined".into())) } else { Progress::Done };
        out.report(op, progress);
    }

    pub(crate) fn set_audio(&mut self, share: ShareId, file: usize, audio: Audio) {
        self.offers.set_audio(share, file, audio);
    }

    pub(crate) fn start_fetch(
        &mut self,
        op: OpId,
        source: hexad_core::Source,
        lease: hexad_core::LeaseId,
        share: ShareId,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        self.open_port(out);
        self.fetch(op, source, lease, share, cx, out);
    }

    pub(crate) fn cancel(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let over = if self.joins.contains_key(&op) {
            self.leave(op, cx, out);
            true
        } else if let Some(paths) = self.offers.remove(op) {
            self.unpublished.remove(&op);
            self.withdraw(&paths, out);
            true
        } else if self.askings.remove(&op).is_some() {
            self.forget_questions(op);
            true
        } else {
            self.end_fetch(op, cx, out).is_some()
        };
        if over {
            out.report(op, Progress::Ended);
        }
    }

    pub(crate) fn knows(&self, conn: ConnId) -> bool {
        self.server_conns.contains_key(&conn) || self.peers.contains_key(&conn)
    }

    pub(crate) fn on_accepted(&mut self, conn: ConnId, peer: Endpoint, cx: &Context<'_>, out: &mut Out) {
        self.accepted.insert(conn);
        self.on_peer_accepted(conn, peer, cx, out);
        if !self.peers.contains_key(&conn) {
            self.accepted.remove(&conn);
        }
    }

    pub(crate) fn on_opened(&mut self, conn: ConnId, out: &mut Out) {
        if let Some(&id) = self.server_conns.get(&conn) {
            self.on_server_opened(id, conn, out);
        }
    }

    pub(crate) fn on_closed(&mut self, conn: ConnId, why: &Why, cx: &mut Context<'_>, out: &mut Out) {
        match self.server_conns.remove(&conn) {
            Some(id) => self.on_server_closed(id, why, cx, out),
            None => {
                self.on_peer_closed(conn, why, cx, out);
                self.accepted.remove(&conn);
            }
        }
    }

    pub(crate) fn on_to_client(&mut self, conn: ConnId, message: ToClient, cx: &mut Context<'_>, out: &mut Out) {
        if let Some(&id) = self.server_conns.get(&conn) {
            self.on_server_message(id, conn, message, cx, out);
        }
    }

    pub(crate) fn on_peer(&mut self, conn: ConnId, message: Peer, cx: &mut Context<'_>, out: &mut Out) {
        self.on_peer_message(conn, message, cx, out);
    }

    pub(crate) fn on_sent(&mut self, conn: ConnId, bytes: u64, cx: &Context<'_>, out: &mut Out) {
        self.go_on_giving(conn, bytes, cx, out);
        self.go_on_serving(conn, bytes, cx, out);
    }

    pub(crate) fn on_room(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        match self.server_conns.get(&conn) {
            Some(&id) => self.go_on_offering(id, cx, out),
            None => self.go_on_serving(conn, 0, cx, out),
        }
    }

    pub(crate) fn on_timer(&mut self, timer: ClientTimer, cx: &mut Context<'_>, out: &mut Out) {
        match timer {
            ClientTimer::Login(id) => {
                let logging_in = |phase: Phase| matches!(phase, Phase::Dialling(_) | Phase::LoggingIn(_));
                if self.servers.get(&id).is_some_and(|server| logging_in(server.phase)) {
                    self.on_login_deadline(id, cx, out);
                }
            }
            ClientTimer::Retry(id) => self.try_server(id, cx, out),
            ClientTimer::Join(op) => self.on_join_deadline(op, cx, out),
            ClientTimer::Publish(op) => self.on_publish_deadline(op, out),
            ClientTimer::Search(op) => self.on_search_deadline(op, cx, out),
            ClientTimer::Fetch(op) => self.on_fetch_timer(op, cx, out),
            ClientTimer::Peer(conn) => self.on_peer_deadline(conn, cx, out),
        }
    }
}
