//! Two tiers on QUIC: a leaf publishes, a supernode is killed, and another leaf finds by words what was published and fetches it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use hexad_api::{KazaaSettings, NetworkSettings, Problem, Supernode};
use hexad_core::{Endpoint, OpId, Operation, Progress};
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent, NodeKey};
use hexad_driver::transfers::{Transfers, TransfersConfig};
use hexad_kazaa::{Kazaa, Settings, Switch, doors};

use super::{DEADLINE, FOLDER, Folder, fetched, found, joined, published};

const SUPERNODES: usize = 4;
const LEAVES: usize = 24;
const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A process that is a supernode and nothing else, so that it can be killed without a word; and its address.
fn supernode(bootstrap: &[Endpoint]) -> Result<(Handle<Kazaa<Endpoint>>, Endpoint), Problem> {
    let key = NodeKey::generate().map_err(|wrong| Problem::new(format!("no key can be made: {wrong}")))?;
    let public = key.public();
    let listen = Some(SocketAddr::from(LOOPBACK));
    let settings = Settings { listen, identity: Some(public), switch: Switch::Always, ..Settings::default() };
    let (to_nobody, _) = mpsc::channel();
    let transfers = Transfers::start(TransfersConfig { workers: 1, ..TransfersConfig::default() }, to_nobody);
    let host = HostConfig { key: Some(key), ..HostConfig::default() };
    let (handle, mut events) = Host::<Kazaa<Endpoint>>::start(settings.into(), host, transfers.clone(), transfers);
    handle.start(OpId(1), Operation::Join { bootstrap: bootstrap.to_vec() });
    let (told, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut address = None;
        while let Some(event) = events.blocking_recv() {
            match event {
                HostEvent::Bound(doors::KAZAA, at) => address = Some(Endpoint::Key(public, at)),
                HostEvent::Report(OpId(1), Progress::Done) => drop(told.send(address.clone())),
                _ => {}
            }
        }
    });
    let address = ready.recv_timeout(DEADLINE).ok().flatten();
    Ok((handle, address.ok_or_else(|| Problem::new("a supernode has not joined"))?))
}

/// Four supernodes and twenty-four leaves, one supernode killed in the middle.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let (mut supernodes, mut bootstrap) = (Vec::new(), Vec::new());
    for _ in 0..SUPERNODES {
        let (handle, address) = supernode(&bootstrap)?;
        supernodes.push(handle);
        bootstrap.push(address);
    }
    let mut leaves = Vec::new();
    for number in 0..LEAVES {
        // Each is told of one of them; of the others it hears there.
        let settings = KazaaSettings {
            listen: Some(SocketAddr::from(LOOPBACK)),
            bootstrap: vec![bootstrap[number % SUPERNODES].to_string()],
            supernode: Supernode::Never,
            ..KazaaSettings::default()
        };
        let (session, task, _) = joined(NetworkSettings::Kazaa(settings))?;
        // Tasks leave before their sessions end.
        leaves.push((task, session));
    }
    let publishing = published(&leaves[0].1, folder)?;
    let asker = &leaves[LEAVES - 1].1;
    found(asker, FOLDER)?;
    // The one that the publisher was told of, which knows what it has.
    supernodes.remove(0).kill();
    let began = Instant::now();
    let link = found(asker, FOLDER)?;
    fetched(asker, link, scratch)?;
    let told = folder.told(1, began);
    folder.arrived(scratch)?;
    drop(publishing);
    thread::scope(|scope| leaves.drain(..).for_each(|leaf| drop(scope.spawn(move || drop(leaf)))));
    supernodes.iter().for_each(Handle::kill);
    Ok(format!("{SUPERNODES} supernodes and {LEAVES} leaves, one supernode killed: {told}"))
}
