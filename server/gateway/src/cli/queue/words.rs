//! How the queue is written for people: times, ages, sizes, states.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use postern_proto::admin::v1::MessageState;

/// A time of the protocol.
pub(crate) fn time(time: prost_types::Timestamp) -> Option<SystemTime> {
    SystemTime::try_from(time).ok()
}

/// A time as it is written, to the second, in UTC.
pub(crate) fn at(time: SystemTime) -> String {
    let stamp = Timestamp::try_from(time).unwrap_or_default();
    let whole = Timestamp::from_second(stamp.as_second()).unwrap_or_default();
    whole.to_string()
}

/// How long ago that was.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
    span(now.duration_since(time).unwrap_or_default())
}

/// In how long that is; `now` if it is over.
pub(crate) fn until(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        Ok(left) if left >= Duration::from_secs(1) => span(left),
        _ => "now".to_owned(),
    }
}

/// A span in its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, minutes) if rest > 0 => format!("{minutes}m{rest:02}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) if minutes > 0 => format!("{hours}h{minutes:02}m"),
        (0, hours, _) => format!("{hours}h"),
        (days, hours, _) if hours > 0 => format!("{days}d{hours:02}h"),
        (days, ..) => format!("{days}d"),
    }
}

/// Octets in the largest unit of which they are one at least.
pub(crate) fn octets(octets: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in units {
        if octets >= unit {
            return format!("{:.1} {name}", octets as f64 / unit as f64);
        }
    }
    format!("{octets} B")
}

/// The word for a state.
pub(crate) fn state_word(state: MessageState) -> &'static str {
    match state {
        MessageState::Unspecified => "unknown",
        MessageState::Submit => "submit",
        MessageState::Categorize => "categorize",
        MessageState::Deliver => "deliver",
        MessageState::Held => "held",
        MessageState::Quarantined => "quarantined",
        MessageState::OnHold => "on-hold",
        MessageState::Damaged => "damaged",
    }
}

/// A span as arguments have it: an integer and ms, s, m, h or d.
///
/// # Errors
/// When it is none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write a whole number and ms, s, m, h or d, such as 30m".to_owned()),
    };
    let millis = number.and_then(|number| number.checked_mul(scale));
    let millis = millis.ok_or("write a whole number and ms, s, m, h or d, such as 30m")?;
    Ok(Duration::from_millis(millis))
}

/// A size as arguments have it: an integer and B, KiB, MiB or GiB.
///
/// # Errors
/// When it is none.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("write a whole number and B, KiB, MiB or GiB, such as 5MiB".to_owned()),
    };
    let octets = number.and_then(|number| number.checked_mul(1 << shift));
    octets.ok_or_else(|| "write a whole number and B, KiB, MiB or GiB, such as 5MiB".to_owned())
}

fn split(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|one: char| !one.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number.parse().ok(), unit.trim())
}

/// Text from elsewhere, fit to be printed on a terminal: controls and what turns the direction of writing are shown as
/// escapes.
pub(crate) fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        let turns = matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        match one {
            '\n' | '\r' | '\t' => shown.push(' '),
            one if one.is_control() || turns => shown.extend(one.escape_unicode()),
            one => shown.push(one),
        }
    }
    shown
}

/// A text in at most so many columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m01s"),
            (3600, "1h"),
            (3661, "1h01m"),
            (86_400, "1d"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn arguments_have_units() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2 d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(size("5MiB"), Ok(5 << 20));
        for wrong in ["", "5", "m", "5x", "-5m", "1.5h", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(duration("18446744073709551615d").is_err());
    }

    #[test]
    fn what_comes_from_elsewhere_steers_no_terminal() {
        assert_eq!(safe("a\u{1b}[2J\u{202e}b\nc"), "a\\u{1b}[2J\\u{202e}b c");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(octets(1023), "1023 B");
        assert_eq!(octets(1536), "1.5 KiB");
        assert_eq!(octets(3 << 30), "3.0 GiB");
    }

    #[test]
    fn times_are_to_the_second() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(at(time), "1970-01-01T00:00:01Z");
        assert_eq!(until(time, time), "now");
    }
}
