//! Files that a download wants and that this node has already: in its library, or of a download that is complete. They are not fetched again.
//!
//! A file of a complete download may have a second name in another one: nothing of ours writes to it any more without giving it bytes of its own first.
//! What somebody shares from his own folders he may change at any time, so it is taken by reference or copied, and never gets another name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::thread;

use hexad_api::Selection;
use hexad_content::{Layout, Proof, safe_names};
use hexad_driver::transfers::{Elsewhere, may_be};

use super::hashing::paths_at;
use super::{House, State};
use crate::description::paths;
use crate::known::{Candidates, Known};
use crate::shelf::Key;

/// Files of one length that are looked at for one of a download's.
const CANDIDATES_MAX: usize = 8;

/// Files by their lengths.
type ByLength = BTreeMap<u64, Vec<Elsewhere>>;

impl House {
    /// What this node has of what the download `id` may want.
    pub(super) fn known_for(&self, id: u64) -> Known {
        let itself = self.itself.clone();
        Known::new(move |layout, wanted| itself.upgrade().map(|house| house.candidates(id, layout, wanted)).unwrap_or_default())
    }

    fn candidates(&self, id: u64, layout: &Layout, wanted: &[bool]) -> Candidates {
        let is_wanted = |file: &usize| wanted.get(*file).copied().unwrap_or(false) && layout.files()[*file].length > 0;
        let files: Vec<usize> = (0..layout.files().len()).filter(|file| !layout.files()[*file].padding).filter(is_wanted).collect();
        let lengths: BTreeSet<u64> = files.iter().map(|file| layout.files()[*file].length).collect();
        let (downloads, singles, folders) = {
            let state = self.state();
            (state.downloads.complete_but(id), state.library.files_of(&lengths), state.library.folders())
        };
        let mut found = ByLength::new();
        let takes = |length: u64| lengths.contains(&length);
        for download in downloads {
            self.add_files_of(Key::Download(download), &takes, &mut found);
        }
        for (length, path) in singles {
            add(&mut found, length, Elsewhere { path, may_link: false });
        }
        for folder in folders {
            self.add_files_of(Key::Share(folder), &takes, &mut found);
        }
        files.into_iter().filter_map(|file| Some((file, found.get(&layout.files()[file].length)?.clone()))).collect()
    }

    /// Adds the files of a complete download or of a share whose lengths are wanted.
    fn add_files_of(&self, key: Key, takes: &dyn Fn(u64) -> bool, found: &mut ByLength) {
        let (content, files, may_link) = match key {
            Key::Download(id) => {
                let Some(content) = self.store.content_of_download(id) else { return };
                let Some((into, select)) = self.state().downloads.place_of(id) else { return };
                let wanted = Selection { patterns: select }.mask(&paths(&content.shape.layout)).unwrap_or_default();
                let names = safe_names(&content.shape.layout);
                let place = |path: &Option<Vec<String>>| path.as_ref().map(|path| into.join(path.iter().collect::<PathBuf>()));
                let files = names.paths.iter().map(place).zip(wanted).map(|(path, wanted)| path.filter(|_| wanted)).collect();
                (content, files, true)
            }
            Key::Share(id) => {
                let Some(content) = self.store.content_of_share(id) else { return };
                let Some(path) = self.state().library.item(id).map(|item| item.path.clone()) else { return };
                let files: Vec<Option<PathBuf>> = paths_at(&content.shape.layout, &path);
                (content, files, false)
            }
        };
        for (entry, path) in content.shape.layout.files().iter().zip(files) {
            if let Some(path) = path.filter(|_| takes(entry.length)) {
                add(found, entry.length, Elsewhere { path, may_link });
            }
        }
    }

    /// Has downloads that are under way take what has just become complete, where they want it.
    pub(super) fn offer_to_downloads(&self, state: &State, key: Key) {
        let own = if let Key::Download(id) = key { Some(id) } else { None };
        let takers: Vec<u64> = state.downloads.under_way().into_iter().filter(|id| Some(*id) != own).collect();
        let Some(house) = self.itself.upgrade().filter(|_| !takers.is_empty()) else { return };
        let spawned = thread::Builder::new().name("hexad-known".to_owned()).spawn(move || {
            // What is on its way into the books is in them then.
            house.flush();
            let mut has = ByLength::new();
            house.add_files_of(key, &|length| length > 0, &mut has);
            takers.into_iter().for_each(|taker| house.offer_to(taker, &has));
        });
        match spawned {
            Ok(thread) => {
                let mut beside = self.movers.lock().unwrap_or_else(PoisonError::into_inner);
                beside.retain(|other| !other.is_finished());
                beside.push(thread);
            }
            Err(wrong) => tracing::warn!(%wrong, "a thread cannot be started"),
        }
    }

    /// Has a download looked at its folder again, where it wants one of these files.
    fn offer_to(&self, id: u64, has: &ByLength) {
        let Some(content) = self.store.content_of_download(id) else { return };
        let (layout, Some(proof)) = (content.shape.layout, content.shape.proof) else { return };
        let Some((_, select)) = self.state().downloads.place_of(id) else { return };
        let wanted = Selection { patterns: select }.mask(&paths(&layout)).unwrap_or_default();
        let held = self.held(&mut self.state(), id).ok().flatten().unwrap_or_default();
        let lacks = |file: &usize| held.within(layout.file_range(*file)).total() < layout.files()[*file].length;
        let is_there = |file: usize, proof: &Proof| {
            let mut candidates = has.get(&layout.files()[file].length).into_iter().flatten();
            candidates.any(|candidate| may_be(proof, &layout, file, &candidate.path))
        };
        let mut files = (0..layout.files().len()).filter(|file| wanted.get(*file).copied().unwrap_or(false)).filter(lacks);
        if !files.any(|file| is_there(file, &proof)) {
            return;
        }
        let mut state = self.state();
        let is_under_way = state.downloads.under_way().contains(&id);
        if is_under_way && let Err(problem) = self.take_up(&mut state, id) {
            tracing::warn!(%problem, id, "a download does not look at what is there");
        }
    }
}

fn add(found: &mut ByLength, length: u64, one: Elsewhere) {
    let all = found.entry(length).or_default();
    if all.len() < CANDIDATES_MAX && !all.contains(&one) {
        all.push(one);
    }
}
