//! A server in this process, and clients that are nothing but a socket.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hexad_core::{OpId, Operation, Progress};
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent};
use hexad_driver::{Catalogue, Nothing};
use hexad_napster::{Napster, Reply, Request, ServerConfig, SharedConfig};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server.
pub struct House {
    handle: Handle<Napster>,
    pub address: SocketAddr,
}

impl House {
    pub fn new(catalogue: Arc<dyn Catalogue>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = ServerConfig {
            listen,
            shared: Some(SharedConfig::default()),
            searches_per_minute: 0,
            statistics_every: None,
            ..ServerConfig::default()
        };
        let host = HostConfig { catalogue: Some(catalogue), ..HostConfig::default() };
        let (handle, mut events) = Host::<Napster>::start(server.into(), host, Arc::new(Nothing), Arc::new(Nothing));
        handle.start(OpId(1), Operation::Own(Request::Serve));
        let address = loop {
            match events.blocking_recv().expect("the host runs") {
                HostEvent::Report(_, Progress::Own(Reply::Serving(address))) => break address,
                HostEvent::Report(_, Progress::Failed(failure)) => panic!("cannot serve: {failure}"),
                _ => {}
            }
        };
        Self { handle, address }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

/// A client.
pub struct Bare {
    stream: TcpStream,
}

impl Bare {
    pub fn joined(address: SocketAddr, nick: &str, port: u16) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bare = Self { stream };
        bare.say(2, &format!("{nick} guest {port} \"bare 1\" 4"));
        bare.hears(3);
        bare.hears(214);
        bare
    }

    pub fn say(&mut self, number: u16, data: &str) {
        let mut out = u16::try_from(data.len()).unwrap().to_le_bytes().to_vec();
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(data.as_bytes());
        self.stream.write_all(&out).unwrap();
    }

    fn hear(&mut self) -> Option<(u16, String)> {
        let mut head = [0; 4];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => return None,
            Err(error) => panic!("{error}"),
        }
        let mut data = vec![0; usize::from(u16::from_le_bytes([head[0], head[1]]))];
        self.stream.read_exact(&mut data).ok()?;
        Some((u16::from_le_bytes([head[2], head[3]]), String::from_utf8_lossy(&data).into_owned()))
    }

    /// The first message of that number.
    pub fn hears(&mut self, number: u16) -> String {
        loop {
            let (came, data) = self.hear().unwrap_or_else(|| panic!("the connection ended before a {number} came"));
            if came == number {
                return data;
            }
        }
    }

    /// Until the server closes.
    pub fn hears_out(&mut self) {
        while self.hear().is_some() {}
    }

    /// The answers to a search.
    pub fn asks(&mut self, search: &str) -> Vec<String> {
        self.say(200, search);
        let mut answers = Vec::new();
        loop {
            match self.hear().expect("an answer") {
                (201, data) => answers.push(data),
                (202, _) => return answers,
                _ => {}
            }
        }
    }

    /// As [`Self::asks`], again and again until there is something: what others share takes a moment to be known.
    pub fn asks_until(&mut self, search: &str) -> Vec<String> {
        self.again(search, |answers| !answers.is_empty())
    }

    pub fn asks_until_nothing(&mut self, search: &str) {
        self.again(search, <[String]>::is_empty);
    }

    fn again(&mut self, search: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let answers = self.asks(search);
            if enough(&answers) {
                return answers;
            }
            assert!(Instant::now() < until, "asked in vain: {search}");
        }
    }
}
