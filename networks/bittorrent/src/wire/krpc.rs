//! KRPC, the packets of the DHT: one bencoded dictionary each. BEP 5, 32, 33, 42, 43, 44, 51.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use hexad_core::Malformed;

use super::bencode::{self, Out, Strictness, Value};
use super::bloom::Filter;
use super::compact::{self, Family};
use super::stored::Signed;
use super::{Krpc, KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery, NodeContact, Samples, Want};

/// Longest packet that is read.
pub const PACKET_BYTES_MAX: usize = 4096;
/// No payload of ours is longer, but with a stored value in it. BEP 32.
pub const PACKET_BYTES_GOOD: usize = 1024;
/// Longest transaction id that is given back.
const TRANSACTION_BYTES_MAX: usize = 64;
/// Longest token that is taken over.
const TOKEN_BYTES_MAX: usize = 256;
/// Longest method name, error text and version that are taken over.
const TEXT_BYTES_MAX: usize = 256;
/// Nodes taken from one answer, of each family; 8 are usual.
const NODES_MAX: usize = 32;
/// Peers taken from one answer.
const PEERS_MAX: usize = 300;
/// Torrents taken from one answer.
const SAMPLES_MAX: usize = 64;

/// Reads one packet.
///
/// # Errors
/// When it is not a query, an answer or an error that can be made sense of.
pub fn decode(bytes: &[u8]) -> Result<Krpc, Malformed> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(Malformed::at(0, format!("expected at most {PACKET_BYTES_MAX} bytes, came {}", bytes.len())));
    }
    // Some clients append a byte or two.
    let tree = bencode::parse_prefix(bytes, Strictness::Lenient)?.0;
    let top = tree.root();
    let transaction = top.get("t").and_then(Value::bytes).ok_or_else(|| Malformed::at(0, "expected a transaction id 't'"))?;
    if transaction.len() > TRANSACTION_BYTES_MAX {
        return Err(Malformed::at(
            0,
            format!("expected a transaction id of at most {TRANSACTION_BYTES_MAX} bytes, came {}", transaction.len()),
        ));
    }
    let body = match top.get("y").and_then(Value::bytes) {
        Some(b"q") => read_query(top)?,
        Some(b"r") => read_answer(top)?,
        Some(b"e") => read_error(top),
        _ => return Err(Malformed::at(0, "expected 'y' to be q, r or e")),
    };
    Ok(Krpc {
        transaction: Bytes::copy_from_slice(transaction),
        body,
        seen_as: top.get("ip").and_then(Value::bytes).and_then(compact::peer),
        version: top.get("v").and_then(Value::bytes).filter(|version| version.len() <= TEXT_BYTES_MAX).map(Bytes::copy_from_slice),
    })
}

