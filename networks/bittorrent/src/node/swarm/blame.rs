//! Who gave what was wrong.
//!
//! A v1 piece that fails tells that one of those who gave its blocks lied, not which one. Whoever gave all of it is to blame. Otherwise all of them get
//! pieces of their own from then on, and who gave which block is remembered: once the piece is right, the engine names the blocks that were not
//! ([`hexad_core::Verdict::Lie`]), and those who gave them are banned. Where it cannot, because other networks gave to the piece as well, suspicion adds up
//! until it is enough.

use hexad_core::Map;

use super::picker::GiverId;

/// Failed pieces, those of others deducted, after which suspicion is enough.
const SUSPICION_MAX: u8 = 6;
/// What one failed piece adds that never told who it was.
const PER_FAILURE: u8 = 2;
/// Givers that are remembered.
const GIVERS_MAX: usize = 4096;
/// Blocks of all pieces whose givers are remembered; the piece that failed longest ago leaves.
const BLOCKS_MAX: usize = 1 << 15;

#[derive(Clone, Copy, Debug, Default)]
struct Giver {
    suspicion: u8,
    /// Pieces that it has given to and that have not told who it was.
    open: u16,
    banned: bool,
}

/// A piece that was wrong, and is not right yet.
#[derive(Debug)]
struct Wrong {
    /// Of each block.
    givers: Vec<GiverId>,
    /// The engine has named one of its blocks.
    told: bool,
    age: u64,
}

/// What is to be done about those who gave blocks of a piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// To be banned.
    pub(crate) ban: Vec<GiverId>,
    /// To be given pieces of their own.
    pub(crate) watch: Vec<GiverId>,
    /// No longer to be.
    pub(crate) clear: Vec<GiverId>,
}

/// How much each of those who give is suspected.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    givers: Map<GiverId, Giver>,
    wrong: Map<u32, Wrong>,
    blocks: usize,
    failures: u64,
}

/// Each once.
fn distinct(blocks: &[GiverId]) -> Vec<GiverId> {
    let mut givers: Vec<GiverId> = Vec::new();
    for giver in blocks {
        if givers.last() != Some(giver) && !givers.contains(giver) {
            givers.push(*giver);
        }
    }
    givers
}

impl Blame {
    /// A piece of whose blocks these are the givers, in order, is wrong. Nobody is known to have given all of it where there are none.
    pub(crate) fn failed(&mut self, piece: u32, blocks: &[GiverId]) -> Sentence {
        let mut sentence = Sentence::default();
        // What was known of it was of other bytes.
        self.close(piece, &mut sentence);
        let givers = distinct(blocks);
        if let &[only] = givers.as_slice() {
            let giver = self.giver(only);
            if !std::mem::replace(&mut giver.banned, true) {
                sentence.ban.push(only);
            }
            return sentence;
        }
        // What a liar left behind is found out piece by piece, and nobody else is to blame for it.
        if givers.iter().any(|giver| self.givers.get(giver).is_some_and(|giver| giver.banned)) {
            return sentence;
        }
        for &id in &givers {
            let giver = self.giver(id);
            giver.open = giver.open.saturating_add(1);
            sentence.watch.push(id);
        }
        if !givers.is_empty() {
            self.failures += 1;
            self.blocks += blocks.len();
            self.wrong.insert(piece, Wrong { givers: blocks.to_vec(), told: false, age: self.failures });
        }
        while self.blocks > BLOCKS_MAX
            && let Some(oldest) = self.wrong.iter().min_by_key(|(_, wrong)| wrong.age).map(|(piece, _)| *piece)
        {
            self.close(oldest, &mut sentence);
        }
        sentence
    }

    /// The engine has found a block of a piece to have been wrong. Returns who gave it, the first time that he is found out.
    pub(crate) fn lied(&mut self, piece: u32, block: u32) -> Option<GiverId> {
        let wrong = self.wrong.get_mut(&piece)?;
        let id = *wrong.givers.get(block as usize)?;
        wrong.told = true;
        let giver = self.giver(id);
        (!std::mem::replace(&mut giver.banned, true)).then_some(id)
    }

    /// Who gave a block of a piece that is wrong; 0 where that is not known.
    pub(crate) fn giver_of(&self, piece: u32, block: u32) -> GiverId {
        self.wrong.get(&piece).and_then(|wrong| wrong.givers.get(block as usize)).copied().unwrap_or_default()
    }

    /// A piece is right, of whose blocks these are the givers.
    pub(crate) fn passed(&mut self, piece: u32, blocks: &[GiverId]) -> Sentence {
        let mut sentence = Sentence::default();
        if self.givers.is_empty() {
            return sentence;
        }
        self.close(piece, &mut sentence);
        let givers = distinct(blocks);
        for id in &givers {
            let Some(giver) = self.givers.get_mut(id).filter(|giver| !giver.banned) else { continue };
            giver.suspicion = giver.suspicion.saturating_sub(if givers.len() == 1 { PER_FAILURE } else { 1 });
            self.clear(*id, &mut sentence);
        }
        sentence
    }

