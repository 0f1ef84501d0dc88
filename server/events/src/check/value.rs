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
