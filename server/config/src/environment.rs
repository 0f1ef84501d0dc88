//! Environment variables as a layer over the files.
//!
//! `POSTERN__SINK__DISCLAIMER__ENDPOINT` is `endpoint` of the `[[sink]]` named `disclaimer`. What is known is compared
//! with the variable, not the other way round: so names with hyphens and dots need no guessing.

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::origin::{KeyPath, Origin};
use crate::registry::{SectionDoc, Shape};
use crate::section::Section;
use crate::settings::Config;
use crate::tree::{Entry, Node, Table, Value};

const PREFIX: &str = "POSTERN__";

/// Where environment variables come from.
pub trait Env {
    /// All variables. What is not text is left out.
    fn variables(&self) -> Vec<(String, String)>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn variables(&self) -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }
}

/// Variables that are given, for tests and tools.
impl Env for [(&str, &str)] {
    fn variables(&self) -> Vec<(String, String)> {
        self.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }
}

impl<const N: usize> Env for [(&str, &str); N] {
    fn variables(&self) -> Vec<(String, String)> {
        self.as_slice().variables()
    }
}

/// The variables as a tree. `below` are the files: elements that they do not have cannot be made here.
pub(crate) fn layer(env: &dyn Env, below: &[Node], errors: &mut Vec<ConfigError>) -> Node {
    let mut variables = env.variables();
    variables.retain(|(name, _)| name.starts_with(PREFIX));
    variables.sort();
    let mut root = Node {
        value: Value::Table(Table::default()),
        origin: Origin::Default,
    };
    for (name, text) in &variables {
        let origin = Origin::Environment(name.as_str().into());
        let mut walk = Walk {
            below,
            origin: &origin,
            text,
            candidates: Vec::new(),
        };
        let rest = name.strip_prefix(PREFIX).unwrap_or_default();
        match walk.section(&Config::describe(), rest, PREFIX, &KeyPath::root()) {
            Found::Value(path, node) => insert(&mut root, &path, node, &origin),
            Found::Wrong(key, what, advice) => {
                errors.push(ConfigError {
                    origin: origin.clone(),
                    key,
                    what,
                    advice,
                });
            }
            Found::Nothing => {
                let near = nearest_variable(name, &walk.candidates);
                let advice = near.map_or(
                    "remove it, or see \"postern config explain\"".to_owned(),
                    |near| format!("did you mean {near}?"),
                );
                errors.push(ConfigError {
                    origin,
                    key: String::new(),
                    what: "unknown key".to_owned(),
                    advice,
                });
            }
        }
    }
    root
}

fn nearest_variable<'a>(name: &str, candidates: &'a [String]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let lower: Vec<_> = candidates
        .iter()
        .map(|candidate| candidate.to_ascii_lowercase())
        .collect();
    let near = nearest(&name, lower.iter().map(String::as_str))?;
    let at = lower.iter().position(|candidate| candidate == near)?;
    candidates.get(at).map(String::as_str)
}

enum Found {
    Value(Vec<String>, Node),
    /// Key, what is wrong, what to do.
    Wrong(String, String, String),
    Nothing,
}

/// The search for the key of one variable.
struct Walk<'a> {
    below: &'a [Node],
    origin: &'a Origin,
    text: &'a str,
    /// Variables that would have been known.
    candidates: Vec<String>,
}

