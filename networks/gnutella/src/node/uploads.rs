//! Giving: ranges of shares to whoever asks by HTTP, in line when too many do. Spec §18.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use hexad_content::{Digest, Ranges, TigerProof};
use hexad_core::{ConnId, Context, Level, Output, Payload, ShareId};

use super::greeting::AGENT;
use super::peers::{Peering, Role};
use super::{Node, Out};
use crate::locator::unescaped;
use crate::wire::thex::write_thex;
use crate::wire::{Body, Guid, Headers, Message, Packet, Request, Response, urn_of};

/// Requests that may come before the ones before are answered.
const REQUESTS_MAX: usize = 16;
/// Bytes that are handed to the host for one connection at a time.
const IN_FLIGHT_BYTES_MAX: u64 = 1 << 20;
/// Whoever waits in line asks again after so many seconds.
const POLL_S: std::ops::RangeInclusive<u64> = 5..=120;

/// Somebody who asks us for files.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    requests: VecDeque<Request>,
    giving: Option<Giving>,
    /// Bytes of shares that are handed to the host and have not left.
    in_flight: u64,
    /// Counts against the number of uploads.
    pub(crate) slot: bool,
    /// His number in line.
    waits: Option<u32>,
    close: bool,
}

/// A body on its way.
#[derive(Debug)]
enum Giving {
    Share { share: ShareId, rest: Range<u64> },
    Bytes(Bytes),
}

/// What a target stands for.
enum Found {
    /// This range of a share.
    File(ShareId, Range<u64>),
    Nothing,
}

fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        202 => "Push sent",
        206 => "Partial Content",
        400 => "Bad Request",
        404 => "Not Found",
        406 => "Not Acceptable",
        410 => "Servent not connected",
        416 => "Requested Range Unavailable",
        503 => "Busy",
        _ => "Because",
    }
}

/// A tree as it is served. Its number comes from its root, so that the same tree is the same bytes.
fn thex_of(tree: &TigerProof) -> Bytes {
    let levels = tree.levels();
    let hex = data_encoding::HEXLOWER.encode(&tree.root()[..16]);
    let uuid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    write_thex(tree.total_bytes(), levels.len() - 1, &uuid, &levels.concat())
}

fn written(ranges: &Ranges) -> String {
    let spans: Vec<String> = ranges.iter().take(64).map(|range| format!("{}-{}", range.start, range.end - 1)).collect();
    format!("bytes {}", spans.join(","))
}

impl Node {
    /// Connections that count as uploads.
    pub(crate) fn uploads(&self) -> usize {
        self.peers.values().filter(|peer| matches!(&peer.role, Role::Serving(serving) if serving.slot)).count()
    }

    /// A request, on a connection that was just accepted or serves already.
    pub(crate) fn on_request(&mut self, conn: ConnId, request: Request, cx: &mut Context<'_>, out: &mut Out) {
        if let Some((peer, _)) = self.fresh.remove(&conn) {
            let serving = self.peers.values().filter(|peer| matches!(peer.role, Role::Serving(_))).count();
            if serving >= (self.config.uploads_max + self.config.uploads_queue_max) * 2 {
                out.note(Level::Drop, "too_many_who_ask", Some(peer), "");
                return out.push(Output::Close(conn, "too many who ask".into()));
            }
            self.peers.insert(conn, Peering::new(peer, Role::Serving(Box::default()), cx.now));
            self.tick_later(cx, out);
        }
        let Some(peering) = self.peers.get_mut(&conn) else { return };
        peering.heard = cx.now;
        let Role::Serving(serving) = &mut peering.role else { return };
        if serving.requests.len() >= REQUESTS_MAX {
            out.note(Level::Drop, "asks_too_much", Some(peering.peer.clone()), "");
            return self.drop_peer(conn, "asks too much", out);
        }
        serving.requests.push_back(request);
        self.serve(conn, cx, out);
    }

