//! A part of its own beside a signed text, as mailing lists add theirs: what is signed keeps its octets.

use super::{Addition, Changes, Place};
use crate::mime::structure::Multipart;
use crate::mime::transfer::Transfer;
use crate::reason::Reason;

/// Puts the plain text beside the parts of `multipart`.
///
/// # Errors
/// [`Reason::Transfer`] where it cannot be written.
pub(super) fn add(
    multipart: &Multipart,
    addition: &Addition,
    changes: &mut Changes,
) -> Result<(), Reason> {
    let text = addition.text.lines().collect::<Vec<_>>().join("\r\n");
    let encoded = Transfer::QuotedPrintable.encode(text.as_bytes())?;
    let part = [
        &b"Content-Type: text/plain; charset=utf-8\r\n\
           Content-Transfer-Encoding: quoted-printable\r\n\
           Content-Disposition: inline\r\n\r\n"[..],
        &encoded,
        b"\r\n",
    ]
    .concat();
    let delimiter = [b"--", multipart.boundary.as_slice(), b"\r\n"].concat();
    match (addition.place, multipart.parts.first()) {
        (Place::Top, Some(first)) => {
            changes.splice(first.start..first.start, [part, delimiter].concat());
        }
        _ => changes.splice(multipart.close..multipart.close, [delimiter, part].concat()),
    }
    changes.more_parts += 1;
    Ok(())
}
