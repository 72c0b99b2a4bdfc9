//! [`Memory`]: the working memory of Argon2. A thread keeps it from hash to hash, and wipes it when
//! no hash waits.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::Block;

use crate::error::{Error, ErrorKind};

/// Working memory of Argon2.
///
/// It is kept because new memory for each hash makes the kernel zero 19 MiB of pages each time.
/// With several hashes at once that costs more than the hashes.
///
/// The next hash writes over what the last one left. So the memory is wiped only when no next hash
/// waits: wiping takes an eighth of the time of a hash.
#[derive(Default)]
pub(crate) struct Memory {
    blocks: Vec<Block>,
    /// Number of blocks, from the first on, that were written to since the last wipe.
    used: usize,
    /// Number of blocks that were filled since the start, by all threads.
    filled: Arc<AtomicU64>,
}

impl Memory {
    /// Returns empty memory that adds the blocks that are filled in it to `filled`.
    pub(super) fn counting(filled: Arc<AtomicU64>) -> Self {
        Self { blocks: Vec::new(), used: 0, filled }
    }

    pub(super) fn of(&mut self, blocks: usize) -> Result<&mut [Block], Error> {
        if let Some(more) = blocks.checked_sub(self.blocks.len()).filter(|more| *more > 0) {
            // A vector that grows may move, and would leave a copy of its content behind.
            self.wipe();
            self.blocks
                .try_reserve_exact(more)
                .map_err(|error| Error::new(ErrorKind::Overloaded).with_source(error))?;
            self.blocks.resize(blocks, Block::default());
        }
        // The hash does not write over the blocks after its own, where a larger hash left content.
        self.wipe_from(blocks);
        self.used = blocks;
        self.blocks.get_mut(..blocks).ok_or_else(|| Error::new(ErrorKind::Internal))
    }

    /// Returns whether the memory has content of a hash.
    pub(super) fn is_used(&self) -> bool {
        self.used > 0
    }

    pub(super) fn count_filled(&self, blocks: u64) {
        self.filled.fetch_add(blocks, Ordering::Relaxed);
    }

    /// Zeroes all content of hashes.
    pub(super) fn wipe(&mut self) {
        self.wipe_from(0);
    }

    fn wipe_from(&mut self, first: usize) {
        if let Some(used) = self.blocks.get_mut(first..self.used) {
            // `fill` is faster than `Zeroize`, which writes word by word and would slow logins.
            used.fill(Block::default());
            zeroize::optimization_barrier(used);
            self.used = first;
        }
    }

    /// Frees the blocks after the first `usual` ones. Without it one row of an unusual cost would
    /// keep up to 1 GiB.
    pub(super) fn shrink(&mut self, usual: usize) {
        if self.blocks.len() > usual {
            // Wipes the blocks that stay as well, because `shrink_to_fit` may move them.
            self.wipe();
            self.blocks.truncate(usual);
            self.blocks.shrink_to_fit();
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
impl Memory {
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::{argon2::Hasher, hash_cost::HashCost};

    fn hasher() -> Hasher {
        Hasher::new(HashCost::OWASP).unwrap()
    }

    fn is_clean(blocks: &[Block]) -> bool {
        blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
    }

    #[test]
    fn memory_is_kept_until_it_is_wiped() {
        let mut memory = Memory::default();
        hasher().hash(b"correct horse", &mut memory).unwrap();
        assert_eq!(memory.blocks.len(), 19_456);
        assert_eq!(memory.filled.load(Ordering::Relaxed), 2 * 19_456);
        assert!(memory.is_used() && !is_clean(&memory.blocks));
        memory.wipe();
        assert!(!memory.is_used() && is_clean(&memory.blocks));
    }

    #[test]
    fn memory_is_wiped_before_it_shrinks() {
        let mut memory = Memory::default();
        let large = HashCost { memory_kib: 2 * HashCost::OWASP.memory_kib, ..HashCost::OWASP };
        let hash = Hasher::new(large).unwrap().hash(b"correct horse", &mut memory).unwrap();
        let verdict = hasher().verify(b"correct horse", &hash, &mut memory).unwrap();
        assert_eq!(verdict, crate::password::argon2::Verdict::Match { upgrade: false });
        assert_eq!(memory.blocks.len(), 19_456);
        assert!(!memory.is_used() && is_clean(&memory.blocks));
    }

    #[test]
    fn a_smaller_hash_leaves_nothing_of_a_larger_one() {
        let mut memory = Memory::default();
        hasher().hash(b"correct horse", &mut memory).unwrap();
        memory.of(1000).unwrap();
        assert!(is_clean(memory.blocks.get(1000..).unwrap()));
        assert!(!is_clean(memory.blocks.get(..1000).unwrap()));
        memory.of(20_000).unwrap();
        assert!(is_clean(&memory.blocks));
    }
}
