//! Our clients come back by themselves when their server does, and tell it everything again.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::{Endpoint, OpId, Operation, Progress, Share, ShareId, Shares, Span};
use hexad_driver::Nothing;
use hexad_driver::host::{Events, Handle, Host, HostConfig, HostEvent};
use hexad_napster::{ClientConfig, Config, Napster};

use crate::house::{Bare, Neighbour};

fn share() -> Share {
    let name = Sha1Digest([7; 20]);
    let proof = Proof::V1Pieces { piece_bytes: 16 << 10, total_bytes: 1000, hashes: Arc::new([name]) };
    Share {
        layout: Arc::new(Layout::single("a violet song.ogg".into(), 1000).expect("a layout")),
        digests: [Digest::TorrentV1(name)].into_iter().collect::<Digests>(),
        proof: Some(proof),
        held: Ranges::of(0..1000),
        torrent: Bytes::new(),
    }
}

fn done(events: &mut Events<Napster>, wanted: OpId) {
    loop {
        match events.blocking_recv().expect("the host runs") {
            HostEvent::Report(op, Progress::Done) if op == wanted => return,
            HostEvent::Report(op, Progress::Failed(failure)) if op == wanted => panic!("{failure}"),
            _ => {}
        }
    }
}

fn noted(events: &mut Events<Napster>, code: &str) {
    loop {
        if let HostEvent::Note(note) = events.blocking_recv().expect("the host runs")
            && note.code == code
        {
            return;
        }
    }
}

#[test]
fn a_client_comes_back_to_a_server_that_was_killed_and_shares_everything_again() {
    let home = tempfile::tempdir().unwrap();
    // An address of its own: nobody else binds a port there meanwhile.
    let mut server = Neighbour::start_at(home.path(), SocketAddr::from(([127, 0, 0, 77], 0)));
    let client = ClientConfig {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        nick: "dora".into(),
        password: "secret-of-dora".into(),
        register: true,
        retry_min: Span::from_millis(20),
        retry_max: Span::from_millis(200),
        ..ClientConfig::default()
    };
    let config = Config::from(client);
    let (handle, mut events): (Handle<Napster>, _) = Host::start(config, HostConfig::default(), Arc::new(Nothing), Arc::new(Nothing));
    handle.start(OpId(1), Operation::Join { bootstrap: vec![Endpoint::Ip(server.address)] });
    done(&mut events, OpId(1));
    handle.set_shares(Shares::new().with(ShareId(1), share()));
    handle.start(OpId(2), Operation::Publish { share: ShareId(1) });
    done(&mut events, OpId(2));
    let seen = |address: SocketAddr| {
        let mut bare = Bare::joined(address, "carol");
        bare.say(200, "FILENAME CONTAINS \"violet\" TYPE any MAX_RESULTS 5");
        loop {
            match bare.hear() {
                Some((201, data)) => return data.contains(" dora "),
                Some((202, _)) | None => return false,
                Some(_) => {}
            }
        }
    };
    assert!(seen(server.address));
    for _ in 0..2 {
        let address = server.address;
        server.kill();
        noted(&mut events, "server_lost");
        server = Neighbour::start_at(home.path(), address);
        assert_eq!(server.address, address);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !seen(address) {
            assert!(std::time::Instant::now() < until, "the client does not come back");
        }
    }
    handle.kill();
}
