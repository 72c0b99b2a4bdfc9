//! [`Memory`]: the working memory of Argon2, which is kept between hashes and wiped.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::Block;

use crate::error::{Error, ErrorKind};

/// Argon2 working memory that is kept from one computation to the next, which writes over it, and wiped when there is none.
///
/// Wiping takes an eighth of the time of a hash, so it is not done for one that is about to do the same.
///
/// Fresh memory for each hash makes the kernel zero 19 MiB of pages every time, which costs more than the hash does
/// once several run at once.
#[derive(Default)]
pub(crate) struct Memory {
    blocks: Vec<Block>,
    /// How many of them, from the first on, have been written to since they were wiped.
    used: usize,
    filled: Arc<AtomicU64>,
}

impl Memory {
    /// Memory that adds what it is used for to a count.
    pub(super) fn counting(filled: Arc<AtomicU64>) -> Self {
        Self { blocks: Vec::new(), used: 0, filled }
    }

    pub(super) fn of(&mut self, blocks: usize) -> Result<&mut [Block], Error> {
        if let Some(more) = blocks.checked_sub(self.blocks.len()).filter(|more| *more > 0) {
            // What is moved to a larger place is left at the old one as well.
            self.wipe();
            self.blocks
                .try_reserve_exact(more)
                .map_err(|error| Error::new(ErrorKind::Overloaded).with_source(error))?;
            self.blocks.resize(blocks, Block::default());
        }
        // What a larger hash left beyond these would not be written over.
        self.wipe_from(blocks);
        self.used = blocks;
        self.blocks.get_mut(..blocks).ok_or_else(|| Error::new(ErrorKind::Internal))
    }

    /// Whether a hash has left something behind.
    pub(super) fn is_used(&self) -> bool {
        self.used > 0
    }

    pub(super) fn count_filled(&self, blocks: u64) {
        self.filled.fetch_add(blocks, Ordering::Relaxed);
    }

    /// Leaves nothing of the passwords that were hashed here.
    pub(super) fn wipe(&mut self) {
        self.wipe_from(0);
    }

    fn wipe_from(&mut self, first: usize) {
        if let Some(used) = self.blocks.get_mut(first..self.used) {
            // As the machine fills memory fastest: written word by word, as `Zeroize` does, it costs logins.
            used.fill(Block::default());
            zeroize::optimization_barrier(used);
            self.used = first;
        }
    }

    /// A row with an unusual cost must not leave a gigabyte behind.
    pub(super) fn shrink(&mut self, usual: usize) {
        if self.blocks.len() > usual {
            // All of it, because what is kept may be moved.
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
    fn memory_is_kept_and_wiped_when_told() {
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
