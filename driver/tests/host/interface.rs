//! Whoever is bound to an interface goes over it or nowhere.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use hexad_core::{Answer, Ask, Bind, Dial, HttpMethod, HttpRequest, Output, Span, Ticket, Transport, Why};
use hexad_driver::host::HostConfig;

use crate::puppet::{Config, Puppets, tcp};
use crate::rig::{CALLS, Machine, POST, Shelf, loopback};

/// No machine has one of that name.
const NOWHERE: &str = "hexad-none-0";

fn bound_to(interface: &str) -> Machine<Puppets> {
    let host = HostConfig { interface: Some(interface.to_owned()), ..HostConfig::default() };
    Machine::with(Config::default(), host, Shelf::default())
}

fn http(machine: &mut Machine<Puppets>, url: String) -> Answer {
    let request = HttpRequest { method: HttpMethod::Get, url, range: None, answer_bytes_max: 100, deadline: Span::from_secs(10) };
    machine.say(Output::Ask(Ticket(1), Ask::Http(Box::new(request))));
    machine.hears("an answer", |heard| match heard {
        hexad_core::Input::Answered(Ticket(1), answer) => Some(answer.clone()),
        _ => None,
    })
}

/// A server that counts whom it has served.
fn server() -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind(loopback()).expect("a port");
    let at = listener.local_addr().expect("an address");
    let (served, serves) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            if served.send(()).is_err() {
                return;
            }
        }
    });
    (format!("http://{at}/"), serves)
}

#[test]
fn over_an_interface_that_is_there_everything_goes_as_ever() {
    let (mut one, mut other) = (bound_to("lo"), bound_to("lo"));
    let at = other.listen(CALLS, Bind::Stream(loopback())).expect("a port");
    one.dial(at);
    one.opened();
    one.listen(POST, Bind::Datagram(loopback())).expect("a port");
    let at = other.listen(POST, Bind::Datagram(loopback())).expect("a port");
    one.dial_with(at.into(), Dial { transport: Transport::Utp(POST), ..tcp() });
    one.opened();
    let (url, _) = server();
    assert!(matches!(http(&mut one, url), Answer::Http(response) if response.status == 200));
}

#[test]
fn where_the_interface_is_not_there_nothing_goes_another_way() {
    let mut machine = bound_to(NOWHERE);
    for bind in [
        Bind::Stream(loopback()),
        Bind::Datagram(loopback()),
        Bind::Quic(loopback()),
        Bind::Multicast("239.192.152.143:6771".parse().expect("an address")),
    ] {
        assert!(machine.listen(CALLS, bind.clone()).is_err(), "{bind:?}");
    }
    let mut peer = Machine::<Puppets>::new();
    let at = peer.open_door();
    let conn = machine.dial(at);
    assert_eq!(machine.closed(conn), Why::Unreachable);
    let (url, served) = server();
    assert!(matches!(http(&mut machine, url.clone()), Answer::Failed(_)));
    assert!(hexad_driver::http::get(&url, 100, Span::from_secs(10), Some(NOWHERE), None).is_err());
    assert!(served.try_recv().is_err(), "nobody was asked");
    assert!(hexad_driver::http::get(&url, 100, Span::from_secs(10), Some("lo"), None).is_ok());
}
