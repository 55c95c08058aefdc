//! MSE: our two ends against each other and against the reference, however the bytes arrive and whatever the other side tries.

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::wire::{Accept, BlockRef, Handshake, Message, PeerCodec, Secrets, manner};
use hexad_core::{Codec as _, Cue, Dial, Dice, Malformed, Payload, Role, Span, Transport};
use proptest::prelude::*;
use rc4::StreamCipher as _;

use crate::connections::frame;
use crate::reference_mse::{self as reference, CLEAR, RC4, Shared};
use crate::vectors::hex;

/// The info hash of `libtorrent_2.0.8_v1.torrent`.
const SKEY: [u8; 20] = *b"\xf2M{\xb9E\xdb/\xae\xbe\xc5\x96^?\x98\xf0\xbcE\xdbI?";

/// One end of a connection, as a host has it.
struct End {
    codec: PeerCodec,
    input: BytesMut,
    heard: Vec<Message>,
    /// It has answered the handshake it heard.
    answered: bool,
    /// What goes out.
    out: BytesMut,
}

impl End {
    fn new(role: Role, dial: Option<&Dial>, secrets: &Secrets, dice: u64) -> Self {
        let codec = PeerCodec::new(role, dial, secrets, &mut Dice::counter(dice, 7));
        let mut end = Self { codec, input: BytesMut::new(), heard: Vec::new(), answered: false, out: BytesMut::new() };
        end.hear(Cue::Opened).unwrap();
        end
    }

    fn dialler(manner: u8, dice: u64) -> Self {
        let dial = Dial { transport: Transport::Tcp, deadline: Span::from_secs(1), manner, secret: Bytes::copy_from_slice(&SKEY) };
        Self::new(Role::Dialler, Some(&dial), &Secrets::default(), dice)
    }

    fn acceptor(accept: Accept, dice: u64) -> Self {
        Self::new(Role::Acceptor, None, &Secrets::new(accept, [[1; 20], SKEY, [2; 20]]), dice)
    }

    fn hear(&mut self, cue: Cue) -> Result<(), Malformed> {
        while let Some(message) = self.codec.decode(cue, &mut self.input, &mut self.out)? {
            self.heard.push(message);
        }
        Ok(())
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.input.extend_from_slice(bytes);
        self.hear(Cue::Bytes)
    }

    fn say(&mut self, message: &Message) {
        let mut bytes = BytesMut::new();
        self.codec.encode(message, 0, &mut bytes);
        self.codec.seal(&mut bytes);
        self.out.extend_from_slice(&bytes);
    }
}

fn hello(peer_id: u8) -> Message {
    Message::Handshake(Handshake { reserved: [0; 8], info_hash: SKEY, peer_id: [peer_id; 20], obfuscated: true })
}

