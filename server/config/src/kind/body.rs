//! How much of the content a sink gets.

use super::{Kind, Size};
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::{Section, choice, section};

/// How much of the content a sink gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyDepth {
    /// Nothing.
    None,
    /// The header section.
    Headers,
    /// The header section and so many octets of the body.
    Prefix(u64),
    /// All of it, pushed as it arrives.
    Full,
    /// Nothing by itself; the sink pulls ranges.
    OnDemand,
}

choice! {
    /// The depths that are words.
    Word {
        /// Nothing.
        None = "none";
        /// The header section.
        Headers = "headers";
        /// All of it, pushed as it arrives.
        Full = "full";
        /// Nothing by itself; the sink pulls ranges.
        OnDemand = "on-demand";
    }
}

section! {
    /// The header section and the beginning of the body.
    Prefix at "binding.body" {
        /// Octets of the body.
        prefix: u64 as Size;
    }
}

impl Kind for BodyDepth {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![Word::shape(), Shape::Table(Prefix::describe)])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_some() {
            return Prefix::read(field, reader).map(|table| Self::Prefix(table.prefix));
        }
        Some(match <Word as Kind>::read(field, reader)? {
            Word::None => Self::None,
            Word::Headers => Self::Headers,
            Word::Full => Self::Full,
            Word::OnDemand => Self::OnDemand,
        })
    }
}
