//! What we offer, as a node remembers it: which file is which share, what is being hashed, and what has become of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use hexad_api::node::{Folder, LibraryCounts, LibraryQuery, LinkVersion, MutableLink, Page, Share, ShareState};
use hexad_api::{MutableItem, Problem, ProblemKind, TorrentVersion};
use hexad_library::Sound;
use serde::{Deserialize, Serialize};

use super::following::Mutable;
use super::moving_shares::Moving;
use super::scan::{Scan, Stamp};
use super::store::{Content, Keep, share_bytes};
use super::{cut, not_found};
use crate::networks::NAMES;

/// Shares at most.
const SHARES_MAX: usize = 200_000;

/// A share as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// It stands in a watched folder; otherwise it was named.
    pub(super) watched: bool,
    /// Of which version its torrent was asked to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<TorrentVersion>,
    pub(super) files: usize,
    pub(super) link: String,
    /// How those of its files sound that are music.
    #[serde(default)]
    pub(super) music: Vec<Music>,
    /// The link that leads to it and can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mutable: Option<Box<Mutable>>,
    /// Where it is being moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moving: Option<Box<Moving>>,
}

/// How one of the files of a share sounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Music {
    /// Which.
    file: usize,
    bitrate_kbps: u32,
    frequency_hz: u32,
    seconds: u32,
    title: String,
    artist: String,
    album: String,
}

impl Music {
    fn of((file, sound): &(usize, Sound)) -> Self {
        let Sound { bitrate_kbps, frequency_hz, seconds, title, artist, album } = sound.clone();
        Self { file: *file, bitrate_kbps, frequency_hz, seconds, title, artist, album }
    }

    /// In the words of those who hash.
    pub(super) fn sound(&self) -> (usize, Sound) {
        let Self { file, bitrate_kbps, frequency_hz, seconds, title, artist, album } = self.clone();
        (file, Sound { bitrate_kbps, frequency_hz, seconds, title, artist, album })
    }
}

/// A share.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) watched: bool,
    /// Of which version its torrent was asked to be.
    pub(super) version: Option<TorrentVersion>,
    files: usize,
    state: ShareState,
    /// What of it is hashed is known and kept.
    pub(super) hashed: bool,
    hashed_bytes: u64,
    link: Option<String>,
    /// On which networks it is offered, one bit each.
    networks: u8,
    /// What it is called on those that have given it a name: where, and how.
    names: Vec<(u8, Box<str>)>,
    problem: Option<Problem>,
    /// The link that leads to it and can be changed.
    pub(super) mutable: Option<Box<Mutable>>,
    /// What somebody else has the link lead to, who has the same key.
    pub(super) newer: Option<Box<MutableItem>>,
    /// Where it is being moved, and how many of its bytes are there.
    pub(super) moving: Option<Box<Moving>>,
    moved_bytes: u64,
}

/// What follows from looking at the disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Follows {
    /// These are to be taken from the shelf.
    pub(super) withdraw: Vec<u64>,
    /// These were known before and are there again.
    pub(super) offer: Vec<u64>,
    /// These have another name.
    pub(super) renamed: Vec<u64>,
    /// These are to be forgotten.
    pub(super) forget: Vec<u64>,
}

/// All shares.
#[derive(Default)]
pub(super) struct Library {
    items: BTreeMap<u64, Item>,
    by_path: BTreeMap<PathBuf, u64>,
    last: u64,
    /// What waits for being hashed, in order.
    pub(super) queue: VecDeque<u64>,
    folders: BTreeMap<PathBuf, Option<Problem>>,
    bytes: u64,
    changed: BTreeSet<u64>,
    removed: Vec<u64>,
    /// Those that have a link which can be changed.
    mutable: BTreeSet<u64>,
    /// Grows when a move begins, is noted, and ends: what was seen on the disk before then is of no use.
    pub(super) moves: u64,
}

impl Item {
    fn view(&self, id: u64) -> Share {
        Share {
            id,
            name: self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: self.path.display().to_string(),
            bytes: self.stamp.bytes,
            files: self.files,
            state: self.state,
            hashed_bytes: self.hashed_bytes,
            link: self.link.clone(),
            mutable_link: self.mutable.as_ref().and_then(|mutable| Some(mutable.item.as_ref()?.link.clone())),
            networks: NAMES
                .iter()
                .enumerate()
                .filter(|(place, _)| self.networks & 1 << place != 0)
                .map(|(_, name)| (*name).into())
                .collect(),
            moving_to: self.moving.as_ref().map(|moving| moving.to.display().to_string()),
            moved_bytes: self.moved_bytes,
            problem: self.problem.clone(),
        }
    }

