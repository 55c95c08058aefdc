//! Freenet and Gnutella, seen by programs that others have written: pyFreenet3 uses our nodes, tshark reads what they say to each other.

use anyhow::{Result, ensure};
use hexad_interop::{Hexad, Process, PyFreenet, Scene, find, have, until};
use std::net::SocketAddrV4;
use std::process::Command;
use std::time::Duration;

/// A node of a development build takes its time for 20 MiB.
const PATIENCE: Duration = Duration::from_secs(280);

#[test]
fn pyfreenet_puts_at_one_of_five_nodes_and_gets_at_another() {
    if !have(&["pyfreenet3"]) {
        return;
    }
    let play = |scene: &Scene| -> Result<()> {
        let logs = scene.path("");
        let mut nodes = Vec::new();
        let mut first = None;
        for number in 0..5_u16 {
            let (node, address) = Hexad::freenet(&scene.net, &format!("node{number}"), 9481 + number, first.as_deref(), &logs)?;
            first.get_or_insert(address);
            nodes.push(node);
        }
        let mut program = PyFreenet::start(&scene.net, [9481, 9485], &logs)?;
        program.finish(PATIENCE)?;
        eprintln!("{}", program.said());
        Ok(())
    };
    let scene = Scene::new().expect("a stage");
    scene.explain(play(&scene)).expect("all is got as it was put");
}

#[test]
fn tshark_reads_what_our_nodes_say_to_each_other() {
    if !have(&["tshark"]) {
        return;
    }
    let scene = Scene::new().expect("a stage");
    scene.explain(converse(&scene)).expect("no packet is malformed");
}

fn converse(scene: &Scene) -> Result<()> {
    let logs = scene.path("");
    let at = |host| SocketAddrV4::new(host, 6346);
    let recording = scene.path("recording.pcapng");
    let mut tshark = scene.net.command("tshark");
    tshark.args(["-q", "-i", "lo", "-f", "port 6346", "-w"]).arg(&recording).env("HOME", &logs);
    let mut tshark = Process::start(tshark, &logs, "tshark")?;
    until(Duration::from_secs(30), "tshark captures", || Ok(tshark.complained().contains("Capture started").then_some(())))?;
    let (first, second) = (at(scene.net.address()), at(scene.net.address()));
    let (_one, _) = Hexad::gnutella(&scene.net, first, None, &logs, "one")?;
    let (_two, _) = Hexad::gnutella(&scene.net, second, Some(first), &logs, "two")?;
    let file = scene.file(300_000)?;
    let mut publish = Hexad::command(&scene.net, &logs)?;
    publish.args(["publish", "--json", "--on", "gnutella", "--bootstrap", &first.to_string()]).arg(&file);
    let mut publisher = Process::start(publish, &logs, "publisher")?;
    publisher.hear(Duration::from_secs(60), "that it is published", |said| said.contains("\"seeding\"").then_some(()))?;
    // A query crosses from one ultrapeer to the other, and a hit comes back.
    let mut search = Hexad::command(&scene.net, &logs)?;
    search.args(["search", "--json", "--on", "gnutella", "--bootstrap", &second.to_string(), "payload"]);
    let mut searcher = Process::start(search, &logs, "searcher")?;
    searcher.hear(Duration::from_secs(60), "a hit", |said| said.contains("\"found\"").then_some(()))?;
    let read = |fields: &[&str]| -> Result<String> {
        let mut command = Command::new(find("tshark").unwrap_or_else(|| "tshark".into()));
        let output = command.arg("-r").arg(&recording).args(["-d", "tcp.port==6346,gnutella"]).args(fields).env("HOME", &logs).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // What is captured comes into the file a second later, or so.
    let kinds = [("Ping", 0x00), ("Pong", 0x01), ("Query", 0x80), ("QueryHit", 0x81)];
    until(Duration::from_secs(30), "tshark sees a ping, a pong, a query and a hit", || {
        let seen = read(&["-Y", "gnutella.header", "-T", "fields", "-e", "gnutella.header.payload"])?;
        let seen: Vec<u8> = seen.split([',', '\n']).filter_map(|kind| kind.trim().parse().ok()).collect();
        Ok(kinds.iter().all(|(_, kind)| seen.contains(kind)).then_some(()))
    })?;
    tshark.stop()?;
    let malformed = read(&["-Y", "_ws.malformed"])?;
    ensure!(malformed.is_empty(), "malformed: {malformed}");
    Ok(())
}
