//! One publish: files hashed or checked, then offered on every network that was asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use hexad_api::node::ShareWay;
use hexad_api::{CreateRequest, Event, How, MutableItem, Problem, PublishRequest};
use hexad_bittorrent::wire::metainfo::Metainfo;
use hexad_content::{Digest, Digests, Layout, Magnet, Proof, Ranges, Strength, TigerProof, TreeProof};
use hexad_core::{Endpoint, OpId, Share, ShareId};
use hexad_library::{Sound, Work, hash_names, hash_tree, sound_of};

use crate::books::Books;
use crate::desk;
use crate::fetch::progress;
use crate::listener::Listener;
use crate::networks::{Opening, TransferStanding, closed};
use crate::owner::{Owner, check_name};
use crate::session::{Happening, shown};
use crate::source::{self, plain, unnumbered};

/// Files that are ready to be offered.
pub(crate) struct Prepared {
    /// What hosts see of them.
    pub(crate) share: Share,
    /// Where each file of the layout stands; `None` for padding.
    pub(crate) paths: Vec<Option<PathBuf>>,
    /// The .torrent on disk that describes them.
    pub(crate) torrent: Option<PathBuf>,
    /// How those of them sound that are music, where a network tells that.
    pub(crate) sounds: Vec<(usize, Sound)>,
    /// The Tiger tree of a single file, where a network has use for it.
    pub(crate) tiger: Option<TigerProof>,
}

/// By what a content is known.
pub(crate) struct Identity {
    /// v1 info hash, hex; that of v2 where there is no other, empty where there is none.
    pub(crate) info_hash: String,
    /// Where a content id proves it.
    pub(crate) content_id: Option<String>,
}

impl Identity {
    pub(crate) fn of(digests: &Digests, proof: Option<&Proof>) -> Self {
        let info_hash = source::info_hash_of(digests);
        let content_id = if let Some(Proof::Tree(tree)) = proof { Some(tree.content().to_string()) } else { None };
        Self { info_hash: info_hash.unwrap_or_default(), content_id }
    }
}

/// One share on one network.
struct Seeding {
    network: usize,
    network_name: &'static str,
    op: OpId,
    share: ShareId,
}

/// What is offered.
struct Offer {
    share: ShareId,
    content: Share,
    torrent: Option<PathBuf>,
}

/// The books of one publish.
pub(crate) struct Publish {
    /// The task's name.
    pub(crate) task: OpId,
    /// On which networks.
    pub(crate) on: Vec<(usize, &'static str)>,
    peers: Vec<Endpoint>,
    pub(crate) how: How,
    /// Since when it is offered, and what was given of each share.
    seeds_since: Option<Instant>,
    given: BTreeMap<ShareId, u64>,
    done: bool,
    events: Listener,
    offers: Vec<Offer>,
    seedings: Vec<Seeding>,
    /// Who has a link lead to it that can be changed, and under which name.
    pub(crate) owner: Option<Owner>,
    mutable: Option<String>,
    /// What keeps that link alive, and where.
    keeping: Option<(usize, OpId)>,
    over: bool,
}

impl Publish {
    /// Books for `request`; its files are hashed or checked away from the loop, which then hears `Happening::Prepared`.
    pub(crate) fn begin(
        books: &mut Books,
        request: PublishRequest,
        on: Vec<(usize, &'static str)>,
        events: Listener,
        happenings: Sender<Happening>,
    ) -> Self {
        let task = books.op();
        let peers = request.peers.iter().filter_map(|peer| source::endpoint(peer).ok()).collect();
        let (how, mutable) = (request.how.clone(), request.mutable.clone());
        let plan = Preparing::of(on.iter().map(|(_, name)| *name));
        thread::spawn(move || {
            let tell = |event| {
                let _ = happenings.send(Happening::Tell(task, event));
            };
            let prepared = prepare(&request, plan, &tell);
            let _ = happenings.send(Happening::Prepared(task, prepared));
        });
        Self {
            task,
            on,
            peers,
            how,
            seeds_since: None,
            given: BTreeMap::new(),
            done: false,
            events,
            offers: Vec::new(),
            seedings: Vec::new(),
            owner: None,
            mutable,
            keeping: None,
            over: false,
        }
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event);
    }

