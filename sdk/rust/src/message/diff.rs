//! The smallest single splice that makes one body of another.

use bytes::Bytes;

/// Offset, octets removed there, octets put there. None: they are the same.
pub(super) fn splice(old: &Bytes, new: &Bytes) -> Option<(usize, usize, Bytes)> {
    let prefix = old
        .iter()
        .zip(new.iter())
        .take_while(|(a, b)| a == b)
        .count();
    // The common end must not reach into the common beginning of either.
    let rest = old.len().min(new.len()) - prefix;
    let suffix = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let removed = old.len() - prefix - suffix;
    let inserted = new.slice(prefix..new.len() - suffix);
    (removed > 0 || !inserted.is_empty()).then_some((prefix, removed, inserted))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(old: &Bytes, splice: Option<(usize, usize, Bytes)>) -> Vec<u8> {
        let mut body = old.to_vec();
        if let Some((offset, removed, inserted)) = splice {
            body.splice(offset..offset + removed, inserted);
        }
        body
    }

    #[test]
    fn what_is_the_same_is_not_sent() {
        let old = Bytes::from_static(b"one\r\ntwo\r\nthree\r\n");
        assert_eq!(splice(&old, &old), None);
        let new = Bytes::from_static(b"one\r\nthree\r\n");
        // "two" and "three" both begin with a t.
        assert_eq!(splice(&old, &new), Some((6, 5, Bytes::new())));
        let new = Bytes::from_static(b"one\r\ntwo\r\nthree\r\nfooter\r\n");
        assert_eq!(
            splice(&old, &new),
            Some((17, 0, Bytes::from_static(b"footer\r\n")))
        );
    }

    proptest! {
        #[test]
        fn the_splice_makes_the_new_body(old in "[ab]{0,12}", new in "[ab]{0,12}") {
            let (old, new) = (Bytes::from(old), Bytes::from(new));
            prop_assert_eq!(applied(&old, splice(&old, &new)), new.to_vec());
        }
    }
}
