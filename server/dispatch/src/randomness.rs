//! Random numbers for choices among replicas: cheap, seeded from the system.

use std::hash::{BuildHasher, Hasher, RandomState};

use postern_attach::Random;

/// A generator (SplitMix64).
pub(crate) struct Randomness(u64);

impl Randomness {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl Random for Randomness {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
