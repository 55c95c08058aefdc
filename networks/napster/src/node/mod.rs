//! The state machine: a client of any number of servers, and a server when it is told to serve.

mod client;
mod server;

pub use client::{Audio, ClientConfig, ClientTimer, Locator, ServerId, digests_of, token_of};
pub use server::{Level, ServerConfig, ServerStatus, ServerTimer, SharedConfig};

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_core::{Context, Dice, Endpoint, Failure, Inbound, Input, Link, OpId, Operation, Outbox, Output, Progress, ShareId, Via};

use self::client::Client;
use self::server::Server;
use crate::doors;
use crate::wire::{Message, Search, ToClient};

/// Bounds and switches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The client role.
    pub client: Arc<ClientConfig>,
    /// The server role, for [`Request::Serve`].
    pub server: Arc<ServerConfig>,
}

impl From<ClientConfig> for Config {
    fn from(client: ClientConfig) -> Self {
        Self { client: client.into(), ..Self::default() }
    }
}

impl From<ServerConfig> for Config {
    fn from(server: ServerConfig) -> Self {
        Self { server: server.into(), ..Self::default() }
    }
}

/// What the node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Of the client role.
    Client(ClientTimer),
    /// Of the server role.
    Server(ServerTimer),
}

/// What only this network can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Be a server, at the address of [`Config::server`]. `Done` when the door is open; `Cancel` stops.
    Serve,
    /// How is our server? Answered by [`Reply::ServerStatus`], and where we are none by [`Reply::Servers`].
    ServerStatus,
    /// Search with all that the grammar has; answered by hits.
    Search {
        /// What to look for.
        search: Search,
        /// How many hits are enough.
        wanted: usize,
    },
    /// All files of a user; answered by hits.
    Browse(String),
    /// Who is that? Answered by [`Reply::Whois`].
    Whois(String),
    /// Say something to a user.
    Say {
        /// To whom.
        nick: String,
        /// What.
        text: String,
    },
    /// What is known of the sound of files that are to be published; servers tell it to who searches.
    Audio {
        /// Of which share.
        share: ShareId,
        /// By index into its layout's files.
        files: Vec<(usize, Audio)>,
    },
}

/// The answers to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The server's door is open at this address.
    Serving(SocketAddr),
    /// How the server is.
    ServerStatus(ServerStatus),
    /// The servers that we want to be logged in at, and whether we are.
    Servers(Vec<(Endpoint, bool)>),
    /// Who somebody is or was: message 604 or 605.
    Whois(Box<ToClient>),
}

/// One machine of this network.
#[derive(Debug)]
pub struct Node {
    config: Config,
    /// Counts up the questions to the host.
    tickets: u64,
    client: Client,
    server: Option<Box<Server>>,
}

impl Node {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config, _: &mut Dice) -> Self {
        Self { client: Client::new(config.client.clone()), config, tickets: 0, server: None }
    }

    /// How our server is, when there is one.
    #[must_use]
    pub fn server_status(&self) -> Option<ServerStatus> {
        self.server.as_ref().map(|server| server.status())
    }

    fn start_own(&mut self, op: OpId, request: Request, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match request {
            Request::Serve if self.server.is_some() => out.report(op, Progress::Failed(Failure::Full("servers"))),
            Request::Serve => {
                self.server = Some(Box::new(Server::start(op, self.config.server.clone(), cx, &mut self.tickets, out)));
            }
            Request::ServerStatus => match self.server_status() {
                Some(status) => {
                    out.report(op, Progress::Own(Reply::ServerStatus(status)));
                    out.report(op, Progress::Done);
                }
                None => {
                    out.report(op, Progress::Own(Reply::Servers(self.client.servers())));
                    out.report(op, Progress::Done);
                }
            },
            Request::Search { search, wanted } => self.client.start_own_search(op, search, wanted, cx, out),
            Request::Browse(nick) => self.client.start_browse(op, &nick, cx, out),
            Request::Whois(nick) => self.client.start_whois(op, &nick, cx, out),
            Request::Say { nick, text } => self.client.say(op, &nick, &text, out),
            Request::Audio { share, files } => {
                for (file, audio) in files {
                    self.client.set_audio(share, file, audio);
                }
                out.report(op, Progress::Done);
            }
        }
    }
}

impl hexad_core::Node for Node {
    type Addr = Endpoint;
    type Message = Message;
    type Timer = Timer;
    type Request = Request;
    type Reply = Reply;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Start(op, Operation::Own(request)) => self.start_own(op, request, cx, out),
            Input::Start(op, Operation::Join { bootstrap }) => self.client.start_join(op, bootstrap, cx, out),
            Input::Start(op, Operation::Publish { share }) => self.client.start_publish(op, share, cx, out),
            Input::Start(op, Operation::Search { query }) => self.client.start_search(op, query, cx, out),
            Input::Start(op, Operation::Fetch { source, lease, share }) => self.client.start_fetch(op, source, lease, share, cx, out),
            Input::Cancel(op) => match self.server.take_if(|server| server.op == op) {
                Some(mut server) => server.stop(&mut self.tickets, out),
                None => self.client.cancel(op, cx, out),
            },
            Input::Bound(doors::SERVER, bound) => {
                self.server.take_if(|server| !server.on_bound(bound, out));
            }
            Input::Bound(_, bound) => self.client.on_bound(bound, cx, out),
            Input::Opened { conn, peer, via: Via::Accepted(doors::SERVER) } => match &mut self.server {
                Some(server) => server.on_opened(conn, &peer, cx, out),
                None => out.push(Output::Close(conn, "no server here".into())),
            },
            Input::Opened { conn, peer, via: Via::Accepted(_) } => self.client.on_accepted(conn, peer, cx, out),
            Input::Opened { conn, via: Via::Dialled, .. } => self.client.on_opened(conn, out),
            Input::Closed(conn, why) if self.client.knows(conn) => self.client.on_closed(conn, &why, cx, out),
            Input::Received(Link::Conn(conn), Message::ToClient(message)) => self.client.on_to_client(conn, message, cx, out),
            Input::Received(Link::Conn(conn), Message::Peer(message)) => self.client.on_peer(conn, message, cx, out),
            Input::Sent(conn, bytes) => self.client.on_sent(conn, bytes, cx, out),
            Input::Room(conn) => self.client.on_room(conn, cx, out),
            Input::Leased(lease, ranges) => self.client.on_leased(lease, ranges, cx, out),
            Input::Elsewhere(lease, ranges) => self.client.on_elsewhere(lease, ranges, out),
            Input::Judged(lease, range, verdict) => self.client.on_judged(lease, range, verdict, cx, out),
            Input::Elapsed(Timer::Client(timer)) => self.client.on_timer(timer, cx, out),
            other => self.handle_as_server(other, cx, out),
        }
    }
}

impl Node {
    fn handle_as_server(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        let Some(server) = &mut self.server else { return };
        match input {
            Input::Closed(conn, _) => server.on_closed(conn, cx, out),
            Input::Received(Link::Conn(conn), Message::ToServer(message)) if server.knows(conn) => {
                server.on_message(conn, message, cx, &mut self.tickets, out);
            }
            Input::Elapsed(Timer::Server(timer)) => server.on_timer(timer, cx, &mut self.tickets, out),
            Input::Answered(ticket, answer) => {
                server.on_answer(ticket, answer, cx, &mut self.tickets, out);
            }
            _ => {}
        }
        server.put_in_next(&mut self.tickets, out);
    }
}