    /// Where its link stands that can be changed.
    pub(super) fn link(&self) -> Option<MutableLink> {
        let MutableItem { link, seq, info_hash, .. } = self.mutable.as_ref()?.item.clone()?;
        let newer = self.newer.as_ref().map(|newer| LinkVersion { seq: newer.seq, info_hash: newer.info_hash.clone() });
        Some(MutableLink { link, now: LinkVersion { seq, info_hash }, newer })
    }

    /// Others can fetch it.
    pub(super) fn is_offered(&self) -> bool {
        self.hashed && self.state == ShareState::Offered
    }
}

impl Library {
    /// A share of an earlier run.
    pub(super) fn load(&mut self, id: u64, kept: &Kept) {
        let item = Item {
            path: kept.path.clone(),
            stamp: kept.stamp,
            watched: kept.watched,
            version: kept.version,
            files: kept.files,
            state: ShareState::Offered,
            hashed: true,
            hashed_bytes: kept.stamp.bytes,
            link: Some(kept.link.clone()),
            networks: 0,
            names: Vec::new(),
            problem: None,
            mutable: kept.mutable.clone(),
            newer: None,
            moving: kept.moving.clone(),
            moved_bytes: 0,
        };
        if item.mutable.is_some() {
            self.mutable.insert(id);
        }
        self.bytes += item.stamp.bytes;
        self.by_path.insert(item.path.clone(), id);
        self.items.insert(id, item);
        self.last = self.last.max(id);
    }

    pub(super) fn item(&self, id: u64) -> Option<&Item> {
        self.items.get(&id)
    }

    /// One that is not on its way to another folder.
    pub(super) fn still(&self, id: u64) -> Result<&Item, Problem> {
        let item = self.items.get(&id).ok_or_else(|| not_found("share", id))?;
        match &item.moving {
            None => Ok(item),
            Some(moving) => Err(Problem::new(format!("share {id} is being moved to {}", moving.to.display()))
                .hint("wait until it is there")
                .kind(ProblemKind::Conflict)),
        }
    }

    /// Those that are on their way to another folder.
    pub(super) fn moving(&self) -> Vec<u64> {
        self.items.iter().filter(|(_, item)| item.moving.is_some()).map(|(id, _)| *id).collect()
    }

    /// It is on its way to another folder, or no longer; where it was on its way to.
    pub(super) fn set_moving(&mut self, id: u64, moving: Option<Moving>) -> Option<Moving> {
        let item = self.items.get_mut(&id)?;
        self.moves += 1;
        self.changed.insert(id);
        (item.problem, item.moved_bytes) = (None, 0);
        std::mem::replace(&mut item.moving, moving.map(Box::new)).map(|moving| *moving)
    }

    /// How far its move is.
    pub(super) fn on_moved(&mut self, id: u64, moved_bytes: u64) {
        if let Some(item) = self.items.get_mut(&id) {
            item.moved_bytes = moved_bytes.min(item.stamp.bytes);
            self.changed.insert(id);
        }
    }

    /// It stands elsewhere, with the same bytes; where it stood.
    pub(super) fn relocate(&mut self, id: u64, path: &Path, stamp: Stamp, watched: bool) -> Option<(PathBuf, Stamp, bool)> {
        let stood = self.items.get(&id)?.path.clone();
        self.rename(id, path);
        self.moves += 1;
        let item = self.items.get_mut(&id)?;
        let before = (stood, item.stamp, item.watched);
        (item.stamp, item.watched) = (stamp, watched);
        Some(before)
    }

    /// Something about it did not work; it is offered as before.
    pub(super) fn set_problem(&mut self, id: u64, problem: Problem) {
        if let Some(item) = self.items.get_mut(&id) {
            item.problem = Some(problem);
            self.changed.insert(id);
        }
    }

