//! The files of downloads: which are wanted, how much of each is there, and what is to be changed about that while a download runs.

use std::sync::Arc;

use hexad_api::node::{Download, DownloadChange, DownloadFile, DownloadState, FileQuery, FileTurn, NewDownload, Page};
use hexad_api::{Problem, Selection};
use hexad_content::{Layout, Ranges};

use super::downloads::Item;
use super::{House, State, cut};
use crate::description::paths;
use crate::session::Happening;
use crate::shelf::Key;

/// Peers and selections that a request may name.
const NAMED_MAX: usize = 1000;

/// What a download holds, as its owner wants it.
pub(super) struct Holding {
    layout: Arc<Layout>,
    paths: Vec<Option<String>>,
    pub(super) wanted: Vec<bool>,
}

impl Holding {
    /// The files of `layout` and which of them `select` names; none where it names nothing that is there.
    pub(super) fn of(layout: Arc<Layout>, select: &[String]) -> Self {
        let paths = paths(&layout);
        let wanted = Selection { patterns: select.to_vec() }.mask(&paths).unwrap_or_else(|_| vec![false; paths.len()]);
        Self { layout, paths, wanted }
    }

    /// Files, and those of them that are wanted; padding left out.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.paths.iter().flatten().count(), self.wanted.iter().filter(|wanted| **wanted).count())
    }

    pub(super) fn wanted_bytes(&self) -> u64 {
        self.layout.files().iter().zip(&self.wanted).filter(|(_, wanted)| **wanted).map(|(file, _)| file.length).sum()
    }

    /// Of each file, how much of it is in `held`.
    fn verified(&self, held: &Ranges) -> Vec<u64> {
        (0..self.paths.len()).map(|file| held.within(self.layout.file_range(file)).total()).collect()
    }

    fn page(&self, item: &Item, held: Option<&Ranges>, query: &FileQuery) -> Page<DownloadFile> {
        let how = &item.kept.request.how;
        let mask = |patterns: &[String]| {
            let named = (!patterns.is_empty()).then(|| Selection { patterns: patterns.to_vec() }.mask(&self.paths).ok()).flatten();
            named.unwrap_or_else(|| vec![false; self.paths.len()])
        };
        let (first, last) = (mask(&how.first), mask(&how.last));
        let q = query.q.as_ref().map(|q| q.to_lowercase()).unwrap_or_default();
        let named = self.paths.iter().enumerate().filter_map(|(index, path)| Some((index, path.as_ref()?)));
        let found: Vec<(usize, &String)> = named.filter(|(_, path)| q.is_empty() || path.to_lowercase().contains(&q)).collect();
        let view = |&(index, path): &(usize, &String)| {
            let length_bytes = self.layout.files()[index].length;
            let verified_bytes = match held {
                Some(held) => Some(held.within(self.layout.file_range(index)).total()),
                None if item.is_complete() && self.wanted[index] => Some(length_bytes),
                None => item.kept.verified_of_files.get(index).copied(),
            };
            let turn = if first[index] {
                FileTurn::First
            } else if last[index] {
                FileTurn::Last
            } else {
                FileTurn::Usual
            };
            DownloadFile { index, path: path.clone(), length_bytes, verified_bytes, wanted: self.wanted[index], turn }
        };
        let items = found.iter().skip(query.offset).take(cut(query.limit.unwrap_or(100))).map(view).collect();
        Page { total: found.len(), offset: query.offset, items }
    }
}

impl House {
    /// What a download holds, where that is known. The last one that was looked at is at hand.
    pub(super) fn holding(&self, state: &mut State, id: u64) -> Result<Option<Holding>, Problem> {
        let select = state.downloads.find(id)?.kept.request.select.clone();
        Ok(self.layout_of(state, id).map(|layout| Holding::of(layout, &select)))
    }

    fn layout_of(&self, state: &mut State, id: u64) -> Option<Arc<Layout>> {
        if let Some((_, layout)) = state.looked_at.as_ref().filter(|(looked_at, _)| *looked_at == id) {
            return Some(layout.clone());
        }
        let layout = self.store.content_of_download(id)?.shape.layout;
        state.looked_at = Some((id, layout.clone()));
        Some(layout)
    }

    /// What is good of a download that runs.
    pub(super) fn held(&self, state: &mut State, id: u64) -> Result<Option<Ranges>, Problem> {
        let share = state.downloads.find(id)?.share;
        Ok(share.and_then(|share| self.with(|session| session.transfers.held(share)).ok().flatten()))
    }

    pub(super) fn files(&self, id: u64, query: &FileQuery) -> Result<Page<DownloadFile>, Problem> {
        let mut state = self.state();
        let held = self.held(&mut state, id)?;
        let Some(holding) = self.holding(&mut state, id)? else {
            return Ok(Page { total: 0, offset: query.offset, items: Vec::new() });
        };
        Ok(holding.page(state.downloads.find(id)?, held.as_ref(), query))
    }

