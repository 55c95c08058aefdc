//! `hexad demo`: a small network of each kind on loopback moves a real folder.

use std::fs;
use std::io::{Read as _, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hexad_api::{
    CreateRequest, Event, FetchRequest, Problem, PublishRequest, Roles as _, Selection, Session, Settings, Task, Torrents as _,
    TrackerRequest,
};
use hexad_core::Dice;

use crate::session::LocalSession;
use crate::source::plain;

/// Everybody waits this long at most for what is next.
const DEADLINE: Duration = Duration::from_secs(120);
const LEECHERS: usize = 4;

/// Moves a folder of `size_mib` MiB through each network on loopback, below the empty folder `scratch`, and writes one line for each to `out`.
///
/// # Errors
/// When anything went wrong.
pub fn demo(size_mib: u64, scratch: &Path, out: &mut dyn Write) -> Result<(), Problem> {
    let line = bittorrent(scratch, size_mib)?;
    writeln!(out, "{line}").map_err(|wrong| Problem::new(format!("stdout: {wrong}")))
}

/// A tracker, a seed and several leechers.
fn bittorrent(scratch: &Path, size_mib: u64) -> Result<String, Problem> {
    let data = scratch.join("seed");
    let (files, bytes) = write_folder(&data.join("album"), size_mib << 20)
        .map_err(|wrong| Problem::new(format!("{}: {}", data.display(), plain(&wrong))).hint("make room, or ask for less with --size"))?;

    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let tracker = crate::roles().serve_tracker(TrackerRequest {
        http: Some(loopback),
        udp: None,
        interval_s: 1800,
        announces_per_minute_max: 600,
    })?;
    let Event::Listening { address, .. } =
        await_event(&tracker, "the tracker to listen", |event| matches!(event, Event::Listening { .. }))?
    else {
        return Err(Problem::new("the tracker does not say where it listens"));
    };

    let torrent = scratch.join("album.torrent");
    let request = CreateRequest {
        path: data.join("album"),
        out: torrent.clone(),
        tiers: vec![vec![format!("http://{address}/announce")]],
        ..CreateRequest::default()
    };
    crate::torrents().create_torrent(request, &|_, _| {})?;

    let settings = Settings { listen: Some(loopback), dht: false, lsd: false, ..Settings::default() };
    let seed = LocalSession::open(settings.clone())?;
    let seeding = seed.publish(PublishRequest { torrent: Some(torrent.clone()), data: Some(data.clone()), ..PublishRequest::default() })?;
    await_event(&seeding, "the seed to be ready", |event| matches!(event, Event::Seeding { .. }))?;

    let began = Instant::now();
    let mut leechers = Vec::new();
    for number in 1..=LEECHERS {
        let session = LocalSession::open(settings.clone())?;
        let into = scratch.join(format!("leecher-{number}"));
        let request = FetchRequest {
            source: torrent.display().to_string(),
            into: into.clone(),
            peers: Vec::new(),
            select: Selection::default(),
            seed: true,
        };
        let task = session.fetch(request)?;
        leechers.push((session, task, into));
    }
    for (_, task, _) in &leechers {
        await_event(task, "a leecher to complete", |event| matches!(event, Event::Complete { .. }))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    for (_, _, into) in &leechers {
        same_folder(&data, into, Path::new("album"))?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = (bytes * LEECHERS as u64) as f64 / seconds / f64::from(1 << 20);
    Ok(format!(
        "bittorrent   1 tracker, 1 seed, {LEECHERS} leechers: {files} files, {:.1} MiB to each in {seconds:.2} s ({rate:.0} MiB/s in all)   ok",
        mib(bytes)
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn await_event(task: &Task, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event, Problem> {
    let until = Instant::now() + DEADLINE;
    loop {
        match task.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(event) if wanted(&event) => return Ok(event),
            Ok(Event::Failed { message, hint }) => return Err(Problem { message, hint }),
            Ok(_) => {}
            Err(_) => return Err(Problem::new(format!("waited {} s in vain for {what}", DEADLINE.as_secs()))),
        }
    }
}

/// A folder as people have them: one big file, small ones, an empty one, names beyond ASCII.
fn write_folder(folder: &Path, bytes: u64) -> std::io::Result<(usize, u64)> {
    fs::create_dir_all(folder.join("notes"))?;
    let mut dice = Dice::counter(bytes, 0);
    let mut total = 0;
    let mut write = |path: PathBuf, length: u64| -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(fs::File::create(path)?);
        let mut block = vec![0_u8; 1 << 16];
        let mut left = length;
        while left > 0 {
            dice.fill(&mut block);
            let take = left.min(block.len() as u64);
            file.write_all(&block[..usize::try_from(take).unwrap_or(0)])?;
            left -= take;
        }
        total += length;
        file.flush()
    };
    let small = 20_u64;
    write(folder.join("film.bin"), bytes.saturating_sub(small * 3000))?;
    write(folder.join("empty"), 0)?;
    write(folder.join("notes").join("größe — 大きさ.txt"), 5)?;
    for number in 0..small {
        write(folder.join("notes").join(format!("{number:02}.txt")), 3000 - number)?;
    }
    let files = usize::try_from(small).unwrap_or(0) + 3;
    Ok((files, total))
}

/// Fails with the first difference.
fn same_folder(left: &Path, right: &Path, below: &Path) -> Result<(), Problem> {
    let trouble = |path: &Path, wrong: std::io::Error| Problem::new(format!("{}: {}", path.display(), plain(&wrong)));
    let here = left.join(below);
    for entry in fs::read_dir(&here).map_err(|wrong| trouble(&here, wrong))? {
        let entry = entry.map_err(|wrong| trouble(&here, wrong))?;
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            same_folder(left, right, &name)?;
        } else {
            let (original, copy) = (left.join(&name), right.join(&name));
            let same = same_file(&original, &copy).map_err(|wrong| trouble(&copy, wrong))?;
            if !same {
                return Err(Problem::new(format!("{} differs from {}", copy.display(), original.display())));
            }
        }
    }
    Ok(())
}

fn same_file(left: &Path, right: &Path) -> std::io::Result<bool> {
    const ROW_BYTES: u64 = 1 << 20;
    let (left, right) = (fs::File::open(left)?, fs::File::open(right)?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        ours.clear();
        theirs.clear();
        (&left).take(ROW_BYTES).read_to_end(&mut ours)?;
        (&right).take(ROW_BYTES).read_to_end(&mut theirs)?;
        if ours != theirs {
            return Ok(false);
        }
        if ours.is_empty() {
            return Ok(true);
        }
    }
}
