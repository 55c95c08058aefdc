//! BitTorrent as a part of a session.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hexad_api::node::OverlayKind;
use hexad_api::{BittorrentSettings, Encryption, Event, MutableItem, Own, Problem, SeedChoking, Utp};
use hexad_bittorrent::wire::stored::{Signed, torrent_of};
use hexad_bittorrent::{BitTorrent, Config, DhtScrape, IpFilter, ItemName, Reply, Request, StoredItem, doors};
use hexad_content::{Digest, Magnet, MutableLink, Sha1Digest};
use hexad_core::{Door, Failure, Operation, What};
use hexad_driver::host::HostConfig;
use hexad_driver::proxy::Proxy;

use super::overlay::{me, neighbour, overlay};
use super::{InSession, Order, Plan, ReplyOf, RequestOf, Told, TransferStanding, Wish};
use crate::source;

/// Where peers look for each other by custom; the first that is free is ours when the user names none.
const USUAL_PORTS: std::ops::RangeInclusive<u16> = 6881..=6889;

/// A node as the settings say.
///
/// # Errors
/// When a list of addresses cannot be read.
pub(super) fn plan(settings: &BittorrentSettings, state_dir: Option<&Path>) -> Result<Plan<BitTorrent>, Problem> {
    let usual = || USUAL_PORTS.chain([0]).map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).collect();
    plan_at(settings, state_dir, settings.listen.map_or_else(usual, |listen| vec![listen]))
}

/// The same through a proxy, which lets nobody in, and carries datagrams only where it speaks SOCKS5.
///
/// # Errors
/// When a list of addresses cannot be read.
pub(super) fn plan_led(settings: &BittorrentSettings, state_dir: Option<&Path>, proxy: &Proxy) -> Result<Plan<BitTorrent>, Problem> {
    let mut settings = BittorrentSettings { listen: None, lsd: false, map_ports: false, ..settings.clone() };
    let carries = proxy.may_carry_datagrams();
    if !carries {
        (settings.dht, settings.utp) = (false, Utp::Off);
    }
    let mut plan = plan_at(&settings, state_dir, vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))])?;
    plan.nodes.iter_mut().for_each(|node| node.listen = None);
    plan.warnings.push(match carries {
        true => format!(
            "everything goes through {proxy}: nobody can connect to this node, local discovery is off, and uTP, DHT and trackers by UDP depend on \
             whether it carries datagrams"
        ),
        false => format!(
            "everything goes through {proxy}: nobody can connect to this node, and uTP, DHT, local discovery and trackers by UDP are off"
        ),
    });
    Ok(plan)
}

/// The same at the first of these addresses that nobody has.
pub(super) fn plan_at(
    settings: &BittorrentSettings,
    state_dir: Option<&Path>,
    addresses: Vec<SocketAddr>,
) -> Result<Plan<BitTorrent>, Problem> {
    let (blocked, warnings) = block_lists(&settings.block_lists)?;
    // From loopback there is no way to anybody else.
    let ip = addresses.first().map(SocketAddr::ip);
    let source = ip.filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    let bootstrap = if settings.dht { &settings.dht_bootstrap[..] } else { &[] };
    let last = addresses.last().map(ToString::to_string).unwrap_or_default();
    Ok(Plan {
        nodes: addresses.into_iter().map(|listen| Config { blocked: blocked.clone(), ..config(settings, listen) }).collect(),
        host: HostConfig { state_dir: state_dir.map(Path::to_owned), source, ..HostConfig::default() },
        join: Operation::Join { bootstrap: bootstrap.iter().filter_map(|text| source::endpoint(text).ok()).collect() },
        hint_address: format!("choose another address with --listen in place of {last}; port 0 lets the system choose"),
        hint_join: "hexad -v shows what happens on the way there".into(),
        warnings,
        home: None,
        map_ports: settings.map_ports,
    })
}

/// Whom the user does not want, and what of the lists could not be read.
fn block_lists(paths: &[std::path::PathBuf]) -> Result<(Arc<IpFilter>, Vec<String>), Problem> {
    let (mut blocked, mut warnings) = (IpFilter::default(), Vec::new());
    for path in paths {
        let trouble = |wrong: &std::io::Error| {
            Problem::new(format!("{} cannot be read: {}", path.display(), source::plain(wrong)))
                .hint("--block-list takes PeerGuardian text, ipfilter.dat, or prefixes, one a line")
        };
        let bytes = std::fs::read(path).map_err(|wrong| trouble(&wrong))?;
        let unread = blocked.add(&String::from_utf8_lossy(&bytes));
        if unread > 0 {
            warnings.push(format!("{unread} lines of {} name no addresses and block nobody", path.display()));
        }
    }
    Ok((Arc::new(blocked), warnings))
}

