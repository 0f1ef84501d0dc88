#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

struct Case<'a> {
    settings: Value,
    message: &'a str,
    sender: &'a str,
    recipients: &'a [&'a str],
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            settings: json!({ "text": "T" }),
            message: "Subject: x\r\n\r\nHello\r\n",
            sender: "anna@own.test",
            recipients: &["bert@other.test"],
        }
    }
}

impl Case<'_> {
    fn choose(self) -> Result<(String, Addition), Reason> {
        let settings = Settings::read(&self.settings).unwrap();
        let recipients: Vec<String> = self.recipients.iter().map(|&own| own.to_owned()).collect();
        let property = |sink: &str, key: &str| match (sink, key) {
            ("directory", "title") => Some("R&D".to_owned()),
            ("directory", "language") => Some("FR-ca".to_owned()),
            _ => None,
        };
        let mail = Mail {
            message: self.message.as_bytes(),
            sender: self.sender,
            recipients: &recipients,
            property: &property,
        };
        choose(&settings, &mail).map(|(name, addition)| (name.to_owned(), addition))
    }

    fn name(self) -> String {
        self.choose().unwrap().0
    }
}

#[test]
fn the_way_of_a_message_is_told_by_own_domains() {
    let settings = || {
        let text = |name: &str| json!({ "name": name, "text": name, "direction": name });
        json!({ "own_domains": ["own.test", "*.own.test"], "texts": [text("outgoing"), text("incoming"), text("internal")] })
    };
    let way = |sender, recipients| {
        Case {
            settings: settings(),
            sender,
            recipients,
            ..Case::default()
        }
        .name()
    };
    assert_eq!(way("a@own.test", &["b@other.test"]), "outgoing");
    assert_eq!(
        way("a@own.test", &["b@own.test", "c@other.test"]),
        "outgoing"
    );
    assert_eq!(way("a@own.test", &["b@SUB.own.test"]), "internal");
    assert_eq!(way("a@other.test", &["b@own.test"]), "incoming");
    assert_eq!(way("", &["b@own.test"]), "incoming");
}

#[test]
fn domains_and_languages_choose_the_first_text_that_fits() {
    let settings = || {
        json!({
            "language_from": "directory/language",
            "text": "all",
            "texts": [
                { "name": "sales", "text": "s", "sender_domains": ["sales.test"] },
                { "name": "partner", "text": "p", "recipient_domains": ["partner.test"] },
                { "name": "german", "text": "g", "languages": ["de"] },
                { "name": "french", "text": "f", "languages": ["fr"] },
            ],
        })
    };
    let chosen = |message, sender, recipients| {
        Case {
            settings: settings(),
            message,
            sender,
            recipients,
        }
        .name()
    };
    let plain = "Content-Language: en\r\n\r\nx\r\n";
    assert_eq!(chosen(plain, "a@sales.test", &["b@partner.test"]), "sales");
    assert_eq!(
        chosen(plain, "a@x.test", &["c@x.test", "b@partner.test"]),
        "partner"
    );
    assert_eq!(
        chosen(
            "Content-Language: DE-at, en\r\n\r\nx\r\n",
            "a@x.test",
            &["b@x.test"]
        ),
        "german"
    );
    assert_eq!(
        chosen(
            "Content-Language: den\r\n\r\nx\r\n",
            "a@x.test",
            &["b@x.test"]
        ),
        "text"
    );
    // Without a word of the message, the property says it.
    assert_eq!(
        chosen("Subject: x\r\n\r\nx\r\n", "a@x.test", &["b@x.test"]),
        "french"
    );
    let none = Case {
        settings: json!({ "texts": [{ "name": "n", "text": "x", "languages": ["de"] }] }),
        ..Case::default()
    };
    assert_eq!(none.choose().unwrap_err(), Reason::NoTextFits);
}

