//! Base64 (RFC 2045, 6.8): a change rewrites the groups of four letters that it touches.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Patch;
use crate::reason::Reason;

/// Letters of a line.
const LINE: usize = 76;

pub(super) fn decode(raw: &[u8]) -> Result<Vec<u8>, Reason> {
    let letters: Vec<u8> = raw
        .iter()
        .copied()
        .filter(|octet| is_letter(*octet))
        .collect();
    STANDARD
        .decode(letters)
        .map_err(|_| Reason::Transfer("base64 with letters, padding or an end that it has not"))
}

pub(super) fn encode(octets: &[u8]) -> Vec<u8> {
    let mut out = lines(octets);
    if !out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

pub(super) fn insert(raw: &[u8], at: usize, addition: &[u8]) -> Result<Patch, Reason> {
    let old = decode(raw)?;
    // The offsets of the letters, padding included.
    let places: Vec<usize> = raw
        .iter()
        .enumerate()
        .filter_map(|(place, octet)| is_letter(*octet).then_some(place))
        .collect();
    let group = at / 3;
    let start = group * 3;
    // What is behind can keep its letters if the change is of whole groups.
    let is_whole = addition.len().is_multiple_of(3);
    let end = match (is_whole, at % 3) {
        (true, 0) => start,
        (true, _) => (start + 3).min(old.len()),
        (false, _) => old.len(),
    };
    let piece = |from: usize, to: usize| old.get(from..to).unwrap_or_default();
    let changed = [piece(start, at), addition, piece(at, end)].concat();
    let place = |group: usize| match places.get(group * 4) {
        Some(place) => *place,
        None => places.last().map_or(0, |last| last + 1),
    };
    let range = place(group)..place(end.div_ceil(3)).max(place(group));
    let before = raw.get(..range.start).unwrap_or_default();
    let behind = raw.get(range.end..).unwrap_or_default();
    let mut insert = Vec::new();
    if !before.is_empty() && !before.ends_with(b"\n") {
        insert.extend_from_slice(b"\r\n");
    }
    insert.extend_from_slice(&lines(&changed));
    if behind.iter().any(|octet| is_letter(*octet)) && !behind.starts_with(b"\r\n") {
        insert.extend_from_slice(b"\r\n");
    }
    Ok(Patch { range, insert })
}

fn lines(octets: &[u8]) -> Vec<u8> {
    let letters = STANDARD.encode(octets);
    letters
        .as_bytes()
        .chunks(LINE)
        .collect::<Vec<_>>()
        .join(&b"\r\n"[..])
}

fn is_letter(octet: u8) -> bool {
    !matches!(octet, b'\r' | b'\n' | b' ' | b'\t')
}
