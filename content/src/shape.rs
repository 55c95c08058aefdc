//! A share's description as Hexad's programs hand it to each other: its files, its names, and what proves its ranges.
//!
//! `HX1`, the name, whether it is one file, the files (path elements, length, attributes), the proof, the digests. Numbers are little-endian,
//! texts have a length of two bytes in front. Everything is checked before it is believed: lengths before anything is allocated, and the proof
//! against the layout.

use std::sync::Arc;

use crate::{
    ContentId, Digest, Digests, FileEntry, ForestProof, Layout, Proof, Sha1Digest, Sha256Digest, TigerProof, TreeProof, WholeDigest,
};
use thiserror::Error;

/// What a description says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The files.
    pub layout: Arc<Layout>,
    /// What proves their ranges.
    pub proof: Option<Proof>,
    /// All names of the content.
    pub digests: Digests,
}

/// Why bytes are no description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no description: {0}")]
pub struct ShapeError(&'static str);

const MAGIC: &[u8] = b"HX1";
/// Elements of one path.
const PATH_ELEMENTS_MAX: usize = 64;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ShapeError> {
        let (here, rest) = self.0.split_at_checked(count).ok_or(ShapeError("it ends too early"))?;
        self.0 = rest;
        Ok(here)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        self.take(N)?.try_into().map_err(|_| ShapeError("it ends too early"))
    }

    fn byte(&mut self) -> Result<u8, ShapeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<usize, ShapeError> {
        self.array().map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn count(&mut self, each_bytes_min: usize) -> Result<usize, ShapeError> {
        let count = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        // What cannot be there is not allocated for.
        if count.saturating_mul(each_bytes_min) > self.0.len() {
            return Err(ShapeError("it counts more than is there"));
        }
        Ok(count)
    }

    fn long(&mut self) -> Result<u64, ShapeError> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, ShapeError> {
        let length = self.short()?;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| ShapeError("a name is not UTF-8"))
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(&u16::try_from(end).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..end]);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

impl Shape {
    /// As bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_text(&mut out, self.layout.name());
        out.push(u8::from(self.layout.is_single()));
        put_count(&mut out, self.layout.files().len());
        for file in self.layout.files() {
            out.push(u8::from(file.padding) | u8::from(file.executable) << 1);
            out.extend_from_slice(&file.length.to_le_bytes());
            out.push(u8::try_from(file.path.len()).unwrap_or(u8::MAX));
            for element in file.path.iter().take(usize::from(u8::MAX)) {
                put_text(&mut out, element);
            }
        }
        match &self.proof {
            None | Some(Proof::Unproven { .. }) => out.push(0),
            Some(Proof::V1Pieces { piece_bytes, hashes, .. }) => {
                out.push(1);
                out.extend_from_slice(&piece_bytes.to_le_bytes());
                put_count(&mut out, hashes.len());
                for hash in hashes.iter() {
                    out.extend_from_slice(&hash.0);
                }
            }
            Some(Proof::Tree(tree)) => {
                out.push(2);
                out.extend_from_slice(&tree.part_bytes().to_le_bytes());
                put_count(&mut out, tree.hashes().len());
                for hash in tree.hashes().iter() {
                    out.extend_from_slice(&hash.0);
                }
            }
            Some(Proof::Tiger(tree)) => {
                out.push(6);
                out.extend_from_slice(&tree.part_bytes().to_le_bytes());
                put_count(&mut out, tree.hashes().len());
                for hash in tree.hashes().iter() {
                    out.extend_from_slice(hash);
                }
            }
            Some(Proof::Forest(forest)) => {
                out.push(5);
                out.extend_from_slice(&forest.part_bytes().to_le_bytes());
                put_count(&mut out, forest.part_count());
                for hash in forest.trees().iter().flat_map(|tree| tree.hashes().iter()) {
                    out.extend_from_slice(&hash.0);
                }
                out.push(u8::from(forest.sha1().is_some()));
                for hash in forest.sha1().iter().flat_map(|digests| digests.iter()) {
                    out.extend_from_slice(&hash.0);
                }
            }
            Some(Proof::Whole { digest: WholeDigest::Sha1(digest), .. }) => {
                out.push(3);
                out.extend_from_slice(&digest.0);
            }
            Some(Proof::Whole { digest: WholeDigest::Sha256(digest), .. }) => {
                out.push(4);
                out.extend_from_slice(&digest.0);
            }
        }
        put_count(&mut out, self.digests.iter().count());
        for digest in self.digests.iter() {
            match digest {
                Digest::Content(id) => {
                    out.push(1);
                    out.extend_from_slice(&id.root.0);
                    out.extend_from_slice(&id.size.to_le_bytes());
                }
                Digest::Sha1(hash) => (out.push(2), out.extend_from_slice(&hash.0)).1,
                Digest::Sha256(hash) => (out.push(3), out.extend_from_slice(&hash.0)).1,
                Digest::TigerTree(hash) => (out.push(4), out.extend_from_slice(hash)).1,
                Digest::Md5Prefix(hash) => (out.push(5), out.extend_from_slice(hash)).1,
                Digest::TorrentV1(hash) => (out.push(6), out.extend_from_slice(&hash.0)).1,
                Digest::TorrentV2(hash) => (out.push(7), out.extend_from_slice(&hash.0)).1,
            }
        }
        out
    }

    /// Reads a description.
    ///
    /// # Errors
    /// When it is none, or its proof does not fit its files.
    pub fn read(bytes: &[u8]) -> Result<Self, ShapeError> {
        let mut reader = Reader(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(ShapeError("it does not begin with HX1"));
        }
        let name = reader.text()?;
        let single = reader.byte()? != 0;
        let mut files = Vec::with_capacity(reader.count(10)?);
        for _ in 0..files.capacity() {
            let attributes = reader.byte()?;
            let length = reader.long()?;
            let elements = usize::from(reader.byte()?);
            if elements == 0 || elements > PATH_ELEMENTS_MAX {
                return Err(ShapeError("a path has no elements, or too many"));
            }
            let path = (0..elements).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()?;
            files.push(FileEntry { path, length, padding: attributes & 1 != 0, executable: attributes & 2 != 0 });
        }
        let layout = if single {
            let only = files.pop().filter(|_| files.is_empty()).ok_or(ShapeError("a single file is not single"))?;
            Layout::single_entry(name, only)
        } else {
            Layout::folder(name, files)
        };
        let layout = layout.map_err(|_| ShapeError("the files cannot be laid out"))?;
        let total_bytes = layout.total_bytes();
        let proof = match reader.byte()? {
            0 => None,
            1 => {
                let piece_bytes = reader.long()?;
                let hashes = (0..reader.count(20)?).map(|_| reader.array().map(Sha1Digest)).collect::<Result<Vec<_>, _>>()?;
                Some(Proof::V1Pieces { piece_bytes, total_bytes, hashes: hashes.into() })
            }
            2 => {
                let part_bytes = reader.long()?;
                let hashes = (0..reader.count(32)?).map(|_| reader.array().map(Sha256Digest)).collect::<Result<Vec<_>, _>>()?;
                let tree = TreeProof::of_layer(total_bytes, part_bytes, hashes);
                Some(Proof::Tree(tree.map_err(|_| ShapeError("the proof does not fit the files"))?))
            }
            3 => Some(Proof::Whole { total_bytes, digest: WholeDigest::Sha1(Sha1Digest(reader.array()?)) }),
            4 => Some(Proof::Whole { total_bytes, digest: WholeDigest::Sha256(Sha256Digest(reader.array()?)) }),
            5 => {
                let wrong = ShapeError("the proof does not fit the files");
                let part_bytes = reader.long()?;
                let hashes = (0..reader.count(32)?).map(|_| reader.array().map(Sha256Digest)).collect::<Result<Vec<_>, _>>()?;
                let sha1 = match reader.byte()? {
                    0 => None,
                    _ => Some((0..hashes.len()).map(|_| reader.array().map(Sha1Digest)).collect::<Result<Vec<_>, _>>()?.into()),
                };
                let trees = ForestProof::plant(&layout, part_bytes, &hashes).map_err(|_| wrong)?;
                Some(Proof::Forest(ForestProof::new(&layout, part_bytes, trees.into(), sha1).map_err(|_| wrong)?))
            }
            6 => {
                let part_bytes = reader.long()?;
                let hashes = (0..reader.count(24)?).map(|_| reader.array()).collect::<Result<Vec<_>, _>>()?;
                let tree = TigerProof::of_layer(total_bytes, part_bytes, hashes);
                Some(Proof::Tiger(tree.map_err(|_| ShapeError("the proof does not fit the files"))?))
            }
            _ => return Err(ShapeError("it has a proof that nobody knows")),
        };
        if proof.as_ref().is_some_and(|proof| !proof.fits(&layout)) {
            return Err(ShapeError("the proof does not fit the files"));
        }
        let count = reader.count(17)?;
        let mut digests = Digests::new();
        for _ in 0..count.min(64) {
            digests.insert(match reader.byte()? {
                1 => Digest::Content(ContentId { root: Sha256Digest(reader.array()?), size: reader.long()? }),
                2 => Digest::Sha1(Sha1Digest(reader.array()?)),
                3 => Digest::Sha256(Sha256Digest(reader.array()?)),
                4 => Digest::TigerTree(reader.array()?),
                5 => Digest::Md5Prefix(reader.array()?),
                6 => Digest::TorrentV1(Sha1Digest(reader.array()?)),
                7 => Digest::TorrentV2(Sha256Digest(reader.array()?)),
                _ => return Err(ShapeError("it has a digest that nobody knows")),
            });
        }
        Ok(Self { layout: Arc::new(layout), proof, digests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape() -> Shape {
        let files = vec![
            FileEntry::plain(vec!["side a".into(), "größe.ogg".into()], 40_000),
            FileEntry { executable: true, ..FileEntry::plain(vec!["run".into()], 0) },
            FileEntry { padding: true, ..FileEntry::plain(vec![".pad".into()], 9152) },
        ];
        let layout = Arc::new(Layout::folder("album".into(), files).unwrap());
        let hashes = [1, 2, 3, 4].map(|number| Sha1Digest([number; 20]));
        let proof = Some(Proof::V1Pieces { piece_bytes: 16 << 10, total_bytes: 49_152, hashes: hashes[..3].into() });
        let digests = [
            Digest::Content(ContentId { size: 7, root: Sha256Digest([9; 32]) }),
            Digest::Sha1(hashes[0]),
            Digest::Sha256(Sha256Digest([8; 32])),
            Digest::TigerTree([7; 24]),
            Digest::Md5Prefix([6; 16]),
            Digest::TorrentV1(hashes[1]),
            Digest::TorrentV2(Sha256Digest([5; 32])),
        ];
        Shape { layout, proof, digests: digests.into_iter().collect() }
    }

    #[test]
    fn a_description_is_read_as_what_was_written() {
        let shape = shape();
        assert_eq!(Shape::read(&shape.write()), Ok(shape));
        let empty = Shape { layout: Arc::new(Layout::single("blue.ogg".into(), 0).unwrap()), proof: None, digests: Digests::new() };
        assert_eq!(Shape::read(&empty.write()), Ok(empty));
        let layout = Arc::new(Layout::single("blue.ogg".into(), 100_000).unwrap());
        let tree = TreeProof::of_layer(100_000, 64 << 10, [Sha256Digest([1; 32]), Sha256Digest([2; 32])]).unwrap();
        let whole = |digest| Proof::Whole { total_bytes: 100_000, digest };
        let tiger = Proof::Tiger(TigerProof::of_layer(100_000, 64 << 10, [[1; 24], [2; 24]]).unwrap());
        let sha = [whole(WholeDigest::Sha1(Sha1Digest([3; 20]))), whole(WholeDigest::Sha256(Sha256Digest([4; 32])))];
        for proof in sha.into_iter().chain([Proof::Tree(tree), tiger]) {
            let single = Shape { layout: layout.clone(), proof: Some(proof), digests: Digests::new() };
            assert_eq!(Shape::read(&single.write()), Ok(single));
        }
    }

    #[test]
    fn a_hybrid_torrent_keeps_both_its_proofs() {
        let files = [40_000, 7].map(|length| FileEntry::plain(vec![format!("{length}")], length)).to_vec();
        let layout = Layout::folder("album".into(), files).unwrap().aligned(16 << 10, true).unwrap();
        let trees = ForestProof::plant(&layout, 16 << 10, &[1, 2, 3, 4].map(|number| Sha256Digest([number; 32]))).unwrap();
        for sha1 in [None, Some([5, 6, 7, 8].map(|number| Sha1Digest([number; 20])).as_slice().into())] {
            let forest = ForestProof::new(&layout, 16 << 10, trees.clone().into(), sha1).unwrap();
            let shape = Shape { layout: Arc::new(layout.clone()), proof: Some(Proof::Forest(forest)), digests: Digests::new() };
            let whole = shape.write();
            assert_eq!(Shape::read(&whole), Ok(shape));
            assert!((0..whole.len()).all(|end| Shape::read(&whole[..end]).is_err()));
        }
    }

    #[test]
    fn a_description_that_ends_too_early_is_refused_wherever_it_ends() {
        let whole = shape().write();
        for end in 0..whole.len() {
            assert!(Shape::read(&whole[..end]).is_err(), "cut after {end} bytes");
        }
    }

    #[test]
    fn a_proof_that_does_not_fit_the_files_is_refused() {
        let mut wrong = shape();
        wrong.proof =
            Some(Proof::V1Pieces { piece_bytes: 1 << 20, total_bytes: 49_152, hashes: [Sha1Digest([0; 20]); 2].as_slice().into() });
        assert!(Shape::read(&wrong.write()).is_err());
    }

    proptest! {
        #[test]
        fn nonsense_is_refused_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, value in any::<u8>()) {
            let _ = Shape::read(&bytes);
            bytes.splice(0..0, *b"HX1");
            let _ = Shape::read(&bytes);
            let mut bent = shape().write();
            let at = at % bent.len();
            bent[at] = value;
            let _ = Shape::read(&bent);
        }
    }
}
