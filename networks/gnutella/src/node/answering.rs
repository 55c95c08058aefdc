//! Answering queries from what we offer, in band and out of band. Spec §9, §13, §22.

use std::borrow::Cow;
use std::net::SocketAddrV4;
use std::sync::Arc;

use hexad_content::Digests;
use hexad_core::{ConnId, Context, Level, Time};

use super::{Node, Out};
use crate::wire::ggep::Block;
use crate::wire::{Body, Extensions, Fields, Guid, Media, Packet, Query, QueryHit, Record, Trailer, flags};

/// Who made this servent.
pub(crate) const VENDOR: [u8; 4] = *b"HEXA";
/// Files of one message.
const RECORDS_MAX: usize = 10;
/// Bytes of the records of one message.
const RECORD_BYTES_MAX: usize = 2000;
/// Files that answer one query.
const RESULTS_MAX: usize = 50;
/// Files that are looked at where some of them may not be of the kind that is wanted.
const CANDIDATES_MAX: usize = 500;
/// The latest files that answer "What's New".
const WHATS_NEW_MAX: usize = 3;

/// "What's New": GGEP `WH` with 1, which asks for the latest files whatever they are called. Spec §8.
pub(crate) fn is_whats_new(extensions: &Extensions) -> bool {
    extensions.ggep.find("WH").is_some_and(|data| data[..] == [1])
}

/// Hits that wait for somebody to claim them by datagram.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) to: SocketAddrV4,
    pub(crate) hits: Vec<Arc<QueryHit>>,
    pub(crate) until: Time,
}

impl Node {
    /// Answers a query if we can; returns whether.
    pub(crate) fn answer(
        &mut self,
        conn: Option<ConnId>,
        packet: &Packet,
        query: &Query,
        digests: &Digests,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) -> bool {
        let Some(offers) = &self.offers else { return false };
        if query.has(flags::FIREWALLED) && self.is_firewalled() {
            return false;
        }
        let asked = usize::from(query.flags & flags::WANTED);
        let modern = query.flags & flags::MARK != 0;
        let wanted = if modern && asked > 0 { asked.min(RESULTS_MAX) } else { RESULTS_MAX };
        let extensions = query.extensions();
        let (media, wish) = (Media::wanted(&extensions), Fields::wanted(&extensions));
        let text = match &wish {
            Some(wish) => Cow::Owned(format!("{} {}", query.text, wish.words())),
            None => Cow::Borrowed(query.text.as_str()),
        };
        // Some of what matches may not be of the kind that is wanted.
        let looked_at = if media.is_some() || wish.is_some() { CANDIDATES_MAX } else { wanted };
        let found = if is_whats_new(&extensions) && packet.ttl <= 2 {
            offers.newest(WHATS_NEW_MAX)
        } else {
            offers.matching(&text, digests, self.config.fuzzy, looked_at)
        };
        let fits = |index: &u32| {
            let Some(offer) = offers.file(*index) else { return false };
            let audio = self.known.audio(offer.share, offer.file);
            media.is_none_or(|media| media.takes(offer.name.as_bytes()))
                && wish.as_ref().is_none_or(|wish| wish.admits(offer.name.as_bytes(), |name| audio?.number(name)))
        };
        let fitting = found.into_iter().filter(fits).take(wanted);
        let records: Vec<Record> = fitting.filter_map(|index| offers.record(index)).collect();
        if records.is_empty() {
            return false;
        }
        let hits = self.hits_of(records, query.has(flags::XML));
        self.counts.answered += hits.len() as u64;
        if query.has(flags::OUT_OF_BAND) && packet.hops > 0 && self.indicate(packet.muid, &hits, cx, out) {
            return true;
        }
        let Some(conn) = conn else { return true };
        let ttl = packet.hops.saturating_add(3).min(self.config.ttl_max);
        for hit in hits {
            self.say(conn, Packet::new(packet.muid, ttl, Body::Hit(hit)), cx, out);
        }
        true
    }

    /// Messages with these files.
    pub(crate) fn hits_of(&self, records: Vec<Record>, xml: bool) -> Vec<Arc<QueryHit>> {
        let mut hits = Vec::new();
        let mut rest = records.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut some, mut bytes) = (Vec::new(), 0);
            while let Some(record) = rest.next_if(|record| {
                some.is_empty() || some.len() < RECORDS_MAX && bytes + record.name.len() + record.ext.len() < RECORD_BYTES_MAX
            }) {
                bytes += record.name.len() + record.ext.len() + 10;
                some.push(record);
            }
            hits.push(Arc::new(self.hit_with(some, xml)));
        }
        hits
    }

    fn hit_with(&self, records: Vec<Record>, xml: bool) -> QueryHit {
        let mut block = Block::default();
        let firewalled = self.is_firewalled();
        if firewalled && !self.proxies.is_empty() {
            let proxies: Vec<SocketAddrV4> = self.proxies.values().copied().take(4).collect();
            block = block.with("PUSH", super::hosts::pack(&proxies));
        }
        block = block.with("BH", bytes::Bytes::new());
        block = self.with_six(block);
        let at = if self.is_firewalled() { SocketAddrV4::new([0, 0, 0, 0].into(), 0) } else { self.own_or_none() };
        let mut trailer = Trailer::new(VENDOR, firewalled, self.uploads() >= self.config.uploads_max, &block);
        let said = |(place, record): (usize, &Record)| {
            let offer = self.offers.as_ref()?.file(record.index)?;
            Some((Some(place), self.known.audio(offer.share, offer.file)?.fields()))
        };
        let said: Vec<(Option<usize>, Fields)> = if xml { records.iter().enumerate().filter_map(said).collect() } else { Vec::new() };
        if !said.is_empty() {
            trailer = trailer.with_xml(&Fields::write(&said));
        }
        QueryHit { at, speed_kbps: self.config.speed_kbps, records, trailer: Some(trailer), servent: self.guid }
    }

    /// Drops what nobody has claimed.
    pub(crate) fn forget_unclaimed(&mut self, now: Time, out: &mut Out) {
        let before = self.pending.len();
        self.pending.retain(|_, pending| pending.until > now);
        if self.pending.len() < before {
            out.note(Level::Debug, "hits_unclaimed", None, "");
        }
    }
}

/// What a message is an answer to, for those who wait for datagrams.
pub(crate) fn indication(muid: Guid, hits: &[Arc<QueryHit>]) -> Packet {
    let count: usize = hits.iter().map(|hit| hit.records.len()).sum();
    let count = u8::try_from(count).unwrap_or(u8::MAX);
    let vendor = crate::wire::Vendor::new(*b"LIME", 12, 2, bytes::Bytes::copy_from_slice(&[count, 1]));
    Packet::new(muid, 1, Body::Vendor(Box::new(vendor)))
}
