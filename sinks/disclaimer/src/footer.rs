//! What is to be appended, and what that comes to for one message.

use std::ops::Range;

use mail_parser::MessageParser;

use crate::place::{self, Target};
use crate::rewrite;

/// The text to append, as the operator configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Put at the end of plain text, on lines of its own.
    pub text: String,
    /// Put at the end of HTML, as HTML. Left out: the text, escaped, in a paragraph.
    pub html: Option<String>,
}

impl Footer {
    /// The text's lines, each with CRLF, an empty line before them.
    pub(crate) fn for_text(&self) -> String {
        let mut out = String::from("\r\n");
        for line in self.text.trim_end().lines() {
            out.push_str(line.trim_end());
            out.push_str("\r\n");
        }
        out
    }

    /// The piece of HTML.
    pub(crate) fn for_html(&self) -> String {
        match &self.html {
            Some(html) => format!(
                "\r\n{}\r\n",
                html.trim_end().replace("\r\n", "\n").replace('\n', "\r\n")
            ),
            None => {
                let lines: Vec<String> = self.text.trim_end().lines().map(escape).collect();
                format!("\r\n<p>{}</p>\r\n", lines.join("<br>\r\n"))
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Why a message stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untouched {
    /// A change would break its signature.
    #[error("signed")]
    Signed,
    /// It cannot be read.
    #[error("encrypted")]
    Encrypted,
    /// It is a report of a mail system.
    #[error("a report")]
    Report,
    /// It has no text to append to.
    #[error("no text in it")]
    NoText,
    /// Its charset or transfer encoding is unknown, or its text does not keep to it.
    #[error("its text cannot be read in its own charset or encoding")]
    Unreadable,
}

/// What changes in a message. Offsets are those of the body, before any change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Header fields of the message that get this value, or are added where they are missing.
    pub headers: Vec<(&'static str, String)>,
    /// Octets replaced, in ascending order.
    pub splices: Vec<Splice>,
}

/// Octets of the body replaced by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// What is taken away; may be empty.
    pub range: Range<usize>,
    /// What is put there.
    pub insert: Vec<u8>,
}

/// Appends `footer` to all texts of `message` (header section, empty line, body).
///
/// # Errors
/// Why the message stays as it is.
pub fn append(message: &[u8], footer: &Footer) -> Result<Changes, Untouched> {
    let parsed = MessageParser::default()
        .parse(message)
        .ok_or(Untouched::NoText)?;
    let body = parsed.root_part().offset_body as usize;
    let targets = place::targets(&parsed)?;
    let mut changes = Changes::default();
    let mut failed = None;
    for Target { part, html, root } in targets {
        match rewrite::part(message, part, html, root, footer) {
            Ok(edit) => {
                changes.headers.extend(edit.headers);
                changes.splices.extend(edit.splice);
            }
            // Other texts of the message may still take it.
            Err(why) => failed = Some(why),
        }
    }
    if changes.splices.is_empty() {
        return Err(failed.unwrap_or(Untouched::NoText));
    }
    for splice in &mut changes.splices {
        let (start, end) = (splice.range.start, splice.range.end);
        if start < body {
            return Err(Untouched::Unreadable);
        }
        splice.range = start - body..end - body;
    }
    changes.splices.sort_by_key(|splice| splice.range.start);
    Ok(changes)
}

#[cfg(test)]
mod tests;
