//! `cargo xtask bench lab` times the lab, `… napster` an index server, `… gnutella` an ultrapeer, `… kazaa` and `… freenet` those networks on real sockets.
//! `cargo xtask bench bittorrent` times the release build of `hexad` beside aria2, Transmission and libtorrent on this machine,
//! interleaved in one run: one round does each row once, and there are several rounds.
//!
//! The page cache is warmed before each transfer by a scratch file, since the first touch of a cold page costs more than any
//! client's whole work on some virtual machines. Every payload is compared byte by byte afterwards.

mod chores;
mod freenet;
mod lab;
mod napster;
mod report;
mod transfers;

use crate::foreign;
use crate::shell::{cargo, root, run};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hexad_interop::{Hexad, Process, Program};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use lab::release;
pub use report::Sample;

/// Longer than the slowest program takes for the largest transfer: Transmission moves 1 GiB to Transmission in three minutes.
const PATIENCE: Duration = Duration::from_secs(420);
const PIECE_LENGTH: u64 = 1 << 20;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    network: Network,
}

#[derive(Subcommand)]
enum Network {
    /// Transfers, re-checks and creation of torrents, beside aria2, Transmission and libtorrent.
    Bittorrent(Wishes),
    /// Puts and gets by FCP between nodes on loopback, and what a node with a full store needs.
    Freenet,
    /// Queries a second through codec and node of an ultrapeer, its memory, how long matching takes, and its rates over sockets.
    Gnutella,
    /// Events per CPU second and bytes per node of the lab, at 10^4, 10^5 and 10^6 nodes.
    Lab(lab::Wishes),
    /// Publishing, searches and the loss of a supernode on loopback, and what a supernode remembers.
    Kazaa,
    /// Searches a second, latency and memory of an index server with a million files.
    Napster(napster::Wishes),
}

#[derive(Args)]
struct Wishes {
    /// Rounds.
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// Bytes of the payload: a number, or one with MiB or GiB.
    #[arg(long, default_value = "1GiB", value_parser = parse_bytes)]
    size: u64,
    /// Only rows whose name contains this, such as `pair`, `check`, `create`, `swarm`, `delay`, `hexad->hexad`; may be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// No rows whose name contains this; may be repeated.
    #[arg(long)]
    without: Vec<String>,
    /// Where the tables go as Markdown.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Do not install foreign programs; use what is here.
    #[arg(long)]
    no_install: bool,
}

/// Runs the benchmarks.
///
/// # Errors
/// When the release build fails, nothing is left to run, or the disk is full. A row that fails is reported and the rest go on.
pub fn run_bench(arguments: &Arguments) -> Result<()> {
    let wishes = match &arguments.network {
        Network::Bittorrent(wishes) => wishes,
        Network::Lab(wishes) => return lab::run_lab(wishes),
        Network::Napster(wishes) => return napster::run_napster(wishes),
        Network::Freenet => return freenet::run_freenet(),
        Network::Gnutella => {
            run(cargo().args(["run", "--release", "--package", "hexad-gnutella", "--example", "queries"]))?;
            return run(cargo().args(["run", "--release", "--package", "hexad-conformance", "--example", "gnutella"]));
        }
        Network::Kazaa => return run(cargo().args(["run", "--release", "--package", "hexad-conformance", "--example", "kazaa"])),
    };
    if wishes.no_install {
        foreign::say_missing(&foreign::missing());
    } else {
        foreign::install();
    }
    let rows: Vec<Row> = rows().into_iter().filter(|row| wishes.want(&row.name()) && row.is_possible()).collect();
    if rows.is_empty() {
        bail!("no row of that name can run here");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    if rows.iter().any(|row| row.players().contains(&Player::Hexad)) {
        run(cargo().args(["build", "--release", "--package", "hexad-cli", "--bin", "hexad"]))?;
        Hexad::choose(target.join("release").join("hexad"));
    }
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); rows.len()];
    for round in 1..=wishes.reps {
        for (row, samples) in rows.iter().zip(&mut samples) {
            let sample = row.run(wishes.size).unwrap_or_else(|error| Sample::failed(&error));
            eprintln!("bench: {round}/{} {}: {}", wishes.reps, row.name(), sample.spell());
            samples.push(sample);
        }
    }
    let measured: Vec<(Row, Vec<Sample>)> = rows.into_iter().zip(samples).collect();
    let page = report::page(&measured, wishes.size, wishes.reps);
    println!("{page}");
    let out = wishes.out.clone().unwrap_or_else(|| target.join("bench").join("bittorrent.md"));
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&out, page).with_context(|| out.display().to_string())?;
    eprintln!("bench: written to {}", out.display());
    Ok(())
}

impl Wishes {
    fn want(&self, name: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str())))
            && !self.without.iter().any(|word| name.contains(word.as_str()))
    }
}

/// A program with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Player {
    Hexad,
    Libtorrent,
    LibtorrentTuned,
    Aria2,
    Transmission,
}

