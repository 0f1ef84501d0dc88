//! The header fields of a message, and what is to change of them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::check::{Grants, Refusal};
use crate::v1::{self, edit, header_place};

/// The value of a header field: text, or octets as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValue(Bytes);

impl HeaderValue {
    /// Octets that stand behind the colon as they are, folding included. One that neither begins with a blank nor holds
    /// CRLF gets a blank in front.
    pub fn raw(octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        let blank = octets
            .first()
            .is_some_and(|octet| matches!(octet, b' ' | b'\t'));
        match blank || octets.windows(2).any(|pair| pair == b"\r\n") {
            true => Self(octets),
            false => Self([b" ", octets.as_ref()].concat().into()),
        }
    }

    /// Text, which the gateway folds. Blanks at its ends are taken off.
    pub fn text(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.trim().as_bytes()))
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl From<&String> for HeaderValue {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

/// The header fields as the sink was shown them, with the changes made since.
///
/// Names are compared without regard to case. An edit that the binding's `may` does not grant is an error.
#[derive(Clone, Debug, Default)]
pub struct HeaderList {
    grants: Arc<Grants>,
    /// Whether the header section was shown at all.
    known: bool,
    shown: Vec<Shown>,
    separator_missing: bool,
    /// Edits by name, which come before new fields.
    by_name: Vec<ByName>,
    /// New fields before all others, in their order from the top.
    first: Vec<(Bytes, Bytes)>,
    /// New fields behind all others.
    last: Vec<(Bytes, Bytes)>,
    /// New fields before one that was shown.
    before: Vec<(u32, Bytes, Bytes)>,
}

#[derive(Clone, Debug)]
struct Shown {
    field: v1::HeaderField,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Kept,
    Replaced(Bytes),
    Removed,
    /// Removed or replaced by an edit by name.
    ByName,
}

/// All fields of a name removed, or one set in their place.
#[derive(Clone, Debug)]
struct ByName {
    name: Bytes,
    value: Option<Bytes>,
    /// Among those shown, the one whose place the new value takes.
    place: Option<u32>,
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub struct HeaderView<'a> {
    id: Option<u32>,
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> HeaderView<'a> {
    /// Its number, by which [`HeaderList::replace`] and the like name it. None: added by this sink.
    pub fn id(&self) -> Option<u32> {
        self.id
    }

    /// The name as it is written.
    pub fn name(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.name)
    }

    /// The octets behind the colon, with folding.
    pub fn raw(&self) -> &'a [u8] {
        self.value
    }

    /// The value unfolded, without blanks at both ends; what is no UTF-8 is replaced. Encoded words stay: the feature
    /// `mime` has `decoded`.
    pub fn text(&self) -> String {
        let unfolded: Vec<u8> = self
            .value
            .iter()
            .copied()
            .filter(|octet| !matches!(octet, b'\r' | b'\n'))
            .collect();
        String::from_utf8_lossy(unfolded.trim_ascii()).into_owned()
    }
}

impl HeaderList {
    pub(crate) fn new(headers: Option<&v1::Headers>, grants: Arc<Grants>) -> Self {
        let fields = headers.map_or(&[][..], |headers| &headers.fields).iter();
        let shown = fields.map(|field| Shown {
            field: field.clone(),
            change: Change::Kept,
        });
        Self {
            grants,
            known: headers.is_some(),
            shown: shown.collect(),
            separator_missing: headers.is_some_and(|headers| headers.separator_missing),
            ..Default::default()
        }
    }