    /// Over without success, once.
    pub(crate) fn fail(&mut self, problem: &Problem) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(Event::Failed { message: unnumbered(&problem.message), hint: problem.hint.clone() });
        }
    }

    /// What is offered from now on.
    pub(crate) fn offer(&mut self, share: ShareId, prepared: Prepared) {
        self.offers.push(Offer { share, content: prepared.share, torrent: prepared.torrent });
    }

    /// `op` offers `share` on a network.
    pub(crate) fn add(&mut self, network: usize, network_name: &'static str, op: OpId, share: ShareId) {
        self.seedings.push(Seeding { network, network_name, op, share });
    }

    /// Whether `op` is one of this task's.
    pub(crate) fn owns(&self, op: OpId) -> bool {
        self.seedings.iter().any(|seeding| seeding.op == op) || self.keeping.is_some_and(|(_, keeping)| keeping == op)
    }

    /// What its link is to lead to from now on, which that operation keeps alive; `None` where it has no such link.
    pub(crate) fn word(&mut self, network: usize, op: OpId, seq: i64) -> Option<MutableItem> {
        let (owner, name) = (self.owner.as_ref()?, self.mutable.as_ref()?);
        let item = owner.word(name, seq, &self.offers.first()?.content.digests)?;
        self.keeping = Some((network, op));
        self.tell(Event::Newer(item.clone()));
        Some(item)
    }

    /// The operations of this task, and where they go on.
    pub(crate) fn ops(&self) -> Vec<(usize, OpId)> {
        self.seedings.iter().map(|seeding| (seeding.network, seeding.op)).chain(self.keeping).collect()
    }

    /// The shares of this task.
    pub(crate) fn shares(&self) -> Vec<ShareId> {
        self.offers.iter().map(|offer| offer.share).collect()
    }

    /// Nothing can be offered on that network; where it was the last one, the publish has failed.
    pub(crate) fn network_failed(&mut self, network: usize, problem: &Problem) {
        let before = self.on.len();
        let name = self.on.iter().find(|(on, _)| *on == network).map_or("", |(_, name)| *name);
        self.on.retain(|(on, _)| *on != network);
        if self.on.is_empty() {
            self.fail(problem);
        } else if self.on.len() < before && !self.over {
            self.tell(Event::Warning { message: format!("not offered on {name}: {}", unnumbered(&problem.message)) });
        }
    }

    /// One of this task's operations has failed.
    pub(crate) fn on_failed(&mut self, op: OpId, problem: &Problem) {
        if self.keeping.is_some_and(|(_, keeping)| keeping == op) {
            self.keeping = None;
            return self.tell(Event::Warning { message: format!("its link is not kept: {}", unnumbered(&problem.message)) });
        }
        if let Some(network) = self.seedings.iter().find(|seeding| seeding.op == op).map(|seeding| seeding.network) {
            self.network_failed(network, problem);
        }
    }

    /// The peers to connect to at once.
    pub(crate) fn peers(&self) -> Vec<Endpoint> {
        self.peers.clone()
    }

    /// Whether the user's goal of giving is reached, for each of the shares.
    pub(crate) fn has_given_enough(&self, now: Instant) -> bool {
        let Some(since) = self.seeds_since.filter(|_| !self.done && !self.over && self.how.has_goal()) else { return false };
        let seeded_s = now.duration_since(since).as_secs();
        let given = |offer: &Offer| self.given.get(&offer.share).copied().unwrap_or(0);
        self.offers.iter().all(|offer| self.how.is_enough(given(offer), offer.content.layout.total_bytes(), seeded_s))
    }

    /// It ends in order.
    pub(crate) fn done_seeding(&mut self) {
        self.done = true;
        self.tell(Event::Done);
    }

    /// A publish is in effect.
    pub(crate) fn on_done(&mut self, op: OpId) {
        let Some(seeding) = self.seedings.iter().find(|seeding| seeding.op == op) else { return };
        let Some(offer) = self.offers.iter().find(|offer| offer.share == seeding.share) else { return };
        self.seeds_since.get_or_insert_with(Instant::now);
        let Share { layout, digests, proof, torrent, .. } = &offer.content;
        let Identity { info_hash, content_id } = Identity::of(digests, proof.as_ref());
        self.tell(Event::Seeding {
            network: seeding.network_name.into(),
            name: layout.name().to_owned(),
            info_hash,
            content_id,
            magnet: link_of(torrent, layout, digests),
            torrent: offer.torrent.as_deref().map(shown),
            bytes: layout.total_bytes(),
        });
    }

    /// How the shares of a network are doing.
    pub(crate) fn on_standing(&mut self, network: usize, standings: &[TransferStanding]) {
        if self.done {
            return;
        }
        for standing in standings {
            if let Some(share) = standing.share.filter(|share| self.offers.iter().any(|offer| offer.share == *share)) {
                self.given.insert(share, standing.uploaded_bytes);
            }
        }
        for seeding in self.seedings.iter().filter(|seeding| seeding.network == network) {
            let bytes = self.offers.iter().find(|offer| offer.share == seeding.share).map(|offer| offer.content.layout.total_bytes());
            if let (Some(bytes), Some(standing)) = (bytes, standings.iter().find(|standing| standing.share == Some(seeding.share))) {
                self.tell(progress(standing, bytes, bytes, standing.downloaded_bytes));
            }
        }
    }
}

