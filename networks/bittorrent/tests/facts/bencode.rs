//! Bencoding: bounded, strict where asked, and in agreement with another implementation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bendy::decoding::{Decoder, FromBencode as _};
use bendy::value::Value as Theirs;
use hexad_bittorrent::wire::bencode::{DEPTH_MAX, Out, Strictness, Value, parse, parse_prefix, text_within};
use proptest::prelude::*;

/// The value as one that can be written.
fn copied(value: Value<'_>) -> Out {
    if let Some(bytes) = value.bytes() {
        Out::from(bytes)
    } else if let Some(int) = value.int() {
        Out::Int(int)
    } else if let Some(list) = value.list() {
        Out::List(list.map(copied).collect())
    } else {
        Out::Dict(value.entries().unwrap().map(|(key, value)| (key.to_vec(), copied(value))).collect())
    }
}

fn strict(bytes: &[u8]) -> Result<Out, String> {
    parse(bytes, Strictness::Strict).map(|tree| copied(tree.root())).map_err(|wrong| wrong.to_string())
}

fn lenient(bytes: &[u8]) -> Result<Out, String> {
    parse(bytes, Strictness::Lenient).map(|tree| copied(tree.root())).map_err(|wrong| wrong.to_string())
}

fn theirs(value: &Out) -> Theirs<'static> {
    match value {
        Out::Bytes(bytes) => Theirs::Bytes(Cow::Owned(bytes.clone())),
        Out::Int(int) => Theirs::Integer(*int),
        Out::List(values) => Theirs::List(values.iter().map(theirs).collect()),
        Out::Dict(entries) => {
            Theirs::Dict(entries.iter().map(|(key, value)| (Cow::Owned(key.clone()), theirs(value))).collect::<BTreeMap<_, _>>())
        }
        Out::Raw(_) => unreachable!("read values are never raw"),
    }
}

/// What bendy reads; it ignores what follows the first value.
fn read_elsewhere(bytes: &[u8]) -> Result<Theirs<'static>, String> {
    let mut decoder = Decoder::new(bytes).with_max_depth(200);
    let object = decoder.next_object().map_err(|wrong| wrong.to_string())?.ok_or("nothing")?;
    Theirs::decode_bencode_object(object).map(Theirs::into_owned).map_err(|wrong| wrong.to_string())
}

#[test]
fn every_kind_of_value_is_read() {
    let input = b"d4:listli-3e0:3:abce3:mapd1:ki0eee";
    let tree = parse(input, Strictness::Strict).unwrap();
    let root = tree.root();
    assert_eq!(root.span(), 0..input.len());
    let list: Vec<Value<'_>> = root.get("list").unwrap().list().unwrap().collect();
    assert_eq!((list[0].int(), list[1].bytes(), list[2].text().as_deref()), (Some(-3), Some(&b""[..]), Some("abc")));
    assert_eq!((list[2].array::<3>(), list[2].array::<4>(), list[0].number::<u8>()), (Some(*b"abc"), None, None));
    let map = root.get("map").unwrap();
    assert_eq!((map.raw(), map.get("k").and_then(Value::int), map.get("z").is_none()), (&b"d1:ki0ee"[..], Some(0), true));
    // What is of another kind is nothing, and asking for it does no harm.
    assert!(
        root.int().is_none()
            && root.bytes().is_none()
            && root.list().is_none()
            && list[0].entries().is_none()
            && list[1].get("x").is_none()
    );
}

#[test]
fn a_prefix_is_read_up_to_its_end() {
    let (tree, end) = parse_prefix(b"d1:ai1eexyz", Strictness::Strict).unwrap();
    assert_eq!((end, tree.root().raw()), (8, &b"d1:ai1ee"[..]));
    assert_eq!(parse(b"i1ei2e", Strictness::Lenient).unwrap_err().to_string(), "expected the end, came 3 more bytes (at byte 3)");
}

#[test]
fn numbers_are_written_one_way_and_strictly_read_no_other() {
    for (text, int) in [("i0e", 0), ("i-1e", -1), ("i9223372036854775807e", i64::MAX), ("i-9223372036854775808e", i64::MIN)] {
        assert_eq!(strict(text.as_bytes()), Ok(Out::Int(int)));
    }
    for (text, int) in [("i-0e", 0), ("i00e", 0), ("i007e", 7), ("i-07e", -7)] {
        assert!(strict(text.as_bytes()).is_err(), "{text}");
        assert_eq!(lenient(text.as_bytes()), Ok(Out::Int(int)), "{text}");
    }
    for text in ["ie", "i-e", "i--1e", "i+1e", "i1", "i", "i 1e", "i1.5e", "i9223372036854775808e", "i-9223372036854775809e", "i\u{661}e"] {
        assert!(lenient(text.as_bytes()).is_err(), "{text}");
    }
    let endless = [b"i".as_slice(), &b"1".repeat(100_000), b"e"].concat();
    assert!(lenient(&endless).is_err());
}

