//! How tables and words of the configuration are declared.
//!
//! `section!` makes a struct, its reader and its documentation from one declaration, `choice!` does the same for
//! a value that is one of a few words. So a key cannot exist in one of the three and not in the others.

use crate::kind::Kind;
use crate::origin::{KeyPath, Origin};
use crate::reader::{Field, Reader};
use crate::registry::SectionDoc;
use crate::tree::Node;

/// A table with known keys.
pub(crate) trait Section: Sized {
    /// What it is and which keys it has.
    fn describe() -> SectionDoc;

    /// Reads the table; every error is noted in `reader`.
    fn read_from(fields: &mut Fields<'_>, reader: &mut Reader) -> Option<Self>;

    /// Reads a node that has to be a table of this kind.
    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_none() {
            reader.wrong_type(field, "a table");
            return None;
        }
        let mut fields = Fields {
            node: Some(field.node),
            origin: &field.node.origin,
            key: field.key,
        };
        reader.note_place(field.key, &field.node.origin);
        reader.refuse_unknown(field, &Self::describe());
        Self::read_from(&mut fields, reader)
    }

    /// Reads the table as if it stood there empty.
    fn read_absent(key: &KeyPath, reader: &mut Reader) -> Option<Self> {
        Self::read_from(
            &mut Fields {
                node: None,
                origin: &Origin::Default,
                key,
            },
            reader,
        )
    }
}

/// The table that is being read.
pub(crate) struct Fields<'a> {
    node: Option<&'a Node>,
    origin: &'a Origin,
    key: &'a KeyPath,
}

impl Fields<'_> {
    /// Reads one key: from the table, else its default, else what its kind makes of nothing.
    pub(crate) fn take<K: Kind>(
        &mut self,
        reader: &mut Reader,
        name: &'static str,
        default: Option<&'static str>,
    ) -> Option<K::Out> {
        let key = self.key.child(name);
        let shape = K::shape();
        if let Some(node) = self
            .node
            .and_then(Node::as_table)
            .and_then(|table| table.get(name))
        {
            let field = Field { node, key: &key };
            reader.note_value(field, &shape);
            return K::read(field, reader);
        }
        if let Some(default) = default {
            let node = match shape.parse_text(default, &Origin::Default) {
                Ok(node) => node,
                Err(error) => {
                    reader.fail(
                        &Origin::Default,
                        &key,
                        error.to_string(),
                        "report this as a fault of the program",
                    );
                    return None;
                }
            };
            let field = Field {
                node: &node,
                key: &key,
            };
            reader.note_value(field, &shape);
            return K::read(field, reader);
        }
        match K::absent(&key, reader) {
            Some(value) => Some(value),
            None if K::OPTIONAL => None,
            None => {
                reader.fail(
                    self.origin,
                    &key,
                    "is missing",
                    format!("set it, see \"postern config explain {}\"", key.generic()),
                );
                None
            }
        }
    }
}

macro_rules! section {
    (@key $field:ident $key:literal) => { $key };
    (@key $field:ident) => { stringify!($field) };
    (@opt $value:literal) => { Some($value) };
    (@opt) => { None };
    (
        $(#[doc = $doc:literal])+
        $name:ident at $path:literal {
            $(
                $(#[doc = $field_doc:literal])+
                $field:ident $(named $key:literal)? : $ty:ty as $kind:ty $(= $default:literal)? $(=> $reply:literal)? ;
            )+
        }
        $(later { $($later:literal => $step:literal;)+ })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        #[allow(unreachable_pub, reason = "some tables are read into something else")]
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                pub $field: $ty,
            )+
        }

        impl $crate::section::Section for $name {
            fn describe() -> $crate::registry::SectionDoc {
                $crate::registry::SectionDoc {
                    path: $path,
                    doc: $crate::registry::prose(&[$($doc),+]),
                    keys: vec![$($crate::registry::KeyDoc {
                        name: $crate::section::section!(@key $field $($key)?),
                        doc: $crate::registry::prose(&[$($field_doc),+]),
                        shape: <$kind as $crate::kind::Kind>::shape(),
                        default: $crate::section::section!(@opt $($default)?),
                        optional: <$kind as $crate::kind::Kind>::OPTIONAL,
                        reply: $crate::section::section!(@opt $($reply)?),
                    }),+],
                    later: &[$($(($later, $step)),+)?],
                }
            }

            fn read_from(
                fields: &mut $crate::section::Fields<'_>,
                reader: &mut $crate::reader::Reader,
            ) -> Option<Self> {
                $(let $field = fields.take::<$kind>(
                    reader,
                    $crate::section::section!(@key $field $($key)?),
                    $crate::section::section!(@opt $($default)?),
                );)+
                Some(Self { $($field: $field?),+ })
            }
        }
    };
}

macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $($(#[doc = $word_doc:literal])+ $variant:ident = $word:literal;)+
        }
        $(later { $($later:literal => $step:literal;)+ })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(unreachable_pub, reason = "some words are read into something else")]
        pub enum $name {
            $($(#[doc = $word_doc])+ $variant,)+
        }

        #[allow(unreachable_pub, reason = "some words are read into something else")]
        impl $name {
            /// The word that the configuration has for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::kind::Kind for $name {
            type Out = Self;

            fn shape() -> $crate::registry::Shape {
                $crate::registry::Shape::Choice($crate::registry::Words {
                    words: vec![$(($word, $crate::registry::prose(&[$($word_doc),+]))),+],
                    later: &[$($(($later, $step)),+)?],
                })
            }

            fn read(
                field: $crate::reader::Field<'_>,
                reader: &mut $crate::reader::Reader,
            ) -> Option<Self> {
                match reader.word(field, &Self::shape())?.as_str() {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {choice, section};
