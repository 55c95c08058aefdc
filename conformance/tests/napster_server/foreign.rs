//! Files of programs that are not ours, over real sockets: reachable or not, they come, and are told as unproven.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hexad_content::{Proof, safe_names};
use hexad_core::{Endpoint, LeaseId, OpId, Operation, Progress, Share, ShareId, Shares, Source, What};
use hexad_driver::host::{Host, HostConfig, HostEvent};
use hexad_driver::transfers::{Target, Transfers, TransfersConfig, TransfersEvent};
use hexad_napster::{ClientConfig, Config, Locator, Napster, ServerConfig};

use crate::house::{Bare, House, loopback};

const PATH: &str = "C:\\Music\\a foreign song.mp3";
const PATIENCE: Duration = Duration::from_secs(60);

fn content() -> Vec<u8> {
    // Digits at its beginning, which the size in front of it must be told from.
    (0..700_000_u32).map(|number| if number < 5 { b'7' } else { (number % 251) as u8 }).collect()
}

fn until(stream: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !enough(&heard) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the connection ended after {heard:?}");
        heard.push(byte[0]);
    }
    heard
}

/// Gives the file to whoever connects, as the old programs do.
fn give(mut stream: TcpStream) {
    stream.write_all(b"1").unwrap();
    let asked = until(&mut stream, |heard| heard.ends_with(b"\" 0"));
    assert_eq!(asked, format!("GETtaker \"{PATH}\" 0").as_bytes());
    stream.write_all(content().len().to_string().as_bytes()).unwrap();
    stream.write_all(&content()).unwrap();
}

/// Brings the file to somebody who waits for it.
fn bring(to: SocketAddr) {
    let mut stream = TcpStream::connect(to).unwrap();
    until(&mut stream, |heard| heard == b"1");
    stream.write_all(b"SEND").unwrap();
    stream.write_all(format!("giver \"{PATH}\" {}", content().len()).as_bytes()).unwrap();
    assert_eq!(until(&mut stream, |heard| !heard.is_empty()), b"0");
    stream.write_all(&content()).unwrap();
}

/// Plays the foreign program that shares one file, until it has been given away once.
fn giver(server: SocketAddr, reachable: bool) -> thread::JoinHandle<()> {
    let listener = TcpListener::bind(loopback()).unwrap();
    let port = if reachable { listener.local_addr().unwrap().port() } else { 0 };
    let mut bare = Bare::connect(server);
    bare.say(2, format!("giver guest {port} \"old program 0.1\" 4"));
    bare.hears(3);
    bare.say(100, format!("\"{PATH}\" 0123456789abcdef0123456789abcdef {} 128 44100 43", content().len()));
    assert!(bare.is_served());
    thread::spawn(move || {
        bare.hears(607);
        bare.say(608, format!("taker \"{PATH}\""));
        if reachable {
            give(listener.accept().unwrap().0);
        } else {
            let order = bare.hears(501);
            let port = order.split(' ').nth(2).unwrap().parse().unwrap();
            bring(SocketAddr::from(([127, 0, 0, 1], port)));
        }
        // Logged in until the other end has it.
        bare.hears_out();
    })
}

/// Fetches it with our client; returns what was described as its proof.
fn take(server: SocketAddr, into: &Path) -> Option<Proof> {
    let (to, events) = mpsc::channel();
    let transfers = Transfers::start(TransfersConfig { workers: 1, ..TransfersConfig::default() }, to);
    let client = ClientConfig { listen: Some(loopback()), nick: "taker".into(), ..ClientConfig::default() };
    let config = Config::from(client);
    let (handle, mut heard) = Host::<Napster>::start(config, HostConfig::default(), transfers.clone(), transfers.clone());
    handle.start(OpId(1), Operation::Join { bootstrap: vec![Endpoint::Ip(server)] });
    let locator = Locator {
        server: Some(Endpoint::Ip(server)),
        nick: "giver".into(),
        path: PATH.into(),
        size_bytes: Some(content().len() as u64),
        hash: "0123456789abcdef0123456789abcdef".into(),
        sound: (0, 0),
    };
    let mut described = None;
    loop {
        match heard.blocking_recv().expect("the host runs") {
            HostEvent::Report(OpId(1), Progress::Done) => {
                let source = Source { what: What::Locator(locator.write()), peers: Vec::new() };
                handle.start(OpId(2), Operation::Fetch { source, lease: LeaseId(1), share: ShareId(1) });
            }
            HostEvent::Report(OpId(2), Progress::Described(description)) => {
                let layout = description.layout.clone();
                let proof = Proof::Unproven { total_bytes: layout.total_bytes() };
                let target = Target {
                    share: ShareId(1),
                    names: safe_names(&layout),
                    wanted: vec![true],
                    layout: layout.clone(),
                    proof: proof.clone(),
                    folder: into.to_owned(),
                    identity: String::new(),
                };
                let opened = transfers.open_download(target, &|_, _| {}).unwrap();
                let digests = description.digests.clone();
                let share = Share { layout, digests, proof: Some(proof), held: opened.held, torrent: Vec::new().into() };
                handle.set_shares(Shares::new().with(ShareId(1), share));
                transfers.lend(LeaseId(1), ShareId(1), Arc::new(handle.clone()));
                described = Some(description.proof.clone());
                // It is refused to be given on.
                handle.start(OpId(3), Operation::Publish { share: ShareId(1) });
            }
            HostEvent::Report(OpId(3), progress) => assert!(matches!(progress, Progress::Failed(_)), "{progress:?}"),
            HostEvent::Report(OpId(2), Progress::Done) => break,
            HostEvent::Report(op, Progress::Failed(failure)) => panic!("{op:?}: {failure}"),
            _ => {}
        }
    }
    loop {
        match events.recv_timeout(PATIENCE).expect("it arrives") {
            TransfersEvent::Complete { .. } => break,
            TransfersEvent::Failed { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    transfers.finish(ShareId(1)).unwrap();
    handle.kill();
    transfers.shutdown();
    described.expect("it was described")
}

fn check(reachable: bool) {
    let house = House::new(ServerConfig { listen: loopback(), ..ServerConfig::default() }, HostConfig::default());
    let giver = giver(house.address, reachable);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(take(house.address, folder.path()), None, "nothing is said to prove it");
    assert!(std::fs::read(folder.path().join("a foreign song.mp3")).unwrap() == content());
    drop(house);
    giver.join().unwrap();
}

#[test]
fn a_file_of_another_program_comes_from_who_can_be_reached() {
    check(true);
}

#[test]
fn a_file_of_another_program_is_brought_by_who_cannot_be_reached() {
    check(false);
}
