//! The info dictionary of BEP 3: describes a layout that v1 pieces prove, wherever such a layout is moved.
//!
//! SHA-1 over these bytes is the digest ([`crate::Digest::TorrentV1`]), and the hashes of all pieces are in them, so whoever knows the digest can
//! prove every piece without trusting anybody.

use std::sync::Arc;

use sha1::{Digest as _, Sha1};
use thiserror::Error;

use crate::{FileEntry, Layout, Proof, Sha1Digest};

/// No info dictionary is longer.
pub const INFO_BYTES_MAX: usize = 7 << 20;
/// Dictionaries and lists within each other.
const DEPTH_MAX: usize = 16;
/// Files of one layout.
const FILES_MAX: usize = 200_000;

/// What an info dictionary says.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The files.
    pub layout: Layout,
    /// The pieces and their hashes.
    pub proof: Proof,
    /// BEP 27.
    pub private: bool,
}

/// Why bytes are no info dictionary.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason} (at byte {offset})")]
pub struct InfoError {
    /// Where it went wrong.
    pub offset: usize,
    /// What was expected and what came.
    pub reason: String,
}

/// SHA-1 of an info dictionary.
#[must_use]
pub fn hash(info: &[u8]) -> Sha1Digest {
    Sha1Digest(Sha1::digest(info).into())
}

/// The bytes of the info dictionary inside a .torrent.
#[must_use]
pub fn info_of_torrent(torrent: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader { bytes: torrent, at: 0 };
    reader.expect(b'd').ok()?;
    while reader.peek()? != b'e' {
        let key = reader.string().ok()?;
        let start = reader.at;
        reader.skip(0).ok()?;
        if key == b"info" {
            return Some(&torrent[start..reader.at]);
        }
    }
    None
}

/// Writes the info dictionary of a layout that is proven by v1 pieces.
#[must_use]
pub fn write(layout: &Layout, piece_bytes: u64, hashes: &[Sha1Digest]) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
    };
    let number = |out: &mut Vec<u8>, number: u64| out.extend_from_slice(format!("i{number}e").as_bytes());
    let attributes = |file: &FileEntry| {
        [(file.padding, "p"), (file.executable, "x")].iter().filter(|(has, _)| *has).map(|(_, attr)| *attr).collect::<String>()
    };
    out.push(b'd');
    if layout.is_single() {
        let file = &layout.files()[0];
        let attr = attributes(file);
        if !attr.is_empty() {
            text(&mut out, b"attr");
            text(&mut out, attr.as_bytes());
        }
        text(&mut out, b"length");
        number(&mut out, file.length);
    } else {
        text(&mut out, b"files");
        out.push(b'l');
        for file in layout.files() {
            out.push(b'd');
            let attr = attributes(file);
            if !attr.is_empty() {
                text(&mut out, b"attr");
                text(&mut out, attr.as_bytes());
            }
            text(&mut out, b"length");
            number(&mut out, file.length);
            text(&mut out, b"path");
            out.push(b'l');
            file.path.iter().for_each(|element| text(&mut out, element.as_bytes()));
            out.extend_from_slice(b"ee");
        }
        out.push(b'e');
    }
    text(&mut out, b"name");
    text(&mut out, layout.name().as_bytes());
    text(&mut out, b"piece length");
    number(&mut out, piece_bytes);
    text(&mut out, b"pieces");
    out.extend_from_slice(format!("{}:", hashes.len() * 20).as_bytes());
    hashes.iter().for_each(|hash| out.extend_from_slice(&hash.0));
    out.push(b'e');
    out
}

/// Reads an info dictionary that a peer has sent.
///
/// # Errors
/// When it is none, or says what cannot be.
pub fn read(bytes: &[u8]) -> Result<Info, InfoError> {
    let mut reader = Reader { bytes, at: 0 };
    let (mut length, mut name, mut files) = (None, None, None);
    let (mut piece_bytes, mut pieces, mut private, mut attr) = (None, None, false, &b""[..]);
    reader.expect(b'd')?;
    while reader.peek() != Some(b'e') {
        match reader.string()? {
            b"length" => length = Some(reader.number()?),
            b"name" => name = Some(reader.text()?),
            b"piece length" => piece_bytes = Some(reader.number()?),
            b"pieces" => pieces = Some(reader.string()?),
            b"private" => private = reader.number()? == 1,
            b"attr" => attr = reader.string()?,
            b"files" => files = Some(reader.files()?),
            _ => reader.skip(0)?,
        }
    }
    reader.expect(b'e')?;
    if reader.at != bytes.len() {
        return Err(reader.wrong("expected the end"));
    }
    let name = name.ok_or_else(|| reader.wrong("expected a name, came none"))?;
    let entry = |path: Vec<String>, length: u64, attr: &[u8]| FileEntry {
        path,
        length,
        padding: attr.contains(&b'p'),
        executable: attr.contains(&b'x'),
    };
    let layout = match (files, length) {
        (Some(files), None) => Layout::folder(name, files.into_iter().map(|(path, length, attr)| entry(path, length, &attr)).collect()),
        (None, Some(length)) => Layout::single_entry(name.clone(), entry(vec![name], length, attr)),
        _ => return Err(reader.wrong("expected either a length or files")),
    };
    let layout = layout.map_err(|error| reader.wrong(error.to_string()))?;
    let piece_bytes = piece_bytes.filter(|&bytes| bytes > 0).ok_or_else(|| reader.wrong("expected a piece length above 0"))?;
    let pieces = pieces.ok_or_else(|| reader.wrong("expected pieces, came none"))?;
    let total_bytes = layout.total_bytes();
    if pieces.len() % 20 != 0 || (pieces.len() / 20) as u64 != total_bytes.div_ceil(piece_bytes) {
        return Err(reader.wrong(format!("expected hashes of {} pieces, came {} bytes", total_bytes.div_ceil(piece_bytes), pieces.len())));
    }
    let hashes: Arc<[Sha1Digest]> = pieces.chunks_exact(20).filter_map(|hash| hash.try_into().ok().map(Sha1Digest)).collect();
    Ok(Info { layout, proof: Proof::V1Pieces { piece_bytes, total_bytes, hashes }, private })
}

