//! The header fields of a message, and what is to change of them.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::event::text;
use crate::v1::{self, edit, header_place};

/// The header fields as the sink was shown them, with the changes made since.
///
/// Names are compared without case. Values are given without folding and line ends: the gateway folds.
#[derive(Clone, Debug, Default)]
pub struct HeaderList {
    shown: Vec<Shown>,
    separator_missing: bool,
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
        text(self.name)
    }

    /// The octets behind the colon, with folding.
    pub fn raw(&self) -> &'a [u8] {
        self.value
    }

    /// The value unfolded, without blanks at both ends; what is no UTF-8 is replaced. Encoded words stay.
    pub fn text(&self) -> String {
        let unfolded: Vec<u8> = self
            .value
            .iter()
            .copied()
            .filter(|octet| !matches!(octet, b'\r' | b'\n'))
            .collect();
        text(unfolded.trim_ascii()).into_owned()
    }
}

impl HeaderList {
    pub(crate) fn new(headers: v1::Headers) -> Self {
        let shown = headers
            .fields
            .into_iter()
            .map(|field| Shown {
                field,
                change: Change::Kept,
            })
            .collect();
        Self {
            shown,
            separator_missing: headers.separator_missing,
            ..Default::default()
        }
    }

    /// All fields, with the changes.
    pub fn iter(&self) -> impl Iterator<Item = HeaderView<'_>> {
        let first = self.first.iter().map(new_field);
        let last = self.last.iter().map(new_field);
        let shown = self.shown.iter().flat_map(|shown| {
            let before = self
                .before
                .iter()
                .filter(|(id, _, _)| *id == shown.field.header_id)
                .map(|(_, name, value)| HeaderView {
                    id: None,
                    name,
                    value,
                });
            before.chain(shown.view())
        });
        first.chain(shown).chain(last)
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
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.last.push(field(name, value));
    }

    /// Adds a field before all others.
    pub fn prepend(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.first.insert(0, field(name, value));
    }

    /// Adds a field before the one of this id.
    pub fn insert_before(&mut self, id: u32, name: &str, value: impl AsRef<[u8]>) {
        let (name, value) = field(name, value);
        self.before.push((id, name, value));
    }

    /// Gives the field of this id another value.
    pub fn replace(&mut self, id: u32, value: impl AsRef<[u8]>) {
        if let Some(shown) = self
            .shown
            .iter_mut()
            .find(|shown| shown.field.header_id == id)
        {
            shown.change = Change::Replaced(Bytes::copy_from_slice(value.as_ref()));
        }
    }

    /// Takes the field of this id out.
    pub fn remove_id(&mut self, id: u32) {
        if let Some(shown) = self
            .shown
            .iter_mut()
            .find(|shown| shown.field.header_id == id)
        {
            shown.change = Change::Removed;
        }
    }

    /// Takes all fields of this name out. Returns how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.all(name).count();
        for shown in self
            .shown
            .iter_mut()
            .filter(|shown| same_name(&shown.field.name, name))
        {
            shown.change = Change::Removed;
        }
        self.first.retain(|(known, _)| !same_name(known, name));
        self.last.retain(|(known, _)| !same_name(known, name));
        self.before.retain(|(_, known, _)| !same_name(known, name));
        before
    }

    /// Makes this the only field of this name: at the place of the first, or behind all others.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        let place = self
            .shown
            .iter()
            .find(|shown| {
                same_name(&shown.field.name, name) && !matches!(shown.change, Change::Removed)
            })
            .map(|shown| (shown.field.header_id, unchanged(shown, value)));
        self.remove(name);
        match place {
            Some((id, true)) => self.keep(id),
            Some((id, false)) => self.replace(id, value),
            None => self.append(name, value),
        }
    }

    fn keep(&mut self, id: u32) {
        if let Some(shown) = self
            .shown
            .iter_mut()
            .find(|shown| shown.field.header_id == id)
        {
            shown.change = Change::Kept;
        }
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

    pub(super) fn into_edits(self) -> Vec<edit::Kind> {
        let mut edits = Vec::new();
        let first = header_place::Kind::First(v1::FirstPlace {});
        edits.extend(self.first.into_iter().map(|field| insertion(first, field)));
        for (id, name, value) in self.before {
            edits.push(insertion(
                header_place::Kind::BeforeHeaderId(id),
                (name, value),
            ));
        }
        for Shown { field, change } in self.shown {
            let header_id = field.header_id;
            match change {
                Change::Kept => {}
                Change::Replaced(value) => {
                    let replacement = v1::ReplaceHeader {
                        header_id,
                        value,
                        name: Bytes::new(),
                    };
                    edits.push(edit::Kind::ReplaceHeader(replacement));
                }
                Change::Removed => {
                    edits.push(edit::Kind::RemoveHeader(v1::RemoveHeader { header_id }))
                }
            }
        }
        let last = header_place::Kind::Last(v1::LastPlace {});
        edits.extend(self.last.into_iter().map(|field| insertion(last, field)));
        edits
    }
}

