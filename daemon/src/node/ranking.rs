//! Which of several results is the best: who has the words asked for and little else, is proven, and is offered by many.

use hexad_api::node::MediaKind;

/// By what results are ordered; the greatest is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    /// How the words stand in the name: alone, together, as words, or as parts of words.
    exactness: u8,
    proven: bool,
    sources: usize,
    /// How much of the name are the words, in thousandths.
    share: u32,
}

/// How good a result is for somebody who asked for `words`.
pub(super) fn worth(words: &[String], name: &str, proven: bool, sources: usize) -> Worth {
    let words: Vec<String> = words.iter().flat_map(|word| tokens(word)).collect();
    let stem = name.rsplit_once('.').filter(|(_, ending)| ending.len() <= 5 && !ending.contains(' ')).map_or(name, |(stem, _)| stem);
    let (all, short) = (tokens(name), tokens(stem));
    let exactness = if short == words || all == words {
        3
    } else if !words.is_empty() && all.windows(words.len()).any(|window| window == &words[..]) {
        2
    } else {
        u8::from(words.iter().all(|word| all.contains(word)))
    };
    let letters = |tokens: &[String]| tokens.iter().map(String::len).sum::<usize>();
    let share = u32::try_from(letters(&words) * 1000 / letters(&short).max(1)).unwrap_or(1000).min(1000);
    Worth { exactness, proven, sources, share }
}

/// The words of a text, lower-cased.
fn tokens(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

const ENDINGS: &[(MediaKind, &[&str])] = &[
    (MediaKind::Audio, &["aac", "aif", "aiff", "ape", "flac", "m4a", "mid", "mka", "mp3", "mpc", "oga", "ogg", "opus", "wav", "wma", "wv"]),
    (MediaKind::Video, &["avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "ts", "vob", "webm", "wmv"]),
    (MediaKind::Image, &["avif", "bmp", "gif", "heic", "ico", "jpeg", "jpg", "png", "svg", "tif", "tiff", "webp"]),
    (
        MediaKind::Text,
        &[
            "azw3", "csv", "djvu", "doc", "docx", "epub", "htm", "html", "json", "log", "md", "mobi", "nfo", "odt", "pdf", "rtf", "srt",
            "txt", "xml",
        ],
    ),
    (MediaKind::Archive, &["7z", "bz2", "cab", "gz", "rar", "tar", "tgz", "txz", "xz", "zip", "zst"]),
    (
        MediaKind::Program,
        &["apk", "appimage", "bin", "deb", "dmg", "exe", "flatpak", "img", "iso", "jar", "msi", "pkg", "rpm", "sh", "snap"],
    ),
];

/// What a file is, by the end of its name; `None` where it has none, as folders have.
pub(super) fn kind_of(name: &str) -> Option<MediaKind> {
    let (_, ending) = name.rsplit_once('.')?;
    let ending = ending.to_lowercase();
    if ending.is_empty() || ending.len() > 8 || !ending.chars().all(char::is_alphanumeric) {
        return None;
    }
    let known = ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str()));
    Some(known.map_or(MediaKind::Other, |(kind, _)| *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names_come_first_then_what_is_proven_then_what_many_have() {
        let words = ["Blue".to_owned(), "train".to_owned()];
        let names = [
            ("blue train.ogg", false, 1),
            ("01 Blue Train (live).ogg", true, 1),
            ("01 Blue Train (live).mp3", false, 90),
            ("train, the blue one.ogg", true, 9),
            ("train, the blue one.mp3", true, 2),
            ("bluest trains.ogg", true, 500),
        ];
        let worths: Vec<Worth> = names.iter().map(|(name, proven, sources)| worth(&words, name, *proven, *sources)).collect();
        assert!(worths.is_sorted_by(|left, right| left > right), "{worths:?}");
    }

    #[test]
    fn a_kind_is_known_by_the_end_of_the_name() {
        let kinds = ["a.FLAC", "b.tar.gz", "c.xyz", "album", "d. the end"].map(kind_of);
        assert_eq!(kinds, [Some(MediaKind::Audio), Some(MediaKind::Archive), Some(MediaKind::Other), None, None]);
    }
}