fn config(settings: &BittorrentSettings, listen: SocketAddr) -> Config {
    Config {
        listen: Some(listen),
        encryption: match settings.encryption {
            Encryption::Off => hexad_bittorrent::Encryption::Off,
            Encryption::Preferred => hexad_bittorrent::Encryption::Preferred,
            Encryption::Required => hexad_bittorrent::Encryption::Required,
        },
        utp: match settings.utp {
            Utp::Off => hexad_bittorrent::Utp::Off,
            Utp::AfterTcp => hexad_bittorrent::Utp::AfterTcp,
            Utp::First => hexad_bittorrent::Utp::First,
        },
        seed_choking: match settings.seed_choking {
            SeedChoking::RoundRobin => hexad_bittorrent::SeedChoking::RoundRobin,
            SeedChoking::FastestUpload => hexad_bittorrent::SeedChoking::FastestUpload,
            SeedChoking::AntiLeech => hexad_bittorrent::SeedChoking::AntiLeech,
        },
        dht: settings.dht,
        pex: settings.pex,
        lsd: settings.lsd,
        ..Config::default()
    }
}

impl InSession for BitTorrent {
    const TELLS_TRANSFERS: bool = true;
    const IS_SWARM: bool = true;

    fn takes(what: &What) -> bool {
        matches!(what, What::Torrent(_) | What::Magnet(_))
    }

    fn looks_up(digest: &Digest) -> bool {
        matches!(digest, Digest::TorrentV1(_) | Digest::TorrentV2(_))
    }

    fn door(door: Door, address: SocketAddr, _: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        (door == doors::PEERS).then(|| (address.to_string(), "peers"))
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::Swarms),
            Wish::Meet(share, peers) => Some(Request::AddPeers(share, peers)),
            Wish::Order(share, Order { sequential, first, last }) => {
                Some(Request::Order(share, hexad_bittorrent::Order { sequential, first, last }))
            }
            Wish::Reader(share, bytes) => Some(Request::Reader(share, Some(bytes))),
            Wish::SuperSeed(share) => Some(Request::SuperSeed(share, true)),
            Wish::Own(Own::BittorrentFollow { link, known }) => {
                let owner = owner_of(&link)?;
                let known = known.map(|known| stored_item(&owner, &known));
                Some(Request::FollowItem(ItemName::Owner(owner.key, owner.salt.into()), known.flatten()))
            }
            Wish::Own(Own::BittorrentScrape { torrent }) => Some(Request::ScrapeDht(torrent_named(&torrent)?)),
            Wish::Own(Own::BittorrentSample { count }) => Some(Request::SampleDht(count)),
            Wish::Sounds(..) | Wish::Tree(..) | Wish::Own(_) => None,
        }
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        let swarms = match reply {
            Reply::Swarms(swarms) => swarms,
            Reply::Item(Some(item)) => {
                return mutable_item(&item).map_or(Told::Nothing, |item| Told::Answers(vec![Event::Newer(item)]));
            }
            Reply::Stored { target, nodes } => {
                let copies = u8::try_from(nodes).unwrap_or(u8::MAX);
                return Told::Answers(vec![Event::Stored { network: "bittorrent".into(), key: HEXLOWER.encode(&target), copies }]);
            }
            Reply::Scraped(DhtScrape { info_hash, seeds, leechers, nodes }) => {
                let info_hash = HEXLOWER.encode(&info_hash);
                return Told::Answers(vec![Event::Scraped { info_hash, seeds, leechers, nodes }]);
            }
            Reply::Samples(hashes) => {
                let link = |hash| {
                    let digests = [Digest::TorrentV1(Sha1Digest(hash))].into_iter().collect();
                    Magnet { digests, ..Magnet::default() }.to_string()
                };
                let sampled = |hash: [u8; 20]| Event::Sampled { info_hash: HEXLOWER.encode(&hash), link: link(hash) };
                return Told::Answers(hashes.into_iter().map(sampled).collect());
            }
            _ => return Told::Nothing,
        };
        let standing = |swarm: hexad_bittorrent::SwarmStatus| TransferStanding {
            share: swarm.share,
            lease: swarm.lease,
            peers: swarm.peers_connected,
            seeds: swarm.seeds_connected,
            peers_known: swarm.peers_known,
            downloaded_bytes: swarm.downloaded_bytes,
            uploaded_bytes: swarm.uploaded_bytes,
            down_bytes_per_s: swarm.down_bytes_per_s,
            up_bytes_per_s: swarm.up_bytes_per_s,
        };
        let peers = swarms.iter().flat_map(|swarm| &swarm.peers);
        let peers = peers.map(|(at, has_all)| neighbour(at, if *has_all { "seed" } else { "peer" }, None));
        let overlay = overlay(OverlayKind::Swarm, me(None, None), peers);
        Told::Transfers(swarms.into_iter().map(standing).collect(), Some(overlay))
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::TimedOut(_) | Failure::NotFound(_) => {
                "is anybody seeding it? name a peer with --peer IP:PORT, and leave --no-dht away"
            }
            Failure::Unusable(_) => "ask whoever gave you the .torrent or the link for another one",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}

