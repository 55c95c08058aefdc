//! Pictures of strangers: they are what they say, and tell nothing but themselves. Everything that a picture need not have (the camera, the place,
//! who made it, what hides behind its end) is left out.

/// Rows and columns of a picture, at the most.
const SIDE_MAX: u32 = 30_000;
/// Pixels of a picture, at the most.
const PIXELS_MAX: u64 = 200_000_000;

fn sane(width: u32, height: u32) -> bool {
    (1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height) && u64::from(width) * u64::from(height) <= PIXELS_MAX
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at + 3)?;
    Some(u32::from_le_bytes([part[0], part[1], part[2], 0]))
}

/// CRC-32 as PNG has it (ISO 3309), four bits at a time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = [
        0x0000_0000,
        0x1db7_1064,
        0x3b6e_20c8,
        0x26d9_30ac,
        0x76dc_4190,
        0x6b6b_51f4,
        0x4db2_6158,
        0x5005_713c,
        0xedb8_8320,
        0xf00f_9344,
        0xd6d6_a3e8,
        0xcb61_b38c,
        0x9b64_c2b0,
        0x86d3_d2d4,
        0xa00a_e278,
        0xbdbd_f21c,
    ];
    let step = |crc: u32, nibble: u32| TABLE[((crc ^ nibble) & 15) as usize] ^ (crc >> 4);
    !bytes.iter().fold(u32::MAX, |crc, &byte| step(step(crc, u32::from(byte)), u32::from(byte) >> 4))
}

/// PNG (W3C, second edition): chunks with right sums, of which those are kept that change how it looks.
pub(super) fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    const KEPT: [&[u8; 4]; 13] =
        [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"acTL", b"fcTL", b"fdAT"];
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut out = SIGNATURE.to_vec();
    let (mut first, mut data) = (true, false);
    loop {
        let length = usize::try_from(be32(rest, 0)?).ok()?;
        let (chunk, after) = rest.split_at_checked(length.checked_add(12)?)?;
        let (kind, content) = (&chunk[4..8], &chunk[8..8 + length]);
        if crc32(&chunk[4..8 + length]) != be32(chunk, 8 + length)? || first != (kind == b"IHDR") {
            return None;
        }
        if first && (length != 13 || !sane(be32(content, 0)?, be32(content, 4)?)) {
            return None;
        }
        let known = KEPT.iter().any(|kept| *kept == kind);
        // A part without which it cannot be read, and that we do not know.
        if !known && kind[0].is_ascii_uppercase() {
            return None;
        }
        if known {
            out.extend_from_slice(chunk);
        }
        (first, data, rest) = (false, data || kind == b"IDAT", after);
        if kind == b"IEND" {
            return data.then_some(out);
        }
    }
}

/// JPEG (ITU-T T.81): segments up to the end of the image, without what applications have added.
pub(super) fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut at = 2;
    if bytes.get(..2)? != [0xff, 0xd8] {
        return None;
    }
    let mut out = vec![0xff, 0xd8];
    let (mut frame, mut scan) = (false, false);
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        while *bytes.get(at + 1)? == 0xff {
            at += 1;
        }
        let marker = bytes[at + 1];
        if marker == 0xd9 {
            out.extend_from_slice(&[0xff, 0xd9]);
            return (frame && scan).then_some(out);
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
        let segment = bytes.get(at..(at + 2).checked_add(length)?)?;
        if length < 2 {
            return None;
        }
        let kept = match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let side = |at: usize| Some(u32::from(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?])));
                if frame || !sane(side(7)?, side(5)?) {
                    return None;
                }
                frame = true;
                true
            }
            0xc4 | 0xcc | 0xda | 0xdb | 0xdd => true,
            0xe0 => segment.get(4..9) == Some(b"JFIF\0"),
            // How colours are written down.
            0xee => segment.get(4..9) == Some(b"Adobe"),
            0xe1..=0xef | 0xfe => false,
            _ => return None,
        };
        if kept && marker == 0xe0 {
            // Without the small picture within the picture.
            let mut plain = segment.get(..18)?.to_vec();
            (plain[2], plain[3], plain[16], plain[17]) = (0, 16, 0, 0);
            out.extend_from_slice(&plain);
        } else if kept {
            out.extend_from_slice(segment);
        }
        at += 2 + length;
        if marker == 0xda {
            if !frame {
                return None;
            }
            scan = true;
            // What is scanned lasts until a marker that is neither stuffing nor a restart.
            let from = at;
            loop {
                at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
                match *bytes.get(at + 1)? {
                    0 | 0xd0..=0xd7 => at += 2,
                    0xff => at += 1,
                    _ => break,
                }
            }
            out.extend_from_slice(&bytes[from..at]);
        }
    }
}

