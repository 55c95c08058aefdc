//! A folder whose .torrent files, and the links in whose .magnet files, are fetched.
//!
//! What is taken up is called `NAME.added` from then on, what cannot be is called `NAME.refused`. A download is kept before its file has its other name, so
//! that a node that is killed in between neither loses it nor begins it twice.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hexad_api::Problem;
use hexad_api::node::{Download, NewDownload};
use hexad_content::Magnet;

use super::House;
use super::fresh::Fresh;
use crate::source::plain;

/// Files that are taken up in one round; the others wait for the next.
const ROUND_MAX: usize = 100;

/// What stands in `folder` to be taken up, and was not written to for a while.
fn letters(folder: &Path, fresh: &mut Fresh, quiet: Duration, wall: SystemTime) -> io::Result<Vec<PathBuf>> {
    let mut look = fresh.look(quiet, wall);
    let is_one = |path: &PathBuf| {
        let suffix = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        let hidden = path.file_name().and_then(OsStr::to_str).is_none_or(|name| name.starts_with('.'));
        let is_named = matches!(suffix.as_deref(), Some("torrent" | "magnet")) && !hidden;
        is_named && fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && look.is_settled(path, &found))
    };
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one).collect();
    found.sort();
    found.truncate(ROUND_MAX);
    Ok(found)
}

fn called(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What a file wants to have fetched. A .torrent is read under its later name.
fn source_of(path: &Path) -> io::Result<String> {
    if path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("magnet")) {
        let mut text = String::new();
        fs::File::open(path)?.take(Magnet::TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
        return Ok(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned());
    }
    let added = called(path, ".added");
    if !fs::symlink_metadata(&added).is_ok_and(|found| found.is_file()) && fs::hard_link(path, &added).is_err() {
        fs::copy(path, &added)?;
    }
    added.into_os_string().into_string().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "its name is not written in UTF-8"))
}

impl House {
    /// Takes up what somebody has put there.
    pub(super) fn empty_inbox(&self, folder: &Path, fresh: &mut Fresh) {
        let found = letters(folder, fresh, self.given.quiet, self.given.wall.now());
        let trouble = |path: &Path, wrong: &io::Error| Problem::new(format!("{} cannot be taken up: {}", path.display(), plain(wrong)));
        let paths = found.unwrap_or_else(|wrong| {
            self.warn(trouble(folder, &wrong).message);
            Vec::new()
        });
        for path in paths {
            let taken = source_of(&path).map_err(|wrong| trouble(&path, &wrong)).and_then(|source| self.enter_once(source));
            let moved = match &taken {
                // Two names of one file cannot be renamed into each other.
                Ok(()) if called(&path, ".added").is_file() => fs::remove_file(&path),
                Ok(()) => fs::rename(&path, called(&path, ".added")),
                Err(problem) => {
                    self.warn(format!("{}: {}", path.display(), problem.message));
                    fs::rename(&path, called(&path, ".refused"))
                }
            };
            if let Err(wrong) = moved {
                self.warn(trouble(&path, &wrong).message);
            }
        }
    }

    fn enter_once(&self, source: String) -> Result<(), Problem> {
        let known = {
            let mut state = self.state();
            let ids = state.downloads.ids();
            ids.into_iter().any(|id| state.downloads.find(id).is_ok_and(|item| item.kept.request.source == source))
        };
        if known { Ok(()) } else { self.enter(NewDownload { source, ..NewDownload::default() }).map(drop) }
    }

    /// Begins a download and keeps that: whoever is told that it has begun finds it after a power cut.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub(super) fn enter(&self, mut download: NewDownload) -> Result<Download, Problem> {
        if download.source.trim().is_empty() {
            return Err(
                Problem::new("expected a source, came none").hint("a magnet link, a .torrent, its address, or a network's own link")
            );
        }
        let mut state = self.state();
        let base = PathBuf::from(&state.settings.download_dir);
        let into = download.into.as_ref().map_or(base.clone(), |into| base.join(into));
        download.into = Some(into.display().to_string());
        // A goal of giving is for whoever gives.
        download.seed = Some(download.how.has_goal() || download.seed.unwrap_or(state.settings.seed));
        let id = state.downloads.add(download)?;
        if let Err(problem) = self.begin_download(&mut state, id) {
            drop(state.downloads.remove(id));
            return Err(problem);
        }
        let view = state.downloads.view(id);
        drop(state);
        self.flush();
        view
    }

    fn warn(&self, message: String) {
        self.state().warn(message);
    }
}
