//! What a supernode knows of the files of its leaves, and its own: found by words or by digest, grouped by content.

use std::sync::Arc;

use hexad_catalogue::{Catalogue, Config as CatalogueConfig, NewFile, OwnerId, Query, Refusal};
use hexad_content::Digest;
use hexad_core::{Map, Set, Span, Time};
use sha2::{Digest as _, Sha256};

use super::Settings;
use crate::place::Place;
use crate::wire::{Group, Looked, Record, Sourced};

/// Files of lost leaves that are cleared at a time.
const CLEAR_EACH: usize = 2000;

/// A sum over what somebody offers, by which two can see whether they know the same.
#[must_use]
pub fn sum_of<'a>(records: impl Iterator<Item = (u32, &'a [u8; 32])>) -> [u8; 32] {
    let mut sum = Sha256::new();
    for (number, hash) in records {
        sum.update(number.to_be_bytes());
        sum.update(hash);
    }
    sum.finalize().into()
}

#[derive(Debug)]
struct Filed {
    record: Arc<Record>,
    hash: [u8; 32],
}

/// One who offers files.
#[derive(Debug)]
struct Offerer<A> {
    /// `None` for ourselves.
    addr: Option<A>,
    reachable: bool,
    files: Map<u32, Filed>,
    /// Not yet named again since the list began.
    stale: Option<Set<u32>>,
    /// The link is lost; what is offered is forgotten then.
    lost_until: Option<Time>,
}

/// The index.
#[derive(Debug)]
pub struct Index<A: Place> {
    catalogue: Catalogue,
    offerers: Map<OwnerId, Offerer<A>>,
    by_name: Map<A::Name, OwnerId>,
    own: Option<OwnerId>,
}

