//! What a file sounds like and what it is called, for those who search by it: read from its headers and tags, never from its name.

use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::{AudioFile as _, TaggedFileExt as _};
use lofty::probe::Probe;
use lofty::tag::Accessor as _;

/// What is known of the sound of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// Kilobits a second, on average.
    pub bitrate_kbps: u32,
    /// Samples a second.
    pub frequency_hz: u32,
    /// How long it plays, rounded.
    pub seconds: u32,
    /// What its tags call it; empty where they say nothing.
    pub title: String,
    /// By whom.
    pub artist: String,
    /// On what.
    pub album: String,
}

/// What the file at `path` sounds like; `None` when it is no music that we know, or cannot be read. Reads headers, tags and a few frames.
#[must_use]
pub fn sound_of(path: &Path) -> Option<Sound> {
    let read = |tags: bool| {
        // What a file is says its content; a name may say anything.
        let probe = Probe::open(path).ok()?.guess_file_type().ok()?;
        probe.file_type()?;
        probe.options(ParseOptions::new().read_tags(tags).read_cover_art(false)).read().ok()
    };
    // Tags that cannot be read are no reason to know nothing of the music.
    let file = read(true).or_else(|| read(false))?;
    let properties = file.properties();
    let tag = file.primary_tag().or_else(|| file.first_tag());
    let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| bounded(&text)).unwrap_or_default();
    let sound = Sound {
        bitrate_kbps: properties.audio_bitrate().or_else(|| properties.overall_bitrate()).unwrap_or(0),
        frequency_hz: properties.sample_rate().unwrap_or(0),
        seconds: u32::try_from((properties.duration().as_millis() + 500) / 1000).unwrap_or(u32::MAX),
        title: text(tag.and_then(|tag| tag.title())),
        artist: text(tag.and_then(|tag| tag.artist())),
        album: text(tag.and_then(|tag| tag.album())),
    };
    (sound != Sound::default()).then_some(sound)
}

/// One line of a tag, as much as a name is long.
fn bounded(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], expected: Option<Sound>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(sound_of(&path), expected);
    }

    /// Frames of MPEG-1 layer III, 128 kbit/s at 44,100 Hz: 417 bytes and 1152 samples each.
    fn mp3(frames: usize) -> Vec<u8> {
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x00]);
        frame.repeat(frames)
    }

    #[test]
    fn the_headers_of_an_mp3_tell_how_it_sounds() {
        check("a.mp3", &mp3(383), Some(Sound { bitrate_kbps: 128, frequency_hz: 44_100, seconds: 10, ..Sound::default() }));
        // Whatever it is called.
        check("a.txt", &mp3(383), Some(Sound { bitrate_kbps: 128, frequency_hz: 44_100, seconds: 10, ..Sound::default() }));
    }

    #[test]
    fn the_headers_of_a_wave_file_tell_how_it_sounds() {
        let data = vec![0; 16_000];
        let mut bytes = b"RIFF".to_vec();
        bytes.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&16_u32.to_le_bytes());
        bytes.extend_from_slice(&[1, 0, 1, 0]);
        bytes.extend_from_slice(&8000_u32.to_le_bytes());
        bytes.extend_from_slice(&16_000_u32.to_le_bytes());
        bytes.extend_from_slice(&[2, 0, 16, 0]);
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&data);
        check("a.wav", &bytes, Some(Sound { bitrate_kbps: 128, frequency_hz: 8000, seconds: 1, ..Sound::default() }));
    }

    /// ID3v2.3: a frame has four letters, its length, two bytes of flags, and a text behind a byte for its encoding.
    #[test]
    fn the_tags_of_an_mp3_tell_what_it_is_called() {
        let frame = |id: &[u8], text: &[u8]| {
            let length = u32::try_from(text.len() + 1).unwrap().to_be_bytes();
            [id, &length, &[0, 0, 0], text].concat()
        };
        let frames = [frame(b"TIT2", b"Blue Sky"), frame(b"TPE1", b"The Clouds"), frame(b"TALB", &[b'x'; 120])].concat();
        let size = u32::try_from(frames.len()).unwrap();
        let seven = |shift: u32| u8::try_from(size >> shift & 0x7f).unwrap();
        let mut bytes = b"ID3\x03\0\0".to_vec();
        bytes.extend_from_slice(&[seven(21), seven(14), seven(7), seven(0)]);
        bytes.extend_from_slice(&frames);
        bytes.extend_from_slice(&mp3(383));
        let album = "x".repeat(100);
        let expected =
            Sound { bitrate_kbps: 128, frequency_hz: 44_100, seconds: 10, title: "Blue Sky".into(), artist: "The Clouds".into(), album };
        check("a.mp3", &bytes, Some(expected));
    }

    #[test]
    fn what_is_no_music_has_no_sound() {
        check("a.mp3", b"", None);
        check("b.mp3", b"not at all a song", None);
        check("c.flac", &[0; 5000], None);
        assert_eq!(sound_of(Path::new("/nowhere/at/all.mp3")), None);
    }
}
