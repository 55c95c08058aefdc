//! A long line between two namespaces: a TUN device at each end, and threads of ours that carry each packet from the one to the other, late. Kernels
//! without netem have no other way. TCP and uTP are the same to it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::Net;

/// As on Ethernet.
const PACKET_BYTES_MAX: u16 = 1_500;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What a line is like, each way.
#[derive(Clone, Copy, Debug)]
pub struct LineConfig {
    /// How long a packet is under way when there is no queue: half of the round trip.
    pub delay: Duration,
    /// Bytes a second that get through; `None` is as fast as it goes.
    pub rate: Option<u64>,
    /// Bytes that wait at the bottleneck; a packet beyond them is lost.
    pub queue_bytes: u64,
}

/// Bytes that a line has carried, with headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    /// Of TCP.
    pub tcp_bytes: u64,
    /// Of UDP, which is uTP here.
    pub udp_bytes: u64,
    /// Packets that found the queue full.
    pub lost_packets: u64,
}

/// A line; it is gone with its namespaces.
#[derive(Debug)]
pub struct Line {
    forth: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    tcp: AtomicU64,
    udp: AtomicU64,
    lost: AtomicU64,
}

impl Line {
    /// Lays a line called `line` from `left`, who is `10.89.SUBNET.1`, to `right`, who is `10.89.SUBNET.2`.
    ///
    /// # Errors
    /// Without root, or without TUN devices.
    pub fn lay(left: &Net, right: &Net, subnet: u8, config: LineConfig) -> Result<Self> {
        let ends = [(left, 1, 2), (right, 2, 1)].map(|(net, own, other)| end(net, subnet, own, other));
        let [left, right] = ends;
        let (left, right) = (Arc::new(left?), Arc::new(right?));
        let forth = Arc::<Meter>::default();
        carry(left.clone(), right.clone(), config, forth.clone());
        carry(right, left, config, Arc::default());
        Ok(Self { forth })
    }

    /// What has entered on the left side and was carried to the right one.
    #[must_use]
    pub fn carried(&self) -> Carried {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Carried { tcp_bytes: read(&self.forth.tcp), udp_bytes: read(&self.forth.udp), lost_packets: read(&self.forth.lost) }
    }
}

/// A TUN device with the address `own`, inside of `net`.
fn end(net: &Net, subnet: u8, own: u8, other: u8) -> Result<SyncDevice> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let outside = format!("hx{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let device = DeviceBuilder::new().name(&outside).mtu(PACKET_BYTES_MAX).enable(false).build_sync()?;
    let moved = Command::new("ip").args(["link", "set", "dev", &outside, "netns", &net.holder(), "name", "line"]).output()?;
    ensure!(moved.status.success(), "ip link: {}", String::from_utf8_lossy(&moved.stderr));
    net.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv6/conf/line/disable_ipv6"])?;
    net.run("ip", &["addr", "add", &format!("10.89.{subnet}.{own}"), "peer", &format!("10.89.{subnet}.{other}"), "dev", "line"])?;
    // What the kernel hands over waits for us and is not lost: losses are the line's own affair.
    net.run("ip", &["link", "set", "line", "txqueuelen", "20000", "up"])?;
    Ok(device)
}

/// Carries packets one way, on two threads, until the device is gone.
fn carry(from: Arc<SyncDevice>, to: Arc<SyncDevice>, config: LineConfig, meter: Arc<Meter>) {
    let (sender, receiver) = channel();
    thread::spawn(move || enter(&from, config, &meter, &sender));
    thread::spawn(move || leave(&to, &receiver));
}

fn enter(from: &SyncDevice, config: LineConfig, meter: &Meter, on_the_way: &Sender<(Instant, Box<[u8]>)>) {
    let mut packet = [0; PACKET_BYTES_MAX as usize];
    // When all that has entered so far has passed the bottleneck.
    let mut free = Instant::now();
    while let Ok(length) = from.recv(&mut packet) {
        let (packet, now) = (&packet[..length], Instant::now());
        free = free.max(now);
        if let Some(rate) = config.rate {
            let waiting = (free - now).as_secs_f64() * rate as f64;
            if waiting > config.queue_bytes as f64 {
                meter.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            free += Duration::from_secs_f64(length as f64 / rate as f64);
        }
        match packet.get(9) {
            Some(&TCP) => meter.tcp.fetch_add(length as u64, Ordering::Relaxed),
            Some(&UDP) => meter.udp.fetch_add(length as u64, Ordering::Relaxed),
            _ => 0,
        };
        if on_the_way.send((free + config.delay, packet.into())).is_err() {
            return;
        }
    }
}

fn leave(to: &SyncDevice, on_the_way: &Receiver<(Instant, Box<[u8]>)>) {
    while let Ok((at, packet)) = on_the_way.recv() {
        let left = at.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "lateness is what a long line is made of")]
            thread::sleep(left);
        }
        // An end that is down loses it, as any cable would.
        let _ = to.send(&packet);
    }
}
