//! Kinds of files, by which a searcher narrows what is found: GGEP `M`, a mask with the lowest byte first. Spec §13.

use super::extensions::Extensions;

const AUDIO: u16 = 0x04;
const VIDEO: u16 = 0x08;
const DOCUMENT: u16 = 0x10;
const IMAGE: u16 = 0x20;
const WINDOWS: u16 = 0x40;
const UNIX: u16 = 0x80;
const ALL: u16 = AUDIO | VIDEO | DOCUMENT | IMAGE | WINDOWS | UNIX;

/// Kinds of files that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media(u16);

impl Media {
    /// Music.
    pub const AUDIO: Self = Self(AUDIO);
    /// Film.
    pub const VIDEO: Self = Self(VIDEO);
    /// Writing.
    pub const DOCUMENT: Self = Self(DOCUMENT);
    /// Pictures.
    pub const IMAGE: Self = Self(IMAGE);
    /// Programs of any system.
    pub const PROGRAM: Self = Self(WINDOWS | UNIX);

    /// What a query asks for; `None` where it does not say, or asks for something that we have no names for.
    #[must_use]
    pub fn wanted(extensions: &Extensions) -> Option<Self> {
        let data = extensions.ggep.find("M")?;
        let mask = data.iter().take(2).rev().fold(0_u16, |mask, &byte| mask << 8 | u16::from(byte));
        (data.len() <= 4 && mask & ALL != 0 && mask & !ALL == 0).then_some(Self(mask))
    }

    /// Whether a file of that name is among them, by its ending.
    #[must_use]
    pub fn takes(self, name: &[u8]) -> bool {
        let ending = name.rsplit(|&byte| byte == b'.').next().filter(|ending| ending.len() < name.len()).unwrap_or_default();
        self.0 & kind(&ending.to_ascii_lowercase()) != 0
    }
}

fn kind(ending: &[u8]) -> u16 {
    match ending {
        b"mp3" | b"ogg" | b"opus" | b"flac" | b"wav" | b"wma" | b"m4a" | b"aac" | b"mid" | b"ape" => AUDIO,
        b"avi" | b"mpg" | b"mpeg" | b"mp4" | b"mkv" | b"webm" | b"wmv" | b"mov" | b"ogv" | b"flv" | b"3gp" => VIDEO,
        b"txt" | b"pdf" | b"doc" | b"docx" | b"odt" | b"rtf" | b"html" | b"htm" | b"epub" | b"md" | b"ps" | b"djvu" => DOCUMENT,
        b"jpg" | b"jpeg" | b"png" | b"gif" | b"webp" | b"svg" | b"bmp" | b"tif" | b"tiff" => IMAGE,
        b"exe" | b"msi" | b"cab" => WINDOWS,
        b"deb" | b"rpm" | b"apk" | b"dmg" | b"sh" | b"gz" | b"tgz" | b"bz2" | b"xz" => UNIX,
        // Archives and images of disks hold programs of either.
        b"zip" | b"7z" | b"rar" | b"iso" | b"jar" => WINDOWS | UNIX,
        _ => 0,
    }
}
