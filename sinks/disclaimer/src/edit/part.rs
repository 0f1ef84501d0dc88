//! One text with the addition in it, in its own charset and encoding, else in UTF-8.

use super::place::{Format, Target};
use super::{Addition, Changes, FieldEdit, html, images, plain};
use crate::mime::charset::{self, Charset};
use crate::mime::field::Field;
use crate::mime::structure::{Content, Part};
use crate::mime::transfer::Transfer;
use crate::reason::Reason;

/// Longest line without its CRLF (RFC 5322, 2.1.1).
const LINE_MAX: usize = 998;
/// Longest value of a field that is written anew.
const VALUE_MAX: usize = 16 << 10;

/// The lines that begin armour (RFC 9580, 6.2 and 7).
const PGP_MESSAGE: &str = "-----BEGIN PGP MESSAGE-----";
const PGP_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// A text as it is read.
#[derive(Clone, Debug)]
pub(super) struct Read<'m> {
    raw: &'m [u8],
    transfer: Transfer,
    /// What `raw` stands for.
    octets: Vec<u8>,
    /// The charset as the part names it.
    label: String,
    charset: Charset,
    pub(super) text: String,
}

/// What is to be said in the fields of a part.
#[derive(Clone, Debug, Default)]
pub(super) struct NewFields {
    /// The value of Content-Type, folding included.
    pub(super) content_type: Option<Vec<u8>>,
    /// The value of Content-Transfer-Encoding.
    pub(super) transfer: Option<&'static str>,
    /// Its octets as they are written need eight bits.
    pub(super) is_eight_bit: bool,
}

/// Fields that say what a body is, and no longer fit when it changes (RFC 1864).
pub(super) const OF_THE_OLD_BODY: [&str; 2] = ["Content-MD5", "Content-Length"];

impl<'m> Read<'m> {
    /// Reads a text.
    ///
    /// # Errors
    /// Where its labels are unknown, or its octets do not keep to them.
    pub(super) fn of(message: &'m [u8], part: &Part) -> Result<Self, Reason> {
        let raw = message.get(part.body.clone()).unwrap_or_default();
        let transfer = Transfer::named(&part.transfer_encoding(message)?)
            .ok_or(Reason::Transfer("its name is unknown"))?;
        let octets = transfer.decode(raw)?;
        let declared = part.content_type.as_ref();
        if declared.is_some_and(|declared| declared.is_extended("charset")) {
            return Err(Reason::Structure("a charset parameter in pieces"));
        }
        let label = declared
            .and_then(|declared| declared.get("charset"))
            .map_or_else(
                || "us-ascii".to_owned(),
                |charset| charset.value.escape_ascii().to_string(),
            );
        let charset = Charset::named(&label).ok_or_else(|| Reason::Charset(label.clone()))?;
        let text = charset
            .decode(&octets)
            .ok_or_else(|| Reason::Label(label.clone()))?;
        Ok(Self {
            raw,
            transfer,
            octets,
            label,
            charset,
            text,
        })
    }

    /// Readers who trust the label see other characters than readers who look at the octets.
    fn is_mislabelled(&self) -> bool {
        charset::has_controls(&self.text) || self.charset.is_mistaken_for_utf8(&self.octets)
    }
}

