//! From an info hash to a torrent, and giving the info dictionary on.

use hexad_core::{Level, Progress};

use super::bits::Bits;
use super::first_copies::FirstCopies;
use super::geometry::Geometry;
use super::metadata::{BLOCK, Came};
use super::names::Names;
use super::peer::{Early, Peer};
use super::picker::Picker;
use super::{Slot, Swarm, Torrent};
use crate::node::home::{News, Turn};
use crate::wire::metainfo::{Info, Metainfo};
use crate::wire::{Message, MetadataMessage};

impl Swarm {
    /// The torrent is known: by the user, or from peers.
    pub(crate) fn describe(&mut self, metainfo: Metainfo, t: &mut Turn<'_, '_>) {
        if self.torrent.is_some() {
            return;
        }
        self.layers = None;
        self.learn(&Names::of_info(&metainfo.info));
        let geometry = Geometry::of(&metainfo);
        self.picker = Picker::new(geometry.clone(), t.home.config.picking);
        self.picker.set_order(self.order.sequential, &self.order.first, &self.order.last);
        if let Some(times) = &mut self.super_seeding {
            *times = vec![0; geometry.pieces as usize];
        }
        self.have = Bits::new(geometry.pieces);
        self.first_copies = FirstCopies::new(geometry.pieces);
        if let Some(fetch) = self.fetch {
            t.out.report(fetch.op, Progress::Described(Box::new(metainfo.description())));
        }
        let pieces = geometry.pieces;
        self.torrent = Some(Torrent { metainfo, geometry });
        t.home.news.push(News::Described(self.info_hash));
        if self.is_private() {
            let hearsay = self.candidates.forget_hearsay();
            let known = |peer: &Peer| peer.known_as.as_ref().is_some_and(|known_as| hearsay.contains(known_as));
            let slots: Vec<Slot> = self.peers.iter().flatten().filter(|peer| known(peer)).map(|peer| peer.slot).collect();
            for slot in slots {
                self.part(slot, "torrent_private", t);
            }
        }
        let slots: Vec<Slot> = self.peers.iter().flatten().map(|peer| peer.slot).collect();
        for slot in slots {
            self.take_what_was_said_early(slot, pieces, t);
        }
    }

    /// What a peer said it has can be understood.
    fn take_what_was_said_early(&mut self, slot: Slot, pieces: u32, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        peer.bits = Bits::new(pieces);
        let Early { bitfield, all, haves } = std::mem::take(&mut peer.early);
        let bits = match bitfield {
            Some(bytes) => Bits::from_wire(&bytes, pieces),
            None => Some(if all { Bits::full(pieces) } else { Bits::new(pieces) }),
        };
        let Some(mut bits) = bits.filter(|_| haves.iter().all(|&piece| piece < pieces)) else {
            return self.part_for_nonsense(slot, "bitfield_bad", t);
        };
        haves.into_iter().for_each(|piece| {
            bits.set(piece);
        });
        if let Some(peer) = self.peer(slot) {
            peer.suggested.retain(|&piece| piece < pieces);
            peer.allowed.retain(|&piece| piece < pieces);
        }
        self.has_these(slot, bits, t);
    }

    /// Once a second, and when a peer says that it has metadata: asks for what is missing.
    pub(super) fn look_at_metadata(&mut self, t: &mut Turn<'_, '_>) {
        if self.torrent.is_some() || self.layers.is_some() {
            return;
        }
        self.metadata.pass(t.cx.now);
        self.ask_for_metadata(t);
        if self.metadata.is_stuck() {
            self.metadata.begin_anew();
            self.ask_for_metadata(t);
        }
    }

    fn ask_for_metadata(&mut self, t: &mut Turn<'_, '_>) {
        let Self { peers, metadata, .. } = self;
        let mut asked = true;
        // In turns, so that the blocks come from as many as there are.
        while std::mem::take(&mut asked) {
            for peer in peers.iter_mut().flatten().filter(|peer| peer.wants_metadata) {
                let Some(size) = peer.metadata_bytes else { continue };
                if let Some(piece) = metadata.next(peer.slot, size, t.cx.now) {
                    asked = true;
                    peer.say(Message::Metadata(MetadataMessage::Request { piece }), t);
                }
            }
        }
    }

    /// A ut_metadata message.
    pub(super) fn on_metadata(&mut self, slot: Slot, message: MetadataMessage, t: &mut Turn<'_, '_>) {
        match message {
            MetadataMessage::Request { piece } => self.give_metadata(slot, piece, t),
            MetadataMessage::Reject { piece } => {
                self.metadata.rejected(slot, piece, t.cx.now);
                self.ask_for_metadata(t);
            }
            MetadataMessage::Data { piece, total_bytes, data } => {
                if self.torrent.is_some() || self.layers.is_some() {
                    return;
                }
                let Some(giver) = self.peer(slot).map(|peer| peer.giver) else { return };
                match self.metadata.data((slot, giver), piece, total_bytes, data, &self.names) {
                    Came::Unasked => self.nonsense(slot, "metadata_unasked", t),
                    Came::More => self.ask_for_metadata(t),
                    Came::Whole(bytes) => self.on_metadata_whole(bytes, t),
                    Came::Half => {
                        self.give_up("the two info hashes of this link belong to different torrents".into(), t);
                    }
                    Came::Wrong(givers) => {
                        t.out.note(Level::Warn, "metadata_wrong", None, "");
                        if let [giver] = givers.as_slice()
                            && let Some(slot) = self.peers.iter().flatten().find(|peer| peer.giver == *giver).map(|peer| peer.slot)
                        {
                            self.ban(slot, "wrong_metadata", t);
                        }
                        self.ask_for_metadata(t);
                    }
                }
            }
        }
    }

    fn on_metadata_whole(&mut self, bytes: bytes::Bytes, t: &mut Turn<'_, '_>) {
        match Info::parse(bytes) {
            Ok(info) => self.take_info(info, t),
            // It is what the info hash names, so nobody has another.
            Err(wrong) => self.give_up(format!("the torrent of this link cannot be used: {wrong}"), t),
        }
    }

    fn give_metadata(&mut self, slot: Slot, piece: u32, t: &mut Turn<'_, '_>) {
        let Self { peers, torrent, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let peer: &mut Peer = peer;
        let start = u64::from(piece) * u64::from(BLOCK);
        let block = torrent.as_ref().map(|torrent| &torrent.metainfo.info.bytes).filter(|bytes| start < bytes.len() as u64).map(|bytes| {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            (bytes.slice(start..bytes.len().min(start + BLOCK as usize)), bytes.len())
        });
        let answer = match block {
            Some((data, total)) if peer.metadata_credit > 0 && t.cx.room(peer.conn) > 0 => {
                peer.metadata_credit -= 1;
                MetadataMessage::Data { piece, total_bytes: u32::try_from(total).unwrap_or(u32::MAX), data }
            }
            _ => MetadataMessage::Reject { piece },
        };
        peer.say(Message::Metadata(answer), t);
    }
}