impl Player {
    pub fn program(self) -> Program {
        match self {
            Self::Hexad => Program::Hexad,
            Self::Libtorrent | Self::LibtorrentTuned => Program::Libtorrent,
            Self::Aria2 => Program::Aria2,
            Self::Transmission => Program::Transmission,
        }
    }

    /// aria2 and Transmission have a larger disk cache than by default.
    pub fn is_tuned(self) -> bool {
        self != Self::Libtorrent
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Hexad => "hexad",
            Self::Libtorrent => "libtorrent",
            Self::LibtorrentTuned => "libtorrent-tuned",
            Self::Aria2 => "aria2",
            Self::Transmission => "transmission",
        }
    }
}

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// One seed, one leecher.
    Pair(Player, Player),
    /// One seed and four leechers of the same program.
    Swarm(Player),
    /// One seed, one leecher of the same program, with 50 ms between them each way: over uTP, or over TCP.
    Delayed(Player, bool),
    /// Comparing what is on disk with a .torrent file.
    Check(Player),
    /// Making a .torrent file; `None` is mktorrent with two threads.
    Create(Option<Player>),
}

impl Row {
    pub fn name(self) -> String {
        match self {
            Self::Pair(seed, leech) => format!("pair {}->{}", seed.name(), leech.name()),
            Self::Swarm(player) => format!("swarm {}", player.name()),
            Self::Delayed(player, utp) => format!("delay {} {}", if utp { "utp" } else { "tcp" }, player.name()),
            Self::Check(player) => format!("check {}", player.name()),
            Self::Create(player) => format!("create {}", player.map_or("mktorrent -t2", Player::name)),
        }
    }

    fn run(self, size: u64) -> Result<Sample> {
        match self {
            Self::Pair(seed, leech) => transfers::pair(seed, leech, size),
            Self::Swarm(player) => transfers::swarm(player, size / 4),
            Self::Delayed(player, utp) => transfers::delayed(player, utp, size / 8),
            Self::Check(player) => chores::check(player, size),
            Self::Create(player) => chores::create(player, size),
        }
    }

    fn players(self) -> Vec<Player> {
        match self {
            Self::Pair(seed, leech) => vec![seed, leech],
            Self::Swarm(player) | Self::Delayed(player, _) | Self::Check(player) => vec![player],
            Self::Create(player) => player.into_iter().collect(),
        }
    }

    fn is_possible(self) -> bool {
        let meets = matches!(self, Self::Swarm(_) | Self::Pair(_, Player::Aria2 | Player::Transmission));
        let tracker: &[&str] = if meets { &["opentracker"] } else { &[] };
        let needs: Vec<&str> = self.players().iter().flat_map(|player| player.program().needs()).chain(tracker).copied().collect();
        let cables = if matches!(self, Self::Delayed(..)) { hexad_interop::is_root() && hexad_interop::have(&["ip"]) } else { true };
        cables && hexad_interop::have(&needs)
    }
}

fn rows() -> Vec<Row> {
    use Player::{Aria2, Hexad, Libtorrent, LibtorrentTuned, Transmission};
    let pairs = [
        (Hexad, Hexad),
        (LibtorrentTuned, LibtorrentTuned),
        (Libtorrent, Libtorrent),
        (Aria2, Aria2),
        (Transmission, Transmission),
        (LibtorrentTuned, Hexad),
        (Libtorrent, Hexad),
        (Aria2, Hexad),
        (Transmission, Hexad),
        (Hexad, LibtorrentTuned),
        (Hexad, Aria2),
        (Hexad, Transmission),
        (LibtorrentTuned, Aria2),
        (Aria2, LibtorrentTuned),
    ];
    let every = [Hexad, LibtorrentTuned, Aria2, Transmission];
    let makers = [Some(Hexad), None, Some(LibtorrentTuned), Some(Transmission)];
    let mut rows: Vec<Row> = pairs.map(|(seed, leech)| Row::Pair(seed, leech)).into();
    rows.extend(every.map(Row::Swarm));
    rows.extend([Hexad, Libtorrent].iter().flat_map(|&player| [false, true].map(|utp| Row::Delayed(player, utp))));
    rows.extend(every.map(Row::Check));
    rows.extend(makers.map(Row::Create));
    rows
}

/// Makes the kernel hand out `bytes` of page cache and take them back, so that nobody pays for the first touch.
fn warm(folder: &Path, bytes: u64) -> Result<()> {
    let scratch = folder.join("scratch");
    hexad_interop::write_file(&scratch, 1, bytes)?;
    std::fs::remove_file(scratch)?;
    Ok(())
}

/// Cost of what `work` does, for a process that was there before and stays.
fn between(process: &mut Process, before: hexad_interop::Cost) -> hexad_interop::Cost {
    let after = process.cost();
    hexad_interop::Cost {
        user_s: after.user_s - before.user_s,
        system_s: after.system_s - before.system_s,
        rss_peak_bytes: after.rss_peak_bytes,
    }
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("expected bytes such as 1073741824, 512MiB or 1GiB, came {text}")),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(|| format!("{text} is not a number of bytes"))
}