/// Adds to one text.
///
/// # Errors
/// Why the whole message is to be left alone.
pub(super) fn add(
    message: &[u8],
    target: &Target<'_>,
    addition: &Addition,
    changes: &mut Changes,
) -> Result<(), Reason> {
    let read = Read::of(message, target.part)?;
    let (at, added, charsets) = match target.format {
        Format::Plain => {
            refuse_inline_pgp(&read.text)?;
            let lines = plain::Lines::of(target.part);
            let is_whole = target.is_root;
            let (at, added) =
                plain::insertion(&read.text, &addition.text, addition.place, lines, is_whole);
            (at, added, Ok(Vec::new()))
        }
        Format::Html => {
            let document = html::Document::read(&read.text)?;
            let at = document.at(addition.place)?;
            let charsets = document.charsets().map(<[_]>::to_vec);
            refuse_pgp_in_html(&read.text)?;
            (at, html::insertion(&addition.html), charsets)
        }
    };
    let images = match target.format {
        Format::Html => images::missing(message, target, &addition.images)?,
        Format::Plain => Vec::new(),
    };
    let added = match (target.format, read.transfer) {
        (Format::Html, Transfer::Base64) => in_whole_groups(read.charset, added),
        _ => added,
    };
    let change = match read.charset.encode(&added) {
        Some(octets) => in_its_charset(&read, at, &added, &octets)?,
        None => in_utf8(message, target.part, &read, at, &added, &charsets?)?,
    };
    let whole = images::Opened::around(message, target, &images, &change.fields)?;
    let has_own_fields = whole.as_ref().is_none_or(|whole| !whole.moves_fields());
    whole.iter().for_each(|whole| whole.open(changes));
    if has_own_fields {
        write_fields(message, target, &change.fields, changes)?;
    }
    remove_fields(message, target, changes);
    let start = target.part.body.start;
    changes.splice(start + change.from..start + change.to, change.insert);
    whole.iter().for_each(|whole| whole.close(changes));
    images::beside(target, &images, changes);
    changes.texts += 1;
    changes.expected.push(change.text);
    Ok(())
}

/// The change of one part. Offsets are those of its body as it is written.
struct Change {
    from: usize,
    to: usize,
    insert: Vec<u8>,
    fields: NewFields,
    /// What the text is afterwards.
    text: String,
}

fn in_its_charset(
    read: &Read<'_>,
    at: usize,
    added: &str,
    octets: &[u8],
) -> Result<Change, Reason> {
    if !octets.is_ascii() && read.charset.is_mistaken_for_utf8(&read.octets) {
        // Readers who look at the octets would no longer take them for UTF-8.
        return Err(Reason::Label(read.label.clone()));
    }
    let uncertain = Reason::Check("its charset does not come out the same");
    let place = read
        .charset
        .octets_before(&read.octets, &read.text, at)
        .ok_or(uncertain.clone())?;
    let text = inserted(&read.text, at, added);
    let (before, after) = read
        .octets
        .split_at_checked(place)
        .ok_or(uncertain.clone())?;
    let whole = [before, octets, after].concat();
    if read.charset.decode(&whole).as_ref() != Some(&text) {
        return Err(uncertain);
    }
    let was_eight_bit = read.transfer == Transfer::Identity && !read.octets.is_ascii();
    // The way of the message need not carry more than it did: octets beyond ASCII, longer lines.
    let fits = read.transfer != Transfer::Identity
        || (octets.is_ascii() || was_eight_bit) && longest_line(octets) <= LINE_MAX;
    if fits {
        let patch = read.transfer.insert(read.raw, place, octets)?;
        return Ok(Change {
            from: patch.range.start,
            to: patch.range.end,
            insert: patch.insert,
            fields: NewFields {
                is_eight_bit: was_eight_bit,
                ..NewFields::default()
            },
            text,
        });
    }
    Ok(Change {
        from: 0,
        to: read.raw.len(),
        insert: Transfer::QuotedPrintable.encode(&whole)?,
        fields: NewFields {
            transfer: Some("quoted-printable"),
            ..NewFields::default()
        },
        text,
    })
}