/// The 68 bytes of [`hello`].
fn hello_bytes(peer_id: u8) -> Vec<u8> {
    [b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".as_slice(), &SKEY, &[peer_id; 20]].concat()
}

fn block() -> Message {
    Message::Piece { piece: 1, begin: 2, data: Payload::Bytes(Bytes::from(vec![0x5a; 500])) }
}

/// Lets both talk in steps of so many bytes until nobody has anything to say. The acceptor answers the dialler's handshake with its own.
fn converse(a: &mut End, b: &mut End, step: usize) -> Result<(), Malformed> {
    while !(a.out.is_empty() && b.out.is_empty()) {
        let bytes = a.out.split_to(a.out.len().min(step));
        b.feed(&bytes)?;
        if !b.answered && !b.heard.is_empty() {
            b.answered = true;
            b.say(&hello(2));
        }
        let bytes = b.out.split_to(b.out.len().min(step));
        a.feed(&bytes)?;
    }
    Ok(())
}

#[test]
fn two_ends_understand_each_other_however_the_bytes_arrive() {
    for (dials, accepts) in [
        (manner::OBFUSCATED, Accept::Both),
        (manner::OBFUSCATED, Accept::Rc4Only),
        (manner::RC4_ONLY, Accept::Both),
        (manner::RC4_ONLY, Accept::Rc4Only),
    ] {
        for step in [1, 2, 7, 20, 95, 96, 97, 500, 10_000] {
            let (mut a, mut b) = (End::dialler(dials, 1), End::acceptor(accepts, 2));
            a.say(&hello(1));
            converse(&mut a, &mut b, step).unwrap();
            for message in [block(), Message::KeepAlive, Message::Have(7)] {
                a.say(&message);
                b.say(&message);
            }
            converse(&mut a, &mut b, step).unwrap();
            assert_eq!(b.heard, [hello(1), block(), Message::KeepAlive, Message::Have(7)], "{dials} {accepts:?} in steps of {step}");
            assert_eq!(a.heard, [hello(2), block(), Message::KeepAlive, Message::Have(7)], "{dials} {accepts:?} in steps of {step}");
            let clear = dials == manner::OBFUSCATED && accepts == Accept::Both;
            a.say(&block());
            assert_eq!(a.out.windows(500).any(|window| window == [0x5a; 500]), clear, "enciphered unless both allow clear text");
        }
    }
}

#[test]
fn clear_and_enciphered_ends_meet_only_where_both_allow_it() {
    let meet = |dials, accepts| {
        let (mut a, mut b) = (End::dialler(dials, 3), End::acceptor(accepts, 4));
        a.say(&hello(1));
        converse(&mut a, &mut b, 1000).map(|()| b.heard)
    };
    let plain = Message::Handshake(Handshake { reserved: [0; 8], info_hash: SKEY, peer_id: [1; 20], obfuscated: false });
    assert_eq!(meet(manner::PLAIN, Accept::Both), Ok(vec![plain.clone()]));
    assert_eq!(meet(manner::PLAIN, Accept::PlainOnly), Ok(vec![plain]));
    assert!(meet(manner::PLAIN, Accept::Rc4Only).unwrap_err().to_string().contains("encryption is required"));
    assert!(meet(manner::OBFUSCATED, Accept::PlainOnly).is_err());
    assert!(meet(manner::RC4_ONLY, Accept::PlainOnly).is_err());
}

#[test]
fn every_two_parts_of_a_stream_say_the_same() {
    let (mut a, mut b) = (End::dialler(manner::RC4_ONLY, 5), End::acceptor(Accept::Both, 6));
    a.say(&hello(1));
    let (mut to_a, mut to_b) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let bytes = a.out.split();
        to_b.extend_from_slice(&bytes);
        b.feed(&bytes).unwrap();
        if !b.answered && b.heard.len() == 1 {
            b.answered = true;
            b.say(&hello(2));
            b.say(&block());
        }
        let bytes = b.out.split();
        to_a.extend_from_slice(&bytes);
        a.feed(&bytes).unwrap();
    }
    a.say(&block());
    to_b.extend_from_slice(&a.out);
    assert!(to_a.len() > 600 && to_b.len() > 700, "{} {}", to_a.len(), to_b.len());
    for cut in 0..=to_b.len() {
        let mut end = End::acceptor(Accept::Both, 6);
        end.feed(&to_b[..cut]).unwrap();
        assert!([hello(1), block()].starts_with(&end.heard));
        end.feed(&to_b[cut..]).unwrap();
        assert_eq!(end.heard, [hello(1), block()], "cut at {cut}");
    }
    for cut in 0..=to_a.len() {
        let mut end = End::dialler(manner::RC4_ONLY, 5);
        end.say(&hello(1));
        end.feed(&to_a[..cut]).unwrap();
        assert!([hello(2), block()].starts_with(&end.heard));
        end.feed(&to_a[cut..]).unwrap();
        assert_eq!(end.heard, [hello(2), block()], "cut at {cut}");
    }
}

/// Their private key; any 20 bytes are one.
const PRIVATE: &[u8] = b"private key of other";

