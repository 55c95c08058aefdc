//! With a proxy everything goes through it, names included, or nowhere.

use std::net::TcpListener;

use hexad_core::{Answer, Ask, Bind, Dial, Endpoint, Link, Name, Output, Span, Transport, Why};
use hexad_driver::host::HostConfig;

use crate::little_proxy::LittleProxy;
use crate::puppet::{Config, Message, Puppets, tcp};
use crate::rig::{CALLS, Machine, POST, Shelf, counting_server, loopback};

/// A name that no name server knows (RFC 6761).
const HIDDEN: &str = "hidden.invalid";
const USER: (&str, &str, &str) = ("me", "secret", "bWU6c2VjcmV0");

fn through(proxy: &str) -> Machine<Puppets> {
    let host = HostConfig { proxy: Some(proxy.parse().expect("a proxy")), ..HostConfig::default() };
    Machine::with(Config::default(), host, Shelf::default())
}

fn named(host: &str, port: u16) -> Endpoint {
    Endpoint::Name(Name { host: host.to_owned(), port })
}

#[test]
fn connections_and_exchanges_go_through_the_proxy_by_name() {
    let mut peer = Machine::<Puppets>::new();
    let (peer_at, (web, _served)) = (peer.open_door(), counting_server());
    for scheme in ["socks5", "http"] {
        let proxy = LittleProxy::start(Some(USER), &[(HIDDEN, peer_at), ("web.invalid", web)]);
        let mut machine = through(&format!("{scheme}://me:secret@{}", proxy.at));
        machine.dial(peer_at);
        let (conn, _, _) = machine.opened();
        machine.send(conn, Message::Ping(7));
        peer.receives(&Message::Ping(7));
        machine.dial_with(named(HIDDEN, 6881), tcp());
        machine.opened();
        assert!(matches!(machine.http("http://web.invalid/".to_owned()), Answer::Http(response) if response.status == 200), "{scheme}");
        let through = format!("{scheme}://me:secret@{}", proxy.at).parse().expect("a proxy");
        assert!(hexad_driver::http::get("http://web.invalid/", 100, Span::from_secs(10), None, Some(&through)).is_ok());
        let asked: Vec<_> = proxy.asked.try_iter().collect();
        assert_eq!(asked, [peer_at.to_string(), format!("{HIDDEN}:6881"), "web.invalid:80".into(), "web.invalid:80".into()], "{scheme}");
    }
}

#[test]
fn where_the_proxy_does_not_lead_nothing_goes_another_way() {
    let gone = TcpListener::bind(loopback()).and_then(|listener| listener.local_addr()).expect("a port that nobody has");
    let stern = LittleProxy::start(Some(USER), &[]);
    let mut peer = Machine::<Puppets>::new();
    let (peer_at, (web, served)) = (peer.open_door(), counting_server());
    for scheme in ["socks5", "http"] {
        for proxy in [format!("{scheme}://{gone}"), format!("{scheme}://{}", stern.at), format!("{scheme}://me:wrong@{}", stern.at)] {
            let mut machine = through(&proxy);
            for to in [peer_at.into(), named("localhost", peer_at.port())] {
                let conn = machine.dial_with(to, tcp());
                assert_eq!(machine.closed(conn), Why::Unreachable, "{proxy}");
            }
            for url in [format!("http://{web}/"), format!("http://localhost:{}/", web.port())] {
                let answer = machine.http(url);
                assert!(matches!(&answer, Answer::Failed(_)) || matches!(&answer, Answer::Http(said) if said.status == 407), "{answer:?}");
            }
        }
    }
    assert!(served.try_recv().is_err(), "nobody was asked");
    assert!(stern.asked.try_recv().is_err(), "nobody was let through");
}