fn in_utf8(
    message: &[u8],
    part: &Part,
    read: &Read<'_>,
    at: usize,
    added: &str,
    charsets: &[std::ops::Range<usize>],
) -> Result<Change, Reason> {
    if read.is_mislabelled() {
        // Most likely windows-1252 or UTF-8; what it is cannot be known.
        return Err(Reason::Label(read.label.clone()));
    }
    let mut text = String::with_capacity(read.text.len() + added.len());
    let mut from = 0;
    let mut pieces: Vec<(std::ops::Range<usize>, &str)> = charsets
        .iter()
        .map(|place| (place.clone(), "utf-8"))
        .collect();
    pieces.push((at..at, added));
    pieces.sort_by_key(|(place, _)| place.start);
    for (place, piece) in pieces {
        text.push_str(
            read.text
                .get(from..place.start)
                .ok_or(Reason::Html("changes overlap"))?,
        );
        text.push_str(piece);
        from = place.end;
    }
    text.push_str(read.text.get(from..).unwrap_or_default());
    let was_eight_bit = read.transfer == Transfer::Identity && !read.octets.is_ascii();
    let is_declared = part.transfer_encoding(message)? == "8bit";
    let transfer = match read.transfer {
        Transfer::Base64 => Transfer::Base64,
        Transfer::Identity
            if was_eight_bit && is_declared && longest_line(text.as_bytes()) <= LINE_MAX =>
        {
            Transfer::Identity
        }
        Transfer::Identity | Transfer::QuotedPrintable => Transfer::QuotedPrintable,
    };
    let is_new = transfer == Transfer::QuotedPrintable && read.transfer == Transfer::Identity;
    Ok(Change {
        from: 0,
        to: read.raw.len(),
        insert: transfer.encode(text.as_bytes())?,
        fields: NewFields {
            content_type: Some(content_type_in_utf8(message, part)?),
            transfer: is_new.then_some("quoted-printable"),
            is_eight_bit: transfer == Transfer::Identity,
        },
        text,
    })
}

/// The value of Content-Type with `charset=utf-8` in it; all else, comments and folds, as it was.
fn content_type_in_utf8(message: &[u8], part: &Part) -> Result<Vec<u8>, Reason> {
    let (Some(declared), Some(field)) = (&part.content_type, part.field(message, "Content-Type")?)
    else {
        return Ok(b" text/plain; charset=utf-8".to_vec());
    };
    let value = message.get(field.value.clone()).unwrap_or_default();
    let (place, new) = match declared.get("charset") {
        Some(charset) => (charset.place.clone(), "utf-8"),
        None => (declared.append_at..declared.append_at, "; charset=utf-8"),
    };
    let before = value.get(..place.start).unwrap_or_default();
    let after = value.get(place.end..).unwrap_or_default();
    Ok([before, new.as_bytes(), after].concat())
}

fn write_fields(
    message: &[u8],
    target: &Target<'_>,
    new: &NewFields,
    changes: &mut Changes,
) -> Result<(), Reason> {
    let part = target.part;
    let content_type = new.content_type.as_deref();
    let transfer = new
        .transfer
        .map(|transfer| [b" ", transfer.as_bytes()].concat());
    let fields = [
        ("Content-Type", content_type),
        ("Content-Transfer-Encoding", transfer.as_deref()),
    ];
    for (name, value) in fields {
        let Some(value) = value else {
            continue;
        };
        if target.is_root {
            changes.fields.push(FieldEdit::Set {
                name,
                value: writable(name, value)?,
            });
            continue;
        }
        let value = writable(name, value)?;
        match part.field(message, name)? {
            Some(field) => changes.splice(field.value.clone(), value),
            None => {
                let line = [name.as_bytes(), b":", &value, b"\r\n"].concat();
                changes.splice(part.header.blank..part.header.blank, line);
            }
        }
    }
    let is_written = new.content_type.is_some() || new.transfer.is_some();
    if target.is_root && is_written {
        say_that_it_is_mime(message, part, changes);
    }
    Ok(())
}

/// `MIME-Version`, without which the other fields mean nothing (RFC 2045, 4).
pub(super) fn say_that_it_is_mime(message: &[u8], root: &Part, changes: &mut Changes) {
    if root.header.all(message, "MIME-Version").next().is_none() {
        changes.fields.push(FieldEdit::Set {
            name: "MIME-Version",
            value: b" 1.0".to_vec(),
        });
    }
}

