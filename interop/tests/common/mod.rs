//! One transfer between two programs, as all these tests do it: made, moved, compared byte by byte.

use anyhow::{Context, Result, bail};
use hexad_interop::{Client, Crypto, Hexad, Link, Process, Program, Scene, Torrent, Version, have, start_opentracker};
use std::net::SocketAddrV4;
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(90);

/// How the two find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test file uses some")]
pub enum Via {
    Dialling,
    OurTracker(&'static str),
    Opentracker(&'static str),
}

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test file uses some")]
pub enum Payload {
    /// One file of so many bytes.
    Bytes(u64),
    /// A folder with odd names.
    Folder,
    /// One file of so many bytes, described for BitTorrent v2 by libtorrent.
    BytesFor(Version, u64),
    /// The folder, described so.
    FolderFor(Version),
}

/// What is moved, between whom, and how.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub seed: (Program, Crypto),
    pub leech: (Program, Crypto),
    pub link: Link,
    pub via: Via,
    pub payload: Payload,
}

impl Case {
    fn needs(&self) -> Vec<&'static str> {
        let tracker: &[&str] = if matches!(self.via, Via::Opentracker(_)) { &["opentracker"] } else { &[] };
        [self.seed.0.needs(), self.leech.0.needs(), tracker].concat()
    }

    fn spell(&self) -> String {
        format!(
            "{} {:?} -> {} {:?}, {:?}, {:?}, {:?}",
            self.seed.0, self.seed.1, self.leech.0, self.leech.1, self.link, self.via, self.payload
        )
    }

    /// Runs it.
    pub fn run(&self) -> Result<()> {
        let scene = Scene::new()?;
        scene.explain(self.play(&scene)).with_context(|| self.spell())
    }

    fn play(&self, scene: &Scene) -> Result<()> {
        let at = SocketAddrV4::new(scene.net.address(), 6969);
        let announce = match self.via {
            Via::Dialling => vec![],
            Via::OurTracker(scheme) | Via::Opentracker(scheme) => vec![format!("{scheme}://{at}/announce")],
        };
        let torrent = match self.payload {
            Payload::Bytes(bytes) => scene.torrent(bytes, 256 << 10, &announce)?,
            Payload::Folder => scene.folder_torrent(256 << 10, &announce)?,
            Payload::BytesFor(version, bytes) => {
                Torrent::make_v2(&scene.file(bytes)?, &scene.path("payload.torrent"), 256 << 10, &announce, version)?
            }
            Payload::FolderFor(version) => {
                Torrent::make_v2(&scene.folder(256 << 10)?, &scene.path("payload.torrent"), 256 << 10, &announce, version)?
            }
        };
        let _tracker: Option<Process> = match self.via {
            Via::Dialling => None,
            Via::OurTracker(_) => Some(Hexad::tracker(&scene.net, at, &scene.path(""))?),
            Via::Opentracker(_) => Some(start_opentracker(&scene.net, at, &[&torrent.info_hash], &scene.path(""))?),
        };
        let (mut seed, mut leech) = (scene.seed(&torrent), scene.leech("leech", &torrent));
        (seed.crypto, leech.crypto, leech.link) = (self.seed.1, self.leech.1, self.link);
        leech.makes_empty_files = self.leech.0 != Program::Transmission;
        let mut clients: Vec<Box<dyn Client>> = Vec::new();
        let mut leecher = if self.via == Via::Dialling && !dials(self.leech.0) {
            if !dials(self.seed.0) {
                bail!("neither can be told whom to dial");
            }
            let leecher = self.leech.0.leech(&leech)?;
            seed.peers = vec![leech.at];
            clients.push(self.seed.0.seed(&seed)?);
            leecher
        } else {
            clients.push(self.seed.0.seed(&seed)?);
            if self.via == Via::Dialling {
                leech.peers = vec![seed.at];
            }
            self.leech.0.leech(&leech)?
        };
        let taken = leecher.complete(PATIENCE).map_err(|error| clients.iter_mut().fold(error, died))?;
        scene.arrived(&torrent, &leech)?;
        eprintln!("{:5.1} s  {}", taken.as_secs_f64(), self.spell());
        Ok(())
    }
}

/// Says as well whether `client` has ended, which it was not to.
fn died(error: anyhow::Error, client: &mut Box<dyn Client>) -> anyhow::Error {
    match client.process().ended() {
        Ok(Some((status, after))) => {
            error.context(format!("the other end has ended by itself, with {status}, {:.1} s after its start", after.as_secs_f64()))
        }
        Ok(None) => error,
        Err(unknown) => error.context(unknown),
    }
}

fn dials(program: Program) -> bool {
    matches!(program, Program::Libtorrent | Program::Hexad)
}

/// Runs all cases at once (they mostly wait) and fails with every failure there is.
pub fn together(cases: &[Case]) {
    let needs: Vec<&str> = cases.iter().flat_map(Case::needs).collect();
    if !have(&needs) {
        return;
    }
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|case| scope.spawn(|| case.run())).collect();
        let outcomes = running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("the case panicked")));
        outcomes.filter_map(Result::err).map(|error| format!("{error:#}")).collect()
    });
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n════\n"));
}