/// GIF (87a, 89a): pictures, how they follow each other, and how often; no comments, texts or extensions of applications.
pub(super) fn gif(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = bytes.get(..13)?;
    if !(head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a")) || !sane(le16(head, 6)?.into(), le16(head, 8)?.into()) {
        return None;
    }
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(head[10]);
    let mut out = bytes.get(..at)?.to_vec();
    let mut pictures = 0_u32;
    // Where blocks of at most 255 bytes end, each with its length before it.
    let blocks = |from: usize| {
        let mut at = from;
        loop {
            match *bytes.get(at)? {
                0 => return Some(at + 1),
                length => at += 1 + usize::from(length),
            }
        }
    };
    loop {
        match *bytes.get(at)? {
            0x3b => {
                out.push(0x3b);
                return (pictures > 0).then_some(out);
            }
            0x2c => {
                let flags = *bytes.get(at + 9)?;
                let end = blocks(at + 11 + table(flags))?;
                out.extend_from_slice(bytes.get(at..end)?);
                pictures += 1;
                at = end;
            }
            0x21 => {
                let label = *bytes.get(at + 1)?;
                let end = blocks(at + 2)?;
                let extension = bytes.get(at..end)?;
                if (label == 0xf9 && extension.len() == 8)
                    || (label == 0xff && extension.get(3..14) == Some(b"NETSCAPE2.0") && extension.len() == 19)
                {
                    out.extend_from_slice(extension);
                }
                at = end;
            }
            _ => return None,
        }
    }
}

/// WebP (RFC 9649): chunks of the picture, without those about it.
pub(super) fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    let size = usize::try_from(le32(bytes, 4)?).ok()?;
    let mut rest = bytes.get(12..size.checked_add(8)?)?;
    let mut out = bytes[..12].to_vec();
    let mut pictures = 0_u32;
    while !rest.is_empty() {
        let length = usize::try_from(le32(rest, 4)?).ok()?;
        let padded = length.checked_add(8)?.checked_add(length % 2)?;
        let (chunk, after) = rest.split_at_checked(padded)?;
        match &chunk[..4] {
            b"VP8X" => {
                if length != 10 || !sane(le24(chunk, 12)? + 1, le24(chunk, 15)? + 1) {
                    return None;
                }
                let start = out.len();
                out.extend_from_slice(chunk);
                // It no longer has a colour profile, a camera's notes or XMP.
                out[start + 8] &= !0x2c;
            }
            b"VP8 " | b"VP8L" | b"ANMF" => {
                pictures += 1;
                out.extend_from_slice(chunk);
            }
            b"ALPH" | b"ANIM" => out.extend_from_slice(chunk),
            _ => {}
        }
        rest = after;
    }
    let size = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    (pictures > 0).then_some(out)
}

/// BMP: a head that agrees with what follows.
pub(super) fn bmp(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.get(..2)? != b"BM" {
        return None;
    }
    let (size, pixels, head) = (le32(bytes, 2)? as usize, le32(bytes, 10)? as usize, le32(bytes, 14)?);
    let height = i32::from_le_bytes(bytes.get(22..26)?.try_into().ok()?).unsigned_abs();
    let compressed = le32(bytes, 30)?;
    let known = matches!(head, 40 | 52 | 56 | 108 | 124) && matches!(compressed, 0..=3) && sane(le32(bytes, 18)?, height);
    (known && (54..size).contains(&pixels) && size <= bytes.len()).then(|| bytes[..size].to_vec())
}
