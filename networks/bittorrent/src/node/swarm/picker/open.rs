//! One piece that is begun: what has come of it, what is under way, and who gave what.

use super::Slot;

/// Which connection gave a block, for blame; numbers are not used twice in a swarm.
pub(crate) type GiverId = u32;

/// How a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody is asked for it.
    Free,
    /// So many are.
    Asked(u8),
    /// It has come.
    Came,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    stage: Stage,
    giver: GiverId,
}

/// A piece that is begun.
#[derive(Debug)]
pub(super) struct Open {
    blocks: Vec<Block>,
    owner: Option<Slot>,
    /// Nobody else helps with it: its owner is under suspicion.
    alone: bool,
    /// Each of its blocks is proven by itself, so that whoever is under suspicion may help too.
    proven: bool,
    free: u32,
    came: u32,
    /// No block before this is free.
    next: u32,
}

impl Open {
    pub(super) fn new(blocks: u32, owner: Slot, alone: bool) -> Self {
        let block = Block { stage: Stage::Free, giver: 0 };
        Self { blocks: vec![block; blocks as usize], owner: Some(owner), alone, proven: false, free: blocks, came: 0, next: 0 }
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)
    }

    pub(super) const fn free(&self) -> u32 {
        self.free
    }

    pub(super) const fn came(&self) -> u32 {
        self.came
    }

    pub(super) const fn owner(&self) -> Option<Slot> {
        self.owner
    }

    pub(super) const fn is_alone(&self) -> bool {
        self.alone && self.owner.is_some()
    }

    pub(super) const fn is_proven(&self) -> bool {
        self.proven
    }

    pub(super) const fn set_proven(&mut self) {
        self.proven = true;
    }

    pub(super) const fn set_owner(&mut self, owner: Option<Slot>) {
        self.owner = owner;
    }

    pub(super) fn stage(&self, block: u32) -> Option<Stage> {
        self.blocks.get(block as usize).map(|block| block.stage)
    }

    /// Marks up to `count` free blocks as asked for, from the front.
    pub(super) fn ask(&mut self, count: u32, mut ask: impl FnMut(u32)) {
        let mut left = count;
        while left > 0 && self.free > 0 && self.next < self.len() {
            let block = &mut self.blocks[self.next as usize];
            if block.stage == Stage::Free {
                block.stage = Stage::Asked(1);
                self.free -= 1;
                left -= 1;
                ask(self.next);
            }
            self.next += 1;
        }
    }

    /// Marks blocks as asked for once more that are under way `copies` times.
    pub(super) fn ask_again(&mut self, copies: u8, left: &mut u32, looks: &mut usize, may: impl Fn(u32) -> bool, mut ask: impl FnMut(u32)) {
        for (block, number) in self.blocks.iter_mut().zip(0_u32..) {
            if *left == 0 || *looks == 0 {
                return;
            }
            *looks -= 1;
            if block.stage == Stage::Asked(copies) && may(number) {
                block.stage = Stage::Asked(copies + 1);
                *left -= 1;
                ask(number);
            }
        }
    }

    /// One of those who were asked for a block does not give it.
    pub(super) fn returned(&mut self, block: u32) {
        let Some(entry) = self.blocks.get_mut(block as usize) else { return };
        match entry.stage {
            Stage::Asked(1) => {
                entry.stage = Stage::Free;
                self.free += 1;
                self.next = self.next.min(block);
            }
            Stage::Asked(copies) => entry.stage = Stage::Asked(copies - 1),
            Stage::Free | Stage::Came => {}
        }
    }

    /// A block has come. Returns whether others were asked for it too; `None` when it was here already.
    pub(super) fn received(&mut self, block: u32, giver: GiverId, asked: bool) -> Option<bool> {
        let entry = self.blocks.get_mut(block as usize)?;
        let others = match entry.stage {
            Stage::Came => return None,
            Stage::Free => {
                self.free -= 1;
                false
            }
            Stage::Asked(copies) => copies > u8::from(asked),
        };
        (entry.stage, entry.giver) = (Stage::Came, giver);
        self.came += 1;
        Some(others)
    }

    /// All that has come is to be fetched again; returns how many blocks became free by that.
    pub(super) fn forget_what_came(&mut self) -> u32 {
        for block in self.blocks.iter_mut().filter(|block| block.stage == Stage::Came) {
            block.stage = Stage::Free;
        }
        let freed = std::mem::take(&mut self.came);
        self.free += freed;
        self.next = 0;
        freed
    }

    /// Who gave each of its blocks, once all have come.
    pub(super) fn givers(&self) -> Vec<GiverId> {
        self.blocks.iter().map(|block| block.giver).collect()
    }
}
