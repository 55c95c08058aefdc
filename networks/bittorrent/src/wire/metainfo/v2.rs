//! What only version 2 has in a .torrent: the file tree and the piece layers. BEP 52.

use std::sync::Arc;

use hexad_content::{ContentId, FileEntry, Layout, Sha256Digest, TreeProof};
use hexad_core::{Malformed, Map};

use super::{FILES_MAX, Info};
use crate::wire::bencode::{Out, Value};

/// Elements of a path; libtorrent's parser goes no deeper than a hundred levels.
const DEPTH_MAX: usize = 90;

/// The files of a `file tree`, in its order.
pub(super) struct FileTree {
    files: Vec<FileEntry>,
    contents: Vec<ContentId>,
    /// One file at the top, and nothing beside it.
    single: bool,
}

impl FileTree {
    /// Reads `file tree` of an info dictionary.
    pub(super) fn read(info: Value<'_>) -> Result<Self, Malformed> {
        let at = info.span().start;
        let top = info.get("file tree").ok_or_else(|| Malformed::at(at, "expected 'file tree' in 'info'"))?;
        let mut tree = Self { files: Vec::new(), contents: Vec::new(), single: false };
        tree.read_folder(top, &mut Vec::new())?;
        tree.single = matches!(tree.files.as_slice(), [only] if only.path.len() == 1);
        if tree.files.is_empty() {
            return Err(Malformed::at(at, "expected at least one file in 'file tree'"));
        }
        Ok(tree)
    }

    fn read_folder(&mut self, folder: Value<'_>, path: &mut Vec<String>) -> Result<(), Malformed> {
        let at = folder.span().start;
        let entries = folder.entries().ok_or_else(|| Malformed::at(at, "expected folders and files of 'file tree' to be dictionaries"))?;
        if path.len() >= DEPTH_MAX {
            return Err(Malformed::at(at, format!("expected at most {DEPTH_MAX} path elements")));
        }
        for (name, node) in entries {
            if name.is_empty() {
                return Err(Malformed::at(at, "expected a file of 'file tree' to stand alone under its name"));
            }
            path.push(String::from_utf8_lossy(name).into_owned());
            match node.get("") {
                Some(file) if node.entries().is_some_and(|entries| entries.count() == 1) => self.read_file(file, path)?,
                _ => self.read_folder(node, path)?,
            }
            path.pop();
        }
        Ok(())
    }

    fn read_file(&mut self, file: Value<'_>, path: &[String]) -> Result<(), Malformed> {
        let at = file.span().start;
        if self.files.len() >= FILES_MAX {
            return Err(Malformed::at(at, format!("more than {FILES_MAX} files")));
        }
        let attributes = file.get("attr").and_then(Value::bytes).unwrap_or_default();
        let length = file.get("length").map_or(attributes.contains(&b'l').then_some(0), Value::number::<u64>);
        let length = length.ok_or_else(|| Malformed::at(at, "expected the file's 'length', 0 or more"))?;
        if attributes.contains(&b'p') {
            return Err(Malformed::at(at, "expected no padding in 'file tree'"));
        }
        if length > 0 {
            let root = file.get("pieces root").and_then(Value::array).map(Sha256Digest);
            let root = root.ok_or_else(|| Malformed::at(at, "expected the file's 'pieces root' of 32 bytes"))?;
            self.contents.push(ContentId { size: length, root });
        }
        self.files.push(FileEntry { path: path.to_vec(), length, padding: false, executable: attributes.contains(&b'x') });
        Ok(())
    }

    /// The files as they are laid out where there is no description of version 1: each begins with a piece.
    pub(super) fn layout(&self, name: String, piece_bytes: u64, at: usize) -> Result<Layout, Malformed> {
        let layout = match self.files.as_slice() {
            [only] if self.single => Layout::single_entry(only.path[0].clone(), only.clone()),
            files => Layout::folder(name, files.to_vec()),
        };
        layout.and_then(|layout| layout.aligned(piece_bytes, false)).map_err(|wrong| Malformed::at(at, wrong.to_string()))
    }

