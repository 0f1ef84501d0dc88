//! A TOML file as a tree that knows lines and columns.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml_edit::{Document, Item, TableLike};

use crate::error::ConfigError;
use crate::origin::Origin;
use crate::tree::{Entry, Node, Table, Value};

/// Parses one file.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Node, ConfigError> {
    let places = Places::new(file, text);
    match Document::parse(text) {
        Ok(document) => Ok(places.table(document.as_table(), Some(0..0))),
        Err(error) => Err(ConfigError {
            origin: places.at(error.span()),
            key: String::new(),
            what: format!(
                "is not TOML: {}",
                error.message().trim().replace('\n', ", ")
            ),
            advice: "correct the line; text stands in quotes".to_owned(),
        }),
    }
}

/// Parses one value that stands in an environment variable or is a default.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Result<Node, &'static str> {
    let document = format!("value = {}", text.trim());
    let Ok(document) = Document::parse(document.as_str()) else {
        return Err("is not TOML");
    };
    let mut entries = document.as_table().iter();
    let (Some((_, item)), None) = (entries.next(), entries.next()) else {
        return Err("is not one value");
    };
    Places::everywhere(origin)
        .item(item)
        .ok_or("is not a value")
}

/// Turns positions into places.
struct Places {
    origin: Option<Origin>,
    file: Arc<Path>,
    text: String,
    line_starts: Vec<usize>,
}

impl Places {
    fn new(file: &Path, text: &str) -> Self {
        let ends = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(i, _)| i + 1);
        let line_starts = std::iter::once(0).chain(ends).collect();
        Self {
            origin: None,
            file: file.into(),
            text: text.to_owned(),
            line_starts,
        }
    }

    /// Gives one origin to everything.
    fn everywhere(origin: &Origin) -> Self {
        Self {
            origin: Some(origin.clone()),
            file: Path::new("").into(),
            text: String::new(),
            line_starts: Vec::new(),
        }
    }

    fn at(&self, span: Option<Range<usize>>) -> Origin {
        if let Some(origin) = &self.origin {
            return origin.clone();
        }
        let position = span.map_or(0, |span| span.start).min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= position);
        let start = self
            .line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let column = self
            .text
            .get(start..position)
            .map_or(0, |before| before.chars().count())
            + 1;
        Origin::File {
            file: self.file.clone(),
            line: line.max(1),
            column,
        }
    }

    fn table(&self, table: &dyn TableLike, span: Option<Range<usize>>) -> Node {
        let mut entries = Vec::new();
        for (key, item) in table.iter() {
            let Some(node) = self.item(item) else {
                continue;
            };
            // Tables made by dotted keys and by headers of their children have no span of their own.
            let key_span = table
                .key(key)
                .and_then(toml_edit::Key::span)
                .or_else(|| item.span());
            entries.push(Entry {
                key: key.to_owned(),
                origin: self.at(key_span),
                node,
            });
        }
        Node {
            value: Value::Table(Table { entries }),
            origin: self.at(span),
        }
    }

    fn item(&self, item: &Item) -> Option<Node> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.value(value)),
            Item::Table(table) => Some(self.table(table, table.span())),
            Item::ArrayOfTables(tables) => {
                let nodes = tables
                    .iter()
                    .map(|table| self.table(table, table.span()))
                    .collect();
                Some(Node {
                    value: Value::List(nodes),
                    origin: self.at(tables.span()),
                })
            }
        }
    }

    fn value(&self, value: &toml_edit::Value) -> Node {
        let plain = match value {
            toml_edit::Value::String(text) => Value::Text(text.value().clone()),
            toml_edit::Value::Integer(number) => Value::Integer(*number.value()),
            toml_edit::Value::Float(number) => Value::Float(*number.value()),
            toml_edit::Value::Boolean(flag) => Value::Flag(*flag.value()),
            toml_edit::Value::Datetime(time) => Value::Text(time.value().to_string()),
            toml_edit::Value::Array(values) => {
                Value::List(values.iter().map(|value| self.value(value)).collect())
            }
            toml_edit::Value::InlineTable(table) => return self.table(table, table.span()),
        };
        Node {
            value: plain,
            origin: self.at(value.span()),
        }
    }
}
