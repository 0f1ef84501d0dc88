#![allow(clippy::unwrap_used)]

use postern_sdk::testing::{Session, Transcript};
use postern_sdk::{EventKind, v1};
use serde_json::json;

use super::disclaimer;

const TWO_PARTS: &str = "From: a@example.org\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=x\r\n\r\n\
    --x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n\
    --x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+SGFsbG88L3A+\r\n--x--\r\n";

fn submitted(message: &str) -> Transcript {
    Session::connect(disclaimer(), "192.0.2.1")
        .properties(&json!({ "text": "Nur für Sie." }))
        .ehlo("client.example.org")
        .mail("a@example.org")
        .rcpt("b@example.test")
        .message(message)
        .play()
}

#[test]
fn both_alternatives_get_the_text() {
    let transcript = submitted(TWO_PARTS);
    assert!(transcript.accepted());
    let text = transcript.mail().text();
    assert!(text.contains("Grüße\r\n\r\nNur für Sie.\r\n"), "{text}");
    // What stands before the addition keeps its letters.
    let added = "PHA+SGFsbG88L3A+\r\nDQo8cD5OdXIgZsO8ciBTaWUuPC9wPg0K\r\n--x--";
    assert!(text.contains(added), "{text}");
}

#[test]
fn a_text_that_goes_over_to_utf8_says_so_in_the_header() {
    let transcript = submitted("Subject: x\r\n\r\nHello\r\n");
    let mail = transcript.mail();
    assert_eq!(mail.header("Content-Type"), ["text/plain; charset=utf-8"]);
    assert_eq!(
        mail.header("Content-Transfer-Encoding"),
        ["quoted-printable"]
    );
    assert_eq!(mail.body(), b"Hello\r\n\r\nNur f=C3=BCr Sie.\r\n");
}

#[test]
fn a_signed_message_is_left_alone_and_says_why() {
    let message = "Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nx\r\n--x--\r\n";
    let transcript = submitted(message);
    let verdict = transcript.verdict(EventKind::TransportSubmit).as_proto();
    assert_eq!(verdict.reason_code, "left-alone.signed");
    assert_eq!(verdict.explanation, "left alone: its text is signed");
    let said = verdict.properties.first().unwrap();
    let text = v1::value::Kind::Text("left-alone.signed".to_owned());
    assert_eq!(said.key, "result");
    assert_eq!(said.value.as_ref().unwrap().kind, Some(text));
    assert_eq!(transcript.mail().raw(), message.as_bytes());
}

fn session(properties: &serde_json::Value) -> Session {
    Session::connect(disclaimer(), "192.0.2.1")
        .properties(properties)
        .ehlo("client.example.org")
        .mail("a@example.org")
        .rcpt("b@example.test")
}

/// The code and the explanation of a verdict that lets the message go on as it is.
#[track_caller]
fn left_as_it_is(transcript: &Transcript, message: &str) -> (String, String) {
    let verdict = transcript.verdict(EventKind::TransportSubmit).as_proto();
    let shown = transcript.mail().text();
    assert!(transcript.accepted() && shown == message, "{shown}");
    let text = v1::value::Kind::Text(verdict.reason_code.clone());
    let said = verdict
        .properties
        .first()
        .map(|said| said.value.as_ref().unwrap().kind.clone());
    assert_eq!(said, Some(Some(text)));
    (verdict.reason_code.clone(), verdict.explanation.clone())
}

#[test]
fn settings_that_cannot_be_used_keep_no_message() {
    for (settings, said) in [
        (json!({}), "set \"text\""),
        (json!({ "text": "x", "texte": "x" }), "\"texte\""),
        (
            json!({ "text": "x", "html": "<table><tr><td>x" }),
            "\"html\" cannot stand in a message",
        ),
        (
            json!({ "text": "Hello ${user}" }),
            "the placeholder ${user} is unknown",
        ),
        (json!({ "text": "x\u{7}" }), "control character"),
        (
            json!({ "text": "x", "html": "<img src='cid:logo'>" }),
            "cid:logo, which is not among",
        ),
        (
            json!({ "text": "x", "exempt": { "senders": ["*"] } }),
            "exempts everybody",
        ),
        (json!({ "text": ["x"] }), "\"text\": invalid type"),
        (
            json!({ "text": "x".repeat(70_000) }),
            "\"text\" is longer than 64 KiB",
        ),
    ] {
        let message = "Subject: x\r\n\r\nHello\r\n";
        let transcript = session(&settings).message(message).play();
        let (code, explanation) = left_as_it_is(&transcript, message);
        assert_eq!(code, "left-alone.settings", "{settings}");
        assert!(explanation.contains(said), "{settings}: {explanation}");
    }
}

