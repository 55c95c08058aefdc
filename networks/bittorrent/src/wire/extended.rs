//! Extended messages: the handshake (BEP 10), ut_metadata (BEP 9), ut_pex (BEP 11), upload_only (BEP 21), lt_donthave (BEP 54),
//! ut_holepunch (BEP 55).

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{Malformed, Map};

use super::bencode::{self, Out, Strictness, Value};
use super::compact::{self, Family};
use super::frames::PeerExtensions;
use super::message::{ExtendedHandshake, HolePunch, HolePunchKind, Message, MetadataMessage, Pex, PexPeer};

/// Under which id we want ut_metadata.
pub const UT_METADATA: u8 = 1;
/// Under which id we want ut_pex.
pub const UT_PEX: u8 = 2;
/// Under which id we want upload_only; this one and those below as libtorrent numbers them.
pub const UPLOAD_ONLY: u8 = 3;
/// Under which id we want ut_holepunch.
pub const UT_HOLEPUNCH: u8 = 4;
/// Under which id we want lt_donthave.
pub const LT_DONTHAVE: u8 = 7;
/// Extensions read from one handshake.
const EXTENSIONS_MAX: usize = 64;
/// Longest name of an extension that is taken over; more than any has.
const NAME_BYTES_MAX: usize = 64;
/// Longest name of a program that is taken over, characters.
const CLIENT_CHARS_MAX: usize = 100;
/// Peers taken from one PEX message; BEP 11 allows 50 after the first one.
const PEX_PEERS_MAX: usize = 200;
const METADATA_BLOCK: usize = 16 << 10;

/// What goes into `m` of our handshake.
#[must_use]
pub fn our_extensions(pex: bool, hole_punch: bool) -> Map<String, u8> {
    let always = [("ut_metadata", UT_METADATA), ("lt_donthave", LT_DONTHAVE), ("upload_only", UPLOAD_ONLY)];
    let mut ours: Map<String, u8> = always.map(|(name, id)| (name.to_owned(), id)).into();
    if hole_punch {
        ours.insert("ut_holepunch".to_owned(), UT_HOLEPUNCH);
    }
    if pex {
        ours.insert("ut_pex".to_owned(), UT_PEX);
    }
    ours
}

pub(super) fn decode(frame: &[u8], extensions: &mut PeerExtensions) -> Result<Message, Malformed> {
    let Some((&id, payload)) = frame.split_first() else {
        return Err(Malformed::at(1, "expected an extended message to name its id"));
    };
    match id {
        0 => {
            let handshake = read_handshake(payload)?;
            // `m` is additive; 0 switches off.
            for (name, slot) in [
                ("ut_metadata", &mut extensions.metadata),
                ("ut_pex", &mut extensions.pex),
                ("lt_donthave", &mut extensions.dont_have),
                ("upload_only", &mut extensions.upload_only),
                ("ut_holepunch", &mut extensions.hole_punch),
            ] {
                if let Some(&id) = handshake.extensions.get(name) {
                    *slot = (id != 0).then_some(id);
                }
            }
            Ok(handshake.into())
        }
        UT_METADATA => Ok(read_metadata(payload)?.map_or_else(|| Message::Unknown(20, Bytes::copy_from_slice(frame)), Message::Metadata)),
        UT_PEX => read_pex(payload),
        LT_DONTHAVE => match payload.try_into() {
            Ok(piece) => Ok(Message::DontHave(u32::from_be_bytes(piece))),
            Err(_) => Err(Malformed::at(2, format!("expected lt_donthave to have 4 bytes, came {}", payload.len()))),
        },
        UPLOAD_ONLY => match payload {
            [flag] => Ok(Message::UploadOnly(*flag != 0)),
            _ => Err(Malformed::at(2, format!("expected upload_only to have 1 byte, came {}", payload.len()))),
        },
        UT_HOLEPUNCH => {
            Ok(read_hole_punch(payload)?.map_or_else(|| Message::Unknown(20, Bytes::copy_from_slice(frame)), Message::HolePunch))
        }
        _ => Ok(Message::Unknown(20, Bytes::copy_from_slice(frame))),
    }
}

