//! The server: who is there, what they share, and who looks for it.
//!
//! Files never come here. A library lives as long as its owner's connection; names that are registered live in the host's store.

mod accounts;
mod channels;
mod elsewhere;
mod files;
mod limits;
mod login;
mod moderation;
mod people;
mod relay;
mod sharers;
mod transfers;
mod users;

pub use accounts::Level;
pub use elsewhere::SharedConfig;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hexad_catalogue::{Catalogue, Usage};
use hexad_core::{Answer, Bind, ConnId, Context, Endpoint, Level as NoteLevel, Map, OpId, Outbox, Output, Progress, Set, Span, Ticket};

use self::channels::Channels;
use self::elsewhere::Elsewhere;
use self::login::Asked;
use self::moderation::Bans;
use self::sharers::{Sharer, Sharers};
use self::transfers::Promises;
use self::users::{Stage, User, Visitors};
use super::{Node, Timer};
use crate::doors;
use crate::wire::{Text, ToClient, ToServer};

/// Bounds and switches of the server role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How the server calls itself; one word.
    pub name: String,
    /// Lines of the message of the day.
    pub motd: Vec<String>,
    /// Names that are admins as soon as they are registered.
    pub admins: Vec<String>,
    /// Whether names that nobody has registered may log in.
    pub guests: bool,
    /// Whether names can be registered.
    pub registration: bool,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one address.
    pub address_connections_max: u32,
    /// Who has not logged in by then is disconnected.
    pub login_deadline: Span,
    /// Bytes of what somebody may say while his login is looked at.
    pub early_bytes_max: u64,
    /// Bytes of a name.
    pub nick_bytes_max: usize,
    /// Questions to the store, and passwords that are being hashed, at a time. Logins wait for their turn, others are refused.
    pub questions_max: usize,
    /// Bounds of the index.
    pub catalogue: hexad_catalogue::Config,
    /// The host's catalogue is shared with other servers: their users are found and reached as well. `None` is a server by itself.
    pub shared: Option<SharedConfig>,
    /// Files of leaving users that are cleared at a time; searches come in between.
    pub clear_files: usize,
    /// Answers to one search.
    pub results_max: u32,
    /// Files of one browse.
    pub browse_max: u32,
    /// Searches of one user; 0 has no limit.
    pub searches_per_minute: u32,
    /// Searches that may come at once.
    pub searches_burst: u32,
    /// Messages to others by one user; 0 has no limit.
    pub talk_per_minute: u32,
    /// Such messages that may come at once.
    pub talk_burst: u32,
    /// Bytes of such a message.
    pub talk_bytes_max: usize,
    /// Names on one hotlist, and on one ignore list.
    pub list_max: usize,
    /// Channels at a time.
    pub channels_max: usize,
    /// Channels of one user.
    pub user_channels_max: usize,
    /// Requests for files of one user that wait for the other side.
    pub requests_max: usize,
    /// After so long a request for a file counts as refused.
    pub request_deadline: Span,
    /// Banned names and addresses.
    pub bans_max: usize,
    /// How often everybody is told how much there is; `None` is only when they log in or ask.
    pub statistics_every: Option<Span>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8888)),
            name: "hexad".into(),
            motd: Vec::new(),
            admins: Vec::new(),
            guests: true,
            registration: true,
            connections_max: 20_000,
            address_connections_max: 32,
            login_deadline: Span::from_secs(60),
            early_bytes_max: 256 << 10,
            nick_bytes_max: 32,
            questions_max: 256,
            catalogue: hexad_catalogue::Config::default(),
            shared: None,
            clear_files: 200,
            results_max: 100,
            browse_max: 500,
            searches_per_minute: 60,
            searches_burst: 60,
            talk_per_minute: 60,
            talk_burst: 30,
            talk_bytes_max: 400,
            list_max: 32,
            channels_max: 1000,
            user_channels_max: 5,
            requests_max: 64,
            request_deadline: Span::from_secs(45),
            bans_max: 1000,
            statistics_every: Some(Span::from_secs(60)),
        }
    }
}

/// What the server wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTimer {
    /// A connection should have logged in.
    Login(ConnId),
    /// Clear a slice of what leaving users left.
    Clear,
    /// Tell how much there is.
    Statistics,
    /// Look at requests that wait too long.
    Requests,
    /// Put something into the shared catalogue again.
    Share,
    /// Look for letters again.
    Letters,
}