#[test]
fn our_dialler_is_understood_by_the_reference() {
    for dice in 0..20 {
        for (dials, offered, method) in
            [(manner::OBFUSCATED, CLEAR | RC4, CLEAR), (manner::OBFUSCATED, CLEAR | RC4, RC4), (manner::RC4_ONLY, RC4, RC4)]
        {
            for pads in [[0, 0], [512, 512], [17, 300]] {
                let mut end = End::dialler(dials, dice);
                end.say(&hello(1));
                let opening = end.out.split();
                assert!((96..=96 + 512).contains(&opening.len()));
                let mut shared = Shared::new(PRIVATE, &opening[..96], &SKEY);
                end.feed(&[reference::public(PRIVATE), vec![0xee; pads[0]]].concat()).unwrap();
                let third = [&opening[96..], &end.out.split()].concat();
                let read = shared.read_offer(&third).unwrap();
                assert_eq!((read.pad_bytes, read.methods), (opening.len() - 96, offered));
                assert_eq!((read.initial, read.rest), (hello_bytes(1), vec![]));
                assert!(read.pad_c.len() <= 512);
                let mut answer = hello_bytes(2);
                let mut fourth = shared.choice(method, &vec![0xdd; pads[1]]);
                if method == RC4 {
                    shared.b.apply_keystream(&mut answer);
                }
                fourth.extend_from_slice(&answer);
                end.feed(&fourth).unwrap();
                assert_eq!(end.heard, [hello(2)]);
                end.say(&Message::Interested);
                let mut said = end.out.split();
                if method == RC4 {
                    shared.a.apply_keystream(&mut said);
                }
                assert_eq!(said, b"\0\0\0\x01\x02"[..]);
            }
        }
    }
}

/// The dialler's first and third step of the reference, and what the acceptor said in between.
fn dial_in(
    end: &mut End,
    pad_a: usize,
    methods: u32,
    pad_c: usize,
    initial: &[u8],
    skey: &[u8],
) -> (Result<(), Malformed>, Shared, BytesMut) {
    end.feed(&[reference::public(PRIVATE), vec![0xaa; pad_a]].concat()).unwrap();
    let second = end.out.split();
    let mut shared = Shared::new(PRIVATE, &second[..96], skey);
    let third = shared.offer(methods, &vec![0xcc; pad_c], initial);
    (end.feed(&third), shared, second)
}

#[test]
fn our_acceptor_understands_the_reference() {
    for (accepts, methods, chosen) in [
        (Accept::Both, CLEAR | RC4, CLEAR),
        (Accept::Both, RC4, RC4),
        (Accept::Both, CLEAR, CLEAR),
        (Accept::Both, 0xffff_ffff, CLEAR),
        (Accept::Rc4Only, CLEAR | RC4, RC4),
    ] {
        for (pad_a, pad_c) in [(0, 0), (512, 512), (1, 511)] {
            for early in [true, false] {
                let mut end = End::acceptor(accepts, 9);
                let initial = if early { hello_bytes(1) } else { Vec::new() };
                let (ended, mut shared, second) = dial_in(&mut end, pad_a, methods, pad_c, &initial, &SKEY);
                ended.unwrap();
                let answer = [&second[96..], &end.out.split()].concat();
                let (pad_b, method, pad_d, rest) = shared.read_choice(&answer).unwrap();
                assert_eq!((pad_b, method, rest.len()), (second.len() - 96, chosen, 0));
                assert!(pad_b <= 512 && pad_d.len() <= 512);
                let mut more = if early { Vec::new() } else { hello_bytes(1) };
                more.extend_from_slice(b"\0\0\0\x05\x04\0\0\0\x09");
                if method == RC4 {
                    shared.a.apply_keystream(&mut more);
                }
                end.feed(&more).unwrap();
                assert_eq!(end.heard, [hello(1), Message::Have(9)]);
            }
        }
    }
}

#[test]
fn who_asks_for_a_torrent_that_is_not_here_is_sent_away() {
    let (ended, ..) = dial_in(&mut End::acceptor(Accept::Both, 9), 10, RC4, 0, &[], &[9; 20]);
    assert!(ended.unwrap_err().to_string().contains("a torrent that is not here"));
    let (mut a, mut b) = (End::dialler(manner::OBFUSCATED, 1), End::new(Role::Acceptor, None, &Secrets::default(), 2));
    a.say(&hello(1));
    assert!(converse(&mut a, &mut b, 100).is_err(), "a node without torrents has no key");
}