impl<A: Place> Index<A> {
    pub(super) fn new(settings: &Settings, seed: u64) -> Self {
        let config = CatalogueConfig {
            // Leaves, those that were lost lately, and ourselves.
            owners_max: u32::try_from(2 * settings.leaves_max + 64).unwrap_or(u32::MAX),
            files_max: settings.records_max,
            owner_files_max: settings.leaf_records_max,
            path_bytes_max: 4096,
            path_parts: 1,
            seed,
            ..CatalogueConfig::default()
        };
        Self { catalogue: Catalogue::new(config), offerers: Map::new(), by_name: Map::new(), own: None }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.catalogue.usage().files
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for what a leaf offers; what is kept of it from before is its own again. `false` when there is no room.
    pub(super) fn admit(&mut self, addr: &A, reachable: bool) -> bool {
        if let Some(owner) = self.by_name.get(&addr.name())
            && let Some(offerer) = self.offerers.get_mut(owner)
        {
            offerer.addr = Some(addr.clone());
            offerer.lost_until = None;
            offerer.stale = None;
            return true;
        }
        let Some(owner) = self.catalogue.add_owner() else { return false };
        self.by_name.insert(addr.name(), owner);
        self.offerers.insert(owner, Offerer { addr: Some(addr.clone()), reachable, files: Map::new(), stale: None, lost_until: None });
        true
    }

    fn ourselves(&mut self) -> Option<OwnerId> {
        if self.own.is_none() {
            let owner = self.catalogue.add_owner()?;
            self.offerers.insert(owner, Offerer { addr: None, reachable: true, files: Map::new(), stale: None, lost_until: None });
            self.own = Some(owner);
        }
        self.own
    }

    /// Adds a record of ours.
    pub(super) fn add_own(&mut self, record: &Arc<Record>) -> Result<(), Refusal> {
        let owner = self.ourselves().ok_or(Refusal::Full)?;
        self.file(owner, record.clone())
    }

    /// Takes a record of ours out.
    pub(super) fn remove_own(&mut self, number: u32) {
        if let Some(owner) = self.own {
            self.unfile(owner, number);
        }
    }

    /// Adds a record of a leaf.
    pub(super) fn add(&mut self, leaf: &A::Name, record: Record) -> Result<(), Refusal> {
        let owner = *self.by_name.get(leaf).ok_or(Refusal::NoOwner)?;
        self.file(owner, Arc::new(record))
    }

    fn file(&mut self, owner: OwnerId, record: Arc<Record>) -> Result<(), Refusal> {
        let offerer = self.offerers.get_mut(&owner).ok_or(Refusal::NoOwner)?;
        let hash = record.hash();
        if let Some(stale) = &mut offerer.stale {
            stale.remove(&record.number);
        }
        if offerer.files.get(&record.number).is_some_and(|filed| filed.hash == hash) {
            return Ok(());
        }
        self.unfile(owner, record.number);
        let path = path_of(&record);
        let file = NewFile { path: &path, token: token_of(&record.digest), size_bytes: record.size_bytes, ..NewFile::default() };
        self.catalogue.add(owner, &file)?;
        if let Some(offerer) = self.offerers.get_mut(&owner) {
            offerer.files.insert(record.number, Filed { record, hash });
        }
        Ok(())
    }

    fn unfile(&mut self, owner: OwnerId, number: u32) {
        if let Some(filed) = self.offerers.get_mut(&owner).and_then(|offerer| offerer.files.remove(&number)) {
            self.catalogue.remove(owner, &path_of(&filed.record));
        }
    }

    /// Takes records of a leaf out.
    pub(super) fn withdraw(&mut self, leaf: &A::Name, numbers: &[u32]) {
        if let Some(&owner) = self.by_name.get(leaf) {
            numbers.iter().for_each(|&number| self.unfile(owner, number));
        }
    }

    /// A leaf begins to list what it offers. Whether that is what is known of it still; if not, all of it counts as stale until it is named again.
    pub(super) fn begin(&mut self, leaf: &A::Name, count: u32, sum: &[u8; 32]) -> bool {
        let Some(offerer) = self.by_name.get(leaf).and_then(|owner| self.offerers.get_mut(owner)) else { return false };
        let known = offerer.files.iter().map(|(&number, filed)| (number, &filed.hash));
        if offerer.files.len() == count as usize && sum_of(known) == *sum {
            offerer.stale = None;
            return true;
        }
        offerer.stale = Some(offerer.files.keys().copied().collect());
        false
    }

    /// The list of a leaf is complete: what it has not named is forgotten.
    pub(super) fn end(&mut self, leaf: &A::Name) {
        let Some(&owner) = self.by_name.get(leaf) else { return };
        let stale = self.offerers.get_mut(&owner).and_then(|offerer| offerer.stale.take()).unwrap_or_default();
        stale.into_iter().for_each(|number| self.unfile(owner, number));
    }

    /// Whether others can open connections to a leaf.
    pub(super) fn tested(&mut self, leaf: &A::Name, reachable: bool) {
        if let Some(offerer) = self.by_name.get(leaf).and_then(|owner| self.offerers.get_mut(owner)) {
            offerer.reachable = reachable;
        }
    }

    /// The link to a leaf is lost: what it offers is kept for a while.
    pub(super) fn lose(&mut self, leaf: &A::Name, until: Time) {
        if let Some(offerer) = self.by_name.get(leaf).and_then(|owner| self.offerers.get_mut(owner)) {
            offerer.lost_until = Some(until);
            offerer.stale = None;
        }
    }

    /// A leaf is gone for good.
    pub(super) fn remove(&mut self, leaf: &A::Name) {
        if let Some(owner) = self.by_name.remove(leaf) {
            self.offerers.remove(&owner);
            self.catalogue.begin_remove(owner);
        }
    }

    /// Forgets leaves that have been lost for too long, and clears a little of what they left.
    pub(super) fn sweep(&mut self, now: Time) {
        let late = |offerer: &Offerer<A>| offerer.lost_until.is_some_and(|until| until <= now);
        let gone: Vec<A::Name> =
            self.offerers.values().filter(|offerer| late(offerer)).filter_map(|offerer| offerer.addr.as_ref().map(Place::name)).collect();
        gone.iter().for_each(|leaf| self.remove(leaf));
        self.catalogue.step(CLEAR_EACH);
    }

    /// How long the lost ones are kept at most, for tests of bounds: how many are.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.offerers.values().filter(|offerer| offerer.lost_until.is_some()).count()
    }

