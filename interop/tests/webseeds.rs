//! Web seeds (BEP 19): nobody is there but a plain web server, and all comes from it.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Result;
use hexad_interop::{Hexad, Program, Scene, Torrent, Web, have, until};

const PATIENCE: Duration = Duration::from_secs(90);
const PIECE_BYTES: u64 = 64 << 10;

/// What the server has.
#[derive(Clone, Copy, Debug)]
enum Payload {
    /// One file, whose address is the web seed's.
    File,
    /// A folder with odd names, each file of which has an address below the web seed's.
    Folder,
}

/// What `maker` has described, from the web server alone to `leech`.
fn from_the_web(maker: Program, leech: Program, payload: Payload) {
    if !have(&[maker.needs(), leech.needs(), &["python3"]].concat()) {
        return;
    }
    let scene = Scene::new().expect("a stage");
    let outcome = (|| -> Result<()> {
        let at = SocketAddrV4::new(scene.net.address(), 8080);
        let (data, url) = match payload {
            Payload::File => (scene.file(3 << 20)?, format!("http://{at}/payload.bin")),
            Payload::Folder => (scene.folder(PIECE_BYTES)?, format!("http://{at}/")),
        };
        let file = scene.path("payload.torrent");
        let torrent = match maker {
            Program::Libtorrent => Torrent::make_with_web_seeds(&data, &file, PIECE_BYTES, &[url])?,
            _ => Hexad::describe(&data, &file, PIECE_BYTES, &[url])?,
        };
        let web = Web::serve(&scene.net, at, torrent.data_folder(), &scene.path(""))?;
        let mut job = scene.leech("leech", &torrent);
        job.makes_empty_files = leech != Program::Transmission;
        leech.leech(&job)?.complete(PATIENCE)?;
        scene.arrived(&torrent, &job)?;
        let whole = match payload {
            Payload::File => 3 << 20,
            Payload::Folder => 4 * PIECE_BYTES,
        };
        // The server says what it has given once it has been taken.
        let (of_parts, of_wholes) = until(PATIENCE, &format!("{whole} bytes that came from the web"), || {
            let (of_parts, of_wholes) = web.sent_bytes();
            Ok((of_parts + of_wholes >= whole).then_some((of_parts, of_wholes)))
        })?;
        eprintln!("{maker} -> {leech}, {payload:?}: {of_parts} bytes by ranges, {of_wholes} in whole files, of at least {whole}");
        Ok(())
    })();
    scene.explain(outcome).unwrap_or_else(|error| panic!("{maker} -> {leech}, {payload:?}: {error:#}"));
}

#[test]
fn libtorrent_fetches_from_the_web_what_hexad_has_described() {
    from_the_web(Program::Hexad, Program::Libtorrent, Payload::File);
    from_the_web(Program::Hexad, Program::Libtorrent, Payload::Folder);
}

#[test]
fn aria2_fetches_from_the_web_what_hexad_has_described() {
    from_the_web(Program::Hexad, Program::Aria2, Payload::File);
    from_the_web(Program::Hexad, Program::Aria2, Payload::Folder);
}

#[test]
fn transmission_fetches_from_the_web_what_hexad_has_described() {
    from_the_web(Program::Hexad, Program::Transmission, Payload::File);
    from_the_web(Program::Hexad, Program::Transmission, Payload::Folder);
}

#[test]
fn hexad_fetches_from_the_web_what_libtorrent_has_described() {
    from_the_web(Program::Libtorrent, Program::Hexad, Payload::File);
    from_the_web(Program::Libtorrent, Program::Hexad, Payload::Folder);
}
