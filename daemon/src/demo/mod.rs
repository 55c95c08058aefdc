//! `hexad demo`: a small network of each kind on loopback moves the same real folder, then all of them at once one file of it.

mod bittorrent;
mod chord;
mod freenet;
mod gnutella;
mod kazaa;
mod merged;
mod napster;

use std::fs;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hexad_api::{
    Event, FetchRequest, JoinRequest, NetworkSettings, Problem, PublishRequest, SearchRequest, Selection, Session as _, Settings, Task,
};
use hexad_core::Dice;

use crate::session::LocalSession;
use crate::source::plain;

/// Everybody waits this long at most for what is next.
const DEADLINE: Duration = Duration::from_secs(120);

/// Moves a folder of `size_mib` MiB through each network on loopback, below the empty folder `scratch`, then one file of it through all of them at
/// once, and writes one line for each to `out`.
///
/// # Errors
/// When anything went wrong.
pub fn demo(size_mib: u64, scratch: &Path, out: &mut dyn Write) -> Result<(), Problem> {
    let data = scratch.join("published");
    let (files, bytes) = write_folder(&data.join(FOLDER), size_mib << 20)
        .map_err(|wrong| Problem::new(format!("{}: {}", data.display(), plain(&wrong))).hint("make room, or ask for less with --size"))?;
    let folder = Folder { data, files, bytes };
    let demos: [(&str, Demo); 7] = [
        ("bittorrent", bittorrent::run),
        ("napster", napster::run),
        ("gnutella", gnutella::run),
        ("kazaa", kazaa::run),
        ("chord", chord::run),
        ("freenet", freenet::run),
        ("merged", merged::run),
    ];
    for (network, run) in demos {
        let below = scratch.join(network);
        let told = run(&below, &folder).map_err(|problem| Problem { message: format!("{network}: {}", problem.message), ..problem })?;
        writeln!(out, "{network:<12} {told}   ok").map_err(|wrong| Problem::new(format!("stdout: {wrong}")))?;
        // Whoever has little room has it again for the next.
        let _ = fs::remove_dir_all(&below);
    }
    Ok(())
}

/// Moves the folder through one network, below a folder that need not be there yet, and tells of it.
type Demo = fn(&Path, &Folder) -> Result<String, Problem>;

/// Name of the folder that is moved.
const FOLDER: &str = "album";

/// What is moved.
struct Folder {
    /// Where it stands, in its parent.
    data: PathBuf,
    files: usize,
    bytes: u64,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.data.join(FOLDER)
    }

    /// What was moved to `copies`, since `began`.
    fn told(&self, copies: usize, began: Instant) -> String {
        let seconds = began.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (self.bytes * copies as u64) as f64 / seconds / f64::from(1 << 20);
        let each = if copies > 1 { " to each" } else { "" };
        format!("{} files, {:.1} MiB{each} in {seconds:.2} s ({rate:.0} MiB/s in all)", self.files, mib(self.bytes))
    }

    /// Fails with the first difference between what is below `into` and what was published.
    fn arrived(&self, into: &Path) -> Result<(), Problem> {
        same_folder(&self.data, into, Path::new(FOLDER))
    }
}

/// A session on one network that keeps nothing, the task that takes part, and the address that others are told.
fn joined(network: NetworkSettings) -> Result<(LocalSession, Task, String), Problem> {
    let name = network.name();
    let session = LocalSession::open(&Settings { networks: vec![network], ..Settings::default() })?;
    let task = session.join(JoinRequest { network: name.to_owned() })?;
    let listening = await_event(&task, "a network to be joined", |event| matches!(event, Event::Listening { .. }))?;
    let Event::Listening { address, .. } = listening else { return Err(Problem::new(format!("{name} does not say where it listens"))) };
    await_event(&task, "a network to be joined", |event| matches!(event, Event::Joined { .. }))?;
    Ok((session, task, address))
}

/// Offers the folder.
fn published(session: &LocalSession, folder: &Folder) -> Result<Task, Problem> {
    let task = session.publish(PublishRequest { paths: vec![folder.path()], ..PublishRequest::default() })?;
    await_event(&task, "the folder to be published", |event| matches!(event, Event::Seeding { .. }))?;
    Ok(task)
}

/// The link to the first result of a search.
fn found(session: &LocalSession, word: &str) -> Result<String, Problem> {
    let request = SearchRequest { words: vec![word.to_owned()], on: Vec::new(), results_max: 10, timeout_s: DEADLINE.as_secs() };
    let task = session.search(request)?;
    match await_event(&task, "a search", |event| matches!(event, Event::Found { .. }))? {
        Event::Found { link, .. } => Ok(link),
        _ => Err(Problem::new(format!("a search for '{word}' finds nothing"))),
    }
}

/// Fetches what a link leads to.
fn fetched(session: &LocalSession, link: String, into: &Path) -> Result<(), Problem> {
    let request = FetchRequest {
        source: link,
        on: Vec::new(),
        into: into.to_owned(),
        peers: Vec::new(),
        select: Selection::default(),
        seed: false,
        how: hexad_api::How::default(),
    };
    let task = session.fetch(request)?;
    await_event(&task, "a fetch", |event| matches!(event, Event::Complete { .. })).map(drop)
}

/// The next event of a task that is `wanted`.
fn await_event(task: &Task, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event, Problem> {
    let until = Instant::now() + DEADLINE;
    loop {
        match task.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(event) if wanted(&event) => return Ok(event),
            Ok(Event::Failed { message, hint }) => return Err(Problem { hint, ..Problem::new(message) }),
            Ok(_) => {}
            Err(_) => return Err(Problem::new(format!("waited {} s in vain for {what}", DEADLINE.as_secs()))),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
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
