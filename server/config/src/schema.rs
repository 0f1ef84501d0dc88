//! The JSON Schema of what works.

use serde_json::{Map, Value, json};

use crate::origin::Origin;
use crate::registry::{KeyDoc, SectionDoc, Shape};
use crate::section::Section;
use crate::settings::Config;

/// The JSON Schema (draft 2020-12) of a configuration file. It lists only what this version does.
pub fn schema() -> Value {
    let mut root = object(&Config::describe());
    if let Value::Object(map) = &mut root {
        map.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        map.insert("title".to_owned(), json!("postern.toml"));
        // A file in conf.d may hold any part, but what it holds has to be right.
        map.remove("required");
    }
    root
}

fn object(section: &SectionDoc) -> Value {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), described(key)))
        .collect();
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| key.required())
        .map(|key| key.name)
        .collect();
    let mut object = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Value::Object(map), false) = (&mut object, required.is_empty()) {
        map.insert("required".to_owned(), json!(required));
    }
    object
}

fn described(key: &KeyDoc) -> Value {
    let mut value = of_shape(&key.shape);
    let Value::Object(map) = &mut value else {
        return value;
    };
    map.insert("description".to_owned(), json!(key.doc));
    if let Some(default) = key
        .default
        .and_then(|text| key.shape.parse_text(text, &Origin::Default).ok())
    {
        map.insert("default".to_owned(), default.to_json());
    }
    value
}

fn of_shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text {
            pattern: Some(pattern),
            ..
        } => json!({ "type": "string", "pattern": pattern }),
        Shape::Text { pattern: None, .. } | Shape::Secret => json!({ "type": "string" }),
        Shape::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Choice(words) => {
            let words: Vec<_> = words.words.iter().map(|(word, _)| *word).collect();
            json!({ "type": "string", "enum": words })
        }
        Shape::List(inner) => json!({ "type": "array", "items": of_shape(inner) }),
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(of_shape).collect::<Vec<_>>() })
        }
        Shape::Table(section) => object(&section()),
        Shape::Elements(section) => json!({ "type": "array", "items": object(&section()) }),
        Shape::Map(inner) => {
            // A name with a dot is one key in quotes, or a table in a table.
            let value = of_shape(inner);
            let nested = json!({ "type": "object", "additionalProperties": value });
            json!({ "type": "object", "additionalProperties": { "anyOf": [value, nested] } })
        }
        Shape::Free => json!({ "type": "object" }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    /// As much of JSON Schema as ours uses, patterns left out.
    fn validate(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        if let Some(any) = schema["anyOf"].as_array() {
            let found = any.iter().any(|schema| validate(schema, value, at).is_ok());
            return if found {
                Ok(())
            } else {
                Err(format!("{at}: fits nothing"))
            };
        }
        let fits = match schema["type"].as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "boolean" => value.is_boolean(),
            other => return Err(format!("{at}: the schema has the type {other}")),
        };
        if !fits {
            return Err(format!("{at}: is no {}", schema["type"]));
        }
        if let (Some(number), Some(min), Some(max)) = (
            value.as_i64(),
            schema["minimum"].as_i64(),
            schema["maximum"].as_i64(),
        ) && !(min..=max).contains(&number)
        {
            return Err(format!("{at}: is out of range"));
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return Err(format!("{at}: is none of the words"));
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            if value.get(required.as_str().unwrap()).is_none() {
                return Err(format!("{at}: lacks {required}"));
            }
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(key) {
                Some(schema) => validate(schema, inner, &format!("{at}.{key}"))?,
                None if schema["additionalProperties"] == false => {
                    return Err(format!("{at}.{key}: unknown"));
                }
                None if schema["additionalProperties"].is_object() => {
                    validate(
                        &schema["additionalProperties"],
                        inner,
                        &format!("{at}.{key}"),
                    )?;
                }
                None => {}
            }
        }
        for inner in value.as_array().into_iter().flatten() {
            validate(&schema["items"], inner, at)?;
        }
        Ok(())
    }

    fn json_of(text: &str) -> Value {
        crate::document::parse(Path::new("p.toml"), text)
            .unwrap()
            .to_json()
    }

    #[test]
    fn a_good_file_fits() {
        validate(&schema(), &json_of(crate::load::tests::GOOD), "").unwrap();
    }

    #[test]
    fn what_is_not_in_this_version_does_not_fit() {
        for text in [
            "[admin]\nlisten = \"x\"",
            "[spool]\ndriver = \"postgres\"",
            "[[binding]]\nname = \"b\"\nsink = \"s\"\nsample = 1.0",
            "[[binding]]\nname = \"b\"\nsink = \"s\"\nask = \"told\"",
            "[[binding]]\nname = \"b\"\nsink = \"s\"\n[binding.attributes]\na = 1",
            "[[domain]]\nname = \"a\"\ndeliver = \"smtp://a\"",
        ] {
            validate(&schema(), &json_of(text), "").unwrap_err();
        }
    }

    #[test]
    fn defaults_fit_their_own_schema() {
        fn walk(schema: &Value, at: &str) {
            for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
                let at = format!("{at}.{key}");
                if let Some(default) = inner.get("default") {
                    validate(inner, default, &at).unwrap();
                }
                walk(inner, &at);
                walk(&inner["items"], &at);
            }
        }
        walk(&schema(), "");
    }
}
