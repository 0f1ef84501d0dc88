//! The message as the gateway makes it of the edits, and whether it would.

use super::{Edits, FieldEdit, Limits};
use crate::mime::structure::Part;
use crate::reason::Reason;

/// The message with the edits in it. Fields are not folded, which a gateway does.
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
    let line = |name: &str, value: &str| format!("{name}: {value}\r\n").into_bytes();
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
    let header = header(message, root, edits).len() + 2;
    let set = edits
        .fields
        .iter()
        .filter(|edit| matches!(edit, FieldEdit::Set { .. }))
        .count();
    let (whole, fields) = (
        header + root.body.len() + inserted - removed,
        root.header.fields.len() + set,
    );
    if inserted > limits.insert {
        Err(Reason::Limits("octets that edits bring in"))
    } else if whole > limits.message {
        Err(Reason::Limits("octets of a message"))
    } else if header > limits.header {
        Err(Reason::Limits("octets of a header section"))
    } else if fields > limits.fields {
        Err(Reason::Limits("header fields"))
    } else {
        Ok(())
    }
}
