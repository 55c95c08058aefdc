//! Browse host: everything that somebody offers, as hits in the body of an HTTP answer. Spec §21.

use bytes::{Bytes, BytesMut};
use hexad_core::{ConnId, Context, Endpoint, Failure, OpId, Output, Payload, Progress};

use super::hits::{fields_of, hit_of};
use super::peers::{Peering, Role};
use super::{Node, Out, dial, failed};
use crate::wire::{Body, Guid, Headers, Packet, Request, Response, zlib};

/// Bytes of hits that are taken, and that are given.
const BYTES_MAX: usize = 4 << 20;
/// Hits that are reported.
const HITS_MAX: usize = 20_000;

/// A look at what somebody offers.
#[derive(Debug)]
pub(crate) struct Browse {
    op: OpId,
    peer: Endpoint,
    deflated: bool,
    body: BytesMut,
    /// So many bytes are awaited, where that is known.
    awaited: Option<u64>,
}

impl Browse {
    /// The head of the answer; false when it is not what was asked for.
    pub(crate) fn begins(&mut self, response: &Response) -> bool {
        self.deflated = response.headers.lists("Content-Encoding", "deflate");
        self.awaited = response.body_bytes();
        let kind = response.headers.find("Content-Type").unwrap_or_default();
        response.code == 200 && kind.starts_with("application/x-gnutella-packets")
    }

    /// More of the body; true when that is all, or more than is taken.
    pub(crate) fn takes(&mut self, body: &Payload) -> bool {
        if let Payload::Bytes(bytes) = body {
            self.body.extend_from_slice(bytes);
        }
        self.body.len() >= BYTES_MAX || self.awaited.is_some_and(|awaited| self.body.len() as u64 >= awaited)
    }
}

impl Node {
    pub(crate) fn start_browse(&mut self, op: OpId, peer: Endpoint, cx: &mut Context<'_>, out: &mut Out) {
        if self.member.is_none() {
            return failed(op, Failure::NotReady("not in the network".into()), out);
        }
        let conn = cx.new_conn();
        out.push(Output::Open(conn, peer.clone(), dial(self.config.handshake_deadline)));
        let browse = Browse { op, peer: peer.clone(), deflated: false, body: BytesMut::new(), awaited: None };
        self.peers.insert(conn, Peering::new(peer, Role::Browsing(Box::new(browse)), cx.now));
        self.tick_later(cx, out);
    }

    /// A look is over.
    pub(crate) fn on_browsed(&mut self, browse: Browse, complete: bool, out: &mut Out) {
        let plain = if browse.deflated { zlib::inflate(&browse.body, BYTES_MAX).unwrap_or_default() } else { browse.body.to_vec() };
        if !complete && plain.is_empty() {
            return failed(browse.op, Failure::Refused("the host cannot be browsed".into()), out);
        }
        let (mut rest, mut reported) = (&plain[..], 0);
        while let Some(head) = rest.first_chunk::<23>() {
            let length = usize::try_from(u32::from_le_bytes([head[19], head[20], head[21], head[22]])).unwrap_or(usize::MAX);
            let Some((message, after)) = rest.split_at_checked(length.saturating_add(23)) else { break };
            rest = after;
            let Ok(Packet { body: Body::Hit(hit), .. }) = Packet::read(message) else { continue };
            let said = fields_of(&hit);
            for (place, record) in hit.records.iter().enumerate() {
                if reported < HITS_MAX {
                    reported += 1;
                    Self::report_hit(browse.op, hit_of(&hit, record, said.get(&place), browse.peer.ip()), out);
                }
            }
        }
        out.report(browse.op, Progress::Done);
    }

    pub(crate) fn cancel_browse(&mut self, op: OpId, out: &mut Out) {
        let browses = |peer: &Peering| matches!(&peer.role, Role::Browsing(browse) if browse.op == op);
        let found = self.peers.iter().find(|(_, peer)| browses(peer)).map(|(&conn, _)| conn);
        if let Some(conn) = found {
            self.peers.remove(&conn);
            out.push(Output::Close(conn, "cancelled".into()));
            out.report(op, Progress::Ended);
        }
    }

    /// Somebody wants to see what we offer.
    pub(crate) fn answer_browse(&mut self, conn: ConnId, request: &Request, out: &mut Out) {
        let wants_packets = request.headers.list("Accept").any(|kind| kind.starts_with("application/x-gnutella-packets"));
        if !wants_packets {
            return self.answer_plainly(conn, 406, Headers::new(), out);
        }
        let mut body = BytesMut::new();
        if let Some(offers) = &self.offers {
            let mut records = Vec::new();
            for index in offers.all() {
                records.extend(offers.record(index));
            }
            for hit in self.hits_of(records, true) {
                let packet = Packet::new(Guid([0xff; 16]), 1, Body::Hit(hit));
                if body.len() + packet.wire_bytes() > BYTES_MAX {
                    break;
                }
                packet.write(&mut body);
            }
        }
        let body: Bytes = body.freeze();
        self.answer_bytes(conn, "application/x-gnutella-packets", body, out);
    }
}
