//! What we offer: every file of every share that is published, found by words and by names of content.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::ops::Range;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use hexad_catalogue::{Catalogue, NewFile, OwnerId, words_of};
use hexad_content::{Digest, Digests, Ranges, Shape, sha1_lanes::sha1_one};
use hexad_core::{Context, Failure, Map, OpId, Progress, Share, ShareId};

use super::known::Known;
use super::{Node, Out, failed};
use crate::wire::ggep::{self, Block};
use crate::wire::qrp::hash;
use crate::wire::{Extensions, Record, digests_of, urn_of};

/// Names of one file that go into a hit.
const NAMES_MAX: usize = 3;

/// Words of a text that are looked at.
const WORDS_MAX: usize = 32;

/// Others who have a share and are remembered.
const ALTERNATES_MAX: usize = 20;

/// One file that we offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) share: ShareId,
    pub(crate) file: usize,
    pub(crate) size_bytes: u64,
    /// Path below the share, with the folder's name first.
    pub(crate) name: String,
    /// By what the index has it: the name, and the words of its tags.
    indexed: String,
}

/// A share that is published.
#[derive(Debug)]
struct Published {
    op: OpId,
    token: String,
    digests: Digests,
    /// Numbers of its files; none before it is complete.
    files: Vec<u32>,
    /// What has come since the share was put in the snapshot.
    gained: Ranges,
    /// Others who have it or a part of it, by their own account; the latest last.
    alternates: VecDeque<SocketAddrV4>,
}

/// All that we offer.
#[derive(Debug)]
pub(crate) struct Offers {
    catalogue: Catalogue,
    owner: Option<OwnerId>,
    by_path: Map<String, u32>,
    files: Map<u32, Offer>,
    published: Map<ShareId, Published>,
    /// Hashes of words and urns, for tables; how often each occurs.
    hashes: Map<u32, u32>,
    /// A bit for each word that a name has or had: most queries are for none of them, and that costs one look so.
    bits: u64,
    last: u32,
    bytes: u64,
}

/// The name by which programs like ours ask each other for a share: the urn of what proves it best, or of its description.
#[must_use]
pub fn token_of(share: &Share) -> String {
    let single = share.layout.files().len() == 1;
    let rank = |digest: &&Digest| match digest {
        Digest::Content(_) if single => 0,
        Digest::TorrentV2(_) => 1,
        Digest::TorrentV1(_) => 2,
        Digest::Sha1(_) if single => 3,
        Digest::Sha256(_) if single => 4,
        _ => 9,
    };
    match share.digests.iter().min_by_key(rank).filter(|digest| rank(digest) < 9) {
        Some(digest) => urn_of(digest),
        None => format!("urn:hexad-shape:{}", BASE32_NOPAD.encode(&sha1_one(&shape_of(share).write()).0)),
    }
}

/// SHA-1 and Tiger root as one name; `None` where one of them is not known. Whoever knows no trees reads the SHA-1 of it (HUGE).
pub(crate) fn bitprint_of(digests: &Digests) -> Option<String> {
    let sha1 = digests.iter().find_map(|digest| if let Digest::Sha1(hash) = digest { Some(hash.0) } else { None })?;
    let tiger = digests.iter().find_map(|digest| if let Digest::TigerTree(root) = digest { Some(*root) } else { None })?;
    Some(format!("urn:bitprint:{}.{}", BASE32_NOPAD.encode(&sha1), BASE32_NOPAD.encode(&tiger)))
}

/// The description of a share.
pub(crate) fn shape_of(share: &Share) -> Shape {
    Shape { layout: share.layout.clone(), proof: share.proof.clone(), digests: share.digests.clone() }
}

/// A torrent that must not leave BitTorrent (BEP 27).
fn is_private(torrent: &Bytes) -> bool {
    torrent.windows(12).any(|window| window == b"7:privatei1e")
}

/// A bit for each of the first words of a text.
fn bits_of(text: &str, words_max: usize) -> u64 {
    let (mut bits, mut count) = (0, 0);
    words_of(text.as_bytes(), |word| {
        bits |= 1 << (hash(word) >> 26);
        count += 1;
        count < words_max
    });
    bits
}

