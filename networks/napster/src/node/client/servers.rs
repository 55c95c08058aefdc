//! The servers that we are logged in to, or want to be: login, back-off, what we publish there, and the questions that wait for an answer.
//!
//! An answer to a search carries no number, so a server is asked one thing at a time.

use std::collections::VecDeque;

use hexad_core::{ConnId, Context, Dial, Endpoint, Level as NoteLevel, OpId, Output, Set, Span, Time, Transport, Why};

use super::{Client, ClientTimer, Out};
use crate::node::Timer;
use crate::wire::{Line, Search, Text, ToClient, ToServer, Word, manner};

/// Which server of ours; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerId(pub u32);

/// How far the login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for the next try.
    Away,
    Dialling(ConnId),
    LoggingIn(ConnId),
    /// Logged in; `true` once we have heard what kind of server it is, and offered our files.
    In(ConnId, bool),
}

/// A question to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// By words and whatever else the grammar has.
    Search(Search),
    /// By hash.
    Resume(Text, u64),
    /// All files of a user.
    Browse(Text),
    /// Who somebody is.
    Whois(Text),
}

impl Question {
    fn message(&self, typed: bool) -> ToServer {
        match self {
            Self::Search(search) if typed => ToServer::Search { search: search.clone() },
            Self::Search(search) => {
                // Old servers know `TYPE video` and not `TYPE any`.
                let clauses = search.clauses.iter().filter(|clause| !matches!(clause, crate::wire::Clause::Type(None))).cloned().collect();
                ToServer::Search { search: Search { clauses } }
            }
            Self::Resume(hash, size) => ToServer::Resume { hash: hash.clone().into(), size: *size },
            Self::Browse(nick) => ToServer::Browse { nick: nick.clone().into(), max: None },
            Self::Whois(nick) => ToServer::Whois { nick: nick.clone().into() },
        }
    }
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    /// The join that wants it.
    pub(super) op: OpId,
    pub(super) phase: Phase,
    /// Our name there.
    pub(super) nick: Text,
    /// Names that were taken.
    renamed: u32,
    failures: u32,
    next_try: Time,
    /// Its last word about why we are not let in.
    pub(super) refusal: Option<String>,
    /// A program like ours: it counts sizes as they are.
    ours: bool,
    /// It knows `TYPE any`.
    typed: bool,
    /// Our data port as it knows it.
    port: u16,
    /// What is still to be offered.
    unoffered: VecDeque<Text>,
    /// Publishes whose files are among that.
    offering: Set<OpId>,
    /// Shares are not acknowledged, but a ping behind them is answered: which publishes are then known to have arrived.
    pinged: VecDeque<Set<OpId>>,
    waiting: VecDeque<(OpId, Question)>,
    asked: Option<(OpId, Question)>,
}

impl Server {
    fn conn(&self) -> Option<ConnId> {
        match self.phase {
            Phase::In(conn, _) => Some(conn),
            _ => None,
        }
    }
}

impl Client {
    pub(super) fn add_server(&mut self, op: OpId, endpoint: Endpoint, cx: &mut Context<'_>, out: &mut Out) {
        self.last_server += 1;
        let id = ServerId(self.last_server);
        let server = Server {
            endpoint,
            op,
            phase: Phase::Away,
            nick: self.nick.clone(),
            renamed: 0,
            failures: 0,
            next_try: cx.now,
            refusal: None,
            ours: false,
            typed: true,
            port: 0,
            unoffered: VecDeque::new(),
            offering: Set::new(),
            pinged: VecDeque::new(),
            waiting: VecDeque::new(),
            asked: None,
        };
        self.servers.insert(id, server);
        self.try_server(id, cx, out);
    }

    /// Dials, when it is time to and the data port is known.
    pub(super) fn try_server(&mut self, id: ServerId, cx: &mut Context<'_>, out: &mut Out) {
        let deadline = self.config.connect_deadline;
        if self.port_is_awaited() {
            return;
        }
        let Some(server) = self.servers.get_mut(&id).filter(|server| server.phase == Phase::Away && server.next_try <= cx.now) else {
            return;
        };
        let conn = cx.new_conn();
        server.phase = Phase::Dialling(conn);
        server.refusal = None;
        self.server_conns.insert(conn, id);
        let dial = Dial { transport: Transport::Tcp, deadline, manner: manner::SERVER, secret: bytes::Bytes::new() };
        out.push(Output::Open(conn, server.endpoint.clone(), dial));
        out.wake(cx.now + deadline + self.config.login_deadline, Timer::Client(ClientTimer::Login(id)));
    }

