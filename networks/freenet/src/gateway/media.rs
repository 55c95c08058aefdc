//! Sounds and films: known by what they are, whatever they say they are, and given without what is not needed to play them. Tags, pictures and
//! chapters go, and so does anything by which a player could be sent elsewhere; offsets stay what they were where a format counts in them.

use bytes::Bytes;

/// Bytes of sound or film, and the type that they are.
pub(super) fn clean(bytes: &Bytes) -> Option<(&'static str, Bytes)> {
    match bytes.get(..12)? {
        // First, for what follows may be anything.
        [0xff, second, ..] if second & 0xe0 == 0xe0 => mp3(bytes).map(|clean| ("audio/mpeg", clean.into())),
        [b'f', b'L', b'a', b'C', ..] => flac(bytes).map(|clean| ("audio/flac", clean.into())),
        [b'O', b'g', b'g', b'S', ..] => ogg(bytes).map(|(mime, clean)| (mime, clean.into())),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => wav(bytes).map(|clean| ("audio/wav", clean.into())),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => webm(bytes).map(|clean| ("video/webm", clean.into())),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            let mime = if brand.starts_with(b"M4A") || brand.starts_with(b"M4B") { "audio/mp4" } else { "video/mp4" };
            let mut clean = bytes.to_vec();
            let whole = clean.len();
            let (mut found, at) = ((false, false), 0..whole);
            boxes(&mut clean, at, 0, &mut found)?;
            (found == (true, true)).then(|| (mime, clean.into()))
        }
        _ => mp3(bytes).map(|clean| ("audio/mpeg", clean.into())),
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

fn le32(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

/// Stream info and seek table, then the frames.
fn flac(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"fLaC".to_vec();
    let mut at = 4;
    let mut last_kept = None;
    loop {
        let header = be32(bytes, at)?;
        let (kind, length) = (header >> 24 & 0x7f, header & 0xff_ffff);
        let block = bytes.get(at + 4..at + 4 + length)?;
        if (kind == 0) != (at == 4) || (kind == 0 && length != 34) {
            return None;
        }
        if kind == 0 || kind == 3 {
            last_kept = Some(out.len());
            out.extend_from_slice(&[u8::try_from(kind).ok()?]);
            out.extend_from_slice(&bytes[at + 1..at + 4]);
            out.extend_from_slice(block);
        }
        at += 4 + length;
        if header >> 31 == 1 {
            break;
        }
    }
    out[last_kept?] |= 0x80;
    let frames = &bytes[at..];
    // The sync code and a bit that is always zero.
    (frames.first() == Some(&0xff) && frames.get(1).is_some_and(|byte| byte & 0xfe == 0xf8)).then(|| [&out[..], frames].concat())
}

/// Pages of streams of which the codec is known.
fn ogg(bytes: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let (mut out, mut at, mut known, mut mime) = (Vec::new(), 0, Vec::new(), None);
    while let Some(header) = bytes.get(at..at + 27).filter(|header| header.starts_with(b"OggS\0")) {
        let Some(sizes) = bytes.get(at + 27..at + 27 + usize::from(header[26])) else { break };
        let body = at + 27 + sizes.len();
        let end = body + sizes.iter().map(|&size| usize::from(size)).sum::<usize>();
        let Some(content) = bytes.get(body..end) else { break };
        let serial = &header[14..18];
        if header[5] & 2 != 0 {
            let codec = match content {
                [1, b'v', b'o', b'r', b'b', b'i', b's', ..] | [0x7f, b'F', b'L', b'A', b'C', ..] => Some("audio/ogg"),
                [0x80, b't', b'h', b'e', b'o', b'r', b'a', ..] => Some("video/ogg"),
                _ if content.starts_with(b"OpusHead") => Some("audio/ogg"),
                _ => None,
            };
            if let Some(codec) = codec {
                known.push(serial);
                mime = Some(if mime == Some("video/ogg") { "video/ogg" } else { codec });
            }
            if known.len() > 16 {
                return None;
            }
        }
        if known.contains(&serial) {
            out.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
    mime.map(|mime| (mime, out))
}

/// Format and samples.
fn wav(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"RIFF\0\0\0\0WAVE".to_vec();
    let (mut at, mut has_format) = (12, false);
    while let Some(length) = le32(bytes, at + 4) {
        let whole = (at + 8).checked_add(length)?.min(bytes.len());
        let content = &bytes[at + 8..whole];
        let name = &bytes[at..at + 4];
        let wanted = match name {
            b"fmt " => (16..=64).contains(&content.len()) && !std::mem::replace(&mut has_format, true),
            b"fact" => content.len() == 4,
            b"data" => has_format,
            _ => false,
        };
        if wanted {
            out.extend_from_slice(name);
            out.extend_from_slice(&u32::try_from(content.len()).ok()?.to_le_bytes());
            out.extend_from_slice(content);
            if content.len() % 2 == 1 {
                out.push(0);
            }
            if name == b"data" {
                let size = u32::try_from(out.len() - 8).ok()?.to_le_bytes();
                out[4..8].copy_from_slice(&size);
                return Some(out);
            }
        }
        at = whole + length % 2;
    }
    None
}

/// Length of the MPEG audio frame (layer III) that begins here.
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    const RATES_1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const RATES_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[sync, kind, rates, _] = bytes.get(..4)? else { return None };
    if sync != 0xff || kind & 0xe0 != 0xe0 || kind & 0x06 != 0x02 {
        return None;
    }
    let hertz = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
    let (table, hertz, samples) = match kind >> 3 & 3 {
        3 => (RATES_1, hertz, 144),
        2 => (RATES_2, hertz / 2, 72),
        0 => (RATES_2, hertz / 4, 72),
        _ => return None,
    };
    let kilobits = *table.get(usize::from(rates >> 4).checked_sub(1)?)?;
    Some(samples * kilobits * 1000 / hertz + usize::from(rates >> 1 & 1))
}

/// Frames and nothing between them.
fn mp3(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    if bytes.starts_with(b"ID3") {
        let size = bytes.get(6..10)?.iter().fold(0, |sum, &byte| sum << 7 | usize::from(byte & 0x7f));
        at = 10 + size;
    }
    let (mut out, mut frames) = (Vec::new(), 0);
    while at < bytes.len() {
        let whole = frame_bytes(&bytes[at..]).map(|length| at + length).filter(|&end| end <= bytes.len());
        // Two bytes are soon met by chance: another frame has to follow, or the end.
        match whole.filter(|&end| end + 4 > bytes.len() || bytes[end..].starts_with(b"TAG") || frame_bytes(&bytes[end..]).is_some()) {
            Some(end) => {
                out.extend_from_slice(&bytes[at..end]);
                frames += 1;
                at = end;
            }
            None => at += 1,
        }
        // What is not sound from its beginning is not sound.
        if frames == 0 && at > 1 << 20 {
            return None;
        }
    }
    (frames >= 2).then_some(out)
}

/// Boxes deeper than this are of no film.
const DEPTH_MAX: u8 = 8;

/// Looks through the boxes of an MP4 and makes free space of those that are not needed, in their place. `None` for what it cannot read, and for media
/// data that is said to be elsewhere.
fn boxes(bytes: &mut [u8], within: std::ops::Range<usize>, depth: u8, found: &mut (bool, bool)) -> Option<()> {
    let mut at = within.start;
    while at < within.end {
        let (mut length, mut header) = (be32(bytes, at)?, 8);
        let kind: [u8; 4] = bytes.get(at + 4..at + 8)?.try_into().ok()?;
        if length == 1 {
            (length, header) = (usize::try_from(u64::from_be_bytes(bytes.get(at + 8..at + 16)?.try_into().ok()?)).ok()?, 16);
        } else if length == 0 && depth == 0 {
            length = within.end - at;
        }
        let end = at.checked_add(length).filter(|&end| length >= header && end <= within.end)?;
        match (&kind, depth) {
            (b"moov" | b"moof" | b"mfra", 0) | (b"trak" | b"mdia" | b"minf" | b"dinf" | b"stbl" | b"edts" | b"mvex" | b"traf", 1..) => {
                if depth >= DEPTH_MAX {
                    return None;
                }
                found.0 |= kind == *b"moov";
                boxes(bytes, at + header..end, depth + 1, found)?;
            }
            (b"mdat", 0) => found.1 = true,
            (b"ftyp" | b"styp" | b"sidx", 0) => {}
            (b"dref", 1..) => {
                let count = be32(bytes, at + header + 4)?;
                // Version, flags and number; then each says nothing but that the media data is in this file.
                let entries = bytes.get(at + header + 8..end)?;
                let here = entries.chunks(12).all(|entry| *entry == [0, 0, 0, 12, b'u', b'r', b'l', b' ', 0, 0, 0, 1]);
                if !here || entries.len() != count.checked_mul(12)? {
                    return None;
                }
            }
            (
                b"mvhd" | b"tkhd" | b"mdhd" | b"hdlr" | b"vmhd" | b"smhd" | b"nmhd" | b"stsd" | b"stts" | b"ctts" | b"cslg" | b"stsc"
                | b"stsz" | b"stz2" | b"stco" | b"co64" | b"stss" | b"sdtp" | b"sgpd" | b"sbgp" | b"elst" | b"trex" | b"mehd" | b"mfhd"
                | b"tfhd" | b"trun" | b"tfdt" | b"tfra" | b"mfro",
                1..,
            ) => {}
            _ => {
                bytes[at + 4..at + 8].copy_from_slice(b"free");
                bytes[at + header..end].fill(0);
            }
        }
        at = end;
    }
    Some(())
}

/// A number of EBML with its marker taken off, and its length; `None` as a number is one that says nothing.
fn vint(bytes: &[u8], at: usize) -> Option<(Option<usize>, usize)> {
    let first = *bytes.get(at)?;
    let length = first.leading_zeros() as usize + 1;
    let all = bytes.get(at..at + length).filter(|_| length <= 8)?;
    let value = all[1..].iter().fold(u64::from(first) & ((1 << (8 - length)) - 1), |sum, &byte| sum << 8 | u64::from(byte));
    let unknown = value == (1 << (7 * length)) - 1;
    Some((if unknown { None } else { Some(usize::try_from(value).ok()?) }, length))
}

/// What is to be played of a WebM; attachments, tags, chapters and what nobody knows become void, in their place.
fn webm(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = bytes.to_vec();
    let (mut at, mut has_type, mut has_tracks) = (0, false, false);
    while at < bytes.len() {
        let id_bytes = bytes[at].leading_zeros() as usize + 1;
        let id = bytes.get(at..at + id_bytes).filter(|_| id_bytes <= 4)?;
        let (length, length_bytes) = vint(bytes, at + id_bytes)?;
        let body = at + id_bytes + length_bytes;
        if matches!(id, [0x18, 0x53, 0x80, 0x67] | [0x1f, 0x43, 0xb6, 0x75]) {
            // A segment or a cluster: what is in it follows.
            at = body;
            continue;
        }
        let end = body.checked_add(length?)?;
        // A last block that is not all there ends it.
        let Some(content) = bytes.get(body..end) else {
            out.truncate(at);
            break;
        };
        match id {
            [0x1a, 0x45, 0xdf, 0xa3] => has_type = content.windows(7).any(|part| part == [0x42, 0x82, 0x84, b'w', b'e', b'b', b'm']),
            [0x16, 0x54, 0xae, 0x6b] => has_tracks = true,
            // Seek head, information, cues; time, blocks and position of a cluster; void and checksum.
            [0x11, 0x4d, 0x9b, 0x74] | [0x15, 0x49, 0xa9, 0x66] | [0x1c, 0x53, 0xbb, 0x6b] => {}
            [0xe7 | 0xa3 | 0xa0 | 0xa7 | 0xab | 0xec | 0xbf] => {}
            _ => {
                let sized = (end - at - 1).min(id_bytes + length_bytes - 1).min(8);
                let rest = (end - at - 1 - sized) as u64;
                out[at] = 0xec;
                let marked = rest | 1 << (7 * sized);
                out[at + 1..at + 1 + sized].copy_from_slice(&marked.to_be_bytes()[8 - sized..]);
                out[at + 1 + sized..end].fill(0);
            }
        }
        at = end;
    }
    (has_type && has_tracks).then_some(out)
}

/// A playlist with what can be played from here: no address that is not a key's, and none of the commands by which others are fetched.
pub(super) fn playlist(text: &str) -> String {
    let mut out = String::from("#EXTM3U\n");
    for line in text.lines().map(str::trim).take(LINES_MAX).filter(|line| line.len() <= LINE_BYTES_MAX) {
        if let Some(about) = line.strip_prefix("#EXTINF:") {
            let about: String = about.chars().filter(|letter| !letter.is_control()).collect();
            out += &format!("#EXTINF:{}\n", about.trim_end());
        } else if !line.is_empty()
            && !line.starts_with('#')
            && let super::links::Way::Inside(to) = super::links::follow(line)
            && let to = to.trim()
            // What is left of a line might have become a command, or nothing.
            && !to.is_empty()
            && !to.starts_with('#')
        {
            out += to;
            out.push('\n');
        }
    }
    out
}

/// Lines of a playlist, and their length.
const LINES_MAX: usize = 10_000;
/// See [`LINES_MAX`].
const LINE_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(bytes: &[u8]) -> Option<(&'static str, Vec<u8>)> {
        clean(&Bytes::copy_from_slice(bytes)).map(|(mime, bytes)| (mime, bytes.to_vec()))
    }

    #[test]
    fn flac_loses_its_tags_and_its_picture() {
        let info = [&[0, 0, 0, 34][..], &[7; 34]].concat();
        let tags = [&[4, 0, 0, 5][..], b"a=url"].concat();
        let frames = [0xff, 0xf8, 1, 2, 3];
        let picture = [&[0x86, 0, 0, 3][..], b"-->"].concat();
        let seen = cleaned(&[b"fLaC", &info[..], &tags, &picture, &frames].concat());
        let alone = [&[0x80, 0, 0, 34][..], &[7; 34]].concat();
        assert_eq!(seen, Some(("audio/flac", [b"fLaC", &alone[..], &frames].concat())));
        assert_eq!(cleaned(b"fLaC\x84\x00\x00\x01a\xff\xf8--"), None, "it begins with what it is");
    }

    fn page(flags: u8, serial: u8, content: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend([0; 8]);
        page.extend([serial, 0, 0, 0]);
        page.extend([0; 8]);
        page.push(1);
        page.push(u8::try_from(content.len()).expect("a short page"));
        page.extend_from_slice(content);
        page
    }

    #[test]
    fn ogg_keeps_the_streams_that_are_known() {
        let (sound, other) = (page(2, 1, b"OpusHead...."), page(2, 2, b"fishead\0"));
        let (more, skeleton) = (page(0, 1, b"sound"), page(0, 2, b"http://evil.example/"));
        let seen = cleaned(&[&sound[..], &other, &more, &skeleton, b"OggS trash"].concat());
        assert_eq!(seen, Some(("audio/ogg", [&sound[..], &more].concat())));
        assert_eq!(cleaned(&other), None);
        assert_eq!(cleaned(&page(2, 3, b"\x80theora..")).map(|(mime, _)| mime), Some("video/ogg"));
    }

    #[test]
    fn wav_keeps_format_and_samples() {
        let part = |name: &[u8; 4], content: &[u8]| {
            let mut part = [&name[..], &u32::try_from(content.len()).expect("short").to_le_bytes(), content].concat();
            part.extend(vec![0; content.len() % 2]);
            part
        };
        let (format, samples) = (part(b"fmt ", &[1; 16]), part(b"data", b"abc"));
        let file = [b"RIFF....WAVE", &part(b"LIST", b"http://x")[..], &format, &samples, &part(b"id3 ", b"tag!")].concat();
        let (mime, clean) = cleaned(&file).expect("it is a sound");
        assert_eq!((mime, &clean[12..]), ("audio/wav", &[&format[..], &samples].concat()[..]));
        assert_eq!(le32(&clean, 4), Some(clean.len() - 8));
        assert_eq!(cleaned(b"RIFF....WAVEdata\x01\0\0\0a"), None, "samples of no format");
    }

    #[test]
    fn mp3_is_its_frames() {
        // MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes.
        let frame = [&[0xff, 0xfb, 0x90, 0x00][..], &[5; 413]].concat();
        let tag = [b"ID3\x03\0\0\0\0\0\x09", &b"WXXXhttp:"[..]].concat();
        let end = [&b"TAG"[..], &[b'u'; 125]].concat();
        let seen = cleaned(&[&tag[..], &frame, &frame, b"junk http://x", &frame, &frame, &end].concat());
        let (mime, clean) = seen.expect("it is a sound");
        // The frame before the junk goes with it: nothing says that it is one.
        assert_eq!((mime, clean), ("audio/mpeg", frame.repeat(3)));
        assert_eq!(cleaned(b"<html><script src=//x>\xff\xfb\x90\x00"), None);
    }

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 8).expect("short").to_be_bytes();
        [&length[..], kind, content].concat()
    }

    #[test]
    fn mp4_keeps_its_offsets_and_nothing_that_leads_elsewhere() {
        let film = |reference: &[u8], more: &[u8; 4], tags: &[u8]| {
            let dref = boxed(b"dref", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], reference].concat());
            let inside = boxed(b"minf", &boxed(b"dinf", &dref));
            let moov = boxed(b"moov", &[boxed(b"trak", &boxed(b"mdia", &inside)), boxed(more, tags)].concat());
            [boxed(b"ftyp", b"isom...."), moov, boxed(b"mdat", b"film"), boxed(b"uuid", b"http://x")].concat()
        };
        let here = boxed(b"url ", &[0, 0, 0, 1]);
        let (mime, clean) = cleaned(&film(&here, b"udta", b"http://evil.example/")).expect("it is a film");
        assert_eq!(mime, "video/mp4");
        assert_eq!(clean.len(), film(&here, b"udta", b"http://evil.example/").len());
        assert!(!clean.windows(4).any(|part| part == b"http" || part == b"udta" || part == b"uuid"));
        assert!(clean.windows(8).any(|part| part == b"mdatfilm"));
        let elsewhere = boxed(b"url ", b"\0\0\0\0http://x\0");
        assert_eq!(cleaned(&film(&elsewhere, b"udta", b"")), None);
        assert_eq!(cleaned(&film(&here, b"udta", b"")[..60]), None, "what is cut off is not guessed");
    }

    fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
        [id, &[0x80 | u8::try_from(content.len()).expect("short")], content].concat()
    }

    #[test]
    fn webm_keeps_its_offsets_and_loses_what_is_attached() {
        let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"webm"));
        let tracks = element(&[0x16, 0x54, 0xae, 0x6b], b"track");
        let attached = element(&[0x19, 0x41, 0xa4, 0x69], b"http://evil.example/");
        // A segment and a cluster that do not say how long they are.
        let (segment, cluster) = ([0x18, 0x53, 0x80, 0x67, 0xff], [0x1f, 0x43, 0xb6, 0x75, 0xff]);
        let block = element(&[0xa3], b"picture");
        let file = [&head[..], &segment, &tracks, &attached, &cluster, &block, &[0xa3, 0x90, 1]].concat();
        let (mime, clean) = cleaned(&file).expect("it is a film");
        assert_eq!((mime, clean.len()), ("video/webm", file.len() - 3));
        assert!(!clean.windows(4).any(|part| part == b"http"));
        // What stands in its place is one void element, and everything else is where it was.
        let again = cleaned(&clean).expect("it is a film still");
        assert_eq!(again.1, clean);
        assert_eq!(clean[clean.len() - block.len()..], block[..]);
        let matroska = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
        assert_eq!(cleaned(&[&matroska[..], &segment, &tracks].concat()), None);
    }

    #[test]
    fn a_playlist_names_nothing_but_keys() {
        let text = "#EXTM3U\r\n#EXTINF:12,Blue\nblue.mp3\n#EXT-X-KEY:METHOD=AES-128,URI=\"http://evil.example/\"\nhttp://evil.example/a.mp3\n\
                    //evil.example/b\nfile:///etc/passwd\n\u{1}\n\u{1}#EXT-X-MAP:URI=\"//evil.example/\"\n/KSK@green.ogg\nfreenet:KSK@red.ogg";
        assert_eq!(playlist(text), "#EXTM3U\n#EXTINF:12,Blue\nblue.mp3\n/KSK@green.ogg\n/KSK@red.ogg\n");
    }
}
