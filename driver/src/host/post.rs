//! Datagrams: read in batches, sent at once or dropped with a reason.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use hexad_core::{Address as _, Door, Endpoint, Input, Level, Link, Message as _, Network};

use super::doors::Sockets;
use super::handle::{AddrOf, MessageOf};
use super::letters::Letters;
use super::quic;
use super::reach::{canonical, is_private};
use super::stage::Stage;
use super::utp::{self, UtpDoor};

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Datagrams that are read before the node's answers leave.
const BATCH: usize = 64;
/// After an error of the socket.
const BREATH: Duration = Duration::from_millis(10);

/// Reads whatever comes, as long as the door is open.
pub(super) async fn receive_all<N: Network>(stage: Rc<Stage<N>>, door: Door, socket: Rc<Letters>, utp: Option<Rc<UtpDoor>>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if socket.socket().readable().await.is_err() {
            tokio::time::sleep(BREATH).await;
            continue;
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let datagram = &buffer[..length];
                    if !utp.as_ref().is_some_and(|utp| utp.hear(&stage, canonical(from), datagram)) {
                        hear(&stage, door, from, datagram);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An earlier datagram of ours found nobody; this one says nothing about others.
                Err(error) => tracing::debug!(network = N::NAME, %error, "a datagram could not be read"),
            }
        }
        if let Some(utp) = &utp {
            utp::settle(&stage, utp);
        }
        stage.settle();
    }
}

fn hear<N: Network>(stage: &Rc<Stage<N>>, door: Door, from: SocketAddr, bytes: &[u8]) {
    let from = canonical(from);
    let Some(peer) = AddrOf::<N>::of_socket(from) else { return };
    match N::decode_datagram(door, bytes) {
        Ok(message) => stage.hear(Input::Received(Link::Datagram(door, peer), message)),
        Err(malformed) => stage.note(Level::Drop, "malformed_datagram", Some(peer), malformed.to_string()),
    }
}

/// Sends a datagram through a door, or notes why not.
pub(super) fn send<N: Network>(stage: &Rc<Stage<N>>, door: Door, to: AddrOf<N>, message: &MessageOf<N>) {
    let Some(bytes) = encode(stage, message) else { return };
    let quic = match stage.doors.borrow().sockets(door) {
        Some(Sockets::Quic(quic)) => Some(quic.clone()),
        _ => None,
    };
    match to.endpoint() {
        Some(Endpoint::Key(key, at)) if quic.is_some() => {
            if let Some(quic) = quic {
                quic::send_datagram(stage, quic, key, at, bytes.freeze());
            }
        }
        _ if quic.is_some() => stage.note(Level::Drop, "datagram_dropped", Some(to), "over QUIC only peers with a key are reached"),
        Some(Endpoint::Ip(socket) | Endpoint::Key(_, socket)) => send_bytes(stage, door, socket, &bytes),
        Some(Endpoint::Name(name)) => {
            if let Some(socket) = by_name(stage, door) {
                if let Err(error) = socket.send_to_name(&bytes, &name) {
                    stage.note(Level::Drop, "datagram_dropped", Some(to), error.to_string());
                }
                return;
            }
            let Some(question) = stage.asks.begin() else {
                return stage.note(Level::Drop, "datagram_dropped", Some(to), "too many questions are being answered to look its name up");
            };
            let stage = stage.clone();
            stage.clone().spawn(async move {
                let _question = question;
                match stage.asks.names.resolve(&name.host, name.port).await {
                    Ok(sockets) => send_bytes(&stage, door, sockets[0], &bytes),
                    Err(error) => stage.note(Level::Drop, "datagram_dropped", Some(to), format!("{}: {error}", name.host)),
                }
            });
        }
        None => stage.note(Level::Drop, "datagram_dropped", Some(to), "no address of a real network"),
    }
}

/// Sends a datagram to the group of a door, or notes why not.
pub(super) fn send_to_group<N: Network>(stage: &Rc<Stage<N>>, door: Door, message: &MessageOf<N>) {
    let Some(bytes) = encode(stage, message) else { return };
    let group = match stage.doors.borrow().sockets(door) {
        Some(Sockets::Group(group)) => group.clone(),
        _ => return stage.note(Level::Drop, "datagram_dropped", None, "the door of the group is not open"),
    };
    if let Err(error) = group.send(&bytes) {
        stage.note(Level::Drop, "datagram_dropped", AddrOf::<N>::of_socket(group.address()), error.to_string());
    }
}

fn encode<N: Network>(stage: &Rc<Stage<N>>, message: &MessageOf<N>) -> Option<BytesMut> {
    let mut bytes = BytesMut::new();
    N::encode_datagram(message, &mut bytes);
    if bytes.is_empty() {
        stage.note(Level::Drop, "not_a_datagram", None, message.kind());
        return None;
    }
    Some(bytes)
}

/// The socket of a door that takes names as they are. Where a name leads is not known here, so it does only for who may go everywhere.
fn by_name<N: Network>(stage: &Stage<N>, door: Door) -> Option<Rc<Letters>> {
    match stage.doors.borrow().sockets(door) {
        Some(Sockets::Datagrams(sockets, _)) if stage.config.outside => sockets.iter().find(|socket| socket.takes_names()).cloned(),
        _ => None,
    }
}

fn send_bytes<N: Network>(stage: &Rc<Stage<N>>, door: Door, to: SocketAddr, bytes: &[u8]) {
    let drop_it = |why: &str| stage.note(Level::Drop, "datagram_dropped", AddrOf::<N>::of_socket(to), why.to_owned());
    let to = canonical(to);
    if !stage.config.outside && !is_private(to.ip()) {
        return stage.note(Level::Drop, "outside_not_allowed", AddrOf::<N>::of_socket(to), "");
    }
    let doors = stage.doors.borrow();
    let socket = match doors.sockets(door) {
        Some(Sockets::Datagrams(sockets, _)) => sockets.iter().find(|socket| socket.reaches(to)).cloned(),
        Some(Sockets::Group(group)) if group.address().is_ipv4() == to.is_ipv4() => Some(group.sending().clone()),
        Some(Sockets::Group(_)) => None,
        _ => return drop_it("the door is not open"),
    };
    let Some(socket) = socket else { return drop_it("the door is not open for its kind of address") };
    match socket.send_to(bytes, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop_it("the socket is full"),
        Err(error) => drop_it(&error.to_string()),
    }
}
