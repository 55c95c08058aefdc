//! What a worker does with a job of the engine.

use hexad_content::sha1_lanes::sha1_many;
use hexad_content::{Contradiction, PartVerdict, Proof, Ranges};
use hexad_transfer::{Finding, Job, Run, WholePart};

use super::check::{Rows, blocks_of, by_sha1, check_parts};
use super::error::StoreError;
use super::store::{Folder, Store};

/// What came of a job.
pub(crate) struct Done {
    /// For the engine.
    pub(crate) findings: Vec<Finding>,
    /// What went wrong first.
    pub(crate) trouble: Option<StoreError>,
}

/// Does a job on the store of its share.
pub(crate) fn work(store: Option<&Store>, job: &Job, rows: &mut Rows) -> Done {
    let Some((store, folder)) = store.and_then(|store| store.folder().map(|folder| (store, folder))) else {
        let trouble = StoreError::Misfit("the share was closed");
        return Done { findings: vec![Finding::Unwritten(trouble.to_string()); job.findings()], trouble: Some(trouble) };
    };
    match job {
        Job::VerifyAndWrite { parts, .. } => verify_and_write(store, folder, parts),
        Job::Spill { runs, .. } => spill(store, folder, runs),
        Job::ReadBack { parts, looked, .. } => read_back(store, folder, parts, looked, rows),
    }
}

fn verify_and_write(store: &Store, folder: &Folder, parts: &[WholePart]) -> Done {
    let verdicts = judge_parts(&folder.proof, parts);
    let contradicted = verdicts.contains(&PartVerdict::Contradiction).then_some(Contradiction.into());
    let mut findings: Vec<Finding> = verdicts.into_iter().map(found).collect();
    let mut good: Vec<usize> = (0..parts.len()).filter(|&place| findings[place] == Finding::Good).collect();
    good.sort_unstable_by_key(|&place| parts[place].offset);
    if good.is_empty() {
        return Done { findings, trouble: contradicted };
    }
    let end = |whole: &WholePart| whole.offset + whole.bytes.len() as u64;
    let ranges = good.iter().map(|&place| parts[place].offset..end(&parts[place]));
    let intent = indices(good.iter().map(|&place| parts[place].part));
    let mut trouble = folder.intend(&store.layout, ranges, Some(intent)).err();
    let mut written: Vec<usize> = Vec::new();
    for run in good.chunk_by(|&left, &right| end(&parts[left]) == parts[right].offset) {
        if trouble.is_none() {
            let slices: Vec<&[u8]> = run.iter().map(|&place| &*parts[place].bytes).collect();
            match store.write(parts[run[0]].offset, &slices, true) {
                Ok(()) => written.extend(run),
                Err(error) => trouble = Some(error),
            }
        }
    }
    if let Err(error) = folder.verified(indices(written.iter().map(|&place| parts[place].part))) {
        trouble = trouble.or(Some(error));
        written.clear();
    }
    if let Some(trouble) = &trouble {
        for place in good.into_iter().filter(|place| !written.contains(place)) {
            findings[place] = Finding::Unwritten(trouble.to_string());
        }
    }
    Done { findings, trouble: trouble.or(contradicted) }
}

fn found(verdict: PartVerdict) -> Finding {
    match verdict {
        PartVerdict::Good => Finding::Good,
        PartVerdict::Bad => Finding::Bad,
        PartVerdict::Contradiction => Finding::Unwritten(Contradiction.to_string()),
    }
}

/// Which parts are what the proof says; many at once where they are proven by SHA-1 of their own.
fn judge_parts(proof: &Proof, parts: &[WholePart]) -> Vec<PartVerdict> {
    let Proof::V1Pieces { .. } = proof else {
        return parts.iter().map(|whole| proof.judge(whole.part as usize, &whole.bytes)).collect();
    };
    let digests = sha1_many(&parts.iter().map(|whole| &*whole.bytes).collect::<Vec<_>>());
    parts.iter().zip(digests).map(|(whole, digest)| by_sha1(proof, whole.part, digest)).collect()
}

fn spill(store: &Store, folder: &Folder, runs: &[Run]) -> Done {
    let spans = runs.iter().flat_map(|run| run.ranges.iter().map(|range| run.offset + range.start..run.offset + range.end));
    let mut trouble = folder.intend(&store.layout, spans, None).err();
    let mut findings = Vec::with_capacity(runs.len());
    for run in runs {
        for range in run.ranges.iter().filter(|_| trouble.is_none()).collect::<Vec<_>>() {
            let (Ok(from), Ok(to)) = (usize::try_from(range.start), usize::try_from(range.end)) else { continue };
            trouble = trouble.or(store.write(run.offset + range.start, &[&run.bytes[from..to]], false).err());
        }
        findings.push(trouble.as_ref().map_or(Finding::Good, |trouble| Finding::Unwritten(trouble.to_string())));
    }
    Done { findings, trouble }
}

fn read_back(store: &Store, folder: &Folder, parts: &[u32], looked: &[u32], rows: &mut Rows) -> Done {
    let proof: &Proof = &folder.proof;
    let mut trouble = None;
    let mut findings = Vec::with_capacity(parts.len());
    for (&part, checked) in parts.iter().zip(check_parts(store, proof, parts, rows)) {
        findings.push(match checked {
            Ok(PartVerdict::Contradiction) => {
                trouble = trouble.or(Some(Contradiction.into()));
                found(PartVerdict::Contradiction)
            }
            Ok(PartVerdict::Good) if !looked.contains(&part) => Finding::Good,
            // What was read a moment ago is still at hand, and few are wrong.
            Ok(verdict) => match blocks_of(store, proof, part, rows) {
                Ok(blocks) => Finding::Looked { right: verdict == PartVerdict::Good, blocks },
                Err(_) => found(verdict),
            },
            Err(error) => {
                let file = store.layout.spans(proof.part_range(part as usize)).next().map_or(0, |span| span.file);
                let error = StoreError::io(&store.shown(u32::try_from(file).unwrap_or(0)), "read", error);
                let finding = Finding::Unwritten(error.to_string());
                trouble = trouble.or(Some(error));
                finding
            }
        });
    }
    let is_good = |finding: &Finding| matches!(finding, Finding::Good | Finding::Looked { right: true, .. });
    let good = parts.iter().zip(&findings).filter(|(_, finding)| is_good(finding)).map(|(&part, _)| part);
    if let Err(error) = folder.verified(indices(good)) {
        findings.fill(Finding::Unwritten(error.to_string()));
        trouble = trouble.or(Some(error));
    }
    Done { findings, trouble }
}

/// Indices as ranges.
pub(crate) fn indices(all: impl Iterator<Item = u32>) -> Ranges {
    all.map(|index| u64::from(index)..u64::from(index) + 1).collect()
}