/// The link that leads to a share on every network that can look it up by one of these names.
pub(crate) fn link_of(torrent: &Bytes, layout: &Layout, digests: &Digests) -> String {
    let mut magnet = magnet_of(torrent, layout);
    let proves = |digest: &&Digest| digest.strength() == Strength::Ranged;
    digests.iter().filter(proves).for_each(|digest| magnet.digests.insert(*digest));
    magnet.to_string()
}

/// How others reach a share on that network, which may have `given` it a name of its own: that one is a link there as well.
pub(crate) fn way_of(torrent: &Bytes, layout: &Layout, digests: &Digests, network: &str, given: Option<String>) -> Option<ShareWay> {
    let Opening { looks_up, is_swarm, abilities, .. } = closed(network)?;
    let whole = magnet_of(torrent, layout);
    let named: Digests = whole.digests.iter().chain(digests.iter()).filter(|digest| looks_up(digest)).copied().collect();
    let names = named.iter().map(|digest| {
        let only = Magnet { digests: [*digest].into_iter().collect(), ..Magnet::default() };
        only.to_string().trim_start_matches("magnet:?xt=").to_owned()
    });
    let names: Vec<String> = given.iter().cloned().chain(names).collect();
    // Trackers and web seeds are of the swarm only.
    let others = Magnet { name: whole.name.clone(), size_bytes: whole.size_bytes, ..Magnet::default() };
    let magnet = Magnet { digests: named, ..if is_swarm { whole } else { others } };
    let link = given.or_else(|| (!names.is_empty()).then(|| magnet.to_string()));
    Some(ShareWay { network: network.to_owned(), names, link, by_words: abilities.search_words })
}

fn magnet_of(torrent: &Bytes, layout: &Layout) -> Magnet {
    Metainfo::parse(torrent).map(|metainfo| metainfo.magnet()).unwrap_or_else(|_| Magnet {
        name: Some(layout.name().to_owned()),
        size_bytes: Some(layout.total_bytes()),
        ..Magnet::default()
    })
}

/// That so many paths may be published under one link.
///
/// # Errors
/// When they are several.
pub fn fits_one_link(paths: usize) -> Result<(), Problem> {
    if paths <= 1 {
        return Ok(());
    }
    Err(Problem::new(format!("a link leads to one thing, but {paths} paths are to be published"))
        .hint("publish the folder that they stand in, or publish them one by one under names of their own"))
}

/// What is wrong with a request, as far as it shows without looking at files.
pub(crate) fn validate(request: &PublishRequest, on: &[&str]) -> Result<(), Problem> {
    for peer in &request.peers {
        source::endpoint(peer)?;
    }
    if on.is_empty() {
        return Err(Problem::new("expected a network to publish on, came none").hint("name one with --on"));
    }
    if request.out.is_some() && !on.contains(&BITTORRENT) {
        return Err(Problem::new(format!("a .torrent is for BitTorrent, but the files are to be offered on {} only", on.join(", ")))
            .hint("add --on bittorrent, or leave --out away"));
    }
    if let Some(name) = &request.mutable {
        check_name(name)?;
        if !on.contains(&BITTORRENT) {
            return Err(Problem::new("a link that can be changed is for BitTorrent").hint("add --on bittorrent, or leave --mutable away"));
        }
        fits_one_link(request.paths.len())?;
    }
    if request.out.is_some() && request.paths.len() > 1 {
        return Err(Problem::new(format!("one --out names one .torrent, but {} paths are to be published", request.paths.len()))
            .hint("publish them one by one, or leave --out away"));
    }
    if request.paths.is_empty() && (request.torrent.is_none() || request.data.is_none()) {
        return Err(Problem::new("expected files to publish, came none").hint("name a path, or --torrent FILE --data DIR"));
    }
    Ok(())
}

