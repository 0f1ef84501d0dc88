//! Quoted-printable (RFC 2045, 6.7): a change is an insertion, with soft line breaks around it.

use std::ops::Range;

use quoted_printable::{InputMode, Options, ParseMode};

use super::Patch;
use crate::reason::Reason;

pub(super) fn decode(raw: &[u8]) -> Result<Vec<u8>, Reason> {
    let uncertain = |what| Err(Reason::Transfer(what));
    for line in raw_lines(raw) {
        let octets = raw.get(line).unwrap_or_default();
        let content = octets.strip_suffix(b"\r\n").unwrap_or(octets);
        if !content
            .iter()
            .all(|octet| matches!(octet, b' '..=b'~' | b'\t'))
        {
            return uncertain("quoted-printable with octets that it has not");
        }
        for (at, _) in content
            .iter()
            .enumerate()
            .filter(|(_, octet)| **octet == b'=')
        {
            match content.get(at + 1..at + 3) {
                Some(code) if code.iter().all(u8::is_ascii_hexdigit) => {}
                _ if at + 1 == content.len() => {}
                _ => return uncertain("quoted-printable with an = that stands for nothing"),
            }
        }
    }
    quoted_printable::decode(raw, ParseMode::Robust)
        .or(uncertain("quoted-printable that cannot be read"))
}

pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let options = Options::default().input_mode(InputMode::Text);
    quoted_printable::encode_with_options(text, options).into_bytes()
}

pub(super) fn insert(raw: &[u8], at: usize, addition: &[u8]) -> Result<Patch, Reason> {
    let written = encode(addition);
    let is_line = addition.ends_with(b"\r\n");
    let mut insert = Vec::new();
    let mut decoded = 0;
    for line in raw_lines(raw) {
        let octets = raw.get(line.clone()).unwrap_or_default();
        if at < decoded {
            break;
        }
        // At the beginning of a line nothing has to be broken.
        if at == decoded {
            insert.extend_from_slice(&written);
            if !is_line {
                insert.extend_from_slice(b"=\r\n");
            }
            return Ok(patch(line.start, insert));
        }
        let (content, is_soft, has_end) = parts(octets);
        let length = content.iter().filter(|octet| **octet == b'=').count();
        let length = content.len() - 2 * length;
        let end = decoded + length;
        let is_inside = at <= end && !(is_soft && has_end && at == end);
        if is_inside {
            let place = line.start + octet_of(content, at - decoded);
            let is_last = !has_end && at == end;
            if is_last && is_soft {
                // The last = of the text becomes a soft line break.
                insert.extend_from_slice(b"\r\n");
                insert.extend_from_slice(&written);
                return Ok(patch(line.end, insert));
            }
            let before = raw.get(line.start..place).unwrap_or_default();
            if !addition.starts_with(b"\r\n") || before.ends_with(b" ") || before.ends_with(b"\t") {
                insert.extend_from_slice(b"=\r\n");
            }
            insert.extend_from_slice(&written);
            if !is_line && !is_last {
                insert.extend_from_slice(b"=\r\n");
            }
            return Ok(patch(place, insert));
        }
        decoded = end + if is_soft { 0 } else { 2 };
    }
    match at == decoded {
        true => Ok(patch(raw.len(), written)),
        false => Err(Reason::Transfer("a place inside of a line end")),
    }
}

fn patch(at: usize, insert: Vec<u8>) -> Patch {
    Patch {
        range: at..at,
        insert,
    }
}

/// The content of a line without what is dropped at its end; whether a soft break ends it; whether it has CRLF.
fn parts(line: &[u8]) -> (&[u8], bool, bool) {
    let (content, has_end) = match line.strip_suffix(b"\r\n") {
        Some(content) => (content, true),
        None => (line, false),
    };
    let shown = content.trim_ascii_end();
    match shown.strip_suffix(b"=") {
        Some(shown) => (shown, true, has_end),
        None => (shown, false, has_end),
    }
}

/// Where the octet of this number is written.
fn octet_of(content: &[u8], number: usize) -> usize {
    let mut at = 0;
    for _ in 0..number {
        at += if content.get(at) == Some(&b'=') { 3 } else { 1 };
    }
    at
}

fn raw_lines(raw: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    raw.split_inclusive(|octet| *octet == b'\n')
        .map(move |line| {
            let start = at;
            at += line.len();
            start..at
        })
}
