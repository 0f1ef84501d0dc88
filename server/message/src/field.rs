//! Names and values of header fields that are written by us or by a sink.
//!
//! What a sink sends is not trusted. A value comes in one of two forms. One that begins with a blank or holds a CRLF
//! is raw: taken byte for byte as what follows the colon, with its own folding. Any other is text: folding is ours.

use bytes::{BufMut, Bytes, BytesMut};

use crate::header::is_ftext;

/// Longest name of a field, in octets.
pub const MAX_NAME: usize = 76;
/// Longest value of a field before folding, in octets.
pub const MAX_VALUE: usize = 64 * 1024;
/// Where lines are folded when white space allows it (RFC 5322, section 2.1.1).
const PREFERRED_LINE: usize = 78;
/// Longest line without its CRLF (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;

/// Why a name or a value cannot be a header field's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The name is empty, too long, or has an octet that no field name has.
    #[error("not a header field name: 1 to 76 printable ASCII characters without colon or space")]
    Name,
    /// The value is longer than [`MAX_VALUE`].
    #[error("header value of {octets} octets, the limit is 65536")]
    TooLong {
        /// Its length.
        octets: usize,
    },
    /// A raw value with a line that nothing but blanks is on, or that is no continuation.
    #[error(
        "header value whose folding at octet {at} is not a CRLF, a blank and a line that is not empty"
    )]
    Folding {
        /// Where the line break is.
        at: usize,
    },
    /// The value has a bare CR or LF, or NUL.
    #[error("header value with a bare line break or NUL at octet {at}")]
    Forbidden {
        /// Where.
        at: usize,
    },
    /// The value has octets beyond US-ASCII in a message that was not sent with SMTPUTF8, or
    /// octets that are not UTF-8. Encoded words (RFC 2047) are the sink's own affair.
    #[error("header value with an octet beyond ASCII at {at}; it needs encoded words (RFC 2047)")]
    NotAscii {
        /// Where.
        at: usize,
    },
    /// A line would be longer than 998 octets, with no white space to fold at.
    #[error("header value that cannot be folded into lines of 998 octets")]
    Unfoldable,
}

/// The name of a header field: 1 to 76 characters of ftext (RFC 5322, section 3.6.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(Bytes);

impl HeaderName {
    /// Takes a name as it is.
    ///
    /// # Errors
    /// [`FieldError::Name`]
    pub fn parse(name: &[u8]) -> Result<Self, FieldError> {
        if name.is_empty() || name.len() > MAX_NAME || !name.iter().all(|&octet| is_ftext(octet)) {
            return Err(FieldError::Name);
        }
        Ok(Self(Bytes::copy_from_slice(name)))
    }

    /// The name's octets.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// The value of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderValue {
    octets: Bytes,
    /// Taken as it is; else to be folded.
    raw: bool,
}

impl HeaderValue {
    /// Takes a value. `utf8`: the message was sent with SMTPUTF8, so that text may hold UTF-8 (RFC 6532).
    ///
    /// # Errors
    /// When the value has a bare CR or LF or NUL; as text, octets beyond ASCII that it may not have; raw, folding that
    /// is not well-formed.
    pub fn parse(value: &[u8], utf8: bool) -> Result<Self, FieldError> {
        if value.len() > MAX_VALUE {
            return Err(FieldError::TooLong {
                octets: value.len(),
            });
        }
        let raw = value.first().is_some_and(|octet| is_wsp(*octet))
            || value.windows(2).any(|pair| pair == b"\r\n");
        if raw {
            check_raw(value)?;
            return Ok(Self {
                octets: Bytes::copy_from_slice(value),
                raw,
            });
        }
        let value = trim(value);
        if let Some(at) = value.iter().position(|o| matches!(o, b'\r' | b'\n' | 0)) {
            return Err(FieldError::Forbidden { at });
        }
        if let Some(at) = value.iter().position(|octet| !octet.is_ascii())
            && !(utf8 && std::str::from_utf8(value).is_ok())
        {
            return Err(FieldError::NotAscii { at });
        }
        Ok(Self {
            octets: Bytes::copy_from_slice(value),
            raw,
        })
    }

    /// The value's octets: text in one line, a raw value as it stands behind the colon.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.octets
    }
}

/// The folding of a raw value: every line break is a CRLF before a blank, and no line is blank.
fn check_raw(value: &[u8]) -> Result<(), FieldError> {
    let mut start = 0;
    let mut rest = value;
    loop {
        let end = rest.iter().position(|o| matches!(o, b'\r' | b'\n' | 0));
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        // The first line may be blank: a value may begin with its folding.
        let at = start;
        if start > 0
            && (!line.first().is_some_and(|o| is_wsp(*o)) || line.iter().all(|o| is_wsp(*o)))
        {
            return Err(FieldError::Folding { at: at - 2 });
        }
        if line.len() > MAX_LINE {
            return Err(FieldError::Unfoldable);
        }
        let Some(end) = end else { return Ok(()) };
        match rest.get(end..end + 2) {
            Some(b"\r\n") => {
                start += end + 2;
                rest = rest.get(end + 2..).unwrap_or_default();
            }
            _ => return Err(FieldError::Forbidden { at: start + end }),
        }
    }
}

/// Writes a field: `Name: value CRLF`, folded before white space where a line would be longer
/// than 78 octets, in any case within 998.
///
/// # Errors
/// [`FieldError::Unfoldable`]
pub(crate) fn write_field(name: &[u8], value: &HeaderValue) -> Result<Bytes, FieldError> {
    let mut out = BytesMut::with_capacity(name.len() + value.octets.len() + 16);
    out.put_slice(name);
    if value.raw {
        out.put_slice(b":");
        out.put_slice(&value.octets);
        let first = out.windows(2).position(|pair| pair == b"\r\n");
        if first.unwrap_or(out.len()) > MAX_LINE {
            return Err(FieldError::Unfoldable);
        }
        out.put_slice(b"\r\n");
        return Ok(out.freeze());
    }
    out.put_slice(b": ");
    let mut line = out.len();
    let mut rest: &[u8] = &value.octets;
    while !rest.is_empty() {
        // A word with the white space before it: a fold may only come before white space.
        let space = rest.iter().position(|o| !is_wsp(*o)).unwrap_or(rest.len());
        let after = rest.get(space..).unwrap_or_default();
        let end = space + after.iter().position(|o| is_wsp(*o)).unwrap_or(after.len());
        let (word, next) = rest.split_at(end);
        if space > 0 && line + word.len() > PREFERRED_LINE {
            out.put_slice(b"\r\n");
            line = 0;
        }
        out.put_slice(word);
        line += word.len();
        if line > MAX_LINE {
            return Err(FieldError::Unfoldable);
        }
        rest = next;
    }
    out.put_slice(b"\r\n");
    Ok(out.freeze())
}

/// Without white space at the ends. CR and LF stay, to be refused.
fn trim(mut value: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = value.split_first() {
        value = rest;
    }
    while let Some((b' ' | b'\t', rest)) = value.split_last() {
        value = rest;
    }
    value
}

fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests;