fn read_query(top: Value<'_>) -> Result<KrpcBody, Malformed> {
    let method = top.get("q").and_then(Value::bytes).ok_or_else(|| Malformed::at(0, "expected a method 'q'"))?;
    let arguments = top.get("a").ok_or_else(|| Malformed::at(0, "expected arguments 'a'"))?;
    let hash = |key: &str| arguments.get(key).and_then(Value::array::<20>);
    let needed =
        |key: &'static str| hash(key).ok_or_else(|| Malformed::at(arguments.span().start, format!("expected '{key}' of 20 bytes")));
    let flag = |key: &str| arguments.get(key).and_then(Value::int).is_some_and(|int| int != 0);
    let number = |key: &str| arguments.get(key).and_then(Value::int);
    let token = || {
        let token = arguments.get("token").and_then(Value::bytes).filter(|token| token.len() <= TOKEN_BYTES_MAX);
        let wrong = || Malformed::at(arguments.span().start, format!("expected 'token' of at most {TOKEN_BYTES_MAX} bytes"));
        token.map(Bytes::copy_from_slice).ok_or_else(wrong)
    };
    let id = needed("id")?;
    let query = match method {
        b"ping" => KrpcQuery::Ping,
        b"find_node" => KrpcQuery::FindNode { target: needed("target")?, want: read_want(arguments) },
        b"get_peers" => KrpcQuery::GetPeers {
            info_hash: needed("info_hash")?,
            want: read_want(arguments),
            no_seeds: flag("noseed"),
            scrape: flag("scrape"),
        },
        b"announce_peer" => {
            let implied_port = flag("implied_port");
            let port = match arguments.get("port").and_then(Value::number::<u16>) {
                Some(port) => port,
                None if implied_port => 0,
                None => return Err(Malformed::at(arguments.span().start, "expected 'port' of 0 to 65535")),
            };
            KrpcQuery::AnnouncePeer { info_hash: needed("info_hash")?, port, implied_port, token: token()?, seed: flag("seed") }
        }
        b"get" => KrpcQuery::Get { target: needed("target")?, want: read_want(arguments), seq: number("seq") },
        b"put" => {
            let value = arguments.get("v").ok_or_else(|| Malformed::at(arguments.span().start, "expected a value 'v'"))?;
            let bytes = |key: &str| arguments.get(key).and_then(Value::bytes).map(Bytes::copy_from_slice);
            let signed = match arguments.get("k") {
                None => None,
                Some(key) => {
                    let wrong = || Malformed::at(key.span().start, "expected 'k' of 32 bytes, 'sig' of 64 and 'seq'");
                    Some(Box::new(Signed {
                        key: key.array().ok_or_else(wrong)?,
                        salt: bytes("salt").unwrap_or_default(),
                        seq: number("seq").ok_or_else(wrong)?,
                        signature: arguments.get("sig").and_then(Value::array).ok_or_else(wrong)?,
                    }))
                }
            };
            KrpcQuery::Put { token: token()?, value: Bytes::copy_from_slice(value.raw()), signed, cas: number("cas") }
        }
        b"sample_infohashes" => KrpcQuery::SampleInfohashes { target: needed("target")?, want: read_want(arguments) },
        other => KrpcQuery::Unknown {
            method: Bytes::copy_from_slice(&other[..other.len().min(TEXT_BYTES_MAX)]),
            target: hash("target").or_else(|| hash("info_hash")),
        },
    };
    // BEP 43 puts `ro` beside `q`; a few clients put it among the arguments.
    let read_only = top.get("ro").or_else(|| arguments.get("ro")).and_then(Value::int) == Some(1);
    Ok(KrpcBody::Query { id, query, read_only })
}

fn read_want(arguments: Value<'_>) -> Option<Want> {
    let mut want = Want::default();
    for family in arguments.get("want")?.list()?.take(8) {
        match family.bytes() {
            Some(b"n4") => want.v4 = true,
            Some(b"n6") => want.v6 = true,
            _ => {}
        }
    }
    (want.v4 || want.v6).then_some(want)
}

fn read_answer(top: Value<'_>) -> Result<KrpcBody, Malformed> {
    let values = top.get("r").ok_or_else(|| Malformed::at(0, "expected values 'r'"))?;
    let id = values.get("id").and_then(Value::array).ok_or_else(|| Malformed::at(values.span().start, "expected 'id' of 20 bytes"))?;
    let bytes = |key: &str| values.get(key).and_then(Value::bytes).unwrap_or_default();
    let nodes: Vec<NodeContact> = compact::nodes(bytes("nodes"), Family::V4)
        .take(NODES_MAX)
        .chain(compact::nodes(bytes("nodes6"), Family::V6).take(NODES_MAX))
        .collect();
    let peers: Vec<SocketAddr> = values
        .get("values")
        .and_then(Value::list)
        .into_iter()
        .flatten()
        .take(PEERS_MAX)
        .filter_map(|peer| compact::peer(peer.bytes()?))
        .collect();
    let token = values.get("token").and_then(Value::bytes).filter(|token| token.len() <= TOKEN_BYTES_MAX).map(Bytes::copy_from_slice);
    Ok(KrpcBody::Answer { id, answer: KrpcAnswer { nodes, peers, token, more: read_more(values) } })
}

