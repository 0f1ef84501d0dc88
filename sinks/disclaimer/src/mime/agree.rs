//! A second reader: what is edited has to look the same to mail-parser.

use std::ops::Range;

use mail_parser::{MessageParser, MessagePart, MimeHeaders, PartType};
use memchr::memmem;

use super::structure::{Content, Multipart, Part, is_line_start};
use crate::reason::Reason;

/// Compares kinds and offsets of all parts that were told for certain.
///
/// # Errors
/// [`Reason::Readers`] at the first difference.
pub(crate) fn check(message: &[u8], root: &Part) -> Result<(), Reason> {
    let shown = for_the_library(message, root);
    let parsed = MessageParser::default()
        .parse(&shown)
        .ok_or(Reason::Readers("no message to the second"))?;
    let first = parsed
        .part(0)
        .ok_or(Reason::Readers("no parts to the second"))?;
    compare(&parsed, first, root)
}

fn compare(
    parsed: &mail_parser::Message<'_>,
    other: &MessagePart<'_>,
    own: &Part,
) -> Result<(), Reason> {
    let offsets = [other.offset_header, other.offset_body, other.offset_end].map(|at| at as usize);
    if offsets != [own.start, own.body.start, own.body.end] {
        return Err(Reason::Readers("where a part begins or ends"));
    }
    if let Some(declared) = &own.content_type {
        let kind = other.content_type().map(|kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase()
        });
        if kind.as_deref() != Some(shown_kind(&declared.kind)) {
            return Err(Reason::Readers("the type of a part"));
        }
        let charset = other
            .content_type()
            .and_then(|kind| kind.attribute("charset"));
        let own = declared.get("charset").map(|charset| &charset.value);
        if own.is_some_and(|own| charset.map(str::as_bytes) != Some(own)) {
            return Err(Reason::Readers("the charset of a part"));
        }
    }
    match (&own.content, &other.body) {
        (Content::Multipart(own), PartType::Multipart(others)) => {
            if own.parts.len() != others.len() {
                return Err(Reason::Readers("how many parts there are"));
            }
            for (own, other) in own.parts.iter().zip(others) {
                let other = parsed
                    .part(*other)
                    .ok_or(Reason::Readers("how many parts there are"))?;
                compare(parsed, other, own)?;
            }
            Ok(())
        }
        (Content::Multipart(_), _) | (Content::Leaf, PartType::Multipart(_)) => {
            Err(Reason::Readers("what has parts"))
        }
        // What cannot be told is not compared; it is not edited either.
        (Content::Leaf | Content::Uncertain(_), _) => Ok(()),
    }
}

/// The kind as mail-parser is shown it: under another name it keeps no lists of alternatives, whose making can panic
/// (0.11.1), and which are not looked at here.
fn shown_kind(kind: &str) -> &str {
    match kind {
        "multipart/alternative" => "multipart/xlternative",
        kind => kind,
    }
}

/// The message as mail-parser is shown it. It takes a delimiter in mid-line for one, and comments in fields for
/// values; neither is in doubt by the RFCs, so both are blanked, octet by octet.
fn for_the_library(message: &[u8], root: &Part) -> Vec<u8> {
    let mut shown = message.to_vec();
    blank(message, root, &mut Vec::new(), &mut shown);
    shown
}

fn blank<'a>(message: &[u8], part: &'a Part, boundaries: &mut Vec<&'a [u8]>, shown: &mut [u8]) {
    let value = message_value(message, part);
    for comment in part
        .content_type
        .iter()
        .flat_map(|declared| &declared.comments)
    {
        if let Some(octets) = shown.get_mut(value + comment.start..value + comment.end) {
            octets
                .iter_mut()
                .filter(|octet| !matches!(octet, b'\r' | b'\n'))
                .for_each(|octet| *octet = b' ');
        }
    }
    if let Some(declared) = &part.content_type {
        let place = value + declared.kind_place.start..value + declared.kind_place.end;
        let kind = shown_kind(&declared.kind);
        if let Some(octets) = shown
            .get_mut(place)
            .filter(|octets| octets.len() == kind.len())
        {
            octets.copy_from_slice(kind.as_bytes());
        }
    }
    match &part.content {
        Content::Multipart(multipart) => {
            let Multipart {
                boundary,
                parts,
                preamble,
                epilogue,
                ..
            } = multipart;
            boundaries.push(boundary);
            blank_delimiters(message, preamble, boundaries, shown);
            for part in parts {
                blank(message, part, boundaries, shown);
            }
            blank_delimiters(message, epilogue, boundaries, shown);
            boundaries.pop();
        }
        Content::Leaf | Content::Uncertain(_) => {
            blank_delimiters(message, &part.body, boundaries, shown);
        }
    }
}

fn message_value(message: &[u8], part: &Part) -> usize {
    let field = part.field(message, "Content-Type").ok().flatten();
    field.map_or(0, |field| field.value.start)
}

fn blank_delimiters(message: &[u8], range: &Range<usize>, boundaries: &[&[u8]], shown: &mut [u8]) {
    let octets = message.get(range.clone()).unwrap_or_default();
    for boundary in boundaries {
        let line = [b"--", *boundary].concat();
        let finder = memmem::Finder::new(&line);
        let mut from = 0;
        while let Some(found) = octets.get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + found;
            if !is_line_start(octets, at)
                && let Some(octet) = shown.get_mut(range.start + at)
            {
                *octet = b'=';
            }
            from = at + 1;
        }
    }
}
