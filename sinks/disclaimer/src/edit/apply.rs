//! The message as the gateway makes it of the edits, and whether it would.

use super::{Edits, FieldEdit, Limits};
use crate::mime::field::Section;
use crate::mime::structure::Part;
use crate::reason::Reason;

/// The message with the edits in it, octet by octet as a gateway makes it.
#[must_use]
pub fn applied(message: &[u8], edits: &Edits) -> Vec<u8> {
    let Ok(root) = Part::read(message) else {
        return message.to_vec();
    };
    let mut out = header(message, &root, edits);
    out.extend_from_slice(b"\r\n");
    let body = message.get(root.body.clone()).unwrap_or_default();
    let mut from = 0;
    for splice in &edits.splices {
        out.extend_from_slice(body.get(from..splice.range.start).unwrap_or_default());
        out.extend_from_slice(&splice.insert);
        from = splice.range.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out
}

fn header(message: &[u8], root: &Part, edits: &Edits) -> Vec<u8> {
    let mut out = Vec::new();
    let mut written = Vec::new();
    let line = |name: &str, value: &[u8]| [name.as_bytes(), b":", value, b"\r\n"].concat();
    for field in &root.header.fields {
        let name = message.get(field.name.clone()).unwrap_or_default();
        let edit = edits
            .fields
            .iter()
            .find(|edit| edit.name().as_bytes().eq_ignore_ascii_case(name));
        match edit {
            None => {
                let whole = message.get(field.name.start..field.end);
                out.extend_from_slice(whole.unwrap_or_default());
            }
            Some(FieldEdit::Set { name, value }) if !written.contains(name) => {
                written.push(name);
                out.extend_from_slice(&line(name, value));
            }
            Some(_) => {}
        }
    }
    for edit in &edits.fields {
        if let FieldEdit::Set { name, value } = edit
            && !written.contains(name)
        {
            out.extend_from_slice(&line(name, value));
        }
    }
    out
}

/// Octets that the rest of a verdict may have, its explanation and properties among them.
const REST_OF_VERDICT: usize = 8 << 10;
/// Octets around the value of an edit on the wire, at most.
const AROUND_EDIT: usize = 128;

/// Whether the edits keep to the gateway's limits: a verdict over them would be refused, and the message stuck.
///
/// # Errors
/// [`Reason::Limits`]
pub(super) fn within(
    message: &[u8],
    root: &Part,
    edits: &Edits,
    limits: &Limits,
) -> Result<(), Reason> {
    let inserted: usize = edits.splices.iter().map(|splice| splice.insert.len()).sum();
    let removed: usize = edits.splices.iter().map(|splice| splice.range.len()).sum();
    let written: usize = edits.fields.iter().map(FieldEdit::written).sum();
    let header = header(message, root, edits);
    let fields = Section::read(&[&header[..], b"\r\n"].concat(), 0..header.len() + 2)?;
    // One more: the property that says what became of the message is an edit to some.
    let count = edits.splices.len() + edits.fields.len() + 1;
    let header = header.len() + 2;
    let over = [
        (count, limits.edits, "edits of a verdict"),
        (inserted, limits.insert, "octets that edits bring in"),
        (
            inserted + written + count * AROUND_EDIT + REST_OF_VERDICT,
            limits.verdict,
            "octets of a verdict",
        ),
        (
            header + root.body.len() + inserted - removed,
            limits.message,
            "octets of a message",
        ),
        (header, limits.header, "octets of a header section"),
        (fields.fields.len(), limits.fields, "header fields"),
    ];
    match over.into_iter().find(|(value, limit, _)| value > limit) {
        Some((_, _, what)) => Err(Reason::Limits(what)),
        None => Ok(()),
    }
}