fn read_more(values: Value<'_>) -> Option<Box<KrpcMore>> {
    let filter = |key: &str| values.get(key).and_then(Value::array).map(Filter);
    let number = |key: &str| values.get(key).and_then(Value::number::<u32>);
    let signed = values.get("k").and_then(Value::array).zip(values.get("sig").and_then(Value::array));
    let samples = values.get("samples").and_then(Value::bytes).map(|samples| Samples {
        interval_s: number("interval").unwrap_or(0),
        known: number("num").unwrap_or(0),
        info_hashes: samples.as_chunks::<20>().0.iter().take(SAMPLES_MAX).copied().collect(),
    });
    let more = KrpcMore {
        value: values.get("v").map(|value| Bytes::copy_from_slice(value.raw())),
        seq: values.get("seq").and_then(Value::int),
        signed: signed.map(Box::new),
        scrape: filter("BFsd").zip(filter("BFpe")).map(Box::new),
        samples,
    };
    (more != KrpcMore::default()).then(|| Box::new(more))
}

fn read_error(top: Value<'_>) -> KrpcBody {
    let mut parts = top.get("e").and_then(Value::list).into_iter().flatten();
    let code = parts.next().and_then(Value::int).unwrap_or(201);
    let text = parts.next().and_then(|text| text.text_within(TEXT_BYTES_MAX)).unwrap_or_default();
    KrpcBody::Error { code, text }
}

/// Appends the packet.
pub fn encode(krpc: &Krpc, out: &mut BytesMut) {
    let seen_as = krpc.seen_as.map(|address| {
        let mut bytes = Vec::with_capacity(18);
        compact::write_peer(address, &mut bytes);
        Out::Bytes(bytes)
    });
    let mut entries = vec![("ip", seen_as), ("t", Some(Out::from(&krpc.transaction[..]))), ("v", krpc.version.as_deref().map(Out::from))];
    match &krpc.body {
        KrpcBody::Query { id, query, read_only } => {
            let (method, arguments) = query_parts(id, query);
            entries.extend([
                ("a", Some(arguments)),
                ("q", Some(Out::from(method))),
                ("ro", read_only.then_some(Out::Int(1))),
                ("y", Some(Out::text("q"))),
            ]);
        }
        KrpcBody::Answer { id, answer } => entries.extend([("r", Some(answer_values(id, answer))), ("y", Some(Out::text("r")))]),
        KrpcBody::Error { code, text } => {
            entries.extend([("e", Some(Out::List(vec![Out::Int(*code), Out::text(text)]))), ("y", Some(Out::text("e")))])
        }
    }
    out.extend_from_slice(&Out::dict(entries).encode());
}

/// How long the packet is, without writing it; `None` for those that are seldom and have much in them. The lab asks this of every packet.
pub fn plain_bytes(krpc: &Krpc) -> Option<usize> {
    /// An id or an info hash as a string.
    const HASH: usize = 23;
    let digits = |number: usize| number.checked_ilog10().unwrap_or(0) as usize + 1;
    let string = |bytes: usize| digits(bytes) + 1 + bytes;
    let entry = |key: usize, value: usize| string(key) + value;
    let flag = |key: usize, on: bool| if on { entry(key, 3) } else { 0 };
    let wanted = |want: Option<Want>| want.map_or(0, |want| entry(4, 2 + 4 * (usize::from(want.v4) + usize::from(want.v6))));
    let is_v4 = |address: &SocketAddr| Family::of(address.ip()) == Family::V4;
    let peer = |address: &SocketAddr| if is_v4(address) { Family::V4 } else { Family::V6 }.peer_bytes();
    let body = match &krpc.body {
        KrpcBody::Query { query, read_only, .. } => {
            let (method, arguments) = match query {
                KrpcQuery::Ping => (4, 0),
                KrpcQuery::FindNode { want, .. } => (9, entry(6, HASH) + wanted(*want)),
                KrpcQuery::GetPeers { want, no_seeds, scrape, .. } => {
                    (9, entry(9, HASH) + flag(6, *no_seeds) + flag(6, *scrape) + wanted(*want))
                }
                KrpcQuery::AnnouncePeer { port, implied_port, token, seed, .. } => {
                    let port = entry(4, 2 + digits((*port).into()));
                    (13, flag(12, *implied_port) + entry(9, HASH) + port + flag(4, *seed) + entry(5, string(token.len())))
                }
                _ => return None,
            };
            entry(1, 2 + entry(2, HASH) + arguments) + entry(1, string(method)) + flag(2, *read_only)
        }
        KrpcBody::Answer { answer: KrpcAnswer { more: Some(_), .. }, .. } | KrpcBody::Error { .. } => return None,
        KrpcBody::Answer { answer: KrpcAnswer { nodes, peers, token, .. }, .. } => {
            let v4 = nodes.iter().filter(|node| is_v4(&node.address)).count();
            let list = |key: usize, nodes: usize, each: usize| if nodes > 0 { entry(key, string(nodes * each)) } else { 0 };
            let values = if peers.is_empty() { 0 } else { entry(6, 2 + peers.iter().map(|address| string(peer(address))).sum::<usize>()) };
            let token = token.as_ref().map_or(0, |token| entry(5, string(token.len())));
            entry(1, 2 + entry(2, HASH) + list(5, v4, 26) + list(6, nodes.len() - v4, 38) + token + values)
        }
    };
    let seen_as = krpc.seen_as.as_ref().map_or(0, |address| entry(2, string(peer(address))));
    let version = krpc.version.as_ref().map_or(0, |version| entry(1, string(version.len())));
    Some(2 + seen_as + entry(1, string(krpc.transaction.len())) + version + body + entry(1, string(1)))
}

