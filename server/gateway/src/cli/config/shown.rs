//! Which properties of bindings are shown: those that the sink's accepted description has and does not call secret.

use postern_config::{Effective, Setting};
use serde_json::Value;

use crate::accepted;

/// How deep properties are looked into.
const DEPTH: usize = 16;

/// The settings with the public properties.
pub(super) fn settings(effective: &Effective) -> Vec<Setting> {
    let mut settings = effective.settings().to_vec();
    let config = &effective.config;
    for binding in &config.bindings {
        let Some(schema) = accepted::schema(&config.spool.path, &binding.name) else {
            continue;
        };
        let plain = format!("binding.{}.properties", binding.name);
        let quoted = format!("binding.\"{}\".properties", binding.name);
        for setting in &mut settings {
            if setting.key == plain || setting.key == quoted {
                let properties = Value::Object(binding.properties.clone());
                setting.value = public(Some(&schema), &properties, DEPTH);
            }
        }
    }
    settings
}

/// What of a value may be shown by its schema. Without one, or where the schema is in words that are not known here, that
/// is nothing but the names of keys.
fn public(schema: Option<&Value>, value: &Value, depth: usize) -> Value {
    let hidden = || Value::from("(set)");
    let flag = |name: &str| schema.and_then(|schema| schema.get(name)?.as_bool());
    if depth == 0 || flag("writeOnly") == Some(true) {
        return hidden();
    }
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let schema = schema.and_then(|schema| schema.get("properties")?.get(key));
                (key.clone(), public(schema, value, depth - 1))
            })
            .collect(),
        Value::Array(values) => {
            let schema = schema.and_then(|schema| schema.get("items"));
            values
                .iter()
                .map(|value| public(schema, value, depth - 1))
                .collect()
        }
        plain => match schema {
            Some(schema) if describes(schema) => plain.clone(),
            _ => hidden(),
        },
    }
}

/// The schema says by itself what the value is; another one that it refers to could call it secret.
fn describes(schema: &Value) -> bool {
    let elsewhere = ["$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if"];
    let known = ["type", "enum", "const"];
    schema.as_object().is_some_and(|schema| {
        known.iter().any(|word| schema.contains_key(*word))
            && !elsewhere.iter().any(|word| schema.contains_key(*word))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_schema_does_not_make_public_is_hidden() {
        let schema = json!({
            "type": "object",
            "properties": {
                "text": { "type": "string" },
                "key": { "type": "string", "writeOnly": true },
                "odd": { "$ref": "#/$defs/odd", "type": "string" },
                "servers": { "type": "array", "items": {
                    "type": "object",
                    "properties": { "host": { "type": "string" } },
                } },
                "all": { "type": "object", "writeOnly": true },
            },
        });
        let value = json!({
            "text": "shown", "key": "s1", "odd": "s2", "database_url": "s3", "passphrase": "s4",
            "servers": [{ "host": "shown too", "api-key": "s5" }], "all": { "a": "s6" },
            "number": 7,
        });
        let shown = public(Some(&schema), &value, DEPTH);
        assert_eq!(
            shown,
            json!({
                "text": "shown", "key": "(set)", "odd": "(set)", "database_url": "(set)",
                "passphrase": "(set)", "servers": [{ "host": "shown too", "api-key": "(set)" }],
                "all": "(set)", "number": "(set)",
            })
        );
        assert!(!public(None, &value, DEPTH).to_string().contains("s1"));
    }
}
