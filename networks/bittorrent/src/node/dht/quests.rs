//! Values that we look for in the DHT, and that we have others store. BEP 44.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{Dice, Set, Span};

use super::items::target_of;
use super::resting::Resting;
use crate::wire::KrpcMore;
use crate::wire::bloom::Filter;
use crate::wire::stored::{Signed, immutable_target, mutable_target};

/// Between two looks at a value that is followed: nodes forget it after two hours, and BEP 44 has it stored again every hour.
const KEEPING_INTERVAL: Span = Span::from_secs(3600);

/// Torrents that are taken in of one corner of the DHT.
const SAMPLES_MAX: usize = 2000;

/// By what a stored value is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemName {
    /// Its hash: it cannot be changed.
    Hash([u8; 20]),
    /// Its owner's public key, and a salt, which is mostly empty.
    Owner([u8; 32], Bytes),
}

impl ItemName {
    /// Near which nodes it is stored.
    #[must_use]
    pub fn target(&self) -> [u8; 20] {
        match self {
            Self::Hash(hash) => *hash,
            Self::Owner(key, salt) => mutable_target(key, salt),
        }
    }
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// Bencoded; of 1,000 bytes at most.
    pub value: Bytes,
    /// Its owner's word for it, where it can be changed.
    pub signed: Option<Box<Signed>>,
}

impl StoredItem {
    /// Near which nodes it is stored.
    #[must_use]
    pub fn target(&self) -> [u8; 20] {
        target_of(&self.value, self.signed.as_deref())
    }

    /// Whether it may stand under that name: it is what the hash says, or its owner's word holds.
    #[must_use]
    pub fn is(&self, name: &ItemName) -> bool {
        let proven = self.signed.as_ref().is_none_or(|signed| signed.holds(&self.value));
        proven && self.signed.is_some() == matches!(name, ItemName::Owner(..)) && self.target() == name.target()
    }

    /// Whether it takes the place of what is known.
    fn is_newer_than(&self, known: Option<&Self>) -> bool {
        let seq = |item: &Self| item.signed.as_ref().map(|signed| signed.seq);
        known.is_none_or(|known| seq(self) > seq(known))
    }
}

/// A value that is followed.
#[derive(Debug)]
pub(in crate::node) struct Keeping {
    pub name: ItemName,
    /// The newest that is known.
    newest: Option<StoredItem>,
    resting: Resting,
}

impl Keeping {
    /// Follows `name`, of which that is known.
    pub fn of(name: ItemName, known: Option<StoredItem>) -> Self {
        Self { name, newest: known, resting: Resting::default() }
    }

    /// It was looked up; returns whether what was found is news.
    pub fn found(&mut self, item: Option<StoredItem>) -> bool {
        let news = item.filter(|item| item.is_newer_than(self.newest.as_ref()));
        let is_news = news.is_some();
        self.newest = news.or(self.newest.take());
        is_news
    }

    /// The newest that is known.
    pub const fn newest(&self) -> Option<&StoredItem> {
        self.newest.as_ref()
    }

    /// So many nodes were told to store it; returns how long it rests then.
    pub fn rest(&mut self, told: usize, dice: &mut Dice) -> Span {
        self.resting.after(told, KEEPING_INTERVAL, dice)
    }
}

/// Who is in a swarm, as nodes tell it without naming anybody. BEP 33.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// How many nodes have told something.
    pub nodes: usize,
    /// Those that have everything.
    pub seeds: Filter,
    /// The others.
    pub leechers: Filter,
}

impl Census {
    /// Takes in what one node tells. A filter without a zero says nothing, and would hide all that others say.
    pub(super) fn hear(&mut self, (seeds, leechers): &(Filter, Filter)) {
        if seeds.is_full() || leechers.is_full() {
            return;
        }
        self.nodes += 1;
        self.seeds.merge(seeds);
        self.leechers.merge(leechers);
    }
}

/// Torrents that nodes know, in one walk through the DHT. BEP 51.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The torrents.
    pub found: Set<[u8; 20]>,
    /// Who was asked: for hours he would say the same.
    pub asked: Set<SocketAddr>,
}

/// What is wanted.
#[derive(Debug)]
pub(super) enum Quest {
    /// To know it; the newest that was found so far.
    Get(ItemName, Option<StoredItem>),
    /// To know who is in the swarm of that torrent.
    Scrape([u8; 20], Box<Census>),
    /// To know torrents that nodes on the way there know.
    Sample([u8; 20], Box<Walk>),
    /// To have it stored, where this is stored, if that is said.
    Put(StoredItem, Option<i64>),
}

