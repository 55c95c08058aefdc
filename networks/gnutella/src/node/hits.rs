//! Hits that come: to be sent back the way of the query, or for a search of ours. Spec §3, §9.

use std::net::SocketAddr;

use hexad_content::{Digest, Digests};
use hexad_core::{ConnId, Context, Endpoint, Hit, Level, Map, Query, Source, What};

use super::hosts::{is_usable, is_usable6, packed, six_of};
use super::routes::Route;
use super::{Node, Out};
use crate::locator::Locator;
use crate::wire::{Body, Fields, Packet, QueryHit, Record, digests_of};

/// What a hit says of its files, by their places.
pub(crate) fn fields_of(hit: &QueryHit) -> Map<usize, Fields> {
    hit.trailer.as_ref().map(|trailer| trailer.fields().into_iter().collect()).unwrap_or_default()
}

/// Whether a file is what was asked for. What does not have the words is an advertisement.
fn fits(record: &Record, said: Option<&Fields>, digests: &Digests, query: &Query, fuzzy: bool) -> bool {
    match query {
        Query::Digest { digest, .. } => digests.contains(digest),
        Query::Words { words, .. } => {
            let mut own: Vec<String> = Vec::new();
            hexad_catalogue::words_of(&record.name, |word| {
                own.push(word.to_owned());
                own.len() < 256
            });
            hexad_catalogue::words_of(said.map(Fields::words).unwrap_or_default().as_bytes(), |word| {
                own.push(word.to_owned());
                own.len() < 512
            });
            let mut asked: Vec<String> = Vec::new();
            for word in words {
                hexad_catalogue::words_of(word.as_bytes(), |part| {
                    asked.push(part.to_owned());
                    true
                });
            }
            fuzzy || asked.iter().all(|word| own.iter().any(|other| other.starts_with(word.as_str())))
        }
    }
}

/// A file of a hit as users see it.
pub(crate) fn hit_of(hit: &QueryHit, record: &Record, said: Option<&Fields>, teller: Option<std::net::IpAddr>) -> Hit {
    let extensions = record.extensions();
    let token = extensions.ggep.find("HX").and_then(|data| std::str::from_utf8(data).ok()).unwrap_or_default().to_owned();
    let mut digests = extensions.digests();
    for digest in digests_of(&token).iter() {
        digests.insert(*digest);
    }
    let private = hit.trailer.as_ref().map(|trailer| trailer.ggep()).unwrap_or_default();
    let push = hit.trailer.as_ref().is_some_and(|trailer| trailer.push());
    let four = Some(SocketAddr::V4(hit.at)).filter(|_| is_usable(hit.at, teller));
    let six = six_of(&private, hit.at.port()).filter(|at| is_usable6(*at, teller)).map(SocketAddr::V6);
    let peer = four.or(six).filter(|_| !push);
    let proxies = private.find("PUSH").map(|data| packed(data, false).filter(|at| is_usable(*at, teller)).take(8).collect());
    let name = String::from_utf8_lossy(&record.name).into_owned();
    let locator = Locator {
        token,
        digests: digests
            .iter()
            .filter(|digest| matches!(digest, Digest::Sha1(_) | Digest::TigerTree(_) | Digest::Content(_)))
            .copied()
            .collect(),
        size_bytes: Some(record.size_bytes()),
        name: name.clone(),
        servent: Some(hit.servent),
        index: record.index,
        push: peer.is_none(),
        proxies: proxies.unwrap_or_default(),
        bitrate_kbps: said.map_or(0, |said| said.number("bitrate")),
        seconds: said.map_or(0, |said| said.number("seconds")),
    };
    let peers = peer.map(Endpoint::Ip).into_iter().collect();
    Hit { name, size_bytes: Some(record.size_bytes()), digests, source: Source { what: What::Locator(locator.write()), peers } }
}

impl Node {
    pub(crate) fn on_hit(&mut self, conn: Option<ConnId>, packet: Packet, cx: &mut Context<'_>, out: &mut Out) {
        let Body::Hit(hit) = &packet.body else { return };
        if hit.servent == self.guid || hit.servent == packet.muid {
            return out.note(Level::Drop, "hit_from_nobody", None, "");
        }
        let hit = hit.clone();
        let teller = conn.and_then(|conn| self.links.get(conn)).and_then(|neighbour| neighbour.peer.ip());
        if let Some(conn) = conn {
            // A push for that servent takes this way.
            self.servents.insert(hit.servent, Route { conn, ttl: 1, hops: packet.hops }, cx.now);
        }
        if let Some(number) = self.asked.get(&packet.muid).and_then(|asked| asked.search) {
            let teller = teller.or_else(|| self.own().map(|own| std::net::IpAddr::V4(*own.ip())));
            return self.on_own_hit(number, &hit, teller, cx, out);
        }
        if self.on_proxied_hit(&packet, &hit, cx, out) {
            return;
        }
        let Some(route) = self.queries.find(&packet.muid).copied() else {
            self.counts.lost += 1;
            return out.note(Level::Drop, "way_back_unknown", None, "");
        };
        if conn.is_none() || Some(route.conn) == conn || packet.hops >= self.config.ttl_max {
            self.counts.lost += 1;
            return out.note(Level::Drop, "hit_on_a_wrong_way", None, "");
        }
        self.count_results(&packet.muid, hit.records.len());
        if self.links.get(route.conn).is_none() {
            self.counts.lost += 1;
            return out.note(Level::Drop, "way_back_lost", None, "");
        }
        // The way is known hop by hop, so it ends by itself; a hit that was sent with one hop too few still arrives.
        let ttl = packet.ttl.saturating_sub(1).max(1);
        self.say(route.conn, Packet { muid: packet.muid, ttl, hops: packet.hops + 1, body: Body::Hit(hit) }, cx, out);
    }

    /// Files for one of our searches.
    fn on_own_hit(&mut self, number: u32, hit: &QueryHit, teller: Option<std::net::IpAddr>, cx: &mut Context<'_>, out: &mut Out) {
        let fuzzy = self.config.fuzzy;
        let said = fields_of(hit);
        for (place, record) in hit.records.iter().enumerate() {
            let said = said.get(&place);
            let Some(search) = self.searches.get_mut(&number) else { return };
            if search.found >= search.wanted || !search.is_new(hit.servent, record.index) {
                continue;
            }
            let found = hit_of(hit, record, said, teller);
            if !fits(record, said, &found.digests, &search.query, fuzzy) {
                out.note(Level::Drop, "hit_not_asked_for", None, "");
                continue;
            }
            search.found += 1;
            self.deliver_hit(number, found, cx, out);
        }
        let enough = self.searches.get(&number).is_some_and(|search| search.found >= search.wanted);
        if enough {
            self.end_search(number, cx, out);
        }
    }
}
