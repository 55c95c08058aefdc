//! Making, showing and checking .torrent files.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hexad_api::{CheckReport, CreateRequest, FileLine, Problem, TorrentSummary, TorrentVersion, Torrents};
use hexad_bittorrent::wire::metainfo::{Metainfo, MetainfoBuilder, Version};
use hexad_content::{Layout, Ranges, Sha1Digest, TreeProof};
use hexad_library::{ShareError, Skipped, Work};

use crate::places::{Places, places};
use crate::source::{parse, plain, read_torrent};

/// Needs no network.
pub(crate) struct Desk;

/// A .torrent that was made, and where its files stand.
pub(crate) struct Made {
    pub(crate) metainfo: Metainfo,
    pub(crate) paths: Vec<Option<PathBuf>>,
    /// What was found and left out.
    pub(crate) left_out: Vec<String>,
}

/// What a check found, and where the files stand.
pub(crate) struct Checked {
    pub(crate) report: CheckReport,
    pub(crate) paths: Vec<Option<PathBuf>>,
}

impl Torrents for Desk {
    fn create_torrent(&self, request: CreateRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<TorrentSummary, Problem> {
        // Found out before the files are hashed, which may take long; writing looks again.
        if !request.force && fs::symlink_metadata(&request.out).is_ok() {
            return Err(is_there(&request.out));
        }
        let made = make(&request, progress)?;
        write(&request.out, &made.metainfo.encode(), request.force)?;
        Ok(TorrentSummary { left_out: made.left_out, ..summary(&made.metainfo) })
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
    parse(&path.display().to_string(), &read_torrent(path)?, "is it a .torrent file?")
}

/// Writes a .torrent as a whole or not at all, over another file only when `force`.
pub(crate) fn write(path: &Path, bytes: &[u8], force: bool) -> Result<(), Problem> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let trouble = |wrong: &io::Error| {
        let problem = Problem::new(format!("{} cannot be written: {}", path.display(), plain(wrong)));
        problem.hint(match wrong.kind() {
            io::ErrorKind::NotFound => format!("make the folder {} first, or choose another place with -o", folder.display()),
            _ => format!("choose another place with -o, or see who may write to {}", folder.display()),
        })
    };
    // What a umask leaves of this, as for any other file.
    let readable = Permissions::from_mode(0o666);
    let made = tempfile::Builder::new().prefix(".hexad-").permissions(readable).tempfile_in(folder);
    let mut file = made.map_err(|wrong| trouble(&wrong))?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(|wrong| trouble(&wrong))?;
    let written = if force { file.persist(path) } else { file.persist_noclobber(path) };
    written.map(drop).map_err(|wrong| match wrong.error.kind() {
        io::ErrorKind::AlreadyExists => is_there(path),
        _ => trouble(&wrong.error),
    })
}

pub(crate) fn is_there(path: &Path) -> Problem {
    Problem::new(format!("{} is already there", path.display())).hint("write over it with --force, or choose another name with -o")
}

/// A path that cannot be shared, in words for the user.
pub(crate) fn trouble(wrong: &ShareError) -> Problem {
    let problem = Problem::new(match wrong {
        ShareError::Io { path, source } => format!("{} cannot be read: {}", path.display(), plain(source)),
        other => other.to_string(),
    });
    match wrong.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Hashes files and describes them.
pub(crate) fn make(request: &CreateRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Made, Problem> {
    if let Some(bytes) = request.piece_bytes.filter(|bytes| !bytes.is_power_of_two() || !(16 << 10..=64 << 20).contains(bytes)) {
        return Err(Problem::new(format!("expected a piece length that is a power of two from 16 KiB to 64 MiB, came {bytes} bytes"))
            .hint("leave --piece-length away to have it chosen from the size"));
    }
    let scanned = hexad_library::scan(&request.path).map_err(|wrong| trouble(&wrong))?;
    let piece_bytes = request.piece_bytes.unwrap_or_else(|| hexad_library::piece_bytes_for(scanned.layout.total_bytes()));
    let work = Work { threads: 0, progress, cancel: None };
    let Hashed { layout, paths, hashes, trees } =
        hash(scanned.layout, scanned.paths, piece_bytes, request.version, &work).map_err(|wrong| trouble(&wrong))?;
    let builder = MetainfoBuilder {
        private: request.private,
        source: request.source.clone(),
        tiers: request.tiers.clone(),
        web_seeds: request.web_seeds.clone(),
        comment: request.comment.clone(),
        creation_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()),
        ..MetainfoBuilder::new(layout, piece_bytes, hashes).with_trees(trees, version_of(request.version))
    };
    let metainfo = builder
        .build()
        .map_err(|wrong| Problem::new(format!("{}: {wrong}", request.path.display())).hint("choose longer pieces with --piece-length"))?;
    let left_out = scanned.skipped.iter().map(|Skipped { path, reason }| format!("{}: {reason}", path.display())).collect();
    Ok(Made { metainfo, paths, left_out })
}

/// Files that were read for a .torrent.
pub(crate) struct Hashed {
    pub(crate) layout: Arc<Layout>,
    /// Where each of its files stands; `None` for padding.
    pub(crate) paths: Vec<Option<PathBuf>>,
    pub(crate) hashes: Vec<Sha1Digest>,
    pub(crate) trees: Vec<TreeProof>,
}

/// Reads the files: for a hybrid, twice.
pub(crate) fn hash(
    layout: Arc<Layout>,
    paths: Vec<Option<PathBuf>>,
    piece_bytes: u64,
    version: TorrentVersion,
    work: &Work<'_>,
) -> Result<Hashed, ShareError> {
    let Work { threads, progress, cancel } = *work;
    if version == TorrentVersion::V1 {
        let hashes = hexad_library::hash_pieces_with(&layout, &paths, piece_bytes, work)?;
        return Ok(Hashed { layout, paths, hashes, trees: Vec::new() });
    }
    // Each file begins with a piece. libtorrent pads the end of a hybrid folder as well, and never that of a single file.
    let hybrid = version == TorrentVersion::Hybrid;
    let too_long = |wrong: hexad_content::LayoutError| ShareError::TooLong { path: layout.name().into(), reason: wrong.to_string() };
    let aligned = layout.aligned(piece_bytes, hybrid && !layout.is_single()).map_err(too_long)?;
    let mut own = paths.into_iter();
    let paths: Vec<_> = aligned.files().iter().map(|file| if file.padding { None } else { own.next().flatten() }).collect();
    let rounds = if hybrid { 2 } else { 1 };
    let first = |done, total| progress(done, total * rounds);
    let trees = hexad_library::hash_trees(&aligned, &paths, piece_bytes, &Work { threads, progress: &first, cancel })?;
    let second = |done, total| progress(total + done, total * rounds);
    let hashes = match hybrid {
        true => hexad_library::hash_pieces_with(&aligned, &paths, piece_bytes, &Work { threads, progress: &second, cancel })?,
        false => Vec::new(),
    };
    Ok(Hashed { layout: Arc::new(aligned), paths, hashes, trees })
}

pub(crate) const fn version_of(version: TorrentVersion) -> Version {
    match version {
        TorrentVersion::V1 => Version::V1,
        TorrentVersion::V2 => Version::V2,
        TorrentVersion::Hybrid => Version::Hybrid,
    }
}

/// Compares the files below `data` with a .torrent.
pub(crate) fn check(metainfo: &Metainfo, data: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Checked, Problem> {
    let layout = metainfo.info.layout.clone();
    let Places { paths, found } = places(&layout, data);
    let proof = metainfo.proof();
    let all = Ranges::of(0..layout.total_bytes());
    let good = hexad_library::check_pieces(&layout, &paths, &proof, &all, progress).map_err(|wrong| trouble(&wrong))?;
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
        total_bytes: (0..proof.part_count()).map(|part| proof.part_range(part)).map(|range| range.end - range.start).sum(),
        good_pieces,
        pieces: proof.part_count(),
        incomplete,
        found,
    };
    Ok(Checked { report, paths })
}

fn summary(metainfo: &Metainfo) -> TorrentSummary {
    let layout = &metainfo.info.layout;
    let files = layout.files().iter().enumerate().filter(|(_, file)| !file.padding);
    TorrentSummary {
        name: layout.name().to_owned(),
        info_hash: match metainfo.info.info_hash_v2 {
            Some(hash) if !metainfo.info.version.has_v1() => hash.to_string(),
            _ => Sha1Digest(metainfo.info.info_hash).to_string(),
        },
        info_hash_v2: metainfo.info.info_hash_v2.map(|hash| hash.to_string()),
        version: match metainfo.info.version {
            Version::V1 => TorrentVersion::V1,
            Version::V2 => TorrentVersion::V2,
            Version::Hybrid => TorrentVersion::Hybrid,
        },
        total_bytes: files.clone().map(|(_, file)| file.length).sum(),
        piece_bytes: metainfo.info.piece_bytes,
        pieces: metainfo.info.piece_count() as usize,
        files: files.map(|(index, file)| FileLine { index, path: file.path.join("/"), bytes: file.length }).collect(),
        tiers: metainfo.tiers.clone(),
        web_seeds: metainfo.web_seeds.clone(),
        private: metainfo.info.private,
        comment: metainfo.comment.clone(),
        created_by: metainfo.created_by.clone(),
        creation_unix_s: metainfo.creation_unix_s,
        source: metainfo.info.source.clone(),
        magnet: metainfo.magnet().to_string(),
        left_out: Vec::new(),
    }
}
