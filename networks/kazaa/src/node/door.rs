//! The door to the past: leaves that speak FastTrack's own wire publish to us, search what others of them have, and are told to push.
//!
//! Old leaves name files by a hash that covers half a percent of a large file, so what they offer is a hint and no proof: it is shown to other old
//! leaves only, and never among what is proven.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use hexad_catalogue::{Catalogue, Config as CatalogueConfig, NewFile, OwnerId, Query, text_of, words_of};
use hexad_core::{Bind, ConnId, Context, Level, Map, Output, Span, Time};

use super::bucket::Bucket;
use super::{Node, Out, close, doors};
use crate::place::Place;
use crate::wire::Message;
use crate::wire::fasttrack::{Fast, Found, FromLeaf, Offer, Sought, Term, ToLeaf};

/// A leaf that says nothing for so long is asked whether it is there.
const QUIET: Span = Span::from_secs(120);
/// And is gone when it has not answered so much later.
const ANSWERS: Span = Span::from_secs(20);
/// A leaf says who it is within so long.
const GREETING: Span = Span::from_secs(20);
/// Results in one message.
const RESULTS_EACH: usize = 20;
/// What everybody here is a part of.
const NETWORK: &[u8] = b"KaZaA";
/// Tags whose words can be searched for: file name, title, artist, album, keywords, genre, comment.
const WORDS_IN: [u32; 7] = [0x02, 0x04, 0x06, 0x08, 0x0c, 0x0e, 0x1a];
/// Most bytes of a leaf's name.
const USER_BYTES_MAX: usize = 64;

/// One old leaf.
#[derive(Debug)]
struct Old {
    ip: Ipv4Addr,
    port: u16,
    bandwidth: u8,
    user: Vec<u8>,
    greeted: bool,
    owner: Option<OwnerId>,
    offers: Map<u32, Offer>,
    numbers: Map<([u8; 20], u64), u32>,
    next_number: u32,
    since: Time,
    heard: Time,
    pinged: Option<Time>,
    bucket: Bucket,
}

impl Old {
    fn at(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip, self.port)
    }
}

/// The door, while it is open.
#[derive(Debug)]
pub(super) struct FastDoor {
    at: Option<SocketAddr>,
    leaves: Map<ConnId, Old>,
    catalogue: Catalogue,
    owners: Map<OwnerId, ConnId>,
}

fn send<A: Place>(conn: ConnId, message: ToLeaf, out: &mut Out<A>) {
    out.send_to(conn, Message::Fast(Box::new(Fast::To(message))));
}

impl<A: Place> Node<A> {
    /// Opens it, where the user wants it.
    pub(super) fn open_door(&mut self, out: &mut Out<A>) {
        let settings = self.settings();
        let Some(at) = settings.fasttrack else { return };
        let leaves = settings.fasttrack_leaves_max;
        let config = CatalogueConfig {
            owners_max: u32::try_from(2 * leaves + 16).unwrap_or(u32::MAX),
            files_max: settings.records_max,
            owner_files_max: settings.leaf_records_max,
            path_bytes_max: 8 << 10,
            path_parts: 1,
            ..CatalogueConfig::default()
        };
        self.door = Some(Box::new(FastDoor { at: None, leaves: Map::new(), catalogue: Catalogue::new(config), owners: Map::new() }));
        out.push(Output::Listen(doors::FASTTRACK, Bind::Stream(at)));
    }

    pub(super) fn on_door_bound(&mut self, bound: Result<SocketAddr, String>, out: &mut Out<A>) {
        match (bound, &mut self.door) {
            (Ok(at), Some(door)) => door.at = Some(at),
            (Ok(_), None) => {}
            (Err(why), _) => {
                self.door = None;
                out.note(Level::Warn, "no_fasttrack_door", None, why);
            }
        }
    }

    /// Closes it, and what has come through it.
    pub(super) fn close_door(&mut self, out: &mut Out<A>) {
        let Some(door) = self.door.take() else { return };
        out.push(Output::Unlisten(doors::FASTTRACK));
        door.leaves.into_keys().for_each(|conn| close(conn, "the door is closed", out));
    }

