//! Ports that a router opens: fake gateways on loopback, and the state machine by itself.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use hexad_core::{Span, Time};
use hexad_driver::mapping::{Deed, Gateway, Kind, Mapped, Mapper, Outcome, Want, Way, run};

const PATIENCE: Duration = Duration::from_secs(30);
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OUTSIDE: [u8; 4] = [203, 0, 113, 9];
const WANTS: [Want; 2] = [Want { kind: Kind::Tcp, port: 6881 }, Want { kind: Kind::Udp, port: 6881 }];

fn nowhere() -> SocketAddr {
    // Bound, and never answered.
    SocketAddr::from((OWN, 9))
}

/// A gateway that answers datagrams with what `answer` makes of them, and what it heard.
fn gateway(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> (SocketAddr, Receiver<Vec<u8>>) {
    let socket = UdpSocket::bind((OWN, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = socket.local_addr().unwrap();
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            // Whoever has the answer can count on it that the question is known.
            if heard.send(bytes[..length].to_vec()).is_err() {
                return;
            }
            if let Some(answer) = answer(&bytes[..length]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    (at, hears)
}

fn pcp(question: &[u8]) -> Option<Vec<u8>> {
    let mut answer = (question.len() == 60 && question[0] == 2).then(|| question.to_vec())?;
    answer[1] |= 0x80;
    answer[54..56].copy_from_slice(&[0xff, 0xff]);
    answer[56..60].copy_from_slice(&OUTSIDE);
    Some(answer)
}

fn nat_pmp(question: &[u8]) -> Option<Vec<u8>> {
    match question {
        [0, 0] => Some([&[0, 128, 0, 0, 0, 0, 0, 1][..], &OUTSIDE].concat()),
        [0, op, _, _, rest @ ..] if rest.len() == 8 => Some([&[0, op | 0x80, 0, 0, 0, 0, 0, 1][..], rest].concat()),
        // What is no NAT-PMP is told so.
        _ => Some(vec![0, 0x81, 0, 1, 0, 0, 0, 1]),
    }
}

fn open(way: Way) -> Outcome {
    let mapped = WANTS.map(|want| Mapped { want, external_port: want.port }).to_vec();
    Outcome::Open { way, external_ip: Some(IpAddr::from(OUTSIDE)), mapped }
}

fn outcome(gateway: Gateway) -> (Outcome, hexad_driver::mapping::Running) {
    let (to, outcomes) = mpsc::channel();
    let running = run(gateway, OWN, None, WANTS.to_vec(), move |outcome| drop(to.send(outcome))).unwrap();
    (outcomes.recv_timeout(PATIENCE).expect("an outcome"), running)
}

#[test]
fn a_gateway_of_pcp_opens_both_ports_and_closes_them_at_the_end() {
    let (at, heard) = gateway(pcp);
    let (told, running) = outcome(Gateway { pmp: Some(at), ssdp: nowhere() });
    assert_eq!(told, open(Way::Pcp));
    drop(running);
    let lifetimes: Vec<u32> = heard.try_iter().map(|question| u32::from_be_bytes(question[4..8].try_into().unwrap())).collect();
    assert_eq!(lifetimes.iter().filter(|lifetime| **lifetime == 3600).count(), 2, "{lifetimes:?}");
    assert!(heard_until(&heard, |question| question[4..8] == [0; 4]) || lifetimes.contains(&0), "closed again");
}

/// Whether something like that is heard.
fn heard_until(heard: &Receiver<Vec<u8>>, like: impl Fn(&[u8]) -> bool) -> bool {
    while let Ok(question) = heard.recv_timeout(Duration::from_secs(5)) {
        if like(&question) {
            return true;
        }
    }
    false
}

#[test]
fn a_gateway_of_nat_pmp_is_spoken_to_in_its_own_version() {
    let (at, _heard) = gateway(nat_pmp);
    let (told, _running) = outcome(Gateway { pmp: Some(at), ssdp: nowhere() });
    assert_eq!(told, open(Way::NatPmp));
}

/// A router that speaks UPnP: where searches are answered, and what was called.
fn router(grumpy: bool) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind((OWN, 0)).unwrap();
    let http = listener.local_addr().unwrap();
    let (called, calls) = mpsc::channel();
    std::thread::spawn(move || {
        let mut permanent_only = grumpy;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut request = String::new();
            let mut chunk = [0; 4096];
            loop {
                let length = stream.read(&mut chunk).unwrap();
                request.push_str(&String::from_utf8_lossy(&chunk[..length]));
                if length == 0 || request.starts_with("GET") || request.contains("</s:Envelope>") {
                    break;
                }
            }
            let (status, body) = if request.starts_with("GET /desc.xml") {
                let kind = "urn:schemas-upnp-org:service:WANIPConnection:1";
                (200, format!("<root><service><serviceType>{kind}</serviceType><controlURL>/ctl</controlURL></service></root>"))
            } else if request.contains("GetExternalIPAddress") {
                (200, "<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>".to_owned())
            } else if permanent_only && request.contains("<NewLeaseDuration>3600<") {
                (500, "<errorCode>725</errorCode>".to_owned())
            } else {
                permanent_only = grumpy;
                (200, String::new())
            };
            // Whoever has the answer can count on it that the call is known.
            if called.send(request).is_err() {
                return;
            }
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    let socket = UdpSocket::bind((OWN, 0)).unwrap();
    let at = socket.local_addr().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((_, from)) = socket.recv_from(&mut bytes) {
            let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{http}/desc.xml\r\n\r\n");
            let _ = socket.send_to(answer.as_bytes(), from);
        }
    });
    (at, calls)
}

#[test]
fn a_router_of_upnp_is_searched_where_no_gateway_answers() {
    for grumpy in [false, true] {
        let (ssdp, calls) = router(grumpy);
        let (told, running) = outcome(Gateway { pmp: None, ssdp });
        assert_eq!(told, open(Way::Upnp));
        drop(running);
        let calls: Vec<String> = calls.try_iter().collect();
        let count = |what: &str| calls.iter().filter(|call| call.contains(what)).count();
        assert_eq!(count("<NewLeaseDuration>0<"), if grumpy { 2 } else { 0 }, "permanent where nothing else is to be had");
        assert_eq!(count("u:DeletePortMapping xmlns"), 2, "closed again");
    }
}

/// All that a mapper wants now.
fn deeds(mapper: &mut Mapper) -> Vec<Deed> {
    std::iter::from_fn(|| mapper.next_deed()).collect()
}

#[test]
fn silence_leads_from_one_way_to_the_next_and_in_the_end_to_an_answer() {
    let gateway = Gateway { pmp: Some(SocketAddr::from(([192, 0, 2, 1], 5351))), ssdp: nowhere() };
    let mut now = Time::ZERO;
    let mut mapper = Mapper::new(gateway, OWN, &WANTS, [7; 12], now);
    let mut told = Vec::new();
    let mut sent = 0;
    while told.is_empty() {
        for deed in deeds(&mut mapper) {
            match deed {
                Deed::Send(..) => sent += 1,
                Deed::Tell(outcome) => told.push(outcome),
                Deed::Exchange(exchange) => panic!("{exchange:?}"),
            }
        }
        if told.is_empty() {
            now = mapper.wake().expect("it goes on");
            mapper.tick(now);
        }
    }
    assert_eq!(told, [Outcome::Closed]);
    assert_eq!(sent, 5 * 2 + 3 * 3, "five questions for each port, three searches for each kind of router");
    assert!(now < Time::ZERO + Span::from_secs(20), "{now:?}");
    let again = mapper.wake().expect("it is tried again");
    mapper.tick(again);
    assert_eq!(deeds(&mut mapper).len(), 2, "from the beginning");
}

#[test]
fn what_was_opened_is_asked_for_again_before_it_runs_out_and_strangers_are_not_heard() {
    let at = SocketAddr::from(([192, 0, 2, 1], 5351));
    let mut mapper = Mapper::new(Gateway { pmp: Some(at), ssdp: nowhere() }, OWN, &WANTS, [7; 12], Time::ZERO);
    let questions = deeds(&mut mapper);
    let answers: Vec<Vec<u8>> =
        questions.iter().filter_map(|deed| if let Deed::Send(_, bytes) = deed { pcp(bytes) } else { None }).collect();
    let stranger = SocketAddr::from(([192, 0, 2, 66], 5351));
    for answer in &answers {
        mapper.hear(stranger, answer, Time::ZERO);
    }
    assert_eq!(deeds(&mut mapper), []);
    for answer in &answers {
        mapper.hear(at, answer, Time::ZERO);
    }
    assert_eq!(deeds(&mut mapper), [Deed::Tell(open(Way::Pcp))]);
    let renew = mapper.wake().expect("it does not last");
    assert_eq!(renew, Time::ZERO + Span::from_secs(2_700));
    mapper.tick(renew);
    assert_eq!(deeds(&mut mapper).len(), 2);
}
