//! Runs the built `hexad` as a user would.

#![allow(dead_code, reason = "each test file uses some of this")]

pub mod scene;
pub mod web;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use hexad_core::Dice;

/// Everybody waits this long at most for what is next.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// `hexad` with a home of its own, so that nothing of the machine's user is read or written.
pub fn hexad(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hexad"));
    command
        .env("HOME", home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("COLUMNS", "100")
        .env_remove("RUST_LOG")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("HEXAD_CONFIG")
        .env_remove("HEXAD_DAEMON")
        .env_remove("HEXAD_TOKEN")
        // Nothing listens beyond this machine.
        .env("HEXAD_LISTEN", "127.0.0.1:0");
    command.current_dir(home).stdin(Stdio::null());
    command
}

/// What a finished command said.
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

/// Runs to the end.
pub fn run<S: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = S>) -> Said {
    said(hexad(home).args(arguments))
}

/// What a command says, run to its end.
pub fn said(command: &mut Command) -> Said {
    let output = command.output().expect("hexad starts");
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running command whose JSON lines are read; killed when dropped.
pub struct Running {
    pub child: Child,
    lines: Receiver<String>,
    pub seen: Vec<String>,
}

/// Starts a command that prints JSON lines.
pub fn start<S: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = S>) -> Running {
    let mut child = hexad(home).args(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("hexad starts");
    let out: ChildStdout = child.stdout.take().expect("stdout is piped");
    let (to, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                break;
            }
        }
    });
    Running { child, lines, seen: Vec::new() }
}

impl Running {
    /// The next line of that event, whole; panics when it does not come in time.
    pub fn await_event(&mut self, event: &str) -> String {
        self.await_line(event, |line| line.contains(&format!("\"event\":\"{event}\"")))
    }

    /// The next line that `wanted` accepts.
    pub fn await_line(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("'{what}' did not come; heard:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Where it listens for what `purpose` says.
    pub fn address(&mut self, purpose: &str) -> SocketAddr {
        let [address] = self.addresses([purpose]);
        address
    }

    /// Where it listens for each of these; they may be said in any order.
    pub fn addresses<const N: usize>(&mut self, purposes: [&str; N]) -> [SocketAddr; N] {
        let mut found = [None; N];
        while found.iter().any(Option::is_none) {
            let is_one = |line: &str| purposes.iter().position(|purpose| line.contains(&format!("\"purpose\":\"{purpose}\"")));
            let line = self.await_line(&purposes.join(", "), |line| line.contains("\"listening\"") && is_one(line).is_some());
            if let Some(at) = is_one(&line) {
                found[at] = Some(text(&line, "address").parse().expect("an address"));
            }
        }
        found.map(|address| address.expect("all were said"))
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is still there");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end; whether the exit status was 0.
    pub fn finish(&mut self) -> bool {
        let until = Instant::now() + DEADLINE;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A number in a JSON line.
pub fn number(line: &str, key: &str) -> u64 {
    let from = line.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {line}")) + key.len() + 3;
    line[from..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

/// A text in a JSON line, as it stands there.
pub fn text<'a>(line: &'a str, key: &str) -> &'a str {
    let from = line.find(&format!("\"{key}\":\"")).unwrap_or_else(|| panic!("no {key} in {line}")) + key.len() + 4;
    line[from..].split('"').next().unwrap_or_default()
}

/// A file of reproducible bytes.
pub fn write_file(path: &Path, seed: u64, bytes: u64) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("a folder");
    }
    let mut file = std::io::BufWriter::new(fs::File::create(path).expect("a file"));
    let mut dice = Dice::counter(seed, 0);
    let mut block = vec![0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        dice.fill(&mut block);
        let take = left.min(block.len() as u64) as usize;
        file.write_all(&block[..take]).expect("written");
        left -= take as u64;
    }
    file.flush().expect("written");
}

/// All files below `folder` with their bytes, by relative path; our own working folder left out.
pub fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if entry.file_name() != ".hexad" {
                    left.push(path);
                }
            } else {
                files.push((path.strip_prefix(folder).expect("below").to_owned(), fs::read(&path).expect("readable")));
            }
        }
    }
    files.sort();
    files
}

/// The switches that keep a test to itself.
pub const ALONE: [&str; 3] = ["--no-dht", "--no-lsd", "--no-pex"];
