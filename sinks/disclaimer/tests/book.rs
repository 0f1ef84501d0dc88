//! The examples of the book's page, and what they do to messages.

#![allow(clippy::unwrap_used, missing_docs)]

use postern_sink_disclaimer::edit;
use postern_sink_disclaimer::outcome::{Frame, Outcome};
use postern_sink_disclaimer::policy::Mail;
use postern_sink_disclaimer::settings::Settings;
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item};

const PAGE: &str = include_str!("../../../docs/disclaimer.md");

/// The properties of every example that has some, in the order of the page.
fn examples() -> Vec<Value> {
    let blocks = PAGE.split("```toml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks
        .filter(|block| block.contains("properties"))
        .map(|block| {
            let document: DocumentMut = block.parse().unwrap();
            let binding = document.get("binding").unwrap();
            // A whole binding, or what stands in one.
            let binding = match binding {
                Item::ArrayOfTables(bindings) => Item::Table(bindings.get(0).unwrap().clone()),
                table => table.clone(),
            };
            json(binding.get("properties").unwrap())
        })
        .collect()
}

fn json(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        let pairs = table.iter().map(|(key, item)| (key.to_owned(), json(item)));
        return Value::Object(pairs.collect::<Map<_, _>>());
    }
    if let Some(tables) = item.as_array_of_tables() {
        return tables
            .iter()
            .map(|table| json(&Item::Table(table.clone())))
            .collect();
    }
    if let Some(list) = item.as_array() {
        return list
            .iter()
            .map(|value| json(&Item::Value(value.clone())))
            .collect();
    }
    match (item.as_str(), item.as_integer(), item.as_bool()) {
        (Some(text), _, _) => text.into(),
        (_, Some(number), _) => number.into(),
        (_, _, flag) => flag.unwrap().into(),
    }
}

/// The example that has this text in it.
fn example(part: &str) -> Settings {
    let examples = examples();
    let found = examples.iter().find(|own| own.to_string().contains(part));
    Settings::read(found.unwrap()).unwrap()
}

