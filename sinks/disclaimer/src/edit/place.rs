//! Where a message's own text is: its first text and the alternatives of it.

use crate::mime::field::unfolded;
use crate::mime::parameters::Parameters;
use crate::mime::structure::{Content, Multipart, Part};
use crate::reason::Reason;

/// Texts of a message. More alternatives are an attack on readers.
const TEXTS_MAX: usize = 100;

/// A text that gets the addition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) part: &'a Part,
    pub(super) format: Format,
    /// It is the message's only part: its fields are the message's own.
    pub(super) is_root: bool,
    /// The multipart/related that it is the root of, or is inside of the root of.
    pub(super) related: Option<&'a Multipart>,
}

/// What a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Html,
}

/// The texts of a message. None, where its text is signed and a part of its own can be put beside it.
///
/// # Errors
/// Why there are none, or why they must not be changed.
pub(super) fn targets<'a>(message: &[u8], root: &'a Part) -> Result<Vec<Target<'a>>, Reason> {
    if signed_inside(root).is_some() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let walk = Walk {
        message,
        is_root: true,
        related: None,
    };
    match walk.collect(root, &mut found)? {
        true => Ok(found),
        false => Err(Reason::NoText),
    }
}

/// The multipart/mixed around a signed text, as mailing lists make it: beside what is signed there is room.
pub(super) fn signed_inside(root: &Part) -> Option<&Multipart> {
    let Content::Multipart(multipart) = &root.content else {
        return None;
    };
    let first = multipart.parts.first()?;
    let is_list = root.kind == "multipart/mixed" && first.kind == "multipart/signed";
    is_list.then_some(multipart)
}

#[derive(Clone, Copy)]
struct Walk<'a, 'm> {
    message: &'m [u8],
    is_root: bool,
    related: Option<&'a Multipart>,
}

impl<'a> Walk<'a, '_> {
    /// Collects the texts of a part. Returns whether there are any.
    fn collect(self, part: &'a Part, found: &mut Vec<Target<'a>>) -> Result<bool, Reason> {
        refuse(part)?;
        let inside = Self {
            is_root: false,
            ..self
        };
        match (&part.content, part.kind.as_str()) {
            (Content::Uncertain(reason), _) => Err(reason.clone()),
            (Content::Multipart(multipart), "multipart/alternative") => {
                let mut any = false;
                for part in &multipart.parts {
                    any |= inside.collect(part, found)?;
                }
                Ok(any)
            }
            (Content::Multipart(multipart), "multipart/related") => {
                let root = related_root(self.message, part, multipart)?;
                let inside = Self {
                    related: Some(multipart),
                    ..inside
                };
                inside.collect(root, found)
            }
            (Content::Multipart(multipart), "multipart/mixed") => {
                // A collection has one text, its first; what follows is beside it.
                for part in &multipart.parts {
                    if inside.collect(part, found)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Content::Leaf, "text/plain" | "text/html") => {
                if is_file(self.message, part)? {
                    return Ok(false);
                }
                if found.len() == TEXTS_MAX {
                    return Err(Reason::Structure("too many texts"));
                }
                found.push(Target {
                    part,
                    format: match part.kind.as_str() {
                        "text/html" => Format::Html,
                        _ => Format::Plain,
                    },
                    is_root: self.is_root,
                    related: self.related,
                });
                Ok(true)
            }
            (Content::Multipart(_) | Content::Leaf, _) => Ok(false),
        }
    }
}

fn refuse(part: &Part) -> Result<(), Reason> {
    match part.kind.as_str() {
        "multipart/signed" => Err(Reason::Signed),
        "multipart/encrypted" | "application/pgp-encrypted" => Err(Reason::Encrypted),
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
            let kind = part
                .content_type
                .as_ref()
                .and_then(|kind| kind.get("smime-type"));
            match kind {
                Some(kind) if kind.value.eq_ignore_ascii_case(b"signed-data") => {
                    Err(Reason::Signed)
                }
                _ => Err(Reason::Encrypted),
            }
        }
        "multipart/report" => Err(Reason::Report),
        _ => Ok(()),
    }
}

/// The part that `start` names, or the first (RFC 2387, 3.2).
fn related_root<'a>(
    message: &[u8],
    part: &Part,
    multipart: &'a Multipart,
) -> Result<&'a Part, Reason> {
    let declared = part.content_type.as_ref();
    if declared.is_some_and(|declared| declared.is_extended("start")) {
        return Err(Reason::Structure("a start parameter in pieces"));
    }
    let Some(start) = declared.and_then(|declared| declared.get("start")) else {
        return first_of_related(part, multipart);
    };
    let mut named = Vec::new();
    for part in &multipart.parts {
        if content_id(message, part)?.as_deref() == Some(bare_id(&start.value)) {
            named.push(part);
        }
    }
    match named.as_slice() {
        [root] => Ok(root),
        _ => Err(Reason::Structure(
            "a start parameter that names no part, or several",
        )),
    }
}

/// The first part, unless the `type` parameter tells readers who go by it of another (RFC 2387, 3.1).
fn first_of_related<'a>(part: &Part, multipart: &'a Multipart) -> Result<&'a Part, Reason> {
    let (first, others) = multipart
        .parts
        .split_first()
        .ok_or(Reason::Structure("a multipart without parts"))?;
    let declared = part.content_type.as_ref();
    let kind = declared.and_then(|declared| declared.get("type"));
    let is_of = |part: &Part| {
        kind.is_some_and(|kind| kind.value.eq_ignore_ascii_case(part.kind.as_bytes()))
    };
    // A type that is of a text inside of the first part is common, and in no doubt.
    let is_nested = first.kind.starts_with("multipart/");
    match kind.is_some() && !is_of(first) && !is_nested && others.iter().any(is_of) {
        true => Err(Reason::Structure(
            "a type parameter that is of another part than the first",
        )),
        false => Ok(first),
    }
}

/// The Content-ID of a part without angle brackets.
pub(super) fn content_id(message: &[u8], part: &Part) -> Result<Option<Vec<u8>>, Reason> {
    let field = part.field(message, "Content-ID")?;
    Ok(field.map(|field| bare_id(&unfolded(message, field)).to_vec()))
}

fn bare_id(id: &[u8]) -> &[u8] {
    let id = id.trim_ascii();
    id.strip_prefix(b"<")
        .and_then(|id| id.strip_suffix(b">"))
        .unwrap_or(id)
}

/// It is attached, or has a name: it is not text of the message (RFC 2183).
fn is_file(message: &[u8], part: &Part) -> Result<bool, Reason> {
    let is_named = |read: &Parameters| read.has("name") || read.has("filename");
    if part.content_type.as_ref().is_some_and(is_named) {
        return Ok(true);
    }
    let Some(field) = part.field(message, "Content-Disposition")? else {
        return Ok(false);
    };
    let value = message.get(field.value.clone()).unwrap_or_default();
    let read = Parameters::read(value).ok_or(Reason::Structure(
        "a Content-Disposition that readers take differently",
    ))?;
    Ok(read.kind != "inline" || is_named(&read))
}
