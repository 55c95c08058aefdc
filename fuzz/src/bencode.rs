//! Bencoding.

use hexad_bittorrent::wire::bencode::{DEPTH_MAX, Out, Strictness, Value, parse, parse_prefix};

/// What is read strictly is written back to the same bytes; what is read leniently is written to something that reads the same.
pub fn bencode(bytes: &[u8]) {
    let lenient = parse(bytes, Strictness::Lenient);
    if let Ok(tree) = parse(bytes, Strictness::Strict) {
        assert_eq!(copied(tree.root(), 0).encode(), bytes, "strictly read, and written otherwise");
        assert!(lenient.is_ok(), "lenient is no stricter than strict");
    }
    if let Ok(tree) = &lenient {
        assert_eq!(tree.root().raw(), bytes);
        let value = copied(tree.root(), 0);
        let written = value.encode();
        let again = parse(&written, Strictness::Lenient).expect("what is written can be read");
        assert_eq!(copied(again.root(), 0).encode(), written);
    }
    if let Ok((tree, end)) = parse_prefix(bytes, Strictness::Lenient) {
        assert!(end <= bytes.len() && tree.root().span() == (0..end));
        assert!(parse(&bytes[..end], Strictness::Lenient).is_ok());
        assert_eq!(end == bytes.len(), lenient.is_ok());
        for cut in end.saturating_sub(16)..end {
            assert!(parse_prefix(&bytes[..cut], Strictness::Lenient).is_err(), "cut off and still read");
        }
    }
}

fn copied(value: Value<'_>, depth: usize) -> Out {
    assert!(depth <= DEPTH_MAX);
    if let Some(bytes) = value.bytes() {
        Out::from(bytes)
    } else if let Some(list) = value.list() {
        Out::List(list.map(|value| copied(value, depth + 1)).collect())
    } else if let Some(entries) = value.entries() {
        let mut all: Vec<(Vec<u8>, Out)> = Vec::new();
        for (key, value) in entries {
            all.push((key.to_vec(), copied(value, depth + 1)));
        }
        // Of duplicate keys the first counts.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|later, first| later.0 == first.0);
        Out::Dict(all)
    } else {
        Out::Int(value.int().expect("an integer that was read has a value"))
    }
}
