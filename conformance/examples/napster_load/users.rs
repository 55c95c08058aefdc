//! Users of the server: those who only share, and those who search as fast as they are answered, or at a given rate.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::fd::OwnedFd;

use crate::names::Names;

const LOGIN_ACK: u16 = 3;
const SEARCH_RESULT: u16 = 201;
const SEARCH_END: u16 = 202;
const PING: u16 = 750;

fn frame(out: &mut Vec<u8>, number: u16, data: &[u8]) {
    out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(data);
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// One user.
pub struct User {
    stream: TcpStream,
    /// What has come of a message that is not complete.
    rest: Vec<u8>,
}

impl User {
    pub fn log_in(address: SocketAddr, nick: &str) -> io::Result<Self> {
        let mut user = Self { stream: connect(address)?, rest: Vec::new() };
        let mut out = Vec::new();
        frame(&mut out, 2, format!("{nick} guest 6699 \"bench 1\" 8").as_bytes());
        user.stream.write_all(&out)?;
        user.await_number(LOGIN_ACK)?;
        Ok(user)
    }

    /// Shares a library, and returns when the server knows it.
    pub fn share(&mut self, library: &[u8]) -> io::Result<()> {
        self.stream.write_all(library)?;
        self.await_number(PING)
    }

    /// How long one search takes.
    pub fn search(&mut self, search: &str) -> io::Result<Duration> {
        let mut out = Vec::new();
        frame(&mut out, 200, search.as_bytes());
        let began = Instant::now();
        self.stream.write_all(&out)?;
        self.await_number(SEARCH_END)?;
        Ok(began.elapsed())
    }

    fn await_number(&mut self, wanted: u16) -> io::Result<()> {
        let mut chunk = [0; 4096];
        loop {
            let mut found = false;
            take_frames(&mut self.rest, |number| found |= number == wanted);
            if found {
                return Ok(());
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.rest.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

/// The messages that share the library of that user: so many files, and a ping that is answered when all are known.
pub fn library(number: usize, files: usize, names: &mut Names) -> Vec<u8> {
    let mut out = Vec::new();
    for file in 0..files {
        let path = names.path(number * 1000 + file);
        let hash = (number as u128) << 64 | file as u128 | 0x1234_5678 << 96;
        let size = 3_000_000 + 1000 * (file % 900);
        frame(&mut out, 100, format!("\"{path}\" {hash:032x} {size} 128 44100 {}", 180 + file % 100).as_bytes());
    }
    frame(&mut out, PING, b"");
    out
}

/// Takes the complete messages out of `rest`.
fn take_frames(rest: &mut Vec<u8>, mut take: impl FnMut(u16)) {
    let mut at = 0;
    while let Some(&[a, b, c, d]) = rest.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let end = at + 4 + usize::from(u16::from_le_bytes([a, b]));
        if end > rest.len() {
            break;
        }
        take(u16::from_le_bytes([c, d]));
        at = end;
    }
    rest.drain(..at);
}

/// What a run has brought.
pub struct Run {
    pub times: Vec<Duration>,
    pub answers: usize,
    pub seconds: f64,
}

struct Searcher {
    user: User,
    /// When the search that is under way should have been sent.
    since: Option<Instant>,
}

/// Users who search.
pub struct Crowd {
    epoll: OwnedFd,
    searchers: Vec<Searcher>,
    queries: Vec<Vec<u8>>,
    next: usize,
}

impl Crowd {
    pub fn new(users: Vec<User>, names: &Names) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut searchers = Vec::new();
        for (number, user) in users.into_iter().enumerate() {
            user.stream.set_nonblocking(true)?;
            epoll::add(&epoll, user.stream.as_fd(), epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            searchers.push(Searcher { user, since: None });
        }
        // Ready before, so that making them costs the measured time nothing.
        let queries = (0..names.titles.len().min(100_000))
            .map(|title| {
                let mut out = Vec::new();
                // A stride that visits titles of all users.
                frame(&mut out, 200, names.query(title.wrapping_mul(7919)).as_bytes());
                out
            })
            .collect();
        Ok(Self { epoll, searchers, queries, next: 0 })
    }

    fn send(&mut self, searcher: usize, since: Instant) -> io::Result<()> {
        let query = &self.queries[self.next % self.queries.len()];
        self.next += 1;
        let searcher = &mut self.searchers[searcher];
        searcher.since = Some(since);
        // A search is small, and the one before has been answered: the socket takes it.
        searcher.user.stream.write_all(query)
    }

    /// Waits for answers, for so long at most; calls `ended` with everybody whose search has ended, and when it should have been sent.
    fn hear(&mut self, patience: Duration, answers: &mut usize, mut ended: impl FnMut(usize, Instant)) -> io::Result<()> {
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 256];
        let timeout = rustix::event::Timespec::try_from(patience).map_err(io::Error::other)?;
        let count = epoll::wait(&self.epoll, &mut events, Some(&timeout))?;
        let mut chunk = [0; 64 << 10];
        for event in &events[..count] {
            let number = usize::try_from(event.data.u64()).unwrap_or(0);
            let Searcher { user, since } = &mut self.searchers[number];
            match user.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => user.rest.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            let mut over = false;
            take_frames(&mut user.rest, |kind| {
                *answers += usize::from(kind == SEARCH_RESULT);
                over |= kind == SEARCH_END;
            });
            if over && let Some(since) = since.take() {
                ended(number, since);
            }
        }
        Ok(())
    }

    /// Everybody searches again as soon as he is answered.
    pub fn at_full_speed(&mut self, span: Duration) -> io::Result<Run> {
        let began = Instant::now();
        let (mut times, mut answers, mut free) = (Vec::new(), 0, Vec::new());
        for searcher in 0..self.searchers.len() {
            self.send(searcher, began)?;
        }
        while began.elapsed() < span {
            self.hear(Duration::from_millis(100), &mut answers, |searcher, since| {
                times.push(since.elapsed());
                free.push(searcher);
            })?;
            let now = Instant::now();
            for searcher in std::mem::take(&mut free) {
                self.send(searcher, now)?;
            }
        }
        let run = Run { times, answers, seconds: began.elapsed().as_secs_f64() };
        self.settle()?;
        Ok(run)
    }

    /// So many searches a second, whoever is free; a search counts from when it was due. In the middle, `leaving` leaves.
    pub fn at_rate(&mut self, rate: f64, span: Duration, mut leaving: Option<User>) -> io::Result<Run> {
        let gap = Duration::from_secs_f64(1.0 / rate);
        let began = Instant::now();
        let (mut times, mut answers) = (Vec::new(), 0);
        let mut free: Vec<usize> = (0..self.searchers.len()).collect();
        let mut due = began;
        loop {
            let now = Instant::now();
            if now.duration_since(began) >= span {
                break;
            }
            if now.duration_since(began) >= span / 4 {
                leaving = None;
            }
            while due <= now
                && let Some(searcher) = free.pop()
            {
                self.send(searcher, due)?;
                due += gap;
            }
            // Looks at once: the next search may be due before the kernel's clock ticks.
            self.hear(Duration::ZERO, &mut answers, |searcher, since| {
                times.push(since.elapsed());
                free.push(searcher);
            })?;
        }
        drop(leaving);
        let run = Run { times, answers, seconds: began.elapsed().as_secs_f64() };
        self.settle()?;
        Ok(run)
    }

    /// Hears the answers to all that was asked.
    fn settle(&mut self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(10);
        while self.searchers.iter().any(|searcher| searcher.since.is_some()) {
            if Instant::now() > until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.hear(Duration::from_millis(100), &mut 0, |_, _| {})?;
        }
        Ok(())
    }
}
