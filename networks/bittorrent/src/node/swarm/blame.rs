//! Who gave what was wrong.
//!
//! A v1 piece that fails tells that one of those who gave its blocks lied, not which one. Whoever gave all of it is to blame. Otherwise all of them are
//! under suspicion, and each gets pieces of its own until one tells.

use hexad_core::Map;

use super::picker::GiverId;

/// Failed pieces, those of others deducted, after which suspicion is enough.
const SUSPICION_MAX: u8 = 6;
/// What one failed piece adds.
const PER_FAILURE: u8 = 2;
/// Givers that are remembered.
const GIVERS_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, Default)]
struct Giver {
    suspicion: u8,
    banned: bool,
}

/// What is to be done about a failed piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// To be banned.
    pub(crate) ban: Vec<GiverId>,
    /// To be given pieces of their own.
    pub(crate) watch: Vec<GiverId>,
}

/// How much each of those who give is suspected.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    givers: Map<GiverId, Giver>,
}

impl Blame {
    /// A piece of which these gave blocks is wrong.
    pub(crate) fn failed(&mut self, givers: &[GiverId]) -> Sentence {
        let mut sentence = Sentence::default();
        // What a liar left behind is found out piece by piece, and nobody else is to blame for it.
        if givers.iter().any(|giver| self.givers.get(giver).is_some_and(|giver| giver.banned)) {
            return sentence;
        }
        for &id in givers {
            if self.givers.len() >= GIVERS_MAX {
                self.givers.pop_first();
            }
            let giver = self.givers.entry(id).or_default();
            giver.suspicion += PER_FAILURE;
            if givers.len() == 1 || giver.suspicion >= SUSPICION_MAX {
                giver.banned = true;
                sentence.ban.push(id);
            } else {
                sentence.watch.push(id);
            }
        }
        sentence
    }

    /// A piece of which these gave blocks is right. Returns who is no longer suspected.
    pub(crate) fn passed(&mut self, givers: &[GiverId]) -> Vec<GiverId> {
        if self.givers.is_empty() {
            return Vec::new();
        }
        let mut cleared = Vec::new();
        for id in givers {
            let Some(giver) = self.givers.get_mut(id).filter(|giver| !giver.banned) else { continue };
            giver.suspicion = giver.suspicion.saturating_sub(if givers.len() == 1 { PER_FAILURE } else { 1 });
            if giver.suspicion == 0 {
                self.givers.remove(id);
                cleared.push(*id);
            }
        }
        cleared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_all_of_a_wrong_piece_is_banned_at_once() {
        assert_eq!(Blame::default().failed(&[7]), Sentence { ban: vec![7], watch: vec![] });
    }

    #[test]
    fn several_givers_are_watched_until_one_is_found_out_and_the_honest_are_cleared() {
        let mut blame = Blame::default();
        assert_eq!(blame.failed(&[1, 2]), Sentence { ban: vec![], watch: vec![1, 2] });
        assert_eq!(blame.passed(&[1]), [1]);
        assert_eq!(blame.failed(&[2]), Sentence { ban: vec![2], watch: vec![] });
    }

    #[test]
    fn nobody_is_suspected_for_what_a_banned_peer_left_behind() {
        let mut blame = Blame::default();
        blame.failed(&[2]);
        for _ in 0..20 {
            assert_eq!(blame.failed(&[1, 2]), Sentence::default());
        }
    }
}
