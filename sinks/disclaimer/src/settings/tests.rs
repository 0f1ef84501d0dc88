#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::reason::Reason;

fn read(value: Value) -> Result<Settings, String> {
    Settings::read(&value)
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
            "\"html\" is set without \"text\", which plain texts get; set it, or remove \"html\"",
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
            "\"place\": unknown variant `middle`",
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
            "\"texte\": unknown field `texte`",
        ),
        (json!({ "text": 7 }), "\"text\": invalid type"),
        (
            json!({ "place": "top", "texts": [{ "name": "n", "text": "x" }] }),
            "\"place\" is set without \"text\"",
        ),
        (
            json!({ "texts": [{ "name": "a\nb", "text": "x" }] }),
            "the name \"a\\nb\" of a text is not",
        ),
        (
            json!({ "text": "x", "texts": [{ "name": "text", "text": "y" }] }),
            "the text \"text\" is there twice",
        ),
        (
            json!({ "text": "x", "html": "<a href='x'>y" }),
            "a link, a hidden element",
        ),
        (
            json!({ "text": "x", "html": "<div hidden>y" }),
            "a hidden element",
        ),
        (
            json!({ "text": "x", "html": "<!--[if !mso]><!-->y" }),
            "a condition in it is not closed",
        ),
        (
            json!({ "text": "x", "html": "<img src=${sender.local}>" }),
            "put quotes around the value",
        ),
        (
            json!({ "text": "x", "html": "<p ${sender.local}>y" }),
            "put quotes around the value",
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
        "headers",
        "body",
        "sender",
        "recipients",
        "properties:directory",
    ] {
        assert!(all.iter().any(|own| own == word), "{word}");
    }
}

#[test]
fn a_value_is_escaped_once_and_cannot_become_markup() {
    let text = |settings| read(settings).unwrap().texts.remove(0);
    let none = |_: &Source| None;
    let made = text(json!({ "text": "${property:directory/name|Müller & Co}\r\nA < B" }));
    let html = made.html.filled(none, escaped).unwrap();
    assert_eq!(html, "<p>Müller &amp; Co<br>\nA &lt; B</p>");
    let quoted = json!({ "text": "x", "html": "<a href=\"mailto:${sender.address}\">${sender.local|<none>}</a>" });
    let quoted = text(quoted);
    let hostile = |_: &Source| Some("\" onclick='x' <b>".to_owned());
    let html = quoted.html.filled(hostile, escaped).unwrap();
    assert!(
        !html.contains("onclick='") && !html.contains("<b>"),
        "{html}"
    );
    // "cid:" is looked for where images are shown, not in words.
    assert!(
        text(json!({ "text": "x", "html": "<p title='acid: strong'>Acid: x</p>" }))
            .images
            .is_empty()
    );
}

#[test]
fn settings_that_leave_each_other_without_effect_are_told() {
    let own = json!(["own.test", "*.own.test"]);
    let with = |text: Value| {
        let mut text = text;
        text["name"] = json!("n");
        text["text"] = json!("x");
        read(json!({ "own_domains": own, "texts": [text], "text": "y" }))
    };
    for (text, said) in [
        (
            json!({ "direction": "incoming", "sender_domains": ["own.test", "a.own.test"] }),
            "all its \"sender_domains\" are among",
        ),
        (
            json!({ "direction": "outgoing", "sender_domains": ["other.test"] }),
            "none of its \"sender_domains\" is among",
        ),
        (
            json!({ "direction": "internal", "recipient_domains": ["other.test"] }),
            "none of its \"recipient_domains\" is among",
        ),
    ] {
        let error = with(text.clone()).unwrap_err();
        assert!(
            error.contains(said) && error.contains("the text \"n\" is never added"),
            "{text}: {error}"
        );
    }
    for fine in [
        json!({ "direction": "incoming", "sender_domains": ["own.test", "other.test"] }),
        json!({ "direction": "outgoing", "sender_domains": ["*.test"], "recipient_domains": ["other.test"] }),
        json!({ "direction": "internal", "recipient_domains": ["sales.own.test"] }),
    ] {
        with(fine).unwrap();
    }
    let two = |first: Value, second: Value| {
        let mut texts = [first, second];
        for (text, name) in texts.iter_mut().zip(["a", "b"]) {
            text["name"] = json!(name);
            text["text"] = json!("x");
        }
        read(json!({ "own_domains": own, "texts": texts }))
    };
    let unreachable = [
        (json!({}), json!({ "languages": ["de"] })),
        (
            json!({ "languages": ["de"] }),
            json!({ "languages": ["de-at"], "direction": "outgoing" }),
        ),
        (
            json!({ "sender_domains": ["*.x.test"] }),
            json!({ "sender_domains": ["a.x.test", "*.b.x.test"] }),
        ),
        (
            json!({ "direction": "incoming" }),
            json!({ "direction": "incoming" }),
        ),
        (
            json!({ "direction": "incoming" }),
            json!({ "sender_domains": ["sales.test"] }),
        ),
    ];
    for (first, second) in unreachable {
        let error = two(first, second).unwrap_err();
        assert!(
            error
                .contains("the text \"b\" is never added: every message that it is for gets \"a\""),
            "{error}"
        );
    }
    two(
        json!({ "languages": ["de-at"] }),
        json!({ "languages": ["de"] }),
    )
    .unwrap();
    for (settings, said) in [
        (
            json!({ "text": "x", "exempt": { "senders": ["*@*"] } }),
            "\"exempt.senders\" exempts everybody",
        ),
        (
            json!({ "text": "x", "exempt": { "recipients": ["*"] } }),
            "\"exempt.recipients\" exempts everybody",
        ),
        (
            json!({ "text": "x", "language_from": "directory/language" }),
            "no text has \"languages\"",
        ),
        (
            json!({ "text": "x", "own_domains": ["*"], "texts": [{ "name": "n", "text": "y", "direction": "incoming" }] }),
            "nothing comes from elsewhere",
        ),
    ] {
        let error = read(settings).unwrap_err();
        assert!(error.contains(said), "{error}");
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
        Reason::Settings(text()),
        Reason::Refused(text()),
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