fn remove_fields(message: &[u8], target: &Target<'_>, changes: &mut Changes) {
    remove_old_fields(message, target.part, target.is_root, changes);
}

fn remove_old_fields(message: &[u8], part: &Part, is_root: bool, changes: &mut Changes) {
    for name in OF_THE_OLD_BODY {
        for field in part.header.all(message, name) {
            match is_root {
                true => changes.remove_field(name),
                false => changes.splice(field.name.start..field.end, []),
            }
        }
    }
}

/// Removes the fields that say what a body is from every multipart in which something changes.
pub(super) fn forget_old_bodies(message: &[u8], part: &Part, is_root: bool, changes: &mut Changes) {
    let Content::Multipart(multipart) = &part.content else {
        return;
    };
    let is_inside = |splice: &super::Splice| {
        part.body.start <= splice.range.start && splice.range.end <= part.body.end
    };
    if changes.splices.iter().any(is_inside) {
        remove_old_fields(message, part, is_root, changes);
        for part in &multipart.parts {
            forget_old_bodies(message, part, false, changes);
        }
    }
}

/// A value as a gateway takes it for a field of the message, octet by octet: a blank first, lines within their limit.
///
/// # Errors
/// [`Reason::Field`]
pub(super) fn writable(name: &'static str, value: &[u8]) -> Result<Vec<u8>, Reason> {
    let blank = match value.first() {
        Some(b' ' | b'\t' | b'\r') => &b""[..],
        _ => b" ",
    };
    let value = [blank, value].concat();
    let mut begun = name.len() + 1;
    for line in value.split(|octet| *octet == b'\n') {
        let length = begun + line.strip_suffix(b"\r").unwrap_or(line).len();
        if length > LINE_MAX {
            return Err(Reason::Field(name));
        }
        begun = 0;
    }
    match value.len() > VALUE_MAX {
        true => Err(Reason::Field(name)),
        false => Ok(value),
    }
}

/// What stands behind the colon of a field.
pub(super) fn raw_value(
    message: &[u8],
    part: &Part,
    name: &str,
) -> Result<Option<Vec<u8>>, Reason> {
    let value = |field: &Field| {
        message
            .get(field.value.clone())
            .unwrap_or_default()
            .to_vec()
    };
    Ok(part.field(message, name)?.map(value))
}

fn inserted(text: &str, at: usize, added: &str) -> String {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    [before, added, after].concat()
}

/// With blanks before its line end, so that base64 around it keeps its letters.
fn in_whole_groups(charset: Charset, mut added: String) -> String {
    let length = charset
        .encode(&added)
        .map_or(added.len(), |octets| octets.len());
    let blanks = " ".repeat((3 - length % 3) % 3);
    added.insert_str(added.len().saturating_sub(2), &blanks);
    added
}

fn longest_line(octets: &[u8]) -> usize {
    octets
        .split(|octet| *octet == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).len())
        .max()
        .unwrap_or_default()
}

/// Line breaks of HTML are tags, so that there are no lines to go by.
fn refuse_pgp_in_html(html: &str) -> Result<(), Reason> {
    if !html.contains("-----BEGIN PGP ") {
        return Ok(());
    }
    let shown = html::shown(html);
    let has = |mark| shown.contains(mark);
    match (has(PGP_MESSAGE), has(PGP_SIGNED)) {
        (true, _) => Err(Reason::Encrypted),
        (_, true) => Err(Reason::Signed),
        _ => Ok(()),
    }
}

fn refuse_inline_pgp(text: &str) -> Result<(), Reason> {
    for line in text.lines() {
        match line.trim() {
            PGP_MESSAGE => return Err(Reason::Encrypted),
            PGP_SIGNED => return Err(Reason::Signed),
            _ => {}
        }
    }
    Ok(())
}
