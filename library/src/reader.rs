//! Reads ranges of a layout from its files.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hexad_content::{FileSpan, Layout};
use rustix::fs::OFlags;

use crate::ShareError;

/// Why a range could not be read.
pub(crate) enum Trouble {
    /// Its bytes are not there.
    Lacking(ShareError),
    /// They may be there, and cannot be read.
    Broken(ShareError),
}

/// Reads ranges of a layout. Keeps the latest file open, so ranges that follow each other open each file once, and the system sees
/// one reader going forward.
pub(crate) struct Reader<'a> {
    layout: &'a Layout,
    paths: &'a [Option<PathBuf>],
    open: Option<(usize, File)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(layout: &'a Layout, paths: &'a [Option<PathBuf>]) -> Self {
        Self { layout, paths, open: None }
    }

    /// Fills `row`, which is as long as `range`, with its bytes.
    pub(crate) fn fill(&mut self, range: Range<u64>, row: &mut [u8]) -> Result<(), Trouble> {
        let layout = self.layout;
        let mut rest = row;
        for span in layout.spans(range) {
            // A span is no longer than the row.
            let (here, after) = rest.split_at_mut(span.length as usize);
            if layout.files()[span.file].padding {
                here.fill(0)
            } else {
                self.read(&span, here)?
            }
            rest = after;
        }
        Ok(())
    }

    fn read(&mut self, span: &FileSpan, row: &mut [u8]) -> Result<(), Trouble> {
        let Some(path) = &self.paths[span.file] else {
            let path = self.layout.files()[span.file].path.iter().collect();
            return Err(Trouble::Lacking(ShareError::Missing { path }));
        };
        let file = match &mut self.open {
            Some((index, file)) if *index == span.file => file,
            open => &mut open.insert((span.file, opened(path)?)).1,
        };
        let mut filled = 0;
        while filled < row.len() {
            let offset = span.offset + filled as u64;
            match file.read_at(&mut row[filled..], offset) {
                Ok(0) => {
                    let expected = self.layout.files()[span.file].length;
                    let found = file.metadata().map_or(offset, |metadata| metadata.len());
                    return Err(Trouble::Lacking(ShareError::Changed { path: path.clone(), expected, found }));
                }
                Ok(bytes) => filled += bytes,
                Err(wrong) if wrong.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Trouble::Broken(ShareError::Io { path: path.clone(), source })),
            }
        }
        Ok(())
    }
}

fn opened(path: &Path) -> Result<File, Trouble> {
    // Without NONBLOCK a pipe in place of a file would be waited for.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let not_a_file = || Trouble::Lacking(ShareError::NotAFile { path: path.to_owned(), found: "something else" });
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Trouble::Lacking(ShareError::Missing { path: path.to_owned() }),
        _ => Trouble::Broken(ShareError::Io { path: path.to_owned(), source }),
    };
    let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() { Ok(file) } else { Err(not_a_file()) }
}