impl Shown {
    fn view(&self) -> Option<HeaderView<'_>> {
        let value = match &self.change {
            Change::Kept => &self.field.value,
            Change::Replaced(value) => value,
            Change::Removed => return None,
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

fn field(name: &str, value: impl AsRef<[u8]>) -> (Bytes, Bytes) {
    (
        Bytes::copy_from_slice(name.as_bytes()),
        Bytes::copy_from_slice(value.as_ref()),
    )
}

fn same_name(raw: &[u8], name: &str) -> bool {
    raw.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
}

/// Whether a field as it was shown says this already.
fn unchanged(shown: &Shown, value: &[u8]) -> bool {
    HeaderView {
        id: None,
        name: &[],
        value: &shown.field.value,
    }
    .text()
    .as_bytes()
        == value
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
        HeaderList::new(v1::Headers {
            fields: vec![
                field(3, "Subject", " a long\r\n one"),
                field(5, "X-Tag", " 1"),
                field(6, "x-tag ", " 2"),
            ],
            ..Default::default()
        })
    }

    #[test]
    fn fields_are_found_without_case_and_unfolded() {
        let list = list();
        assert_eq!(list.get("SUBJECT").unwrap().text(), "a long one");
        assert_eq!(
            list.all("X-Tag")
                .map(|field| field.text())
                .collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert!(list.get("To").is_none());
    }

    #[test]
    fn nothing_changed_is_no_edit() {
        let mut list = list();
        list.set("Subject", "a long one");
        assert!(list.into_edits().is_empty());
    }

    #[test]
    fn setting_leaves_one_field_at_the_place_of_the_first() {
        let mut list = list();
        list.set("X-Tag", "3");
        assert_eq!(
            list.all("X-Tag")
                .map(|field| field.text())
                .collect::<Vec<_>>(),
            ["3"]
        );
        let edits = list.into_edits();
        assert!(
            matches!(&edits[0], edit::Kind::ReplaceHeader(edit) if edit.header_id == 5 && edit.value == "3")
        );
        assert!(matches!(&edits[1], edit::Kind::RemoveHeader(edit) if edit.header_id == 6));
        assert_eq!(edits.len(), 2);
    }

    #[test]
    fn the_field_prepended_last_is_on_top() {
        let mut list = list();
        list.prepend("A", "1");
        list.prepend("B", "2");
        list.append("C", "3");
        let names: Vec<_> = list.iter().map(|field| field.name().into_owned()).collect();
        assert_eq!(names, ["B", "A", "Subject", "X-Tag", "x-tag ", "C"]);
        let inserted: Vec<_> = list
            .into_edits()
            .into_iter()
            .map(|edit| match edit {
                edit::Kind::InsertHeader(edit) => edit.name,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(inserted, ["B", "A", "C"]);
    }
}
