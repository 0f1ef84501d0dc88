//! Where the text of a message is.

use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use crate::footer::Untouched;

/// A text that gets the footer.
pub(crate) struct Target<'a> {
    pub(crate) part: &'a MessagePart<'a>,
    pub(crate) html: bool,
    /// It is the message's only part: its header fields are the message's own.
    pub(crate) root: bool,
}

/// How deep parts are followed.
const DEPTH_MAX: usize = 8;

/// The texts of a message: its only part, all alternatives, or the first part of a collection.
///
/// # Errors
/// Why there are none.
pub(crate) fn targets<'a>(message: &'a Message<'a>) -> Result<Vec<Target<'a>>, Untouched> {
    let mut found = Vec::new();
    collect(message, 0, 0, &mut found)?;
    if found.is_empty() {
        return Err(Untouched::NoText);
    }
    Ok(found)
}

fn collect<'a>(
    message: &'a Message<'a>,
    id: u32,
    depth: usize,
    found: &mut Vec<Target<'a>>,
) -> Result<(), Untouched> {
    let Some(part) = message.part(id) else {
        return Ok(());
    };
    let (kind, subtype) = media_type(part);
    refuse(&kind, &subtype)?;
    match &part.body {
        PartType::Multipart(children) if depth < DEPTH_MAX => {
            let every = subtype == "alternative";
            for child in children {
                let before = found.len();
                collect(message, *child, depth + 1, found)?;
                // A collection has one text, its first; what follows is attached to it.
                if !every && found.len() > before {
                    return Ok(());
                }
            }
            Ok(())
        }
        PartType::Text(text) if kind == "text" && subtype == "plain" && !is_attachment(part) => {
            refuse_inline_pgp(text)?;
            found.push(Target {
                part,
                html: false,
                root: id == 0,
            });
            Ok(())
        }
        PartType::Html(_) if !is_attachment(part) => {
            found.push(Target {
                part,
                html: true,
                root: id == 0,
            });
            Ok(())
        }
        _ => Ok(()),
    }
}

fn media_type(part: &MessagePart<'_>) -> (String, String) {
    part.content_type().map_or_else(
        || ("text".to_owned(), "plain".to_owned()),
        |t| {
            (
                t.ctype().to_ascii_lowercase(),
                t.subtype().unwrap_or_default().to_ascii_lowercase(),
            )
        },
    )
}

fn refuse(kind: &str, subtype: &str) -> Result<(), Untouched> {
    match (kind, subtype) {
        ("multipart", "signed") => Err(Untouched::Signed),
        ("multipart", "encrypted") | ("application", "pgp-encrypted") => Err(Untouched::Encrypted),
        ("application", "pkcs7-mime" | "x-pkcs7-mime") => Err(Untouched::Encrypted),
        ("multipart", "report") => Err(Untouched::Report),
        _ => Ok(()),
    }
}

fn refuse_inline_pgp(text: &str) -> Result<(), Untouched> {
    for line in text.lines() {
        match line.trim_end() {
            "-----BEGIN PGP MESSAGE-----" => return Err(Untouched::Encrypted),
            "-----BEGIN PGP SIGNED MESSAGE-----" => return Err(Untouched::Signed),
            _ => {}
        }
    }
    Ok(())
}

fn is_attachment(part: &MessagePart<'_>) -> bool {
    part.content_disposition()
        .is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment"))
}
