//! Tables of words (QRP, spec §7): ours to ultrapeers, and those of leaves and ultrapeers to us.

use std::sync::Arc;

use hexad_content::Digests;
use hexad_core::{ConnId, Context};

use super::settings::Kind;
use super::{Node, Out};
use crate::wire::qrp::{Receiver, Table, hash};
use crate::wire::{Body, Fields, Guid, Packet, Qrp, Query, urn_of};

/// Slots of the smallest table with anything in it, and of the largest one that is sent.
const SLOTS: std::ops::RangeInclusive<u32> = 1 << 14..=1 << 20;
/// The largest one between ultrapeers.
const ULTRAPEER_SLOTS_MAX: u32 = 1 << 17;
/// Words of one query that are looked up.
const WORDS_MAX: usize = 32;
/// A table that is fuller than this (percent) has lost its meaning and is not believed.
const FULL_PERCENT_MAX: u64 = 60;

/// What of a query can be looked up in tables; made once, used for every neighbour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    words: Vec<u32>,
    urns: Vec<u32>,
}

impl Keys {
    pub(crate) fn of(query: &Query, digests: &Digests) -> Self {
        let mut keys = Self::default();
        hexad_catalogue::words_of(query.text.as_bytes(), |word| {
            keys.words.push(hash(word));
            keys.words.len() < WORDS_MAX
        });
        // What a structured query asks for in words is looked up like its text.
        if let Some(wish) = (!query.ext.is_empty()).then(|| Fields::wanted(&query.extensions())).flatten() {
            hexad_catalogue::words_of(wish.words().as_bytes(), |word| {
                keys.words.push(hash(word));
                keys.words.len() < WORDS_MAX
            });
        }
        keys.urns.extend(digests.iter().map(|digest| hash(&urn_of(digest))));
        keys
    }

    /// Whether somebody with that table may have what is asked for.
    pub(crate) fn fit(&self, table: &Table) -> bool {
        if u64::from(table.filled()) * 100 > u64::from(table.slots()) * FULL_PERCENT_MAX {
            return true;
        }
        if self.urns.iter().any(|&hash| table.may_have(hash)) {
            return true;
        }
        let found = self.words.iter().filter(|&&hash| table.may_have(hash)).count();
        match self.words.len() {
            0 => false,
            words @ 1..=2 => found == words,
            // Two thirds are enough: names are spelt in many ways.
            words => found * 3 >= words * 2,
        }
    }
}

impl Node {
    /// The table of what we offer, and what our leaves do.
    fn own_table(&self) -> Table {
        let hashes = self.offers.as_ref().map(|offers| offers.hashes());
        let count = hashes.map_or(0, |hashes| hashes.len());
        let leaves: Vec<&Table> = if self.kind == Kind::Ultrapeer {
            self.links.of(Kind::Leaf).filter_map(|(_, leaf)| leaf.receiver.as_ref().and_then(|receiver| receiver.table())).collect()
        } else {
            Vec::new()
        };
        let filled = count as u64 + leaves.iter().map(|table| u64::from(table.filled())).sum::<u64>();
        if filled == 0 {
            return Table::new(8);
        }
        // One slot in fifty at most is filled, so that few queries come in vain.
        let max = if self.kind == Kind::Ultrapeer { ULTRAPEER_SLOTS_MAX } else { *SLOTS.end() };
        let slots = u32::try_from((filled * 50).next_power_of_two()).unwrap_or(u32::MAX).clamp(*SLOTS.start(), max);
        let mut table = Table::new(slots);
        if let Some(hashes) = hashes {
            hashes.keys().for_each(|&hash| table.insert(hash));
        }
        leaves.iter().for_each(|leaf| table.insert_all(leaf));
        table
    }

    /// Whether somebody is an ultrapeer that reads tables of ours, at this moment.
    fn reads_tables(&self, conn: ConnId) -> bool {
        self.links.get(conn).is_some_and(|neighbour| {
            let reads = self.kind != Kind::Ultrapeer || neighbour.skills.ultrapeer_qrp;
            neighbour.is_up() && neighbour.kind == Kind::Ultrapeer && reads && neighbour.backlog.is_none()
        })
    }

    /// Sends an ultrapeer what it does not know of our table.
    pub(crate) fn send_table(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        self.send_table_to(&[conn], cx, out);
    }

    fn send_table_to(&mut self, conns: &[ConnId], cx: &mut Context<'_>, out: &mut Out) {
        let readers: Vec<ConnId> = conns.iter().copied().filter(|&conn| self.reads_tables(conn)).collect();
        if readers.is_empty() {
            return;
        }
        let table = Arc::new(self.own_table());
        for conn in readers {
            let Some(neighbour) = self.links.get_mut(conn) else { continue };
            let before = neighbour.sent_table.replace(table.clone());
            for message in table.messages(before.as_deref()) {
                let muid = Guid::fresh(cx.dice);
                self.say(conn, Packet::new(muid, 1, Body::Qrp(Box::new(message))), cx, out);
            }
        }
    }

    /// Sends tables where something has changed.
    pub(crate) fn refresh_tables(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        if !std::mem::take(&mut self.tables_stale) || self.kind == Kind::Flat {
            return;
        }
        let conns: Vec<ConnId> = self.links.of(Kind::Ultrapeer).map(|(conn, _)| conn).collect();
        self.send_table_to(&conns, cx, out);
    }

    pub(crate) fn on_qrp(&mut self, conn: ConnId, message: &Qrp, cx: &mut Context<'_>, out: &mut Out) {
        if self.kind != Kind::Ultrapeer {
            return self.on_weird(conn, "table_for_nobody", cx, out);
        }
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        let receiver: &mut Receiver = neighbour.receiver.get_or_insert_default();
        match receiver.take(message) {
            Ok(changed) => {
                if changed && neighbour.kind == Kind::Leaf {
                    self.tables_changed(cx, out);
                }
            }
            Err(wrong) => {
                out.note(hexad_core::Level::Drop, "table_unreadable", Some(neighbour.peer.clone()), wrong.to_string());
                self.send_away(conn, 413, "Improper query routing", cx, out);
            }
        }
    }
}