    /// How many old leaves there are, and how many files they offer.
    #[must_use]
    pub fn old_leaves(&self) -> (usize, usize) {
        self.door.as_ref().map_or((0, 0), |door| (door.leaves.len(), door.catalogue.usage().files))
    }

    pub(super) fn on_fast_opened(&mut self, conn: ConnId, peer: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (max, burst) = (self.config.0.fasttrack_leaves_max, self.config.0.queries_burst);
        let ip = match peer.to_endpoint().ip().map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => ip,
            _ => return close(conn, "that wire has room for IPv4 only", out),
        };
        let Some(door) = self.door.as_mut().filter(|door| door.leaves.len() < max) else {
            out.note(Level::Drop, "too_many_old_leaves", Some(peer.clone()), "");
            return close(conn, "full", out);
        };
        let old = Old {
            ip,
            port: 0,
            bandwidth: 0,
            user: Vec::new(),
            greeted: false,
            owner: None,
            offers: Map::new(),
            numbers: Map::new(),
            next_number: 0,
            since: cx.now,
            heard: cx.now,
            pinged: None,
            bucket: Bucket::full(burst, cx.now),
        };
        door.leaves.insert(conn, old);
    }

    pub(super) fn on_fast_closed(&mut self, conn: ConnId) {
        let Some(door) = &mut self.door else { return };
        if let Some(owner) = door.leaves.remove(&conn).and_then(|old| old.owner) {
            door.owners.remove(&owner);
            door.catalogue.begin_remove(owner);
        }
    }

    fn drop_old(&mut self, conn: ConnId, why: &'static str, out: &mut Out<A>) {
        close(conn, why, out);
        self.on_fast_closed(conn);
    }

    /// What an old leaf says.
    pub(super) fn on_fast(&mut self, conn: ConnId, fast: Fast, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.settings();
        let native = self.addr.as_ref().and_then(|addr| addr.to_endpoint().ip());
        let Some(door) = self.door.as_mut().filter(|door| door.leaves.contains_key(&conn)) else {
            // Ours speak ours: who comes through another door and says this is not one of us.
            return self.drop_line(conn, "speaks another wire", cx, out);
        };
        let us = door.address(native);
        let users = u32::try_from(door.leaves.len() + self.lines.leaves()).unwrap_or(u32::MAX).max(settings.fasttrack_users_min);
        let (count, usage) = (door.leaves.len(), door.catalogue.usage());
        let Some(old) = door.leaves.get_mut(&conn) else { return };
        old.heard = cx.now;
        old.pinged = None;
        let Fast::From(message) = fast else { return };
        match message {
            FromLeaf::Ping => send(conn, ToLeaf::Pong, out),
            FromLeaf::Pong | FromLeaf::Network(_) | FromLeaf::Other(..) => {}
            FromLeaf::Info { at, bandwidth, mut user } => {
                // Where it is we see ourselves; it knows its port.
                old.port = at.port();
                old.bandwidth = bandwidth;
                user.truncate(USER_BYTES_MAX);
                user.retain(|byte| *byte > 0x1f);
                old.user = user;
                // giFT says this again when it has heard its outside address; once is enough for us.
                if !std::mem::replace(&mut old.greeted, true) {
                    let ip = old.ip;
                    let files = u32::try_from(usage.files).unwrap_or(u32::MAX);
                    let gigabytes = u16::try_from(usage.file_bytes >> 30).unwrap_or(u16::MAX);
                    let load = u8::try_from(count * 100 / settings.fasttrack_leaves_max.max(1)).unwrap_or(100);
                    send(conn, ToLeaf::Network(NETWORK.to_vec()), out);
                    send(conn, ToLeaf::Outside(ip), out);
                    send(conn, ToLeaf::Statistics(users, files, gigabytes), out);
                    send(conn, ToLeaf::Supernodes(vec![(us, 0, load)]), out);
                }
            }
            FromLeaf::Publish(offer) => door.publish(conn, offer, out),
            FromLeaf::Withdraw(offer) => door.withdraw(conn, &offer),
            FromLeaf::Search(sought) => {
                if old.bucket.take(settings.queries_per_s, settings.queries_burst, cx.now) {
                    door.search(conn, &sought, us, settings.fasttrack_results_max, out);
                } else {
                    out.note(Level::Drop, "query_flood", None, "");
                }
                send(conn, ToLeaf::SearchEnd(sought.id), out);
            }
            FromLeaf::Push { id, me, target, user, .. } => {
                // To where we see him, so that nobody is sent to somebody else.
                let back = SocketAddrV4::new(old.ip, me.port());
                let found =
                    door.leaves.iter().find(|(_, other)| other.user == user && (other.at() == target || other.port == target.port()));
                match found {
                    Some((&other, _)) => send(other, ToLeaf::PushOrder(id, back), out),
                    None => out.note(Level::Debug, "push_to_nobody", None, ""),
                }
            }
        }
    }

    pub(super) fn look_after_door(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(door) = &mut self.door else { return };
        door.catalogue.step(1000);
        let mut late = Vec::new();
        for (&conn, old) in &mut door.leaves {
            let silent = !old.greeted && cx.now.since(old.since) >= GREETING;
            let unanswered = old.pinged.is_some_and(|at| cx.now.since(at) >= ANSWERS);
            if silent || unanswered {
                late.push(conn);
            } else if old.pinged.is_none() && cx.now.since(old.heard) >= QUIET {
                old.pinged = Some(cx.now);
                send(conn, ToLeaf::Ping, out);
            }
        }
        for conn in late {
            self.drop_old(conn, "silent", out);
        }
    }
}

