//! The info dictionary of BEP 3: what a peer sends to describe a share, and what the digest that it was looked up by proves.
//!
//! SHA-1 over these bytes is the digest (`TorrentV1`), and the hashes of all pieces are in them, so whoever knows the digest can prove every
//! piece without trusting anybody. A share that came as a .torrent is described by the very bytes of that; for others they are made, in the
//! one way that BEP 3 allows.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_content::{FileEntry, Layout, Proof, Sha1Digest};
use hexad_core::{Malformed, Share};
use sha1::{Digest as _, Sha1};

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

/// The info dictionary of a share and its hash; `None` where there are no pieces to speak of, or too many.
#[must_use]
pub fn of_share(share: &Share) -> Option<(Bytes, Sha1Digest)> {
    let info = match &share.proof {
        _ if !share.torrent.is_empty() => info_of_torrent(&share.torrent)?,
        Some(Proof::V1Pieces { piece_bytes, hashes, .. }) => write(&share.layout, *piece_bytes, hashes),
        _ => return None,
    };
    (info.len() <= INFO_BYTES_MAX).then(|| {
        let hash = hash(&info);
        (info, hash)
    })
}

/// Whether a share came as a private torrent.
#[must_use]
pub fn is_private(share: &Share) -> bool {
    info_of_torrent(&share.torrent).and_then(|info| read(&info).ok()).is_some_and(|info| info.private)
}

/// SHA-1 of an info dictionary.
#[must_use]
pub fn hash(info: &[u8]) -> Sha1Digest {
    Sha1Digest(Sha1::digest(info).into())
}

/// The bytes of the info dictionary inside a .torrent.
#[must_use]
pub fn info_of_torrent(torrent: &Bytes) -> Option<Bytes> {
    let mut reader = Reader { bytes: torrent, at: 0 };
    reader.expect(b'd').ok()?;
    while reader.peek()? != b'e' {
        let key = reader.string().ok()?;
        let start = reader.at;
        reader.skip(0).ok()?;
        if key == b"info" {
            return Some(torrent.slice(start..reader.at));
        }
    }
    None
}

/// Writes the info dictionary of a layout that is proven by v1 pieces.
#[must_use]
pub fn write(layout: &Layout, piece_bytes: u64, hashes: &[Sha1Digest]) -> Bytes {
    let mut out = BytesMut::new();
    let text = |out: &mut BytesMut, bytes: &[u8]| {
        out.put_slice(format!("{}:", bytes.len()).as_bytes());
        out.put_slice(bytes);
    };
    let number = |out: &mut BytesMut, number: u64| out.put_slice(format!("i{number}e").as_bytes());
    let attributes = |file: &FileEntry| {
        [(file.padding, "p"), (file.executable, "x")].iter().filter(|(has, _)| *has).map(|(_, attr)| *attr).collect::<String>()
    };
    out.put_u8(b'd');
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
        out.put_u8(b'l');
        for file in layout.files() {
            out.put_u8(b'd');
            let attr = attributes(file);
            if !attr.is_empty() {
                text(&mut out, b"attr");
                text(&mut out, attr.as_bytes());
            }
            text(&mut out, b"length");
            number(&mut out, file.length);
            text(&mut out, b"path");
            out.put_u8(b'l');
            file.path.iter().for_each(|element| text(&mut out, element.as_bytes()));
            out.put_slice(b"ee");
        }
        out.put_u8(b'e');
    }
    text(&mut out, b"name");
    text(&mut out, layout.name().as_bytes());
    text(&mut out, b"piece length");
    number(&mut out, piece_bytes);
    text(&mut out, b"pieces");
    out.put_slice(format!("{}:", hashes.len() * 20).as_bytes());
    hashes.iter().for_each(|hash| out.put_slice(&hash.0));
    out.put_u8(b'e');
    out.freeze()
}

/// Reads an info dictionary that a peer has sent.
///
/// # Errors
/// When it is none, or says what cannot be.
pub fn read(bytes: &[u8]) -> Result<Info, Malformed> {
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
    fn wrong(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Malformed {
        Malformed::at(self.at, reason)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(format!("expected {:?}", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    /// Digits up to `end`.
    fn digits(&mut self, end: u8) -> Result<u64, Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) && self.at - start < 20 {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let number = text.parse().map_err(|_| self.wrong("expected a number"))?;
        self.expect(end)?;
        Ok(number)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        self.expect(b'i')?;
        self.digits(b'e')
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.digits(b':')?).unwrap_or(usize::MAX);
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            return Err(self.wrong(format!("expected {length} bytes, came {}", rest.len())));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.string()?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn files(&mut self) -> Result<Vec<File>, Malformed> {
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
    fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
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
            let torrent = Bytes::from([b"d8:announce1:x4:info", &info[..], b"5:otheri-3ee"].concat());
            assert_eq!(info_of_torrent(&torrent), Some(info.clone()));
            for cut in 0..info.len() {
                assert!(read(&info[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (bytes, reason) in [
            (&b"d6:lengthi3e4:name1:a12:piece lengthi4e6:pieces40:0123456789012345678901234567890123456789e"[..], "expected hashes of 1"),
            (b"d6:lengthi3e4:name1:a12:piece lengthi0e6:pieces20:01234567890123456789e", "expected a piece length"),
            (b"d4:name1:a12:piece lengthi4e6:pieces0:e", "expected either"),
            (b"d5:filesld6:lengthi99999999999999999999eeee", "expected a number"),
            (b"d4:name9999:", "expected 9999 bytes"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
        let deep = [b"d1:x".repeat(40), b"e".repeat(41)].concat();
        assert!(read(&deep).is_err());
    }
}
