//! One file as the index keeps it: a few bytes in its owner's arena.

use std::borrow::Cow;

use crate::words::text_of;

/// What kind of file (OpenNap 10300; `Mp3` is what the classic share messages offer).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An MP3, or what is shared as one.
    #[default]
    Mp3,
    /// Other music.
    Audio,
    /// Film.
    Video,
    /// Writing.
    Text,
    /// Picture.
    Image,
    /// Program.
    Application,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mp3, Self::Audio, Self::Video, Self::Text, Self::Image, Self::Application];

    const fn number(self) -> u8 {
        self as u8
    }

    fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number & 7)).copied().unwrap_or_default()
    }
}

/// A file to be put into the catalogue.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewFile<'a> {
    /// The owner's own name of it, which he must be given back byte for byte. Parts are separated by `\` or `/`.
    pub path: &'a [u8],
    /// A hash or whatever else stands for the content; may be empty.
    pub token: &'a [u8],
    /// Bytes.
    pub size_bytes: u64,
    /// Kilobits a second.
    pub bitrate_kbps: u32,
    /// Hertz.
    pub frequency_hz: u32,
    /// How long it plays.
    pub seconds: u32,
    /// What it is.
    pub kind: Kind,
}

/// A file of the catalogue. Borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The path up to and including the last separator.
    pub folder: &'a [u8],
    /// The rest of it.
    pub name: &'a [u8],
    /// Bytes.
    pub size_bytes: u64,
    /// Kilobits a second.
    pub bitrate_kbps: u32,
    /// Hertz.
    pub frequency_hz: u32,
    /// How long it plays.
    pub seconds: u32,
    /// What it is.
    pub kind: Kind,
    token: Token<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// 32 lower-case hex digits, packed.
    Hex(&'a [u8]),
    Text(&'a [u8]),
}

impl<'a> File<'a> {
    /// Folder and name together, as the owner gave it.
    #[must_use]
    pub fn path(&self) -> Vec<u8> {
        [self.folder, self.name].concat()
    }

    /// What stands for the content, as the owner gave it.
    #[must_use]
    pub fn token(&self) -> Cow<'a, [u8]> {
        match self.token {
            Token::Text(text) => Cow::Borrowed(text),
            Token::Hex(packed) => Cow::Owned(packed.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()),
        }
    }

    /// The name for people.
    #[must_use]
    pub fn shown_name(&self) -> Cow<'a, str> {
        text_of(self.name)
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

const HEX_FLAG: u8 = 8;

/// Where a path's last part begins.
pub(crate) fn split(path: &[u8]) -> usize {
    path.iter().rposition(|&byte| byte == b'\\' || byte == b'/').map_or(0, |place| place + 1)
}

/// Appends a record for entry `entry`; its folder stands at `folder_at` of the same arena.
pub(crate) fn write(arena: &mut Vec<u8>, entry: u32, folder_at: u32, file: &NewFile<'_>) {
    let (folder, name) = file.path.split_at(split(file.path));
    let packed: Option<Vec<u8>> = (file.token.len() == 32)
        .then(|| file.token.as_chunks().0.iter().map(|&[high, low]| Some(value(high)? << 4 | value(low)?)).collect())
        .flatten();
    arena.extend_from_slice(&entry.to_le_bytes());
    arena.push(file.kind.number() | if packed.is_some() { HEX_FLAG } else { 0 });
    put(arena, file.size_bytes);
    put(arena, file.bitrate_kbps.into());
    put(arena, file.frequency_hz.into());
    put(arena, file.seconds.into());
    put(arena, folder_at.into());
    put(arena, folder.len() as u64);
    put(arena, name.len() as u64);
    match packed {
        Some(packed) => arena.extend_from_slice(&packed),
        None => {
            put(arena, file.token.len() as u64);
            arena.extend_from_slice(file.token);
        }
    }
    arena.extend_from_slice(name);
}

/// At most how many bytes [`write()`] appends for this file, its folder included.
pub(crate) fn bytes_max(file: &NewFile<'_>) -> usize {
    4 + 1 + 10 * 8 + file.token.len().max(16) + file.path.len()
}

/// The entry's number and the file of the record at `at`. Records are written by ourselves, so nothing is missing.
pub(crate) fn read(arena: &[u8], at: u32) -> (u32, File<'_>) {
    let mut rest = &arena[at as usize..];
    let (number, after) = rest.split_first_chunk::<4>().expect("a record begins with its entry");
    let entry = u32::from_le_bytes(*number);
    let flags = after[0];
    rest = &after[1..];
    let size_bytes = take(&mut rest);
    let [bitrate_kbps, frequency_hz, seconds] = std::array::from_fn(|_| u32::try_from(take(&mut rest)).unwrap_or(u32::MAX));
    let [folder_at, folder_len, name_len] = std::array::from_fn(|_| usize::try_from(take(&mut rest)).unwrap_or(usize::MAX));
    let token_len = if flags & HEX_FLAG == 0 { usize::try_from(take(&mut rest)).unwrap_or(usize::MAX) } else { 16 };
    let (token, rest) = rest.split_at(token_len);
    let token = if flags & HEX_FLAG == 0 { Token::Text(token) } else { Token::Hex(token) };
    let folder = &arena[folder_at..folder_at + folder_len];
    (entry, File { folder, name: &rest[..name_len], size_bytes, bitrate_kbps, frequency_hz, seconds, kind: Kind::of(flags), token })
}

/// Seven bits a byte, the last one without the high bit.
fn put(arena: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        arena.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    arena.push(u8::try_from(number).unwrap_or(0));
}

fn take(rest: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0_u64, 0_u32);
    while let Some((&byte, after)) = rest.split_first() {
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 || shift > 63 {
            break;
        }
    }
    number
}
