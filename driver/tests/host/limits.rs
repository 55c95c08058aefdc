//! Limits of how fast bytes come and go, on real sockets. That nothing is faster than allowed is certain; how much slower it is depends on the
//! machine, and is not asserted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hexad_core::{Bind, Dial, LeaseId, ShareId, Transport};
use hexad_driver::host::HostConfig;
use hexad_driver::limits::Limits;

use crate::puppet::{Config, tcp};
use crate::rig::{CALLS, Machine, POST, Shelf, loopback, noise};

const BLOCK: u64 = 16 << 10;
const BLOCKS: u64 = 32;
const BYTES: u64 = BLOCK * BLOCKS;
const SHARE: ShareId = ShareId(1);
const LEASE: LeaseId = LeaseId(1);
/// At this rate all of it takes half a second.
const RATE: u64 = BYTES * 2;

fn host(limits: &Arc<Limits>) -> HostConfig {
    HostConfig { limits: limits.clone(), ..HostConfig::default() }
}

/// How long it takes to fetch everything from a giver with limits, by a taker with limits.
fn took(giver: &Arc<Limits>, taker: &Arc<Limits>, transport: Transport) -> Duration {
    took_with(giver, taker, transport, || {})
}

/// The same with something to be done when the connection is open.
fn took_with(giver: &Arc<Limits>, taker: &Arc<Limits>, transport: Transport, then: impl FnOnce()) -> Duration {
    let bytes = noise(1, usize::try_from(BYTES).unwrap());
    let shelf = Shelf { bytes: bytes.clone(), ..Shelf::default() };
    let mut giver = Machine::<crate::puppet::Puppets>::with(Config { serves: Some(SHARE), ..Config::default() }, host(giver), shelf);
    let wants = Config { lease: Some(LEASE), wants: Some((BLOCKS, BLOCK, 8)), ..Config::default() };
    let mut taker = Machine::<crate::puppet::Puppets>::with(wants, host(taker), Shelf::default());
    let at = match transport {
        Transport::Utp(_) => {
            taker.listen(POST, Bind::Datagram(loopback())).expect("a free port");
            giver.listen(POST, Bind::Datagram(loopback())).expect("a free port")
        }
        _ => giver.listen(CALLS, Bind::Stream(loopback())).expect("a free port"),
    };
    let began = Instant::now();
    taker.dial_with(at.into(), Dial { transport, ..tcp() });
    taker.opened();
    then();
    assert!(taker.bin.wait(BYTES) == bytes, "what came is not what was sent");
    began.elapsed()
}

/// Half a second less what may be moved at once, and before the first wait.
fn least() -> Duration {
    Duration::from_millis(350)
}

#[test]
fn nothing_comes_faster_than_all_together_may_receive() {
    let limits = Arc::new(Limits::new());
    limits.set(RATE, 0);
    for transport in [Transport::Tcp, Transport::Utp(POST)] {
        let took = took(&Arc::default(), &limits, transport);
        assert!(took >= least(), "{took:?}");
    }
}

#[test]
fn nothing_goes_faster_than_all_together_may_send() {
    let limits = Arc::new(Limits::new());
    limits.set(0, RATE);
    for transport in [Transport::Tcp, Transport::Utp(POST)] {
        let took = took(&limits, &Arc::default(), transport);
        assert!(took >= least(), "{took:?}");
    }
}

#[test]
fn a_share_and_a_lease_have_limits_of_their_own() {
    let (giver, taker) = (Arc::new(Limits::new()), Arc::new(Limits::new()));
    giver.set_share(SHARE, RATE);
    giver.set_share(ShareId(2), 1);
    let sent = took(&giver, &taker, Transport::Tcp);
    assert!(sent >= least(), "{sent:?}");
    giver.set_share(SHARE, 0);
    taker.set_lease(LEASE, RATE);
    taker.set_lease(LeaseId(2), 1);
    let came = took(&giver, &taker, Transport::Tcp);
    assert!(came >= least(), "{came:?}");
}

#[test]
fn a_limit_that_is_lifted_holds_nobody_any_longer() {
    let limits = Arc::new(Limits::new());
    // A day for all of it.
    limits.set(BYTES / 86_400, 0);
    took_with(&Arc::default(), &limits, Transport::Tcp, || limits.set(0, 0));
}