    /// What a share is called on a network that has given it a name.
    pub(super) fn name_on(&self, id: u64, network: &str) -> Option<&str> {
        let number = NAMES.iter().position(|name| *name == network)?;
        self.items.get(&id)?.names.iter().find(|(on, _)| usize::from(*on) == number).map(|(_, name)| &**name)
    }

    pub(super) fn view(&self, id: u64) -> Result<Share, Problem> {
        self.items.get(&id).map(|item| item.view(id)).ok_or_else(|| not_found("share", id))
    }

    pub(super) fn at(&self, path: &Path) -> Option<u64> {
        self.by_path.get(path).copied()
    }

    pub(super) fn page(&self, query: &LibraryQuery) -> Page<Share> {
        let LibraryQuery { offset, limit, q } = query;
        let wanted = q.as_ref().map(|q| q.to_lowercase()).filter(|q| !q.is_empty());
        let fits = |item: &Item| wanted.as_ref().is_none_or(|wanted| item.path.to_string_lossy().to_lowercase().contains(wanted));
        let limit = cut(limit.unwrap_or(100));
        if wanted.is_none() {
            let items = self.items.iter().skip(*offset).take(limit).map(|(id, item)| item.view(*id)).collect();
            return Page { total: self.items.len(), offset: *offset, items };
        }
        let (mut total, mut items) = (0, Vec::new());
        for (id, item) in self.items.iter().filter(|(_, item)| fits(item)) {
            if total >= *offset && items.len() < limit {
                items.push(item.view(*id));
            }
            total += 1;
        }
        Page { total, offset: *offset, items }
    }

    pub(super) fn counts(&self) -> LibraryCounts {
        LibraryCounts { shares: self.items.len(), bytes: self.bytes, hashing: self.queue.len() }
    }

    /// Single files of these lengths that are offered: how long, and where.
    pub(super) fn files_of(&self, lengths: &BTreeSet<u64>) -> Vec<(u64, PathBuf)> {
        let is_one =
            |item: &&Item| item.hashed && item.files == 1 && item.state == ShareState::Offered && lengths.contains(&item.stamp.bytes);
        self.items.values().filter(is_one).map(|item| (item.stamp.bytes, item.path.clone())).collect()
    }

    /// Folders that are offered as one.
    pub(super) fn folders(&self) -> Vec<u64> {
        let is_one = |(_, item): &(&u64, &Item)| item.hashed && item.files > 1 && item.state == ShareState::Offered;
        self.items.iter().filter(is_one).map(|(id, _)| *id).collect()
    }

    /// What was named, and not found in a folder.
    pub(super) fn named(&self) -> Vec<PathBuf> {
        self.items.values().filter(|item| !item.watched).map(|item| item.path.clone()).collect()
    }

    pub(super) fn set_folders(&mut self, folders: &[PathBuf]) {
        self.folders.retain(|folder, _| folders.contains(folder));
        for folder in folders {
            self.folders.entry(folder.clone()).or_default();
        }
    }

    pub(super) fn folder_views(&self) -> Vec<Folder> {
        let view = |(path, problem): (&PathBuf, &Option<Problem>)| Folder {
            path: path.display().to_string(),
            shares: self.by_path.range(path.clone()..).take_while(|(below, _)| below.starts_with(path)).count(),
            problem: problem.clone(),
        };
        self.folders.iter().map(view).collect()
    }

    /// Whether a path lies in a watched folder.
    pub(super) fn is_watched(&self, path: &Path) -> bool {
        self.folders.keys().any(|folder| path.starts_with(folder) && path != folder)
    }

    /// Something that is to be hashed.
    pub(super) fn add(&mut self, path: PathBuf, stamp: Stamp, watched: bool, version: Option<TorrentVersion>) -> Result<u64, Problem> {
        if self.items.len() >= SHARES_MAX {
            return Err(Problem::new(format!("there are {SHARES_MAX} shares already"))
                .hint("share folders as a whole")
                .kind(ProblemKind::Unavailable));
        }
        self.last += 1;
        let item = Item {
            path: path.clone(),
            stamp,
            watched,
            version,
            files: 1,
            state: ShareState::Hashing,
            hashed: false,
            hashed_bytes: 0,
            link: None,
            networks: 0,
            names: Vec::new(),
            problem: None,
            mutable: None,
            newer: None,
            moving: None,
            moved_bytes: 0,
        };
        self.bytes += stamp.bytes;
        self.by_path.insert(path, self.last);
        self.items.insert(self.last, item);
        self.queue.push_back(self.last);
        self.changed.insert(self.last);
        Ok(self.last)
    }

