//! Randomness, handed in by the caller so that a run can be repeated.

/// A source of random numbers. Every `FnMut() -> u64` is one.
pub trait Random {
    /// Returns the next number, each of the 2^64 as likely as any other.
    fn next_u64(&mut self) -> u64;
}

impl<F: FnMut() -> u64> Random for F {
    fn next_u64(&mut self) -> u64 {
        self()
    }
}

/// Returns a number below `bound`, or 0 if `bound` is 0.
pub(crate) fn below(random: &mut impl Random, bound: usize) -> usize {
    let wide = u128::from(random.next_u64()) * (bound as u128);
    // The high half of the product is below `bound`, which is a usize.
    (wide >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_the_bound_and_reach_both_ends() {
        assert_eq!(below(&mut || 0, 7), 0);
        assert_eq!(below(&mut || u64::MAX, 7), 6);
        assert_eq!(below(&mut || u64::MAX, 1), 0);
        assert_eq!(below(&mut || u64::MAX, 0), 0);
        assert_eq!(below(&mut || 1 << 63, 2), 1);
        assert_eq!(below(&mut || (1 << 63) - 1, 2), 0);
    }
}
