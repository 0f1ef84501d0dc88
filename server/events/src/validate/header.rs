//! Edits of header fields.

use postern_message::{
    Edit, HeaderField, HeaderId, HeaderName, HeaderNames, HeaderPlace, HeaderValue, is_trace,
};
use postern_proto::rules;
use postern_proto::v1 as pb;
use postern_proto::v1::header_place::Kind as Place;

use super::asked::not_granted;
use super::edit::Checker;
use crate::fault::Fault;

impl Checker<'_, '_> {
    pub(super) fn insert_header(&self, insert: pb::InsertHeader) -> Result<Edit, Fault> {
        self.may_header(&insert.name)?;
        let place = insert
            .place
            .and_then(|place| place.kind)
            .ok_or_else(|| Fault::protocol("the place of a header field is unset or unknown"))?;
        let at = self.place(place)?;
        let (name, value) = self.header(&insert.name, &insert.value)?;
        Ok(Edit::InsertHeader { at, name, value })
    }

    pub(super) fn set_header(&self, set: pb::SetHeader) -> Result<Edit, Fault> {
        self.may_header(&set.name)?;
        let at = match set.place.map(|place| place.kind) {
            None => HeaderPlace::Last,
            Some(Some(place)) => self.place(place)?,
            Some(None) => {
                return Err(Fault::protocol("the place of a header field is unknown"));
            }
        };
        let (name, value) = self.header(&set.name, &set.value)?;
        Ok(Edit::SetHeader {
            at,
            name,
            value,
            only_if_missing: set.only_if_missing,
        })
    }

    pub(super) fn replace_header(&self, replace: pb::ReplaceHeader) -> Result<Edit, Fault> {
        let field = self.field(replace.header_id)?;
        self.may_header(field.name())?;
        if replace.name.is_empty() {
            let (_, value) = self.header(field.name(), &replace.value)?;
            return Ok(Edit::ReplaceHeader {
                id: field.id(),
                name: None,
                value,
            });
        }
        self.may_header(&replace.name)?;
        let (name, value) = self.header(&replace.name, &replace.value)?;
        Ok(Edit::ReplaceHeader {
            id: field.id(),
            name: Some(name),
            value,
        })
    }

    pub(super) fn remove_header(&self, remove: pb::RemoveHeader) -> Result<Edit, Fault> {
        let field = self.field(remove.header_id)?;
        self.may_header(field.name())?;
        Ok(Edit::RemoveHeader { id: field.id() })
    }

    pub(super) fn remove_headers(&self, remove: pb::RemoveHeaders) -> Result<Edit, Fault> {
        let name = |name: &[u8]| {
            HeaderName::parse(name).map_err(|error| Fault::protocol(error.to_string()))
        };
        let names = match remove.name.strip_suffix(b"*") {
            None => {
                self.may_header(&remove.name)?;
                HeaderNames::Exact(name(&remove.name)?)
            }
            Some(prefix) => {
                let name = name(prefix)?;
                let never = rules::NEVER_BY_PREFIX
                    .iter()
                    .any(|own| own.as_bytes().eq_ignore_ascii_case(prefix));
                let grants = &self.asked.binding.grants.headers;
                if never || !grants.covers_prefix(prefix) {
                    return Err(not_granted(&format!("headers:{}*", prefix.escape_ascii())));
                }
                HeaderNames::Prefix(name)
            }
        };
        Ok(Edit::RemoveHeaders { names })
    }

    fn place(&self, place: Place) -> Result<HeaderPlace, Fault> {
        Ok(match place {
            Place::First(_) => HeaderPlace::First,
            Place::Last(_) => HeaderPlace::Last,
            Place::BeforeHeaderId(id) => HeaderPlace::Before(self.field(id)?.id()),
            Place::AfterHeaderId(id) => HeaderPlace::After(self.field(id)?.id()),
        })
    }

    pub(super) fn header(
        &self,
        name: &[u8],
        value: &[u8],
    ) -> Result<(HeaderName, HeaderValue), Fault> {
        let name = HeaderName::parse(name).map_err(|error| Fault::protocol(error.to_string()))?;
        let value = HeaderValue::parse(value, self.asked.utf8())
            .map_err(|error| Fault::protocol(error.to_string()))?;
        Ok((name, value))
    }

    /// The field of this id, if the binding was shown it as it is now.
    fn field(&self, id: u32) -> Result<&HeaderField, Fault> {
        let binding = self.asked.binding;
        if binding.reads.original {
            return Err(Fault::protocol(
                "a binding that reads `original` edits header fields by name, first or last",
            ));
        }
        self.asked
            .version
            .and_then(|version| version.header(HeaderId(id)))
            .filter(|field| {
                binding.depth(self.asked.event()).shows_headers()
                    && binding.reads.headers.contains(field.name())
            })
            .ok_or_else(|| {
                Fault::protocol(format!(
                    "no header field that the binding was shown has the id {id}"
                ))
            })
    }

    fn may_header(&self, name: &[u8]) -> Result<(), Fault> {
        let grants = &self.asked.binding.grants.headers;
        // Fields that carry the trace of the message; a grant must name them in full.
        let granted = if is_trace(name) {
            grants.names(name)
        } else {
            grants.contains(name)
        };
        if granted {
            Ok(())
        } else {
            Err(not_granted(&format!("headers:{}", name.escape_ascii())))
        }
    }
}