/// The network that files are described for by a .torrent.
const BITTORRENT: &str = "bittorrent";
const NAPSTER: &str = "napster";
const GNUTELLA: &str = "gnutella";

/// What has to be made of files for the networks that they are to be offered on.
#[derive(Clone, Copy)]
struct Preparing {
    /// A .torrent on disk.
    torrent: bool,
    /// The content id of a single file, for networks that look files up by it.
    content_id: bool,
    /// The SHA-1 and the Tiger tree of a single file.
    tiger: bool,
    /// How music sounds, for networks that search by it.
    sounds: bool,
}

impl Preparing {
    fn of<'a>(on: impl Iterator<Item = &'a str>) -> Self {
        let mut plan = Self { torrent: false, content_id: false, tiger: false, sounds: false };
        on.for_each(|name| {
            if name == BITTORRENT {
                plan.torrent = true
            } else {
                plan.content_id = true
            }
            plan.tiger |= name == GNUTELLA;
            plan.sounds |= name == NAPSTER || name == GNUTELLA;
        });
        plan
    }
}

fn prepare(request: &PublishRequest, plan: Preparing, tell: &(dyn Fn(Event) + Sync)) -> Result<Vec<Prepared>, Problem> {
    let progress = |checked_bytes, total_bytes| tell(Event::Checking { checked_bytes, total_bytes });
    let mut prepared: Vec<Prepared> = match (&request.torrent, &request.data) {
        (Some(torrent), Some(data)) => vec![prepare_torrent(torrent, data, plan, &progress)?],
        _ => request.paths.iter().map(|path| prepare_path(path, request, plan, tell, &progress)).collect::<Result<_, _>>()?,
    };
    if plan.content_id {
        for one in prepared.iter_mut().filter(|one| one.share.layout.is_single()) {
            prove_by_content_id(one, plan.tiger, &progress)?;
        }
    }
    if plan.sounds {
        for one in &mut prepared {
            let music = one.paths.iter().enumerate().filter_map(|(file, path)| Some((file, path.as_ref().filter(|path| may_sound(path))?)));
            one.sounds = music.filter_map(|(file, path)| Some((file, sound_of(path)?))).collect();
        }
    }
    Ok(prepared)
}

/// Whether a file is worth a look at how it sounds: of a hundred thousand pictures none is.
pub(crate) fn may_sound(path: &Path) -> bool {
    const MUSIC: [&str; 12] = ["aac", "aif", "aiff", "ape", "flac", "m4a", "mp3", "mpc", "ogg", "opus", "wav", "wv"];
    path.extension().and_then(|suffix| suffix.to_str()).is_some_and(|suffix| MUSIC.iter().any(|music| suffix.eq_ignore_ascii_case(music)))
}

/// Lets a single file be proven by its content id, whoever it is fetched from.
fn prove_by_content_id(one: &mut Prepared, tiger: bool, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), Problem> {
    let Some(path) = one.paths.first().cloned().flatten() else { return Ok(()) };
    let work = Work { threads: 0, progress, cancel: None };
    let bytes = one.share.layout.total_bytes();
    let trouble = |wrong| desk::trouble(&wrong);
    // Networks that fetch by the content id expect its usual parts, and a torrent has parts of its own.
    let usual = |tree: &&TreeProof| tree.part_bytes() == TreeProof::part_bytes_for(bytes);
    let known = match &one.share.proof {
        Some(Proof::Tree(tree)) => Some(tree),
        Some(Proof::Forest(forest)) => forest.trees().first(),
        _ => None,
    };
    let known = known.filter(usual).cloned();
    let tree = match known {
        _ if tiger => {
            let names = hash_names(&path, bytes, &work).map_err(trouble)?;
            one.share.digests.insert(Digest::Sha1(names.sha1));
            one.share.digests.insert(Digest::TigerTree(names.tiger.root()));
            one.tiger = Some(names.tiger);
            names.tree
        }
        Some(tree) => tree,
        None => hash_tree(&path, bytes, &work).map_err(trouble)?,
    };
    one.share.digests.insert(Digest::Content(tree.content()));
    one.share.proof = Some(Proof::Tree(tree));
    Ok(())
}