impl Walk<'_> {
    /// Looks for `rest` among the keys of a section; `so_far` is the variable's beginning that led here.
    fn section(&mut self, section: &SectionDoc, rest: &str, so_far: &str, path: &KeyPath) -> Found {
        for key in &section.keys {
            let written = key.name.to_ascii_uppercase();
            let at = path.child(key.name);
            self.candidates.push(format!("{so_far}{written}"));
            if rest == written {
                return self.value(&key.shape, &at);
            }
            let Some(deeper) = rest
                .strip_prefix(&written)
                .and_then(|rest| rest.strip_prefix("__"))
            else {
                continue;
            };
            let so_far = format!("{so_far}{written}__");
            match self.deeper(&key.shape, deeper, &so_far, &at) {
                Found::Nothing => {}
                found => return found,
            }
        }
        let later = section.later.iter().find(|(later, _)| {
            let written = later.to_ascii_uppercase();
            rest == written || rest.starts_with(&format!("{written}__"))
        });
        match later {
            Some((later, _)) => Found::Wrong(
                path.child(later).to_string(),
                "is not in this version".to_owned(),
                "remove the variable".to_owned(),
            ),
            None => Found::Nothing,
        }
    }

    fn deeper(&mut self, shape: &Shape, rest: &str, so_far: &str, path: &KeyPath) -> Found {
        match shape {
            Shape::Table(section) => self.section(&section(), rest, so_far, path),
            Shape::Elements(section) => self.element(&section(), rest, so_far, path),
            Shape::Free | Shape::Map(_) => {
                // What a table with any keys has in it is not known here: names in lower case, and text.
                let node = Node {
                    value: Value::Text(self.text.to_owned()),
                    origin: self.origin.clone(),
                };
                Found::Value(path.child(&rest.to_ascii_lowercase()).parts(), node)
            }
            Shape::Either(shapes) => {
                let deeper = shapes.iter().find(|shape| matches!(shape, Shape::Table(_)));
                deeper.map_or(Found::Nothing, |shape| {
                    self.deeper(shape, rest, so_far, path)
                })
            }
            _ => Found::Nothing,
        }
    }

    fn element(&mut self, section: &SectionDoc, rest: &str, so_far: &str, path: &KeyPath) -> Found {
        let tables = self
            .below
            .iter()
            .filter_map(|layer| layer.as_table()?.get(section.path)?.as_table());
        let names: Vec<String> = tables
            .flat_map(|table| &table.entries)
            .map(|entry| entry.key.clone())
            .collect();
        let fits = |name: &&String| rest.starts_with(&format!("{}__", element_as_variable(name)));
        let mut fitting: Vec<_> = names.iter().filter(fits).collect();
        // The longest is meant: of `a` and `a--b` the latter, if it is there.
        fitting.sort_by_key(|name| std::cmp::Reverse(name.len()));
        if let [first, second, ..] = fitting.as_slice()
            && element_as_variable(first) == element_as_variable(second)
        {
            return Found::Wrong(
                path.to_string(),
                format!("stands for both \"{first}\" and \"{second}\""),
                "set the key in a file".to_owned(),
            );
        }
        if let Some(name) = fitting.first() {
            let written = format!("{}__", element_as_variable(name));
            let rest = rest.strip_prefix(&written).unwrap_or_default();
            return self.section(
                section,
                rest,
                &format!("{so_far}{written}"),
                &path.child(name),
            );
        }
        let wanted = rest.split("__").next().unwrap_or_default();
        Found::Wrong(
            path.to_string(),
            format!(
                "no [[{}]] has a name that is written {wanted}",
                section.path
            ),
            "add the element to a file; variables only change what a file has".to_owned(),
        )
    }

    fn value(&self, shape: &Shape, path: &KeyPath) -> Found {
        match shape.parse_text(self.text, self.origin) {
            Ok(node) => Found::Value(path.parts(), node),
            Err(what) => Found::Wrong(path.to_string(), what.to_owned(), format!("write {shape}")),
        }
    }
}

/// The name of an element as variables write it.
fn element_as_variable(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

fn insert(root: &mut Node, path: &[String], node: Node, origin: &Origin) {
    let mut at = root;
    for part in path {
        if !matches!(at.value, Value::Table(_)) {
            at.value = Value::Table(Table::default());
        }
        let Value::Table(table) = &mut at.value else {
            return;
        };
        let index = table
            .entries
            .iter()
            .position(|entry| entry.key == *part)
            .unwrap_or_else(|| {
                let node = Node {
                    value: Value::Table(Table::default()),
                    origin: origin.clone(),
                };
                table.entries.push(Entry {
                    key: part.clone(),
                    origin: origin.clone(),
                    node,
                });
                table.entries.len() - 1
            });
        let Some(entry) = table.entries.get_mut(index) else {
            return;
        };
        at = &mut entry.node;
    }
    *at = node;
}