    /// It has other bytes than before.
    fn rehash(&mut self, id: u64, stamp: Stamp) {
        let Some(item) = self.items.get_mut(&id) else { return };
        self.bytes = self.bytes - item.stamp.bytes + stamp.bytes;
        (item.stamp, item.state, item.hashed, item.hashed_bytes) = (stamp, ShareState::Hashing, false, 0);
        (item.link, item.problem, item.networks) = (None, None, 0);
        item.names.clear();
        if !self.queue.contains(&id) {
            self.queue.push_back(id);
        }
        self.changed.insert(id);
    }

    pub(super) fn forget(&mut self, id: u64) -> Option<Item> {
        let item = self.items.remove(&id)?;
        self.bytes -= item.stamp.bytes;
        self.by_path.remove(&item.path);
        self.queue.retain(|other| *other != id);
        self.changed.remove(&id);
        self.mutable.remove(&id);
        self.removed.push(id);
        Some(item)
    }

    /// How far hashing is.
    pub(super) fn on_progress(&mut self, id: u64, hashed_bytes: u64) {
        if let Some(item) = self.items.get_mut(&id).filter(|item| item.state == ShareState::Hashing && item.hashed_bytes != hashed_bytes) {
            item.hashed_bytes = hashed_bytes;
            self.changed.insert(id);
        }
    }

    /// It is hashed; what is kept of it.
    pub(super) fn on_hashed(&mut self, id: u64, files: usize, link: String, sounds: &[(usize, Sound)]) -> Option<Kept> {
        let item = self.items.get_mut(&id)?;
        (item.state, item.hashed, item.hashed_bytes) = (ShareState::Offered, true, item.stamp.bytes);
        (item.files, item.link) = (files, Some(link.clone()));
        self.changed.insert(id);
        self.kept(id, sounds.iter().map(Music::of).collect())
    }

    /// A share as it is to be kept.
    pub(super) fn kept(&self, id: u64, music: Vec<Music>) -> Option<Kept> {
        let Item { path, stamp, watched, version, files, link, mutable, moving, .. } = self.items.get(&id)?.clone();
        Some(Kept { path, stamp, watched, version, files, link: link.unwrap_or_default(), music, mutable, moving })
    }

    /// The same as it is written down, with what it is of where that is known.
    pub(super) fn keep(&self, id: u64, music: Vec<Music>, content: Option<&Content>) -> Option<Keep> {
        self.kept(id, music).map(|kept| Keep::Share(id, share_bytes(&kept, content)))
    }

    /// What links that can be changed lead to, and by which share.
    pub(super) fn mutable(&self) -> impl Iterator<Item = (u64, &MutableItem)> {
        let offered = |id: &u64| self.items.get(id).filter(|item| item.hashed && item.state == ShareState::Offered);
        self.mutable.iter().filter_map(move |id| Some((*id, offered(id)?.mutable.as_ref()?.item.as_ref()?)))
    }

    /// Which share the link of that name leads to.
    pub(super) fn named_so(&self, name: &str) -> Option<u64> {
        let is_so = |id: &&u64| self.items.get(id).and_then(|item| item.mutable.as_ref()).is_some_and(|mutable| mutable.name == name);
        self.mutable.iter().find(is_so).copied()
    }

    /// A link leads to it that can be changed.
    pub(super) fn set_mutable(&mut self, id: u64, mutable: Mutable) {
        if let Some(item) = self.items.get_mut(&id) {
            if item.mutable.as_deref() != Some(&mutable) {
                item.newer = None;
            }
            item.mutable = Some(Box::new(mutable));
            self.mutable.insert(id);
            self.changed.insert(id);
        }
    }

    /// Somebody else has the key of its link.
    pub(super) fn on_newer(&mut self, id: u64, newer: MutableItem) {
        if let Some(item) = self.items.get_mut(&id) {
            item.newer = Some(Box::new(newer));
            self.changed.insert(id);
        }
    }

