//! What needs no peer: comparing a file with its .torrent, and making a .torrent. The file has just been written, so it is in the page
//! cache; everybody reads it from there.

use super::{PATIENCE, PIECE_LENGTH, Player, Sample, between};
use anyhow::{Context, Result, bail, ensure};
use hexad_interop::{Client, Crypto, Hexad, LibtorrentTask, Process, Scene, Torrent, Transmission};
use std::process::Command;

/// Compares a file with its .torrent.
pub fn check(player: Player, size: u64) -> Result<Sample> {
    let scene = Scene::new()?;
    let torrent = scene.torrent(size, PIECE_LENGTH, &[])?;
    let command = match player {
        Player::Hexad => {
            let mut command = Command::new(Hexad::binary()?);
            command.args(["torrent", "check"]).arg(&torrent.file).arg("--data").arg(torrent.data_folder());
            command
        }
        Player::Libtorrent | Player::LibtorrentTuned => {
            LibtorrentTask::Check.command(&torrent.file, torrent.data_folder(), player.is_tuned())
        }
        Player::Aria2 => {
            let mut command = Command::new("aria2c");
            command.args(["--no-conf", "--hash-check-only=true", "--check-integrity=true", "--enable-dht=false", "--bt-enable-lpd=false"]);
            command.args(["--summary-interval=0", "--show-console-readout=false", "--dir"]).arg(torrent.data_folder()).arg(&torrent.file);
            command
        }
        Player::Transmission => return scene.explain(transmission_verifies(&scene, &torrent)),
    };
    scene.explain(measure(command, &scene))
}

/// Transmission verifies in its daemon only: the clock runs from the order until it no longer says that it verifies.
fn transmission_verifies(scene: &Scene, torrent: &Torrent) -> Result<Sample> {
    let mut job = scene.seed(torrent);
    (job.quiet, job.crypto) = (true, Crypto::Default);
    let mut daemon = Transmission::seed(&job)?;
    let before = daemon.process().cost();
    let wall = Transmission::verify(&job, PATIENCE)?;
    let cost = between(daemon.process(), before);
    Ok(Sample { wall_s: wall.as_secs_f64(), moving_s: None, cost, seed: None, failure: None })
}

/// Makes a .torrent of a file; `None` is mktorrent with two threads.
pub fn create(player: Option<Player>, size: u64) -> Result<Sample> {
    let scene = Scene::new()?;
    let reference = scene.torrent(size, PIECE_LENGTH, &[])?;
    let made = scene.path("made.torrent");
    let command = match player {
        None => {
            let mut command = Command::new("mktorrent");
            command.args(["-t", "2", "-l", &PIECE_LENGTH.ilog2().to_string(), "-o"]).arg(&made).arg(&reference.data);
            command
        }
        Some(Player::Hexad) => {
            let mut command = Command::new(Hexad::binary()?);
            command
                .args(["torrent", "create"])
                .arg(&reference.data)
                .arg("-o")
                .arg(&made)
                .args(["--piece-length", &PIECE_LENGTH.to_string()]);
            command
        }
        Some(Player::Libtorrent | Player::LibtorrentTuned) => LibtorrentTask::Create.command(&made, &reference.data, true),
        Some(Player::Transmission) => {
            let mut command = Command::new("transmission-create");
            command.args(["-s", &(PIECE_LENGTH >> 10).to_string(), "-o"]).arg(&made).arg(&reference.data);
            command
        }
        Some(Player::Aria2) => bail!("aria2 makes no torrents"),
    };
    let sample = scene.explain(measure(command, &scene))?;
    ensure!(pieces(&made)? == pieces(&reference.file)?, "the piece hashes are not those of mktorrent");
    Ok(sample)
}

fn measure(command: Command, scene: &Scene) -> Result<Sample> {
    let mut process = Process::start(command, &scene.path(""), "chore")?;
    let wall = process.finish(PATIENCE)?;
    Ok(Sample { wall_s: wall.as_secs_f64(), moving_s: None, cost: process.cost(), seed: None, failure: None })
}

/// The piece hashes: the value that follows `6:pieces`.
fn pieces(torrent: &std::path::Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(torrent)?;
    let key = b"6:pieces";
    let begin = bytes.windows(key.len()).position(|window| window == key).context("no pieces in the .torrent")? + key.len();
    let colon = bytes[begin..].iter().position(|byte| *byte == b':').context("pieces is no string")?;
    let length: usize = std::str::from_utf8(&bytes[begin..begin + colon])?.parse()?;
    let begin = begin + colon + 1;
    Ok(bytes.get(begin..begin + length).context("pieces is cut short")?.to_vec())
}
