//! Folding of header fields whose lines are too long (RFC 5322 2.2.3).

use crate::needs::LONGEST_LINE;

/// Folds the lines of a field that are too long, each before the last white space where that can be. `None`: there is none.
///
/// `field` is a whole field, with its folds and its line end.
pub(super) fn fold(field: &[u8]) -> Option<Vec<u8>> {
    let most = LONGEST_LINE as usize;
    let mut folded = Vec::with_capacity(field.len() + 64);
    for line in field.split_inclusive(|&octet| octet == b'\n') {
        let mut rest = line.strip_suffix(b"\r\n").unwrap_or(line);
        let end = line.get(rest.len()..).unwrap_or_default();
        while rest.len() > most {
            let at = place(rest, most)?;
            let (head, tail) = rest.split_at(at);
            folded.extend_from_slice(head);
            folded.extend_from_slice(b"\r\n");
            rest = tail;
        }
        folded.extend_from_slice(rest);
        folded.extend_from_slice(end);
    }
    Some(folded)
}

/// Where to fold: before white space that something follows, and behind something, so that no line is of white space alone.
fn place(line: &[u8], most: usize) -> Option<usize> {
    let is_blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    let text = line
        .iter()
        .position(|octet| !matches!(octet, b' ' | b'\t'))?;
    let last = line
        .iter()
        .rposition(|octet| !matches!(octet, b' ' | b'\t'))?;
    (text + 1..=most.min(last.saturating_sub(1)))
        .rev()
        .find(|&at| is_blank(line.get(at)) && !is_blank(line.get(at - 1)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(folded: &[u8]) -> Vec<usize> {
        let text = std::str::from_utf8(folded).unwrap();
        text.split("\r\n").map(str::len).collect()
    }

    #[test]
    fn long_lines_are_folded_at_white_space() {
        let words = ["word"; 500].join(" ");
        let field = format!("Subject: {words}\r\n").into_bytes();
        let folded = fold(&field).unwrap();
        assert!(
            lines(&folded).iter().all(|&length| length <= 998),
            "{:?}",
            lines(&folded)
        );
        let unfolded = String::from_utf8(folded).unwrap().replace("\r\n ", " ");
        assert_eq!(unfolded.as_bytes(), field);
    }

    #[test]
    fn short_lines_stay_as_they_are() {
        let field = b"Subject: a\r\n\tb\r\n";
        assert_eq!(fold(field).unwrap(), field);
    }

    #[test]
    fn no_line_is_of_white_space_alone() {
        let field = format!("X: {}{}{}\r\n", "a".repeat(900), " ".repeat(300), "b");
        let folded = fold(field.as_bytes()).unwrap();
        for line in String::from_utf8(folded).unwrap().split_terminator("\r\n") {
            assert!(!line.trim().is_empty() && line.len() <= 998, "{line:?}");
        }
        for hopeless in [
            format!("X: {}\r\n", "a".repeat(1200)),
            format!("X: a{}\r\n", " ".repeat(1200)),
            format!("{}: b\r\n", "X".repeat(999)),
        ] {
            assert_eq!(fold(hopeless.as_bytes()), None, "{hopeless:?}");
        }
    }
}