#[test]
fn the_sink_says_of_a_binding_what_is_wrong_with_it() {
    let binding = |settings: serde_json::Value| v1::ConfiguredBinding {
        name: "footer".to_owned(),
        properties_json: settings.to_string().into(),
        reads: ["headers", "body"].map(str::to_owned).to_vec(),
        grants: vec!["body".to_owned()],
        ..Default::default()
    };
    let said = |settings| disclaimer().problems(&binding(settings));
    assert_eq!(said(json!({ "text": "x" })), Vec::<String>::new());
    let open = said(json!({ "text": "x", "html": "<table>" }));
    assert_eq!(open.len(), 1);
    assert!(
        open[0].starts_with("\"html\" cannot stand in a message: "),
        "{open:?}"
    );
    let sender = said(json!({ "text": "${sender.address}" }));
    assert!(
        sender[0].contains("sender, which \"reads\" lacks"),
        "{sender:?}"
    );
}

#[test]
fn what_a_message_or_an_operator_wrote_makes_no_verdict_too_long() {
    let message = format!(
        "Content-Type: text/plain;\r\n charset=\"{}\"\r\n\r\nx\r\n",
        "y".repeat(900)
    );
    let transcript = session(&json!({ "text": "x" }))
        .message(message.as_str())
        .play();
    assert_eq!(left_as_it_is(&transcript, &message).0, "left-alone.charset");
    let lines = "\r\n ".to_owned() + &vec!["z".repeat(900); 6].join("\\\r\n ");
    let message = format!("Content-Type: text/plain; charset=\"{lines}\"\r\n\r\nx\r\n");
    let transcript = session(&json!({ "text": "x" }))
        .message(message.as_str())
        .play();
    left_as_it_is(&transcript, &message);
    let field = format!("X-{}", "z".repeat(70));
    let value = "v".repeat(5000);
    let exempt =
        json!({ "text": "x", "exempt": { "headers": [format!("{field}: *{value}*"), "Subject"] } });
    let message = "Subject: x\r\n\r\nHello\r\n";
    let transcript = session(&exempt).message(message).play();
    assert_eq!(left_as_it_is(&transcript, message).0, "left-alone.exempt");
}

#[test]
fn a_binding_that_shows_too_little_leaves_messages_alone() {
    let message = "Subject: x\r\n\r\nHello\r\n";
    for (reads, said) in [
        (
            &["body", "headers:Content-Type"][..],
            "headers, which \"reads\" lacks",
        ),
        (&["headers", "body", "original"], "\"reads\" has original"),
    ] {
        let transcript = session(&json!({ "text": "x" }))
            .reads(reads)
            .message(message)
            .play();
        let (code, explanation) = left_as_it_is(&transcript, message);
        assert_eq!(code, "left-alone.not-shown");
        assert!(explanation.contains(said), "{explanation}");
    }
    let transcript = session(&json!({ "text": "x" }))
        .may(&["headers:X-*"])
        .message(message)
        .play();
    assert_eq!(left_as_it_is(&transcript, message).0, "left-alone.grant");
}

/// The kit refuses a verdict that is over a limit, in the gateway's words. Around each limit, whatever it is, there is
/// either the text or the message as it was.
#[test]
fn around_every_limit_of_the_gateway_the_message_goes_on() {
    type Set = fn(&mut v1::Limits, u32);
    let limits: [(&str, Set, std::ops::Range<u32>); 8] = [
        (
            "message",
            |limits, most| limits.message_bytes = most.into(),
            30..220,
        ),
        (
            "header",
            |limits, most| limits.header_bytes = most.into(),
            10..160,
        ),
        ("fields", |limits, most| limits.header_count = most, 1..8),
        ("literal", |limits, most| limits.literal_bytes = most, 1..80),
        ("edits", |limits, most| limits.verdict_edits = most, 1..8),
        (
            "verdict",
            |limits, most| limits.verdict_bytes = most * 200,
            4..60,
        ),
        (
            "frame",
            |limits, most| limits.frame_bytes = most * 200,
            4..60,
        ),
        (
            "property",
            |limits, most| limits.property_bytes = most,
            1..140,
        ),
    ];
    let message = "Subject: x\r\nContent-MD5: y\r\n\r\nHello\r\n";
    for (name, set, range) in limits {
        let (mut added, mut alone) = (0, 0);
        for most in range.step_by(3) {
            let transcript = session(&json!({ "text": "f\u{fc}r Sie" }))
                .limits(|limits| set(limits, most))
                .message(message)
                .play();
            let verdict = transcript.verdict(EventKind::TransportSubmit).as_proto();
            match verdict.reason_code.as_str() {
                "added" => added += 1,
                code => {
                    assert!(
                        matches!(code, "left-alone.limits" | "left-alone.refused"),
                        "{name} {most}: {code}"
                    );
                    assert_eq!(transcript.mail().text(), message, "{name} {most}");
                    alone += 1;
                }
            }
        }
        assert!(added > 0, "{name}: never added");
        assert!(alone > 0 || name == "property", "{name}: always added");
    }
}
