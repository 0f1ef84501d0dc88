//! Edits of the content applied to a version: everything is checked before anything is built.

use std::sync::Arc;

use bytes::Bytes;

use super::rope::{self, Cursor};
use super::{Segment, Version};
use crate::{Edit, EditError, EditLimits, HeaderField, HeaderId};

impl Version {
    /// Applies the header and body edits of one verdict, all or none; other edits are passed over.
    ///
    /// # Errors
    /// The first edit that cannot be applied, or the first limit that the result is over.
    pub fn apply(&self, edits: &[Edit], limits: &EditLimits) -> Result<Self, EditError> {
        if edits.len() > limits.edits {
            return Err(EditError::TooManyEdits {
                count: edits.len(),
                limit: limits.edits,
            });
        }
        if !edits.iter().any(Edit::is_of_content) {
            return Ok(self.clone());
        }
        let mut inserted = 0;
        let mut next = self.clone();
        next.edited = true;
        if edits
            .iter()
            .any(|edit| edit.is_of_content() && !edit.is_of_body())
        {
            inserted += self.apply_headers(edits, &mut next)?;
        }
        if let Some(body) = self.apply_body(edits, &mut inserted)? {
            next.body = Arc::new(body);
        }
        within("octets brought in", inserted, limits.inserted)?;
        next.check(limits)?;
        Ok(next)
    }

    /// Puts one whole field with its line end, our own `Received`, above all that came in: behind what was brought in
    /// in front of that, since whoever puts a field first vouches for everything below it. `fields_received` is how many
    /// fields the original has.
    ///
    /// # Errors
    /// [`EditError::NotAField`] unless the bytes are one field, folded by CRLF and white space,
    /// without another CR or LF, or NUL.
    pub fn put_trace(&self, field: Bytes, fields_received: usize) -> Result<Self, EditError> {
        if !is_one_field(&field) {
            return Err(EditError::NotAField);
        }
        let field = HeaderField::new(HeaderId(self.next_id), None, field);
        let mut next = self.clone();
        let headers = Arc::make_mut(&mut next.headers);
        // The fields of the original have the ids from 1 on, also those with another value now.
        let brought_in = |field: &HeaderField| {
            usize::try_from(field.id().0).is_ok_and(|id| id > fields_received)
        };
        let in_front = headers.iter().take_while(|field| brought_in(field)).count();
        headers.insert(in_front, field.ok_or(EditError::NotAField)?);
        next.next_id = next_id(self.next_id)?;
        next.edited = true;
        Ok(next)
    }

    /// The new body, if there are edits of it.
    fn apply_body(
        &self,
        edits: &[Edit],
        inserted: &mut u64,
    ) -> Result<Option<Vec<Segment>>, EditError> {
        let mut edits = edits.iter().filter(|edit| edit.is_of_body());
        let Some(first) = edits.next() else {
            return Ok(None);
        };
        let size = self.body_size().ok_or(EditError::BodyOpen)?;
        let mut body = Vec::new();
        if let Edit::ReplaceBody { body: new } = first {
            if edits.next().is_some() {
                return Err(EditError::BodyTwice);
            }
            *inserted += new.len() as u64;
            rope::push(&mut body, Segment::Inserted(new.clone()));
            return Ok(Some(body));
        }
        let mut cursor = Cursor::new(&self.body);
        let mut after = 0;
        for edit in std::iter::once(first).chain(edits) {
            let Edit::SpliceBody {
                offset,
                remove,
                insert,
            } = edit
            else {
                return Err(EditError::BodyTwice);
            };
            if *offset < after {
                return Err(EditError::SpliceOrder {
                    offset: *offset,
                    after,
                });
            }
            let end = offset.saturating_add(*remove);
            if end > size {
                return Err(EditError::SpliceRange { end, size });
            }
            cursor.take(offset - after, &mut body);
            cursor.skip(*remove);
            *inserted += insert.len() as u64;
            rope::push(&mut body, Segment::Inserted(insert.clone()));
            after = end;
        }
        cursor.take(size - after, &mut body);
        Ok(Some(body))
    }

    fn check(&self, limits: &EditLimits) -> Result<(), EditError> {
        let count = |value: usize| value as u64;
        within(
            "header fields",
            count(self.headers.len()),
            count(limits.header_count),
        )?;
        within(
            "octets of the header section",
            self.header_size(),
            limits.header_octets,
        )?;
        within(
            "pieces of the body",
            count(self.body.len()),
            count(limits.body_pieces),
        )?;
        match self.size() {
            Some(size) => within("octets of the message", size, limits.message),
            None => Ok(()),
        }
    }
}

fn within(what: &'static str, value: u64, limit: u64) -> Result<(), EditError> {
    if value > limit {
        return Err(EditError::OverLimit { what, value, limit });
    }
    Ok(())
}

pub(super) fn next_id(id: u32) -> Result<u32, EditError> {
    id.checked_add(1).ok_or(EditError::OverLimit {
        what: "header ids",
        value: u64::from(id),
        limit: u64::from(u32::MAX),
    })
}

/// One field that ends with CRLF, its folds being CRLF and white space, and no other line break.
fn is_one_field(raw: &[u8]) -> bool {
    let Some(inside) = raw.strip_suffix(b"\r\n") else {
        return false;
    };
    let mut octets = inside.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\n' | 0 => return false,
            b'\r' if !is_fold(&mut octets) => return false,
            _ => {}
        }
    }
    true
}

/// What comes after a CR makes it a fold: LF and white space.
fn is_fold(octets: &mut impl Iterator<Item = u8>) -> bool {
    octets.next() == Some(b'\n') && matches!(octets.next(), Some(b' ' | b'\t'))
}
