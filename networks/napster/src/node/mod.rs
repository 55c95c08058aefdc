//! The state machine: a client of any number of servers, and a server when it is told to serve.

mod server;

pub use server::{Level, ServerConfig, ServerStatus, ServerTimer};

use std::net::SocketAddr;

use hexad_core::{Context, Dice, Endpoint, Failure, Inbound, Input, Link, OpId, Operation, Outbox, Progress, Via};

use self::server::Server;
use crate::doors;
use crate::wire::Message;

/// Bounds and switches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The server role, for [`Request::Serve`].
    pub server: ServerConfig,
}

/// What the node wakes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Of the server role.
    Server(ServerTimer),
}

/// What only this network can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Be a server, at the address of [`Config::server`]. `Done` when the door is open; `Cancel` stops.
    Serve,
    /// How is our server? Answered by [`Reply::ServerStatus`].
    ServerStatus,
}

/// The answers to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The server's door is open at this address.
    Serving(SocketAddr),
    /// How the server is.
    ServerStatus(ServerStatus),
}

/// One machine of this network.
#[derive(Debug)]
pub struct Node {
    config: Config,
    /// Counts up the questions to the host.
    tickets: u64,
    server: Option<Box<Server>>,
}

impl Node {
    /// A node that has joined nothing.
    #[must_use]
    pub fn new(config: Config, _: &mut Dice) -> Self {
        Self { config, tickets: 0, server: None }
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
                None => out.report(op, Progress::Failed(Failure::NotReady("this node is no server".into()))),
            },
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
            Input::Start(op, _) => out.report(op, Progress::Failed(Failure::NotReady("no server was joined".into()))),
            Input::Cancel(op) => {
                if let Some(mut server) = self.server.take_if(|server| server.op == op) {
                    server.stop(out);
                }
            }
            Input::Bound(doors::SERVER, bound) => {
                if let Some(server) = &mut self.server
                    && !server.on_bound(bound, out)
                {
                    self.server = None;
                }
            }
            Input::Opened { conn, peer, via: Via::Accepted(doors::SERVER) } => {
                if let Some(server) = &mut self.server {
                    server.on_opened(conn, &peer, cx, out);
                }
            }
            Input::Closed(conn, _) => {
                if let Some(server) = &mut self.server {
                    server.on_closed(conn, cx, out);
                }
            }
            Input::Received(Link::Conn(conn), Message::ToServer(message)) => {
                if let Some(server) = self.server.as_mut().filter(|server| server.knows(conn)) {
                    server.on_message(conn, message, cx, &mut self.tickets, out);
                }
            }
            Input::Elapsed(Timer::Server(timer)) => {
                if let Some(server) = &mut self.server {
                    server.on_timer(timer, cx, out);
                }
            }
            Input::Answered(ticket, answer) => {
                if let Some(server) = &mut self.server {
                    server.on_answer(ticket, answer, cx, &mut self.tickets, out);
                }
            }
            _ => {}
        }
    }
}
