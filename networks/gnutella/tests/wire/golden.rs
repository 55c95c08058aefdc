//! The vectors of the specification's text (spec §25), and hand-made messages.

use bytes::{Bytes, BytesMut};
use hexad_content::{Digest, Sha1Digest};
use hexad_gnutella::wire::ggep::{self, Block};
use hexad_gnutella::wire::qrp::{Receiver, Table, hash};
use hexad_gnutella::wire::thex::{read_thex, write_thex};
use hexad_gnutella::wire::{Body, Guid, Packet, Push, Qrp, Trailer, digests_of, urn_of};

fn unhex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.replace(' ', "").as_bytes()).unwrap()
}

#[test]
fn words_hash_as_in_the_text_of_query_routing() {
    let check = |word: &str, hashed: u32, slots: &[(u32, u32)]| {
        assert_eq!(hash(word), hashed, "{word}");
        for &(log2, slot) in slots {
            assert_eq!(Table::new(1 << log2).slot(hash(word)), slot, "{word} of 2^{log2}");
        }
    };
    check("test", 0x50e8_5fb0, &[(10, 323), (13, 2589), (14, 5178), (16, 20_712), (17, 41_424), (20, 331_397), (21, 662_795)]);
    check("qrp", 0xe598_551c, &[(10, 918), (16, 58_776), (21, 1_880_842)]);
    check("mp3", 0x7143_a9ac, &[(14, 7248)]);
    check("naïve", 0xa224_7974, &[(10, 648)]);
    check("größe", 0x17b9_71b8, &[(21, 194_350)]);
    check("ελλάδα", 0x2930_54dc, &[(13, 1318)]);
    check("日本", 0x8845_c0cc, &[(20, 558_172)]);
    check("urn:sha1:plsthipqgsszts5fjupakuzwugyqypfb", 0x850b_ab80, &[(16, 34_059)]);
    check("", 0, &[(10, 0)]);
    check("URN:SHA1:PLSTHIPQGSSZTS5FJUPAKUZWUGYQYPFB", 0x850b_ab80, &[]);
    for (word, log2, slot) in
        [("eb", 13, 6791), ("ebcklmenq", 13, 3527), ("ndflalem", 16, 37_658), ("7777a88a8a8a8", 10, 342), ("3NJA9", 10, 581)]
    {
        assert_eq!(Table::new(1 << log2).slot(hash(word)), slot, "{word}");
    }
}

#[test]
fn the_worked_patch_is_applied() {
    let message = |payload: &str| {
        let payload = unhex(payload);
        let mut bytes = vec![0; 16];
        bytes.extend_from_slice(&[0x30, 1, 0]);
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&payload);
        match Packet::read(&bytes).unwrap().body {
            Body::Qrp(qrp) => *qrp,
            other => panic!("{other:?}"),
        }
    };
    let mut receiver = Receiver::default();
    let filled = |receiver: &Receiver| (0..8).filter(|&slot| receiver.table().unwrap().has(slot)).collect::<Vec<_>>();
    assert_eq!(receiver.take(&message("00 08000000 07")), Ok(false));
    assert_eq!(receiver.table(), None, "no table before its first patch");
    assert_eq!(receiver.take(&message("01 01 01 00 04 00 a0 00 00")), Ok(true));
    assert_eq!(filled(&receiver), [2], "test");
    receiver.take(&message("01 01 01 00 04 00 00 00 0a")).unwrap();
    assert_eq!(filled(&receiver), [2, 7], "qrp");
    receiver.take(&message("01 01 01 00 04 00 60 00 00")).unwrap();
    assert_eq!(filled(&receiver), [7]);
    assert!(receiver.take(&message("01 02 02 00 04 00 60 00 00")).is_err(), "a part out of its sequence");
}

#[test]
fn a_table_arrives_as_it_was_sent_and_its_changes_do() {
    let mut receiver = Receiver::default();
    let mut table = Table::new(1 << 14);
    for word in ["delta", "lighthouse", "vector"] {
        table.insert(hash(word));
    }
    for message in table.messages(None) {
        receiver.take(&message).unwrap();
    }
    assert_eq!(receiver.table(), Some(&table));
    let mut more = Table::new(1 << 14);
    // Words that differ much, so that the table does not compress well.
    let word = |number: u32| number.wrapping_mul(2_654_435_761).to_string();
    (0..5000).for_each(|number| more.insert(hash(&word(number))));
    let messages = more.messages(Some(&table));
    assert!(messages.len() > 1 && messages.iter().all(|message| matches!(message, Qrp::Patch { .. })), "several parts, no reset");
    for message in messages {
        receiver.take(&message).unwrap();
    }
    assert_eq!(receiver.table(), Some(&more));
    assert_eq!(more.messages(Some(&more)), [], "nothing has changed");
    let mut small = Table::new(1 << 13);
    small.insert_all(&more);
    let mut large = Table::new(1 << 15);
    large.insert_all(&more);
    for number in 0..5000 {
        let hashed = hash(&word(number));
        assert!(small.may_have(hashed) && large.may_have(hashed));
    }
}

