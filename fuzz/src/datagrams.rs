//! Datagrams: of the DHT, of UDP trackers, of local service discovery.

use bytes::BytesMut;
use hexad_bittorrent::doors;
use hexad_bittorrent::wire::{self, KrpcBody, Message, TrackerDatagram, lsd as lsd_wire, udp_tracker as udp_wire};
use hexad_core::{Door, Message as _};

/// Read, written and read again is the same message.
fn stable(door: Door, bytes: &[u8]) -> Option<Message> {
    let message = wire::decode_datagram(door, bytes).ok()?;
    let mut out = BytesMut::new();
    wire::encode_datagram(&message, &mut out);
    assert_eq!(message.wire_bytes(), out.len() as u64);
    let again = wire::decode_datagram(door, &out).unwrap_or_else(|wrong| panic!("{wrong}, reading {message:?} again"));
    assert_eq!(again, message);
    Some(message)
}

/// A packet of the DHT.
pub fn krpc(bytes: &[u8]) {
    if bytes.first() != Some(&b'd') {
        return;
    }
    let Some(Message::Krpc(packet)) = stable(doors::DATAGRAMS, bytes) else { return };
    assert!(bytes.len() <= 4096 && packet.transaction.len() <= 64);
    match &packet.body {
        KrpcBody::Answer { answer, .. } => assert!(answer.nodes.len() <= 64 && answer.peers.len() <= 300),
        KrpcBody::Error { text, .. } => assert!(text.len() <= 256),
        KrpcBody::Query { .. } => {}
    }
}

/// A packet to a tracker or from one: the first byte says which.
pub fn udp_tracker(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    let door = if which & 1 == 0 { doors::TRACKER } else { doors::DATAGRAMS };
    if door == doors::DATAGRAMS && bytes.first() == Some(&b'd') {
        return;
    }
    let Some(Message::Tracker(datagram)) = stable(door, bytes) else { return };
    match *datagram {
        TrackerDatagram::ScrapeRequest { info_hashes, .. } => assert!((1..=udp_wire::SCRAPE_MAX).contains(&info_hashes.len())),
        TrackerDatagram::ScrapeAnswer { counts, .. } => assert!(counts.len() <= udp_wire::SCRAPE_MAX),
        TrackerDatagram::AnnounceRequest { announce, .. } => assert!(announce.url_path.len() <= udp_wire::URL_DATA_MAX),
        TrackerDatagram::Error { message, .. } => assert!(message.len() <= 1000),
        _ => {}
    }
}

/// A local announce.
pub fn lsd(bytes: &[u8]) {
    let Ok(Message::Lsd(mut announce)) = wire::decode_datagram(doors::LSD_V4, bytes) else { return };
    assert!(bytes.len() <= lsd_wire::PACKET_BYTES_MAX && announce.port != 0 && !announce.info_hashes.is_empty());
    let mut out = BytesMut::new();
    lsd_wire::encode(&announce, &mut out);
    assert!(out.len() <= lsd_wire::PACKET_BYTES_MAX);
    announce.info_hashes.truncate(lsd_wire::INFO_HASHES_MAX);
    assert_eq!(lsd_wire::decode(&out).as_ref(), Ok(&*announce));
}
