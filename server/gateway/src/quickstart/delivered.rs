//! The delivered message as its reader sees it, beside the one that was sent: text parts decoded, lines that came and
//! went marked.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quoted_printable::ParseMode;

/// A line of the delivered message, or one that is no longer in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// As it was sent.
    Same(String),
    /// New in it.
    Added(String),
    /// Gone from it.
    Removed(String),
}

/// Compares two messages, text parts decoded.
pub(crate) fn compared(sent: &str, delivered: &str) -> Vec<Line> {
    let (sent, delivered) = (readable(sent), readable(delivered));
    // Lengths of the longest common subsequences of what follows.
    let width = delivered.len() + 1;
    let mut common = vec![0_usize; (sent.len() + 1) * width];
    let at = |s: usize, d: usize| s * width + d;
    for s in (0..sent.len()).rev() {
        for d in (0..delivered.len()).rev() {
            common[at(s, d)] = match sent[s] == delivered[d] {
                true => common[at(s + 1, d + 1)] + 1,
                false => common[at(s + 1, d)].max(common[at(s, d + 1)]),
            };
        }
    }
    let (mut s, mut d) = (0, 0);
    let mut lines = Vec::new();
    while s < sent.len() || d < delivered.len() {
        if s < sent.len() && d < delivered.len() && sent[s] == delivered[d] {
            lines.push(Line::Same(sent[s].clone()));
            (s, d) = (s + 1, d + 1);
        } else if s < sent.len()
            && (d == delivered.len() || common[at(s + 1, d)] >= common[at(s, d + 1)])
        {
            lines.push(Line::Removed(sent[s].clone()));
            s += 1;
        } else {
            lines.push(Line::Added(delivered[d].clone()));
            d += 1;
        }
    }
    lines
}

/// How a part's text is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    None,
    Base64,
    QuotedPrintable,
}

/// The lines of a message with its parts decoded. Boundaries are lines that begin with two hyphens, as in the one message
/// that is sent here.
fn readable(message: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut encoding = Encoding::None;
    let mut in_head = true;
    let mut encoded = String::new();
    for line in message.lines() {
        let is_boundary = line.starts_with("--");
        if in_head {
            let field = line.to_ascii_lowercase();
            if let Some(word) = field.strip_prefix("content-transfer-encoding:") {
                encoding = match word.trim() {
                    "base64" => Encoding::Base64,
                    "quoted-printable" => Encoding::QuotedPrintable,
                    _ => Encoding::None,
                };
            }
            in_head = !line.is_empty();
            lines.push(line.to_owned());
        } else if is_boundary {
            decode(&encoded, encoding, &mut lines);
            encoded.clear();
            (encoding, in_head) = (Encoding::None, true);
            lines.push(line.to_owned());
        } else if encoding == Encoding::None {
            lines.push(line.to_owned());
        } else {
            encoded.push_str(line);
            encoded.push_str("\r\n");
        }
    }
    decode(&encoded, encoding, &mut lines);
    lines
}

/// The lines of a part. What cannot be decoded is shown as it is.
fn decode(encoded: &str, encoding: Encoding, lines: &mut Vec<String>) {
    let octets = match encoding {
        Encoding::None => return,
        Encoding::Base64 => {
            let lenient = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let letters: String = encoded.split_whitespace().collect();
            GeneralPurpose::new(&STANDARD, lenient).decode(letters).ok()
        }
        Encoding::QuotedPrintable => quoted_printable::decode(encoded, ParseMode::Robust).ok(),
    };
    let text = octets.map(|octets| String::from_utf8_lossy(&octets).into_owned());
    let text = text.as_deref().unwrap_or(encoded);
    lines.extend(text.lines().map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::super::mail::MESSAGE;
    use super::*;

    #[test]
    fn what_was_sent_is_readable() {
        let lines = readable(MESSAGE);
        for line in [
            "Schöne Grüße – die Analytische Maschine webt Muster.",
            "<html><body><p>Schöne <b>Grüße</b></p></body></html>",
            "An attachment stays as it is.",
        ] {
            assert!(
                lines.iter().any(|own| own == line),
                "{line} is not in {lines:#?}"
            );
        }
        assert!(
            compared(MESSAGE, MESSAGE)
                .iter()
                .all(|line| matches!(line, Line::Same(_)))
        );
    }

    #[test]
    fn lines_that_came_and_went_are_marked() {
        let delivered = MESSAGE
            .replace("From: Ada", "X-Trace: t\r\nFrom: Ada")
            .replace(
                "PGh0bWw+PGJvZHk+PHA+U2Now7ZuZSA8Yj5HcsO8w59lPC9iPjwvcD48L2JvZHk+PC9odG1sPg==",
                "PGh0bWw+PGJvZHk+PHA+bmV3PC9wPjwvYm9keT48L2h0bWw+",
            );
        let changed: Vec<_> = compared(MESSAGE, &delivered)
            .into_iter()
            .filter(|line| !matches!(line, Line::Same(_)))
            .collect();
        assert_eq!(
            changed,
            [
                Line::Added("X-Trace: t".to_owned()),
                Line::Removed("<html><body><p>Schöne <b>Grüße</b></p></body></html>".to_owned()),
                Line::Added("<html><body><p>new</p></body></html>".to_owned()),
            ]
        );
    }
}