fn query_parts<'q>(id: &[u8; 20], query: &'q KrpcQuery) -> (&'q [u8], Out) {
    let id = ("id", Some(Out::from(&id[..])));
    let hash = |hash: &[u8; 20]| Some(Out::from(&hash[..]));
    let flag = |on: bool| on.then_some(Out::Int(1));
    match query {
        KrpcQuery::Ping => (b"ping", Out::dict([id])),
        KrpcQuery::FindNode { target, want } => (b"find_node", Out::dict([id, ("target", hash(target)), ("want", want.map(want_list))])),
        KrpcQuery::GetPeers { info_hash, want, no_seeds, scrape } => {
            let arguments = Out::dict([
                id,
                ("info_hash", hash(info_hash)),
                ("noseed", flag(*no_seeds)),
                ("scrape", flag(*scrape)),
                ("want", want.map(want_list)),
            ]);
            (b"get_peers", arguments)
        }
        KrpcQuery::Get { target, want, seq } => {
            (b"get", Out::dict([id, ("seq", seq.map(Out::Int)), ("target", hash(target)), ("want", want.map(want_list))]))
        }
        KrpcQuery::Put { token, value, signed, cas } => {
            let signed = signed.as_deref();
            let arguments = Out::dict([
                ("cas", cas.map(Out::Int)),
                id,
                ("k", signed.map(|signed| Out::from(&signed.key[..]))),
                ("salt", signed.filter(|signed| !signed.salt.is_empty()).map(|signed| Out::from(&signed.salt[..]))),
                ("seq", signed.map(|signed| Out::Int(signed.seq))),
                ("sig", signed.map(|signed| Out::from(&signed.signature[..]))),
                ("token", Some(Out::from(&token[..]))),
                ("v", Some(Out::Raw(value.to_vec()))),
            ]);
            (b"put", arguments)
        }
        KrpcQuery::SampleInfohashes { target, want } => {
            (b"sample_infohashes", Out::dict([id, ("target", hash(target)), ("want", want.map(want_list))]))
        }
        KrpcQuery::AnnouncePeer { info_hash, port, implied_port, token, seed } => {
            let arguments = Out::dict([
                id,
                ("implied_port", flag(*implied_port)),
                ("info_hash", hash(info_hash)),
                ("port", Some(Out::Int((*port).into()))),
                ("seed", flag(*seed)),
                ("token", Some(Out::from(&token[..]))),
            ]);
            (b"announce_peer", arguments)
        }
        KrpcQuery::Unknown { method, target } => (method, Out::dict([id, ("target", target.as_ref().and_then(hash))])),
    }
}

fn want_list(want: Want) -> Out {
    Out::List([(want.v4, "n4"), (want.v6, "n6")].into_iter().filter(|(on, _)| *on).map(|(_, name)| Out::text(name)).collect())
}

