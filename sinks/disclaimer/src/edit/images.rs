//! Images that an addition in HTML shows: parts of the multipart/related around it (RFC 2387, RFC 2392).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use super::part::{NewFields, OF_THE_OLD_BODY, raw_value, say_that_it_is_mime, writable};
use super::place::{Target, content_id};
use super::{Changes, FieldEdit, Image};
use crate::reason::Reason;

/// The images that are not beside the text already: an answer may have kept those of our earlier message.
///
/// # Errors
/// [`Reason::Structure`] where a part has two ids.
pub(super) fn missing<'i>(
    message: &[u8],
    target: &Target<'_>,
    images: &'i [Image],
) -> Result<Vec<&'i Image>, Reason> {
    let mut known = Vec::new();
    for part in target.related.iter().flat_map(|related| &related.parts) {
        known.extend(content_id(message, part)?);
    }
    Ok(images
        .iter()
        .filter(|image| !known.iter().any(|id| id == image.cid.as_bytes()))
        .collect())
}

/// Puts images into the multipart/related that is there.
pub(super) fn beside(target: &Target<'_>, images: &[&Image], changes: &mut Changes) {
    let Some(related) = target.related.filter(|_| !images.is_empty()) else {
        return;
    };
    // Another text of the same root may have brought them.
    let mut known = changes.splices.iter();
    if known.any(|splice| splice.range == (related.close..related.close)) {
        return;
    }
    changes.splice(
        related.close..related.close,
        parts(images, &related.boundary),
    );
    changes.more_parts += images.len();
}

/// A multipart/related that is opened around a text that is in none.
pub(super) struct Opened<'t> {
    target: Target<'t>,
    fields: Vec<FieldEdit>,
    before: Vec<u8>,
    behind: Vec<u8>,
    images: usize,
}

impl<'t> Opened<'t> {
    /// What has to be put around the text. `None` where nothing has.
    ///
    /// # Errors
    /// Where the fields of the message cannot be moved into the part.
    pub(super) fn around(
        message: &[u8],
        target: &Target<'t>,
        images: &[&Image],
        new: &NewFields,
    ) -> Result<Option<Self>, Reason> {
        if images.is_empty() || target.related.is_some() {
            return Ok(None);
        }
        let boundary = boundary(message)?;
        let kind = format!("multipart/related; boundary=\"{boundary}\";\r\n type=\"text/html\"");
        let mut opened = Self {
            target: *target,
            fields: Vec::new(),
            before: Vec::new(),
            behind: b"\r\n".to_vec(),
            images: images.len(),
        };
        opened
            .behind
            .extend_from_slice(&parts(images, boundary.as_bytes()));
        opened
            .behind
            .extend_from_slice(format!("--{boundary}--").as_bytes());
        if !target.is_root {
            opened.before = format!("Content-Type: {kind}\r\n\r\n--{boundary}\r\n").into_bytes();
            return Ok(Some(opened));
        }
        opened.behind.extend_from_slice(b"\r\n");
        opened.move_fields(message, new, kind, &boundary)?;
        Ok(Some(opened))
    }

    /// The fields of the text are written by this, not where they were.
    pub(super) fn moves_fields(&self) -> bool {
        self.target.is_root
    }

    /// Before all other changes of the part.
    pub(super) fn open(&self, changes: &mut Changes) {
        let part = self.target.part;
        let at = match self.target.is_root {
            true => part.body.start,
            false => part.start,
        };
        changes.splice(at..at, self.before.clone());
        changes.fields.extend(self.fields.iter().cloned());
    }

    /// Behind all other changes of the part.
    pub(super) fn close(&self, changes: &mut Changes) {
        let end = self.target.part.body.end;
        changes.splice(end..end, self.behind.clone());
        changes.more_parts += self.images;
    }

    fn move_fields(
        &mut self,
        message: &[u8],
        new: &NewFields,
        kind: String,
        boundary: &str,
    ) -> Result<(), Reason> {
        let part = self.target.part;
        for field in &part.header.fields {
            let name = message.get(field.name.clone()).unwrap_or_default();
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let is_known = [
                "content-type",
                "content-transfer-encoding",
                "content-language",
            ]
            .contains(&name.as_str())
                || OF_THE_OLD_BODY
                    .iter()
                    .any(|old| old.eq_ignore_ascii_case(&name));
            if name.starts_with("content-") && !is_known {
                return Err(Reason::Structure(
                    "fields of its only text, which gets images",
                ));
            }
        }
        let old = raw_value(message, part, "Content-Type")?.unwrap_or_default();
        let content_type = new.content_type.as_deref().unwrap_or(&old);
        let transfer = match new.transfer {
            Some(transfer) => Some(transfer.as_bytes().to_vec()),
            None => raw_value(message, part, "Content-Transfer-Encoding")?,
        };
        let mut before = format!("--{boundary}\r\n").into_bytes();
        let mut line = |name: &'static str, value: &[u8]| -> Result<(), Reason> {
            let value = writable(name, value)?;
            before.extend_from_slice(&[name.as_bytes(), b":", &value, b"\r\n"].concat());
            Ok(())
        };
        line("Content-Type", content_type)?;
        let name = "Content-Transfer-Encoding";
        if let Some(transfer) = &transfer {
            line(name, transfer)?;
        }
        before.extend_from_slice(b"\r\n");
        self.before = before;
        self.fields.push(FieldEdit::Set {
            name: "Content-Type",
            value: format!(" {kind}").into_bytes(),
        });
        if new.is_eight_bit {
            self.fields.push(FieldEdit::Set {
                name,
                value: b" 8bit".to_vec(),
            });
        } else if part.field(message, name)?.is_some() {
            self.fields.push(FieldEdit::Remove { name });
        }
        let mut mime = Changes::default();
        say_that_it_is_mime(message, part, &mut mime);
        self.fields.extend(mime.fields);
        Ok(())
    }
}

fn parts(images: &[&Image], boundary: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for image in images {
        out.extend_from_slice(b"--");
        out.extend_from_slice(boundary);
        let Image { cid, kind, octets } = image;
        out.extend_from_slice(
            format!(
                "\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-ID: <{cid}>\r\nContent-Disposition: inline\r\n\r\n"
            )
            .as_bytes(),
        );
        for line in STANDARD.encode(octets).as_bytes().chunks(76) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// One that does not occur in the message. `=_` stands neither in base64 nor in quoted-printable.
fn boundary(message: &[u8]) -> Result<String, Reason> {
    (0..100)
        .map(|number| format!("=_postern_related_{number}"))
        .find(|boundary| memmem::find(message, boundary.as_bytes()).is_none())
        .ok_or(Reason::Structure("no boundary is free"))
}
