//! How others reach a share on each of the six networks, as its owner is told, and that these ways lead to it.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use common::{Home, await_that, bytes, chord, gnutella, kazaa, kazaa_founder, loopback, quiet_bittorrent};
use hexad_api::node::{Daemon, DownloadState, LibraryQuery, NewDownload, ShareWay};
use hexad_api::{
    Event, FreenetSettings, GnutellaMode, JoinRequest, NapsterServerSettings, NapsterSettings, NetworkSettings, Session as _, Settings,
};
use hexad_daemon::open_node;

const NAMES: [&str; 6] = ["bittorrent", "chord", "freenet", "gnutella", "kazaa", "napster"];
const FILM_BYTES: usize = 300_000;

fn freenet(bootstrap: &[String]) -> NetworkSettings {
    let settings =
        FreenetSettings { listen: loopback(), bootstrap: bootstrap.to_vec(), found: bootstrap.is_empty(), ..FreenetSettings::default() };
    NetworkSettings::Freenet(settings)
}

fn napster(server: &str) -> NetworkSettings {
    NetworkSettings::Napster(NapsterSettings { servers: vec![server.to_owned()], listen: loopback(), ..NapsterSettings::default() })
}

/// How others reach the only share of a node, by network, once it is offered on all six.
fn ways(node: &Arc<dyn Daemon>) -> BTreeMap<String, ShareWay> {
    let mut seen = Vec::new();
    for name in NAMES {
        await_that(&format!("the film to be offered on {name}, as it is on {seen:?}"), || {
            let networks = node.library(&LibraryQuery::default()).items.first().map(|share| share.networks.clone()).unwrap_or_default();
            networks.iter().any(|network| network == name)
        });
        seen.push(name);
    }
    let id = node.library(&LibraryQuery::default()).items[0].id;
    let detail = node.shared(id).expect("it is shared");
    assert_eq!(detail.how.len(), NAMES.len());
    detail.how.into_iter().map(|way| (way.network.clone(), way)).collect()
}

#[test]
fn each_network_has_its_way_to_a_share_and_it_leads_there() {
    let server = NapsterServerSettings { listen: loopback().expect("an address"), ..NapsterServerSettings::default() };
    let index = hexad_daemon::open(&Settings { networks: vec![NetworkSettings::NapsterServer(server)], ..Settings::default() });
    let index = index.expect("a session");
    let serving = index.join(JoinRequest { network: "napster-server".into() }).expect("a task");
    let server = loop {
        if let Event::Listening { address, .. } = serving.events.recv_timeout(common::DEADLINE).expect("the server says where it is") {
            break address;
        }
    };
    // What is inserted in Freenet is on somebody else's disk.
    let (other_home, home) = (Home::new(), Home::new());
    let other = open_node(other_home.settings(vec![freenet(&[])], &["freenet"])).expect("a node");
    let store = [common::door(&*other, "freenet")];
    fs::write(home.folder("shared").join("blue film.mkv"), bytes(FILM_BYTES, 1)).expect("written");
    let networks =
        vec![quiet_bittorrent(), chord(&[]), freenet(&store), gnutella(GnutellaMode::Ultrapeer, &[]), kazaa_founder(), napster(&server)];
    let settings = home.settings(networks, &NAMES);
    let alice = open_node(settings.clone()).expect("a node");
    let doors: BTreeMap<&str, String> = NAMES.into_iter().map(|name| (name, common::door(&*alice, name))).collect();
    let found = ways(&alice);

    let has = |name: &str, urn: &str| found[name].names.iter().any(|known| known.starts_with(urn));
    for (name, urns) in [
        ("bittorrent", vec!["urn:btih:"]),
        ("chord", vec!["urn:hexad:", "urn:btih:"]),
        ("gnutella", vec!["urn:sha1:", "urn:tree:tiger"]),
        ("kazaa", vec!["urn:hexad:"]),
        ("freenet", vec!["CHK@"]),
    ] {
        assert!(urns.iter().all(|urn| has(name, urn)), "{name} names it otherwise: {:?}", found[name].names);
    }
    let by_words: Vec<&str> = NAMES.into_iter().filter(|name| found[*name].by_words).collect();
    assert_eq!(by_words, ["chord", "gnutella", "kazaa", "napster"]);

    // Each way that is a link leads to the same bytes, on that network alone.
    for (name, network) in [
        ("bittorrent", quiet_bittorrent()),
        ("chord", chord(std::slice::from_ref(&doors["chord"]))),
        ("freenet", freenet(&store)),
        ("gnutella", gnutella(GnutellaMode::Ultrapeer, std::slice::from_ref(&doors["gnutella"]))),
        ("kazaa", kazaa(&doors["kazaa"])),
    ] {
        let bob_home = Home::new();
        let bob = open_node(bob_home.settings(vec![network], &[name])).expect("a node");
        common::door(&*bob, name);
        let peers = if name == "bittorrent" { vec![doors[name].clone()] } else { Vec::new() };
        let source = found[name].link.clone().unwrap_or_else(|| panic!("{name} has no link"));
        let id = bob.begin_download(NewDownload { source, peers, ..NewDownload::default() }).expect("a download").id;
        await_that(&format!("{name} to bring it"), || {
            bob.download(id).is_ok_and(|detail| matches!(detail.download.state, DownloadState::Complete | DownloadState::Failed))
        });
        let download = bob.download(id).expect("it stays").download;
        let path = download.path.unwrap_or_else(|| panic!("{name}: {:?}", download.problem));
        assert!(fs::read(path).is_ok_and(|came| came == bytes(FILM_BYTES, 1)), "{name} brings what was shared");
    }
    alice.close();

    // A later run says the same.
    let again = open_node(settings).expect("a node");
    let keys = |ways: &BTreeMap<String, ShareWay>| ways["freenet"].clone();
    assert_eq!(keys(&ways(&again)), keys(&found));
}
