//! Connections that are no links: transfers either way, and errands at push proxies.

use std::net::SocketAddrV4;

use hexad_content::Ranges;
use hexad_core::{ConnId, Context, Endpoint, Level, OpId, Output, Payload, Span, Time, Why};

use super::browsing::Browse;
use super::uploads::Serving;
use super::{Node, Out};
use crate::wire::{Giv, Headers, Message, Request, Response};

/// What a connection is for.
#[derive(Debug)]
pub(crate) enum Role {
    /// Somebody asks us for files.
    Serving(Box<Serving>),
    /// Dialled because somebody cannot dial us; he asks once he knows who we are.
    Giving(u32),
    /// One of the sources of a fetch.
    Taking(OpId, u32),
    /// A push proxy that is to tell a source to connect.
    Proxy(OpId, u32),
    /// Dialled for somebody who wants to know whether he can be reached.
    Probe,
    /// Everything that a host offers.
    Browsing(Box<Browse>),
}

/// One such connection.
#[derive(Debug)]
pub(crate) struct Peering {
    pub(crate) peer: Endpoint,
    pub(crate) role: Role,
    /// Nothing has happened on it since.
    pub(crate) heard: Time,
}

/// A connection on which nothing happens for so long is closed.
const IDLE_MAX: Span = Span::from_secs(60);

impl Peering {
    pub(crate) fn new(peer: Endpoint, role: Role, now: Time) -> Self {
        Self { peer, role, heard: now }
    }
}

impl Node {
    /// Closes a connection and forgets it.
    pub(crate) fn drop_peer(&mut self, conn: ConnId, why: &'static str, out: &mut Out) {
        if self.peers.remove(&conn).is_some() {
            out.push(Output::Close(conn, why.into()));
        }
    }

    pub(crate) fn look_after_peers(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        self.forget_unclaimed(cx.now, out);
        let idle: Vec<ConnId> = self.peers.iter().filter(|(_, peer)| cx.now.since(peer.heard) >= IDLE_MAX).map(|(&conn, _)| conn).collect();
        for conn in idle {
            out.push(Output::Close(conn, "nothing happens".into()));
            self.on_peer_closed(conn, &Why::Ours("nothing happens".into()), cx, out);
        }
    }

    pub(crate) fn on_peer_opened(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        let servent = self.guid;
        let Some(peering) = self.peers.get_mut(&conn) else { return out.push(Output::Close(conn, "no longer wanted".into())) };
        peering.heard = cx.now;
        match peering.role {
            Role::Giving(index) => {
                let name = "file".to_owned();
                out.send_to(conn, Message::Giv(Box::new(Giv { index, servent, name })));
                peering.role = Role::Serving(Box::default());
            }
            Role::Taking(op, supplier) => self.on_supplier_open(op, supplier, conn, cx, out),
            Role::Proxy(op, supplier) => self.ask_proxy(op, supplier, conn, out),
            Role::Probe => self.drop_peer(conn, "the way is open", out),
            Role::Browsing(_) => {
                let host = peering.peer.to_string();
                let headers = Headers::new().with("Host", host).with("User-Agent", super::greeting::AGENT);
                let headers = headers.with("Accept", "application/x-gnutella-packets").with("Connection", "close");
                out.send_to(conn, Request::get("/", headers).into());
            }
            Role::Serving(_) => {}
        }
    }

    pub(crate) fn on_peer_closed(&mut self, conn: ConnId, why: &Why, cx: &mut Context<'_>, out: &mut Out) {
        let Some(peering) = self.peers.remove(&conn) else { return };
        if let Why::Malformed(reason) = why {
            out.note(Level::Drop, "peer_talks_nonsense", Some(peering.peer.clone()), reason.clone());
        }
        match peering.role {
            Role::Taking(op, supplier) => self.on_supplier_lost(op, supplier, cx, out),
            Role::Browsing(browse) => self.on_browsed(*browse, matches!(why, Why::PeerClosed), out),
            Role::Serving(_) | Role::Giving(_) | Role::Proxy(..) | Role::Probe => {}
        }
    }

    pub(crate) fn on_response(&mut self, conn: ConnId, response: &Response, cx: &mut Context<'_>, out: &mut Out) {
        let Some(peering) = self.peers.get_mut(&conn) else { return };
        peering.heard = cx.now;
        match &mut peering.role {
            Role::Taking(op, supplier) => {
                let (op, supplier) = (*op, *supplier);
                self.on_supplier_response(op, supplier, conn, response, cx, out);
            }
            Role::Proxy(..) => {
                out.note(Level::Debug, "push_proxy_answered", Some(peering.peer.clone()), response.code.to_string());
                self.drop_peer(conn, "the proxy was asked", out);
            }
            Role::Browsing(browse) => {
                if !browse.begins(response) {
                    let Some(Peering { role: Role::Browsing(browse), .. }) = self.peers.remove(&conn) else { return };
                    out.push(Output::Close(conn, "browsing refused".into()));
                    self.on_browsed(*browse, false, out);
                }
            }
            Role::Serving(_) | Role::Giving(_) | Role::Probe => {}
        }
    }

    pub(crate) fn on_data(&mut self, conn: ConnId, body: Payload, cx: &mut Context<'_>, out: &mut Out) {
        let Some(peering) = self.peers.get_mut(&conn) else { return };
        peering.heard = cx.now;
        match &mut peering.role {
            Role::Taking(op, supplier) => {
                let (op, supplier) = (*op, *supplier);
                self.on_supplier_data(op, supplier, conn, body, cx, out);
            }
            Role::Browsing(browse) => {
                let whole = browse.takes(&body);
                if whole && let Some(Peering { role: Role::Browsing(browse), .. }) = self.peers.remove(&conn) {
                    out.push(Output::Close(conn, "browsed".into()));
                    self.on_browsed(*browse, true, out);
                }
            }
            _ => {}
        }
    }
}

/// `X-Available-Ranges: bytes 0-10,20-30`; `None` where it says nothing.
pub(crate) fn available(headers: &Headers) -> Option<Ranges> {
    let mut ranges = Ranges::new();
    let mut any = false;
    for item in headers.list("X-Available-Ranges").take(1000) {
        let item = item.strip_prefix("bytes").unwrap_or(item).trim_start_matches(['=', ' ']);
        let (from, to) = item.split_once('-')?;
        let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to || to == u64::MAX {
            return None;
        }
        ranges.insert(from..to + 1);
        any = true;
    }
    any.then_some(ranges)
}

/// `X-Alt: 1.2.3.4, 5.6.7.8:6346`: others who have it; what stands behind a semicolon is left out.
pub(crate) fn alternates(headers: &Headers) -> impl Iterator<Item = SocketAddrV4> {
    const ALTERNATES_MAX: usize = 20;
    const USUAL_PORT: u16 = 6346;
    headers.list("X-Alt").take(ALTERNATES_MAX).filter_map(|item| {
        let item = item.split(';').next().unwrap_or_default().trim();
        item.parse().ok().or_else(|| item.parse().ok().map(|ip| SocketAddrV4::new(ip, USUAL_PORT)))
    })
}
