//! From files to what networks are told of them: each is read for its pieces and its tree, once, and then known by its stamp.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use hexad_api::{Problem, ProblemKind, TorrentVersion};
use hexad_bittorrent::wire::metainfo::{Metainfo, MetainfoBuilder};
use hexad_content::{Digest, Layout, Proof, Ranges, Shape, TreeProof};
use hexad_core::Share;
use hexad_library::{ShareError, Sound, Work, hash_names, hash_pieces_with, piece_bytes_for, scan, sound_of};

use super::store::Content;
use crate::desk::{self, trouble, version_of};
use crate::publish::{Prepared, may_sound};

/// A share that was hashed.
pub(super) struct Hashed {
    pub(super) content: Content,
    pub(super) paths: Vec<Option<PathBuf>>,
    pub(super) sounds: Vec<(usize, Sound)>,
}

/// Reads all of what stands at `path`, for a torrent of that version; `done` counts bytes, `cancel` ends it soon.
///
/// # Errors
/// When it cannot be read, or was cancelled.
pub(super) fn hash(path: &Path, version: TorrentVersion, done: &Arc<AtomicU64>, cancel: &AtomicBool) -> Result<Hashed, Problem> {
    let wrong = |wrong: ShareError| trouble(&wrong);
    let scanned = scan(path).map_err(wrong)?;
    let (layout, paths) = (scanned.layout, scanned.paths);
    let total = layout.total_bytes();
    // One grid for pieces and tree: whatever proves a part, it is the same part.
    let piece_bytes = if layout.is_single() { TreeProof::part_bytes_for(total) } else { piece_bytes_for(total) };
    // A single file is read twice for its names, of which one is the tree that v2 wants, and once more for the pieces of v1.
    let single = paths.first().filter(|_| layout.is_single()).cloned().flatten();
    let has_pieces = version != TorrentVersion::V2;
    let rounds = 2 + u64::from(has_pieces);
    let tell = |round: u64, bytes: u64, all: u64| {
        let part = u128::from(round * total + bytes) * u128::from(total) / u128::from(all.max(1));
        done.store(u64::try_from(part).unwrap_or(total), Ordering::Relaxed);
    };
    let alone = single.is_some();
    let first = |bytes: u64, all: u64| tell(0, bytes, if alone { total * rounds } else { all });
    let last = |bytes: u64, _: u64| tell(2, bytes, total * rounds);
    let work = |progress| Work { threads: 1, progress, cancel: Some(cancel) };
    let names = single.map(|file| hash_names(&file, total, &work(&first))).transpose().map_err(wrong)?;
    let hashed = match &names {
        None => desk::hash(layout, paths, piece_bytes, version, &work(&first)),
        Some(names) => {
            let pieces = if has_pieces { hash_pieces_with(&layout, &paths, piece_bytes, &work(&last)) } else { Ok(Vec::new()) };
            let trees = if version == TorrentVersion::V1 || total == 0 { Vec::new() } else { vec![names.tree.clone()] };
            pieces.map(|hashes| desk::Hashed { layout, paths, hashes, trees })
        }
    };
    let desk::Hashed { layout, paths, hashes, trees } = hashed.map_err(wrong)?;
    let builder = MetainfoBuilder::new(layout.clone(), piece_bytes, hashes).with_trees(trees, version_of(version));
    let metainfo = builder.build().map_err(|wrong| {
        Problem::new(format!("{}: {wrong}", path.display())).hint("share the folders in it one by one").kind(ProblemKind::BadRequest)
    })?;
    let mut digests = metainfo.digests();
    let mut proof = metainfo.proof();
    let mut tiger = None;
    if let Some(names) = names {
        digests.insert(Digest::Content(names.tree.content()));
        digests.insert(Digest::Sha1(names.sha1));
        digests.insert(Digest::TigerTree(names.tiger.root()));
        proof = Proof::Tree(names.tree);
        tiger = Some(names.tiger);
    }
    let music = paths.iter().enumerate().filter_map(|(file, path)| Some((file, path.as_ref().filter(|path| may_sound(path))?)));
    let sounds = music.filter_map(|(file, path)| Some((file, sound_of(path)?))).collect();
    let torrent: Bytes = metainfo.encode().into();
    Ok(Hashed {
        content: Content { shape: Shape { layout: metainfo.info.layout.clone(), proof: Some(proof), digests }, torrent, tiger },
        paths,
        sounds,
    })
}

