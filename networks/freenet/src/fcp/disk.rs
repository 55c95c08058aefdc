//! Direct disk access: programs read and write files themselves, and have a node read and write beside them, in folders of which both have shown
//! each other that they can.

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use hexad_core::Map;

use super::codec::Message;
use super::codes::ProtocolError;
use super::words::protocol_error;
use crate::keys::sha256;

/// Folders of which one connection has shown that it can use them, or is about to.
const FOLDERS_MAX: usize = 64;
/// Length of the files with which that is shown.
const PROOF_BYTES_MAX: usize = 4096;

/// Why a file is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// Not within what programs may use.
    Denied,
    /// There is none.
    NotFound,
    /// There is one already.
    Exists,
    /// It is longer than asked for.
    TooLarge,
    /// Anything else.
    Other(String),
}

/// What programs may use of the disk; the host's.
pub trait Disk {
    /// Whether a path is that of a folder.
    ///
    /// # Errors
    /// When it is out of bounds.
    fn is_folder(&self, path: &str) -> Result<bool, DiskError>;

    /// What is in a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str, bytes_max: usize) -> Result<Bytes, DiskError>;

    /// Makes a file, which is not there yet.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<(), DiskError>;

    /// Removes a file that was made by [`Disk::create`].
    fn remove(&self, path: &str);

    /// Files below a folder, by their paths within it.
    ///
    /// # Errors
    /// When it cannot be looked through, or there are more.
    fn files(&self, folder: &str, files_max: usize) -> Result<Vec<String>, DiskError>;
}

/// Programs may use nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDisk;

impl Disk for NoDisk {
    fn is_folder(&self, _: &str) -> Result<bool, DiskError> {
        Err(DiskError::Denied)
    }

    fn read(&self, _: &str, _: usize) -> Result<Bytes, DiskError> {
        Err(DiskError::Denied)
    }

    fn create(&self, _: &str, _: &[u8]) -> Result<(), DiskError> {
        Err(DiskError::Denied)
    }

    fn remove(&self, _: &str) {}

    fn files(&self, _: &str, _: usize) -> Result<Vec<String>, DiskError> {
        Err(DiskError::Denied)
    }
}

/// What a program has shown of one folder.
#[derive(Clone, Debug, Default)]
struct Folder {
    /// The file that we have made, which it is to read.
    ours: Option<(String, String)>,
    /// The file that it is to make, and what is to be in it.
    theirs: Option<(String, String)>,
    may_read: bool,
    may_write: bool,
}

/// What one connection may do with the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    /// It has shown all that before.
    all: bool,
    folders: Map<String, Folder>,
    tests: u64,
}

impl Access {
    /// For a request that was let through when it was made.
    pub(super) const fn all() -> Self {
        Self { all: true, folders: Map::new(), tests: 0 }
    }

    /// Whether it may read that file.
    pub(super) fn may_read(&self, path: &str) -> bool {
        self.all || self.folders.get(folder_of(path)).is_some_and(|folder| folder.may_read)
    }

    /// Whether it may have that file written.
    pub(super) fn may_write(&self, path: &str) -> bool {
        self.all || self.folders.get(folder_of(path)).is_some_and(|folder| folder.may_write)
    }

    /// `TestDDARequest`.
    pub(super) fn begin(&mut self, disk: &dyn Disk, secret: &[u8], message: &Message) -> Message {
        let refuse = |code, extra: &str| protocol_error(code, Some(extra), None, false);
        let Some(directory) = message.field("Directory") else { return refuse(ProtocolError::MissingField, "Directory") };
        let (reads, writes) = (message.flag("WantReadDirectory", false), message.flag("WantWriteDirectory", false));
        if !reads && !writes {
            return refuse(ProtocolError::InvalidMessage, "neither is wanted");
        }
        let path = plain(directory);
        let mut reply = Message::new("TestDDAReply").with("Directory", directory);
        match disk.is_folder(path) {
            Ok(true) => {}
            Ok(false) => return refuse(ProtocolError::InvalidField, "Directory is no directory"),
            // No file is named: neither is allowed.
            Err(_) => return reply,
        }
        self.forget(disk, path);
        if self.folders.len() >= FOLDERS_MAX {
            return refuse(ProtocolError::Internal, "too many directories are tested");
        }
        self.tests += 1;
        let rolled = |what: &str| HEXLOWER.encode(&sha256(&[secret, &self.tests.to_be_bytes(), what.as_bytes()])[..16]);
        let mut folder = Folder::default();
        if reads {
            let (name, content) = (format!("{path}/.hexad-{}.tmp", rolled("our name")), rolled("our content"));
            if disk.create(&name, content.as_bytes()).is_ok() {
                reply = reply.with("ReadFilename", &name);
                folder.ours = Some((name, content));
            }
        }
        if writes {
            let (name, content) = (format!("{path}/.hexad-{}.tmp", rolled("their name")), rolled("their content"));
            reply = reply.with("WriteFilename", &name).with("ContentToWrite", &content);
            folder.theirs = Some((name, content));
        }
        self.folders.insert(path.to_owned(), folder);
        reply
    }

    /// `TestDDAResponse`.
    pub(super) fn end(&mut self, disk: &dyn Disk, message: &Message) -> Message {
        let Some(directory) = message.field("Directory") else {
            return protocol_error(ProtocolError::MissingField, Some("Directory"), None, false);
        };
        let (mut may_read, mut may_write) = (false, false);
        if let Some(folder) = self.folders.get_mut(plain(directory)) {
            if let Some((name, content)) = folder.ours.take() {
                folder.may_read = message.field("ReadContent") == Some(content.as_str());
                disk.remove(&name);
            }
            if let Some((name, content)) = folder.theirs.take() {
                folder.may_write = disk.read(&name, PROOF_BYTES_MAX).is_ok_and(|bytes| bytes == content.as_bytes());
            }
            (may_read, may_write) = (folder.may_read, folder.may_write);
        }
        let complete = Message::new("TestDDAComplete").with("Directory", directory);
        complete.with("ReadDirectoryAllowed", may_read).with("WriteDirectoryAllowed", may_write)
    }

    /// Takes away what was made to be read; what a folder was good for is forgotten.
    fn forget(&mut self, disk: &dyn Disk, path: &str) {
        if let Some((name, _)) = self.folders.remove(path).and_then(|folder| folder.ours) {
            disk.remove(&name);
        }
    }

    /// The program has gone.
    pub(super) fn close(&mut self, disk: &dyn Disk) {
        for (name, _) in std::mem::take(&mut self.folders).into_values().filter_map(|folder| folder.ours) {
            disk.remove(&name);
        }
    }
}

/// A folder without the slash at its end.
fn plain(path: &str) -> &str {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `FileHash`: shows that a program has read a file, in place of a test.
pub(super) fn file_hash(connection: &str, identifier: &str, bytes: &[u8]) -> String {
    BASE64.encode(&sha256(&[connection.as_bytes(), b"-", identifier.as_bytes(), b"-", bytes]))
}

/// The error that programs know for one of the disk.
pub(super) const fn code_of(wrong: &DiskError) -> ProtocolError {
    match wrong {
        DiskError::Denied => ProtocolError::DirectDiskAccessDenied,
        DiskError::NotFound => ProtocolError::FileNotFound,
        DiskError::Exists => ProtocolError::DiskTargetExists,
        DiskError::TooLarge | DiskError::Other(_) => ProtocolError::CouldNotRead,
    }
}
