//! Giving: files to whoever asks in OpenNap's way, and ranges of shares to programs like ours.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hexad_core::{ConnId, Context, Dial, Level as NoteLevel, Output, Payload, ShareId, Transport};

use super::offers::shape_of;
use super::peers::{Peering, Role};
use super::searches::endpoint_of;
use super::{Client, ClientTimer, Out};
use crate::node::Timer;
use crate::wire::peer::{BLOCK_BYTES_MAX, PART_BYTES_MAX};
use crate::wire::{Ip, Peer, Quoted, ToServer, Word, manner};

/// Bytes of shares that are handed to the host for one connection at a time.
const IN_FLIGHT_BYTES_MAX: u64 = 256 << 10;
/// Of a file that is sent in one go, so much at a time.
const CHUNK_BYTES: u64 = 64 << 10;
/// Ranges that somebody may ask for before we have sent those before.
const REQUESTS_MAX: usize = 64;

/// A file on its way in OpenNap's manner.
#[derive(Debug)]
pub(super) struct Giving {
    share: ShareId,
    rest: Range<u64>,
    in_flight: u64,
}

/// Somebody whom we serve ranges.
#[derive(Debug, Default)]
pub(super) struct Serving {
    share: Option<ShareId>,
    /// A description that is being sent, and how far.
    shape: Option<(Arc<[u8]>, usize)>,
    requests: VecDeque<(u64, u32)>,
    in_flight: u64,
}

/// A file that we bring to somebody who cannot connect to us.
#[derive(Debug)]
pub(super) struct Pushing {
    pub(super) path: Quoted,
    pub(super) size_bytes: u64,
}

impl Client {
    /// Whether those bytes of a share are there: before this fetch, or since.
    fn holds(&self, share: ShareId, range: &Range<u64>, cx: &Context<'_>) -> bool {
        let Some(known) = cx.shares.share(share).filter(|known| range.end <= known.layout.total_bytes()) else { return false };
        if known.held.covers(range.clone()) {
            return true;
        }
        let Some(gained) = self.gained.get(&share) else { return false };
        let mut both = known.held.within(range.clone());
        both.insert_all(&gained.within(range.clone()));
        both.covers(range.clone())
    }

    fn uploads(&self) -> usize {
        self.peers.values().filter(|peer| matches!(peer.role, Role::Giving(_) | Role::Serving(_))).count()
    }

    /// The file at a path of ours: its share, and where it lies there.
    fn offered(&self, path: &[u8], cx: &Context<'_>) -> Option<(ShareId, Range<u64>)> {
        let offer = self.offers.find(path)?;
        let range = cx.shares.share(offer.share)?.layout.file_range(offer.file);
        Some((offer.share, range))
    }

    /// Somebody asks by way of a server.
    pub(super) fn on_upload_request(&mut self, conn: ConnId, nick: Word, path: Quoted, out: &mut Out) {
        if self.offers.find(path.bytes()).is_none() {
            return out.send_to(conn, ToServer::UploadRefuse { nick, path }.into());
        }
        let (busy, max) = (self.uploads(), self.config.uploads_max);
        if busy >= max {
            let limit = u32::try_from(max).unwrap_or(u32::MAX);
            return out.send_to(conn, ToServer::QueueLimit { nick, path, limit }.into());
        }
        out.send_to(conn, ToServer::UploadAccept { nick, path }.into());
    }

    /// `GET`.
    pub(super) fn on_get(&mut self, conn: ConnId, path: &Quoted, offset: u64, cx: &Context<'_>, out: &mut Out) {
        let Some((share, range)) = self.offered(path.bytes(), cx) else { return self.refuse(conn, "FILE NOT SHARED", out) };
        let size = range.end - range.start;
        if self.uploads() >= self.config.uploads_max || offset > size {
            return self.refuse(conn, "INVALID REQUEST", out);
        }
        out.send_to(conn, Peer::Size(size).into());
        self.give(conn, share, range.start + offset..range.end, cx, out);
    }