#[test]
fn exemptions() {
    let exempt = |exempt: Value, message: &str, recipients: &[&str]| {
        let case = Case {
            settings: json!({ "text": "T", "exempt": exempt }),
            message,
            recipients,
            ..Case::default()
        };
        matches!(case.choose(), Err(Reason::Exempt(_)))
    };
    let plain = "Subject: x\r\n\r\nx\r\n";
    assert!(exempt(
        json!({ "headers": ["list-id"] }),
        "List-Id: <l>\r\n\r\nx\r\n",
        &["a@b.test"]
    ));
    assert!(exempt(
        json!({ "senders": ["*@own.test"] }),
        plain,
        &["a@b.test"]
    ));
    let recipients = || json!({ "recipients": ["b.test"] });
    assert!(exempt(recipients(), plain, &["a@b.test", "c@b.test"]));
    assert!(!exempt(recipients(), plain, &["a@b.test", "c@d.test"]));
    assert!(!exempt(
        json!({ "headers": ["Auto-Submitted: auto-*"] }),
        "Auto-Submitted: no\r\n\r\nx\r\n",
        &["a@b.test"]
    ));
}

#[test]
fn a_thread_gets_it_once_if_it_shall() {
    let settings =
        |repeat: &str| json!({ "text": "This mail\nis confidential.", "repeat": repeat });
    let with = |repeat, message| {
        Case {
            settings: settings(repeat),
            message,
            ..Case::default()
        }
        .choose()
        .map(|_| ())
    };
    let answer = "In-Reply-To: <a@b>\r\n\r\nYes\r\n";
    assert_eq!(with("new-threads", answer), Err(Reason::Continued));
    assert_eq!(with("always", answer), Ok(()));
    assert_eq!(with("unless-quoted", answer), Ok(()));
    let quoted = "References: <a@b>\r\n\r\nYes\r\n\r\n> Hello\r\n> \r\n>> This mail is\r\n>> confidential.\r\n";
    assert_eq!(with("unless-quoted", quoted), Err(Reason::Quoted));
    let html = "Content-Type: text/html\r\n\r\nYes<blockquote>Hello<p>This <b>mail</b><br>is confidential.</p></blockquote>\r\n";
    assert_eq!(with("unless-quoted", html), Err(Reason::Quoted));
}

/// The addition of an earlier sender is known again: its values are others.
#[test]
fn a_quoted_addition_is_known_whatever_its_values_were() {
    let with = |message| {
        Case {
            settings: json!({
                "text": "${sender.address}, ${property:directory/phone|none}\nExample GmbH, confidential",
                "repeat": "unless-quoted",
            }),
            message,
            ..Case::default()
        }
        .choose()
        .map(|_| ())
    };
    let quoted = "Subject: x\r\n\r\nYes\r\n> Hello\r\n> carl@own.test, +49 1\r\n> Example GmbH, confidential\r\n";
    assert_eq!(with(quoted), Err(Reason::Quoted));
    let half = "Subject: x\r\n\r\nYes, I write to Example GmbH, which is there\r\n";
    assert_eq!(with(half), Ok(()));
    let far = format!(
        "Subject: x\r\n\r\na, b\r\n{}Example GmbH, confidential\r\n",
        "x\r\n".repeat(500)
    );
    assert_eq!(with(&far), Ok(()));
    // A value may end in the middle of what is looked at.
    let long = "\u{20ac}".repeat(166);
    let near = format!(
        "Content-Type: text/plain; charset=utf-8\r\n\r\na, {long}\r\nExample GmbH, confidential\r\n"
    );
    assert_eq!(with(&near), Err(Reason::Quoted));
    // The first piece of the addition is a comma. To look for the next one through all of the rest would take minutes.
    let commas = format!("Subject: x\r\n\r\n{}", "x, y,\r\n".repeat(100_000));
    let begun = std::time::Instant::now();
    assert_eq!(with(&commas), Ok(()));
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(30), "{took:?}");
}

#[test]
fn placeholders_are_filled_escaped_in_html_alone() {
    let (_, addition) = Case {
        settings: json!({ "text": "${sender.local} of ${sender.domain}, ${property:directory/title}" }),
        ..Case::default()
    }
    .choose()
    .unwrap();
    assert_eq!(addition.text, "anna of own.test, R&D");
    assert_eq!(addition.html, "<p>anna of own.test, R&amp;D</p>");
    let case = Case {
        settings: json!({ "text": "${property:directory/phone}" }),
        ..Case::default()
    };
    assert_eq!(
        case.choose().unwrap_err(),
        Reason::Placeholder("property:directory/phone".to_owned())
    );
}
