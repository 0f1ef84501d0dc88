//! Kinds made of other kinds.

use std::marker::PhantomData;

use super::Kind;
use crate::origin::KeyPath;
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::Section;
use crate::tree::{Node, Value};

/// A value that may be left out.
pub(crate) struct Maybe<K>(PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    type Out = Option<K::Out>;

    const OPTIONAL: bool = true;

    fn shape() -> Shape {
        K::shape()
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self::Out> {
        K::read(field, reader).map(Some)
    }

    fn absent(_key: &KeyPath, _reader: &mut Reader) -> Option<Self::Out> {
        Some(None)
    }
}

/// A list.
pub(crate) struct List<K>(PhantomData<K>);

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn shape() -> Shape {
        Shape::List(Box::new(K::shape()))
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self::Out> {
        let Value::List(nodes) = &field.node.value else {
            reader.wrong_type(field, "a list in brackets");
            return None;
        };
        read_all::<K>(nodes, field.key, reader)
    }
}

/// One value, or a list of them that is not empty.
pub(crate) struct OneOrMany<K>(PhantomData<K>);

impl<K: Kind> Kind for OneOrMany<K> {
    type Out = Vec<K::Out>;

    fn shape() -> Shape {
        let mut shapes = match K::shape() {
            Shape::Either(shapes) => shapes,
            shape => vec![shape],
        };
        shapes.push(Shape::List(Box::new(K::shape())));
        Shape::Either(shapes)
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self::Out> {
        match &field.node.value {
            Value::List(nodes) => read_all::<K>(nodes, field.key, reader),
            _ => K::read(field, reader).map(|value| vec![value]),
        }
    }
}

fn read_all<K: Kind>(nodes: &[Node], key: &KeyPath, reader: &mut Reader) -> Option<Vec<K::Out>> {
    let read: Vec<_> = nodes
        .iter()
        .map(|node| K::read(Field { node, key }, reader))
        .collect();
    read.into_iter().collect()
}

/// A table with known keys. Left out, it is a table without entries.
pub(crate) struct Sub<S>(PhantomData<S>);

impl<S: Section> Kind for Sub<S> {
    type Out = S;

    const OPTIONAL: bool = true;

    fn shape() -> Shape {
        Shape::Table(S::describe)
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<S> {
        S::read(field, reader)
    }

    fn absent(key: &KeyPath, reader: &mut Reader) -> Option<S> {
        S::read_absent(key, reader)
    }
}

/// Tables with a name each. The tree has them as one table by name; an element that is wrong is left out, so that
/// the others are still checked.
pub(crate) struct Elements<S>(PhantomData<S>);

impl<S: Section> Kind for Elements<S> {
    type Out = Vec<S>;

    const OPTIONAL: bool = true;

    fn shape() -> Shape {
        Shape::Elements(S::describe)
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Vec<S>> {
        let Some(table) = field.node.as_table() else {
            let section = S::describe().path;
            reader.wrong_type(field, &format!("[[{section}]] with a name"));
            return None;
        };
        let read = |entry: &crate::tree::Entry| {
            let key = field.key.child(&entry.key);
            S::read(
                Field {
                    node: &entry.node,
                    key: &key,
                },
                reader,
            )
        };
        Some(table.entries.iter().filter_map(read).collect())
    }

    fn absent(_key: &KeyPath, _reader: &mut Reader) -> Option<Vec<S>> {
        Some(Vec::new())
    }
}

/// A table with any keys, each of one kind. Keys with dots are names with dots, in quotes or not.
pub(crate) struct Map<K>(PhantomData<K>);

impl<K: Kind> Kind for Map<K> {
    type Out = Vec<(String, K::Out)>;

    fn shape() -> Shape {
        Shape::Map(Box::new(K::shape()))
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self::Out> {
        let mut read = Vec::new();
        let complete = read_entries::<K>(field, "", reader, &mut read)?;
        complete.then_some(read)
    }
}

/// Reads the entries of a table and of those within it. `None`: it is no table; false: some entry is wrong.
fn read_entries<K: Kind>(
    field: Field<'_>,
    before: &str,
    reader: &mut Reader,
    read: &mut Vec<(String, K::Out)>,
) -> Option<bool> {
    let Some(table) = field.node.as_table() else {
        reader.wrong_type(field, "a table");
        return None;
    };
    let mut complete = true;
    for entry in &table.entries {
        let name = crate::registry::join(before, &entry.key);
        let key = field.key.child(&entry.key);
        let inner = Field {
            node: &entry.node,
            key: &key,
        };
        if entry.node.as_table().is_some() {
            complete &= read_entries::<K>(inner, &name, reader, read)?;
            continue;
        }
        match K::read(inner, reader) {
            Some(value) => read.push((name, value)),
            None => complete = false,
        }
    }
    Some(complete)
}

/// A table with any keys.
pub(crate) struct Free;

impl Kind for Free {
    type Out = serde_json::Map<String, serde_json::Value>;

    fn shape() -> Shape {
        Shape::Free
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self::Out> {
        match field.node.to_json() {
            serde_json::Value::Object(map) => Some(map),
            _ => {
                reader.wrong_type(field, "a table");
                None
            }
        }
    }
}