    /// Begins to send the rest of a file.
    pub(super) fn give(&mut self, conn: ConnId, share: ShareId, rest: Range<u64>, cx: &Context<'_>, out: &mut Out) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.role = Role::Giving(Giving { share, rest, in_flight: 0 });
            peer.until = cx.now + self.config.idle_deadline;
            for id in self.servers_in() {
                self.count_transfer(id, ToServer::UploadStart {}, out);
            }
            self.go_on_giving(conn, 0, cx, out);
        }
    }

    /// Bytes of shares have left on a connection.
    pub(super) fn go_on_giving(&mut self, conn: ConnId, sent: u64, cx: &Context<'_>, out: &mut Out) {
        let idle = self.config.idle_deadline;
        let Some(Peering { role: Role::Giving(giving), until, .. }) = self.peers.get_mut(&conn) else { return };
        giving.in_flight = giving.in_flight.saturating_sub(sent);
        *until = cx.now + idle;
        let share = giving.share;
        while let Some(Peering { role: Role::Giving(giving), .. }) = self.peers.get_mut(&conn)
            && giving.in_flight < IN_FLIGHT_BYTES_MAX
        {
            let start = giving.rest.start;
            let range = start..giving.rest.end.min(start + CHUNK_BYTES);
            if range.is_empty() {
                break;
            }
            giving.rest.start = range.end;
            giving.in_flight += range.end - range.start;
            if !self.holds(share, &range, cx) {
                out.note(NoteLevel::Debug, "not_held", None, "");
                return self.drop_peer(conn, "that part of the file is not there", cx, out);
            }
            out.push(Output::SendShare(conn, Peer::Data(Payload::EMPTY).into(), share, range));
        }
        if let Some(Peering { role: Role::Giving(giving), .. }) = self.peers.get(&conn)
            && giving.rest.is_empty()
            && giving.in_flight == 0
        {
            for id in self.servers_in() {
                self.count_transfer(id, ToServer::UploadEnd {}, out);
            }
            self.drop_peer(conn, "the file was sent", cx, out);
        }
    }

    pub(super) fn count_transfer(&self, id: super::ServerId, message: ToServer, out: &mut Out) {
        if let Some(conn) = self.server_conn(id) {
            out.send_to(conn, message.into());
        }
    }

    /// Says why not, and ends the connection.
    pub(super) fn refuse(&mut self, conn: ConnId, why: &'static str, out: &mut Out) {
        out.send_to(conn, Peer::Refusal(why.into()).into());
        self.peers.remove(&conn);
        out.push(Output::Close(conn, "refused".into()));
    }

    /// `GETLIST`, or what is sent behind `SENDLIST`.
    pub(super) fn send_list(&mut self, conn: ConnId, with_owner: bool, cx: &Context<'_>, out: &mut Out) {
        if with_owner {
            out.send_to(conn, Peer::ListOwner(self.nick.clone().into()).into());
        }
        let mut room = cx.room(conn);
        for entry in self.offers.list() {
            let line = crate::Message::from(Peer::ListFile(entry));
            room = room.saturating_sub(hexad_core::Message::wire_bytes(&line));
            if room == 0 {
                out.note(NoteLevel::Drop, "slow_reader", None, "");
                break;
            }
            out.send_to(conn, line);
        }
        out.send_to(conn, Peer::ListEnd.into());
        self.peers.remove(&conn);
        out.push(Output::Close(conn, "the list was sent".into()));
    }

    /// A frame of somebody whom we serve.
    pub(super) fn on_frame(&mut self, conn: ConnId, frame: Peer, cx: &Context<'_>, out: &mut Out) {
        let idle = self.config.idle_deadline;
        let Some(Peering { role: Role::Serving(serving), until, .. }) = self.peers.get_mut(&conn) else { return };
        *until = cx.now + idle;
        match frame {
            Peer::Describe { path } => {
                let share = self.offers.share_of(path.bytes()).and_then(|id| cx.shares.share(id).map(|share| (id, share)));
                match share {
                    Some((id, share)) => {
                        serving.share = Some(id);
                        serving.shape = Some((shape_of(share).write().into(), 0));
                    }
                    None => out.send_to(conn, Peer::Refused { start: 0, text: "no such share".into() }.into()),
                }
            }
            Peer::Request { start, length } => {
                let end = start.saturating_add(length.into());
                let fine = (1..=BLOCK_BYTES_MAX).contains(&length) && serving.requests.len() < REQUESTS_MAX;
                let share = serving.share.filter(|_| fine);
                if share.is_some_and(|share| self.offers.has(share) && self.holds(share, &(start..end), cx)) {
                    if let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get_mut(&conn) {
                        serving.requests.push_back((start, length));
                    }
                } else {
                    out.send_to(conn, Peer::Refused { start, text: "that range is not there".into() }.into());
                }
            }
            _ => {}
        }
        self.go_on_serving(conn, 0, cx, out);
    }

    /// Bytes have left, or there is more to send.
    pub(super) fn go_on_serving(&mut self, conn: ConnId, sent: u64, cx: &Context<'_>, out: &mut Out) {
        let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get_mut(&conn) else { return };
        serving.in_flight = serving.in_flight.saturating_sub(sent);
        let mut room = cx.room(conn);
        while let Some((shape, at)) = &mut serving.shape {
            let part = &shape[*at..shape.len().min(*at + PART_BYTES_MAX)];
            let total = u32::try_from(shape.len()).unwrap_or(u32::MAX);
            let message = Peer::Described { total, offset: u32::try_from(*at).unwrap_or(u32::MAX), part: part.into() };
            *at += part.len();
            let over = *at >= shape.len();
            let bytes = part.len() as u64 + 12;
            out.send_to(conn, message.into());
            if over {
                serving.shape = None;
            }
            // What goes over the mark makes the host tell when there is room again.
            if bytes > room {
                break;
            }
            room -= bytes;
        }
        while serving.in_flight < IN_FLIGHT_BYTES_MAX {
            let (Some(share), Some((start, length))) = (serving.share, serving.requests.pop_front()) else { break };
            serving.in_flight += u64::from(length);
            let block = Peer::Block { start, body: Payload::EMPTY };
            out.push(Output::SendShare(conn, block.into(), share, start..start + u64::from(length)));
        }
    }

    /// A server tells us to connect to somebody who cannot connect to us.
    pub(super) fn on_push_order(&mut self, ip: Ip, port: u32, path: &Quoted, cx: &mut Context<'_>, out: &mut Out) {
        let size = self.offers.find(path.bytes()).map(|offer| offer.size_bytes);
        let (Some(size_bytes), Some(endpoint)) = (size, endpoint_of(ip, port)) else {
            return out.note(NoteLevel::Drop, "push_for_nothing", None, "");
        };
        let pushing = Pushing { path: path.clone(), size_bytes };
        self.dial_peer(endpoint, Role::Pushing(pushing), None, cx, out);
    }

    /// A server says that somebody wants our list.
    pub(super) fn on_browse_request(
        &mut self,
        server: ConnId,
        nick: Word,
        ip: Option<Ip>,
        port: Option<u32>,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        match ip.zip(port) {
            None => out.send_to(server, ToServer::DirectBrowseAccept { nick }.into()),
            Some((ip, port)) => {
                if let Some(endpoint) = endpoint_of(ip, port) {
                    self.dial_peer(endpoint, Role::SendingList, None, cx, out);
                }
            }
        }
    }

    /// Opens a connection to another program.
    pub(super) fn dial_peer(
        &mut self,
        endpoint: hexad_core::Endpoint,
        role: Role,
        expected_size: Option<u64>,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) -> Option<ConnId> {
        if self.peers.len() >= self.config.peers_max {
            out.note(NoteLevel::Drop, "too_many_peers", Some(endpoint), "");
            return None;
        }
        let conn = cx.new_conn();
        let secret = expected_size.map(|size| size.to_be_bytes().to_vec()).unwrap_or_default().into();
        let deadline = self.config.connect_deadline;
        let until = cx.now + deadline + self.config.command_deadline;
        self.peers.insert(conn, Peering { endpoint: endpoint.clone(), role, until });
        out.push(Output::Open(conn, endpoint, Dial { transport: Transport::Tcp, deadline, manner: manner::PEER, secret }));
        out.wake(until, Timer::Client(ClientTimer::Peer(conn)));
        Some(conn)
    }
}
