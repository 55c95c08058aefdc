//! Files of a download that stand on this machine already, under other names: brought to where it wants them, so that nobody is asked for them.
//!
//! Whether a file is that file is for the download's own proof to say; names and lengths only say where to look. What is right is brought by reference
//! where the file system shares blocks between files, else by a second name where its owner allows that, else by a copy, which is then compared with
//! the proof as everything is that was there before. Who has to write to a file of several names gives it bytes of its own first ([`own_bytes`]).

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use hexad_content::{Layout, Proof};
use rustix::fs::{AtFlags, CWD, ioctl_ficlone, linkat};

use super::prepare::Target;
use super::relocate::{make_parent, rename, within};
use super::store::Books;

/// What is read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// A file that may be one of a download's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where it stands.
    pub path: PathBuf,
    /// Nobody writes to it any more: it may have a second name.
    pub may_link: bool,
}

/// By which way a file came to where a download wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The file system shares its blocks until somebody writes to one of the two.
    Reference,
    /// It is one file under two names.
    Name,
    /// It is there twice.
    Copy,
}

/// A file that was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Which of the layout.
    pub file: usize,
    /// Whence.
    pub from: PathBuf,
    /// How.
    pub way: Way,
}

/// The parts that lie within one file of a layout and prove something.
pub(crate) fn parts_within(proof: &Proof, layout: &Layout, file: usize) -> Vec<usize> {
    let range = layout.file_range(file);
    if range.is_empty() || !proof.is_proof() {
        return Vec::new();
    }
    let inside = |part: &usize| {
        let part = proof.part_range(*part);
        !part.is_empty() && range.start <= part.start && part.end <= range.end
    };
    (proof.part_at(range.start)..=proof.part_at(range.end - 1)).filter(inside).collect()
}

/// Whether what stands at `path` begins as that file of a download does: worth a closer look.
#[must_use]
pub fn may_be(proof: &Proof, layout: &Layout, file: usize, path: &Path) -> bool {
    let parts = parts_within(proof, layout, file);
    File::open(path).and_then(|open| is_file(&open, proof, layout, file, &parts[..parts.len().min(1)])).unwrap_or(false)
}

/// Whether an open file has the length of that file of a layout, and each of these parts of it.
fn is_file(open: &File, proof: &Proof, layout: &Layout, file: usize, parts: &[usize]) -> io::Result<bool> {
    let range = layout.file_range(file);
    let found = open.metadata()?;
    if parts.is_empty() || !found.is_file() || found.len() != range.end - range.start {
        return Ok(false);
    }
    let mut block = vec![0; BLOCK_BYTES];
    for &part in parts {
        let Some(mut check) = proof.check(part) else { return Ok(false) };
        let part = proof.part_range(part);
        let mut at = part.start;
        while at < part.end {
            let now = usize::try_from(part.end - at).unwrap_or(usize::MAX).min(BLOCK_BYTES);
            open.read_exact_at(&mut block[..now], at - range.start)?;
            check.update(&block[..now]);
            at += now as u64;
        }
        if !check.finish() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings a file of a download to its place, over what is there of it, from the first of `candidates` that is it.
///
/// # Errors
/// When nothing can be written there. All is as before then.
pub(crate) fn bring(target: &Target, dir: &Dir, books: &Books, file: usize, candidates: &[Elsewhere]) -> io::Result<Option<Brought>> {
    let (layout, proof) = (&target.layout, &target.proof);
    let Some(place) = target.names.paths[file].as_ref().map(|elements| elements.iter().collect::<PathBuf>()) else { return Ok(None) };
    let parts = parts_within(proof, layout, file);
    let there = dir.symlink_metadata(&place).ok();
    for candidate in candidates {
        let Ok(source) = File::open(&candidate.path) else { continue };
        let Ok(found) = source.metadata() else { continue };
        let is_itself = there.as_ref().is_some_and(|there| {
            use cap_std::fs::MetadataExt as _;
            (there.dev(), there.ino()) == (found.dev(), found.ino())
        });
        if is_itself || !is_file(&source, proof, layout, file, &parts).unwrap_or(false) {
            continue;
        }
        let beside = books.part.with_extension(format!("{file}.coming"));
        make_parent(dir, &beside)?;
        let brought = duplicate(&source, candidate, dir, &beside, layout.files()[file].executable).and_then(|way| {
            make_parent(dir, &place)?;
            match there {
                Some(_) => dir.rename(&beside, dir, &place)?,
                None => rename(dir, &beside, dir, &place)?,
            }
            Ok(way)
        });
        if brought.is_err() {
            let _ = dir.remove_file(&beside);
        }
        // Where nothing is to be written, there are no books; they are made again where they are wanted.
        let _ = dir.remove_dir(Books::FOLDER);
        return brought.map(|way| Some(Brought { file, from: candidate.path.clone(), way }));
    }
    Ok(None)
}

/// Makes `beside` what the open `source` is.
fn duplicate(source: &File, candidate: &Elsewhere, dir: &Dir, beside: &Path, executable: bool) -> io::Result<Way> {
    let _ = dir.remove_file(beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(if executable { 0o777 } else { 0o666 });
    let copy = dir.open_with(beside, &options)?.into_std();
    if ioctl_ficlone(&copy, source).is_ok() {
        return Ok(Way::Reference);
    }
    if candidate.may_link {
        dir.remove_file(beside)?;
        let (folder, name) = within(dir, beside)?;
        if linkat(CWD, &candidate.path, &folder, &name, AtFlags::empty()).is_ok() {
            use cap_std::fs::MetadataExt as _;
            let (linked, found) = (folder.symlink_metadata(&name)?, source.metadata()?);
            if (linked.dev(), linked.ino()) == (found.dev(), found.ino()) {
                return Ok(Way::Name);
            }
            // Something else has come to stand there meanwhile.
            folder.remove_file(&name)?;
        }
        let copy = dir.open_with(beside, &options)?.into_std();
        return copy_bytes(source, &copy).map(|()| Way::Copy);
    }
    copy_bytes(source, &copy).map(|()| Way::Copy)
}

/// The system copies, in the kernel where it can.
fn copy_bytes(mut source: &File, mut copy: &File) -> io::Result<()> {
    source.seek(SeekFrom::Start(0))?;
    io::copy(&mut source, &mut copy).map(|_| ())
}

/// Gives a file that has other names bytes of its own, so that writing to it changes nothing under those; whether it had any.
pub(crate) fn own_bytes(dir: &Dir, path: &Path, books: &Books, number: u32) -> io::Result<bool> {
    let source = dir.open(path)?.into_std();
    let found = source.metadata()?;
    if found.nlink() < 2 {
        return Ok(false);
    }
    let beside = books.part.with_extension(format!("{number}.own"));
    make_parent(dir, &beside)?;
    let copy = dir.create(&beside)?.into_std();
    let owned = (|| {
        if ioctl_ficlone(&copy, &source).is_err() {
            copy_bytes(&source, &copy)?;
        }
        copy.set_permissions(found.permissions())?;
        copy.sync_all()?;
        dir.rename(&beside, dir, path)
    })();
    if owned.is_err() {
        let _ = dir.remove_file(&beside);
    }
    owned.map(|()| true)
}