impl FastDoor {
    /// Where we are for old leaves.
    fn address(&self, native: Option<IpAddr>) -> SocketAddrV4 {
        let (ip, port) = self.at.map_or((Ipv4Addr::UNSPECIFIED.into(), 0), |at| (at.ip(), at.port()));
        let ip = if ip.is_unspecified() { native.unwrap_or(ip) } else { ip };
        match ip.to_canonical() {
            IpAddr::V4(ip) => SocketAddrV4::new(ip, port),
            IpAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port),
        }
    }

    fn publish<A: Place>(&mut self, conn: ConnId, offer: Offer, out: &mut Out<A>) {
        let Some(old) = self.leaves.get_mut(&conn) else { return };
        let owner = match old.owner {
            Some(owner) => owner,
            None => {
                let Some(owner) = self.catalogue.add_owner() else {
                    return out.note(Level::Drop, "record_refused", None, "no room for more leaves");
                };
                old.owner = Some(owner);
                self.owners.insert(owner, conn);
                owner
            }
        };
        // Old leaves publish everything twice: the same again changes nothing.
        let key = (offer.uuhash, offer.id);
        let number = old.numbers.get(&key).copied();
        if let Some(number) = number {
            if old.offers.get(&number) == Some(&offer) {
                return;
            }
            if let Some(before) = old.offers.remove(&number) {
                self.catalogue.remove(owner, &path_of(number, &before));
            }
        }
        let number = number.unwrap_or(old.next_number);
        let path = path_of(number, &offer);
        let file = NewFile { path: &path, token: &offer.uuhash, size_bytes: offer.size, ..NewFile::default() };
        match self.catalogue.add(owner, &file) {
            Ok(()) => {
                old.next_number = old.next_number.max(number + 1);
                old.numbers.insert(key, number);
                old.offers.insert(number, offer);
            }
            Err(why) => {
                old.numbers.remove(&key);
                out.note(Level::Drop, "record_refused", None, why.to_string());
            }
        }
    }

    fn withdraw(&mut self, conn: ConnId, offer: &Offer) {
        let Some(old) = self.leaves.get_mut(&conn) else { return };
        let Some(number) = old.numbers.remove(&(offer.uuhash, offer.id)) else { return };
        if let (Some(before), Some(owner)) = (old.offers.remove(&number), old.owner) {
            self.catalogue.remove(owner, &path_of(number, &before));
        }
    }

    fn search<A: Place>(&self, conn: ConnId, sought: &Sought, us: SocketAddrV4, max: usize, out: &mut Out<A>) {
        let wanted = usize::from(sought.max).min(max);
        let mut found: Vec<Found> = Vec::new();
        let mut take = |owner: OwnerId, folder: &[u8]| -> bool {
            let Some((&sharer, old)) = self.owners.get(&owner).and_then(|sharer| Some((sharer, self.leaves.get(sharer)?))) else {
                return false;
            };
            let number =
                std::str::from_utf8(folder).ok().and_then(|folder| folder.strip_suffix('/')).and_then(|number| number.parse().ok());
            let Some(offer) = number.and_then(|number: u32| old.offers.get(&number)) else { return false };
            if sharer == conn || !in_realm(sought.realm, offer.media) || !sought.terms.iter().all(|term| holds(term, offer)) {
                return false;
            }
            if found.len() < wanted {
                found.push(Found { at: old.at(), bandwidth: old.bandwidth, user: old.user.clone(), offer: offer.clone() });
            }
            true
        };
        let hash = sought.terms.iter().find(|term| term.field == 3 && term.compare == 0);
        if let Some(term) = hash {
            let mut left = wanted;
            self.catalogue.with_token(&term.text, |owner, file| {
                left -= usize::from(left > 0 && take(owner, file.folder));
                left > 0
            });
        } else {
            let mut query = Query { wanted, ..Query::default() };
            for term in sought.terms.iter().filter(|term| term.compare == 5 || term.compare == 0) {
                words_of(&term.text, |word| {
                    query.words.push(word.to_owned());
                    query.words.len() < 16
                });
            }
            self.catalogue.search(&query, |owner, file| take(owner, file.folder));
        }
        for some in found.chunks(RESULTS_EACH) {
            send(conn, ToLeaf::Results { by: us, id: sought.id, found: some.to_vec() }, out);
        }
    }
}

