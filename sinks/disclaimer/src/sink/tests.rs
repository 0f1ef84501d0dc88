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

#[test]
fn properties_that_do_not_fit_are_a_fault_that_names_them() {
    let transcript = Session::connect(disclaimer(), "192.0.2.1")
        .properties(&json!({ "text": "x", "texte": "x" }))
        .ehlo("client.example.org")
        .mail("a@example.org")
        .rcpt("b@example.test")
        .message("Subject: x\r\n\r\nHello\r\n")
        .play();
    let fault = transcript.fault(EventKind::TransportSubmit);
    assert!(fault.detail().contains("texte"), "{fault:?}");
}
