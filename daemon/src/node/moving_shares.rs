//! Shares on their way to another folder, as downloads are ([`super::moving`]): with their files goes what is known of them, so that nothing is hashed again.
//!
//! Only what is offered is moved, and only its own files: what else stands in a folder stays. Whoever writes to a file meanwhile undoes it, since what is
//! known would not hold of it any more. A scan that was begun before a move was, or before it was over, counts for nothing ([`Library::moves`]).
//!
//! [`Library::moves`]: super::library::Library

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hexad_api::node::Share;
use hexad_api::{Problem, ProblemKind};
use hexad_content::{Layout, Proof, SafeNames};
use hexad_core::ShareId;
use hexad_driver::transfers::{Relocation, Target};
use serde::{Deserialize, Serialize};

use super::hashing::{paths_at, prepared};
use super::library::Kept;
use super::moving::{PATIENCE, Trouble, full_path};
use super::scan::{Stamp, stamp_of};
use super::store::Content;
use super::work::Turn;
use super::{House, sounds_of};
use crate::description::identity_in_folder;
use crate::session::Happening;
use crate::shelf::Key;
use crate::source::plain;

/// Where a share comes from and goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moving {
    from: PathBuf,
    pub(super) to: PathBuf,
    /// What its files looked like when it was begun.
    mark: u64,
}

impl House {
    /// Has a share moved to another folder.
    pub(super) fn begin_moving_share(self: &Arc<Self>, id: u64, into: &str) -> Result<Share, Problem> {
        let asked = full_path(into)?;
        let (path, stamp) = {
            let state = self.state();
            let item = state.library.still(id)?;
            (item.path.clone(), item.stamp)
        };
        let conflict = |message: String, hint: &str| Err(Problem::new(message).hint(hint).kind(ProblemKind::Conflict));
        let within = |to: &Path| {
            let message = format!("{} cannot be moved into itself", path.display());
            if to.starts_with(&path) { Err(Problem::new(message).hint("name a folder beside it")) } else { Ok(()) }
        };
        within(asked)?;
        let to = fs::create_dir_all(asked)
            .and_then(|()| fs::canonicalize(asked))
            .map_err(|wrong| Problem::new(format!("{into} cannot be made: {}", plain(&wrong))).hint("may this program write there?"))?;
        within(&to)?;
        if stamp_of(&path) != Some(stamp) {
            let _ = self.turns.send(Turn::Rescan);
            return conflict(format!("{} is not what it was when it was hashed", path.display()), "wait until it is offered again");
        }
        // What was hashed a moment ago may not be kept yet.
        self.flush();
        let known = self.store.share::<Kept>(id);
        let mut state = self.state();
        let item = state.library.still(id)?;
        let (Some((before, content)), true) = (known, item.is_offered()) else {
            return conflict(format!("{} is not offered", path.display()), "wait until it is hashed");
        };
        let from = item.path.parent().map(Path::to_owned).unwrap_or_default();
        if from == to {
            return state.library.view(id);
        }
        if let Some(download) = state.downloads.standing_at(&item.path) {
            return conflict(
                format!("{} is where download {download} has put it", path.display()),
                &format!("`hexad downloads move {download}` moves both"),
            );
        }
        let Some(mark) = mark_of(&content.shape.layout, &path) else {
            return conflict(format!("{} cannot be looked at", path.display()), "is it still there?");
        };
        state.library.set_moving(id, Some(Moving { from, to, mark }));
        let keep = state.library.keep(id, before.music, Some(&content));
        state.keep.extend(keep);
        let view = state.library.view(id);
        drop(state);
        self.flush();
        self.spawn_share_mover(id, false)?;
        view
    }

    /// Goes on with a move that an earlier run of the node has begun.
    pub(super) fn go_on_moving_share(self: &Arc<Self>, id: u64) {
        if let Err(problem) = self.spawn_share_mover(id, true) {
            tracing::warn!(%problem, id, "a share cannot be moved on");
        }
    }

    fn spawn_share_mover(self: &Arc<Self>, id: u64, resumes: bool) -> Result<(), Problem> {
        let house = self.clone();
        self.spawn_mover(move || house.carry_share(id, resumes))
    }