#[test]
fn beside_the_proxy_nobody_listens_and_no_name_is_looked_up() {
    let proxy = LittleProxy::stern(&[]);
    let mut machine = through(&format!("socks5://{}", proxy.at));
    let group = "239.192.152.143:6771".parse().expect("an address");
    for bind in [Bind::Stream(loopback()), Bind::Datagram(loopback()), Bind::Quic(loopback()), Bind::Multicast(group)] {
        for door in [CALLS, POST] {
            assert!(machine.listen(door, bind.clone()).is_err(), "{bind:?}");
        }
    }
    let answer = machine.answer(Ask::Resolve(Name { host: "localhost".into(), port: 1 }));
    assert!(matches!(&answer, Answer::Failed(why) if format!("{why:?}").contains("only the proxy")), "{answer:?}");
    assert!(proxy.asked.try_recv().is_err());
}

#[test]
fn datagrams_and_utp_are_carried_by_socks5_to_addresses_and_to_names() {
    let mut peer = Machine::<Puppets>::new();
    let at = peer.listen(POST, Bind::Datagram(loopback())).expect("a port");
    let proxy = LittleProxy::start(Some(USER), &[(HIDDEN, at)]);
    let mut machine = through(&format!("socks5://me:secret@{}", proxy.at));
    let ours = machine.listen(POST, Bind::Datagram(loopback())).expect("the proxy carries datagrams");
    machine.say(Output::Send(Link::Datagram(POST, at.into()), Message::Ping(1)));
    let Link::Datagram(POST, Endpoint::Ip(from)) = peer.receives(&Message::Ping(1)) else { panic!("by the door") };
    assert_ne!(from.port(), ours.port(), "the proxy has sent it");
    assert_eq!(machine.receives(&Message::Pong(1)), Link::Datagram(POST, Endpoint::Ip(at)));
    machine.say(Output::Send(Link::Datagram(POST, named(HIDDEN, 6881)), Message::Ping(2)));
    assert_eq!(machine.receives(&Message::Pong(2)), Link::Datagram(POST, Endpoint::Ip(at)));
    assert_eq!(proxy.asked.try_iter().collect::<Vec<_>>(), ["letters".to_owned(), format!("letter to {HIDDEN}:6881")]);

    machine.dial_with(at.into(), Dial { transport: Transport::Utp(POST), ..tcp() });
    let (conn, remote, _) = machine.opened();
    assert_eq!(remote, Endpoint::Ip(at));
    machine.send(conn, Message::Ping(3));
    peer.receives(&Message::Ping(3));
    machine.receives(&Message::Pong(3));
}

#[test]
fn a_proxy_that_carries_datagrams_no_longer_is_asked_again() {
    let mut peer = Machine::<Puppets>::new();
    let at = peer.listen(POST, Bind::Datagram(loopback())).expect("a port");
    let proxy = LittleProxy::start(None, &[]);
    let mut machine = through(&format!("socks5://{}", proxy.at));
    machine.listen(POST, Bind::Datagram(loopback())).expect("the proxy carries datagrams");
    proxy.forget_letters();
    machine.notes("proxy_relay_ended");
    machine.say(Output::Send(Link::Datagram(POST, at.into()), Message::Ping(1)));
    assert!(machine.notes("datagram_dropped").detail.contains("at the moment"));
    machine.notes("proxy_relays_again");
    machine.say(Output::Send(Link::Datagram(POST, at.into()), Message::Ping(2)));
    peer.receives(&Message::Ping(2));
    machine.receives(&Message::Pong(2));
    assert!(!peer.has_heard(|heard| matches!(heard, hexad_core::Input::Received(_, Message::Ping(1)))), "nothing goes beside");
}

#[test]
fn where_the_proxy_carries_no_datagrams_none_leaves() {
    let gone = TcpListener::bind(loopback()).and_then(|listener| listener.local_addr()).expect("a port that nobody has");
    let stern = LittleProxy::stern(&[]);
    for proxy in [format!("http://{}", stern.at), format!("socks5://{}", stern.at), format!("socks5://{gone}")] {
        let mut machine = through(&proxy);
        assert!(machine.listen(POST, Bind::Datagram(loopback())).is_err(), "{proxy}");
    }
}