    /// Both versions of a hybrid must describe the same files, and each of them begins with a piece.
    pub(super) fn agrees_with(&self, layout: &Layout, piece_bytes: u64, at: usize) -> Result<(), Malformed> {
        let mut ours = self.files.iter();
        for (index, file) in layout.files().iter().enumerate().filter(|(_, file)| !file.padding) {
            let same = ours.next().is_some_and(|own| (&own.path, own.length) == (&file.path, file.length));
            if !same || (file.length > 0 && !layout.file_range(index).start.is_multiple_of(piece_bytes)) {
                return Err(Malformed::at(at, format!("the v1 and v2 parts do not describe the same files: see file {index}")));
            }
        }
        match ours.next() {
            Some(_) => Err(Malformed::at(at, "the v1 and v2 parts do not describe the same files: v2 has more")),
            None => Ok(()),
        }
    }

    pub(super) fn into_contents(self) -> Arc<[ContentId]> {
        self.contents.into()
    }
}

/// Reads `piece layers`, and holds each against the root of its file.
pub(super) fn read_layers(info: &Info, layers: Option<Value<'_>>) -> Result<Arc<[TreeProof]>, Malformed> {
    let mut known: Map<&[u8], Value<'_>> = Map::new();
    for (root, layer) in layers.and_then(Value::entries).into_iter().flatten() {
        known.insert(root, layer);
    }
    info.trees(|content| {
        let bytes = known.get(content.root.0.as_slice())?.bytes()?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        rest.is_empty().then(|| hashes.iter().map(|hash| Sha256Digest(*hash)).collect())
    })
}

/// `piece layers` of these trees.
pub(super) fn write_layers(trees: &[TreeProof]) -> Out {
    // The same file may stand in a torrent more than once.
    let layers: Map<Vec<u8>, &TreeProof> =
        trees.iter().filter(|tree| tree.hashes().len() > 1).map(|tree| (tree.content().root.0.to_vec(), tree)).collect();
    let bytes = |tree: &TreeProof| Out::Bytes(tree.hashes().iter().flat_map(|hash| hash.0).collect());
    Out::Dict(layers.into_iter().map(|(root, tree)| (root, bytes(tree))).collect())
}

enum Node {
    Folder(Map<Vec<u8>, Node>),
    File(Out),
}

impl Node {
    fn into_out(self) -> Out {
        match self {
            Self::Folder(entries) => Out::Dict(entries.into_iter().map(|(name, node)| (name, node.into_out())).collect()),
            Self::File(file) => Out::Dict(vec![(Vec::new(), file)]),
        }
    }
}

/// `file tree` of the files of `layout`; `trees` are those of the files that have bytes.
pub(super) fn write_tree(layout: &Layout, trees: &[TreeProof]) -> Result<Out, Malformed> {
    let mut trees = trees.iter();
    let mut top = Map::new();
    for file in layout.files().iter().filter(|file| !file.padding) {
        let root = match file.length {
            0 => None,
            length => {
                let tree = trees.next().filter(|tree| tree.content().size == length);
                let tree = tree.ok_or_else(|| Malformed::at(0, format!("expected the tree of '{}'", file.path.join("/"))))?;
                Some(Out::Bytes(tree.content().root.0.to_vec()))
            }
        };
        let entry = Out::dict([
            ("attr", file.executable.then(|| Out::text("x"))),
            ("length", Some(Out::count(file.length))),
            ("pieces root", root),
        ]);
        plant(&mut top, &file.path, entry).ok_or_else(|| Malformed::at(0, format!("'{}' stands there twice", file.path.join("/"))))?;
    }
    Ok(Node::Folder(top).into_out())
}

/// Puts a file where its path leads; `None` when something is there already.
fn plant(mut folder: &mut Map<Vec<u8>, Node>, path: &[String], file: Out) -> Option<()> {
    let (name, folders) = path.split_last().filter(|_| path.len() <= DEPTH_MAX && path.iter().all(|element| !element.is_empty()))?;
    for element in folders {
        let node = folder.entry(element.as_bytes().to_vec()).or_insert_with(|| Node::Folder(Map::new()));
        match node {
            Node::Folder(inner) => folder = inner,
            Node::File(_) => return None,
        }
    }
    match folder.insert(name.as_bytes().to_vec(), Node::File(file)) {
        None => Some(()),
        Some(_) => None,
    }
}
