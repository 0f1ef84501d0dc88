//! What reading a configuration gathers besides the values: every error, every place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::origin::{KeyPath, Origin};
use crate::registry::{self, SectionDoc, Shape};
use crate::tree::Node;

/// A value under its key.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) node: &'a Node,
    pub(crate) key: &'a KeyPath,
}

/// A key with its value in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The full key, elements by name.
    pub key: String,
    /// The value as it was written; properties of sinks, and user and password of a URL, as `(set)`.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// Gathers errors, values and places while a configuration is read.
#[derive(Default)]
pub(crate) struct Reader {
    base: PathBuf,
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) places: BTreeMap<String, Origin>,
}

impl Reader {
    /// Relative paths are taken from `base`.
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            ..Self::default()
        }
    }

    /// A path as the configuration means it.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    pub(crate) fn fail(
        &mut self,
        origin: &Origin,
        key: &KeyPath,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let error = ConfigError {
            origin: origin.clone(),
            key: key.to_string(),
            what: what.into(),
            advice: advice.into(),
        };
        self.errors.push(error);
    }

    /// Notes an error at a value.
    pub(crate) fn refuse(
        &mut self,
        field: Field<'_>,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.fail(&field.node.origin, field.key, what, advice);
    }

    pub(crate) fn wrong_type(&mut self, field: Field<'_>, wanted: &str) {
        self.refuse(
            field,
            format!("is {}", field.node.type_name()),
            format!("write {wanted}"),
        );
    }

    /// The text of a value; `wanted` says in words what the text has to be.
    pub(crate) fn text<'a>(&mut self, field: Field<'a>, wanted: &str) -> Option<&'a str> {
        let text = field.node.as_text();
        if text.is_none() {
            self.wrong_type(field, wanted);
        }
        text
    }

    /// A value that has to be one of the words of `shape`.
    pub(crate) fn word(&mut self, field: Field<'_>, shape: &Shape) -> Option<String> {
        let Shape::Choice(words) = shape else {
            return None;
        };
        let text = self.text(field, &words.to_string())?;
        if words.words.iter().any(|(word, _)| *word == text) {
            return Some(text.to_owned());
        }
        if words.later.iter().any(|(word, _)| *word == text) {
            self.refuse(
                field,
                format!("\"{text}\" is not in this version"),
                format!("write {words}"),
            );
        } else {
            let near = nearest(text, words.words.iter().map(|(word, _)| *word));
            let advice = near.map_or(format!("write {words}"), |near| {
                format!("did you mean \"{near}\"?")
            });
            self.refuse(field, format!("\"{text}\" is unknown"), advice);
        }
        None
    }

    /// Notes an error for every key of a table that `section` does not have.
    pub(crate) fn refuse_unknown(&mut self, field: Field<'_>, section: &SectionDoc) {
        for entry in field
            .node
            .as_table()
            .into_iter()
            .flat_map(|table| &table.entries)
        {
            if section.keys.iter().any(|key| key.name == entry.key) {
                continue;
            }
            let key = field.key.child(&entry.key);
            if section.later.iter().any(|(later, _)| *later == entry.key) {
                self.fail(&entry.origin, &key, "is not in this version", "remove it");
            } else {
                self.fail(
                    &entry.origin,
                    &key,
                    "unknown key",
                    registry::advice_for_unknown(&entry.key, section),
                );
            }
        }
    }

    pub(crate) fn note_place(&mut self, key: &KeyPath, origin: &Origin) {
        self.places.insert(key.to_string(), origin.clone());
    }

    pub(crate) fn note_value(&mut self, field: Field<'_>, shape: &Shape) {
        self.note_place(field.key, &field.node.origin);
        if shape.has_own_keys() && field.node.as_table().is_some() {
            return;
        }
        let value = match shape {
            Shape::Free => hide_all(field.node.to_json()),
            Shape::Secret => "(set)".into(),
            _ => hide_user_info(field.node.to_json()),
        };
        self.settings.push(Setting {
            key: field.key.to_string(),
            value,
            origin: field.node.origin.clone(),
        });
    }
}

/// Properties belong to a sink, and only its description says which of them anybody may read: without it none is shown.
fn hide_all(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, hide_all(value)))
            .collect(),
        _ => "(set)".into(),
    }
}

/// URLs without what stands before their host: a name and a password have no place there, but do get written.
fn hide_user_info(value: Value) -> Value {
    match value {
        Value::String(text) => without_user_info(&text).into(),
        Value::Array(values) => values.into_iter().map(hide_user_info).collect(),
        other => other,
    }
}

/// A URL as it may be shown: user and password as `(set)`. Other texts stay as they are.
pub(crate) fn without_user_info(text: &str) -> String {
    let hidden = text.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://(set)@{host}{path}"))
    });
    hidden.unwrap_or_else(|| text.to_owned())
}
