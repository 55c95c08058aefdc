//! Times Freenet as a program that speaks FCP meets it: five nodes of the release build on loopback, each a process of its own, and one node whose
//! store of 10 GiB is full. Run by `cargo xtask bench freenet`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hexad_core::{Dice, Payload};
use hexad_freenet::fcp::{Codec, Message};
use hexad_freenet::keys::{Block, NodeKey};
use hexad_freenet::node::{Shelf, Store};
use redb::{Database, TableDefinition};

const PATIENCE: Duration = Duration::from_secs(120);
const NODES: usize = 5;
const SMALL_BYTES: usize = 31;
const LARGE_BYTES: usize = 20 << 20;
const SMALL_ROUNDS: usize = 20;
const LARGE_ROUNDS: usize = 3;
const STORE_BYTES: u64 = 10 << 30;
/// Blocks of a store of 10 GiB.
const STORE_BLOCKS: usize = 327_680;

/// A process, and where it is reached.
struct Node {
    child: Child,
    fcp: String,
    network: String,
    /// From the start of the process until it had joined.
    took: Duration,
}

impl Node {
    fn start(hexad: &Path, state: &Path, bootstrap: Option<&str>, store_bytes: u64) -> Self {
        let began = Instant::now();
        let mut command = Command::new(hexad);
        command.args(["serve", "fcp", "--json", "--fcp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
        command.args(["--store-size", &store_bytes.to_string(), "--state"]).arg(state);
        command.args(bootstrap.iter().flat_map(|bootstrap| ["--bootstrap", bootstrap]));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let (mut fcp, mut network, mut joined) = (String::new(), String::new(), false);
        while fcp.is_empty() || network.is_empty() || !joined {
            let line = lines.next().expect("the node goes on").expect("it writes UTF-8");
            let event: serde_json::Value = serde_json::from_str(&line).expect("it writes JSON");
            let address = || event["address"].as_str().unwrap_or_default().to_owned();
            match (event["event"].as_str(), event["purpose"].as_str()) {
                (Some("listening"), Some("fcp")) => fcp = address(),
                (Some("listening"), Some("network")) => network = address(),
                (Some("joined"), _) => joined = true,
                _ => {}
            }
        }
        // Somebody has to read what it says.
        let _reader = std::thread::Builder::new().spawn(move || lines.for_each(drop)).expect("a thread starts");
        Self { child, fcp, network, took: began.elapsed() }
    }

    /// Its resident memory, bytes.
    fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that speaks FCP to a node.
struct Program {
    stream: TcpStream,
    codec: Codec,
    input: BytesMut,
    requests: u64,
}

impl Program {
    fn greets(node: &Node) -> Self {
        let stream = TcpStream::connect(&node.fcp).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has deadlines");
        stream.set_nodelay(true).expect("a socket sends at once");
        let mut program = Self { stream, codec: Codec::default(), input: BytesMut::new(), requests: 0 };
        program.says("ClientHello\nName=load\nExpectedVersion=2.0\nEndMessage\n", b"");
        program.hears("NodeHello");
        program
    }

    fn says(&mut self, text: &str, data: &[u8]) {
        self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.write_all(data)).expect("it listens");
    }

    fn hears(&mut self, name: &str) -> Message {
        loop {
            while let Some(message) = self.codec.decode(&mut self.input).expect("it can be read") {
                assert!(!message.name.ends_with("Failed") && message.name != "ProtocolError", "{message:?}");
                if message.name == name {
                    return message;
                }
            }
            let mut chunk = vec![0; 1 << 18];
            let count = self.stream.read(&mut chunk).expect("it answers in time");
            assert!(count > 0, "it does not hang up");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    fn put(&mut self, content: &[u8]) -> (String, Duration) {
        self.requests += 1;
        let began = Instant::now();
        self.says(&format!("ClientPut\nURI=CHK@\nIdentifier=p{}\nDataLength={}\nData\n", self.requests, content.len()), content);
        let put = self.hears("PutSuccessful");
        (put.field("URI").expect("it has a key").to_owned(), began.elapsed())
    }

    fn get(&mut self, uri: &str) -> (Bytes, Duration) {
        self.requests += 1;
        let began = Instant::now();
        self.says(&format!("ClientGet\nURI={uri}\nIdentifier=g{}\nReturnType=direct\nEndMessage\n", self.requests), b"");
        (self.hears("AllData").data.unwrap_or_default(), began.elapsed())
    }
}

/// Content that no store has seen.
fn content(dice: &mut Dice, length: usize) -> Vec<u8> {
    let mut content: Vec<u8> = (0..length.div_ceil(32)).flat_map(|_| dice.bytes::<32>()).collect();
    content.truncate(length);
    content
}

fn row(what: &str, target: &str, measured: &str) {
    println!("| {what} | {target} | {measured} |");
}

fn times(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let [median, most] = [times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64());
    format!("median {median:.3} s, longest {most:.3} s of {}", times.len())
}

/// Puts at one node and gets at the last of them, `rounds` times.
fn exchange(dice: &mut Dice, nodes: &[Node], length: usize, rounds: usize) -> [String; 2] {
    let (mut putter, mut getter) = (Program::greets(&nodes[1]), Program::greets(&nodes[nodes.len() - 1]));
    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let sent = content(dice, length);
        let (uri, took) = putter.put(&sent);
        puts.push(took);
        let (got, took) = getter.get(&uri);
        gets.push(took);
        assert!(got == sent, "what was put is what comes");
    }
    [times(puts), times(gets)]
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Writes the index of a store in which every place is taken into the state of a node that has run before.
fn fill(state: &Path) -> PathBuf {
    let file = state.join("freenet").join("state.redb");
    let database = Database::open(&file).expect("a node has run here");
    let mut store = Store::new(STORE_BLOCKS / 2, STORE_BLOCKS / 2, true);
    let mut dice = Dice::counter(3, 3);
    for shelf in [Shelf::Store, Shelf::Cache] {
        for _ in 0..STORE_BLOCKS / 2 {
            let key = NodeKey::Chk(dice.bytes());
            // The blocks themselves are not loaded, and 10 GiB of them would measure the disk.
            let _block = store.put(shelf, &Block { key, header: Bytes::new(), data: Payload::Bytes(Bytes::new()) });
        }
    }
    let writes = database.begin_write().expect("nobody else writes");
    // A node that was killed at once may not have written the salt without which it does not look for an index.
    let mut pages = store.flush();
    pages.push((pages[0].0, b"salt".to_vec(), Bytes::copy_from_slice(&[7; 32])));
    for (bucket, key, value) in pages {
        let mut table = writes.open_table(TableDefinition::<&[u8], &[u8]>::new(bucket)).expect("a table opens");
        table.insert(key.as_slice(), value.as_ref()).expect("there is room");
    }
    writes.commit().expect("there is room");
    file
}

fn full_store(hexad: &Path, state: &Path) {
    drop(Node::start(hexad, state, None, STORE_BYTES));
    let file = fill(state);
    let node = Node::start(hexad, state, None, STORE_BYTES);
    row("start of a node with a full store of 10 GiB", "< 1 s", &format!("{:.3} s", node.took.as_secs_f64()));
    row("its memory, the index of 327,680 blocks loaded", "< 60 MB", &megabytes(node.memory_bytes()));
    eprintln!("freenet_load: the index took {}", megabytes(file.metadata().map_or(0, |file| file.len())));
}

fn main() {
    let hexad = PathBuf::from(std::env::args_os().nth(1).expect("usage: freenet_load PATH-OF-HEXAD"));
    let folder = tempfile::tempdir().expect("a folder for the nodes");
    println!("| what | target | measured |");
    println!("|---|---|---|");
    full_store(&hexad, &folder.path().join("full"));
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..NODES {
        let bootstrap = nodes.first().map(|node| node.network.clone());
        nodes.push(Node::start(&hexad, &folder.path().join(number.to_string()), bootstrap.as_deref(), 1 << 30));
    }
    let mut dice = Dice::counter(4, 4);
    let [put, get] = exchange(&mut dice, &nodes, SMALL_BYTES, SMALL_ROUNDS);
    row("put 31 bytes", "< 1 s", &put);
    row("get 31 bytes at another node", "< 0.3 s", &get);
    let [put, get] = exchange(&mut dice, &nodes, LARGE_BYTES, LARGE_ROUNDS);
    row("put 20 MiB", "< 20 s", &put);
    row("get 20 MiB at another node", "< 5 s", &get);
    let most = nodes.iter().map(Node::memory_bytes).max().unwrap_or(0);
    row("memory of a node after that, the largest of five", "", &megabytes(most));
}