    pub(super) fn on_server_opened(&mut self, id: ServerId, conn: ConnId, out: &mut Out) {
        let port = self.port();
        let (password, speed) = (self.config.password.clone(), self.config.speed.min(10));
        let registers = self.config.register;
        let Some(server) = self.servers.get_mut(&id) else { return };
        server.phase = Phase::LoggingIn(conn);
        server.port = port;
        let (nick, client) = (server.nick.clone().into(), super::CLIENT.into());
        let password = if password.is_empty() { "guest".into() } else { Word::from(password) };
        let more = vec![Word::from(if self.config.email.is_empty() { "nobody@localhost" } else { &self.config.email })];
        let login = if registers {
            ToServer::Register { nick, password, dataport: port, client, speed, more }
        } else {
            ToServer::Login { nick, password, dataport: port, client, speed, more }
        };
        out.send_to(conn, login.into());
    }

    pub(super) fn on_server_closed(&mut self, id: ServerId, why: &Why, cx: &mut Context<'_>, out: &mut Out) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let was_in = matches!(server.phase, Phase::In(..));
        server.phase = Phase::Away;
        server.unoffered.clear();
        server.offering.clear();
        server.pinged.clear();
        if was_in {
            server.failures = 0;
            out.note(NoteLevel::Info, "server_lost", Some(server.endpoint.clone()), format!("{why:?}"));
        }
        let doubled = self.config.retry_min * 2_u32.saturating_pow(server.failures.min(10));
        let pause = doubled.min(self.config.retry_max);
        server.failures += 1;
        // Everybody's server comes back at the same moment; we need not all be there then.
        let spread = u64::try_from(pause.as_micros() / 2).unwrap_or(0);
        server.next_try = cx.now + pause + Span::from_micros(cx.dice.below(spread + 1));
        out.wake(server.next_try, Timer::Client(ClientTimer::Retry(id)));
        let lost: Vec<OpId> = server.asked.take().into_iter().chain(server.waiting.drain(..)).map(|(op, _)| op).collect();
        for op in lost {
            self.on_question_over(op, out);
        }
        self.on_server_gone(id, cx, out);
    }

    /// The login took too long.
    pub(super) fn on_login_deadline(&mut self, id: ServerId, cx: &mut Context<'_>, out: &mut Out) {
        if let Some(Phase::Dialling(conn) | Phase::LoggingIn(conn)) = self.servers.get(&id).map(|server| server.phase) {
            self.server_conns.remove(&conn);
            out.push(Output::Close(conn, "no answer to the login".into()));
            self.on_server_closed(id, &Why::TimedOut, cx, out);
        }
    }

    pub(super) fn remove_server(&mut self, id: ServerId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(server) = self.servers.get(&id) else { return };
        if let Phase::Dialling(conn) | Phase::LoggingIn(conn) | Phase::In(conn, _) = server.phase {
            self.server_conns.remove(&conn);
            out.push(Output::Close(conn, "we leave".into()));
        }
        self.on_server_closed(id, &Why::Ours("we leave".into()), cx, out);
        self.servers.remove(&id);
    }