/// As much of bencoding as an info dictionary needs.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type File = (Vec<String>, u64, Vec<u8>);

impl<'a> Reader<'a> {
    fn wrong(&self, reason: impl Into<String>) -> InfoError {
        InfoError { offset: self.at, reason: reason.into() }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), InfoError> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(format!("expected {:?}", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    /// Digits up to `end`.
    fn digits(&mut self, end: u8) -> Result<u64, InfoError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) && self.at - start < 20 {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let number = text.parse().map_err(|_| self.wrong("expected a number"))?;
        self.expect(end)?;
        Ok(number)
    }

    fn number(&mut self) -> Result<u64, InfoError> {
        self.expect(b'i')?;
        self.digits(b'e')
    }

    fn string(&mut self) -> Result<&'a [u8], InfoError> {
        let length = usize::try_from(self.digits(b':')?).unwrap_or(usize::MAX);
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            return Err(self.wrong(format!("expected {length} bytes, came {}", rest.len())));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn text(&mut self) -> Result<String, InfoError> {
        let bytes = self.string()?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn files(&mut self) -> Result<Vec<File>, InfoError> {
        let mut files = Vec::new();
        self.expect(b'l')?;
        while self.peek() == Some(b'd') {
            if files.len() >= FILES_MAX {
                return Err(self.wrong(format!("expected at most {FILES_MAX} files")));
            }
            self.expect(b'd')?;
            let (mut path, mut length, mut attr) = (Vec::new(), None, Vec::new());
            while self.peek() != Some(b'e') {
                match self.string()? {
                    b"length" => length = Some(self.number()?),
                    b"attr" => attr = self.string()?.to_vec(),
                    b"path" => {
                        self.expect(b'l')?;
                        while self.peek() != Some(b'e') {
                            path.push(self.text()?);
                        }
                        self.expect(b'e')?;
                    }
                    _ => self.skip(0)?,
                }
            }
            self.expect(b'e')?;
            let length = length.ok_or_else(|| self.wrong("expected the length of a file"))?;
            files.push((path, length, attr));
        }
        self.expect(b'e')?;
        Ok(files)
    }

    /// Passes over one value.
    fn skip(&mut self, depth: usize) -> Result<(), InfoError> {
        match self.peek() {
            Some(b'i') => {
                self.at += 1;
                if self.peek() == Some(b'-') {
                    self.at += 1;
                }
                self.digits(b'e').map(|_| ())
            }
            Some(b'0'..=b'9') => self.string().map(|_| ()),
            Some(kind @ (b'l' | b'd')) if depth < DEPTH_MAX => {
                self.at += 1;
                while self.peek() != Some(b'e') {
                    if kind == b'd' {
                        self.string()?;
                    }
                    self.skip(depth + 1)?;
                }
                self.expect(b'e')
            }
            _ => Err(self.wrong("expected a value, not too deep")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(total_bytes: u64) -> Arc<[Sha1Digest]> {
        (0..total_bytes.div_ceil(1 << 14)).map(|piece| Sha1Digest([piece.to_le_bytes()[0]; 20])).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let single = Layout::single("blue.ogg".into(), 40_000).unwrap();
        let files = vec![FileEntry::plain(vec!["a".into(), "b".into()], 3), FileEntry::plain(vec!["c".into()], 0)];
        let folder = Layout::folder("album".into(), files).unwrap();
        for layout in [single, folder] {
            let hashes = hashes(layout.total_bytes());
            let info = write(&layout, 1 << 14, &hashes);
            let proof = Proof::V1Pieces { piece_bytes: 1 << 14, total_bytes: layout.total_bytes(), hashes };
            assert_eq!(read(&info), Ok(Info { layout, proof, private: false }));
            let torrent = [b"d8:announce1:x4:info", &info[..], b"5:otheri-3ee"].concat();
            assert_eq!(info_of_torrent(&torrent), Some(&info[..]));
            for cut in 0..info.len() {
                assert!(read(&info[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (bytes, reason) in [
            (&b"d6:lengthi3e4:name1:a12:piece lengthi0e6:pieces20:01234567890123456789e"[..], "expected a piece length"),
            (b"d4:name1:a12:piece lengthi4e6:pieces0:e", "expected either"),
            (b"d4:name9999:", "expected 9999 bytes"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
        assert!(read(&[b"d1:x".repeat(40), b"e".repeat(41)].concat()).is_err());
    }
}
