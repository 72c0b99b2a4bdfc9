//! [`HashCost`]: what one Argon2id computation costs, and between which bounds.

/// Sets what one Argon2id computation costs.
///
/// Each hash contains its cost, so that you can raise the cost later. Older hashes are replaced at
/// the next successful login of their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes. This crate computes them one after the other. An attacker with many cores computes
    /// them at the same time, so that more lanes help only the attacker.
    pub parallelism: u32,
}

impl HashCost {
    /// Default: 19 MiB, 2 passes, 1 lane. It is the second row of the Argon2id table in OWASP's
    /// Password Storage Cheat Sheet.
    pub const OWASP: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };

    /// OWASP's row with one pass: 46 MiB, 1 pass, 1 lane. One pass is accepted with no less memory.
    pub const OWASP_ONE_PASS: Self = Self { memory_kib: 47_104, iterations: 1, parallelism: 1 };

    /// Returns whether the cost is at least that of OWASP's recommendation.
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

/// Maximum of memory in KiB that a stored hash may ask for: 1 GiB. A row that asks for more is
/// corrupt or hostile.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Maximum of passes that a stored hash may ask for.
const MAX_ITERATIONS: u32 = 64;
/// Maximum of lanes that a stored hash may ask for.
const MAX_PARALLELISM: u32 = 16;