/// Number, and what can be found: the words of the tags that have some.
fn path_of(number: u32, offer: &Offer) -> Vec<u8> {
    let mut path = format!("{number}/");
    for (_, bytes) in offer.tags.iter().filter(|(tag, _)| WORDS_IN.contains(tag)) {
        path.push_str(&text_of(bytes).replace(['/', '\\'], " "));
        path.push(' ');
    }
    path.into_bytes()
}

fn in_realm(realm: u8, media: u8) -> bool {
    realm == 0xbf || realm & 0x1f == media
}

/// A packed number of a tag.
fn number_of(bytes: &[u8]) -> u64 {
    bytes.iter().take(9).fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}

fn holds(term: &Term, offer: &Offer) -> bool {
    let tag = |number: u32| offer.tags.iter().find(|(tag, _)| *tag == number).map(|(_, bytes)| bytes);
    match (term.compare, term.field) {
        (0, 3) => term.text == offer.uuhash,
        (0 | 5, 0) => {
            // The words were looked up; the index has them from these tags.
            let mut all = true;
            words_of(&term.text, |word| {
                let has = |bytes: &[u8]| {
                    let mut there = false;
                    words_of(bytes, |other| {
                        there = other == word;
                        !there
                    });
                    there
                };
                all = offer.tags.iter().any(|(number, bytes)| WORDS_IN.contains(number) && has(bytes));
                all
            });
            all
        }
        (0 | 5, field) => tag(field).is_some_and(|bytes| {
            let (bytes, text) = (text_of(bytes).to_lowercase(), text_of(&term.text).to_lowercase());
            if term.compare == 0 { bytes == text } else { bytes.contains(&text) }
        }),
        (compare, field) => {
            let there = if field == 0x21 { Some(offer.size) } else { tag(field).map(|bytes| number_of(bytes)) };
            let wanted = number_of(&term.text);
            match compare {
                2 => there.is_some_and(|there| there <= wanted),
                3 => there.is_some_and(|there| there.abs_diff(wanted) * 10 <= wanted),
                4 => there.is_some_and(|there| there >= wanted),
                _ => true,
            }
        }
    }
}
