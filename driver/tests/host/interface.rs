//! Whoever is bound to an interface goes over it or nowhere.

use hexad_core::{Answer, Bind, Dial, Span, Transport, Why};
use hexad_driver::host::HostConfig;

use crate::puppet::{Config, Puppets, tcp};
use crate::rig::{CALLS, Machine, POST, Shelf, counting_server, loopback};

/// No machine has one of that name.
const NOWHERE: &str = "hexad-none-0";

fn bound_to(interface: &str) -> Machine<Puppets> {
    let host = HostConfig { interface: Some(interface.to_owned()), ..HostConfig::default() };
    Machine::with(Config::default(), host, Shelf::default())
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
    let (at, _) = counting_server();
    assert!(matches!(one.http(format!("http://{at}/")), Answer::Http(response) if response.status == 200));
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
    let (at, served) = counting_server();
    let url = format!("http://{at}/");
    assert!(matches!(machine.http(url.clone()), Answer::Failed(_)));
    assert!(hexad_driver::http::get(&url, 100, Span::from_secs(10), Some(NOWHERE), None).is_err());
    assert!(served.try_recv().is_err(), "nobody was asked");
    assert!(hexad_driver::http::get(&url, 100, Span::from_secs(10), Some("lo"), None).is_ok());
}
