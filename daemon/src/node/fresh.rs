//! Files that somebody may still be writing to: whether they have stood as they are for long enough.
//!
//! Dates tell that at once of files that are old. Where they tell of a moment ago, or of a time to come (the clock was set back, or another machine
//! wrote them by its own), a file is settled when it has not changed between two looks that are so far apart.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::scan::Stamp;

/// What was seen of files whose dates do not tell; as many as there are in one look.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    before: BTreeMap<PathBuf, (Stamp, Instant)>,
    seen: BTreeMap<PathBuf, (Stamp, Instant)>,
}

/// One look at files.
pub(super) struct Look<'a> {
    fresh: &'a mut Fresh,
    quiet: Duration,
    wall: SystemTime,
    now: Instant,
}

impl Fresh {
    /// Begins to look, when the clock on the wall shows `wall`; files are settled that were not written to for `quiet`.
    pub(super) fn look(&mut self, quiet: Duration, wall: SystemTime) -> Look<'_> {
        self.before = std::mem::take(&mut self.seen);
        Look { fresh: self, quiet, wall, now: Instant::now() }
    }
}

impl Look<'_> {
    /// Whether nobody has written to a file for long enough.
    pub(super) fn is_settled(&mut self, path: &Path, found: &Metadata) -> bool {
        let age = found.modified().ok().and_then(|at| self.wall.duration_since(at).ok());
        if self.quiet.is_zero() || age.is_some_and(|age| age >= self.quiet) {
            return true;
        }
        let stamp = Stamp::of_file(found);
        let since = self.fresh.before.get(path).filter(|(before, _)| *before == stamp).map_or(self.now, |(_, since)| *since);
        self.fresh.seen.insert(path.to_owned(), (stamp, since));
        self.now.duration_since(since) >= self.quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_time_to_come_is_settled_when_it_stands_as_it_stood() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("a");
        std::fs::write(&path, "a").expect("written");
        let found = || std::fs::metadata(&path).expect("it is there");
        let mut fresh = Fresh::default();
        let (quiet, year) = (Duration::from_millis(1), Duration::from_secs(365 * 86_400));
        let wall = SystemTime::now() - year;
        assert!(!fresh.look(quiet, wall).is_settled(&path, &found()));
        let mut look = fresh.look(quiet, wall);
        look.now += quiet;
        assert!(look.is_settled(&path, &found()));
        std::fs::write(&path, "other").expect("written");
        let mut look = fresh.look(quiet, wall);
        look.now += quiet;
        assert!(!look.is_settled(&path, &found()), "somebody writes to it");
        // By its date an old one is settled at once.
        assert!(Fresh::default().look(quiet, wall + year * 2).is_settled(&path, &found()));
    }
}
