//! Downloads on their way to another folder. That one is on its way is kept before anything is moved, and where it stands before anything goes from the old
//! folder: a node that was killed goes on with it when it starts again.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use hexad_api::node::Download;
use hexad_api::{Problem, ProblemKind};
use hexad_content::{Proof, safe_names};
use hexad_core::ShareId;
use hexad_driver::transfers::{Relocation, StoreError, Target};
use serde::{Deserialize, Serialize};

use super::House;
use super::store::{Keep, json};
use crate::description::identity_in_folder;
use crate::fetch::folder::UNPROVEN;

/// How long the end of a task is waited for: it lets peers go, and verifies what is whole.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a download comes from and goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moving {
    pub(super) from: String,
    pub(super) to: String,
    /// Whether it is to go on afterwards; nothing while it still does.
    runs: Option<bool>,
}

impl Moving {
    /// It is to go on when it is there.
    pub(super) fn comes_back(&self) -> bool {
        self.runs == Some(true)
    }
}

/// Why a move has ended early.
pub(super) enum Trouble {
    Store(StoreError),
    Other(Problem),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => Self { hint: error.hint(), ..Self::new(error.to_string()) },
            Trouble::Other(problem) => problem,
        }
    }
}

/// A path as the node's machine has it, whatever folder the node runs in.
pub(super) fn full_path(given: &str) -> Result<&Path, Problem> {
    let path = Path::new(given);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Problem::new(format!("expected a full path, came '{given}'")).hint("begin it with /"))
}

impl House {
    /// Has a download moved to another folder.
    pub(super) fn begin_moving(self: &Arc<Self>, id: u64, into: &str) -> Result<Download, Problem> {
        full_path(into)?;
        let mut state = self.state();
        let known = self.store.content_of_download(id).is_some();
        let item = state.downloads.find_still(id)?;
        let from = item.kept.request.into.clone().unwrap_or_default();
        if Path::new(&from) == Path::new(into) {
            return state.downloads.view(id);
        }
        if !known {
            // Nothing of it is anywhere yet.
            item.kept.request.into = Some(into.to_owned());
            if item.op.is_some() {
                self.take_up(&mut state, id)?;
            }
            state.downloads.touch(id);
            return state.downloads.view(id);
        }
        item.kept.moving = Some(Moving { from, to: into.to_owned(), runs: None });
        state.downloads.touch(id);
        let view = state.downloads.view(id);
        drop(state);
        self.flush();
        self.spawn_download_mover(id, false)?;
        view
    }

    /// Goes on with a move that an earlier run of the node has begun.
    pub(super) fn go_on_moving(self: &Arc<Self>, id: u64) {
        if let Err(problem) = self.spawn_download_mover(id, true) {
            tracing::warn!(%problem, id, "a download cannot be moved on");
        }
    }

    fn spawn_download_mover(self: &Arc<Self>, id: u64, resumes: bool) -> Result<(), Problem> {
        let house = self.clone();
        self.spawn_mover(move || house.carry(id, resumes))
    }

    /// Begins a thread that moves something.
    pub(super) fn spawn_mover(&self, run: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
        let spawned = thread::Builder::new().name("hexad-move".to_owned()).spawn(run);
        let thread = spawned.map_err(|wrong| Problem::new(format!("a thread cannot be started: {wrong}")).kind(ProblemKind::Internal))?;
        let mut movers = self.movers.lock().unwrap_or_else(PoisonError::into_inner);
        movers.retain(|mover| !mover.is_finished());
        movers.push(thread);
        Ok(())
    }

    /// The life of the thread that moves one.
    fn carry(&self, id: u64, resumes: bool) {
        let outcome = self.relocate(id, resumes).map_err(Problem::from);
        if outcome.is_err() && self.ending.load(Ordering::Acquire) {
            // The next run of the node goes on with it.
            return;
        }
        let mut state = self.state();
        let Ok(item) = state.downloads.find(id) else { return };
        let Some(moving) = item.kept.moving.take() else { return };
        let stands = item.kept.request.into.clone().unwrap_or_default();
        match outcome {
            Ok(()) => tracing::info!(id, from = moving.from, to = moving.to, "a download was moved"),
            Err(problem) => {
                tracing::warn!(id, %problem, "a download could not be moved");
                let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                item.warn(format!("it could not be moved to {}, and is still in {stands}: {}{hint}", moving.to, problem.message));
            }
        }
        // Where it never rested it goes on by itself, unless it is the run before that has left it.
        let runs = moving.runs.unwrap_or(resumes && !item.is_over());
        if runs && let Err(problem) = self.begin_download(&mut state, id) {
            state.downloads.fail(id, problem);
        }
        state.downloads.touch(id);
        drop(state);
        self.flush();
    }

    fn relocate(&self, id: u64, resumes: bool) -> Result<(), Trouble> {
        let content = self.store.content_of_download(id).ok_or_else(|| Problem::new("what it holds is not known"))?;
        let (moving, stands) = {
            let mut state = self.state();
            let item = state.downloads.find(id)?;
            let moving = item.kept.moving.clone().ok_or_else(|| Problem::new("it is not on its way"))?;
            (moving, item.kept.request.into.clone().unwrap_or_default())
        };
        let layout = content.shape.layout;
        let proof = content.shape.proof.unwrap_or_else(|| Proof::Unproven { total_bytes: layout.total_bytes() });
        let below = |folder: &str| if proof.is_proof() { PathBuf::from(folder) } else { Path::new(folder).join(UNPROVEN) };
        let (folder, to) = (below(&moving.from), below(&moving.to));
        let identity = identity_in_folder(&content.shape.digests, &proof);
        let (names, wanted) = (safe_names(&layout), vec![true; layout.files().len()]);
        let root = names.root.clone();
        if !folder.is_dir() {
            // Nothing of it was ever written.
            return self.note_moved(id, &moving, &to.join(root)).map_err(Trouble::from);
        }
        let target = Target { share: ShareId(0), layout, proof, names, wanted, folder, identity };
        let relocation = Relocation::of(&target, &to)?;
        if stands == moving.to {
            relocation.clear();
            return Ok(());
        }
        relocation.check(resumes)?;
        let go_on = |_| !self.ending.load(Ordering::Acquire);
        // Others read and write what is there meanwhile.
        relocation.copy_ahead(&go_on)?;
        {
            let mut state = self.state();
            let item = state.downloads.find(id)?;
            let runs = item.op.is_some() || item.shelved || !item.is_over();
            if let Some(moving) = item.kept.moving.as_mut().filter(|moving| moving.runs.is_none()) {
                moving.runs = Some(runs);
            }
            if runs {
                self.rest(&mut state, id)?;
            }
            state.downloads.touch(id);
        }
        self.flush();
        relocation.finish(resumes, PATIENCE, &go_on, || self.note_moved(id, &moving, &to.join(root)).map_err(Trouble::from))
    }

    /// Keeps that it stands elsewhere.
    fn note_moved(&self, id: u64, moving: &Moving, root: &Path) -> Result<(), Problem> {
        let mut state = self.state();
        let item = state.downloads.find(id)?;
        let before = item.kept.clone();
        item.kept.request.into = Some(moving.to.clone());
        if item.kept.path.is_some() {
            item.kept.path = Some(root.display().to_string());
        }
        let keep = Keep::Download(id, json(&item.kept));
        let kept = self.keep_now(&mut state, &keep);
        if kept.is_err() {
            state.downloads.find(id)?.kept = before;
        }
        kept
    }
}
