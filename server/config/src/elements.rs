//! Elements of `[[server]]` and its like, joined by name.

use std::collections::BTreeMap;

use crate::error::ConfigError;
use crate::origin::{KeyPath, Origin};
use crate::tree::{ELEMENTS, Entry, Node, Table, Value};

/// Where each name was first given, by section.
pub(crate) type Names = BTreeMap<(&'static str, String), Origin>;

/// Turns the lists of named elements of one file into tables by name, so that they are joined like other tables.
/// A name that was given before is an error that names both places.
pub(crate) fn key_by_name(root: &mut Node, names: &mut Names, errors: &mut Vec<ConfigError>) {
    let Value::Table(table) = &mut root.value else {
        return;
    };
    for entry in &mut table.entries {
        let Some(section) = ELEMENTS
            .iter()
            .copied()
            .find(|section| *section == entry.key)
        else {
            continue;
        };
        let keyed = keyed(section, &entry.node, names, errors);
        entry.node.value = Value::Table(keyed);
    }
}

fn keyed(
    section: &'static str,
    node: &Node,
    names: &mut Names,
    errors: &mut Vec<ConfigError>,
) -> Table {
    let key = KeyPath::root().child(section);
    let mut fail = |origin: &Origin, key: &KeyPath, what: String, advice: String| {
        errors.push(ConfigError {
            origin: origin.clone(),
            key: key.to_string(),
            what,
            advice,
        });
    };
    let Value::List(elements) = &node.value else {
        fail(
            &node.origin,
            &key,
            format!("is {}", node.type_name()),
            format!("write [[{section}]] with a name"),
        );
        return Table::default();
    };
    let mut entries = Vec::new();
    for element in elements {
        let Some(table) = element.as_table() else {
            let what = format!("is {}", element.type_name());
            fail(
                &element.origin,
                &key,
                what,
                format!("write [[{section}]] with a name"),
            );
            continue;
        };
        let Some(name) = table.get("name") else {
            fail(
                &element.origin,
                &key.child("name"),
                "is missing".to_owned(),
                "give the element a name".to_owned(),
            );
            continue;
        };
        let Some(text) = name.as_text() else {
            let what = format!("is {}", name.type_name());
            fail(
                &name.origin,
                &key.child("name"),
                what,
                "write a name in quotes".to_owned(),
            );
            continue;
        };
        let text = if section == "domain" || section == "domain_alias" {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        };
        if let Some(first) = names.get(&(section, text.clone())) {
            let what = format!("the name is taken at {first}");
            fail(
                &name.origin,
                &key.child(&text).child("name"),
                what,
                "choose another name".to_owned(),
            );
            continue;
        }
        names.insert((section, text.clone()), name.origin.clone());
        entries.push(Entry {
            key: text,
            origin: name.origin.clone(),
            node: element.clone(),
        });
    }
    Table { entries }
}