#[test]
fn lengths_are_believed_only_as_far_as_bytes_follow() {
    assert!(strict(b"03:abc").is_err());
    assert_eq!(lenient(b"03:abc"), Ok(Out::text("abc")));
    for text in
        ["5:abcd", "4294967296:abc", "99999999999999999999:abc", "9223372036854775807:", "18446744073709551616:x", "-1:a", "1", ":", "1x:a"]
    {
        assert!(lenient(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(lenient(b"1000000000:abc").unwrap_err(), "expected a string of 1000000000 bytes, only 3 follow (at byte 0)");
}

#[test]
fn keys_ascend_where_it_matters_and_the_first_of_two_counts_elsewhere() {
    for text in ["d1:bi1e1:ai2ee", "d1:ai1e1:ai2ee", "d2:aai1e1:ai2ee"] {
        assert!(strict(text.as_bytes()).unwrap_err().starts_with("expected keys in ascending order"), "{text}");
    }
    let tree = parse(b"d1:bi1e1:ai2e1:bi3ee", Strictness::Lenient).unwrap();
    assert_eq!(tree.root().get("b").and_then(Value::int), Some(1));
    assert_eq!(tree.root().get("a").and_then(Value::int), Some(2));
    assert_eq!(tree.root().entries().unwrap().count(), 3);
    for text in ["di1ei2ee", "d1:ae", "d1:a", "dle1:aee", "d1:ai1e1:be"] {
        assert!(lenient(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn deep_nesting_is_refused_and_overflows_nothing() {
    let lists = |depth: usize| [b"l".repeat(depth), b"e".repeat(depth)].concat();
    assert!(lenient(&lists(DEPTH_MAX)).is_ok());
    let wrong = lenient(&lists(DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(wrong, "nested deeper than 100 (at byte 100)");
    for bomb in [b"l".repeat(200_000), lists(200_000), b"d1:a".repeat(50_000), b"ld1:a".repeat(40_000), b"d0:".repeat(70_000)] {
        assert!(lenient(&bomb).is_err());
        assert!(strict(&bomb).is_err());
        assert!(parse_prefix(&bomb, Strictness::Lenient).is_err());
    }
}

#[test]
fn very_many_values_are_refused() {
    let many = [b"l".as_slice(), &b"0:".repeat(5_100_000), b"e"].concat();
    assert!(lenient(&many).unwrap_err().starts_with("more than 2500000 values"));
}

#[test]
fn what_is_cut_off_is_refused_at_every_length() {
    let whole = b"d4:listli-3e0:3:abce3:mapd1:ki0eee";
    for length in 0..whole.len() {
        assert!(lenient(&whole[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn a_dictionary_is_written_with_its_keys_sorted() {
    let value = Out::dict([("b", Some(Out::count(u64::MAX))), ("a", Some(Out::Raw(b"le".to_vec()))), ("c", None)]);
    assert_eq!(value.encode(), b"d1:ale1:bi9223372036854775807ee");
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(text_within("äöü".as_bytes(), 5), "äö");
    assert_eq!(text_within(&[0xff; 10], 10), "\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(text_within(b"abc", 10), "abc");
}

fn values() -> impl Strategy<Value = Out> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![bytes().prop_map(Out::Bytes), any::<i64>().prop_map(Out::Int), (-2_i64..12).prop_map(Out::Int)];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Out::List),
            prop::collection::btree_map(bytes(), inner, 0..8).prop_map(|map| Out::Dict(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_reads_back_as_it_was_here_and_elsewhere(value in values()) {
        let bytes = value.encode();
        prop_assert_eq!(strict(&bytes), Ok(value.clone()));
        prop_assert_eq!(lenient(&bytes), Ok(value.clone()));
        prop_assert_eq!(read_elsewhere(&bytes), Ok(theirs(&value)));
        for length in 0..bytes.len() {
            prop_assert!(lenient(&bytes[..length]).is_err());
        }
    }

    /// What both read is read alike; what we read strictly, they read; and writing gives the bytes back.
    #[test]
    fn another_implementation_agrees_on_damaged_values(
        value in values(), at: prop::sample::Index, byte in prop::sample::select(b"ilde0123456789:-a\0\xff".to_vec()), insert: bool,
    ) {
        let mut bytes = value.encode();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        match (strict(&bytes), read_elsewhere(&bytes)) {
            (Ok(ours), Ok(other)) => {
                prop_assert_eq!(theirs(&ours), other);
                prop_assert_eq!(ours.encode(), bytes);
            }
            (Ok(_), Err(wrong)) => prop_assert!(false, "{} is read here and not there: {wrong}", bytes.escape_ascii()),
            (Err(wrong), Ok(_)) => prop_assert!(wrong.contains("more bytes"), "{} is read there and not here: {wrong}", bytes.escape_ascii()),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn no_bytes_make_the_reader_fall_over(bytes in prop::collection::vec(prop::sample::select(b"ilde0123456789:-a".to_vec()), 0..200)) {
        if let Ok(value) = strict(&bytes) {
            prop_assert_eq!(&value.encode(), &bytes);
        }
        let _ = lenient(&bytes);
    }
}
