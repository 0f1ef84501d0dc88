//! The types that a key may have: how each is read, and how it is described.

pub(crate) mod ask;
pub(crate) mod body;
pub(crate) mod deliver;
pub(crate) mod endpoint;
pub(crate) mod failure;
pub(crate) mod listen;
pub(crate) mod recipients;
pub(crate) mod secret;

mod containers;
mod names;
mod numbers;
mod paths;

pub(crate) use containers::{Elements, Free, List, Map, Maybe, OneOrMany, Sub};
pub(crate) use names::{Account, DomainName, DomainPattern, HostName, Name};
pub(crate) use numbers::{Count, Flag, Permissions, Place, Port, Size, Span};
pub(crate) use paths::{File, Host, Network, Socket};

use crate::origin::KeyPath;
use crate::reader::{Field, Reader};
use crate::registry::Shape;

/// A type of value. The implementors are names for types, not values.
pub(crate) trait Kind {
    /// What it is once it is read.
    type Out;

    /// Whether a key of this kind may be left out without a default.
    const OPTIONAL: bool = false;

    /// What the value may be, for the schema, the documentation and environment variables.
    fn shape() -> Shape;

    /// Reads the value; what is wrong with it is noted in `reader`.
    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self::Out>;

    /// What the absence of an optional key means.
    fn absent(_key: &KeyPath, _reader: &mut Reader) -> Option<Self::Out> {
        None
    }
}

/// Any text.
pub(crate) struct Text;

impl Kind for Text {
    type Out = String;

    fn shape() -> Shape {
        Shape::Text {
            what: "text",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<String> {
        let text = reader.text(field, "text in quotes")?;
        if text.is_empty() {
            reader.refuse(field, "is empty", "write something or leave the key out");
            return None;
        }
        Some(text.to_owned())
    }
}