fn read_handshake(payload: &[u8]) -> Result<ExtendedHandshake, Malformed> {
    // Some clients append bytes behind the dictionary.
    let (tree, _) = bencode::parse_prefix(payload, Strictness::Lenient)?;
    let top = dictionary(&tree)?;
    let flag = |key: &str| top.get(key).and_then(Value::int).map(|int| int != 0);
    let mut extensions = Map::new();
    for (name, id) in top.get("m").and_then(Value::entries).into_iter().flatten().take(EXTENSIONS_MAX) {
        if let (Ok(name), Some(id)) = (std::str::from_utf8(name), id.number())
            && name.len() <= NAME_BYTES_MAX
        {
            extensions.entry(name.to_owned()).or_insert(id);
        }
    }
    Ok(ExtendedHandshake {
        extensions,
        client: top.get("v").and_then(|client| client.text_within(4 * CLIENT_CHARS_MAX)).map(|text| plain(&text)),
        listen_port: top.get("p").and_then(Value::number),
        your_ip: top.get("yourip").and_then(Value::bytes).and_then(compact::ip),
        ipv6: top.get("ipv6").and_then(Value::bytes).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Into::into),
        requests_max: top.get("reqq").and_then(Value::number),
        metadata_bytes: top.get("metadata_size").and_then(Value::number),
        upload_only: flag("upload_only"),
        prefers_obfuscation: flag("e"),
    })
}

/// Names of programs are shown to users.
fn plain(client: &str) -> String {
    client.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS_MAX).collect()
}

fn dictionary<'t>(tree: &'t bencode::Tree<'_>) -> Result<Value<'t>, Malformed> {
    let top = tree.root();
    if top.entries().is_none() {
        return Err(Malformed::at(0, "expected an extended message to begin with a dictionary"));
    }
    Ok(top)
}

/// `None` for a type that is not known: BEP 9 bids to ignore those.
fn read_metadata(payload: &[u8]) -> Result<Option<MetadataMessage>, Malformed> {
    let (tree, end) = bencode::parse_prefix(payload, Strictness::Lenient)?;
    let top = dictionary(&tree)?;
    let number = |key: &'static str| {
        top.get(key).and_then(Value::number::<u32>).ok_or_else(|| Malformed::at(0, format!("expected '{key}' in a metadata message")))
    };
    let message = match top.get("msg_type").and_then(Value::int) {
        Some(0) => MetadataMessage::Request { piece: number("piece")? },
        Some(1) => {
            let data = &payload[end..];
            if data.len() > METADATA_BLOCK {
                return Err(Malformed::at(end, format!("expected at most {METADATA_BLOCK} bytes of metadata, came {}", data.len())));
            }
            MetadataMessage::Data { piece: number("piece")?, total_bytes: number("total_size")?, data: Bytes::copy_from_slice(data) }
        }
        Some(2) => MetadataMessage::Reject { piece: number("piece")? },
        _ => return Ok(None),
    };
    Ok(Some(message))
}

fn read_pex(payload: &[u8]) -> Result<Message, Malformed> {
    let (tree, _) = bencode::parse_prefix(payload, Strictness::Lenient)?;
    let top = dictionary(&tree)?;
    let bytes = |key: &str| top.get(key).and_then(Value::bytes).unwrap_or_default();
    // The n-th flag belongs to the n-th contact, whether that can be used or not.
    let flagged = |contacts: &str, flags: &str, family: Family| {
        let flags = bytes(flags);
        let read = move |(index, contact)| {
            let address = compact::peers(contact, family).next()?;
            Some(PexPeer { address, flags: flags.get(index).copied().unwrap_or(0) })
        };
        bytes(contacts).chunks_exact(family.peer_bytes()).enumerate().filter_map(read)
    };
    let added = flagged("added", "added.f", Family::V4).chain(flagged("added6", "added6.f", Family::V6)).take(PEX_PEERS_MAX).collect();
    let dropped =
        compact::peers(bytes("dropped"), Family::V4).chain(compact::peers(bytes("dropped6"), Family::V6)).take(PEX_PEERS_MAX).collect();
    Ok(Message::Pex(Pex { added, dropped }))
}

/// `None` for a type or a family that is not known.
fn read_hole_punch(payload: &[u8]) -> Result<Option<HolePunch>, Malformed> {
    let [kind, family, rest @ ..] = payload else {
        return Err(Malformed::at(2, "expected ut_holepunch to begin with a type and a family"));
    };
    let family = match family {
        0 => Family::V4,
        1 => Family::V6,
        _ => return Ok(None),
    };
    let length = family.peer_bytes();
    let at = rest.get(..length).and_then(|contact| compact::peers(contact, family).next());
    // libtorrent writes the code behind errors only, others always.
    let code = rest.get(length..).and_then(|code| code.first_chunk::<4>()).map(|code| u32::from_be_bytes(*code));
    let kind = match (kind, code) {
        (0, _) => HolePunchKind::Rendezvous,
        (1, _) => HolePunchKind::Connect,
        (2, Some(code)) => HolePunchKind::Error(code),
        (2, None) => return Err(Malformed::at(payload.len(), "expected an error of ut_holepunch to have a code")),
        _ => return Ok(None),
    };
    match at {
        Some(at) => Ok(Some(HolePunch { kind, at })),
        None if rest.len() < length => {
            Err(Malformed::at(payload.len(), format!("expected ut_holepunch to have {length} bytes of address")))
        }
        // Nobody can be at that address.
        None => Ok(None),
    }
}