    /// All fields, with the changes. Fields set by name without having been shown come last.
    pub fn iter(&self) -> impl Iterator<Item = HeaderView<'_>> {
        let first = self.first.iter().map(new_field);
        let set = |id: Option<u32>| {
            self.by_name
                .iter()
                .filter(move |edit| edit.place == id)
                .filter_map(move |edit| {
                    Some(HeaderView {
                        id,
                        name: &edit.name,
                        value: edit.value.as_ref()?,
                    })
                })
        };
        let shown = self.shown.iter().flat_map(move |shown| {
            let id = shown.field.header_id;
            let before = self.before.iter().filter(move |(at, _, _)| *at == id);
            let before = before.map(|(_, name, value)| HeaderView {
                id: None,
                name,
                value,
            });
            before.chain(shown.view()).chain(set(Some(id)))
        });
        let last = self.last.iter().map(new_field);
        first.chain(shown).chain(set(None)).chain(last)
    }

    /// The first field of this name.
    pub fn get(&self, name: &str) -> Option<HeaderView<'_>> {
        self.all(name).next()
    }

    /// All fields of this name, from the top.
    pub fn all(&self, name: &str) -> impl Iterator<Item = HeaderView<'_>> {
        self.iter().filter(move |field| same_name(field.name, name))
    }

    /// Adds a field behind all others.
    ///
    /// # Errors
    /// The grant of the field is missing, as with all edits here.
    pub fn append(&mut self, name: &str, value: impl Into<HeaderValue>) -> Result<(), Refusal> {
        let field = self.field(name, value)?;
        self.last.push(field);
        Ok(())
    }

    /// Adds a field before all others.
    ///
    /// # Errors
    /// The grant of the field is missing.
    pub fn prepend(&mut self, name: &str, value: impl Into<HeaderValue>) -> Result<(), Refusal> {
        let field = self.field(name, value)?;
        self.first.insert(0, field);
        Ok(())
    }

    /// Adds a field before the one of this id.
    ///
    /// # Errors
    /// The grant of the field is missing.
    pub fn insert_before(
        &mut self,
        id: u32,
        name: &str,
        value: impl Into<HeaderValue>,
    ) -> Result<(), Refusal> {
        let (name, value) = self.field(name, value)?;
        self.before.push((id, name, value));
        Ok(())
    }

    /// Gives the field of this id another value.
    ///
    /// # Errors
    /// The grant of the field is missing.
    pub fn replace(&mut self, id: u32, value: impl Into<HeaderValue>) -> Result<(), Refusal> {
        self.change(id, Change::Replaced(value.into().into_bytes()))
    }

    /// Removes the field of this id.
    ///
    /// # Errors
    /// The grant of the field is missing.
    pub fn remove_id(&mut self, id: u32) -> Result<(), Refusal> {
        self.change(id, Change::Removed)
    }

    /// Removes all fields of this name, those that earlier bindings add meanwhile included.
    ///
    /// # Errors
    /// The grant of the field is missing.
    pub fn remove(&mut self, name: &str) -> Result<(), Refusal> {
        self.grants.expect_header(name.as_bytes())?;
        if self.known && self.all(name).next().is_none() {
            return Ok(());
        }
        self.by_name(name, None);
        Ok(())
    }

    /// Makes this the only field of its name: at the place of the first, or behind all others.
    ///
    /// # Errors
    /// The grant of the field is missing.
    pub fn set(&mut self, name: &str, value: impl Into<HeaderValue>) -> Result<(), Refusal> {
        let (_, value) = self.field(name, value)?;
        let mut same = self.all(name);
        let unchanged = match (same.next(), same.next()) {
            (Some(only), None) => {
                only.text().as_bytes() == value.as_ref() || only.value == value.as_ref()
            }
            _ => false,
        };
        drop(same);
        if !unchanged {
            self.by_name(name, Some(value));
        }
        Ok(())
    }

    /// An edit by name takes the place of all edits of that name made before.
    fn by_name(&mut self, name: &str, value: Option<Bytes>) {
        self.first.retain(|(known, _)| !same_name(known, name));
        self.last.retain(|(known, _)| !same_name(known, name));
        self.before.retain(|(_, known, _)| !same_name(known, name));
        self.by_name.retain(|edit| !same_name(&edit.name, name));
        let mut place = None;
        for shown in self
            .shown
            .iter_mut()
            .filter(|shown| same_name(&shown.field.name, name))
        {
            place = place.or(Some(shown.field.header_id));
            shown.change = Change::ByName;
        }
        self.by_name.push(ByName {
            name: Bytes::copy_from_slice(name.as_bytes()),
            value,
            place,
        });
    }

    fn change(&mut self, id: u32, change: Change) -> Result<(), Refusal> {
        if let Some(shown) = self
            .shown
            .iter_mut()
            .find(|shown| shown.field.header_id == id)
        {
            self.grants
                .expect_header(shown.field.name.trim_ascii_end())?;
            shown.change = change;
        }
        Ok(())
    }

    fn field(&self, name: &str, value: impl Into<HeaderValue>) -> Result<(Bytes, Bytes), Refusal> {
        self.grants.expect_header(name.as_bytes())?;
        Ok((
            Bytes::copy_from_slice(name.as_bytes()),
            value.into().into_bytes(),
        ))
    }

    /// The header section with the blank line, as it was shown.
    pub(super) fn write_original(&self, raw: &mut BytesMut) {
        for Shown { field, .. } in &self.shown {
            raw.put_slice(&field.name);
            raw.put_u8(b':');
            raw.put_slice(&field.value);
            raw.put_slice(b"\r\n");
        }
        if !self.separator_missing {
            raw.put_slice(b"\r\n");
        }
    }

    pub(super) fn take_edits(&mut self) -> Vec<edit::Kind> {
        let mut edits = Vec::new();
        for ByName { name, value, .. } in self.by_name.drain(..) {
            edits.push(match value {
                Some(value) => edit::Kind::SetHeader(v1::SetHeader {
                    name,
                    value,
                    ..Default::default()
                }),
                None => edit::Kind::RemoveHeaders(v1::RemoveHeaders { name }),
            });
        }
        let first = header_place::Kind::First(v1::FirstPlace {});
        edits.extend(self.first.drain(..).map(|field| insertion(first, field)));
        for (id, name, value) in self.before.drain(..) {
            edits.push(insertion(
                header_place::Kind::BeforeHeaderId(id),
                (name, value),
            ));
        }
        for Shown { field, change } in self.shown.drain(..) {
            let header_id = field.header_id;
            match change {
                Change::Kept | Change::ByName => {}
                Change::Replaced(value) => {
                    edits.push(edit::Kind::ReplaceHeader(v1::ReplaceHeader {
                        header_id,
                        value,
                        name: Bytes::new(),
                    }))
                }
                Change::Removed => {
                    edits.push(edit::Kind::RemoveHeader(v1::RemoveHeader { header_id }))
                }
            }
        }
        let last = header_place::Kind::Last(v1::LastPlace {});
        edits.extend(self.last.drain(..).map(|field| insertion(last, field)));
        edits
    }
}

