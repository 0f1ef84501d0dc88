//! BDAT content (RFC 3030): octets by count.

use bytes::{Bytes, BytesMut};

/// Takes the octets of one chunk as they stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BdatDecoder {
    remaining: u64,
}

impl BdatDecoder {
    /// A chunk of `size` octets.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { remaining: size }
    }

    /// Takes what `input` has of the chunk, and nothing behind it. Nothing is copied.
    pub fn decode(&mut self, input: &mut BytesMut) -> Bytes {
        let length = usize::try_from(self.remaining)
            .map_or(input.len(), |remaining| remaining.min(input.len()));
        self.remaining -= length as u64;
        input.split_to(length).freeze()
    }

    /// Octets still to come.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether the chunk is complete.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.remaining == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn takes_exactly_the_chunk(
            octets in proptest::collection::vec(any::<u8>(), 0..50),
            size in 0usize..60,
            cuts in proptest::collection::vec(0usize..9, 0..9),
        ) {
            let mut decoder = BdatDecoder::new(size as u64);
            let (mut content, mut input, mut rest) = (Vec::new(), BytesMut::new(), octets.as_slice());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                rest = tail;
                input.extend_from_slice(piece);
                content.extend_from_slice(&decoder.decode(&mut input));
            }
            let taken = size.min(octets.len());
            prop_assert_eq!(content.as_slice(), octets.get(..taken).unwrap_or_default());
            prop_assert_eq!(&input[..], octets.get(taken..).unwrap_or_default());
            prop_assert_eq!(decoder.remaining(), (size - taken) as u64);
            prop_assert_eq!(decoder.is_done(), size == taken);
        }
    }
}