#[test]
fn pads_and_payloads_that_are_too_long_are_refused() {
    let refused = |pad_a, methods, pad_c, initial: &[u8]| {
        dial_in(&mut End::acceptor(Accept::Both, 9), pad_a, methods, pad_c, initial, &SKEY).0.expect_err("must be refused").to_string()
    };
    assert!(refused(0, RC4, 513, &[]).contains("at most 512 bytes of padding"));
    assert!(refused(0, RC4, 65535, &[]).contains("at most 512 bytes of padding"));
    assert!(refused(0, RC4, 0, &[0; 4097]).contains("at most 4096 bytes of initial payload"));
    assert!(refused(0, 0, 0, &[]).contains("offer of the methods"));
    assert!(refused(0, 4, 0, &[]).contains("offer of the methods"));
    let wrong = End::acceptor(Accept::Both, 9).feed(&[reference::public(PRIVATE), vec![0xaa; 532]].concat()).unwrap_err();
    assert!(wrong.to_string().contains("at most 512 bytes of padding"));

    let answered = |method: u32, pad_d: usize| {
        let mut end = End::dialler(manner::RC4_ONLY, 1);
        end.say(&hello(1));
        let mut shared = Shared::new(PRIVATE, &end.out[..96], &SKEY);
        end.feed(&[reference::public(PRIVATE), shared.choice(method, &vec![0; pad_d])].concat())
    };
    assert!(answered(RC4, 512).is_ok());
    assert!(answered(RC4, 513).unwrap_err().to_string().contains("at most 512 bytes of padding"));
    for method in [CLEAR, 0, CLEAR | RC4, 4] {
        assert!(answered(method, 0).unwrap_err().to_string().contains("one of the offered methods"), "{method}");
    }
}

#[test]
fn keys_that_give_the_secret_away_are_refused() {
    let prime = hex(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
         4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
    );
    let less = |by: u8| [&prime[..95], &[prime[95] - by]].concat();
    let small = |number: u8| [vec![0; 95], vec![number]].concat();
    for key in [small(0), small(1), less(1), less(0), vec![0xff; 96]] {
        assert!(End::acceptor(Accept::Both, 1).feed(&key).is_err());
        assert!(End::dialler(manner::OBFUSCATED, 1).feed(&key).is_err());
    }
    for key in [small(2), less(2)] {
        assert!(End::acceptor(Accept::Both, 1).feed(&key).is_ok());
    }
}

#[test]
fn a_handshake_without_end_is_given_up_after_few_bytes() {
    let mut dice = Dice::counter(1, 2);
    for mut end in [End::acceptor(Accept::Both, 1), End::acceptor(Accept::Rc4Only, 1), End::dialler(manner::OBFUSCATED, 1)] {
        let mut fed = 0;
        while end.feed(&[dice.bytes::<1>()[0] | 0x20]).is_ok() {
            fed += 1;
            assert!(fed < 96 + 512 + 20 && end.input.len() < 512 + 20, "{fed} bytes and no end");
        }
    }
}

#[test]
fn nothing_that_is_said_early_is_lost() {
    for (dials, accepts) in [(manner::OBFUSCATED, Accept::Both), (manner::RC4_ONLY, Accept::Both), (manner::PLAIN, Accept::Both)] {
        let (mut a, mut b) = (End::dialler(dials, 1), End::acceptor(accepts, 2));
        let late = Message::Bitfield(Bytes::from(vec![7; 5000]));
        a.say(&hello(1));
        a.say(&late);
        // The acceptor has heard nothing and speaks; the dialler speaks again when its third step is on the way.
        b.say(&hello(2));
        b.say(&Message::Choke);
        for turn in 0.. {
            let bytes = a.out.split();
            b.feed(&bytes).unwrap();
            let bytes = b.out.split();
            a.feed(&bytes).unwrap();
            if turn == 0 {
                a.say(&Message::Have(1));
            }
            if a.out.is_empty() && b.out.is_empty() {
                break;
            }
        }
        let obfuscated = dials != manner::PLAIN;
        let told = |peer_id| Message::Handshake(Handshake { reserved: [0; 8], info_hash: SKEY, peer_id: [peer_id; 20], obfuscated });
        assert_eq!(b.heard, [told(1), late, Message::Have(1)], "{dials}");
        assert_eq!(a.heard, [told(2), Message::Choke], "{dials}");
    }
}