/// What becomes of a message: itself with its text, or why not.
fn through(settings: &Settings, sender: &str, recipients: &[&str], message: &str) -> String {
    let recipients: Vec<String> = recipients.iter().map(|&own| own.to_owned()).collect();
    let property = |sink: &str, key: &str| match (sink, key) {
        ("directory", "name") => Some("Anna <Müller>".to_owned()),
        _ => None,
    };
    let mail = Mail {
        message: message.as_bytes(),
        sender,
        recipients: &recipients,
        property: &property,
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let frame = Frame {
        reads: words(&[
            "headers",
            "body",
            "sender",
            "recipients",
            "properties:directory",
        ]),
        may: words(&["body", "headers:Content-*", "headers:MIME-Version"]),
        body_start: message.find("\r\n\r\n").unwrap() + 4,
        ..Frame::default()
    };
    let outcome = Outcome::of(settings, &mail, &frame);
    match outcome.edits {
        Some(edits) => String::from_utf8(edit::applied(message.as_bytes(), &edits)).unwrap(),
        None => outcome.code,
    }
}

const OWN: &str = "anna@example.test";
const OTHER: &str = "bert@other.example.com";

#[test]
fn every_example_is_in_order() {
    let examples = examples();
    assert_eq!(examples.len(), 5, "{examples:#?}");
    for example in examples {
        Settings::read(&example).unwrap();
    }
}

#[test]
fn the_first_example_adds_to_plain_text_and_html() {
    let settings = Settings::read(&examples()[0]).unwrap();
    let message = "Content-Type: multipart/alternative; boundary=A\r\n\r\n--A\r\n\r\nHello\r\n\
        --A\r\nContent-Type: text/html\r\n\r\n<body>Hello</body>\r\n--A--\r\n";
    let out = through(&settings, OWN, &[OTHER], message);
    assert!(
        out.contains("\r\nHello\r\n\r\nThis message is confidential.\r\n--A\r\n"),
        "{out}"
    );
    assert!(
        out.contains("Hello\r\n<p>This message is confidential.</p>\r\n</body>"),
        "{out}"
    );
}

#[test]
fn texts_go_by_way_language_and_domains() {
    let settings = example("Prices without obligation");
    let plain = "Subject: x\r\n\r\nHello\r\n";
    let out = |sender, recipient, message| through(&settings, sender, &[recipient], message);
    let banner = out(OTHER, OWN, plain);
    assert!(
        banner.ends_with("\r\n\r\nThis message comes from outside.\r\n\r\nHello\r\n"),
        "{banner}"
    );
    let html = out(
        OTHER,
        OWN,
        "Content-Type: text/html\r\n\r\n<body>a</body>\r\n",
    );
    assert!(
        html.contains("<body>\r\n<div style='background:#fe0'>This message"),
        "{html}"
    );
    let german = "Content-Language: de-AT\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    let german = out(OWN, OTHER, german);
    assert!(
        german
            .ends_with("Grüße\r\n\r\n-- \r\nAnna <Müller>\r\nDiese Nachricht ist vertraulich.\r\n"),
        "{german}"
    );
    let sales = out("carl@sales.example.test", "x@shop.example", plain);
    assert!(
        sales.ends_with("Hello\r\n\r\nPrices without obligation.\r\n"),
        "{sales}"
    );
    let rest = out(OWN, OTHER, plain);
    assert!(
        rest.ends_with("Hello\r\n\r\nThis message is confidential.\r\n"),
        "{rest}"
    );
}

#[test]
fn placeholders_are_of_the_sender_and_of_properties() {
    let settings = example("mailto:");
    let html =
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>ü\r\n";
    let out = through(&settings, OWN, &[OTHER], html);
    let link = "<p><a href=\"mailto:anna@example.test\">Anna &lt;Müller&gt;</a></p>";
    assert!(out.contains(link), "{out}");
}

#[test]
fn an_image_goes_with_the_html() {
    let settings = example("R0lGODlh");
    let out = through(
        &settings,
        OWN,
        &[OTHER],
        "Content-Type: text/html\r\n\r\n<p>a\r\n",
    );
    assert!(out.contains("Content-Type: multipart/related;"), "{out}");
    assert!(
        out.contains("<img src='cid:logo@example.test' alt='Example GmbH'>"),
        "{out}"
    );
    assert!(
        out.contains("Content-Type: image/gif\r\n")
            && out.contains("Content-ID: <logo@example.test>"),
        "{out}"
    );
}

#[test]
fn threads_exemptions_and_dkim_as_written() {
    let settings = example("unless-quoted");
    let out = |message: &str| through(&settings, OWN, &[OTHER], message);
    assert!(
        out("Subject: x\r\n\r\nHello\r\n").ends_with("\r\n\r\nThis message is confidential.\r\n")
    );
    let quoted =
        "References: <a@b>\r\n\r\nYes\r\n\r\n> Hello\r\n> This message\r\n> is confidential.\r\n";
    assert_eq!(out(quoted), "left-alone.quoted");
    assert_eq!(
        out("List-Id: <l.example.test>\r\n\r\nx\r\n"),
        "left-alone.exempt"
    );
    assert_eq!(
        out("Auto-Submitted: auto-replied\r\n\r\nx\r\n"),
        "left-alone.exempt"
    );
    assert_eq!(
        through(
            &settings,
            "robot@example.test",
            &[OTHER],
            "Subject: x\r\n\r\nx\r\n"
        ),
        "left-alone.exempt"
    );
    assert_eq!(
        through(
            &settings,
            OWN,
            &["a@partner.example"],
            "Subject: x\r\n\r\nx\r\n"
        ),
        "left-alone.exempt"
    );
    let kept = out("DKIM-Signature: v=1\r\n\r\nx\r\n");
    assert!(
        kept.starts_with("DKIM-Signature: v=1\r\n") && kept.contains("confidential"),
        "{kept}"
    );
}