    /// Its link leads to it no longer.
    pub(super) fn take_name(&mut self, id: u64) -> Option<Mutable> {
        self.mutable.remove(&id);
        self.changed.insert(id);
        self.items.get_mut(&id)?.mutable.take().map(|mutable| *mutable)
    }

    /// It cannot be offered.
    pub(super) fn on_failed(&mut self, id: u64, problem: Problem) {
        if let Some(item) = self.items.get_mut(&id).filter(|item| item.moving.is_none()) {
            (item.state, item.problem) = (ShareState::Failed, Some(problem));
            self.changed.insert(id);
        }
    }

    /// It has another stamp than when its hashing began.
    pub(super) fn hash_again(&mut self, id: u64, stamp: Option<Stamp>) {
        match stamp {
            Some(stamp) => self.rehash(id, stamp),
            None => self.set_missing(id),
        }
    }

    /// It has another name.
    pub(super) fn on_renamed(&mut self, id: u64, link: String) {
        if let Some(item) = self.items.get_mut(&id) {
            item.link = Some(link);
            item.state = ShareState::Offered;
            self.changed.insert(id);
        }
    }

    pub(super) fn set_offered(&mut self, id: u64, network: usize, offered: bool) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let before = item.networks;
        if offered {
            item.networks |= 1 << network;
        } else {
            item.networks &= !(1 << network);
        }
        if item.networks != before {
            self.changed.insert(id);
        }
    }

    /// A network has given it a name.
    pub(super) fn on_named(&mut self, id: u64, network: usize, name: String) {
        let (Some(item), Ok(network)) = (self.items.get_mut(&id), u8::try_from(network)) else { return };
        item.names.retain(|(on, _)| *on != network);
        item.names.push((network, name.into()));
    }

    fn set_missing(&mut self, id: u64) {
        if let Some(item) = self.items.get_mut(&id).filter(|item| item.state != ShareState::Missing) {
            (item.state, item.networks) = (ShareState::Missing, 0);
            self.queue.retain(|other| *other != id);
            self.changed.insert(id);
        }
    }

    /// The disk was looked at.
    pub(super) fn on_scan(&mut self, scan: &Scan) -> Follows {
        let mut follows = Follows::default();
        // What is on its way is nowhere for certain.
        let is_still = |item: &Item| item.moving.is_none();
        let coming: Vec<PathBuf> =
            self.items.values().filter_map(|item| Some(item.moving.as_ref()?.to.join(item.path.file_name()?))).collect();
        let mut broken: BTreeSet<&Path> = BTreeSet::new();
        for (folder, problem) in &scan.folders {
            if let Some(known) = self.folders.get_mut(folder) {
                known.clone_from(problem);
            }
            if problem.is_some() {
                broken.insert(folder);
            }
        }
        // Who has gone may be who has come.
        let gone: BTreeMap<Stamp, u64> = self
            .items
            .iter()
            .filter(|(_, item)| item.watched && item.hashed && is_still(item) && !scan.files.contains_key(&item.path))
            .map(|(id, item)| (item.stamp, *id))
            .collect();
        let mut moved = BTreeSet::new();
        for (path, stamp) in scan.files.iter().filter(|(path, _)| !coming.iter().any(|coming| path.starts_with(coming))) {
            match self.by_path.get(path).copied() {
                Some(id) => self.look(id, Some(*stamp), &mut follows),
                None => match gone.get(stamp).filter(|id| !moved.contains(*id)) {
                    Some(&id) => {
                        moved.insert(id);
                        self.rename(id, path);
                        follows.renamed.push(id);
                    }
                    None => drop(self.add(path.clone(), *stamp, true, None)),
                },
            }
        }
        for (path, stamp) in &scan.named {
            if let Some(id) = self.by_path.get(path).copied().filter(|id| self.items.get(id).is_some_and(|item| !item.watched)) {
                self.look(id, *stamp, &mut follows);
            }
        }
        let vanished: Vec<u64> = self
            .items
            .iter()
            .filter(|(_, item)| item.watched && is_still(item) && !scan.files.contains_key(&item.path))
            // What was named while folders were looked at, or is too fresh, is there all the same.
            .filter(|(_, item)| !(self.is_watched(&item.path) && super::scan::stamp_of(&item.path).is_some()))
            .map(|(id, _)| *id)
            .collect();
        for id in vanished {
            let Some(item) = self.items.get(&id) else { continue };
            let unreadable = broken.iter().any(|folder| item.path.starts_with(folder));
            follows.withdraw.push(id);
            if unreadable {
                // A disk that is not there comes back with the same files.
                self.set_missing(id);
            } else {
                self.forget(id);
                follows.forget.push(id);
            }
        }
        follows
    }

    fn look(&mut self, id: u64, stamp: Option<Stamp>, follows: &mut Follows) {
        let Some(item) = self.items.get(&id).filter(|item| item.moving.is_none()) else { return };
        match stamp {
            None if item.state != ShareState::Missing => {
                follows.withdraw.push(id);
                self.set_missing(id);
            }
            None => {}
            Some(stamp) if stamp != item.stamp || item.state == ShareState::Missing && !item.hashed => {
                follows.withdraw.push(id);
                self.rehash(id, stamp);
            }
            Some(_) if item.state == ShareState::Missing => {
                if let Some(item) = self.items.get_mut(&id) {
                    item.state = ShareState::Offered;
                }
                self.changed.insert(id);
                follows.offer.push(id);
            }
            Some(_) => {}
        }
    }

    fn rename(&mut self, id: u64, path: &Path) {
        let Some(item) = self.items.get_mut(&id) else { return };
        self.by_path.remove(&item.path);
        self.by_path.insert(path.to_owned(), id);
        item.path = path.to_owned();
        item.networks = 0;
        item.names.clear();
        self.changed.insert(id);
    }

    /// What has changed since this was last asked for: shares, and the numbers of those that are no more.
    pub(super) fn take_changed(&mut self) -> (Vec<Share>, Vec<u64>) {
        let changed = std::mem::take(&mut self.changed);
        (changed.into_iter().filter_map(|id| self.view(id).ok()).collect(), std::mem::take(&mut self.removed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(inode: u64, mark: u64) -> Stamp {
        Stamp { device: 1, inode, bytes: 10, mark }
    }

    fn scan(files: &[(&str, Stamp)]) -> Scan {
        let files = files.iter().map(|(path, stamp)| (PathBuf::from(path), *stamp)).collect();
        Scan { files, folders: vec![("/f".into(), None)], ..Scan::default() }
    }

    fn library() -> Library {
        let mut library = Library::default();
        library.set_folders(&["/f".into()]);
        library.on_scan(&scan(&[("/f/a", stamp(1, 1)), ("/f/b", stamp(2, 1))]));
        for id in [1, 2] {
            library.on_hashed(id, 1, format!("link {id}"), &[]);
        }
        library.queue.clear();
        library
    }

    #[test]
    fn a_rename_is_no_new_file_and_a_removal_is_noticed() {
        let mut library = library();
        let follows = library.on_scan(&scan(&[("/f/c", stamp(1, 1))]));
        assert_eq!(follows, Follows { withdraw: vec![2], renamed: vec![1], forget: vec![2], ..Follows::default() });
        assert_eq!((library.at(Path::new("/f/c")), library.at(Path::new("/f/a")), library.queue.len()), (Some(1), None, 0));
    }

    #[test]
    fn what_was_written_to_is_hashed_again() {
        let mut library = library();
        let follows = library.on_scan(&scan(&[("/f/a", stamp(1, 2)), ("/f/b", stamp(2, 1))]));
        assert_eq!((follows.withdraw, library.queue.clone()), (vec![1], VecDeque::from([1])));
        assert_eq!(library.view(1).map(|share| share.state), Ok(ShareState::Hashing));
    }

    #[test]
    fn a_folder_that_cannot_be_read_takes_nothing_away_for_good() {
        let mut library = library();
        let problem = Some(Problem::new("gone"));
        let broken = Scan { folders: vec![("/f".into(), problem.clone())], ..Scan::default() };
        let follows = library.on_scan(&broken);
        assert_eq!((follows.withdraw, follows.forget), (vec![1, 2], vec![]));
        assert_eq!(
            (library.folder_views()[0].problem.clone(), library.view(1).map(|share| share.state)),
            (problem, Ok(ShareState::Missing))
        );
        let follows = library.on_scan(&scan(&[("/f/a", stamp(1, 1)), ("/f/b", stamp(2, 1))]));
        assert_eq!((follows.offer, library.queue.len()), (vec![1, 2], 0));
    }
}