#[test]
fn a_patch_that_is_a_bomb_is_refused() {
    let mut receiver = Receiver::default();
    receiver.take(&Qrp::Reset { slots: 1 << 14, infinity: 7 }).unwrap();
    let data: Bytes = hexad_gnutella::wire::zlib::deflate(&vec![0; 8 << 20]).into();
    assert!(receiver.take(&Qrp::Patch { number: 1, of: 1, compressor: 1, entry_bits: 4, data }).is_err());
}

#[test]
fn ggep_lengths_have_no_zero_bytes() {
    for (length, expected) in [
        (0, "40"),
        (1, "41"),
        (63, "7f"),
        (64, "8140"),
        (100, "8164"),
        (4095, "bf7f"),
        (4096, "818040"),
        (65_535, "8fbf7f"),
        (262_143, "bfbf7f"),
    ] {
        let block = Block::default().with("X", vec![7; length]).bytes();
        let expected = unhex(expected);
        assert_eq!(&block[3..3 + expected.len()], &expected[..], "{length}");
        let (read, taken) = Block::read(&block).unwrap();
        assert_eq!((read.find("X").map(Bytes::len), taken), (Some(length), block.len()));
    }
}

#[test]
fn cobs_takes_zero_bytes_out() {
    for (plain, stuffed) in [
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("616263", "04616263"),
        ("610062", "02610262"),
        ("11220033", "0311220233"),
        ("010203040500", "06010203040501"),
    ] {
        assert_eq!(ggep::cobs_write(&unhex(plain)), unhex(stuffed), "{plain}");
        assert_eq!(ggep::cobs_read(&unhex(stuffed)), Some(unhex(plain)), "{stuffed}");
    }
    for length in [253, 254, 255, 508, 509] {
        let plain = vec![7; length];
        assert_eq!(ggep::cobs_read(&ggep::cobs_write(&plain)), Some(plain), "{length}");
    }
    assert_eq!(ggep::cobs_read(&[0]), None);
    assert_eq!(ggep::cobs_read(&[5, 1]), None);
}

#[test]
fn numbers_are_trimmed() {
    for (number, expected) in [
        (255, "ff"),
        (256, "0001"),
        (65_536, "000001"),
        (4_294_967_295, "ffffffff"),
        (4_294_967_296, "0000000001"),
        (5_000_000_000, "00f2052a01"),
        (0, ""),
    ] {
        assert_eq!(ggep::trimmed(number), unhex(expected), "{number}");
        assert_eq!(ggep::of_trimmed(&unhex(expected)), Some(number));
    }
    assert_eq!(ggep::of_trimmed(&[1; 9]), None);
}

#[test]
fn a_ggep_bomb_is_refused() {
    let bomb = hexad_gnutella::wire::zlib::deflate(&vec![0; 1 << 20]);
    let mut block = vec![0xc3, 0x80 | 0x20 | 1, b'X'];
    block.push(0x80 | u8::try_from(bomb.len() >> 6).unwrap());
    block.push(0x40 | u8::try_from(bomb.len() & 63).unwrap());
    block.extend_from_slice(&bomb);
    assert!(Block::read(&block).is_err());
    for bad in ["c3", "c300", "c391", "c38141", "c38158c0", "c381580000"] {
        assert!(Block::read(&unhex(bad)).is_err(), "{bad}");
    }
}

#[test]
fn names_of_content_are_read_in_any_case() {
    let sha1 = "urn:sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5";
    let digest = *digests_of(sha1).iter().next().unwrap();
    assert_eq!(urn_of(&digest), sha1);
    assert!(matches!(digest, Digest::Sha1(Sha1Digest([0xa9, 0x99, 0x3e, 0x36, ..]))), "SHA-1 of abc");
    assert_eq!(digests_of(&sha1.to_ascii_lowercase()), digests_of(sha1));
    let tiger = "LWPNACQDBZRYXW3VHJVCJ64QBZNGHOHHHZWCLNQ";
    assert_eq!(digests_of(&format!("urn:bitprint:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5.{tiger}")).iter().count(), 2);
    for urn in [format!("urn:tree:tiger:{tiger}"), format!("urn:tree:tiger/:{tiger}"), format!("urn:ttroot:{tiger}")] {
        assert!(matches!(digests_of(&urn).iter().next(), Some(Digest::TigerTree(_))), "{urn}");
    }
    for bad in ["", "urn", "urn:", "urn:sha1:", "urn:sha1:ABC", "urn:foo:VGMT", "xyz:sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", "ürn:sha1:x"]
    {
        assert_eq!(digests_of(bad).iter().count(), 0, "{bad}");
    }
}

#[test]
fn a_push_has_its_port_behind_its_address() {
    let push = Push { servent: Guid([1; 16]), index: 0, to: "127.0.0.12:16347".parse().unwrap(), ext: Bytes::new() };
    let mut bytes = BytesMut::new();
    Packet::new(Guid([2; 16]), 4, Body::Push(Box::new(push))).write(&mut bytes);
    assert_eq!(&bytes[23 + 20..], [127, 0, 0, 12, 0xdb, 0x3f]);
}

