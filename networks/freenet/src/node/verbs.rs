//! Publish, search and fetch, and the same for files in memory.

use hexad_content::{Digest, sha1_lanes};
use hexad_core::{Context, Failure, LeaseId, Level, OpId, Progress, Query, ShareId, Source, What};

use super::getting::{Purpose, digest_of};
use super::plan::{Origin, Plan, Shelf};
use super::putting::Manner;
use super::{Node, Out, PutFile, failed};
use crate::document::Pieces;
use crate::keys::{Kind, Uri};
use crate::place::Place;

/// Pieces of what is inserted from memory.
const PIECE_BYTES: usize = 256 << 10;

/// The keyword key under which a digest leads to where it is. There are several, for anybody can be first under one; what is there is only
/// believed where it proves itself.
#[must_use]
pub fn alias(digest: &Digest, slot: u8) -> Uri {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let name = match digest {
        Digest::Content(content) => format!("content-{}-{}", hex(&content.root.0), content.size),
        Digest::Sha1(hash) => format!("sha1-{}", hex(&hash.0)),
        Digest::Sha256(hash) => format!("sha256-{}", hex(&hash.0)),
        Digest::TigerTree(hash) => format!("tth-{}", hex(hash)),
        Digest::Md5Prefix(hash) => format!("md5-{}", hex(hash)),
        Digest::TorrentV1(hash) => format!("btih-{}", hex(&hash.0)),
        Digest::TorrentV2(hash) => format!("btmh-{}", hex(&hash.0)),
    };
    Uri::of_ksk(&format!("hexad-{name}-{slot}"))
}

impl<A: Place> Node<A> {
    /// Inserts a share: its files, a document with what proves them, and names by which its digest leads there.
    pub(super) fn start_publish(&mut self, op: OpId, share: ShareId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(found) = cx.shares.share(share).cloned() else {
            return failed(op, Failure::NotReady("no such share".into()), out);
        };
        let total = found.layout.total_bytes();
        if total > 0 && !found.held.covers(0..total) {
            // What is being fetched is in the network already.
            out.note(Level::Debug, "share_incomplete", None, "a share that is not complete is not inserted");
            self.published.insert(op);
            return out.report(op, Progress::Done);
        }
        let proven = found.proof.as_ref().and_then(|proof| Some((Pieces::of(proof)?, digest_of(&found.layout, proof)?)));
        let Some((pieces, digest)) = proven else {
            return failed(op, Failure::Unusable("expected a share that is proven part by part".into()), out);
        };
        let plan = |(index, file): (usize, &hexad_content::FileEntry)| {
            let range = found.layout.file_range(index);
            let path = if found.layout.is_single() { String::new() } else { file.path.join("/") };
            let mut plan = Plan::new(path, None, Origin::Share(share, range.start), file.length);
            plan.flags = (file.executable, file.padding);
            plan
        };
        let plans = found.layout.files().iter().enumerate().map(plan).collect();
        let name = found.layout.name().to_owned();
        let shelf = if found.layout.is_single() { Shelf::Single(Some(name)) } else { Shelf::Directory(name, None) };
        self.start_putting(
            op,
            make_chk(),
            plans,
            shelf,
            Some(pieces),
            vec![digest],
            Manner { publishing: true, ..Manner::default() },
            cx,
            out,
        );
    }

    /// Looks a digest up. There is no search by words: nobody knows what he holds.
    pub(super) fn start_search(&mut self, op: OpId, query: Query, cx: &mut Context<'_>, out: &mut Out<A>) {
        match query {
            Query::Digest { digest, .. } => self.start_fetching(op, Purpose::Lookup, None, vec![digest], 0, cx, out),
            Query::Words { .. } => failed(op, Failure::Unusable("nothing is found by words here: give a key or a digest".into()), out),
        }
    }

