//! What we offer: every file of every share that is published, under the path by which servers and peers know it.

use hexad_catalogue::Kind;
use hexad_content::sha1_lanes::sha1_one;
use hexad_core::{Map, OpId, Set, Share, ShareId};

use super::locator::token_of;
use crate::wire::{Hertz, ListEntry, Shape, Text, ToServer, Word, kind_word};

/// What is known of the sound of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audio {
    /// Kilobits a second.
    pub bitrate_kbps: u32,
    /// Hertz.
    pub frequency_hz: u32,
    /// How long it plays.
    pub seconds: u32,
}

/// One file that we offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) share: ShareId,
    pub(crate) file: usize,
    pub(crate) size_bytes: u64,
    token: Text,
    audio: Audio,
}

/// A share that is to be published.
#[derive(Clone, Debug)]
struct Published {
    op: OpId,
    token: Text,
    paths: Vec<Text>,
}

/// All that we offer.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    by_path: Map<Text, Offer>,
    published: Map<ShareId, Published>,
    /// Shares that are published and not complete; not offered to servers before they are.
    partial: Set<ShareId>,
    audio: Map<(ShareId, usize), Audio>,
}

/// A path's part as it can go over the wire.
fn part(name: &str) -> String {
    name.chars().map(|letter| if matches!(letter, '\\' | '/' | '"' | '\n' | '\r' | '\0') { '_' } else { letter }).collect()
}

/// The description of a share.
pub(crate) fn shape_of(share: &Share) -> Shape {
    Shape { layout: share.layout.clone(), proof: share.proof.clone(), digests: share.digests.clone() }
}

/// The last part of a path.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'\\' || byte == b'/').next().unwrap_or(path)
}

/// What kind of file that is, by its suffix.
fn kind_by_suffix(path: &[u8]) -> Kind {
    let suffix = base_name(path).rsplit(|&byte| byte == b'.').next().unwrap_or_default().to_ascii_lowercase();
    match &*suffix {
        b"mp3" => Kind::Mp3,
        b"ogg" | b"flac" | b"wav" | b"wma" | b"m4a" | b"opus" | b"aac" | b"mid" => Kind::Audio,
        b"avi" | b"mpg" | b"mpeg" | b"mkv" | b"mp4" | b"mov" | b"webm" => Kind::Video,
        b"txt" | b"pdf" | b"html" | b"htm" | b"doc" | b"odt" | b"epub" | b"md" => Kind::Text,
        b"jpg" | b"jpeg" | b"png" | b"gif" | b"webp" | b"svg" | b"tif" => Kind::Image,
        _ => Kind::Application,
    }
}

impl Offers {
    /// Begins to offer a share. Its paths are new to servers, unless it is not complete.
    pub(crate) fn add(&mut self, op: OpId, id: ShareId, share: &Share) {
        let single = share.layout.is_single();
        let token = token_of(&share.digests, share.layout.files().len() == 1, || sha1_one(&shape_of(share).write()));
        let mut paths = Vec::with_capacity(share.layout.files().len());
        for (file, entry) in share.layout.files().iter().enumerate().filter(|(_, entry)| !entry.padding) {
            let below = entry.path.iter().map(|element| part(element)).collect::<Vec<_>>().join("\\");
            let plain = if single { part(share.layout.name()) } else { format!("{}\\{below}", part(share.layout.name())) };
            // Another share may have a file of that name; the owner's name for a file is his alone to choose.
            let numbered = (1..).map(|number| if number == 1 { plain.clone() } else { format!("{number}\\{plain}") });
            let Some(path) = numbered.map(Text::from).find(|path| !self.by_path.contains_key(path)) else { continue };
            let audio = self.audio.get(&(id, file)).copied().unwrap_or_default();
            self.by_path.insert(path.clone(), Offer { share: id, file, size_bytes: entry.length, token: token.clone(), audio });
            paths.push(path);
        }
        if !share.held.covers(0..share.layout.total_bytes()) {
            self.partial.insert(id);
        }
        self.published.insert(id, Published { op, token, paths });
    }

    /// No longer offers the share of an operation. Returns the paths that servers know.
    pub(crate) fn remove(&mut self, op: OpId) -> Option<Vec<Text>> {
        let id = self.published.iter().find(|(_, published)| published.op == op).map(|(&id, _)| id)?;
        let published = self.published.remove(&id)?;
        for path in &published.paths {
            self.by_path.remove(path);
        }
        Some(if self.partial.remove(&id) { Vec::new() } else { published.paths })
    }

    /// A share has become complete. Returns whether servers do not know it yet.
    pub(crate) fn complete(&mut self, id: ShareId) -> bool {
        self.partial.remove(&id)
    }

    pub(crate) fn set_audio(&mut self, share: ShareId, file: usize, audio: Audio) {
        self.audio.insert((share, file), audio);
        for offer in self.by_path.values_mut().filter(|offer| offer.share == share && offer.file == file) {
            offer.audio = audio;
        }
    }

    pub(crate) fn find(&self, path: &[u8]) -> Option<&Offer> {
        self.by_path.get(&Text::from(path))
    }

    /// The share that a path belongs to, or that has a token (`#` in front of it).
    pub(crate) fn share_of(&self, path: &[u8]) -> Option<ShareId> {
        match path.strip_prefix(b"#") {
            Some(token) => {
                self.published.iter().find(|(_, published)| published.token.bytes().eq_ignore_ascii_case(token)).map(|(&id, _)| id)
            }
            None => self.find(path).map(|offer| offer.share),
        }
    }

    /// Whether a share is offered at all.
    pub(crate) fn has(&self, id: ShareId) -> bool {
        self.published.contains_key(&id)
    }

    /// All paths that servers may know, of one share or of all.
    pub(crate) fn paths(&self, of: Option<ShareId>) -> impl Iterator<Item = Text> {
        let wanted = move |id: ShareId| of.is_none_or(|of| of == id);
        let shares = self.published.iter().filter(move |(id, _)| wanted(**id) && !self.partial.contains(id));
        shares.flat_map(|(_, published)| published.paths.iter().cloned())
    }

    /// The message that offers a path to a server. Old servers count sizes to 2^32.
    pub(crate) fn share_message(&self, path: &Text, sizes_max: u64) -> Option<ToServer> {
        let Offer { size_bytes, token, audio, .. } = self.by_path.get(path)?;
        let (size, hash) = ((*size_bytes).min(sizes_max), Word(token.clone()));
        let kind = kind_by_suffix(path.bytes());
        Some(match kind {
            Kind::Mp3 => ToServer::Share {
                path: path.clone().into(),
                hash,
                size,
                bitrate: audio.bitrate_kbps,
                frequency: Hertz(audio.frequency_hz),
                seconds: audio.seconds,
            },
            _ => ToServer::ShareAny { path: path.clone().into(), size, hash, kind: kind_word(kind).into() },
        })
    }

    /// All files, as they are told from program to program.
    pub(crate) fn list(&self) -> impl Iterator<Item = ListEntry> {
        self.by_path.iter().filter(|(_, offer)| !self.partial.contains(&offer.share)).map(|(path, offer)| ListEntry {
            path: path.clone().into(),
            hash: Word(offer.token.clone()),
            size: offer.size_bytes,
            bitrate: offer.audio.bitrate_kbps,
            frequency: Hertz(offer.audio.frequency_hz),
            seconds: offer.audio.seconds,
        })
    }
}