    /// The life of the thread that moves one.
    fn carry_share(&self, id: u64, resumes: bool) {
        let outcome = self.relocate_share(id, resumes).map_err(Problem::from);
        if outcome.is_err() && self.ending.load(Ordering::Acquire) {
            // The next run of the node goes on with it.
            return;
        }
        let mut state = self.state();
        let Some(moving) = state.library.set_moving(id, None) else { return };
        match outcome {
            Ok(()) => tracing::info!(id, from = %moving.from.display(), to = %moving.to.display(), "a share was moved"),
            Err(problem) => {
                tracing::warn!(id, %problem, "a share could not be moved");
                let message = format!(
                    "it could not be moved to {}, and is still in {}: {}",
                    moving.to.display(),
                    moving.from.display(),
                    problem.message
                );
                state.library.set_problem(id, Problem { message, ..problem });
                if let Some(prepared) = self.offer_of(&state, id) {
                    self.tell(Happening::Withdraw(vec![Key::Share(id)]));
                    self.tell(Happening::Offer(vec![(Key::Share(id), prepared)]));
                }
            }
        }
        if let Some((before, content)) = self.store.share::<Kept>(id) {
            let keep = state.library.keep(id, before.music, Some(&content));
            state.keep.extend(keep);
        }
        drop(state);
        self.flush();
        let _ = self.turns.send(Turn::Rescan);
    }

    fn relocate_share(&self, id: u64, resumes: bool) -> Result<(), Trouble> {
        let unknown = || Problem::new("what it holds is not known");
        let (before, content) = self.store.share::<Kept>(id).ok_or_else(unknown)?;
        let (path, moving) = {
            let state = self.state();
            let item = state.library.item(id).ok_or_else(unknown)?;
            (item.path.clone(), item.moving.as_deref().cloned().ok_or_else(unknown)?)
        };
        let layout = content.shape.layout.clone();
        let root = path.file_name().and_then(|name| name.to_str()).ok_or_else(unknown)?.to_owned();
        let elements = |path: PathBuf| path.iter().map(|element| element.to_string_lossy().into_owned()).collect();
        let paths = paths_at(&layout, Path::new(&root)).into_iter().map(|path| path.map(elements)).collect();
        let proof = content.shape.proof.clone().unwrap_or_else(|| Proof::Unproven { total_bytes: layout.total_bytes() });
        let target = Target {
            share: ShareId(0),
            wanted: vec![true; layout.files().len()],
            identity: identity_in_folder(&content.shape.digests, &proof),
            names: SafeNames { paths, root: root.clone(), renamed: Vec::new() },
            layout,
            proof,
            folder: moving.from.clone(),
        };
        let relocation = Relocation::of(&target, &moving.to)?;
        if path.parent() == Some(&moving.to) {
            relocation.clear();
            return Ok(());
        }
        relocation.check(resumes)?;
        let done = AtomicU64::new(0);
        let step = |bytes: u64| {
            // Everything is copied, and then compared.
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.state().library.on_moved(id, done / 2);
            !self.ending.load(Ordering::Acquire)
        };
        relocation.copy_ahead(&step)?;
        if !relocation.copies() {
            // What is renamed is gone from its place before anybody can be told.
            self.tell(Happening::Withdraw(vec![Key::Share(id)]));
        }
        let stands = if relocation.copies() { &moving.from } else { &moving.to };
        let stands = stands.join(&root);
        let place = moving.to.join(&root);
        relocation.finish(resumes, PATIENCE, &step, || {
            if mark_of(&target.layout, &stands) != Some(moving.mark) {
                return Err(Trouble::from(Problem::new("somebody has written to it meanwhile").hint("move it once it is hashed again")));
            }
            let stamp = stamp_of(&place).ok_or_else(|| Problem::new(format!("{} cannot be looked at", place.display())))?;
            Ok(self.note_share_moved(id, before, &content, &place, stamp)?)
        })
    }

    /// Keeps that it stands elsewhere, and offers it from there.
    fn note_share_moved(&self, id: u64, before: Kept, content: &Content, place: &Path, stamp: Stamp) -> Result<(), Problem> {
        let mut state = self.state();
        let sounds = sounds_of(&before);
        let watched = place.is_file() && state.library.is_watched(place);
        let stood = state.library.relocate(id, place, stamp, watched);
        if let Some(keep) = state.library.keep(id, before.music, Some(content))
            && let Err(problem) = self.keep_now(&mut state, &keep)
        {
            if let Some((path, stamp, watched)) = stood {
                state.library.relocate(id, &path, stamp, watched);
            }
            return Err(problem);
        }
        let paths = paths_at(&content.shape.layout, place);
        self.tell(Happening::Withdraw(vec![Key::Share(id)]));
        self.tell(Happening::Offer(vec![(Key::Share(id), prepared(content.clone(), paths, sounds))]));
        Ok(())
    }
}

/// A number that changes when a file of what stands at `path` is written to, and not when it is moved; `None` when one is not there.
fn mark_of(layout: &Layout, path: &Path) -> Option<u64> {
    paths_at(layout, path).iter().flatten().try_fold(17, |all: u64, path| {
        let Stamp { bytes, mark, .. } = Stamp::of_file(&fs::metadata(path).ok()?);
        Some(all.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(mark).wrapping_mul(31).wrapping_add(bytes))
    })
}