    pub(super) fn on_server_message(&mut self, id: ServerId, conn: ConnId, message: ToClient, cx: &mut Context<'_>, out: &mut Out) {
        use ToClient as M;
        let Some(server) = self.servers.get_mut(&id) else { return };
        match message {
            M::LoginError { text } => self.on_refused(id, conn, &text.0, cx, out),
            M::NickInvalid { text } => self.on_refused(id, conn, &text.0, cx, out),
            M::LoginAck { .. } => {
                server.phase = Phase::In(conn, false);
                server.failures = 0;
                let op = server.op;
                self.on_joined(op, out);
                self.ask_next(id, out);
            }
            M::Motd { text } => {
                server.ours |= text.bytes().starts_with(b"VERSION hexad");
                if text.bytes().starts_with(b"VERSION") {
                    self.offer_all(id, cx, out);
                }
            }
            M::Statistics { .. } => self.offer_all(id, cx, out),
            M::ServerPing { .. } => {
                let arrived = server.pinged.pop_front().unwrap_or_default();
                self.on_published(&arrived, out);
            }
            M::Ping { nick } => out.send_to(conn, ToServer::Pong { nick }.into()),
            M::SearchResult { .. } | M::ResumeResult { .. } | M::BrowseEntry { .. } => self.on_found(id, message, cx, out),
            M::SearchEnd {} | M::ResumeEnd {} | M::BrowseEnd { .. } | M::WhoisAnswer { .. } | M::Whowas { .. } => {
                let asked = server.asked.take_if(|(_, question)| {
                    matches!(
                        (question, &message),
                        (Question::Search(_), M::SearchEnd {})
                            | (Question::Resume(..), M::ResumeEnd {})
                            | (Question::Browse(_), M::BrowseEnd { .. })
                            | (Question::Whois(_), M::WhoisAnswer { .. } | M::Whowas { .. })
                    )
                });
                if let Some((op, _)) = asked {
                    self.on_known(op, message, out);
                    self.on_question_over(op, out);
                    self.ask_next(id, out);
                }
            }
            M::Error { text } => self.on_error(id, &text, out),
            M::DownloadAck { nick, ip, port, path, hash, speed: _ } => self.on_download_ack(id, &nick, ip, port, &path, &hash, cx, out),
            M::GetError { nick, path } => self.on_get_error(id, &nick, &path, cx, out),
            M::QueueLimit { nick, path, limit, .. } => self.on_queue_limit(id, &nick, &path, limit, cx, out),
            M::UploadRequest { nick, path, .. } => self.on_upload_request(conn, nick, path, out),
            M::PushOrder { ip, port, path, .. } => self.on_push_order(ip, port, &path, cx, out),
            M::DirectBrowse { nick, ip, port } => self.on_browse_request(conn, nick, ip, port, cx, out),
            M::PrivateMessage { nick, text } => {
                out.note(NoteLevel::Info, "private_message", Some(server.endpoint.clone()), format!("{}: {}", nick.0, text.0));
            }
            M::Redirect { server: host, port } => {
                out.note(NoteLevel::Info, "redirect", Some(server.endpoint.clone()), format!("{}:{port}", host.0));
            }
            M::Ghost {} => {
                // Somebody else has our name there; coming back at once would throw him out in turn.
                server.failures = server.failures.max(4);
                out.note(NoteLevel::Warn, "name_taken_over", Some(server.endpoint.clone()), "somebody else has logged in under our name");
            }
            M::Unreadable { number, .. } => {
                out.note(NoteLevel::Drop, "unreadable", Some(server.endpoint.clone()), format!("message {number}"));
            }
            // A server may say anything at any time.
            _ => {}
        }
    }

    fn on_refused(&mut self, id: ServerId, conn: ConnId, text: &Text, cx: &mut Context<'_>, out: &mut Out) {
        let chosen = !self.config.nick.is_empty();
        let Some(server) = self.servers.get_mut(&id) else { return };
        if matches!(server.phase, Phase::In(..)) {
            return;
        }
        server.refusal = Some(text.shown().into_owned());
        out.note(NoteLevel::Warn, "login_refused", Some(server.endpoint.clone()), text.shown().into_owned());
        // A name that nobody has chosen can be another one.
        if !chosen && server.renamed < 8 {
            server.renamed += 1;
            server.nick = super::invented_nick(cx);
        }
        self.server_conns.remove(&conn);
        out.push(Output::Close(conn, "the login was refused".into()));
        self.on_server_closed(id, &Why::Ours("the login was refused".into()), cx, out);
    }