    /// Nothing more is to be learnt of how a piece was wrong.
    fn close(&mut self, piece: u32, sentence: &mut Sentence) {
        let Some(wrong) = self.wrong.remove(&piece) else { return };
        self.blocks -= wrong.givers.len();
        let is_banned = |id: &GiverId| self.givers.get(id).is_some_and(|giver| giver.banned);
        let told = wrong.told || wrong.givers.iter().any(is_banned);
        for id in distinct(&wrong.givers) {
            let Some(giver) = self.givers.get_mut(&id).filter(|giver| !giver.banned) else { continue };
            giver.open = giver.open.saturating_sub(1);
            if told {
                self.clear(id, sentence);
                continue;
            }
            giver.suspicion = giver.suspicion.saturating_add(PER_FAILURE);
            if giver.suspicion >= SUSPICION_MAX {
                giver.banned = true;
                sentence.ban.push(id);
            }
        }
    }

    fn clear(&mut self, id: GiverId, sentence: &mut Sentence) {
        if self.givers.get(&id).is_some_and(|giver| giver.suspicion == 0 && giver.open == 0 && !giver.banned) {
            self.givers.remove(&id);
            sentence.clear.push(id);
        }
    }

    fn giver(&mut self, id: GiverId) -> &mut Giver {
        if self.givers.len() >= GIVERS_MAX && !self.givers.contains_key(&id) {
            self.givers.pop_first();
        }
        self.givers.entry(id).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bans(ids: &[GiverId]) -> Sentence {
        Sentence { ban: ids.to_vec(), ..Sentence::default() }
    }

    fn watches(ids: &[GiverId]) -> Sentence {
        Sentence { watch: ids.to_vec(), ..Sentence::default() }
    }

    fn clears(ids: &[GiverId]) -> Sentence {
        Sentence { clear: ids.to_vec(), ..Sentence::default() }
    }

    #[test]
    fn who_gave_all_of_a_wrong_piece_is_banned_at_once() {
        assert_eq!(Blame::default().failed(0, &[7, 7]), bans(&[7]));
    }

    #[test]
    fn several_givers_are_watched_until_one_is_found_out() {
        let mut blame = Blame::default();
        assert_eq!(blame.failed(0, &[1, 2]), watches(&[1, 2]));
        assert_eq!(blame.failed(1, &[2, 2]), bans(&[2]));
        assert_eq!(blame.lied(0, 1), None, "that is known");
        assert_eq!(blame.passed(0, &[1, 1]), clears(&[1]));
    }

    #[test]
    fn a_block_that_was_wrong_names_who_gave_it_and_nobody_else_whatever_they_shared() {
        let mut blame = Blame::default();
        for piece in 0..100 {
            assert_eq!(blame.failed(piece, &[1, 2, 3]).ban, [] as [GiverId; 0]);
        }
        assert_eq!((blame.lied(7, 1), blame.lied(7, 1), blame.lied(7, 9), blame.lied(500, 0)), (Some(2), None, None, None));
        assert_eq!(blame.passed(7, &[1, 1, 1]), Sentence::default(), "other pieces are still open");
        for piece in (0..100).filter(|piece| *piece != 7) {
            blame.lied(piece, 1);
            let said = blame.passed(piece, &[1, 1, 1]);
            assert_eq!((said.ban.len(), said.clear.len()), (0, if piece == 99 { 2 } else { 0 }), "{piece}");
        }
    }

    #[test]
    fn where_pieces_do_not_tell_suspicion_adds_up() {
        let mut blame = Blame::default();
        let mut banned = Vec::new();
        for piece in 0..4 {
            blame.failed(piece, &[1, 2]);
            banned.extend(blame.passed(piece, &[3, 3]).ban);
            // The honest one gives others in between.
            banned.extend(blame.passed(1000, &[1, 1]).ban);
            banned.extend(blame.failed(piece + 10, &[2, 4]).ban);
            banned.extend(blame.passed(piece + 10, &[3]).ban);
        }
        assert_eq!(banned, [2]);
    }

    #[test]
    fn a_piece_that_is_wrong_again_is_judged_by_the_last_who_gave_it() {
        let mut blame = Blame::default();
        blame.failed(0, &[1, 2]);
        blame.failed(0, &[3, 4]);
        assert_eq!(blame.lied(0, 0), Some(3));
        blame.failed(0, &[]);
        assert_eq!(blame.lied(0, 1), None);
    }

    #[test]
    fn nobody_is_suspected_for_what_a_banned_peer_left_behind() {
        let mut blame = Blame::default();
        blame.failed(0, &[2]);
        for piece in 1..20 {
            assert_eq!(blame.failed(piece, &[1, 2]), Sentence::default());
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut blame = Blame::default();
        for piece in 0..10_000 {
            let blocks: Vec<GiverId> = (0..64).map(|block| piece * 64 + block).collect();
            blame.failed(piece, &blocks);
        }
        assert!(blame.blocks <= BLOCKS_MAX && blame.wrong.len() <= BLOCKS_MAX && blame.givers.len() <= GIVERS_MAX);
    }
}
