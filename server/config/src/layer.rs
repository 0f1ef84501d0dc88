//! Files and environment laid over each other.
//!
//! figment decides what wins and remembers which layer each value came from; the layer's own tree knows the line.

use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

use crate::tree::{Entry, Node, Table, Value};

/// The tree that results when each layer lies over those before it: tables key by key, all else replaced.
pub(crate) fn merge(layers: &[Node]) -> Node {
    let figment = layers
        .iter()
        .enumerate()
        .fold(Figment::new(), |below, (number, tree)| {
            below.merge(Layer { number, tree })
        });
    let merged = figment
        .data()
        .ok()
        .and_then(|mut profiles| profiles.remove(&Profile::Default))
        .unwrap_or_default();
    let trees: Vec<_> = layers.iter().map(Some).collect();
    let origin = layers
        .first()
        .map_or(crate::Origin::Default, |layer| layer.origin.clone());
    Node {
        value: Value::Table(located(&figment, &merged, &trees)),
        origin,
    }
}

/// One file, or the environment.
struct Layer<'a> {
    number: usize,
    tree: &'a Node,
}

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.number.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = match to_figment(self.tree) {
            figment::value::Value::Dict(_, dict) => dict,
            _ => Dict::new(),
        };
        Ok(Profile::Default.collect(dict))
    }
}

fn to_figment(node: &Node) -> figment::value::Value {
    match &node.value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(nodes) => nodes.iter().map(to_figment).collect::<Vec<_>>().into(),
        Value::Table(table) => {
            let dict: Dict = table
                .entries
                .iter()
                .map(|entry| (entry.key.clone(), to_figment(&entry.node)))
                .collect();
            dict.into()
        }
    }
}

/// The merged table with places. `trees` has what each layer says at this point. Keys keep the order in which the
/// layers name them: bindings of one priority run in it.
fn located(figment: &Figment, merged: &Dict, trees: &[Option<&Node>]) -> Table {
    let entry_in = |layer: usize, key: &str| {
        let table = trees
            .get(layer)
            .copied()
            .flatten()
            .and_then(Node::as_table)?;
        table
            .entries
            .iter()
            .position(|entry| entry.key == key)
            .map(|at| (at, &table.entries[at]))
    };
    let mut entries: Vec<((usize, usize), Entry)> = Vec::new();
    for (key, value) in merged {
        let below: Vec<_> = (0..trees.len())
            .map(|layer| entry_in(layer, key).map(|(_, entry)| &entry.node))
            .collect();
        let layer = figment
            .get_metadata(value.tag())
            .and_then(|metadata| metadata.name.parse().ok());
        let winner = layer
            .and_then(|layer: usize| entry_in(layer, key))
            .map(|(_, entry)| entry);
        let Some(winner) = winner else { continue };
        let node = match value {
            figment::value::Value::Dict(_, dict) => {
                // Below a layer that said something else than a table nothing shines through.
                let opaque = below
                    .iter()
                    .rposition(|node| node.is_some_and(|node| node.as_table().is_none()));
                let first = opaque.map_or(0, |at| at + 1);
                let trees: Vec<_> = below
                    .iter()
                    .enumerate()
                    .map(|(at, node)| node.filter(|_| at >= first))
                    .collect();
                let origin = trees
                    .iter()
                    .flatten()
                    .next()
                    .map_or(&winner.node.origin, |node| &node.origin);
                Node {
                    value: Value::Table(located(figment, dict, &trees)),
                    origin: origin.clone(),
                }
            }
            _ => winner.node.clone(),
        };
        let order =
            (0..trees.len()).find_map(|layer| entry_in(layer, key).map(|(at, _)| (layer, at)));
        entries.push((
            order.unwrap_or_default(),
            Entry {
                key: key.clone(),
                origin: winner.origin.clone(),
                node,
            },
        ));
    }
    entries.sort_by_key(|(order, _)| *order);
    Table {
        entries: entries.into_iter().map(|(_, entry)| entry).collect(),
    }
}