fn answer_values(id: &[u8; 20], answer: &KrpcAnswer) -> Out {
    let nodes = |family| {
        let nodes = compact::write_nodes(&answer.nodes, family);
        (!nodes.is_empty()).then_some(Out::Bytes(nodes))
    };
    let peer = |&peer: &SocketAddr| {
        let mut bytes = Vec::with_capacity(18);
        compact::write_peer(peer, &mut bytes);
        Out::Bytes(bytes)
    };
    let more = answer.more.as_deref();
    let scrape = more.and_then(|more| more.scrape.as_deref());
    let signed = more.and_then(|more| more.signed.as_deref());
    let samples = more.and_then(|more| more.samples.as_ref());
    Out::dict([
        ("BFpe", scrape.map(|(_, others)| Out::from(&others.0[..]))),
        ("BFsd", scrape.map(|(seeds, _)| Out::from(&seeds.0[..]))),
        ("id", Some(Out::from(&id[..]))),
        ("interval", samples.map(|samples| Out::Int(samples.interval_s.into()))),
        ("k", signed.map(|(key, _)| Out::from(&key[..]))),
        ("nodes", nodes(Family::V4)),
        ("nodes6", nodes(Family::V6)),
        ("num", samples.map(|samples| Out::Int(samples.known.into()))),
        ("samples", samples.map(|samples| Out::from(samples.info_hashes.concat()))),
        ("seq", more.and_then(|more| more.seq).map(Out::Int)),
        ("sig", signed.map(|(_, signature)| Out::from(&signature[..]))),
        ("token", answer.token.as_deref().map(Out::from)),
        ("v", more.and_then(|more| more.value.as_ref()).map(|value| Out::Raw(value.to_vec()))),
        ("values", (!answer.peers.is_empty()).then(|| Out::List(answer.peers.iter().map(peer).collect()))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_long_as_is_said_without_writing_it() {
        let v4 = SocketAddr::from(([192, 0, 2, 1], 6881));
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 1));
        let token = Bytes::from_static(b"eightbyt");
        let wants = [None, Some(Want { v4: true, v6: false }), Some(Want { v4: true, v6: true })];
        let mut queries = vec![KrpcQuery::Ping];
        for want in wants {
            queries.push(KrpcQuery::FindNode { target: [1; 20], want });
            for (no_seeds, scrape) in [(false, false), (true, false), (true, true)] {
                queries.push(KrpcQuery::GetPeers { info_hash: [2; 20], want, no_seeds, scrape });
            }
        }
        for port in [0, 9, 10, 999, 6881, 65_535] {
            for on in [false, true] {
                queries.push(KrpcQuery::AnnouncePeer { info_hash: [3; 20], port, implied_port: on, token: token.clone(), seed: !on });
            }
        }
        let mut bodies: Vec<KrpcBody> = Vec::new();
        for query in queries {
            bodies.extend([false, true].map(|read_only| KrpcBody::Query { id: [4; 20], query: query.clone(), read_only }));
        }
        let node = |address| NodeContact { id: [5; 20], address };
        for nodes in [vec![], vec![node(v4)], vec![node(v6)], vec![node(v4); 8], [vec![node(v4); 8], vec![node(v6); 8]].concat()] {
            for peers in [vec![], vec![v4], vec![v6], vec![v4; 50]] {
                for token in [None, Some(token.clone())] {
                    bodies.push(KrpcBody::Answer {
                        id: [6; 20],
                        answer: KrpcAnswer { nodes: nodes.clone(), peers: peers.clone(), token, more: None },
                    });
                }
            }
        }
        for body in bodies {
            for (seen_as, version) in [(None, None), (Some(v4), Some(Bytes::from_static(b"HX01"))), (Some(v6), None)] {
                let krpc = Krpc { transaction: Bytes::from_static(b"aa"), body: body.clone(), seen_as, version };
                let mut out = BytesMut::new();
                encode(&krpc, &mut out);
                assert_eq!(plain_bytes(&krpc), Some(out.len()), "{krpc:?}");
            }
        }
        let error = KrpcBody::Error { code: 201, text: String::new() };
        assert_eq!(plain_bytes(&Krpc { transaction: Bytes::new(), body: error, seen_as: None, version: None }), None);
    }
}
