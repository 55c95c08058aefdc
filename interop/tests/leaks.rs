//! With `--interface` and with `--proxy` not one packet goes beside: our namespace has two cables to the rest of the world, a wire that is meant, and
//! another one with the default route, which leads everywhere. What leaves by that one is counted by the kernel, from the first packet (ARP) on.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use hexad_interop::{Hexad, Mounts, Net, Process, Scene, Torrent, await_seed, have, until};

const PATIENCE: Duration = Duration::from_secs(90);
const SOCKS: &str = concat!(include_str!("../src/proxy.py"), include_str!("../src/socks.py"));
const NAMES: &str = include_str!("../src/names.py");
const CONNECT: &str = concat!(include_str!("../src/proxy.py"), include_str!("../src/connect.py"));

/// The other ends: by the wire that is meant, and by the other one.
const MEANT: Ipv4Addr = Ipv4Addr::new(10, 88, 1, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 88, 2, 2);

/// We, and the rest of the world, in which there are a seed that is a DHT node and a tracker.
struct World {
    us: Net,
    them: Scene,
    torrent: Torrent,
    _tracker: Process,
    _seed: Process,
}

impl World {
    fn new(name: &str, trackers: &[String]) -> Result<Self> {
        let (us, them) = (Net::new()?, Scene::new()?);
        us.link(&them.net, "meant", 1)?;
        us.link(&them.net, "other", 2)?;
        // Each address answers at its own wire only.
        them.net.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"])?;
        us.run("ip", &["route", "add", "default", "via", &OTHER.to_string()])?;
        let torrent = them.torrent(3 << 20, 64 << 10, trackers)?;
        let anywhere = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let tracker = Hexad::tracker(&them.net, anywhere(6969), &them.path(""))?;
        let mut command = Hexad::command(&them.net, &them.path(""))?;
        command.args(["publish", "--torrent"]).arg(&torrent.file).arg("--data").arg(torrent.data_folder());
        command.args(["--listen", "0.0.0.0:6881", "--dht-node", &format!("{MEANT}:9"), "--no-lsd", "--json"]);
        let mut seed = Process::start(command, &them.path(""), &format!("{name}-seed"))?;
        seed.hear(PATIENCE, "seeding", |said| said.contains("\"seeding\"").then_some(()))?;
        Ok(Self { us, them, torrent, _tracker: tracker, _seed: seed })
    }

    /// A fetch that has reasons to go either way: peers, trackers and a DHT node at both ends, a router at the end of the default route.
    fn fetch(&self, name: &str, more: &[&str]) -> Result<Process> {
        self.fetch_by(Hexad::command(&self.us, &self.them.path(""))?, name, more)
    }

    fn fetch_by(&self, mut command: Command, name: &str, more: &[&str]) -> Result<Process> {
        command.args(["-v", "fetch"]).arg(&self.torrent.file).arg("--into").arg(self.them.path(name)).args(["--seed", "--json"]);
        command.args([MEANT, OTHER].iter().flat_map(|ip| ["--peer".to_owned(), format!("{ip}:6881")]));
        command.args(more);
        Process::start(command, &self.them.path(""), name)
    }

    fn beside(&self) -> u64 {
        self.us.sent_packets("other")
    }
}

const EVERYTHING: [&str; 5] = ["--map-ports", "--dht-node", "10.88.1.2:6881", "--dht-node", "10.88.2.2:6881"];

fn play(name: &str, trackers: &[String], act: impl FnOnce(&World) -> Result<()>) {
    if !have(&["mktorrent", "ip", "python3", "root"]) {
        return;
    }
    let world = World::new(name, trackers).expect("a stage");
    let outcome = act(&world);
    world.them.explain(outcome).unwrap();
}

fn both(port: u16) -> Vec<String> {
    [OTHER, MEANT].iter().flat_map(|ip| ["http", "udp"].map(|scheme| format!("{scheme}://{ip}:{port}/announce"))).collect()
}

fn complete(said: &str) -> Option<()> {
    said.contains("\"event\":\"complete\"").then_some(())
}

/// Waits until the trackers of one who runs with `-v` have been given up, all ways to them having been tried.
fn trackers_fail(process: &mut Process, times: usize) -> Result<()> {
    until(PATIENCE, "trackers that fail", || {
        ensure!(process.ended()?.is_none(), "it has ended: {}", process.complained());
        Ok((process.complained().matches("tracker_failed").count() >= times).then_some(()))
    })
}

#[test]
fn over_one_interface_not_a_packet_goes_by_another() {
    // Whoever the system's name server is, it is not asked by the other wire.
    let trackers = [vec!["http://tracker.invalid:6969/announce".to_owned()], both(6969)].concat();
    play("interface", &trackers, |world| {
        let mut bound = world.fetch("bound", &[&EVERYTHING[..], &["--interface", "meant"]].concat())?;
        bound.hear(PATIENCE, "complete", complete)?;
        // The wire that is meant leads to none of the addresses of the other one.
        trackers_fail(&mut bound, 3)?;
        // Segments that the system joins count as one packet: how many there are is its affair.
        ensure!(world.us.sent_packets("meant") > 10, "nothing has gone by the wire that is meant");
        ensure!(world.beside() == 0, "{} packets have gone beside", world.beside());

        world.us.run("ip", &["link", "set", "meant", "down"])?;
        let mut down = world.fetch("down", &[&EVERYTHING[..], &["--interface", "meant"]].concat())?;
        trackers_fail(&mut down, 5)?;
        ensure!(world.beside() == 0, "{} packets have gone beside while the interface was down", world.beside());
        world.us.run("ip", &["link", "set", "meant", "up"])?;
        down.hear(PATIENCE, "complete, once the interface is back", complete)?;
        ensure!(world.beside() == 0, "{} packets have gone beside in the end", world.beside());
        bound.stop()?;
        down.stop()?;
        ensure!(world.beside() == 0, "{} packets have gone beside at the farewell", world.beside());

        // Who is bound to nothing goes where the routes lead.
        let mut free = world.fetch("free", &EVERYTHING)?;
        free.hear(PATIENCE, "complete", complete)?;
        until(PATIENCE, "packets by the other wire", || Ok((world.beside() > 20).then_some(())))
    });
}

