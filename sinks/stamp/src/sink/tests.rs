#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use postern_sdk::testing::{Mail, Session, Transcript};
use serde_json::{Value, json};

use super::*;

fn stamped(properties: Value) -> Transcript {
    Session::connect(stamp(), "192.0.2.1")
        .properties(&properties)
        .ehlo("client.example.test")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("Subject: hello\r\nX-Postern-Trace: forged\r\n\r\nHello.\r\n")
        .play()
}

fn trace(mail: &Mail) -> String {
    mail.header("X-Postern-Trace").remove(0)
}

#[test]
fn the_header_says_message_session_and_server_on_top() {
    let transcript = stamped(json!({}));
    let mail = transcript.mail();
    let trace = trace(mail);
    let parts: Vec<_> = trace
        .split("; ")
        .map(|part| part.split_once('=').unwrap())
        .collect();
    assert_eq!(
        parts.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["message", "session", "server"]
    );
    assert_eq!(
        (parts[0].1.len(), parts[1].1.len(), parts[2].1),
        (36, 36, "test")
    );
    assert!(mail.text().starts_with("X-Postern-Trace: message="));
    assert!(
        mail.text()
            .ends_with("\r\nSubject: hello\r\nX-Postern-Trace: forged\r\n\r\nHello.\r\n")
    );
}

#[test]
fn name_place_moment_and_parts_can_be_set() {
    let transcript = stamped(
        json!({ "header": "X-Seen", "place": "last", "at": "inbound.message", "show": ["binding"] }),
    );
    assert_eq!(
        transcript.mail().text(),
        "Subject: hello\r\nX-Postern-Trace: forged\r\nX-Seen: binding=test\r\n\r\nHello.\r\n"
    );
    assert_eq!(
        transcript
            .verdict(EventKind::InboundMessage)
            .as_proto()
            .edits
            .len(),
        1
    );
    assert!(
        transcript
            .verdict(EventKind::TransportSubmit)
            .as_proto()
            .edits
            .is_empty()
    );
}

#[test]
fn wrong_properties_are_refused_by_name() {
    for (properties, told) in [
        (
            json!({ "header": "Subject" }),
            "no header name that begins with X-",
        ),
        (json!({ "headr": "X-Seen" }), "unknown field `headr`"),
        (
            json!({ "header": "X-A: b" }),
            "no header name that begins with X-",
        ),
    ] {
        let transcript = stamped(properties);
        let fault = transcript.fault(EventKind::InboundMessage);
        assert!(fault.detail().contains(told), "{fault:?}");
    }
}

/// The lines that the sink would log, kept.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn each_event_is_one_line() {
    let response = v1::InboundResponse {
        verb: "MAIL".into(),
        reply: Some(v1::Reply {
            code: 250,
            enhanced_code: "2.1.0".into(),
            lines: vec!["OK".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let result = v1::DeliveryResult {
        recipients: vec![v1::RecipientResult {
            address: "b@example.test".into(),
            status: v1::DeliveryStatus::Deferred.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let keep = |line: &str| LINES.lock().unwrap().push(line.to_owned());
    Session::connect(logging_to(keep), "192.0.2.1")
        .ehlo("client\x1b.example.test")
        .event(v1::event::Kind::InboundResponse(Box::new(response)))
        .mail("a@example.test")
        .reset()
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("Subject: hello\r\n\r\nHello.\r\n")
        .event(v1::event::Kind::DeliveryResult(Box::new(result)))
        .quit()
        .play();
    let lines = LINES.lock().unwrap();
    // Without ids, which differ from run to run.
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let words = line
                .split(' ')
                .filter(|word| !word.is_empty() && word.len() < 36);
            let words: Vec<_> = words.collect();
            [&words[..1], &words[2..]].concat().join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "inbound.connect from 192.0.2.1:40000 to server test",
            "inbound.helo EHLO client\\u{1b}.example.test",
            "inbound.response to MAIL: 250 2.1.0 OK",
            "inbound.mail MAIL FROM:<a@example.test>",
            "inbound.reset transaction given up",
            "inbound.mail MAIL FROM:<a@example.test>",
            "inbound.rcpt RCPT TO:<b@example.test>",
            "inbound.data DATA",
            "inbound.headers message",
            "inbound.message message to 1 recipient",
            "inbound.outcome message accepted, 0 octets: no reply",
            "transport.submit message from <a@example.test> to 1 recipient, 26 octets, by smtp",
            "delivery.result message <b@example.test> deferred: no reply",
            "inbound.disconnect quit, 0 octets in, 0 out",
        ]
    );
}