/// How the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// Connections.
    pub connections: usize,
    /// Users who are logged in.
    pub users: usize,
    /// The index.
    pub usage: Usage,
    /// Searches answered so far.
    pub searches: u64,
    /// Channels.
    pub channels: usize,
    /// Bytes of memory of the files' records; words come on top.
    pub record_bytes: usize,
}

pub(crate) type Out = Outbox<Node>;

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) op: OpId,
    config: Arc<ServerConfig>,
    visitors: Visitors,
    catalogue: Catalogue,
    sharers: Sharers,
    channels: Channels,
    /// Who wants to know of a name (in lower case).
    watchers: Map<Text, Set<ConnId>>,
    promises: Promises,
    asked: Map<Ticket, Asked>,
    /// Who has said his name and waits until it is looked at; each connection at most once.
    logging_in: VecDeque<ConnId>,
    bans: Bans,
    elsewhere: Elsewhere,
    clearing: bool,
    telling: Telling,
    searches: u64,
    logins: u64,
    started_unix_s: u64,
}

impl Server {
    /// Opens the door; the store is asked who is banned.
    pub(crate) fn start(op: OpId, config: Arc<ServerConfig>, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) -> Self {
        out.push(Output::Listen(doors::SERVER, Bind::Stream(config.listen)));
        let seeded = hexad_catalogue::Config { seed: cx.dice.bits(), ..config.catalogue.clone() };
        let mut server = Self {
            op,
            visitors: Visitors::default(),
            catalogue: Catalogue::new(seeded),
            sharers: Sharers::default(),
            channels: Channels::default(),
            watchers: Map::new(),
            promises: Promises::default(),
            asked: Map::new(),
            logging_in: VecDeque::new(),
            bans: Bans::default(),
            elsewhere: Elsewhere::default(),
            clearing: false,
            telling: Telling::default(),
            searches: 0,
            logins: 0,
            started_unix_s: cx.unix_s(),
            config,
        };
        server.load_bans(tickets, out);
        server.begin_to_share(tickets, out);
        server.wake_for_statistics(cx, out);
        server
    }

    pub(crate) fn status(&self) -> ServerStatus {
        ServerStatus {
            connections: self.visitors.len(),
            users: self.visitors.users(),
            usage: self.catalogue.usage(),
            searches: self.searches,
            channels: self.channels.len(),
            record_bytes: self.catalogue.arena_bytes(),
        }
    }

    /// Closes everything.
    pub(crate) fn stop(&mut self, tickets: &mut u64, out: &mut Out) {
        self.leave_all(tickets, out);
        out.push(Output::Unlisten(doors::SERVER));
        let conns: Vec<ConnId> = self.visitors.conns().collect();
        for conn in conns {
            out.push(Output::Close(conn, "the server stops".into()));
        }
        out.report(self.op, Progress::Ended);
    }

    pub(crate) fn knows(&self, conn: ConnId) -> bool {
        self.visitors.visitor(conn).is_some()
    }

    pub(crate) fn on_bound(&mut self, bound: Result<SocketAddr, String>, out: &mut Out) -> bool {
        match bound {
            Ok(address) => {
                out.report(self.op, Progress::Own(super::Reply::Serving(address)));
                out.report(self.op, Progress::Done);
                true
            }
            Err(why) => {
                out.report(self.op, Progress::Failed(hexad_core::Failure::Host(why)));
                false
            }
        }
    }

    pub(crate) fn on_opened(&mut self, conn: ConnId, peer: &Endpoint, cx: &Context<'_>, out: &mut Out) {
        let address = peer.ip().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let refusal = if self.visitors.len() >= self.config.connections_max {
            Some(("server_full", "the server is full"))
        } else if self.visitors.count_from(address) >= self.config.address_connections_max {
            Some(("too_many_from_address", "too many connections from your address"))
        } else if self.bans.covers_address(address) {
            Some(("banned_address", "you are banned from this server"))
        } else {
            None
        };
        if let Some((code, why)) = refusal {
            out.send_to(conn, ToClient::LoginError { text: why.into() }.into());
            out.push(Output::Close(conn, why.into()));
            out.note(NoteLevel::Drop, code, Some(peer.clone()), "");
            return;
        }
        self.visitors.add(conn, address);
        out.wake(cx.now + self.config.login_deadline, Timer::Server(ServerTimer::Login(conn)));
    }

    pub(crate) fn on_closed(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        let Some(visitor) = self.visitors.remove(conn) else { return };
        let Stage::In(user) = visitor.stage else { return };
        self.forget_files(user.owner, cx, out);
        self.leave_channels(conn, &user, cx, out);
        for name in &user.hotlist {
            self.unwatch(name, conn);
        }
        self.break_promises(conn, &user.nick, cx, out);
        self.leave_elsewhere(conn, &user.nick);
        let off = ToClient::UserOff { nick: user.nick.clone().into() };
        self.tell_watchers(&user.nick, &off, cx, out);
    }

