//! One part of a message with the footer in it.

use mail_parser::{HeaderName, MessagePart, MimeHeaders};

use crate::charset::Charset;
use crate::footer::{Footer, Splice, Untouched};
use crate::transfer::Transfer;

/// What changes for one part. Offsets are those of the whole message.
pub(crate) struct PartEdit {
    pub(crate) splice: Option<Splice>,
    /// Fields of the message itself, when the part is its only one.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Puts the footer into `part`: an insertion where that is enough, else the part written anew.
///
/// # Errors
/// [`Untouched::Unreadable`] when its text cannot be had.
pub(crate) fn part(
    message: &[u8],
    part: &MessagePart<'_>,
    html: bool,
    root: bool,
    footer: &Footer,
) -> Result<PartEdit, Untouched> {
    let (start, end) = (part.offset_body as usize, part.offset_end as usize);
    let raw = message.get(start..end).ok_or(Untouched::Unreadable)?;
    let transfer = Transfer::of(part.content_transfer_encoding()).ok_or(Untouched::Unreadable)?;
    let decoded = transfer.decode(raw).ok_or(Untouched::Unreadable)?;
    let label = part.content_type().and_then(|t| t.attribute("charset"));
    let charset = Charset::of(label, &decoded).ok_or(Untouched::Unreadable)?;
    let text = if html {
        footer.for_html()
    } else {
        footer.for_text()
    };

    if let Some(addition) = charset.encode(&text) {
        let at = position(&decoded, html);
        let addition = with_line_end_before(&decoded, at, addition);
        if matches!(transfer, Transfer::EightBit)
            || (transfer == Transfer::SevenBit && addition.is_ascii())
        {
            // Nothing but the footer changes.
            let splice = Splice {
                range: start + at..start + at,
                insert: addition,
            };
            return Ok(PartEdit {
                splice: Some(splice),
                headers: Vec::new(),
            });
        }
        let whole = insert(&decoded, at, &addition);
        let new = Written {
            transfer: seven_bit_safe(transfer),
            utf8: false,
        };
        return Ok(written_anew(message, part, root, transfer, &whole, new));
    }
    // The charset lacks a character of the footer: the text goes over to UTF-8.
    let old = charset
        .decode(&decoded)
        .ok_or(Untouched::Unreadable)?
        .into_bytes();
    let at = position(&old, html);
    let addition = with_line_end_before(&old, at, text.into_bytes());
    let whole = insert(&old, at, &addition);
    let new = Written {
        transfer: seven_bit_safe(transfer),
        utf8: true,
    };
    Ok(written_anew(message, part, root, transfer, &whole, new))
}

/// How a part is written anew.
#[derive(Clone, Copy)]
struct Written {
    transfer: Transfer,
    utf8: bool,
}

/// What may hold eight-bit octets on any way.
fn seven_bit_safe(transfer: Transfer) -> Transfer {
    match transfer {
        Transfer::Base64 => Transfer::Base64,
        Transfer::SevenBit | Transfer::EightBit | Transfer::QuotedPrintable => {
            Transfer::QuotedPrintable
        }
    }
}

fn written_anew(
    message: &[u8],
    part: &MessagePart<'_>,
    root: bool,
    was: Transfer,
    text: &[u8],
    new: Written,
) -> PartEdit {
    let mut fields: Vec<(&'static str, String)> = Vec::new();
    if new.utf8 {
        fields.push(("Content-Type", content_type_in_utf8(message, part)));
    }
    if new.transfer != was {
        fields.push(("Content-Transfer-Encoding", new.transfer.name().to_owned()));
    }
    if root && !fields.is_empty() {
        fields.push(("MIME-Version", "1.0".to_owned()));
    }
    let body = new.transfer.encode(text);
    let end = part.offset_end as usize;
    if root || fields.is_empty() {
        let splice = Splice {
            range: part.offset_body as usize..end,
            insert: body,
        };
        return PartEdit {
            splice: Some(splice),
            headers: fields,
        };
    }
    let mut insert = header_section(message, part, &fields);
    insert.extend_from_slice(&body);
    let splice = Splice {
        range: part.offset_header as usize..end,
        insert,
    };
    PartEdit {
        splice: Some(splice),
        headers: Vec::new(),
    }
}

/// The part's own header section with `fields` in place of the old ones of their names.
fn header_section(message: &[u8], part: &MessagePart<'_>, fields: &[(&str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for header in &part.headers {
        let replaced = fields
            .iter()
            .any(|(name, _)| header.name.as_str().eq_ignore_ascii_case(name));
        let raw = message.get(header.offset_field as usize..header.offset_end as usize);
        if let (false, Some(raw)) = (replaced, raw) {
            out.extend_from_slice(raw);
        }
    }
    for (name, value) in fields {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The part's Content-Type with `charset=utf-8`, its other parameters as they were.
fn content_type_in_utf8(message: &[u8], part: &MessagePart<'_>) -> String {
    let raw = part
        .headers
        .iter()
        .find(|header| header.name == HeaderName::ContentType)
        .and_then(|header| message.get(header.offset_start as usize..header.offset_end as usize))
        .map(|raw| String::from_utf8_lossy(raw).replace("\r\n", ""))
        .unwrap_or_else(|| "text/plain".to_owned());
    let mut parameters = parameters(&raw);
    let kind = if parameters.is_empty() {
        "text/plain".to_owned()
    } else {
        parameters.remove(0)
    };
    let others = parameters.into_iter().filter(|p| {
        !p.get(..7)
            .is_some_and(|name| name.eq_ignore_ascii_case("charset"))
    });
    let mut out = kind;
    for parameter in others.chain(["charset=utf-8".to_owned()]) {
        out.push_str("; ");
        out.push_str(&parameter);
    }
    out
}

/// What stands between semicolons, quoted strings kept together.
fn parameters(value: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        if c == ';' && !quoted {
            out.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out.into_iter()
        .map(|p| p.trim().to_owned())
        .filter(|p| !p.is_empty())
        .collect()
}

/// Where the footer goes: at the end of the text; in HTML before the end tags.
fn position(text: &[u8], html: bool) -> usize {
    if !html {
        return text.len();
    }
    [&b"</body"[..], b"</html"]
        .iter()
        .find_map(|tag| rfind_ignoring_case(text, tag))
        .unwrap_or(text.len())
}

fn rfind_ignoring_case(text: &[u8], needle: &[u8]) -> Option<usize> {
    (0..=text.len().checked_sub(needle.len())?)
        .rev()
        .find(|at| {
            text.get(*at..at + needle.len())
                .is_some_and(|w| w.eq_ignore_ascii_case(needle))
        })
}

fn with_line_end_before(text: &[u8], at: usize, addition: Vec<u8>) -> Vec<u8> {
    let before = text.get(..at).unwrap_or_default();
    if before.is_empty() || before.ends_with(b"\n") {
        return addition;
    }
    let mut out = b"\r\n".to_vec();
    out.extend_from_slice(&addition);
    out
}

fn insert(text: &[u8], at: usize, addition: &[u8]) -> Vec<u8> {
    let (before, after) = text.split_at(at.min(text.len()));
    [before, addition, after].concat()
}