impl Offers {
    fn new(config: hexad_catalogue::Config) -> Self {
        let mut catalogue = Catalogue::new(config);
        let owner = catalogue.add_owner();
        Self {
            catalogue,
            owner,
            by_path: Map::new(),
            files: Map::new(),
            published: Map::new(),
            hashes: Map::new(),
            bits: 0,
            last: 0,
            bytes: 0,
        }
    }

    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.bytes
    }

    /// Hashes of all words and urns.
    pub(crate) fn hashes(&self) -> &Map<u32, u32> {
        &self.hashes
    }

    pub(crate) fn file(&self, index: u32) -> Option<&Offer> {
        self.files.get(&index)
    }

    /// The files that were offered last.
    pub(crate) fn newest(&self, count: usize) -> Vec<u32> {
        self.files.keys().rev().take(count).copied().collect()
    }

    /// Every file, in the order of numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.files.keys().copied()
    }

    fn count_hashes(hashes: &mut Map<u32, u32>, name: &str, digests: &Digests, add: bool) {
        let mut count = |hash: u32| {
            let times = hashes.entry(hash).or_insert(0);
            *times = if add { *times + 1 } else { times.saturating_sub(1) };
            if *times == 0 {
                hashes.remove(&hash);
            }
        };
        words_of(name.as_bytes(), |word| {
            count(hash(word));
            true
        });
        digests.iter().for_each(|digest| count(hash(&urn_of(digest))));
    }

    fn add(&mut self, op: OpId, id: ShareId, share: &Share, known: &Known) {
        let published = Published {
            op,
            token: token_of(share),
            digests: share.digests.clone(),
            files: Vec::new(),
            gained: Ranges::new(),
            alternates: VecDeque::new(),
        };
        self.published.insert(id, published);
        if share.held.covers(0..share.layout.total_bytes()) {
            self.list(id, share, known);
        }
    }

    /// Lets a complete share be found.
    fn list(&mut self, id: ShareId, share: &Share, known: &Known) {
        let (Some(owner), Some(published)) = (self.owner, self.published.get_mut(&id)) else { return };
        let single = share.layout.is_single();
        for (file, entry) in share.layout.files().iter().enumerate().filter(|(_, entry)| !entry.padding) {
            let below = entry.path.join("/");
            let plain = if single { share.layout.name().to_owned() } else { format!("{}/{below}", share.layout.name()) };
            // Names in a message end with a NUL.
            let plain = plain.replace('\0', "_");
            let numbered = (1_u32..).map(|number| if number == 1 { plain.clone() } else { format!("{number}/{plain}") });
            let Some(name) = numbered.take(1000).find(|name| !self.by_path.contains_key(name)) else { continue };
            let tags = known.words(id, file);
            let indexed = if tags.is_empty() { name.clone() } else { format!("{name}\0{tags}") };
            let new = NewFile { path: indexed.as_bytes(), size_bytes: entry.length, ..NewFile::default() };
            if self.catalogue.add(owner, &new).is_err() {
                continue;
            }
            self.last += 1;
            Self::count_hashes(&mut self.hashes, &indexed, &published.digests, true);
            self.bits |= bits_of(&indexed, usize::MAX);
            self.by_path.insert(name.clone(), self.last);
            self.files.insert(self.last, Offer { share: id, file, size_bytes: entry.length, name, indexed });
            self.bytes += entry.length;
            published.files.push(self.last);
        }
    }

    fn remove(&mut self, op: OpId) -> Option<ShareId> {
        let id = self.published.iter().find(|(_, published)| published.op == op).map(|(&id, _)| id)?;
        let published = self.published.remove(&id)?;
        for index in published.files {
            let Some(offer) = self.files.remove(&index) else { continue };
            self.by_path.remove(&offer.name);
            self.bytes -= offer.size_bytes;
            Self::count_hashes(&mut self.hashes, &offer.indexed, &published.digests, false);
            if let Some(owner) = self.owner {
                self.catalogue.remove(owner, offer.indexed.as_bytes());
            }
        }
        Some(id)
    }

    /// Files that have all these words, or belong to content of one of these names.
    pub(crate) fn matching(&self, text: &str, digests: &Digests, fuzzy: bool, wanted: usize) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::new();
        let named = digests.iter().next().is_some();
        if !named && !fuzzy && bits_of(text, WORDS_MAX) & !self.bits != 0 {
            return found;
        }
        for published in self.published.values().filter(|_| named) {
            if digests.iter().any(|digest| published.digests.contains(digest)) {
                found.extend(published.files.iter().take(wanted.saturating_sub(found.len())));
            }
        }
        let mut words = Vec::new();
        words_of(text.as_bytes(), |word| {
            words.push(word.to_owned());
            words.len() < WORDS_MAX
        });
        if !words.is_empty() && found.len() < wanted {
            let query = hexad_catalogue::Query { words, fuzzy, wanted: wanted - found.len(), ..hexad_catalogue::Query::default() };
            self.catalogue.search(&query, |_, file| {
                let path = file.path();
                let name = path.split(|&byte| byte == 0).next().unwrap_or_default();
                let index = std::str::from_utf8(name).ok().and_then(|name| self.by_path.get(name).copied());
                let fresh = index.filter(|index| !found.contains(index));
                found.extend(fresh);
                fresh.is_some()
            });
        }
        found
    }

    /// A file as it stands in a hit.
    pub(crate) fn record(&self, index: u32) -> Option<Record> {
        let offer = self.files.get(&index)?;
        let published = self.published.get(&offer.share)?;
        let mut extensions = Extensions::default();
        let mut block = Block::default();
        let token = published.token.clone();
        let bitprint = bitprint_of(&published.digests);
        extensions.urns.extend(bitprint.clone());
        let told = |digest: &&Digest| bitprint.is_some() && matches!(digest, Digest::Sha1(_) | Digest::TigerTree(_));
        for digest in published.digests.iter().filter(|digest| !told(digest)).take(NAMES_MAX) {
            let urn = urn_of(digest);
            if matches!(digest, Digest::Sha1(_)) {
                // Everybody reads this one as text.
                extensions.urns.push(urn);
            } else if urn != token
                && let Some(name) = urn.strip_prefix("urn:")
            {
                block = block.with("u", name.as_bytes().to_vec());
            }
        }
        if offer.size_bytes >= u64::from(u32::MAX) {
            block = block.with("LF", ggep::trimmed(offer.size_bytes));
        }
        extensions.ggep = block.with("HX", token.into_bytes());
        Some(Record {
            index,
            size: u32::try_from(offer.size_bytes).unwrap_or(u32::MAX),
            name: offer.name.clone().into_bytes().into(),
            ext: extensions.bytes(),
        })
    }

    /// The share that is asked for by a token or urn.
    pub(crate) fn by_urn(&self, urn: &str) -> Option<ShareId> {
        let digests = digests_of(urn);
        let named = |published: &Published| {
            published.token.eq_ignore_ascii_case(urn) || digests.iter().any(|digest| published.digests.contains(digest))
        };
        self.published.iter().find(|(_, published)| named(published)).map(|(&id, _)| id)
    }

    /// What of a share is there.
    pub(crate) fn held(&self, id: ShareId, share: &Share) -> Ranges {
        let mut held = share.held.clone();
        if let Some(published) = self.published.get(&id) {
            held.insert_all(&published.gained);
        }
        held
    }

    /// Somebody says that he has it too.
    pub(crate) fn add_alternate(&mut self, id: ShareId, at: SocketAddrV4) {
        let Some(published) = self.published.get_mut(&id) else { return };
        published.alternates.retain(|other| *other != at);
        if published.alternates.len() >= ALTERNATES_MAX {
            published.alternates.pop_front();
        }
        published.alternates.push_back(at);
    }

    /// Others who have it too, the latest first.
    pub(crate) fn alternates(&self, id: ShareId) -> impl Iterator<Item = SocketAddrV4> {
        self.published.get(&id).into_iter().flat_map(|published| published.alternates.iter().rev().copied())
    }

    /// Whether any byte of a share that is being fetched is proven.
    pub(crate) fn has_gained(&self, id: ShareId) -> bool {
        self.published.get(&id).is_some_and(|published| !published.gained.is_empty())
    }

    pub(crate) fn is_published(&self, id: ShareId) -> bool {
        self.published.contains_key(&id)
    }
}