impl Shown {
    fn view(&self) -> Option<HeaderView<'_>> {
        let value = match &self.change {
            Change::Kept => &self.field.value,
            Change::Replaced(value) => value,
            Change::Removed | Change::ByName => return None,
        };
        Some(HeaderView {
            id: Some(self.field.header_id),
            name: &self.field.name,
            value,
        })
    }
}

fn new_field((name, value): &(Bytes, Bytes)) -> HeaderView<'_> {
    HeaderView {
        id: None,
        name,
        value,
    }
}

fn insertion(place: header_place::Kind, (name, value): (Bytes, Bytes)) -> edit::Kind {
    let place = Some(v1::HeaderPlace { kind: Some(place) });
    edit::Kind::InsertHeader(v1::InsertHeader { place, name, value })
}

fn same_name(raw: &[u8], name: &str) -> bool {
    raw.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn list() -> HeaderList {
        let field = |header_id, name: &'static str, value: &'static str| v1::HeaderField {
            header_id,
            name: name.into(),
            value: value.into(),
        };
        let headers = v1::Headers {
            fields: vec![
                field(3, "Subject", " a long\r\n one"),
                field(5, "X-Tag", " 1"),
                field(6, "x-tag ", " 2"),
            ],
            ..Default::default()
        };
        HeaderList::new(Some(&headers), Arc::new(Grants::of(&["headers"])))
    }

    fn texts(list: &HeaderList, name: &str) -> Vec<String> {
        list.all(name).map(|field| field.text()).collect()
    }

    #[test]
    fn fields_are_found_without_case_and_unfolded() {
        let list = list();
        assert_eq!(list.get("SUBJECT").unwrap().text(), "a long one");
        assert_eq!(texts(&list, "X-Tag"), ["1", "2"]);
        assert!(list.get("To").is_none());
    }

    #[test]
    fn nothing_changed_is_no_edit() {
        let mut list = list();
        list.set("Subject", "a long one").unwrap();
        list.remove("To").unwrap();
        assert!(list.take_edits().is_empty());
    }

    #[test]
    fn setting_is_one_edit_by_name_whatever_was_done_before() {
        let mut list = list();
        list.prepend("X-Tag", "0").unwrap();
        list.remove_id(6).unwrap();
        list.set("X-Tag", "3").unwrap();
        assert_eq!(texts(&list, "X-Tag"), ["3"]);
        list.append("X-Tag", "4").unwrap();
        assert_eq!(texts(&list, "X-Tag"), ["3", "4"]);
        let edits = list.take_edits();
        assert!(
            matches!(&edits[0], edit::Kind::SetHeader(edit) if edit.name == "X-Tag" && edit.value == "3")
        );
        assert!(matches!(&edits[1], edit::Kind::InsertHeader(edit) if edit.value == "4"));
        assert_eq!(edits.len(), 2);
    }

    #[test]
    fn removing_by_name_needs_nothing_to_have_been_shown() {
        let mut unseen = HeaderList::new(None, Arc::new(Grants::of(&["headers:X-*"])));
        unseen.remove("X-Spam").unwrap();
        assert!(
            matches!(&unseen.take_edits()[..], [edit::Kind::RemoveHeaders(edit)] if edit.name == "X-Spam")
        );
    }

    #[test]
    fn the_field_prepended_last_is_on_top() {
        let mut list = list();
        list.prepend("A", "1").unwrap();
        list.prepend("B", "2").unwrap();
        list.append("C", "3").unwrap();
        let names: Vec<_> = list.iter().map(|field| field.name().into_owned()).collect();
        assert_eq!(names, ["B", "A", "Subject", "X-Tag", "x-tag ", "C"]);
        let inserted: Vec<_> = list
            .take_edits()
            .into_iter()
            .map(|edit| match edit {
                edit::Kind::InsertHeader(edit) => edit.name,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(inserted, ["B", "A", "C"]);
    }

    #[test]
    fn an_edit_without_a_grant_is_an_error_at_once() {
        let mut list = HeaderList::new(None, Arc::new(Grants::of(&["headers:X-*"])));
        list.append("x-seen", "1").unwrap();
        let error = list.set("Subject", "1").unwrap_err().to_string();
        assert_eq!(error, "the binding's `may` does not grant headers:Subject");
    }

    #[test]
    fn a_raw_value_is_taken_as_it_is() {
        assert_eq!(HeaderValue::raw(&b" a\r\n b"[..]).into_bytes(), " a\r\n b");
        assert_eq!(HeaderValue::raw(&b"a"[..]).into_bytes(), " a");
        assert_eq!(HeaderValue::text(" a ").into_bytes(), "a");
    }
}
