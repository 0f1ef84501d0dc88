#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::reason::Reason;

fn read(value: Value) -> Result<Settings, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn one_text_is_enough_and_html_is_made_of_it() {
    let settings = read(json!({ "text": "-- \na < b\n" })).unwrap();
    let text = settings.texts.first().unwrap();
    assert_eq!(text.text, Template::parse("-- \na < b").unwrap());
    assert_eq!(
        text.html,
        Template::parse("<p>-- <br>\na &lt; b</p>").unwrap()
    );
    assert_eq!(
        (settings.dkim, settings.repeat),
        (Dkim::LeaveAlone, Repeat::Always)
    );
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    for (value, said) in [
        (
            json!({}),
            "there is nothing to add: set \"text\", or \"texts\"",
        ),
        (
            json!({ "html": "<p>x" }),
            "\"html\" is set without \"text\"",
        ),
        (json!({ "text": " \n" }), "\"text\" is empty"),
        (json!({ "text": "a\u{7}" }), "control character"),
        (
            json!({ "text": "${user}" }),
            "the placeholder ${user} is unknown; there are sender.address",
        ),
        (
            json!({ "text": "x", "html": "<body>x</body>" }),
            "\"html\" cannot stand in a message: it is a whole document",
        ),
        (
            json!({ "text": "x", "html": "<table><tr><td>" }),
            "is not closed",
        ),
        (json!({ "text": "x", "html": "<!-- x" }), "is not closed"),
        (
            json!({ "text": "x", "html": "<style>p{}</style>" }),
            "readers of mail drop those",
        ),
        (
            json!({ "text": "x", "html": "<img src='cid:logo'>" }),
            "shows cid:logo, which is not among \"images\"",
        ),
        (
            json!({ "text": "x", "place": "middle" }),
            "unknown variant `middle`",
        ),
        (
            json!({ "text": "x", "size_max_bytes": 0 }),
            "\"size_max_bytes\" is 0",
        ),
        (
            json!({ "text": "x", "own_domains": ["a@b"] }),
            "\"own_domains\": \"a@b\" is not a domain",
        ),
        (
            json!({ "text": "x", "language_from": "directory" }),
            "write SINK/KEY",
        ),
        (
            json!({ "text": "x", "exempt": { "headers": ["a b"] } }),
            "\"exempt.headers\": \"a b\" is not a header field",
        ),
        (
            json!({ "texts": [{ "name": "n", "text": "x", "direction": "outgoing" }] }),
            "\"direction\" of the text \"n\" is set, but \"own_domains\" is empty",
        ),
        (
            json!({ "texts": [{ "name": "n", "text": "x", "languages": ["d_e"] }] }),
            "\"languages\" of the text \"n\": \"d_e\" is not a language",
        ),
        (
            json!({ "texts": [{ "name": "n", "text": "x" }, { "name": "n", "text": "y" }] }),
            "the text \"n\" is there twice",
        ),
        (
            json!({ "text": "x", "images": [{ "cid": "a", "type": "image/png", "data": "AAEC" }] }),
            "the image \"a\" is shown by no text",
        ),
        (
            json!({ "text": "x", "images": [{ "cid": "a", "type": "image/png", "data": "*" }] }),
            "the image \"a\" has data that is not base64",
        ),
        (
            json!({ "text": "x", "images": [{ "cid": "a b", "type": "image/png", "data": "AAEC" }] }),
            "has a cid with other characters",
        ),
        (
            json!({ "text": "x", "images": [{ "cid": "a", "type": "text/html", "data": "AAEC" }] }),
            "has a type that is none of images",
        ),
        (
            json!({ "text": "x", "texte": "y" }),
            "unknown field `texte`",
        ),
    ] {
        let error = read(value.clone()).unwrap_err();
        assert!(error.contains(said), "{value}: {error}");
    }
}

#[test]
fn the_schema_names_every_setting_and_no_other() {
    let schema = schema();
    let example = json!({
        "text": "x", "html": "<img src='cid:a'>", "place": "top",
        "texts": [{
            "name": "n", "direction": "incoming", "sender_domains": ["*.x.test"], "recipient_domains": ["x.test"],
            "languages": ["de-AT"], "text": "x", "html": "<p>x", "place": "end",
        }],
        "images": [{ "cid": "a", "type": "image/png", "data": "AAEC" }],
        "own_domains": ["x.test"], "language_from": "directory/language", "repeat": "unless-quoted", "dkim": "remove",
        "exempt": { "headers": ["List-Id"], "senders": ["a@x.test"], "recipients": ["x.test"] },
        "size_max_bytes": 1,
    });
    read(example.clone()).unwrap();
    same_keys(&schema, &example, "");
}

/// Every key of the example is in the schema, and the other way round.
fn same_keys(schema: &Value, example: &Value, at: &str) {
    match example {
        Value::Object(map) => {
            let known = schema["properties"].as_object().unwrap();
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                keys.sort();
                keys
            };
            assert_eq!(keys(known), keys(map), "{at}");
            for (key, value) in map {
                same_keys(&known[key], value, key);
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| same_keys(&schema["items"], value, at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            assert!(schema["type"].is_string(), "{at}");
        }
    }
}

#[test]
fn what_a_binding_has_to_show_follows_from_what_is_set() {
    let plain = read(json!({ "text": "x" })).unwrap().reads();
    assert!(
        !plain
            .iter()
            .any(|word| word == "sender" || word == "recipients")
    );
    let all = read(json!({
        "text": "${sender.address} ${property:directory/title}", "own_domains": ["x.test"],
        "texts": [{ "name": "n", "text": "y", "direction": "outgoing", "languages": ["de"] }],
        "repeat": "new-threads", "exempt": { "headers": ["List-Id"] },
    }))
    .unwrap()
    .reads();
    for word in [
        "sender",
        "recipients",
        "properties:directory",
        "headers:List-Id",
        "headers:References",
        "headers:Content-Language",
    ] {
        assert!(all.iter().any(|own| own == word), "{word}");
    }
}

/// The page of the book names every setting and every reason.
#[test]
fn the_documentation_is_complete() {
    let page = include_str!("../../../../docs/disclaimer.md");
    let has = |word: &str| assert!(page.contains(&format!("`{word}`")), "{word}");
    let schema = schema();
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .for_each(|key| has(key));
    let text = String::new;
    for reason in [
        Reason::Signed,
        Reason::Encrypted,
        Reason::Dkim,
        Reason::Report,
        Reason::NoText,
        Reason::TooLarge(0),
        Reason::Structure(""),
        Reason::Readers(""),
        Reason::Field(""),
        Reason::Label(text()),
        Reason::Charset(text()),
        Reason::Transfer(""),
        Reason::Html(""),
        Reason::Limits(""),
        Reason::Grant(text()),
        Reason::NotShown(text()),
        Reason::Exempt(text()),
        Reason::NoTextFits,
        Reason::Continued,
        Reason::Quoted,
        Reason::Placeholder(text()),
        Reason::Bug,
        Reason::Check(""),
    ] {
        has(reason.code());
    }
}
