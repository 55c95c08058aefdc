//! The piece layers of a torrent on their way from peers (BEP 52): what a link to version 2 does not bring, and metadata does not hold.
//!
//! Every span is proven by the *pieces root* in the info dictionary, so whoever sends a wrong one is known at once.

use std::sync::Arc;

use hexad_content::{ContentId, PiecesRootHasher, Sha256Digest, TreeProof, layers_above, proves_span};
use hexad_core::{Map, Set, Span, Time};

use super::picker::Slot;
use crate::wire::HashSpan;
use crate::wire::metainfo::Info;

/// Hashes asked for at once (BEP 52 recommends no more).
const SPAN_HASHES: u32 = 512;
/// Spans asked of one peer at a time.
const ASKED_MAX: usize = 4;
/// For one span.
const DEADLINE: Span = Span::from_secs(10);
/// A peer that rejected or did not answer is not asked again for so long.
const PAUSE: Span = Span::from_secs(15);
/// A hybrid can do without: after so long SHA-1 has to do.
const PATIENCE: Span = Span::from_secs(15);

/// What came of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was not asked for.
    Unasked,
    /// It is not what the root says.
    Wrong,
    /// More is to come.
    More,
    /// All layers are there.
    Whole,
}

/// One file's layer.
#[derive(Debug)]
struct Layer {
    content: ContentId,
    /// Hashes of a span.
    length: u32,
    hashes: Vec<Sha256Digest>,
    /// Spans that have not come.
    missing: Set<u32>,
}

/// The layers under way.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) info: Info,
    base_layer: u8,
    layers: Vec<Layer>,
    /// Which layer is a root's.
    by_root: Map<Sha256Digest, usize>,
    /// The spans of layers, by the first hash, that somebody was asked for.
    asked: Map<(usize, u32), (Slot, Time)>,
    paused: Map<Slot, Time>,
    began: Time,
}

impl Layers {
    /// Nothing has come.
    pub(crate) fn new(info: Info, now: Time) -> Self {
        let (mut layers, mut by_root) = (Vec::new(), Map::new());
        for content in info.layered() {
            let parts = u32::try_from(content.size.div_ceil(info.piece_bytes)).unwrap_or(u32::MAX);
            let length = parts.next_power_of_two().clamp(2, SPAN_HASHES);
            // The same file twice in a torrent has one layer.
            by_root.entry(content.root).or_insert_with(|| {
                let missing = (0..parts.div_ceil(length)).collect();
                layers.push(Layer { content, length, hashes: vec![Sha256Digest([0; 32]); parts as usize], missing });
                layers.len() - 1
            });
        }
        let base_layer = u8::try_from((info.piece_bytes / PiecesRootHasher::LEAF_BYTES as u64).max(1).ilog2()).unwrap_or(u8::MAX);
        Self { info, base_layer, layers, by_root, asked: Map::new(), paused: Map::new(), began: now }
    }

    /// Whether there is nothing to be fetched.
    pub(crate) fn is_whole(&self) -> bool {
        self.layers.iter().all(|layer| layer.missing.is_empty())
    }

    /// Whether SHA-1 has to do: of a hybrid whose peers do not tell.
    pub(crate) fn is_given_up(&self, now: Time) -> bool {
        self.info.version.has_v1() && now.since(self.began) >= PATIENCE
    }

    fn spell(&self, layer: usize, number: u32) -> HashSpan {
        let Layer { content, length, .. } = &self.layers[layer];
        let height = layers_above(content.size, self.info.piece_bytes);
        HashSpan {
            root: content.root,
            base_layer: self.base_layer,
            index: number * length,
            length: *length,
            proof_layers: u8::try_from(height.saturating_sub(1)).unwrap_or(u8::MAX),
        }
    }

    /// The next span to ask that peer for.
    pub(crate) fn next(&mut self, slot: Slot, now: Time) -> Option<HashSpan> {
        let busy = self.asked.values().filter(|(other, _)| *other == slot).count() >= ASKED_MAX;
        if busy || self.paused.get(&slot).is_some_and(|until| *until > now) {
            return None;
        }
        let free = |(place, layer): (usize, &Layer)| {
            layer.missing.iter().find(|&&number| !self.asked.contains_key(&(place, number))).map(|&number| (place, number))
        };
        let (layer, number) = self.layers.iter().enumerate().find_map(free)?;
        self.asked.insert((layer, number), (slot, now));
        Some(self.spell(layer, number))
    }

    /// Which span of which layer that is, when it was asked of that peer.
    fn asked_of(&self, slot: Slot, span: &HashSpan) -> Option<(usize, u32)> {
        let layer = *self.by_root.get(&span.root)?;
        let number = span.index / self.layers[layer].length;
        let asked = self.asked.get(&(layer, number)).is_some_and(|(other, _)| *other == slot);
        (asked && self.spell(layer, number) == *span).then_some((layer, number))
    }

    /// Hashes came.
    pub(crate) fn came(&mut self, slot: Slot, span: &HashSpan, hashes: &[Sha256Digest]) -> Came {
        let Some((place, number)) = self.asked_of(slot, span) else { return Came::Unasked };
        self.asked.remove(&(place, number));
        let layer = &mut self.layers[place];
        if !proves_span(layer.content, self.info.piece_bytes, span.index.into(), span.length.into(), hashes) {
            return Came::Wrong;
        }
        let room = layer.hashes.iter_mut().skip(span.index as usize).take(span.length as usize);
        room.zip(hashes).for_each(|(place, hash)| *place = *hash);
        layer.missing.remove(&number);
        if self.is_whole() { Came::Whole } else { Came::More }
    }

    /// The trees, once all layers are there; `None` when they cannot be trees.
    pub(crate) fn trees(&self) -> Option<Arc<[TreeProof]>> {
        let layer = |content: &ContentId| self.by_root.get(&content.root).map(|&layer| self.layers[layer].hashes.as_slice().into());
        self.info.trees(layer).ok()
    }

    /// A peer does not give a span; whether it was asked for it.
    pub(crate) fn rejected(&mut self, slot: Slot, span: &HashSpan, now: Time) -> bool {
        let asked = self.asked_of(slot, span).is_some();
        if asked {
            self.gone(slot);
            self.paused.insert(slot, now + PAUSE);
        }
        asked
    }

    /// Nothing is to be expected of a peer any more.
    pub(crate) fn gone(&mut self, slot: Slot) {
        self.paused.remove(&slot);
        self.asked.retain(|_, (other, _)| *other != slot);
    }

    /// Gives up on those who do not answer.
    pub(crate) fn pass(&mut self, now: Time) {
        let late: Vec<Slot> = self.asked.values().filter(|(_, since)| now.since(*since) >= DEADLINE).map(|(slot, _)| *slot).collect();
        for slot in late {
            self.gone(slot);
            self.paused.insert(slot, now + PAUSE);
        }
    }
}