fn hole_punch_payload(told: &HolePunch) -> Vec<u8> {
    let (kind, code) = match told.kind {
        HolePunchKind::Rendezvous => (0, 0),
        HolePunchKind::Connect => (1, 0),
        HolePunchKind::Error(code) => (2, code),
    };
    let mut payload = vec![kind, u8::from(Family::of(told.at.ip()) == Family::V6)];
    compact::write_peer(told.at, &mut payload);
    payload.extend_from_slice(&code.to_be_bytes());
    payload
}

pub(super) fn encode(message: &Message, extensions: &PeerExtensions, out: &mut BytesMut) {
    let (id, payload) = match message {
        Message::ExtendedHandshake(handshake) => (Some(0), handshake_payload(handshake)),
        Message::Metadata(metadata) => (extensions.metadata, metadata_payload(metadata)),
        Message::Pex(pex) => (extensions.pex, pex_payload(pex)),
        Message::DontHave(piece) => (extensions.dont_have, piece.to_be_bytes().to_vec()),
        Message::UploadOnly(on) => (extensions.upload_only, vec![u8::from(*on)]),
        Message::HolePunch(told) => (extensions.hole_punch, hole_punch_payload(told)),
        _ => (None, Vec::new()),
    };
    let Some(id) = id else { return };
    out.put_u32(2 + u32::try_from(payload.len()).unwrap_or(u32::MAX));
    out.put_u8(20);
    out.put_u8(id);
    out.put_slice(&payload);
}

fn handshake_payload(handshake: &ExtendedHandshake) -> Vec<u8> {
    let flag = |flag: Option<bool>| flag.map(|on| Out::Int(on.into()));
    let extensions = handshake.extensions.iter().map(|(name, id)| (name.as_bytes().to_vec(), Out::Int((*id).into()))).collect();
    Out::dict([
        ("e", flag(handshake.prefers_obfuscation)),
        ("ipv6", handshake.ipv6.map(|ip| Out::Bytes(ip.octets().to_vec()))),
        ("m", Some(Out::Dict(extensions))),
        ("metadata_size", handshake.metadata_bytes.map(|bytes| Out::Int(bytes.into()))),
        ("p", handshake.listen_port.map(|port| Out::Int(port.into()))),
        ("reqq", handshake.requests_max.map(|count| Out::Int(count.into()))),
        ("upload_only", flag(handshake.upload_only)),
        ("v", handshake.client.as_deref().map(Out::text)),
        (
            "yourip",
            handshake.your_ip.map(|ip| {
                let mut bytes = Vec::new();
                compact::write_ip(ip, &mut bytes);
                Out::Bytes(bytes)
            }),
        ),
    ])
    .encode()
}

fn metadata_payload(metadata: &MetadataMessage) -> Vec<u8> {
    let dict = |kind: i64, piece: u32, total: Option<u32>| {
        Out::dict([
            ("msg_type", Some(Out::Int(kind))),
            ("piece", Some(Out::Int(piece.into()))),
            ("total_size", total.map(|bytes| Out::Int(bytes.into()))),
        ])
        .encode()
    };
    match metadata {
        MetadataMessage::Request { piece } => dict(0, *piece, None),
        MetadataMessage::Data { piece, total_bytes, data } => {
            let mut payload = dict(1, *piece, Some(*total_bytes));
            payload.extend_from_slice(data);
            payload
        }
        MetadataMessage::Reject { piece } => dict(2, *piece, None),
    }
}

fn pex_payload(pex: &Pex) -> Vec<u8> {
    let (mut added, mut added_flags, mut added6, mut added6_flags) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for peer in &pex.added {
        let (list, flags) = match Family::of(peer.address.ip()) {
            Family::V4 => (&mut added, &mut added_flags),
            Family::V6 => (&mut added6, &mut added6_flags),
        };
        compact::write_peer(peer.address, list);
        flags.push(peer.flags);
    }
    let some = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(Out::Bytes(bytes));
    // `added` and `dropped` are always there: old clients expect them.
    Out::dict([
        ("added", Some(Out::Bytes(added))),
        ("added.f", Some(Out::Bytes(added_flags))),
        ("added6", some(added6)),
        ("added6.f", some(added6_flags)),
        ("dropped", Some(Out::Bytes(compact::write_peers(&pex.dropped, Family::V4)))),
        ("dropped6", some(compact::write_peers(&pex.dropped, Family::V6))),
    ])
    .encode()
}
