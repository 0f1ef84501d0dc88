//! The properties of bindings against the schema that their sink describes.
//!
//! Of JSON Schema this knows what descriptions of settings need; words that it does not know restrict nothing here,
//! the sink still looks for itself.

use std::collections::HashMap;

use postern_config::{ConfigError, Effective};
use serde_json::Value;

use super::accept::shown;
use super::reach::Reached;

/// How deep properties are looked into.
const DEPTH: usize = 16;

/// Everything in which properties differ from what their sinks take, with the binding that it is about.
pub(super) fn check<'a>(
    effective: &'a Effective,
    reached: &HashMap<String, Reached>,
) -> Vec<(&'a str, ConfigError)> {
    let mut errors = Vec::new();
    for binding in effective
        .config
        .bindings
        .iter()
        .filter(|binding| binding.enabled)
    {
        let Some(sink) = reached.get(&binding.sink) else {
            continue;
        };
        let schema = &sink.response.properties_schema;
        // A sink that says nothing of its properties looks for itself: anything may be right.
        if schema.is_empty() {
            continue;
        }
        let Ok(schema) = serde_json::from_slice::<Value>(schema) else {
            let what = "the sink describes its properties by something that is not JSON";
            let key = ["binding", &binding.name, "sink"];
            let error = effective.error_at(&key, what, "correct the sink");
            errors.push((binding.name.as_str(), error));
            continue;
        };
        let mut wrong = Vec::new();
        compare(
            &schema,
            &Value::Object(binding.properties.clone()),
            "",
            DEPTH,
            &mut wrong,
        );
        for (key, what) in wrong {
            let what = if key.is_empty() {
                what
            } else {
                format!("\"{key}\" {what}")
            };
            let advice = format!("the sink \"{}\" takes {}", binding.sink, taken(&schema));
            let key = ["binding", &binding.name, "properties"];
            let error = effective.error_at(&key, what, advice);
            errors.push((binding.name.as_str(), error));
        }
    }
    errors
}

/// The properties that a schema names.
fn taken(schema: &Value) -> String {
    let known = schema.get("properties").and_then(Value::as_object);
    let names: Vec<_> = known
        .into_iter()
        .flatten()
        .map(|(name, _)| shown(name))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn compare(
    schema: &Value,
    value: &Value,
    at: &str,
    depth: usize,
    wrong: &mut Vec<(String, String)>,
) {
    let mut say = |what: String| wrong.push((at.to_owned(), what));
    if depth == 0 {
        return;
    }
    if let Some(wanted) = schema.get("type")
        && !is_of(wanted, value)
    {
        say(format!("has to be {}", words(wanted)));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        say(format!(
            "has to be one of {}",
            allowed
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    if let Some(own) = value.as_f64() {
        if number("minimum").is_some_and(|least| own < least) {
            say(format!("has to be {} or more", schema["minimum"]));
        }
        if number("maximum").is_some_and(|most| own > most) {
            say(format!("has to be {} or less", schema["maximum"]));
        }
    }
    if let Some(own) = value.as_str() {
        let length = own.chars().count() as f64;
        if number("minLength").is_some_and(|least| length < least) {
            say("is too short".to_owned());
        }
        if number("maxLength").is_some_and(|most| length > most) {
            say("is too long".to_owned());
        }
    }
    for required in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let (Some(required), Some(map)) = (required.as_str(), value.as_object())
            && !map.contains_key(required)
        {
            say(format!("\"{required}\" is missing").trim_start().to_owned());
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let path = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        match schema.get("properties").and_then(|known| known.get(key)) {
            Some(schema) => compare(schema, inner, &path, depth - 1, wrong),
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                wrong.push((path, "is unknown to it".to_owned()));
            }
            None => {}
        }
    }
    if let (Some(schema), Some(values)) = (schema.get("items"), value.as_array()) {
        for inner in values {
            compare(schema, inner, at, depth - 1, wrong);
        }
    }
}

fn is_of(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(several) => several.iter().any(|wanted| is_of(wanted, value)),
        Value::String(name) => match name.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => true,
        },
        _ => true,
    }
}

fn words(wanted: &Value) -> String {
    let word = |value: &Value| match value.as_str() {
        Some("object") => "a table".to_owned(),
        Some("array") => "a list".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "a whole number".to_owned(),
        Some("number") => "a number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        _ => value.to_string(),
    };
    match wanted {
        Value::Array(several) => several.iter().map(word).collect::<Vec<_>>().join(" or "),
        one => word(one),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(value: &Value) -> Vec<String> {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["text"],
            "properties": {
                "text": { "type": "string", "minLength": 1 },
                "where": { "enum": ["top", "bottom"] },
                "width": { "type": "integer", "minimum": 20, "maximum": 200 },
                "languages": { "type": "array", "items": { "type": "string" } },
            },
        });
        let mut found = Vec::new();
        compare(&schema, value, "", DEPTH, &mut found);
        found
            .into_iter()
            .map(|(key, what)| format!("{key}: {what}"))
            .collect()
    }

    #[test]
    fn what_fits_is_not_mentioned() {
        let value = json!({ "text": "x", "where": "top", "width": 20, "languages": ["en"] });
        assert_eq!(wrong(&value), Vec::<String>::new());
    }

    #[test]
    fn everything_that_does_not_fit_is_said() {
        let value = json!({ "where": "left", "width": 2.5, "languages": ["en", 1], "colour": 1 });
        let found = wrong(&value);
        for line in [
            ": \"text\" is missing",
            "where: has to be one of \"top\", \"bottom\"",
            "width: has to be a whole number",
            "languages: has to be text",
            "colour: is unknown to it",
        ] {
            assert!(
                found.iter().any(|own| own == line),
                "{line} is not in {found:?}"
            );
        }
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(
            wrong(&json!({ "text": "", "width": 7 })),
            ["text: is too short", "width: has to be 20 or more"]
        );
    }
}