/// The system knows a name server at either end, and the tracker's name stands for an address at either end: one of each is out of reach.
#[test]
fn over_one_interface_a_tracker_of_several_addresses_is_called_at_those_it_leads_to() {
    play("names", &["http://tracker.lan:6969/announce".to_owned()], |world| {
        let logs = world.them.path("");
        let servers = logs.join("resolv.conf");
        std::fs::write(&servers, [OTHER, MEANT].map(|ip| format!("nameserver {ip}\n")).concat())?;
        let mut command = world.them.net.command("python3");
        command.args(["-c", NAMES, &MEANT.to_string(), &format!("tracker.lan={OTHER},{MEANT}")]);
        let mut names = Process::start(command, &logs, "names")?;
        names.hear(PATIENCE, "ready", |said| said.starts_with("ready").then_some(()))?;

        let mounts = Mounts::of_name_servers(&servers)?;
        let command = Hexad::command_among(&mounts, &world.us, &logs)?;
        let mut bound = world.fetch_by(command, "bound", &["--no-dht", "--interface", "meant"])?;
        bound.hear(PATIENCE, "complete", complete)?;
        names.hear(PATIENCE, "a question for the tracker", |said| said.contains("tracker.lan").then_some(()))?;
        // The seed asks nobody for the name.
        await_seed(&world.them.net, SocketAddrV4::new(MEANT, 6969), &world.torrent.info_hash, PATIENCE)?;
        bound.stop()?;
        ensure!(world.beside() == 0, "{} packets have gone beside", world.beside());
        Ok(())
    });
}

/// A proxy by the wire that is meant, which alone knows the names of a tracker and of a DHT node.
fn proxy(world: &World, script: &str) -> Result<Process> {
    let mut command = world.them.net.command("python3");
    command.args(["-c", script, &MEANT.to_string(), "1080", &format!("tracker.invalid={OTHER}"), &format!("dht.invalid={MEANT}")]);
    let mut proxy = Process::start(command, &world.them.path(""), "proxy")?;
    proxy.hear(PATIENCE, "ready", |said| said.starts_with("ready").then_some(()))?;
    Ok(proxy)
}

/// Where the proxy is gone, there is no other way, neither for who was led by it nor for who comes after.
fn without_a_proxy_nothing_goes(world: &World, proxy: &mut Process, mut led: Process, everything: &[&str]) -> Result<()> {
    proxy.kill()?;
    let mut alone = world.fetch("alone", everything)?;
    trackers_fail(&mut alone, 2)?;
    alone.stop()?;
    led.stop()?;
    ensure!(world.beside() == 0, "{} packets have gone beside a proxy that is gone", world.beside());
    Ok(())
}

#[test]
fn through_a_proxy_not_a_packet_goes_elsewhere() {
    let named = ["udp", "http"].map(|scheme| format!("{scheme}://tracker.invalid:6969/announce"));
    let trackers = [named.to_vec(), both(6969)].concat();
    play("proxy", &trackers, |world| {
        let mut proxy = proxy(world, SOCKS)?;
        let through = format!("socks5://{MEANT}:1080");
        let everything = ["--utp-first", "--dht-node", "dht.invalid:6881", "--proxy", &through];
        let mut led = world.fetch("led", &everything)?;
        led.hear(PATIENCE, "complete", complete)?;
        // The tracker that answers first is enough.
        let named = ["letter to tracker.invalid:6969", "letter to dht.invalid:6881"].map(str::to_owned);
        let asked = [named.to_vec(), vec![format!("letter to {MEANT}:6881")]].concat();
        proxy.hear(PATIENCE, "all that it can lead to", |said| asked.iter().all(|asked| said.contains(asked.as_str())).then_some(()))?;
        ensure!(world.beside() == 0, "{} packets have gone beside the proxy", world.beside());

        without_a_proxy_nothing_goes(world, &mut proxy, led, &everything)
    });
}

/// A proxy of HTTP carries no datagrams: what would go by them stays at home, however much it is wanted.
#[test]
fn through_a_proxy_of_http_not_a_packet_goes_elsewhere() {
    let named = ["udp", "http"].map(|scheme| format!("{scheme}://tracker.invalid:6969/announce"));
    let trackers = [named.to_vec(), both(6969)].concat();
    play("http-proxy", &trackers, |world| {
        let mut proxy = proxy(world, CONNECT)?;
        let through = format!("http://{MEANT}:1080");
        let everything = ["--utp-first", "--dht-node", "dht.invalid:6881", "--proxy", &through];
        let mut led = world.fetch("led", &everything)?;
        led.hear(PATIENCE, "complete", complete)?;
        let asked = ["tracker.invalid:6969".to_owned(), format!("{MEANT}:6881")];
        proxy.hear(PATIENCE, "all that it can lead to", |said| asked.iter().all(|asked| said.contains(asked.as_str())).then_some(()))?;
        ensure!(world.us.sent_datagrams() == 0, "{} datagrams have been sent", world.us.sent_datagrams());
        ensure!(world.beside() == 0, "{} packets have gone beside the proxy", world.beside());

        without_a_proxy_nothing_goes(world, &mut proxy, led, &everything)?;
        ensure!(world.us.sent_datagrams() == 0, "{} datagrams have been sent in the end", world.us.sent_datagrams());
        Ok(())
    });
}
