//! What a fetch turns out to be of, and the folder that is prepared for it.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use hexad_api::{Event, Problem, Selection};
use hexad_content::{Proof, safe_names};
use hexad_core::{Description, OpId, Share};
use hexad_driver::transfers::{Opened, StoreError, Target, Transfers};

use super::{Described, Fetch, Next, REST_MAX};
use crate::description::{identity_in_folder, is_same, listing, paths};
use crate::known::sentence;
use crate::listener::Word;
use crate::publish::Identity;
use crate::session::{Happening, Manner, shown};
use crate::stream;

/// How often a folder that another has is tried again, and after how long the user is told.
const BUSY: Duration = Duration::from_secs(1);
const BUSY_QUIET: Duration = Duration::from_secs(15);

/// Below the target folder: what nothing proves.
pub(crate) const UNPROVEN: &str = "unproven";

impl Fetch {
    /// A network says what the source holds.
    pub(crate) fn on_described(
        &mut self,
        op: OpId,
        description: Description,
        transfers: &Arc<Transfers>,
        happenings: &Sender<Happening>,
    ) -> Described {
        let share = self.share;
        let name = self.name.clone();
        let opened = self.opened;
        let Some(part) = self.parts.iter_mut().find(|part| part.fetch == Some(op)) else { return Described::Leave };
        let network = part.network;
        if let Some(known) = &mut self.description {
            if is_same(known, &description) {
                // Each network knows names of its own.
                description.digests.iter().for_each(|digest| known.digests.insert(*digest));
                known.private |= description.private;
                if known.torrent.is_empty() {
                    known.torrent = description.torrent;
                }
                part.described = true;
                return if opened { Described::Lend } else { Described::Preparing };
            }
            self.part_failed(network, &Problem::new(format!("it has something else under that name than '{name}'")));
            return Described::Leave;
        }
        let layout = description.layout.clone();
        let only = self.parts.iter().filter(|part| part.is_on()).count() == 1;
        let proof = match description.proof.clone() {
            // Nobody else can prove it, so it is taken as it comes and kept apart.
            None if only && layout.is_single() => Some(Proof::Unproven { total_bytes: layout.total_bytes() }),
            proof => proof,
        };
        let Some(part) = self.parts.iter_mut().find(|part| part.fetch == Some(op)) else { return Described::Leave };
        let Some(proof) = proof else {
            let problem = Problem::new(format!("nothing proves the bytes of '{name}'"));
            self.part_failed(network, &problem.hint("take a result that is proven, or the same file from another network"));
            return Described::Leave;
        };
        part.described = true;
        let wanted = match self.request.select.mask(&paths(&layout)) {
            Ok(wanted) => wanted,
            Err(wrong) => {
                self.fail(&Problem::new(wrong.to_string()).hint(listing(&layout)));
                return Described::Leave;
            }
        };
        let ordered = [&self.request.how.first, &self.request.how.last].map(|patterns| Selection { patterns: patterns.clone() });
        if let Some(wrong) = ordered.iter().find_map(|selection| selection.mask(&paths(&layout)).err()) {
            self.fail(&Problem::new(wrong.to_string()).hint(listing(&layout)));
            return Described::Leave;
        }
        if let Some(streaming) = &self.streaming {
            let files = streaming.stage.opened(share, layout.clone(), wanted.clone());
            for (index, path) in files {
                self.tell(stream::listening(stream::address_of(streaming.at, index, &path)));
            }
        }
        let names = safe_names(&layout);
        let selected = || layout.files().iter().zip(&wanted).filter(|(_, on)| **on).map(|(file, _)| file);
        self.name.clone_from(&names.root);
        if !proof.is_proof() {
            self.request.into = self.request.into.join(UNPROVEN);
            let message =
                format!("'{}' is unproven: nothing but its sender says what it is; it goes to {}", names.root, shown(&self.request.into));
            self.tell(Event::Warning { message });
        }
        self.path = self.request.into.join(&names.root);
        self.wanted_bytes = selected().map(|file| file.length).sum();
        let Identity { info_hash, content_id } = Identity::of(&description.digests, Some(&proof));
        self.tell(Event::Started {
            name: self.name.clone(),
            info_hash,
            content_id,
            files: selected().count(),
            wanted_bytes: self.wanted_bytes,
        });
        for renamed in &names.renamed {
            self.tell(Event::Renamed { from: renamed.from.clone(), to: renamed.to.clone(), reason: renamed.reason.to_string() });
        }
        let description = Description { proof: Some(proof), ..description };
        self.events.say(Word::Described(share, Box::new(description.clone())));
        self.description = Some(description);
        if self.manner == Manner::Describe {
            self.over = true;
            return Described::Leave;
        }
        self.open(transfers, happenings);
        Described::Preparing
    }

