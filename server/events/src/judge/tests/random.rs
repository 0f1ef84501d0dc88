//! Random numbers that are the same in every run.

/// xorshift64*.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(&[seed, 0x5eed]).max(1))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    /// True in one of so many.
    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Mixes numbers into one.
pub(super) fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, part| {
        let hash = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (hash ^ (hash >> 33))
            .wrapping_mul(0xc4ce_b9fe_1a85_ec53)
            .rotate_left(29)
    })
}

/// Mixes octets into a number.
pub(super) fn mix_octets(octets: &[u8]) -> u64 {
    octets.iter().fold(octets.len() as u64, |hash, octet| {
        mix(&[hash, u64::from(*octet)])
    })
}
