//! How fast shares cross loopback. Run by hand:
//! `cargo test --release -p hexad-driver --test host -- --ignored --nocapture pace`

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hexad_core::{Bind, Dial, Endpoint, LeaseId, OpId, Operation, Output, Payload, ShareId, Transport};
use hexad_driver::host::{Events, Handle, Host, HostConfig, HostEvent};
use hexad_driver::{Deliveries, ReadShare};

use crate::puppet::{Config, Request, Runners, tcp};
use crate::rig::{CALLS, loopback};

const GIB: u64 = 1 << 30;
const BLOCK: u64 = 16 << 10;

/// Copies what is delivered into one piece, as the transfers do, and says when all has come.
struct Pit {
    piece: Mutex<Vec<u8>>,
    bytes: AtomicU64,
    done: Mutex<std::sync::mpsc::Sender<()>>,
}

impl Deliveries for Pit {
    fn deliver(&self, _: LeaseId, offset: u64, payload: &Payload) {
        let Payload::Bytes(bytes) = payload else { return };
        let mut piece = self.piece.lock().unwrap();
        let at = offset as usize % piece.len();
        piece[at..at + bytes.len()].copy_from_slice(bytes);
        if self.bytes.fetch_add(payload.len(), Ordering::Relaxed) + payload.len() == GIB {
            self.done.lock().unwrap().send(()).unwrap();
        }
    }

    fn congested(&self) -> bool {
        false
    }
}

/// One file in the page cache.
struct Shelf(fs::File);

impl ReadShare for Shelf {
    fn read(&self, _: ShareId, offset: u64, parts: &mut [std::io::IoSliceMut<'_>], _: bool) -> std::io::Result<()> {
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let read = rustix::io::preadv(&self.0, parts, offset)?;
        if read == wanted { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// User and system seconds of the thread of that name.
fn cpu_of(name: &str) -> Option<(f64, f64)> {
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        if fs::read_to_string(task.path().join("comm")).ok()?.trim() == name {
            let stat = fs::read_to_string(task.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
            return Some((ticks(11)? / 100.0, ticks(12)? / 100.0));
        }
    }
    None
}

#[test]
#[ignore = "takes a gibibyte of disk and memory, and says nothing in a debug build"]
fn the_pace_of_one_gibibyte() {
    pace(&Bind::Stream(loopback()), &tcp());
}

#[test]
#[ignore = "takes a gibibyte of disk and memory, and says nothing in a debug build"]
fn the_pace_of_one_gibibyte_over_quic() {
    pace(&Bind::Quic(loopback()), &Dial { transport: Transport::Quic, ..tcp() });
}

/// Opens a door, and tells its address.
fn listen(handle: &Handle<Runners>, events: &mut Events<Runners>, bind: &Bind) -> Endpoint {
    handle.start(OpId(1), Operation::Own(Request::Say(Output::Listen(CALLS, bind.clone()))));
    loop {
        if let Some(HostEvent::Bound(_, at)) = events.blocking_recv() {
            return handle.public_key().map_or(Endpoint::Ip(at), |key| Endpoint::Key(key, at));
        }
    }
}

fn pace(bind: &Bind, dial: &Dial) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    {
        let mut file = fs::File::create(&path).unwrap();
        let noise = crate::rig::noise(1, 1 << 20);
        for _ in 0..1024 {
            std::io::Write::write_all(&mut file, &noise).unwrap();
        }
    }
    for round in 0..5 {
        let (done, all_came) = std::sync::mpsc::channel();
        let pit = Arc::new(Pit { piece: Mutex::new(vec![0; 16 << 20]), bytes: AtomicU64::new(0), done: Mutex::new(done) });
        let shelf = Arc::new(Shelf(fs::File::open(&path).unwrap()));
        let seed = Config { serves: Some(ShareId(1)), quiet: true, ..Config::default() };
        // Two hosts of one network have threads of one name; the seeder gets its processor time read by subtraction.
        let (seeder, mut seeder_events) = Host::<Runners>::start(seed, HostConfig::default(), pit.clone(), shelf.clone());
        let at = listen(&seeder, &mut seeder_events, bind);
        let before = cpu_of("hexad-runners").unwrap();
        let leech = Config { lease: Some(LeaseId(1)), wants: Some((GIB / BLOCK, BLOCK, 500)), quiet: true, ..Config::default() };
        let whole_before = whole_cpu();
        let (leecher, mut leecher_events) = Host::<Runners>::start(leech, HostConfig::default(), pit.clone(), shelf);
        if let Bind::Quic(_) = bind {
            listen(&leecher, &mut leecher_events, bind);
        }
        let begun = Instant::now();
        leecher.start(OpId(1), Operation::Own(Request::Dial(at, dial.clone())));
        all_came.recv_timeout(Duration::from_secs(60)).unwrap();
        let wall = begun.elapsed().as_secs_f64();
        let after = cpu_of("hexad-runners").unwrap();
        let (seed_user, seed_system) = (after.0 - before.0, after.1 - before.1);
        let (user, system) = (whole_cpu().0 - whole_before.0, whole_cpu().1 - whole_before.1);
        eprintln!(
            "round {round}: wall {wall:.2} s; seeder {:.2} = {seed_user:.2} user + {seed_system:.2} system; leecher {:.2} = {:.2} + {:.2}",
            seed_user + seed_system,
            user + system - seed_user - seed_system,
            user - seed_user,
            system - seed_system
        );
        leecher.kill();
        seeder.kill();
    }
}

/// User and system seconds of this process.
fn whole_cpu() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() / 100.0, fields[12].parse::<f64>().unwrap() / 100.0)
}
