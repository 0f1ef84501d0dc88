//! The table of what works: every key with its type, default and documentation.
//!
//! It is made from the declarations in `settings`, which make the structs too. The schema, `explain`, the
//! suggestions for unknown keys, the environment variables and `docs/configuration.md` are read from here.

use std::fmt;

use crate::nearest::nearest;
use crate::origin::Origin;
use crate::section::Section;
use crate::settings::Config;
use crate::tree::{ELEMENTS, Node, Value};

/// The version that brought the keys there are.
pub(crate) const SINCE: &str = "0.1";

/// A table and its keys.
pub(crate) struct SectionDoc {
    /// Where it stands, without names of elements: `server.limits`.
    pub(crate) path: &'static str,
    pub(crate) doc: String,
    pub(crate) keys: Vec<KeyDoc>,
    /// Keys of the design that this version does not do, with the step of the road that brings them.
    pub(crate) later: &'static [(&'static str, u8)],
}

/// A key and what is to be said about it.
pub(crate) struct KeyDoc {
    pub(crate) name: &'static str,
    pub(crate) doc: String,
    pub(crate) shape: Shape,
    pub(crate) default: Option<&'static str>,
    /// May be left out although it has no default.
    pub(crate) optional: bool,
    /// The SMTP reply that goes with a limit.
    pub(crate) reply: Option<&'static str>,
}

impl KeyDoc {
    pub(crate) fn required(&self) -> bool {
        self.default.is_none() && !self.optional
    }
}

/// What a value may be.
pub(crate) enum Shape {
    /// Text: what it is in words, and the regular expression that the schema gives.
    Text {
        what: &'static str,
        pattern: Option<&'static str>,
    },
    /// Text that is never shown.
    Secret,
    /// A whole number.
    Integer { min: i64, max: i64 },
    /// True or false.
    Flag,
    /// One of a few words.
    Choice(Words),
    /// A list.
    List(Box<Shape>),
    /// One of several.
    Either(Vec<Shape>),
    /// A table with known keys.
    Table(fn() -> SectionDoc),
    /// Tables with known keys and a name each.
    Elements(fn() -> SectionDoc),
    /// A table with any keys, each of one shape.
    Map(Box<Shape>),
    /// A table with any keys.
    Free,
}

/// The words that a value may be.
pub(crate) struct Words {
    pub(crate) words: Vec<(&'static str, String)>,
    pub(crate) later: &'static [(&'static str, u8)],
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (word, _)) in self.words.iter().enumerate() {
            let joint = match i {
                0 => "",
                _ if i + 1 == self.words.len() => " or ",
                _ => ", ",
            };
            write!(f, "{joint}\"{word}\"")?;
        }
        Ok(())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { what, .. } => f.write_str(what),
            Self::Secret => f.write_str("text"),
            Self::Integer { min, max } if *max == i64::from(u32::MAX) => {
                write!(f, "a whole number, {min} or more")
            }
            Self::Integer { min, max } => write!(f, "a whole number, {min} to {max}"),
            Self::Flag => f.write_str("true or false"),
            Self::Choice(words) => words.fmt(f),
            Self::List(inner) => write!(f, "a list, each {inner}"),
            Self::Either(shapes) => {
                for (i, shape) in shapes.iter().enumerate() {
                    write!(f, "{}{shape}", if i == 0 { "" } else { ", or " })?;
                }
                Ok(())
            }
            Self::Table(section) => write!(f, "a table with {}", listed(&section())),
            Self::Elements(_) => f.write_str("tables with a name each"),
            Self::Map(inner) => write!(f, "a table with any keys, each {inner}"),
            Self::Free => f.write_str("a table with any keys"),
        }
    }
}

fn listed(section: &SectionDoc) -> String {
    let names: Vec<_> = section
        .keys
        .iter()
        .map(|key| format!("`{}`", key.name))
        .collect();
    names.join(", ")
}