    /// Lets a download rest; what is there of its files stays known.
    pub(super) fn rest(&self, state: &mut State, id: u64) -> Result<(), Problem> {
        let held = self.held(state, id)?;
        if let (Some(held), Some(holding)) = (&held, self.holding(state, id)?) {
            state.downloads.find(id)?.kept.verified_of_files = holding.verified(held);
        }
        let shelved = state.downloads.find(id)?.shelved;
        let op = state.downloads.rest(id, held.as_ref())?;
        self.stop_task(op);
        if shelved {
            self.tell(Happening::Withdraw(vec![Key::Download(id)]));
        }
        Ok(())
    }

    /// Carries out a download in another way from here on.
    ///
    /// # Errors
    /// When a selection names nothing that is there; nothing is changed then.
    pub(super) fn change(&self, id: u64, change: DownloadChange) -> Result<Download, Problem> {
        let mut state = self.state();
        let layout = self.layout_of(&mut state, id);
        let item = state.downloads.find_still(id)?;
        let before = item.kept.request.clone();
        let request = changed(before.clone(), change)?;
        let Some(layout) = layout else {
            item.kept.request = request;
            let is_other = item.kept.request.select != before.select;
            if is_other && item.op.is_some() {
                self.take_up(&mut state, id)?;
            } else {
                self.tell_change(&mut state, id)?;
            }
            state.downloads.touch(id);
            return state.downloads.view(id);
        };
        let files = paths(&layout);
        for patterns in [&request.select, &request.how.first, &request.how.last] {
            if let Err(wrong) = (Selection { patterns: patterns.clone() }).mask(&files) {
                let hint = format!("hexad downloads files {id}, or api/downloads/{id}/files, lists them");
                return Err(Problem::new(wrong.to_string()).hint(hint));
            }
        }
        let (had, wants) = (Holding::of(layout.clone(), &before.select), Holding::of(layout, &request.select));
        let differs = had.wanted != wants.wanted;
        let adds = wants.wanted.iter().zip(&had.wanted).any(|(wants, had)| *wants && !had);
        let how_differs = before.how != request.how;
        item.kept.request = request;
        let (is_whole, rests) =
            (item.is_complete() && !adds, matches!(item.state(), DownloadState::Queued | DownloadState::Paused | DownloadState::Failed));
        if differs {
            item.kept.rewant(wants.wanted_bytes(), &wants.wanted, adds);
        }
        let (runs, gives, is_given) = (item.op.is_some() || item.shelved, item.seeds(), item.state() == DownloadState::Seeding);
        let waits = item.state() == DownloadState::Queued;
        if waits && is_whole && !gives {
            self.rest(&mut state, id)?;
        } else if rests {
            // It is carried out so when somebody goes on with it, or it is its turn.
        } else if is_whole {
            // It has all that is wanted; what it has beyond that it gives on as before.
            if !gives && (runs || is_given) {
                self.rest(&mut state, id)?;
            } else if gives && (!runs || item.shelved && how_differs) {
                self.take_up(&mut state, id)?;
            } else {
                self.tell_change(&mut state, id)?;
            }
        } else if differs {
            self.take_up(&mut state, id)?;
        } else {
            self.tell_change(&mut state, id)?;
        }
        state.downloads.touch(id);
        state.downloads.view(id)
    }

    /// Stops a download's task and begins one that does as is wanted; what was verified is found again in its folder.
    pub(super) fn take_up(&self, state: &mut State, id: u64) -> Result<(), Problem> {
        self.rest(state, id)?;
        if let Err(problem) = self.begin_download(state, id) {
            state.downloads.fail(id, problem);
        }
        Ok(())
    }

    /// Tells a download's task, where it has one, how it is to go on.
    fn tell_change(&self, state: &mut State, id: u64) -> Result<(), Problem> {
        let item = state.downloads.find(id)?;
        if let Some(op) = item.op {
            let seed = item.kept.request.seed == Some(true);
            self.tell(Happening::Change { op, how: Box::new(item.how_left()), seed });
        }
        Ok(())
    }
}

/// `request` with what is to be different about it.
fn changed(mut request: NewDownload, change: DownloadChange) -> Result<NewDownload, Problem> {
    if let Some(how) = change.how {
        // A goal of giving is for whoever gives.
        request.seed = if how.has_goal() { Some(true) } else { request.seed };
        request.how = how;
    }
    request.select = change.select.unwrap_or(request.select);
    request.seed = change.seed.or(request.seed);
    check_named(&request)?;
    Ok(request)
}

/// No request names more than somebody would.
pub(super) fn check_named(request: &NewDownload) -> Result<(), Problem> {
    let ordered = request.how.first.len().saturating_add(request.how.last.len());
    if request.peers.len() > NAMED_MAX || request.select.len() > NAMED_MAX || ordered > NAMED_MAX {
        return Err(Problem::new(format!("expected at most {NAMED_MAX} peers and selections, came more")).hint("name fewer"));
    }
    Ok(())
}
