//! Making, showing and checking .torrent files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hexad_api::{CheckReport, CreateRequest, FileLine, Problem, TorrentSummary, Torrents};
use hexad_bittorrent::wire::metainfo::{Metainfo, MetainfoBuilder};
use hexad_content::{Ranges, safe_names};

use crate::source::read_torrent;

/// Needs no network.
pub(crate) struct Desk;

/// A .torrent that was made, and where its files stand.
pub(crate) struct Made {
    pub(crate) metainfo: Metainfo,
    pub(crate) paths: Vec<Option<PathBuf>>,
}

/// What a check found, and where the files stand.
pub(crate) struct Checked {
    pub(crate) report: CheckReport,
    pub(crate) paths: Vec<Option<PathBuf>>,
}

impl Torrents for Desk {
    fn create_torrent(&self, request: CreateRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<TorrentSummary, Problem> {
        if request.out.exists() && !request.force {
            return Err(Problem::new(format!("{} is already there", request.out.display()))
                .hint("write over it with --force, or choose another name with -o"));
        }
        let made = make(&request, progress)?;
        fs::write(&request.out, made.metainfo.encode()).map_err(|wrong| Problem::new(format!("{}: {wrong}", request.out.display())))?;
        Ok(summary(&made.metainfo))
    }

    fn show_torrent(&self, torrent: &Path) -> Result<TorrentSummary, Problem> {
        Ok(summary(&read(torrent)?))
    }

    fn check_torrent(&self, torrent: &Path, data: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<CheckReport, Problem> {
        Ok(check(&read(torrent)?, data, progress)?.report)
    }
}

/// Reads a .torrent.
pub(crate) fn read(path: &Path) -> Result<Metainfo, Problem> {
    Metainfo::parse(&read_torrent(path)?)
        .map_err(|wrong| Problem::new(format!("{}: {wrong}", path.display())).hint("is this a .torrent file?"))
}

/// Hashes files and describes them.
pub(crate) fn make(request: &CreateRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Made, Problem> {
    let trouble = |wrong: hexad_library::ShareError| {
        let problem = Problem::new(wrong.to_string());
        match wrong.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    };
    let scanned = hexad_library::scan(&request.path).map_err(trouble)?;
    let total = scanned.layout.total_bytes();
    let piece_bytes = match request.piece_bytes {
        Some(bytes) if !bytes.is_power_of_two() || !(16 << 10..=64 << 20).contains(&bytes) => {
            return Err(Problem::new(format!("expected a piece length that is a power of two from 16 KiB to 64 MiB, came {bytes}")));
        }
        Some(bytes) => bytes,
        None => hexad_library::piece_bytes_for(total),
    };
    let hashes = hexad_library::hash_pieces(&scanned.layout, &scanned.paths, piece_bytes, progress).map_err(trouble)?;
    let builder = MetainfoBuilder {
        private: request.private,
        source: request.source.clone(),
        tiers: request.tiers.clone(),
        web_seeds: request.web_seeds.clone(),
        comment: request.comment.clone(),
        creation_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()),
        ..MetainfoBuilder::new(scanned.layout, piece_bytes, hashes)
    };
    let metainfo = builder.build().map_err(|wrong| Problem::new(format!("{}: {wrong}", request.path.display())))?;
    Ok(Made { metainfo, paths: scanned.paths })
}

/// Compares the files below `data` with a .torrent.
pub(crate) fn check(metainfo: &Metainfo, data: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Checked, Problem> {
    let layout = metainfo.info.layout.clone();
    let names = safe_names(&layout);
    let paths: Vec<Option<PathBuf>> =
        names.paths.iter().map(|path| path.as_ref().map(|elements| data.join(elements.iter().collect::<PathBuf>()))).collect();
    let proof = metainfo.info.proof();
    let all = Ranges::of(0..layout.total_bytes());
    let good = hexad_library::check_pieces(&layout, &paths, &proof, &all, progress).map_err(|wrong| Problem::new(wrong.to_string()))?;
    let mut incomplete = Vec::new();
    for (index, file) in layout.files().iter().enumerate().filter(|(_, file)| !file.padding) {
        let right_length =
            paths[index].as_ref().is_some_and(|path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == file.length));
        let good_bytes = good.within(layout.file_range(index)).total();
        if !right_length || good_bytes < file.length {
            incomplete.push(FileLine { index, path: file.path.join("/"), bytes: good_bytes });
        }
    }
    let good_pieces = (0..proof.part_count()).filter(|&part| good.covers(proof.part_range(part))).count();
    let report = CheckReport {
        name: layout.name().to_owned(),
        good_bytes: good.total(),
        total_bytes: layout.total_bytes(),
        good_pieces,
        pieces: proof.part_count(),
        incomplete,
    };
    Ok(Checked { report, paths })
}

fn summary(metainfo: &Metainfo) -> TorrentSummary {
    let layout = &metainfo.info.layout;
    let files = layout.files().iter().enumerate().filter(|(_, file)| !file.padding);
    TorrentSummary {
        name: layout.name().to_owned(),
        info_hash: hexad_content::Sha1Digest(metainfo.info.info_hash).to_string(),
        total_bytes: layout.total_bytes(),
        piece_bytes: metainfo.info.piece_bytes,
        pieces: metainfo.info.hashes.len(),
        files: files.map(|(index, file)| FileLine { index, path: file.path.join("/"), bytes: file.length }).collect(),
        tiers: metainfo.tiers.clone(),
        web_seeds: metainfo.web_seeds.clone(),
        private: metainfo.info.private,
        comment: metainfo.comment.clone(),
        created_by: metainfo.created_by.clone(),
        creation_unix_s: metainfo.creation_unix_s,
        source: metainfo.info.source.clone(),
        magnet: metainfo.magnet().to_string(),
    }
}
