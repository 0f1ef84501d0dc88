//! The edited message, read again: nothing but what was meant may have changed.

use super::{Edits, applied, part};
use crate::mime::agree;
use crate::mime::structure::{Content, Part};
use crate::reason::Reason;

/// Applies the edits and compares. `texts` are the edited texts: where they began, and what they are to be now.
///
/// # Errors
/// [`Reason::Check`] where something else is different.
pub(super) fn check(
    message: &[u8],
    root: &Part,
    edits: &Edits,
    texts: &[(usize, String)],
) -> Result<(), Reason> {
    let edited = applied(message, edits);
    let failed = |_| Reason::Check("its structure is no longer certain");
    let new = Part::read(&edited).map_err(failed)?;
    agree::check(&edited, &new).map_err(failed)?;
    fields(message, root, &edited, &new, edits)?;
    let (old, new) = (leaves(root), leaves(&new));
    if old.len() + edits.parts != new.len() {
        return Err(Reason::Check("there are other parts"));
    }
    // What came in stands between what was there, whose order is the same.
    let mut rest = new.into_iter();
    for leaf in old {
        let text = texts
            .iter()
            .find(|(start, _)| *start == leaf.start)
            .map(|(_, text)| text);
        let octets = message.get(leaf.start..leaf.body.end);
        let is_same = |new: &Part| match text {
            Some(text) => {
                let read = part::Read::of(&edited, new);
                new.kind == leaf.kind && read.is_ok_and(|read| read.text == *text)
            }
            None => edited.get(new.start..new.body.end) == octets,
        };
        if !rest.any(is_same) {
            return Err(Reason::Check("a part is not what it was"));
        }
    }
    Ok(())
}

/// The fields of the message that are not edited stay, octet by octet.
fn fields(
    message: &[u8],
    root: &Part,
    edited: &[u8],
    new: &Part,
    edits: &Edits,
) -> Result<(), Reason> {
    let kept = |octets: &[u8], part: &Part| -> Vec<Vec<u8>> {
        let fields = part.header.fields.iter().filter(|field| {
            let name = octets.get(field.name.clone()).unwrap_or_default();
            let mut edits = edits.fields.iter();
            !edits.any(|edit| edit.name().as_bytes().eq_ignore_ascii_case(name))
        });
        fields
            .map(|field| {
                octets
                    .get(field.name.start..field.end)
                    .unwrap_or_default()
                    .to_vec()
            })
            .collect()
    };
    match kept(message, root) == kept(edited, new) {
        true => Ok(()),
        false => Err(Reason::Check("a field is not what it was")),
    }
}

/// The parts without parts, in their order.
fn leaves(part: &Part) -> Vec<&Part> {
    match &part.content {
        Content::Leaf | Content::Uncertain(_) => vec![part],
        Content::Multipart(multipart) => multipart.parts.iter().flat_map(leaves).collect(),
    }
}