    fn on_error(&mut self, id: ServerId, text: &Line, out: &mut Out) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let shown = text.0.shown().into_owned();
        out.note(NoteLevel::Debug, "server_says", Some(server.endpoint.clone()), shown.clone());
        match &server.asked {
            Some((_, question @ Question::Search(_))) if server.typed && shown.contains("invalid type") => {
                // Its 202 is still to come, and ends this try; the other one follows it.
                server.typed = false;
                let (op, question) = (server.asked.as_ref().map(|(op, _)| *op), question.clone());
                if let Some(op) = op {
                    server.waiting.push_front((op, question));
                    *self.again.entry(op).or_insert(0) += 1;
                }
            }
            Some((op, Question::Whois(_))) if shown.contains("not a known user") || shown.contains("not currently online") => {
                let op = *op;
                server.asked = None;
                self.on_question_over(op, out);
                self.ask_next(id, out);
            }
            // Some refuse a search without ending it.
            Some((op, Question::Search(_) | Question::Resume(..))) if shown.contains("too many pending") => {
                let op = *op;
                server.asked = None;
                self.on_question_over(op, out);
                self.ask_next(id, out);
            }
            _ => {}
        }
    }

    /// Asks a server something, in its turn.
    pub(super) fn ask_server(&mut self, id: ServerId, op: OpId, question: Question, out: &mut Out) -> bool {
        let max = self.config.questions_max;
        let Some(server) = self.servers.get_mut(&id).filter(|server| server.conn().is_some() && server.waiting.len() < max) else {
            return false;
        };
        server.waiting.push_back((op, question));
        self.ask_next(id, out);
        true
    }

    fn ask_next(&mut self, id: ServerId, out: &mut Out) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let Some(conn) = server.conn().filter(|_| server.asked.is_none()) else { return };
        if let Some((op, question)) = server.waiting.pop_front() {
            out.send_to(conn, question.message(server.typed).into());
            server.asked = Some((op, question));
        }
    }

    /// Nobody waits for the answers to an operation any longer. What is asked already will be answered, and is not listened to.
    pub(super) fn forget_questions(&mut self, op: OpId) {
        for server in self.servers.values_mut() {
            server.waiting.retain(|(other, _)| *other != op);
        }
    }

    /// The operation for whose question a server's answers are.
    pub(super) fn asked(&self, id: ServerId) -> Option<(OpId, &Question)> {
        self.servers.get(&id)?.asked.as_ref().map(|(op, question)| (*op, question))
    }

    /// Servers that we are logged in to.
    pub(super) fn servers_in(&self) -> Vec<ServerId> {
        self.servers.iter().filter(|(_, server)| server.conn().is_some()).map(|(&id, _)| id).collect()
    }

    pub(super) fn server_conn(&self, id: ServerId) -> Option<ConnId> {
        self.servers.get(&id).and_then(Server::conn)
    }

    /// The server at that address.
    pub(super) fn server_at(&self, endpoint: &Endpoint) -> Option<ServerId> {
        self.servers.iter().find(|(_, server)| server.endpoint == *endpoint).map(|(&id, _)| id)
    }

    fn offer_all(&mut self, id: ServerId, cx: &Context<'_>, out: &mut Out) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        if let Phase::In(conn, false) = server.phase {
            server.phase = Phase::In(conn, true);
            let paths = self.offers.paths(None).collect();
            let ops = self.unpublished.clone();
            self.offer(id, paths, ops, cx, out);
        }
    }

    /// Offers paths to a server, as fast as it takes them.
    pub(super) fn offer(&mut self, id: ServerId, paths: Vec<Text>, ops: Set<OpId>, cx: &Context<'_>, out: &mut Out) {
        if let Some(server) = self.servers.get_mut(&id).filter(|server| matches!(server.phase, Phase::In(_, true))) {
            server.unoffered.extend(paths);
            server.offering.extend(ops);
            self.go_on_offering(id, cx, out);
        }
    }

    pub(super) fn go_on_offering(&mut self, id: ServerId, cx: &Context<'_>, out: &mut Out) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let Some(conn) = server.conn() else { return };
        let sizes_max = if server.ours { u64::MAX } else { u32::MAX.into() };
        let room = cx.room(conn);
        let mut sent = 0;
        // What goes over the mark makes the host tell when there is room again.
        while sent <= room
            && let Some(path) = server.unoffered.pop_front()
        {
            if let Some(message) = self.offers.share_message(&path, sizes_max) {
                sent += message.wire_bytes();
                out.send_to(conn, message.into());
            }
        }
        if server.unoffered.is_empty() && !server.offering.is_empty() {
            server.pinged.push_back(std::mem::take(&mut server.offering));
            out.send_to(conn, ToServer::ServerPing { text: "".into() }.into());
        }
    }

    /// Tells all servers that paths are no longer offered.
    pub(super) fn withdraw(&mut self, paths: &[Text], out: &mut Out) {
        for server in self.servers.values_mut() {
            server.unoffered.retain(|path| !paths.contains(path));
            let Some(conn) = server.conn() else { continue };
            for path in paths {
                out.send_to(conn, ToServer::Unshare { path: path.clone().into() }.into());
            }
        }
    }

    /// Our data port has become known, or another.
    pub(super) fn tell_port(&mut self, out: &mut Out) {
        let port = self.port();
        for server in self.servers.values_mut().filter(|server| server.port != port) {
            if let Some(conn) = server.conn() {
                server.port = port;
                out.send_to(conn, ToServer::ChangeDataPort { port }.into());
            }
        }
    }
}
