//! Connections to other programs, whoever opened them: what each is for, and until when.

use hexad_core::{ConnId, Context, Endpoint, Level as NoteLevel, OpId, Output, Time, Why};

use super::uploads::{Giving, Pushing, Serving};
use super::{Client, ClientTimer, Out};
use crate::node::Timer;
use crate::wire::Peer;

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Role {
    /// Came in, and has to say what it wants.
    Asked,
    /// We send a file.
    Giving(Giving),
    /// We send ranges of shares.
    Serving(Serving),
    /// We bring a file to somebody who asked for it.
    Pushing(Pushing),
    /// We bring our list.
    SendingList,
    /// We take from there, for that fetch.
    Taking(OpId),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Peering {
    pub(super) endpoint: Endpoint,
    pub(super) role: Role,
    /// Without anything new by then it is closed.
    pub(super) until: Time,
}

impl Client {
    pub(crate) fn on_peer_accepted(&mut self, conn: ConnId, endpoint: Endpoint, cx: &Context<'_>, out: &mut Out) {
        if self.peers.len() >= self.config.peers_max {
            out.note(NoteLevel::Drop, "too_many_peers", Some(endpoint), "");
            return out.push(Output::Close(conn, "too many connections".into()));
        }
        let until = cx.now + self.config.command_deadline;
        self.peers.insert(conn, Peering { endpoint, role: Role::Asked, until });
        out.send_to(conn, Peer::Greeting.into());
        out.wake(until, Timer::Client(ClientTimer::Peer(conn)));
    }

    pub(super) fn on_peer_closed(&mut self, conn: ConnId, why: &Why, cx: &mut Context<'_>, out: &mut Out) {
        let Some(peer) = self.peers.remove(&conn) else { return };
        if let Why::Malformed(what) = why {
            out.note(NoteLevel::Drop, "malformed", Some(peer.endpoint.clone()), what.clone());
        }
        if let Role::Taking(op) = peer.role {
            self.on_source_gone(op, conn, cx, out);
        }
    }

    /// Closes a connection, with all that follows.
    pub(super) fn drop_peer(&mut self, conn: ConnId, why: &'static str, _: &Context<'_>, out: &mut Out) {
        if self.peers.remove(&conn).is_some() {
            out.push(Output::Close(conn, why.into()));
        }
    }

    pub(super) fn on_peer_deadline(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(peer) = self.peers.get(&conn) else { return };
        if peer.until > cx.now {
            return out.wake(peer.until, Timer::Client(ClientTimer::Peer(conn)));
        }
        out.note(NoteLevel::Drop, "silent_peer", Some(peer.endpoint.clone()), "");
        out.push(Output::Close(conn, "silent for too long".into()));
        self.on_peer_closed(conn, &Why::TimedOut, cx, out);
    }

    pub(super) fn on_peer_message(&mut self, conn: ConnId, message: Peer, cx: &mut Context<'_>, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        match (&mut peer.role, message) {
            (Role::Taking(op), message) => {
                let op = *op;
                self.on_source_message(op, conn, message, cx, out);
            }
            (Role::Asked, Peer::Get { path, offset, .. }) => self.on_get(conn, &path, offset, cx, out),
            (Role::Asked, Peer::Send { nick, path, size }) => self.on_send(conn, &nick, &path, size, cx, out),
            (Role::Asked, Peer::GetList) => self.send_list(conn, true, cx, out),
            (Role::Asked, Peer::Hexad) => self.serve(conn, cx, out),
            (Role::Asked, Peer::UnknownCommand(text)) => {
                out.note(NoteLevel::Drop, "unknown_command", Some(peer.endpoint.clone()), text.shown().into_owned());
                self.refuse(conn, "INVALID REQUEST", out);
            }
            (Role::Asked, _) => self.refuse(conn, "INVALID REQUEST", out),
            (Role::Serving(_), frame) => self.on_frame(conn, frame, cx, out),
            (Role::Pushing(pushing), Peer::Greeting) => {
                let send = Peer::Send { nick: self.nick.clone().into(), path: pushing.path.clone(), size: pushing.size_bytes };
                out.send_to(conn, send.into());
            }
            (Role::Pushing(pushing), Peer::Offset(offset)) => {
                let path = pushing.path.clone();
                let offer = self.offers.find(path.bytes()).map(|offer| (offer.share, offer.file));
                let range = offer.and_then(|(share, file)| cx.shares.share(share).map(|known| (share, known.layout.file_range(file))));
                match range.filter(|(_, range)| offset <= range.end - range.start) {
                    Some((share, range)) => self.give(conn, share, range.start + offset..range.end, cx, out),
                    None => self.drop_peer(conn, "no such part of the file", cx, out),
                }
            }
            (Role::Pushing(_), Peer::Hexad) => self.serve(conn, cx, out),
            (Role::Pushing(_), _) => self.drop_peer(conn, "the other end does not want the file", cx, out),
            (Role::SendingList, Peer::Greeting) => {
                out.send_to(conn, Peer::SendList { nick: self.nick.clone().into() }.into());
                self.send_list(conn, false, cx, out);
            }
            (Role::Giving(_) | Role::SendingList, _) => {}
        }
    }

    /// From here on it is frames, and we answer.
    fn serve(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        let busy = self.peers.values().filter(|peer| matches!(peer.role, Role::Giving(_) | Role::Serving(_))).count();
        if busy >= self.config.uploads_max {
            out.note(NoteLevel::Debug, "uploads_full", None, "");
            return self.drop_peer(conn, "as many uploads as there may be", cx, out);
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.role = Role::Serving(Serving::default());
            peer.until = cx.now + self.config.idle_deadline;
        }
    }
}