impl Quest {
    pub fn target(&self) -> [u8; 20] {
        match self {
            Self::Get(name, _) => name.target(),
            Self::Put(item, _) => item.target(),
            Self::Scrape(target, _) | Self::Sample(target, _) => *target,
        }
    }

    /// Whether that node is asked for the first time, of what it is asked once only.
    pub fn is_first_at(&mut self, node: SocketAddr) -> bool {
        if let Self::Sample(_, walk) = self { walk.asked.insert(node) } else { true }
    }

    /// What of it is known already, of what can be changed.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Self::Get(_, best) => best.as_ref()?.signed.as_ref().map(|signed| signed.seq),
            Self::Put(..) | Self::Scrape(..) | Self::Sample(..) => None,
        }
    }

    /// Takes in what a node says of it. What is not proven is passed over.
    pub fn hear(&mut self, more: &KrpcMore) {
        let (name, best, value) = match (self, more) {
            (Self::Get(name, best), KrpcMore { value: Some(value), .. }) => (name, best, value),
            (Self::Scrape(_, census), KrpcMore { scrape: Some(scrape), .. }) => return census.hear(scrape),
            (Self::Sample(_, walk), KrpcMore { samples: Some(samples), .. }) => {
                let room = SAMPLES_MAX.saturating_sub(walk.found.len());
                return walk.found.extend(samples.info_hashes.iter().take(room));
            }
            _ => return,
        };
        match name {
            ItemName::Hash(hash) => {
                if best.is_none() && immutable_target(value) == *hash {
                    *best = Some(StoredItem { value: value.clone(), signed: None });
                }
            }
            ItemName::Owner(owner, salt) => {
                let (Some((key, signature)), Some(seq)) = (more.signed.as_deref(), more.seq) else { return };
                let known = best.as_ref().and_then(|best| best.signed.as_ref()).map(|signed| signed.seq);
                // Looked at first, for a signature costs more.
                if *key != *owner || known.is_some_and(|known| seq <= known) {
                    return;
                }
                let signed = Signed { key: *key, salt: salt.clone(), seq, signature: *signature };
                if signed.holds(value) {
                    *best = Some(StoredItem { value: value.clone(), signed: Some(Box::new(signed)) });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(seq: i64, value: &'static [u8]) -> KrpcMore {
        let signed = Signed::new(&[3; 32], Bytes::new(), seq, value);
        KrpcMore {
            value: Some(Bytes::from_static(value)),
            seq: Some(seq),
            signed: Some(Box::new((signed.key, signed.signature))),
            ..KrpcMore::default()
        }
    }

    fn best(quest: &Quest) -> Option<&[u8]> {
        match quest {
            Quest::Get(_, best) => best.as_ref().map(|best| &best.value[..]),
            _ => None,
        }
    }

    #[test]
    fn the_newest_that_its_owner_has_signed_is_believed() {
        let owner = Signed::new(&[3; 32], Bytes::new(), 0, b"").key;
        let mut quest = Quest::Get(ItemName::Owner(owner, Bytes::new()), None);
        quest.hear(&KrpcMore { signed: None, ..said(9, b"i9e") });
        quest.hear(&KrpcMore { seq: Some(8), ..said(7, b"i9e") });
        quest.hear(&KrpcMore { value: Some(Bytes::from_static(b"i8e")), ..said(7, b"i9e") });
        let stranger = Signed::new(&[4; 32], Bytes::new(), 7, b"i9e");
        quest.hear(&KrpcMore { signed: Some(Box::new((stranger.key, stranger.signature))), ..said(7, b"i9e") });
        assert_eq!((best(&quest), quest.seq()), (None, None));
        for (seq, value, newest) in [(2, &b"i2e"[..], &b"i2e"[..]), (5, b"i5e", b"i5e"), (4, b"i4e", b"i5e")] {
            quest.hear(&said(seq, value));
            assert_eq!(best(&quest), Some(newest));
        }
        assert_eq!(quest.seq(), Some(5));
    }

    #[test]
    fn a_value_without_an_owner_is_what_its_hash_says() {
        let mut quest = Quest::Get(ItemName::Hash(immutable_target(b"i1e")), None);
        quest.hear(&said(1, b"i2e"));
        assert_eq!(best(&quest), None);
        quest.hear(&said(1, b"i1e"));
        assert_eq!(best(&quest), Some(&b"i1e"[..]));
    }
}