/// The same content under the name of `path`: a rename costs no reading. `None` where it is no single file, which has its name in its .torrent only.
pub(super) fn renamed(content: &Content, path: &Path) -> Option<Content> {
    let name = path.file_name()?.to_str()?;
    let metainfo = Metainfo::parse(&content.torrent).ok()?;
    let before = metainfo.info.layout.clone();
    if !before.is_single() {
        return None;
    }
    let mut entry = before.files().first()?.clone();
    entry.path = vec![name.to_owned()];
    let layout = Arc::new(Layout::single_entry(name.to_owned(), entry).ok()?);
    let trees = metainfo.trees().map(|trees| trees.to_vec()).unwrap_or_default();
    let builder = MetainfoBuilder::new(layout, metainfo.info.piece_bytes, metainfo.info.hashes.to_vec());
    let metainfo = builder.with_trees(trees, metainfo.info.version).build().ok()?;
    let of_file = |digest: &&Digest| !matches!(digest, Digest::TorrentV1(_) | Digest::TorrentV2(_));
    let mut digests = metainfo.digests();
    content.shape.digests.iter().filter(of_file).for_each(|digest| digests.insert(*digest));
    let shape = Shape { layout: metainfo.info.layout.clone(), proof: content.shape.proof.clone(), digests };
    Some(Content { shape, torrent: metainfo.encode().into(), tiger: content.tiger.clone() })
}

/// What is put on the shelf.
pub(super) fn prepared(content: Content, paths: Vec<Option<PathBuf>>, sounds: Vec<(usize, Sound)>) -> Prepared {
    let (tiger, Shape { layout, proof, digests }) = (content.tiger, content.shape);
    let held = Ranges::of(0..layout.total_bytes());
    Prepared { share: Share { layout, digests, proof, held, torrent: content.torrent }, paths, torrent: None, sounds, tiger }
}

/// Where the files of a layout stand that was scanned at `path`.
pub(super) fn paths_at(layout: &Layout, path: &Path) -> Vec<Option<PathBuf>> {
    let place = |file: &hexad_content::FileEntry| {
        if layout.is_single() { path.to_owned() } else { file.path.iter().fold(path.to_owned(), |path, element| path.join(element)) }
    };
    layout.files().iter().map(|file| (!file.padding).then(|| place(file))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_the_same_content_under_another_name() {
        let home = tempfile::tempdir().expect("a folder");
        let (old, new) = (home.path().join("old.bin"), home.path().join("new.bin"));
        std::fs::write(&old, vec![7; 200_000]).expect("written");
        for version in [TorrentVersion::V1, TorrentVersion::V2, TorrentVersion::Hybrid] {
            let done = Arc::new(AtomicU64::new(0));
            let before = hash(&old, version, &done, &AtomicBool::new(false)).expect("hashed");
            assert_eq!(done.load(Ordering::Relaxed), 200_000);
            std::fs::rename(&old, &new).expect("renamed");
            let cheap = renamed(&before.content, &new).expect("a single file");
            let dear = hash(&new, version, &done, &AtomicBool::new(false)).expect("hashed");
            assert_eq!(cheap, dear.content);
            assert!(cheap.tiger.is_some());
            assert_ne!(cheap, before.content);
            std::fs::rename(&new, &old).expect("renamed");
        }
    }

    #[test]
    fn a_single_file_is_the_torrent_that_is_made_of_it_by_itself() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("it.bin");
        for bytes in [0, 1, 16 << 10, 200_000, 5_000_000] {
            std::fs::write(&file, vec![7; bytes]).expect("written");
            for version in [TorrentVersion::V1, TorrentVersion::V2, TorrentVersion::Hybrid] {
                let done = Arc::new(AtomicU64::new(0));
                let shared = hash(&file, version, &done, &AtomicBool::new(false)).expect("hashed").content;
                let metainfo = Metainfo::parse(&shared.torrent).expect("a torrent");
                let piece_bytes = Some(metainfo.info.piece_bytes);
                let request = hexad_api::CreateRequest { path: file.clone(), piece_bytes, version, ..Default::default() };
                let made = desk::make(&request, &|_, _| {}).expect("made").metainfo;
                assert_eq!((metainfo.trees(), &metainfo.info), (made.trees(), &made.info), "{bytes} bytes, {version:?}");
                assert_eq!(done.load(Ordering::Relaxed), bytes as u64);
            }
        }
    }

    #[test]
    fn a_file_has_the_same_tree_whatever_torrent_it_is_in() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("it.bin");
        for bytes in [0, 1, 200_000] {
            std::fs::write(&file, vec![7; bytes]).expect("written");
            let hashed = [TorrentVersion::V1, TorrentVersion::V2, TorrentVersion::Hybrid]
                .map(|version| hash(&file, version, &Arc::new(AtomicU64::new(0)), &AtomicBool::new(false)).expect("hashed").content.shape);
            assert!(hashed.iter().all(|shape| shape.proof == hashed[0].proof), "{bytes} bytes");
            let content = |shape: &Shape| shape.digests.iter().find(|digest| matches!(digest, Digest::Content(_))).copied();
            assert!(hashed.iter().all(|shape| content(shape).is_some() && content(shape) == content(&hashed[0])), "{bytes} bytes");
        }
    }
}
