//! Numbers without a pattern, the same in every run.

/// A linear congruential generator (Knuth's constants): no cache learns its order, and it costs a
/// nanosecond.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall in the order of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    /// All numbers below `limit`, shuffled.
    pub fn permutation(&mut self, limit: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..limit).collect();
        for last in (1..limit).rev() {
            all.swap(last, self.below(last + 1));
        }
        all
    }
}
