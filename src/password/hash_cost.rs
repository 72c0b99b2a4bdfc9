//! [`HashCost`]: what one Argon2id computation costs, and its bounds.

/// What one Argon2id computation costs; it goes into every hash, so it can be raised later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes. They are computed one after the other here: more of them only help an attacker who has cores to spare.
    pub parallelism: u32,
}

impl HashCost {
    /// The default: OWASP's Password Storage Cheat Sheet, second row of its Argon2id table (19 MiB, 2 passes, 1 lane).
    pub const OWASP: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };

    /// OWASP's row for more memory and one pass (46 MiB); the least memory that one pass may have.
    pub const OWASP_ONE_PASS: Self = Self { memory_kib: 47_104, iterations: 1, parallelism: 1 };

    /// Whether it is at least as strong as OWASP asks.
    pub(crate) fn is_strong_enough(self) -> bool {
        let at_least = |row: Self| self.memory_kib >= row.memory_kib && self.iterations >= row.iterations;
        at_least(Self::OWASP) || at_least(Self::OWASP_ONE_PASS)
    }

    pub(super) fn is_bounded(self) -> bool {
        self.memory_kib <= MAX_MEMORY_KIB && self.iterations <= MAX_ITERATIONS && self.parallelism <= MAX_PARALLELISM
    }
}

impl Default for HashCost {
    fn default() -> Self {
        Self::OWASP
    }
}

/// The most memory that a stored hash may ask for (1 GiB): more is a corrupt or hostile row.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// The most passes that a stored hash may ask for.
const MAX_ITERATIONS: u32 = 64;
/// The most lanes that a stored hash may ask for.
const MAX_PARALLELISM: u32 = 16;
