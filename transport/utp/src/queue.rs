//! Bytes that wait to be cut into packets.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes are gathered in blocks of this size, so that a packet's payload is a part of one and not a copy.
const BLOCK_BYTES: usize = 64 << 10;

/// Bytes in order.
#[derive(Debug, Default)]
pub struct Queue {
    blocks: VecDeque<BytesMut>,
    length: usize,
}

impl Queue {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Puts `bytes` behind the others.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|block| block.len() == block.capacity()) {
                self.blocks.push_back(BytesMut::with_capacity(BLOCK_BYTES));
            }
            let Some(block) = self.blocks.back_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(block.capacity() - block.len()));
            block.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Takes the first bytes, `wanted` at most.
    pub fn cut(&mut self, wanted: usize) -> Bytes {
        let wanted = wanted.min(self.length);
        self.length -= wanted;
        let cut = match self.blocks.front_mut() {
            Some(block) if block.len() >= wanted => block.split_to(wanted).freeze(),
            _ => {
                let mut cut = BytesMut::with_capacity(wanted);
                while cut.len() < wanted {
                    let Some(block) = self.blocks.front_mut() else { break };
                    let part = block.len().min(wanted - cut.len());
                    cut.extend_from_slice(&block[..part]);
                    block.advance(part);
                    if block.is_empty() && cut.len() < wanted {
                        self.blocks.pop_front();
                    }
                }
                cut.freeze()
            }
        };
        if self.length == 0 {
            self.blocks.clear();
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(steps in proptest::collection::vec((0_usize..100_000, 0_usize..100_000), 1..12)) {
            let (mut queue, mut model, mut next) = (Queue::default(), VecDeque::new(), 0_u32);
            for (push, cut) in steps {
                let bytes: Vec<u8> = (0..push).map(|_| { next += 1; next.to_be_bytes()[3] ^ next.to_be_bytes()[2] }).collect();
                queue.push(&bytes);
                model.extend(bytes);
                let expected: Vec<u8> = model.drain(..cut.min(model.len())).collect();
                prop_assert!(queue.cut(cut) == expected);
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