impl Node {
    pub(crate) fn start_publish(&mut self, op: OpId, id: ShareId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(share) = cx.shares.share(id).cloned() else {
            return failed(op, Failure::NotReady("no such share".into()), out);
        };
        if is_private(&share.torrent) {
            return failed(op, Failure::Refused("a private torrent never leaves BitTorrent".into()), out);
        }
        let config = &self.config;
        let offers = self.offers.get_or_insert_with(|| Box::new(Offers::new(config.catalogue.clone())));
        if offers.is_published(id) {
            return failed(op, Failure::Unusable("the share is published already".into()), out);
        }
        offers.add(op, id, &share, &self.known);
        self.settle(op, cx, out);
    }

    pub(crate) fn cancel_publish(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        if let Some(id) = self.offers.as_mut().and_then(|offers| offers.remove(op)) {
            self.known.forget(id);
            self.settling.forget(op);
            out.report(op, Progress::Ended);
            self.tables_changed(cx, out);
        }
    }

    /// More of a share that is being fetched is proven.
    pub(crate) fn gained(&mut self, id: ShareId, range: Range<u64>, cx: &mut Context<'_>, out: &mut Out) {
        let Some(share) = cx.shares.share(id).cloned() else { return };
        let Some(offers) = &mut self.offers else { return };
        let Some(published) = offers.published.get_mut(&id) else { return };
        published.gained.insert(range);
        if published.files.is_empty() && offers.held(id, &share).covers(0..share.layout.total_bytes()) {
            offers.list(id, &share, &self.known);
            self.tables_changed(cx, out);
        }
    }
}
