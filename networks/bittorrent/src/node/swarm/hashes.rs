//! Hashes of trees, asked of peers and given to them: messages 21 to 23 (BEP 52).

use hexad_content::{PiecesRootHasher, Sha256Digest, TreeLayers};
use hexad_core::{Failure, Level, Map, Progress};

use super::layers::{Came, Layers};
use super::names::Names;
use super::{Slot, Swarm};
use crate::node::home::{News, Turn};
use crate::wire::metainfo::{Info, Metainfo};
use crate::wire::{HashSpan, Message};

/// Peers who are dialled anew by the name of version 2.
const ANEW_MAX: usize = 4;
/// Trees whose inner nodes are kept for those who ask; the one asked for longest ago leaves.
const TREES_MAX: usize = 8;

/// Inner nodes of trees that peers have asked about.
#[derive(Debug, Default)]
pub(super) struct Trees {
    known: Map<Sha256Digest, (u64, TreeLayers)>,
    asked: u64,
}

impl Trees {
    pub(super) fn of(&mut self, root: Sha256Digest, make: impl FnOnce() -> Option<TreeLayers>) -> Option<&TreeLayers> {
        self.asked += 1;
        if !self.known.contains_key(&root) {
            let layers = make()?;
            if self.known.len() >= TREES_MAX
                && let Some(oldest) = self.known.iter().min_by_key(|(_, (asked, _))| *asked).map(|(root, _)| *root)
            {
                self.known.remove(&oldest);
            }
            self.known.insert(root, (0, layers));
        }
        let (asked, layers) = self.known.get_mut(&root)?;
        *asked = self.asked;
        Some(layers)
    }
}

impl Swarm {
    /// Whether we can speak version 2 about it: tell and hear hashes.
    pub(super) fn speaks_v2(&self) -> bool {
        match &self.torrent {
            Some(torrent) => torrent.metainfo.trees().is_some(),
            None => self.names.v2.is_some(),
        }
    }

    /// An info dictionary is there, and what it was asked for by is right; what of it is not in there is fetched first.
    pub(super) fn take_info(&mut self, info: Info, t: &mut Turn<'_, '_>) {
        let layers = Layers::new(info, t.cx.now);
        if layers.is_whole() {
            return self.take_layers(&layers, t);
        }
        // A hybrid that was found by SHA-1 is known to go by the other name only now.
        self.learn(&Names::of_info(&layers.info));
        let asks = !layers.info.version.has_v1() || self.peers.iter().flatten().any(|peer| peer.v2) || self.meet_by_v2(t);
        if asks {
            self.layers = Some(Box::new(layers));
            return self.look_at_layers(t);
        }
        self.take_layers(&layers, t);
    }

    /// Dials peers anew by the name of version 2 who say that they speak it: only a handshake can agree on that (BEP 52, *upgrade path*). False when
    /// there are none.
    fn meet_by_v2(&mut self, t: &mut Turn<'_, '_>) -> bool {
        let Some(short) = self.names.v2_short() else { return false };
        let offers = self.peers.iter().flatten().filter(|peer| peer.offers_v2 && !peer.v2);
        let anew: Vec<_> = offers.filter_map(|peer| Some((peer.slot, peer.known_as.clone()?, peer.obfuscated))).take(ANEW_MAX).collect();
        for (slot, known_as, obfuscated) in &anew {
            self.part(*slot, "upgrades_to_v2", t);
            let manner = t.home.config.encryption.manner(!obfuscated);
            self.open(known_as.clone(), manner, short, false, t);
        }
        !anew.is_empty()
    }

    /// Once a second, and when an answer came: asks for what is missing.
    pub(super) fn look_at_layers(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let Some(layers) = &mut self.layers else { return };
        layers.pass(now);
        if layers.is_given_up(now) {
            return self.end_layers(t);
        }
        let mut asked = true;
        while std::mem::take(&mut asked) {
            for peer in self.peers.iter_mut().flatten().filter(|peer| peer.v2) {
                if let Some(span) = layers.next(peer.slot, now) {
                    asked = true;
                    peer.say(Message::HashRequest(Box::new(span)), t);
                }
            }
        }
    }