fn prepare_torrent(torrent: &Path, data: &Path, plan: Preparing, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Prepared, Problem> {
    let metainfo = desk::read(torrent)?;
    if metainfo.info.private && plan.content_id {
        return Err(Problem::new(format!("{} is private (BEP 27), and never leaves BitTorrent", torrent.display()))
            .hint("publish it with --on bittorrent only"));
    }
    let checked = desk::check(&metainfo, data, progress)?;
    let report = &checked.report;
    if !report.found {
        return Err(Problem::new(format!("there is no '{}' in {}", report.name, data.display()))
            .hint(format!("--data is the folder in which '{}' stands", report.name)));
    }
    if !report.is_complete() {
        let message = if report.good_bytes == report.total_bytes {
            let files = report.incomplete.len();
            format!("{files} of the files of '{}' in {} are not of the right length", report.name, data.display())
        } else {
            format!("only {} of {} bytes of '{}' in {} match", report.good_bytes, report.total_bytes, report.name, data.display())
        };
        return Err(Problem::new(message).hint(format!(
            "hexad torrent check {} --data {} lists the files that differ",
            torrent.display(),
            data.display()
        )));
    }
    Ok(prepared(&metainfo, checked.paths, Some(torrent.to_owned())))
}

fn prepare_path(
    path: &Path,
    request: &PublishRequest,
    plan: Preparing,
    tell: &(dyn Fn(Event) + Sync),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Prepared, Problem> {
    let version = request.version.unwrap_or_default();
    let asked = CreateRequest { path: path.to_owned(), tiers: request.tiers.clone(), version, ..CreateRequest::default() };
    let made = desk::make(&asked, progress)?;
    for left_out in &made.left_out {
        tell(Event::Warning { message: format!("left out {left_out}") });
    }
    if !plan.torrent {
        return Ok(prepared(&made.metainfo, made.paths, None));
    }
    let out = match &request.out {
        Some(out) => out.clone(),
        None => usual_place(path, made.metainfo.info.layout.name())?,
    };
    let same = |there: Metainfo| there.info.info_hash == made.metainfo.info.info_hash && there.tiers == made.metainfo.tiers;
    let says_so_already = fs::symlink_metadata(&out).is_ok() && desk::read(&out).is_ok_and(same);
    if !says_so_already {
        desk::write(&out, &made.metainfo.encode(), request.force)?;
    }
    Ok(prepared(&made.metainfo, made.paths, Some(out)))
}

/// `NAME.torrent` in the current folder; beside what is published when the current folder is inside of it, or the .torrent would be a part of
/// what it describes.
fn usual_place(published: &Path, name: &str) -> Result<PathBuf, Problem> {
    let file = format!("{name}.torrent");
    let trouble = |wrong: std::io::Error| Problem::new(format!("{}: {}", published.display(), plain(&wrong)));
    let real = fs::canonicalize(published).map_err(trouble)?;
    let here = fs::canonicalize(".").map_err(trouble)?;
    match real.parent() {
        Some(beside) if here.starts_with(&real) => Ok(beside.join(file)),
        _ => Ok(PathBuf::from(file)),
    }
}

fn prepared(metainfo: &Metainfo, paths: Vec<Option<PathBuf>>, torrent: Option<PathBuf>) -> Prepared {
    Prepared { share: share_of(metainfo), paths, torrent, sounds: Vec::new(), tiger: None }
}

/// All of what a .torrent describes, as nodes see it.
fn share_of(metainfo: &Metainfo) -> Share {
    let layout = metainfo.info.layout.clone();
    Share {
        held: Ranges::of(0..layout.total_bytes()),
        layout,
        digests: metainfo.digests(),
        proof: Some(metainfo.proof()),
        torrent: metainfo.encode().into(),
    }
}
