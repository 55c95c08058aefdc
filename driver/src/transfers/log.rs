//! The journal of one download on disk. The format is [`hexad_transfer::journal`]'s.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use cap_std::fs::Dir;
use hexad_transfer::journal::{Record, begin};

/// No journal that we wrote is longer; what is, is not read.
const BYTES_MAX: u64 = 256 << 20;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    length: u64,
    records: u32,
    scratch: Vec<u8>,
}

impl Log {
    /// The bytes of the journal `name`; `None` when there is none, or one of absurd length.
    pub(crate) fn read(dir: &Dir, name: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match dir.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= BYTES_MAX).then_some(bytes))
    }

    /// Puts a journal that begins with `records` in place of the one before.
    pub(crate) fn begin(dir: &Dir, name: &Path, records: &[Record]) -> io::Result<Self> {
        let beside = name.with_extension("journal.new");
        let mut file = dir.create(&beside)?.into_std();
        let bytes = begin(records);
        file.write_all(&bytes)?;
        dir.rename(&beside, dir, name)?;
        Ok(Self { file, length: bytes.len() as u64, records: u32::try_from(records.len()).unwrap_or(u32::MAX), scratch: Vec::new() })
    }

    /// Appends records with one write. One that failed leaves nothing behind that would end the reading: the next goes to its place.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        self.scratch.clear();
        for record in records {
            record.write(&mut self.scratch);
        }
        self.file.write_all_at(&self.scratch, self.length)?;
        self.length += self.scratch.len() as u64;
        self.records += u32::try_from(records.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// A second handle, to sync it without holding up who appends.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

/// Which boot of the machine this is; all zeros where the system does not say.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).take(32).collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let text = std::str::from_utf8(pair).unwrap_or("00");
        *byte = u8::from_str_radix(text, 16).unwrap_or(0);
    }
    id
}