    /// Closes a connection of ours, with all that follows.
    fn throw_out(&mut self, conn: ConnId, why: &'static str, cx: &Context<'_>, out: &mut Out) {
        out.push(Output::Close(conn, why.into()));
        self.on_closed(conn, cx, out);
    }

    pub(crate) fn on_message(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        match self.visitors.visitor_mut(conn).map(|visitor| &mut visitor.stage) {
            None => {}
            Some(Stage::Fresh) => self.on_early_message(conn, message, cx, tickets, out),
            Some(Stage::LoggingIn(login)) => {
                // A program need not wait for the answer; what it says meanwhile, often its whole library, is heard afterwards.
                login.early_bytes = login.early_bytes.saturating_add(message.wire_bytes());
                if login.early_bytes <= self.config.early_bytes_max {
                    login.early.push(message);
                } else {
                    out.note(NoteLevel::Drop, "too_much_before_login", None, "");
                    self.throw_out(conn, "too much was said before the login", cx, out);
                }
            }
            Some(Stage::In(_)) => self.on_user_message(conn, message, cx, tickets, out),
        }
    }

    fn on_user_message(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        // Who asks and does not read would have us keep all the answers.
        if cx.room(conn) == 0 && !message.is_silent() {
            out.note(NoteLevel::Drop, "reads_too_slowly", None, "");
            return self.throw_out(conn, "it asks and does not read", cx, out);
        }
        if let Some(message) = self.look_elsewhere(conn, message, cx, tickets, out) {
            self.on_user_message_here(conn, message, cx, tickets, out);
        }
    }

    fn on_user_message_here(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        use ToServer as M;
        match message {
            M::Share { .. } | M::ShareAny { .. } | M::ShareFolder { .. } | M::Unshare { .. } | M::UnshareAll {} => {
                self.on_share(conn, message, cx, out);
            }
            M::Search { search } => self.on_search(conn, &search, cx, tickets, out),
            M::Resume { hash, size } => self.on_resume(conn, hash.bytes(), size, cx, tickets, out),
            M::Browse { nick, max } => self.on_browse(conn, &nick, max, cx, tickets, out),
            M::Statistics {} => out.send_to(conn, self.statistics().into()),
            M::Download { .. }
            | M::Push { .. }
            | M::UploadAccept { .. }
            | M::UploadRefuse { .. }
            | M::QueueLimit { .. }
            | M::DataPortError { .. }
            | M::DirectBrowse { .. }
            | M::DirectBrowseAccept { .. }
            | M::DirectBrowseError { .. }
            | M::DownloadStart {}
            | M::DownloadEnd {}
            | M::UploadStart {}
            | M::UploadEnd {} => self.on_transfer(conn, message, cx, out),
            // MP3::Napster refuses a file with the number of a password check: `nick "path"`.
            M::PasswordCheck { nick, password } => self.on_transfer(conn, M::UploadRefuse { nick, path: password.0.into() }, cx, out),
            M::Join { .. }
            | M::Part { .. }
            | M::ChannelSay { .. }
            | M::SetTopic { .. }
            | M::Emote { .. }
            | M::ChannelList {}
            | M::AllChannels {}
            | M::ChannelUsers { .. } => self.on_channel(conn, message, cx, out),
            M::SetLevel { .. }
            | M::Kill { .. }
            | M::Nuke { .. }
            | M::Ban { .. }
            | M::Unban { .. }
            | M::BanList {}
            | M::SetDataPort { .. }
            | M::Muzzle { .. }
            | M::Unmuzzle { .. }
            | M::Wallop { .. }
            | M::Announce { .. }
            | M::ServerVersion {} => self.on_moderation(conn, message, cx, tickets, out),
            M::ChangePassword { .. } | M::ChangeEmail { .. } => self.on_account_change(conn, message, cx, tickets, out),
            M::Login { .. } | M::Register { .. } | M::NickCheck { .. } => error(conn, "you are logged in already", out),
            M::Survey { .. } | M::SurveyMore { .. } | M::Greeting { .. } | M::AlternativePort { .. } => {}
            M::VersionCheck { .. } => out.send_to(conn, ToClient::VersionOk {}.into()),
            M::ServerLinks {} => out.send_to(conn, ToClient::ServerLinksEnd {}.into()),
            M::Whois { nick } => self.on_whois(conn, nick, cx, tickets, out),
            M::Motd {} => self.say_motd(conn, out),
            M::Unknown { number, .. } => error(conn, format!("Unknown command code {number}"), out),
            M::Unreadable { number: 200, .. } => {
                error(conn, "invalid search request", out);
                out.send_to(conn, ToClient::SearchEnd {}.into());
            }
            M::Unreadable { .. } => error(conn, "parameters are unparsable", out),
            other => self.on_people(conn, other, cx, out),
        }
    }