    /// How many records a leaf has here.
    #[must_use]
    pub fn records_of(&self, leaf: &A::Name) -> usize {
        self.by_name.get(leaf).and_then(|owner| self.offerers.get(owner)).map_or(0, |offerer| offerer.files.len())
    }

    /// Finds contents, at most `wanted`, each with those who offer it. `us` is our own address.
    pub(super) fn find(&self, what: &Looked, wanted: usize, sources_max: usize, us: &A, start: u32) -> Vec<Group<A>> {
        let mut groups: Vec<Group<A>> = Vec::new();
        let mut places: Map<Digest, usize> = Map::new();
        let mut take = |owner: OwnerId, number: Option<u32>| {
            let Some(offerer) = self.offerers.get(&owner) else { return };
            let Some(filed) = number.and_then(|number| offerer.files.get(&number)) else { return };
            let record = &filed.record;
            if let Looked::Digest(digest) = what
                && record.digest != *digest
            {
                return;
            }
            let addr = offerer.addr.clone().unwrap_or_else(|| us.clone());
            let source = Sourced { addr, via: us.clone(), reachable: offerer.reachable };
            if let Some(&at) = places.get(&record.digest) {
                if groups[at].sources.len() < sources_max {
                    groups[at].sources.push(source);
                }
                return;
            }
            if groups.len() >= wanted {
                return;
            }
            places.insert(record.digest, groups.len());
            groups.push(Group {
                digest: record.digest,
                others: record.others.clone(),
                size_bytes: record.size_bytes,
                name: record.name.clone(),
                sources: vec![source],
            });
        };
        match what {
            Looked::Words(words) => {
                // More than is wanted is looked at, so that a content has more than its first source.
                let query = Query { words: words.clone(), wanted: wanted.saturating_mul(4), start, ..Query::default() };
                self.catalogue.search(&query, |owner, file| {
                    take(owner, number_of(file.folder));
                    true
                });
            }
            Looked::Digest(digest) => {
                let mut left = sources_max.saturating_mul(2);
                self.catalogue.with_token(token_of(digest), |owner, file| {
                    take(owner, number_of(file.folder));
                    left -= 1;
                    left > 0
                });
            }
        }
        groups
    }
}

/// Longest that a lost leaf may be kept, whatever the settings say.
pub(super) const GRACE_MAX: Span = Span::from_secs(600);

/// Number, and what can be found: the words of the name and of all tags.
fn path_of(record: &Record) -> Vec<u8> {
    let mut path = format!("{}/", record.number).into_bytes();
    let plain = |byte: u8| if byte == b'/' || byte == b'\\' { b' ' } else { byte };
    path.extend(record.name.bytes().map(plain));
    for (_, text) in &record.tags {
        path.push(b' ');
        path.extend(text.bytes().map(plain));
    }
    path
}

fn number_of(folder: &[u8]) -> Option<u32> {
    std::str::from_utf8(folder).ok()?.strip_suffix('/')?.parse().ok()
}

fn token_of(digest: &Digest) -> &[u8] {
    match digest {
        Digest::Content(content) => &content.root.0,
        Digest::Sha1(hash) | Digest::TorrentV1(hash) => &hash.0,
        Digest::Sha256(hash) | Digest::TorrentV2(hash) => &hash.0,
        Digest::TigerTree(hash) => hash,
        Digest::Md5Prefix(hash) => hash,
    }
}