/// What our end says to what it has heard since it had heard `before` messages, in the conversations with libtorrent.
fn react(end: &mut End, before: usize) {
    let fresh: Vec<Message> = end.heard[before..].to_vec();
    for message in fresh {
        match message {
            // A dialler has said its own already.
            Message::Handshake(_) if !end.answered => {
                end.answered = true;
                end.say(&hello(2));
                end.say(&Message::Bitfield(Bytes::from_static(&[0xc0])));
            }
            Message::Interested => end.say(&Message::Unchoke),
            Message::Bitfield(_) => end.say(&Message::Interested),
            Message::Unchoke => end.say(&Message::Request(BlockRef { piece: 1, begin: 0, length: 616 })),
            _ => {}
        }
    }
}

/// Whole conversations with libtorrent 2.0.8, recorded on loopback with our dice fixed: `>` is what we sent, `<` what came.
#[test]
fn libtorrent_is_understood_as_it_was_when_recorded() {
    for (mut end, text) in [
        (End::dialler(manner::RC4_ONLY, 41), include_str!("../../vectors/mse_we_dial_libtorrent_rc4.txt")),
        (End::dialler(manner::OBFUSCATED, 42), include_str!("../../vectors/mse_we_dial_libtorrent_clear.txt")),
        (End::acceptor(Accept::Rc4Only, 43), include_str!("../../vectors/mse_libtorrent_dials_us_rc4.txt")),
        (End::acceptor(Accept::Both, 44), include_str!("../../vectors/mse_libtorrent_dials_us_clear.txt")),
    ] {
        let dials = !end.out.is_empty();
        if dials {
            end.answered = true;
            end.say(&hello(1));
        }
        for line in text.lines() {
            let bytes = hex(&line[2..]);
            if line.starts_with('>') {
                assert_eq!(end.out.split().escape_ascii().to_string(), bytes.escape_ascii().to_string());
            } else {
                let before = end.heard.len();
                end.feed(&bytes).unwrap();
                react(&mut end, before);
            }
        }
        assert!(matches!(&end.heard[0], Message::Handshake(Handshake { info_hash: SKEY, obfuscated: true, .. })));
        let last = end.heard.last().unwrap();
        if dials {
            let Message::Piece { piece: 1, begin: 0, data: Payload::Bytes(data) } = last else { panic!("{last:?}") };
            assert!(data.len() == 616 && data.iter().zip(16384_u32..).all(|(&byte, at)| u32::from(byte) == (7 * at + at / 256) % 256));
        } else {
            assert!(matches!(last, Message::Request(_)), "{last:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_talk_arrives_in_any_steps(
        from_a in prop::collection::vec(frame(), 0..6), from_b in prop::collection::vec(frame(), 0..6), step in 1_usize..3000, rc4: bool, dice: u64,
    ) {
        let (mut a, mut b) = (End::dialler(if rc4 { manner::RC4_ONLY } else { manner::OBFUSCATED }, dice), End::acceptor(Accept::Both, dice ^ 1));
        a.say(&hello(1));
        converse(&mut a, &mut b, step).unwrap();
        let listed = Message::from(hexad_bittorrent::wire::ExtendedHandshake {
            extensions: [("ut_metadata".to_owned(), 1)].into(),
            ..Default::default()
        });
        a.say(&listed);
        b.say(&listed);
        converse(&mut a, &mut b, step).unwrap();
        for message in &from_a { a.say(message); }
        for message in &from_b { b.say(message); }
        converse(&mut a, &mut b, step).unwrap();
        prop_assert_eq!(&b.heard[2..], &from_a[..]);
        prop_assert_eq!(&a.heard[2..], &from_b[..]);
    }

    #[test]
    fn no_bytes_make_a_handshake_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..900), dials: bool) {
        let mut end = if dials { End::dialler(manner::OBFUSCATED, 1) } else { End::acceptor(Accept::Both, 1) };
        let _ = end.feed(&bytes);
    }
}