    /// Answers requests in order, while no body is on its way.
    fn serve(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        while let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get_mut(&conn) {
            if serving.giving.is_some() || serving.in_flight >= IN_FLIGHT_BYTES_MAX {
                return;
            }
            if serving.close {
                if serving.in_flight == 0 {
                    self.drop_peer(conn, "the last answer was sent", out);
                }
                return;
            }
            let Some(request) = serving.requests.pop_front() else { return };
            serving.close = !request.keeps();
            self.answer_request(conn, &request, cx, out);
            self.go_on_giving(conn, 0, cx, out);
        }
    }

    fn answer_request(&mut self, conn: ConnId, request: &Request, cx: &mut Context<'_>, out: &mut Out) {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match path {
            "/" => self.answer_browse(conn, request, out),
            "/gnutella/push-proxy" | "/gnutella/pushproxy" => self.answer_proxy(conn, request, query, cx, out),
            "/hexad/shape" => self.answer_shape(conn, query, cx, out),
            super::web_cache::PATH => self.answer_web_cache(conn, query, cx, out),
            "/uri-res/N2X" => self.answer_tree(conn, query, cx, out),
            _ => match self.find_target(path, query, cx) {
                Found::File(share, file) => self.answer_file(conn, request, share, file, cx, out),
                Found::Nothing => self.answer_plainly(conn, 404, Headers::new(), out),
            },
        }
    }

    pub(crate) fn answer_plainly(&mut self, conn: ConnId, code: u16, headers: Headers, out: &mut Out) {
        let close = matches!(self.peers.get(&conn), Some(Peering { role: Role::Serving(serving), .. }) if serving.close);
        let headers = if close { headers.with("Connection", "close") } else { headers };
        out.send_to(conn, Response::new(code, reason(code), headers.with("Server", AGENT), 0).into());
    }

    /// Answers with bytes that we have here.
    pub(crate) fn answer_bytes(&mut self, conn: ConnId, kind: &'static str, body: Bytes, out: &mut Out) {
        let headers = Headers::new().with("Server", AGENT).with("Content-Type", kind);
        out.send_to(conn, Response::new(200, reason(200), headers, body.len() as u64).into());
        if let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get_mut(&conn)
            && !body.is_empty()
        {
            serving.giving = Some(Giving::Bytes(body));
        }
    }

    fn find_target(&self, path: &str, query: &str, cx: &Context<'_>) -> Found {
        let Some(offers) = &self.offers else { return Found::Nothing };
        let whole = |id: ShareId| cx.shares.share(id).map(|share| Found::File(id, 0..share.layout.total_bytes()));
        let found = match path {
            "/uri-res/N2R" => unescaped(query).and_then(|urn| offers.by_urn(&urn)).and_then(whole),
            _ => path.strip_prefix("/get/").and_then(|rest| {
                let (index, _) = rest.split_once('/').unwrap_or((rest, ""));
                let offer = offers.file(index.parse().ok()?)?;
                let share = cx.shares.share(offer.share)?;
                Some(Found::File(offer.share, share.layout.file_range(offer.file)))
            }),
        };
        found.unwrap_or(Found::Nothing)
    }

    fn answer_shape(&mut self, conn: ConnId, token: &str, cx: &Context<'_>, out: &mut Out) {
        let id = unescaped(token).and_then(|token| self.offers.as_ref()?.by_urn(&token));
        match id.and_then(|id| cx.shares.share(id)) {
            Some(share) => {
                let shape = super::offers::shape_of(share).write().into();
                self.answer_bytes(conn, "application/x-hexad-shape", shape, out);
            }
            None => self.answer_plainly(conn, 404, Headers::new(), out),
        }
    }

    /// The Tiger tree of a share. Spec §20.
    fn answer_tree(&mut self, conn: ConnId, urn: &str, cx: &Context<'_>, out: &mut Out) {
        let id = unescaped(urn).and_then(|urn| self.offers.as_ref()?.by_urn(&urn));
        match id.and_then(|id| self.tree_of(id, cx)) {
            Some(tree) => self.answer_bytes(conn, "application/dime", thex_of(&tree), out),
            None => self.answer_plainly(conn, 404, Headers::new(), out),
        }
    }

    /// Lets somebody have a slot, or says where he stands in line.
    fn has_slot(&mut self, conn: ConnId, queues: bool, out: &mut Out) -> bool {
        let (used, max) = (self.uploads(), self.config.uploads_max);
        let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get(&conn) else { return false };
        if serving.slot {
            return true;
        }
        let own = serving.waits;
        let waiting = |peer: &Peering| match &peer.role {
            Role::Serving(serving) => serving.waits,
            _ => None,
        };
        let (mut ahead, mut length) = (0, 0);
        for number in self.peers.values().filter_map(waiting) {
            length += 1;
            ahead += usize::from(own.is_none_or(|own| number < own));
        }
        let free = max.saturating_sub(used);
        let fresh = self.number();
        let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get_mut(&conn) else { return false };
        if ahead < free {
            (serving.slot, serving.waits) = (true, None);
            return true;
        }
        let mut headers = Headers::new().with("Retry-After", POLL_S.start().to_string());
        if queues && (serving.waits.is_some() || length < self.config.uploads_queue_max) {
            length += usize::from(serving.waits.is_none());
            serving.waits.get_or_insert(fresh);
            serving.close = false;
            let (position, from, to) = (ahead + 1, POLL_S.start(), POLL_S.end());
            headers.add("X-Queue", format!("position={position},length={length},limit={max},pollMin={from},pollMax={to}"));
        } else {
            serving.close = true;
        }
        self.answer_plainly(conn, 503, headers, out);
        false
    }

    fn answer_file(&mut self, conn: ConnId, request: &Request, id: ShareId, file: Range<u64>, cx: &mut Context<'_>, out: &mut Out) {
        let tree = self.tree_of(id, cx);
        let Some((offers, share)) = self.offers.as_mut().zip(cx.shares.share(id)) else { return };
        let asker = self.peers.get(&conn).and_then(|peer| peer.peer.ip());
        for at in super::peers::alternates(&request.headers).filter(|at| super::hosts::is_usable(*at, asker)) {
            offers.add_alternate(id, at);
        }
        let size = file.end - file.start;
        let held = offers.held(id, share);
        let whole = held.covers(file.clone());
        let mut headers = Headers::new().with("Server", AGENT).with("Content-Type", "application/octet-stream");
        if file == (0..share.layout.total_bytes()) {
            for urn in share.digests.iter().take(4).map(urn_of).chain(super::offers::bitprint_of(&share.digests)) {
                headers.add("X-Gnutella-Content-URN", urn);
            }
            if let Some(tree) = tree {
                let root = urn_of(&Digest::TigerTree(tree.root()));
                let name = share.digests.iter().find(|digest| matches!(digest, Digest::Sha1(_))).map_or_else(|| root.clone(), urn_of);
                headers.add("X-Thex-URI", format!("/uri-res/N2X?{name};{}", root.rsplit(':').next().unwrap_or_default()));
            }
        }
        let mut shown = Ranges::new();
        if !whole {
            for range in held.within(file.clone()).iter() {
                shown.insert(range.start - file.start..range.end - file.start);
            }
            headers.add("X-Available-Ranges", written(&shown));
        }
        let others = offers.alternates(id).filter(|at| Some(std::net::IpAddr::V4(*at.ip())) != asker || at.ip().is_loopback());
        let others: Vec<String> = others.take(10).map(|at| at.to_string()).collect();
        if !others.is_empty() {
            headers.add("X-Alt", others.join(", "));
        }
        let asked = request.range(size);
        let mut range = asked.clone().unwrap_or(0..size);
        if !whole {
            // Whoever has a part gives what he has of the beginning of what is asked for.
            range.end =
                shown.within(range.clone()).iter().next().filter(|first| first.start == range.start).map_or(range.start, |first| first.end);
        }
        if range.is_empty() && size > 0 {
            let headers = if whole { headers.with("Content-Range", format!("bytes */{size}")) } else { headers };
            return self.answer_plainly(conn, 416, headers, out);
        }
        if !request.head && !self.has_slot(conn, request.headers.find("X-Queue").is_some(), out) {
            return;
        }
        let code = if asked.is_some() && size > 0 || range != (0..size) { 206 } else { 200 };
        if code == 206 {
            headers.add("Content-Range", format!("bytes {}-{}/{size}", range.start, range.end - 1));
        }
        out.send_to(conn, Response::new(code, reason(code), headers, range.end - range.start).into());
        if let Some(Peering { role: Role::Serving(serving), .. }) = self.peers.get_mut(&conn)
            && !request.head
            && !range.is_empty()
        {
            let rest = file.start + range.start..file.start + range.end;
            serving.giving = Some(Giving::Share { share: id, rest });
        }
    }

    /// Bytes of a body have left, or there is room for more.
    pub(crate) fn go_on_giving(&mut self, conn: ConnId, sent: u64, cx: &mut Context<'_>, out: &mut Out) {
        let chunk = self.config.chunk_bytes.max(1);
        let Some(Peering { role: Role::Serving(serving), heard, .. }) = self.peers.get_mut(&conn) else { return };
        if sent > 0 {
            *heard = cx.now;
            serving.in_flight = serving.in_flight.saturating_sub(sent);
        }
        let over = match &mut serving.giving {
            None => true,
            Some(Giving::Share { share, rest }) => {
                while !rest.is_empty() && serving.in_flight < IN_FLIGHT_BYTES_MAX {
                    let range = rest.start..rest.end.min(rest.start + chunk);
                    rest.start = range.end;
                    serving.in_flight += range.end - range.start;
                    out.push(Output::SendShare(conn, Message::Data(Payload::EMPTY), *share, range));
                }
                rest.is_empty()
            }
            Some(Giving::Bytes(bytes)) => {
                let mut room = cx.room(conn);
                while !bytes.is_empty() && room > 0 {
                    let take = bytes.len().min(usize::try_from(chunk).unwrap_or(usize::MAX));
                    room = room.saturating_sub(take as u64);
                    out.send_to(conn, Message::Data(Payload::Bytes(bytes.split_to(take))));
                }
                bytes.is_empty()
            }
        };
        if over {
            // The next answer may be put behind what is under way.
            serving.giving = None;
            self.serve(conn, cx, out);
        }
    }

    /// Somebody asks us to tell a leaf of ours whom to connect to. Spec §19.
    fn answer_proxy(&mut self, conn: ConnId, request: &Request, query: &str, cx: &mut Context<'_>, out: &mut Out) {
        let servent = query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            match &*key.to_ascii_lowercase() {
                "serverid" => Guid::of_base32(value).or_else(|| Guid::of_hex(value)),
                "guid" => Guid::of_hex(value),
                _ => None,
            }
        });
        let to = request.headers.find("X-Node").and_then(|text| text.split(';').next()?.trim().parse::<std::net::SocketAddrV4>().ok());
        let peer = self.peers.get(&conn).map(|peer| peer.peer.clone());
        // Only to where the request comes from: nobody is sent to knock at somebody else's door.
        let honest = peer.as_ref().and_then(super::hosts::v4_of).zip(to).is_some_and(|(from, to)| from.ip() == to.ip() && to.port() > 0);
        let code = match (servent, to) {
            (Some(servent), Some(to)) if honest => {
                let leaf = self.servents.find(&servent).map(|route| route.conn).filter(|conn| self.links.get(*conn).is_some());
                match leaf {
                    Some(leaf) => {
                        let push = crate::wire::Push { servent, index: 0, to, ext: Bytes::new() };
                        let muid = Guid::fresh(cx.dice);
                        self.say(leaf, Packet::new(muid, 2, Body::Push(Box::new(push))), cx, out);
                        202
                    }
                    None => 410,
                }
            }
            _ => 400,
        };
        self.answer_plainly(conn, code, Headers::new(), out);
    }
}
