//! Where the file system shares blocks between files, nothing is copied: it is so full that a copy would not fit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hexad_interop::{Hexad, Mounts, Process, Scene, have, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
const FILE_BYTES: u64 = 80 << 20;
const DISK_BYTES: u64 = 128 << 20;

/// A node on such a file system, and commands that speak to it.
struct Stage {
    mounts: Mounts,
    scene: Scene,
}

impl Stage {
    /// Lets `hexad` do something, and returns what it says.
    fn does(&self, words: &[&str]) -> Result<String> {
        let output = Hexad::command_among(&self.mounts, &self.scene.net, &self.scene.path(""))?.args(words).output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A torrent of v2 that describes the file in pieces of this length.
    fn describes(&self, file: &Path, piece_length: &str) -> Result<String> {
        let torrent = text(&self.scene.path(&format!("{piece_length}.torrent")));
        self.does(&["torrent", "create", &text(file), "--out", &torrent, "--v2", "--piece-length", piece_length])?;
        Ok(torrent)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_file_is_moved_and_comes_once_more_where_a_copy_would_not_fit() {
    if !have(&["mkfs.btrfs", "root"]) {
        return;
    }
    let scene = Scene::new().expect("a stage");
    let mounts = Mounts::of_shared_blocks(&scene.path(""), DISK_BYTES).expect("a file system");
    let stage = Stage { mounts, scene };
    let outcome = play(&stage);
    stage.scene.explain(outcome).unwrap();
}

fn play(stage: &Stage) -> Result<()> {
    let path = |name: &str| stage.scene.path(name);
    let file = stage.scene.file(FILE_BYTES)?;
    let (here, copy) = (text(&path("one/payload.bin")), text(&path("one/copy")));
    stage.mounts.run("cp", &[&text(&file), &here])?;
    ensure!(stage.mounts.run("cp", &["--reflink=never", &here, &copy]).is_err(), "a copy fits");
    stage.mounts.run("rm", &[&copy])?;
    let (first, second) = (stage.describes(&file, "64KiB")?, stage.describes(&file, "256KiB")?);

    let mut command = Hexad::command_among(&stage.mounts, &stage.scene.net, &path(""))?;
    command.args(["up", "--json", "--downloads"]).arg(path("one/downloads"));
    let settings = ["join=bittorrent", "bittorrent.listen=127.0.0.1:0", "bittorrent.dht=false", "bittorrent.lsd=false"];
    command.args(settings.iter().flat_map(|setting| ["--set".to_owned(), format!("networks.{setting}")]));
    let mut node = Process::start(command, &path(""), "node")?;
    node.hear(PATIENCE, "listening", |said| said.contains("\"listening\"").then_some(()))?;

    stage.does(&["fetch", &first, "--into", &text(&path("one")), "--daemon"])?;
    let list = stage.does(&["downloads", "list", "--json"])?;
    let item: Value = serde_json::from_str(list.lines().next().context("a download")?)?;
    let id = item["id"].to_string();
    stage.does(&["downloads", "move", &id, &text(&path("two/moved"))])?;
    let moved = text(&path("two/moved/payload.bin"));
    until(PATIENCE, "a download that has moved", || Ok(stage.mounts.run("test", &["!", "-e", &here]).is_ok().then_some(())))?;
    stage.mounts.run("cmp", &[&moved, &text(&file)])?;

    stage.does(&["fetch", &second, "--into", &text(&path("two/again")), "--daemon"])?;
    stage.mounts.run("cmp", &[&text(&path("two/again/payload.bin")), &text(&file)])?;
    stage.mounts.run("cmp", &[&moved, &text(&file)])?;
    node.stop().map(drop)
}