    fn end_layers(&mut self, t: &mut Turn<'_, '_>) {
        if let Some(layers) = self.layers.take() {
            self.take_layers(&layers, t);
        }
    }

    /// Describes the torrent by what has come.
    fn take_layers(&mut self, layers: &Layers, t: &mut Turn<'_, '_>) {
        let trees = if layers.is_whole() { layers.trees() } else { None };
        match Metainfo::of_info(layers.info.clone(), trees, self.tiers.clone(), self.web_seeds.clone()) {
            Ok(metainfo) => self.describe(metainfo, t),
            Err(wrong) => self.give_up(format!("the torrent of this link cannot be used: {wrong}"), t),
        }
    }

    /// What this link names cannot be had from anybody.
    pub(super) fn give_up(&mut self, why: String, t: &mut Turn<'_, '_>) {
        if let Some(fetch) = self.fetch.as_mut().filter(|fetch| !fetch.done) {
            fetch.done = true;
            t.out.report(fetch.op, Progress::Failed(Failure::Unusable(why)));
            t.home.news.push(News::FetchOver(self.info_hash));
        }
    }

    pub(super) fn on_hashes(&mut self, slot: Slot, span: &HashSpan, hashes: &[Sha256Digest], t: &mut Turn<'_, '_>) {
        if self.on_doubt_told(slot, span, hashes, t) {
            return;
        }
        match self.layers.as_mut().map_or(Came::Unasked, |layers| layers.came(slot, span, hashes)) {
            Came::Unasked => self.nonsense(slot, "hashes_unasked", t),
            Came::Wrong => {
                self.ban(slot, "wrong_hashes", t);
                self.look_at_layers(t);
            }
            Came::More => self.look_at_layers(t),
            Came::Whole => self.end_layers(t),
        }
    }

    pub(super) fn on_hash_reject(&mut self, slot: Slot, span: &HashSpan, t: &mut Turn<'_, '_>) {
        if self.on_doubt_rejected(slot, span, t) {
            return;
        }
        let now = t.cx.now;
        let asked = self.layers.as_mut().is_some_and(|layers| layers.rejected(slot, span, now));
        if asked {
            self.look_at_layers(t);
        } else {
            self.nonsense(slot, "hash_reject_unasked", t);
        }
    }

    /// Somebody asks for hashes. Those below the piece layer are read from the disk.
    pub(super) fn on_hash_request(&mut self, slot: Slot, span: &HashSpan, t: &mut Turn<'_, '_>) {
        let Some(peer) = self.peer(slot) else { return };
        let flood = peer.hash_credit == 0;
        let welcome = !flood && t.cx.room(peer.conn) > 0;
        peer.hash_credit = peer.hash_credit.saturating_sub(1);
        let piece_bytes = self.metainfo().map_or(0, |metainfo| metainfo.info.piece_bytes);
        let piece_layer = (piece_bytes / PiecesRootHasher::LEAF_BYTES as u64).max(1).ilog2();
        let layer = u32::from(span.base_layer).checked_sub(piece_layer);
        if welcome && layer.is_none() && self.on_leaf_request(slot, span, t) {
            return;
        }
        let Self { torrent, trees, peers, .. } = self;
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let answer = torrent.as_ref().filter(|_| welcome).zip(layer).and_then(|(torrent, layer)| {
            let known = torrent.metainfo.trees()?;
            let tree = || known.iter().find(|tree| tree.content().root == span.root).map(TreeLayers::of);
            trees.of(span.root, tree)?.span(layer, span.index.into(), span.length.into(), span.proof_layers.into())
        });
        let span = Box::new(span.clone());
        match answer {
            Some(hashes) => peer.say(Message::Hashes(span, hashes), t),
            None => {
                t.out.note(Level::Debug, "hashes_refused", Some(peer.remote.clone()), format!("layer {}", span.base_layer));
                peer.say(Message::HashReject(span), t);
            }
        }
        if flood {
            self.nonsense(slot, "hash_request_flood", t);
        }
    }
}
