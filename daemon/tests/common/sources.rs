//! Nodes that offer a film on one network each, and ways to them that are slow, and count.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hexad_api::node::{Daemon, LibraryQuery, ShareState};
use hexad_api::{Limits, NetworkSettings};
use hexad_daemon::open_node;

use super::{Home, await_that, bytes, door};

/// What a film begins with: from this its bytes follow.
pub const FILM: u64 = 7;

/// A way to `to` that lets so many bytes a second come back, and where it is entered.
pub fn slow_way(to: SocketAddr, bytes_per_s: usize) -> SocketAddr {
    way(to, Some(bytes_per_s)).0
}

/// A way to `to`: where it is entered, and the bytes that have come back.
pub fn counted_way(to: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    way(to, None)
}

fn way(to: SocketAddr, bytes_per_s: Option<usize>) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let came = Arc::new(AtomicU64::new(0));
    let counts = came.clone();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(to) else { continue };
            let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { continue };
            let counts = counts.clone();
            thread::spawn(move || pass_on(near_again, far_again, None, &AtomicU64::new(0)));
            thread::spawn(move || pass_on(far, near, bytes_per_s, &counts));
        }
    });
    (address, came)
}

/// Passes on what comes, in slices of a twentieth of a second where there is a rate.
fn pass_on(mut from: TcpStream, mut to: TcpStream, bytes_per_s: Option<usize>, came: &AtomicU64) {
    let slice = bytes_per_s.map_or(1 << 16, |rate| rate / 20).max(1);
    let mut buffer = vec![0; slice];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
        came.fetch_add(count as u64, Ordering::Relaxed);
        if bytes_per_s.is_some() {
            thread::park_timeout(Duration::from_millis(50) * u32::try_from(count).unwrap_or(0) / u32::try_from(slice).unwrap_or(1));
        }
    }
    let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
}

/// A node that offers a film of that length on one network, and gives so many bytes a second (as many as it can when that is 0): its home, where it is
/// reached, and the link.
pub fn source(network: NetworkSettings, film_bytes: usize, up_bytes_per_s: u64) -> (Home, Arc<dyn Daemon>, String, String) {
    let (home, name) = (Home::new(), network.name());
    fs::write(home.folder("shared").join("film.mkv"), bytes(film_bytes, FILM)).expect("written");
    let mut settings = hexad_daemon::NodeSettings { rescan: Duration::from_secs(3600), ..home.settings(vec![network], &[name]) };
    settings.session.limits = Limits { down_bytes_per_s: 0, up_bytes_per_s };
    let node = open_node(settings).expect("a node");
    let address = door(&*node, name);
    let mut link = None;
    await_that("the film to be offered", || {
        let first = node.library(&LibraryQuery::default()).items.into_iter().next();
        let offered = first.filter(|share| share.state == ShareState::Offered && share.networks == [name]);
        link = offered.and_then(|share| share.link);
        link.is_some()
    });
    (home, node, address, link.expect("a link"))
}