#[test]
fn flags_of_a_hit_are_defined_and_valued_as_everybody_does() {
    let ggep = Block::default().with("BH", Bytes::new());
    for (push, busy) in [(false, false), (true, false), (false, true), (true, true)] {
        let trailer = Trailer::new(*b"TEST", push, busy, &ggep);
        assert_eq!((trailer.push(), trailer.busy()), (push, busy));
        assert!(trailer.ggep().find("BH").is_some());
    }
    // gtk-gnutella and GnutellaBun without a push: the first bit is defined in the second byte only.
    let trailer = Trailer::new(*b"TEST", false, false, &ggep);
    assert_eq!(trailer.open[0] & 0x3d, 0x3c);
    assert_eq!(trailer.open[1] & 0x3d, 0x21);
}

#[test]
fn a_tree_is_read_as_what_was_written() {
    let digests: Vec<[u8; 24]> = (0..6).map(|number| [number; 24]).collect();
    let bytes = write_thex(3000, 2, "e1c9fa3b-bbad-19a3-5528-da29fcdca2a0", &digests);
    assert_eq!(read_thex(&bytes), Ok(digests));
    assert!((0..bytes.len() - 3).all(|end| read_thex(&bytes[..end]).is_err()));
}

/// As LimeWire writes them (specification §8, §9).
#[test]
fn documents_about_files_are_read_and_nothing_in_them_expands() {
    use hexad_gnutella::wire::{Fields, Schema};
    let xml = "<?xml version=\"1.0\"?><audios xsi:noNamespaceSchemaLocation=\"http://www.limewire.com/schemas/audio.xsd\">\
               <audio title='A &amp; B' artist=\"&#x42;j&#246;rk\" bitrate=\"128\" index=\"0\"></audio><audio seconds=\"9\" index=\"2\"/></audios>";
    let read = Fields::read(xml);
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].schema, read[0].find("title"), read[0].find("artist")), (Schema::Audio, Some("A & B"), Some("Björk")));
    assert_eq!((read[0].number("bitrate"), read[1].number("seconds")), (128, 9));
    let written = Fields::write(&[(None, Fields::new(Schema::Video).with("title", "a<\"&b"))]);
    assert_eq!(
        written,
        "<?xml version=\"1.0\"?><videos xsi:noNamespaceSchemaLocation=\"http://www.limewire.com/schemas/video.xsd\"><video title=\"a&lt;&quot;&amp;b\"/></videos>"
    );
    assert_eq!(Fields::read(&written)[0].find("title"), Some("a<\"&b"));
    for hostile in [
        "<!DOCTYPE a [<!ENTITY x \"yyyy\">]><audio title=\"&x;\"/>",
        "<audio title=\"&x;\"/>",
        "<audio title=\"&#0;\"/>",
        "<audio title=\"a",
        "<audio title=\"a<b\"/>",
        "<audio",
        "<audio \u{e4}=\"1\"/>",
    ] {
        assert_eq!(Fields::read(hostile), [], "{hostile}");
    }
    let many = format!("<audio {}/>", "a=\"1\" ".repeat(40));
    assert_eq!(Fields::read(&many), []);
    assert_eq!(Fields::read(&"<audio/>".repeat(1000)).len(), 255);
}

/// Laid out by hand from specification §10: `H` is a kind and digests, `TT` a root; a record has no zero bytes, so data with them is stuffed.
#[test]
fn names_of_content_in_extensions_are_read_as_the_specification_lays_them_out() {
    use hexad_gnutella::wire::Extensions;
    let digests = |bytes: &[u8]| Extensions::read(bytes).digests().iter().copied().collect::<Vec<_>>();
    let (sha1, tiger) = (Digest::Sha1(Sha1Digest([7; 20])), Digest::TigerTree([9; 24]));
    let h1 = [&[0xc3, 0x81, b'H', 0x40 | 21, 1][..], &[7; 20]].concat();
    let h2 = [&[0xc3, 0x81, b'H', 0x40 | 45, 2][..], &[7; 20], &[9; 24]].concat();
    let tt = [&[0xc3, 0x82, b'T', b'T', 0x40 | 24][..], &[9; 24]].concat();
    assert_eq!((digests(&h1), digests(&h2), digests(&tt)), (vec![sha1], vec![sha1, tiger], vec![tiger]));
    let stuffed = [&[0xc3, 0xc2, b'T', b'T', 0x40 | 25, 1, 24][..], &[9; 23]].concat();
    assert_eq!(digests(&stuffed), [Digest::TigerTree([0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9])]);
    let u = [&[0xc3, 0x81, b'u', 0x40 | 37][..], b"sha1:A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH"].concat();
    assert_eq!(digests(&u), [sha1]);
    for wrong in [&h1[..24], &[0xc3, 0x81, b'H', 0x41, 1], &[0xc3, 0x82, b'T', b'T', 0x41, 9]] {
        assert_eq!(digests(wrong), []);
    }
    let bitprint = format!("{}.{}", &urn_of(&sha1)[9..], data_encoding::BASE32_NOPAD.encode(&[9; 24]));
    assert_eq!(digests(format!("urn:bitprint:{bitprint}").as_bytes()), [sha1, tiger]);
}