impl Shape {
    /// The sections that a value of this shape may be, with their keys.
    pub(crate) fn sections(&self) -> Vec<SectionDoc> {
        match self {
            Self::Table(section) | Self::Elements(section) => vec![section()],
            Self::List(inner) => inner.sections(),
            Self::Either(shapes) => shapes.iter().flat_map(Shape::sections).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a table of this shape has keys that are noted one by one.
    pub(crate) fn has_own_keys(&self) -> bool {
        match self {
            Self::Table(_) | Self::Elements(_) => true,
            Self::Either(shapes) => shapes.iter().any(Shape::has_own_keys),
            _ => false,
        }
    }

    /// A value from text alone: an environment variable, or a default. Lists may be written with commas; what has
    /// structure is written as TOML.
    pub(crate) fn parse_text(&self, text: &str, origin: &Origin) -> Result<Node, &'static str> {
        let node = |value| {
            Ok(Node {
                value,
                origin: origin.clone(),
            })
        };
        let structured = text.trim_start().starts_with(['[', '{']);
        match self {
            Self::Text { .. } | Self::Secret | Self::Choice(_) => {
                node(Value::Text(text.to_owned()))
            }
            Self::Integer { .. } => match text.trim().parse() {
                Ok(number) => node(Value::Integer(number)),
                Err(_) => Err("is not a whole number"),
            },
            Self::Flag => match text.trim() {
                "true" => node(Value::Flag(true)),
                "false" => node(Value::Flag(false)),
                _ => Err("is neither true nor false"),
            },
            _ if structured => crate::document::parse_value(text, origin),
            Self::List(inner) => {
                let parts = text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                node(Value::List(
                    parts
                        .map(|part| inner.parse_text(part, origin))
                        .collect::<Result<_, _>>()?,
                ))
            }
            Self::Either(shapes) => {
                let plain = shapes.iter().find(|shape| {
                    !matches!(
                        shape,
                        Self::Table(_) | Self::List(_) | Self::Map(_) | Self::Free
                    )
                });
                match plain.or(shapes.iter().find(|shape| matches!(shape, Self::List(_)))) {
                    Some(shape) => shape.parse_text(text, origin),
                    None => Err("is not a table"),
                }
            }
            Self::Table(_) | Self::Elements(_) | Self::Map(_) | Self::Free => Err("is not a table"),
        }
    }
}

/// A key with the path that leads to it.
pub(crate) struct Known {
    /// The full key without names of elements.
    pub(crate) path: String,
    pub(crate) key: KeyDoc,
}

/// Every section, the root first.
pub(crate) fn sections() -> Vec<SectionDoc> {
    let mut found: Vec<SectionDoc> = Vec::new();
    let mut open = vec![Config::describe()];
    while let Some(section) = open.pop() {
        if found.iter().any(|other| other.path == section.path) {
            continue;
        }
        open.extend(
            section
                .keys
                .iter()
                .rev()
                .flat_map(|key| key.shape.sections()),
        );
        found.push(section);
    }
    found
}

/// Every key that works, section by section.
pub(crate) fn keys() -> Vec<Known> {
    let known = |section: SectionDoc| {
        section.keys.into_iter().map(move |key| Known {
            path: join(section.path, key.name),
            key,
        })
    };
    sections().into_iter().flat_map(known).collect()
}

pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

/// What to do about a key that `section` does not have.
pub(crate) fn advice_for_unknown(name: &str, section: &SectionDoc) -> String {
    if let Some(near) = nearest(name, section.keys.iter().map(|key| key.name)) {
        return if section.path.is_empty() && ELEMENTS.contains(&near) {
            format!("did you mean [[{near}]]?")
        } else {
            format!("did you mean \"{near}\"?")
        };
    }
    let elsewhere = keys();
    if let Some(known) = elsewhere.iter().find(|known| known.key.name == name) {
        return format!("did you mean \"{}\"?", known.path);
    }
    if let Some(near) = nearest(name, elsewhere.iter().map(|known| known.key.name)) {
        let path = elsewhere
            .iter()
            .find(|known| known.key.name == near)
            .map_or(near, |known| &known.path);
        return format!("did you mean \"{path}\"?");
    }
    "remove it, or see \"postern config explain\"".to_owned()
}

/// The lines of a doc comment as running text.
pub(crate) fn prose(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
}
