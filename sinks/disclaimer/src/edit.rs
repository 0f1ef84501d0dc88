//! The edit: a message in, the octets that change out, or why none does.
//!
//! It knows nothing of gateways. Offsets of splices are those of the body, as a gateway counts them.

mod apply;
mod check;
mod html;
mod images;
mod own_part;
mod part;
mod place;
mod plain;

use std::ops::Range;

pub use apply::applied;

use crate::mime::agree;
use crate::mime::structure::Part;
use crate::reason::Reason;

/// What is put into a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addition {
    /// For plain text, in lines.
    pub text: String,
    /// For HTML.
    pub html: String,
    /// At which end.
    pub place: Place,
    /// Images that the HTML shows by `cid:`.
    pub images: Vec<Image>,
}

/// At which end of a text something is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Behind the text.
    #[default]
    End,
    /// Before it.
    Top,
}

/// An image that goes with HTML (RFC 2392).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its Content-ID without angle brackets.
    pub cid: String,
    /// Its media type: `image/png`.
    pub kind: String,
    /// Its octets.
    pub octets: Vec<u8>,
}

/// What becomes of DKIM signatures that a change breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dkim {
    /// A message that has one is left alone.
    #[default]
    LeaveAlone,
    /// It stays, and fails from now on.
    Keep,
    /// It is removed.
    Remove,
}

/// What the gateway takes. The default is without limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Edits of a verdict.
    pub edits: usize,
    /// Octets that the splices of a verdict may bring in.
    pub insert: usize,
    /// Octets of a verdict as it is sent.
    pub verdict: usize,
    /// Octets of the message after the edit.
    pub message: usize,
    /// Octets of its header section after the edit, blank line included.
    pub header: usize,
    /// Header fields after the edit.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            edits: usize::MAX,
            insert: usize::MAX,
            verdict: usize::MAX,
            message: usize::MAX,
            header: usize::MAX,
            fields: usize::MAX,
        }
    }
}

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// These octets change.
    Edit(Edits),
    /// None do.
    LeftAlone(Reason),
}

/// The changes of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Octets of the body replaced, ascending.
    pub splices: Vec<Splice>,
    /// Fields of the message itself.
    pub fields: Vec<FieldEdit>,
    /// Texts that got the addition.
    pub texts: usize,
    /// Parts that come in: images, and the addition itself where the text is signed.
    pub parts: usize,
    /// Octets of the message before its body, by which the splices count.
    pub body_start: usize,
}

/// Octets of the body replaced by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// What is taken away; may be empty.
    pub range: Range<usize>,
    /// What is put there.
    pub insert: Vec<u8>,
}

/// A change of the message's own fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldEdit {
    /// The only field of this name gets this value, or is added behind the others.
    Set {
        /// Its name.
        name: &'static str,
        /// What stands behind the colon: a blank first, folded.
        value: Vec<u8>,
    },
    /// All fields of this name go.
    Remove {
        /// Their name.
        name: &'static str,
    },
}

impl FieldEdit {
    /// Octets of its value.
    fn written(&self) -> usize {
        match self {
            Self::Set { value, .. } => value.len(),
            Self::Remove { .. } => 0,
        }
    }

    /// The name of the field.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { name, .. } | Self::Remove { name } => name,
        }
    }
}

/// Plans the edit of `message` (header section, blank line, body; lines end in CRLF).
#[must_use]
pub fn plan(message: &[u8], addition: &Addition, dkim: Dkim, limits: &Limits) -> Plan {
    match edits(message, addition, dkim, limits) {
        Ok(edits) => Plan::Edit(edits),
        Err(reason) => Plan::LeftAlone(reason),
    }
}

/// What a reader sees of the texts of a message, tags of HTML left out.
#[must_use]
pub fn shown_texts(message: &[u8]) -> Vec<String> {
    let Ok(root) = Part::read(message) else {
        return Vec::new();
    };
    let targets = place::targets(message, &root).unwrap_or_default();
    let shown = targets.iter().filter_map(|target| {
        let text = part::Read::of(message, target.part).ok()?.text;
        Some(match target.format {
            place::Format::Plain => text,
            place::Format::Html => html::shown(&text),
        })
    });
    shown.collect()
}

/// What a reader sees of a piece of HTML.
#[must_use]
pub fn shown_html(piece: &str) -> String {
    html::shown(piece)
}

/// The ids of the images that a piece of HTML shows by `cid:`, in their order.
#[must_use]
pub fn shown_images(piece: &str) -> Vec<String> {
    html::shown_images(piece)
}

/// Whether two pieces of HTML have the same tags with as many attributes, so that they differ in text alone.
#[must_use]
pub fn is_same_markup(one: &str, other: &str) -> bool {
    html::markup(one) == html::markup(other)
}

/// Whether a piece of HTML can stand inside of any document.
///
/// # Errors
/// Why not, in words for the operator.
pub fn check_html(piece: &str) -> Result<(), &'static str> {
    html::check_piece(piece)
}

fn edits(
    message: &[u8],
    addition: &Addition,
    dkim: Dkim,
    limits: &Limits,
) -> Result<Edits, Reason> {
    let root = Part::read(message)?;
    let signatures = root.header.all(message, "DKIM-Signature").count();
    if signatures > 0 && dkim == Dkim::LeaveAlone {
        return Err(Reason::Dkim);
    }
    let targets = place::targets(message, &root)?;
    agree::check(message, &root)?;
    let mut changes = Changes::default();
    for target in &targets {
        part::add(message, target, addition, &mut changes)?;
    }
    if let Some(multipart) = place::signed_inside(&root) {
        own_part::add(multipart, addition, &mut changes)?;
    }
    part::forget_old_bodies(message, &root, true, &mut changes);
    if signatures > 0 && dkim == Dkim::Remove {
        changes.fields.push(FieldEdit::Remove {
            name: "DKIM-Signature",
        });
    }
    let starts = targets.iter().map(|target| target.part.start);
    let texts: Vec<(usize, String)> = starts.zip(std::mem::take(&mut changes.expected)).collect();
    let edits = changes.into_edits(root.body.start)?;
    apply::within(message, &root, &edits, limits)?;
    check::check(message, &root, &edits, &texts)?;
    Ok(edits)
}

/// Changes while they are collected. Offsets are those of the message.
#[derive(Debug, Default)]
struct Changes {
    splices: Vec<Splice>,
    fields: Vec<FieldEdit>,
    texts: usize,
    /// What the texts are afterwards, in the order of the targets.
    expected: Vec<String>,
    /// Parts that come in.
    more_parts: usize,
}

impl Changes {
    fn splice(&mut self, range: Range<usize>, insert: impl Into<Vec<u8>>) {
        self.splices.push(Splice {
            range,
            insert: insert.into(),
        });
    }

    /// All fields of this name go, once.
    fn remove_field(&mut self, name: &'static str) {
        let removal = FieldEdit::Remove { name };
        if !self.fields.contains(&removal) {
            self.fields.push(removal);
        }
    }

    fn into_edits(mut self, body: usize) -> Result<Edits, Reason> {
        // Stable: what is put at one place keeps its order.
        self.splices.sort_by_key(|splice| splice.range.start);
        let mut from = body;
        for splice in &mut self.splices {
            if splice.range.start < from {
                return Err(Reason::Structure("changes that overlap"));
            }
            from = splice.range.end;
            splice.range = splice.range.start - body..splice.range.end - body;
        }
        match self.texts + self.more_parts {
            0 => Err(Reason::NoText),
            _ => Ok(Edits {
                splices: self.splices,
                fields: self.fields,
                texts: self.texts,
                parts: self.more_parts,
                body_start: body,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