    pub(super) fn start_fetch(&mut self, op: OpId, source: Source, lease: LeaseId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let retries = u32::from(self.config.0.tries.saturating_sub(1));
        match source.what {
            What::Locator(text) => match Uri::parse(&text) {
                Ok(uri) => self.start_fetching(op, Purpose::Lease(lease), Some(uri), Vec::new(), retries, cx, out),
                Err(wrong) => failed(op, Failure::Unusable(wrong.to_string()), out),
            },
            What::Magnet(magnet) => {
                let proves = |digest: &&Digest| matches!(digest, Digest::TorrentV1(_) | Digest::Content(_));
                let digests: Vec<Digest> = magnet.digests.iter().filter(proves).copied().collect();
                if digests.is_empty() {
                    return failed(
                        op,
                        Failure::Unusable("expected a key, an info hash or a content id, which prove what comes".into()),
                        out,
                    );
                }
                self.start_fetching(op, Purpose::Lease(lease), None, digests, retries, cx, out);
            }
            What::Torrent(_) => failed(op, Failure::Unusable("expected a key or a magnet link, came a .torrent".into()), out),
        }
    }

    pub(super) fn start_get(&mut self, op: OpId, uri: &str, bytes_max: u64, retries: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        match Uri::parse(uri) {
            Ok(uri) => self.start_fetching(op, Purpose::Memory(bytes_max), Some(uri), Vec::new(), retries, cx, out),
            Err(wrong) => failed(op, Failure::Unusable(wrong.to_string()), out),
        }
    }

    /// Looks for the newest edition of a site.
    pub(super) fn start_newest(&mut self, op: OpId, uri: &str, cx: &mut Context<'_>, out: &mut Out<A>) {
        match Uri::parse(uri) {
            Ok(uri) if uri.edition.is_some() => self.start_fetching(op, Purpose::Newest, Some(uri), Vec::new(), 0, cx, out),
            Ok(_) => failed(op, Failure::Unusable("expected a USK, which has editions".into()), out),
            Err(wrong) => failed(op, Failure::Unusable(wrong.to_string()), out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what is inserted, and the host")]
    pub(super) fn start_put(
        &mut self,
        op: OpId,
        uri: &str,
        files: Vec<PutFile>,
        directory: Option<Option<String>>,
        (key_only, metadata_max): (bool, usize),
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let unusable = |why: String, out: &mut Out<A>| failed(op, Failure::Unusable(why), out);
        let target = match Uri::parse(uri) {
            Ok(target) => target,
            Err(wrong) => return unusable(wrong.to_string(), out),
        };
        if target.kind == Kind::Chk && !target.wants_key() {
            return unusable("a CHK comes from what is inserted: give CHK@".into(), out);
        }
        if target.kind != Kind::Chk
            && let Err(wrong) = target.insert()
        {
            return unusable(wrong.to_string(), out);
        }
        let total: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();
        if total > self.config.0.memory_bytes_max {
            return unusable(format!("{total} bytes are more than is inserted from memory"), out);
        }
        let name = target.path.last().cloned();
        let shelf = match directory {
            Some(default) => {
                let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
                paths.sort_unstable();
                let clash = paths.windows(2).any(|pair| pair[0] == pair[1] || pair[1].starts_with(&format!("{}/", pair[0])));
                if clash || paths.iter().any(|path| path.is_empty()) {
                    return unusable("a name is used twice, or for a file and a directory".into(), out);
                }
                let default = default.filter(|default| files.iter().any(|file| file.path == *default));
                Shelf::Directory(name.or_else(|| target.name.clone()).unwrap_or_else(|| "site".into()), default)
            }
            None if files.len() == 1 => Shelf::Single(name),
            None => return unusable(format!("expected one file, came {}", files.len()), out),
        };
        // One file of more than a block is proven by pieces, so that transfers can take it from several networks.
        let mut pieces = None;
        if let (Shelf::Single(Some(_)), [file]) = (&shelf, &files[..])
            && file.bytes.len() > crate::keys::CHK_DATA_BYTES
        {
            let hashes = file.bytes.chunks(PIECE_BYTES).map(sha1_lanes::sha1_one).collect();
            pieces = Some(Pieces::V1(PIECE_BYTES as u64, hashes));
        }
        let plan = |file: PutFile| {
            let bytes = file.bytes.len() as u64;
            let mut plan = Plan::new(file.path, file.mime, Origin::Bytes(file.bytes), bytes);
            plan.redirect = file.redirect;
            plan
        };
        let plans = files.into_iter().map(plan).collect();
        self.start_putting(op, target, plans, shelf, pieces, Vec::new(), Manner { publishing: false, key_only, metadata_max }, cx, out);
    }
}

/// `CHK@`: make me one.
fn make_chk() -> Uri {
    Uri { kind: Kind::Chk, routing: None, crypto: None, extra: None, name: None, edition: None, path: Vec::new() }
}
