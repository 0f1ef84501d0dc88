//! Counts, times, names and ids.

use std::time::Duration;

use postern_message::RecipientId;

use super::bounds::MAX_WAIT;
use crate::fault::Fault;

pub(crate) fn limit(what: &str, value: usize, limit: usize) -> Result<(), Fault> {
    if value <= limit {
        Ok(())
    } else {
        Err(Fault::protocol(format!(
            "{value} {what}, the limit is {limit}"
        )))
    }
}

pub(crate) fn duration(duration: &prost_types::Duration, what: &str) -> Result<Duration, Fault> {
    let seconds = u64::try_from(duration.seconds);
    let nanos = u32::try_from(duration.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    match (seconds, nanos) {
        (Ok(seconds), Some(nanos)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(Fault::protocol(format!(
            "the duration of {what} is out of range"
        ))),
    }
}

pub(crate) fn wait(wait: &prost_types::Duration, what: &str) -> Result<Duration, Fault> {
    let wait = duration(wait, what)?;
    if (Duration::from_secs(1)..=MAX_WAIT).contains(&wait) {
        Ok(wait)
    } else {
        Err(Fault::protocol(format!(
            "{what} is not between 1 s and 30 days"
        )))
    }
}

/// `[a-z0-9][a-z0-9._-]{0,62}`
pub(crate) fn is_key(text: &str) -> bool {
    is_name(text, |b| matches!(b, b'.' | b'_' | b'-'))
}

/// A letter or digit, and then at most 62 of these and of what `also` holds.
fn is_name(text: &str, also: impl Fn(u8) -> bool) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || also(b))
}

/// `[a-z0-9][a-z0-9.-]{0,62}`, or empty.
pub(crate) fn name_or_empty(text: String, what: &str) -> Result<String, Fault> {
    if text.is_empty() || is_name(&text, |b| matches!(b, b'.' | b'-')) {
        Ok(text)
    } else {
        Err(Fault::protocol(format!(
            "{what} is not [a-z0-9][a-z0-9.-]{{0,62}}"
        )))
    }
}

pub(crate) fn recipient_id(octets: &[u8]) -> Result<RecipientId, Fault> {
    <[u8; 16]>::try_from(octets)
        .map(RecipientId::from_bytes)
        .map_err(|_| Fault::protocol("a recipient id has not 16 octets"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_keys_are_made_of_their_characters_throughout() {
        let long = "a".repeat(63);
        for good in ["a", "0", "a-b.c", "9a.", long.as_str()] {
            assert_eq!(name_or_empty(good.to_owned(), "it"), Ok(good.to_owned()));
            assert!(is_key(good), "{good}");
        }
        assert!(is_key("a_b"));
        assert_eq!(name_or_empty(String::new(), "it"), Ok(String::new()));
        assert!(!is_key(""));
        let long = "a".repeat(64);
        for bad in [
            "-a",
            ".a",
            "A",
            "aB",
            "a b",
            "a/b",
            "a\r",
            "ä",
            long.as_str(),
        ] {
            assert!(name_or_empty(bad.to_owned(), "it").is_err(), "{bad}");
            assert!(!is_key(bad), "{bad}");
        }
        assert!(name_or_empty("a_b".to_owned(), "it").is_err());
    }

    #[test]
    fn times_have_both_ends() {
        let of = |seconds, nanos| prost_types::Duration { seconds, nanos };
        assert_eq!(duration(&of(1, 5), "it"), Ok(Duration::new(1, 5)));
        for bad in [of(-1, 0), of(0, -1), of(0, 1_000_000_000)] {
            assert!(duration(&bad, "it").is_err(), "{bad:?}");
        }
        let most = i64::try_from(MAX_WAIT.as_secs()).unwrap();
        assert_eq!(wait(&of(1, 0), "it"), Ok(Duration::from_secs(1)));
        assert_eq!(wait(&of(most, 0), "it"), Ok(MAX_WAIT));
        assert!(wait(&of(0, 999_999_999), "it").is_err());
        assert!(wait(&of(most, 1), "it").is_err());
    }

    #[test]
    fn a_limit_is_the_last_that_passes() {
        assert_eq!(limit("things", 3, 3), Ok(()));
        let fault = limit("things", 4, 3).unwrap_err();
        assert_eq!(fault.detail, "4 things, the limit is 3");
        assert!(recipient_id(&[0; 15]).is_err());
        assert!(recipient_id(&[0; 16]).is_ok());
    }
}