    pub(crate) fn on_timer(&mut self, timer: ServerTimer, cx: &Context<'_>, tickets: &mut u64, out: &mut Out) {
        match timer {
            ServerTimer::Login(conn) => {
                // Who waits for us cannot be blamed for it.
                if self.visitors.visitor(conn).is_some_and(|visitor| matches!(visitor.stage, Stage::Fresh)) {
                    out.note(NoteLevel::Drop, "no_login_in_time", None, "");
                    self.throw_out(conn, "no login in time", cx, out);
                }
            }
            ServerTimer::Clear => {
                self.clearing = self.catalogue.step(self.config.clear_files);
                if self.clearing {
                    out.wake(cx.now + Span::from_millis(1), Timer::Server(ServerTimer::Clear));
                }
            }
            ServerTimer::Statistics => {
                let statistics = self.statistics();
                for conn in self.telling.next(&self.visitors) {
                    whisper(conn, statistics.clone(), cx, out);
                }
                self.wake_for_statistics(cx, out);
            }
            ServerTimer::Requests => self.look_at_promises(cx, out),
            ServerTimer::Share => self.go_on_sharing(),
            ServerTimer::Letters => self.begin_to_share(tickets, out),
        }
    }

    pub(crate) fn on_answer(&mut self, ticket: Ticket, answer: Answer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) -> bool {
        let Some(asked) = self.asked.remove(&ticket) else { return false };
        self.on_asked(asked, answer, cx, tickets, out);
        self.look_at_logins(tickets, out);
        true
    }

    fn wake_for_statistics(&self, cx: &Context<'_>, out: &mut Out) {
        if let Some(every) = self.config.statistics_every {
            out.wake(cx.now + every / Telling::PARTS, Timer::Server(ServerTimer::Statistics));
        }
    }

    /// What answers say of a user is no longer what it was.
    fn tell_sharer(&mut self, conn: ConnId) {
        if let Some((ip, user)) = self.visitors.known(conn)
            && let Some(owner) = user.owner
        {
            let User { nick, port, speed, .. } = user;
            self.sharers.put(owner, Sharer { conn, nick: nick.clone(), ip, port: *port, speed: *speed });
        }
    }

    fn user(&self, conn: ConnId) -> Option<&User> {
        self.visitors.user(conn)
    }

    fn ask(&mut self, ask: hexad_core::Ask, asked: Asked, tickets: &mut u64, out: &mut Out) {
        *tickets += 1;
        let ticket = Ticket(*tickets);
        self.asked.insert(ticket, asked);
        out.push(Output::Ask(ticket, ask));
    }
}

/// How far the server is in telling everybody the statistics: ten thousand messages at once would hold up those who search.
#[derive(Debug, Default)]
struct Telling {
    part: u32,
    told: usize,
    last: Option<ConnId>,
}

impl Telling {
    /// Parts in which everybody is told.
    const PARTS: u32 = 60;

    /// Whose turn it is.
    fn next(&mut self, visitors: &Visitors) -> Vec<ConnId> {
        self.part += 1;
        let due = visitors.len() * self.part as usize / Self::PARTS as usize;
        let conns: Vec<ConnId> = visitors.conns_after(self.last).take(due.saturating_sub(self.told)).collect();
        self.told += conns.len();
        self.last = conns.last().copied().or(self.last);
        if self.part == Self::PARTS {
            *self = Self::default();
        }
        conns.into_iter().filter(|&conn| visitors.user(conn).is_some()).collect()
    }
}

/// Says that something is wrong, or worth knowing.
fn error(conn: ConnId, text: impl Into<Text>, out: &mut Out) {
    out.send_to(conn, ToClient::Error { text: text.into().into() }.into());
}

/// Says something that nobody waits for: it is left out where the connection is full already.
fn whisper(conn: ConnId, message: ToClient, cx: &Context<'_>, out: &mut Out) {
    if cx.room(conn) > 0 {
        out.send_to(conn, message.into());
    } else {
        out.note(NoteLevel::Drop, "slow_reader", None, "");
    }
}