/// The info hash that a link or 40 hex digits name.
pub(crate) fn torrent_named(text: &str) -> Option<[u8; 20]> {
    if let Ok(magnet) = text.parse::<Magnet>() {
        return crate::owner::info_hash(&magnet.digests);
    }
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Who can change what a link leads to.
pub(crate) fn owner_of(link: &str) -> Option<MutableLink> {
    link.parse::<Magnet>().ok()?.mutable
}

/// What is stored for a link of that owner; `None` where it is written wrongly.
fn stored_item(owner: &MutableLink, item: &MutableItem) -> Option<StoredItem> {
    let hex = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let signature = hex(&item.signature)?.try_into().ok()?;
    let signed = Signed { key: owner.key, salt: Bytes::copy_from_slice(&owner.salt), seq: item.seq, signature };
    Some(StoredItem { value: hex(&item.value)?.into(), signed: Some(Box::new(signed)) })
}

/// The same in words that faces have; `None` where it names no torrent.
pub(crate) fn mutable_item(item: &StoredItem) -> Option<MutableItem> {
    let signed = item.signed.as_ref()?;
    let owner = MutableLink { key: signed.key, salt: signed.salt.to_vec() };
    Some(MutableItem {
        link: Magnet { mutable: Some(owner), ..Magnet::default() }.to_string(),
        seq: signed.seq,
        info_hash: HEXLOWER.encode(&torrent_of(&item.value)?),
        value: HEXLOWER.encode(&item.value),
        signature: HEXLOWER.encode(&signed.signature),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::sync::mpsc;

    use hexad_api::{Event, JoinRequest, Session as _, Task};
    use hexad_driver::transfers::{Transfers, TransfersConfig};

    use super::*;
    use crate::networks::{Outside, open};
    use crate::session::LocalSession;

    fn quiet() -> BittorrentSettings {
        BittorrentSettings { dht: false, pex: false, lsd: false, ..BittorrentSettings::default() }
    }

    /// A session that may listen at these addresses, as long as its task is kept, and at which of them it does.
    fn joined_at(addresses: Vec<SocketAddr>) -> ((LocalSession, Task), SocketAddr) {
        let (events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig::default(), events);
        let plan = plan_at(&quiet(), None, addresses).expect("a plan");
        let opening = open("bittorrent", plan, &transfers, &Outside::default());
        let session = LocalSession::begin(vec![opening], transfers, Outside::default(), from_transfers).expect("a session");
        let task = session.join(JoinRequest { network: "bittorrent".into() }).expect("a task");
        let address = task.events.iter().find_map(|event| match event {
            Event::Listening { address, .. } => Some(address.parse().expect("an address")),
            Event::Failed { message, .. } => panic!("{message}"),
            _ => None,
        });
        ((session, task), address.expect("it listens"))
    }

    #[test]
    fn an_address_that_somebody_has_is_passed_over() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let streams = TcpListener::bind(any).expect("a port");
        let datagrams = UdpSocket::bind(any).expect("a port");
        let taken = [streams.local_addr().expect("an address"), datagrams.local_addr().expect("an address")];
        let (_first, first) = joined_at(vec![taken[0], taken[1], any]);
        assert!(!taken.contains(&first), "{first}");
        // Another session at the same addresses finds the first one's taken as well.
        let (_second, second) = joined_at(vec![taken[0], taken[1], first, any]);
        assert!(!taken.contains(&second) && second != first, "{second}");
    }

    #[test]
    fn where_every_address_is_taken_the_join_fails_with_a_hint() {
        let streams = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let taken = streams.local_addr().expect("an address");
        let (events, from_transfers) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig::default(), events);
        let plan = plan_at(&quiet(), None, vec![taken]).expect("a plan");
        let opening = open("bittorrent", plan, &transfers, &Outside::default());
        let session = LocalSession::begin(vec![opening], transfers, Outside::default(), from_transfers).expect("a session");
        let task = session.join(JoinRequest { network: "bittorrent".into() }).expect("a task");
        let failed = task.events.iter().find_map(|event| match event {
            Event::Failed { message, hint } => Some((message, hint.unwrap_or_default())),
            _ => None,
        });
        let (message, hint) = failed.expect("it fails");
        assert!(message.contains(&taken.to_string()) && hint.contains("--listen"), "{message}; {hint}");
    }
}
