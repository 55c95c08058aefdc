//! What the session tells of shares beside their descriptions: trees that other programs verify ranges by, and how music sounds.

use hexad_content::{Proof, TigerProof};
use hexad_core::{Context, Failure, Map, OpId, Progress, ShareId};

use super::{Node, Out, failed};
use crate::wire::{Fields, Schema};

/// Shares of which something is known; more are not told of.
const SHARES_MAX: usize = 1 << 18;
/// Files of which it is known how they sound.
const FILES_MAX: usize = 1 << 20;

/// How a file sounds and what its tags say, as far as that is known; 0 and empty where it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audio {
    /// Kilobits a second.
    pub bitrate_kbps: u32,
    /// How long it plays.
    pub seconds: u32,
    /// What it is called.
    pub title: String,
    /// By whom.
    pub artist: String,
    /// On what.
    pub album: String,
}

impl Audio {
    /// A number by its name in LimeWire's schema.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        match name {
            "bitrate" => Some(self.bitrate_kbps).filter(|number| *number > 0),
            "seconds" => Some(self.seconds).filter(|number| *number > 0),
            _ => None,
        }
    }

    /// As others read it.
    pub(crate) fn fields(&self) -> Fields {
        let texts =
            [("title", &self.title), ("artist", &self.artist), ("album", &self.album)].into_iter().filter(|(_, text)| !text.is_empty());
        let said = texts.fold(Fields::new(Schema::Audio), |fields, (name, text)| fields.with(name, text.clone()));
        ["bitrate", "seconds"].into_iter().fold(said, |fields, name| match self.number(name) {
            Some(number) => fields.with(name, number.to_string()),
            None => fields,
        })
    }
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Known {
    trees: Map<ShareId, TigerProof>,
    audio: Map<(ShareId, usize), Audio>,
}

impl Known {
    /// What was told of a share that is no longer offered is forgotten.
    pub(crate) fn forget(&mut self, share: ShareId) {
        self.trees.remove(&share);
        let files: Vec<_> = self.audio.range((share, 0)..=(share, usize::MAX)).map(|(&file, _)| file).collect();
        for file in files {
            self.audio.remove(&file);
        }
    }

    /// What tags say of a file, to be found by its words.
    pub(crate) fn words(&self, share: ShareId, file: usize) -> String {
        let words = self.audio(share, file).map(|audio| [&*audio.title, &*audio.artist, &*audio.album].join(" "));
        words.map(|words| words.trim().to_owned()).unwrap_or_default()
    }

    /// How a file of a share sounds.
    pub(crate) fn audio(&self, share: ShareId, file: usize) -> Option<&Audio> {
        self.audio.get(&(share, file))
    }
}

impl Node {
    pub(crate) fn on_tree_told(&mut self, op: OpId, share: ShareId, tree: TigerProof, out: &mut Out) {
        if self.known.trees.len() >= SHARES_MAX && !self.known.trees.contains_key(&share) {
            return failed(op, Failure::Full("trees"), out);
        }
        self.known.trees.insert(share, tree);
        out.report(op, Progress::Done);
    }

    pub(crate) fn on_audio_told(&mut self, op: OpId, share: ShareId, files: Vec<(usize, Audio)>, out: &mut Out) {
        if self.known.audio.len() + files.len() > FILES_MAX {
            return failed(op, Failure::Full("sounds"), out);
        }
        self.known.audio.extend(files.into_iter().map(|(file, audio)| ((share, file), audio)));
        out.report(op, Progress::Done);
    }

    /// The Tiger tree of a share.
    pub(crate) fn tree_of(&self, id: ShareId, cx: &Context<'_>) -> Option<TigerProof> {
        let share = cx.shares.share(id)?;
        match &share.proof {
            Some(Proof::Tiger(tree)) => Some(tree.clone()),
            _ => self.known.trees.get(&id).filter(|tree| tree.total_bytes() == share.layout.total_bytes()).cloned(),
        }
    }
}