    /// Has its target folder prepared.
    fn open(&self, transfers: &Arc<Transfers>, happenings: &Sender<Happening>) {
        let Some(Description { layout, digests, proof: Some(proof), .. }) = self.description.clone() else { return };
        // What names nothing was said when the files became known.
        let wanted = self.request.select.mask(&paths(&layout)).unwrap_or_default();
        let (share, folder, names) = (self.share, self.request.into.clone(), safe_names(&layout));
        let identity = identity_in_folder(&digests, &proof);
        let target = Target { share, layout, proof, names, wanted, folder, identity };
        let (transfers, happenings, op, known) = (transfers.clone(), happenings.clone(), self.task, self.known.clone());
        thread::spawn(move || {
            let checking = happenings.clone();
            let (known, layout) = (known.of(&target.layout, &target.wanted), target.layout.clone());
            let opened = transfers.open_download_knowing(target, &known, &|checked_bytes, total_bytes| {
                let _ = checking.send(Happening::Tell(op, Event::Checking { checked_bytes, total_bytes }));
            });
            for brought in opened.iter().flat_map(|opened| &opened.brought) {
                let _ = happenings.send(Happening::Tell(op, Event::Warning { message: sentence(&layout, brought) }));
            }
            let _ = happenings.send(Happening::Opened { op, share, opened });
        });
    }

    /// Has its target folder prepared once more, where another had it and it is time.
    pub(crate) fn reopen(&mut self, now: Instant, transfers: &Arc<Transfers>, happenings: &Sender<Happening>) {
        if let Some((since, _)) = self.busy.filter(|(_, at)| *at <= now) {
            // No further try before it is known what has come of this one.
            self.busy = Some((since, now + REST_MAX));
            self.open(transfers, happenings);
        }
    }

    /// The target folder is prepared, or cannot be.
    pub(crate) fn on_opened(&mut self, opened: Result<Opened, StoreError>, transfers: &Transfers) -> Next {
        let busy = self.busy.take();
        let opened = match opened {
            Ok(opened) => opened,
            // A run of the same download that was stopped a moment ago may still be comparing what is there.
            Err(wrong @ StoreError::Busy { .. }) if self.is_patient() => {
                let now = Instant::now();
                let since = busy.map_or(now, |(since, _)| since);
                if now >= since + BUSY_QUIET {
                    self.tell(Event::Warning { message: format!("{wrong}; it is tried again") });
                }
                self.busy = Some((since, now + BUSY));
                return Next::Wait;
            }
            Err(wrong) => {
                let hint = wrong.hint().unwrap_or_else(|| "choose another folder with --into".to_owned());
                self.fail(&Problem::new(wrong.to_string()).hint(hint));
                return Next::Leave;
            }
        };
        self.opened = true;
        self.has_news();
        let verified_bytes = opened.wanted.iter().map(|range| opened.held.within(range).total()).sum();
        self.on_verified(verified_bytes);
        if opened.complete && self.complete(0, transfers) {
            return Next::Leave;
        }
        let Some(description) = &self.description else { return Next::Leave };
        Next::Go(Box::new(Share {
            layout: description.layout.clone(),
            digests: description.digests.clone(),
            proof: description.proof.clone(),
            held: opened.held,
            torrent: description.torrent.clone(),
        }))
    }
}
