#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const UMLAUT: &str = "Vertraulich – nur für Sie.";

fn footer(text: &str) -> Footer {
    Footer {
        text: text.to_owned(),
        html: None,
    }
}

/// The message with the changes in it, as the gateway would make it.
fn applied(message: &str, changes: &Changes) -> Vec<u8> {
    applied_to(message.as_bytes(), changes)
}

fn applied_to(message: &[u8], changes: &Changes) -> Vec<u8> {
    let at = message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = message.split_at(at);
    let mut out = Vec::new();
    let head = String::from_utf8_lossy(head);
    let mut fields: Vec<String> = head
        .trim_end()
        .replace("\r\n ", " ")
        .split("\r\n")
        .map(str::to_owned)
        .collect();
    for (name, value) in &changes.headers {
        let prefix = format!("{name}:");
        fields.retain(|f| {
            !f.to_ascii_lowercase()
                .starts_with(&prefix.to_ascii_lowercase())
        });
        fields.push(format!("{name}: {value}"));
    }
    out.extend_from_slice(fields.join("\r\n").as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    let mut from = 0;
    for splice in &changes.splices {
        out.extend_from_slice(&body[from..splice.range.start]);
        out.extend_from_slice(&splice.insert);
        from = splice.range.end;
    }
    out.extend_from_slice(&body[from..]);
    out
}

/// All texts and HTML texts of a message, decoded.
fn texts(message: &[u8]) -> Vec<String> {
    let parsed = MessageParser::default().parse(message).unwrap();
    parsed
        .parts
        .iter()
        .filter_map(|part| part.text_contents().map(str::to_owned))
        .collect()
}

fn with_footer(message: &str, text: &str) -> (Changes, Vec<u8>) {
    let changes = append(message.as_bytes(), &footer(text)).unwrap();
    let out = applied(message, &changes);
    (changes, out)
}

#[test]
fn plain_text_only_grows_at_its_end() {
    let message = "Subject: x\r\n\r\nHello\r\n";
    let (changes, out) = with_footer(message, "Confidential.\nReally.");
    assert!(changes.headers.is_empty());
    assert_eq!(changes.splices.first().unwrap().range, 7..7);
    assert_eq!(
        out,
        b"Subject: x\r\n\r\nHello\r\n\r\nConfidential.\r\nReally.\r\n"
    );
}

#[test]
fn a_last_line_without_end_gets_one() {
    let (_, out) = with_footer("Subject: x\r\n\r\nHello", "F");
    assert!(out.ends_with(b"Hello\r\n\r\nF\r\n"));
}

#[test]
fn an_ascii_text_goes_over_to_utf8_when_the_footer_needs_it() {
    let message = "Subject: x\r\nContent-Type: text/plain; format=flowed\r\n\r\nHello\r\n";
    let (changes, out) = with_footer(message, UMLAUT);
    let names: Vec<_> = changes.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
    );
    assert_eq!(
        changes.headers.first().unwrap().1,
        "text/plain; format=flowed; charset=utf-8"
    );
    assert!(out.is_ascii(), "{}", String::from_utf8_lossy(&out));
    let texts = texts(&out);
    assert!(texts.first().unwrap().contains("Hello") && texts.first().unwrap().contains(UMLAUT));
}

#[test]
fn latin1_keeps_its_charset_when_it_has_the_characters() {
    let mut message = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr".to_vec();
    message.extend_from_slice(b"\xfc\xdfe\r\n");
    let changes = append(&message, &footer("für Sie")).unwrap();
    assert!(changes.headers.is_empty());
    let out = applied_to_bytes(&message, &changes);
    assert!(out.ends_with(b"f\xfcr Sie\r\n"));
}

fn applied_to_bytes(message: &[u8], changes: &Changes) -> Vec<u8> {
    let splice = changes.splices.first().unwrap();
    let at = message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut out = message[..at + splice.range.start].to_vec();
    out.extend_from_slice(&splice.insert);
    out.extend_from_slice(&message[at + splice.range.end..]);
    out
}

#[test]
fn base64_stays_base64() {
    let message = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n";
    let (changes, out) = with_footer(message, UMLAUT);
    assert!(changes.headers.is_empty());
    assert_eq!(texts(&out), [format!("Grüße\r\n\r\n{UMLAUT}\r\n")]);
}

#[test]
fn quoted_printable_stays_quoted_printable() {
    let message = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><body>Gr=C3=BC=C3=9Fe</b=\r\nody></html>\r\n";
    let (_, out) = with_footer(message, "a < b & c");
    let text = texts(&out).remove(0);
    assert!(
        text.contains("Grüße\r\n\r\n<p>a &lt; b &amp; c</p>\r\n</body></html>"),
        "{text}"
    );
}

#[test]
fn every_alternative_gets_it_and_attachments_do_not() {
    let message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
        preamble\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
        --i\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nHello\r\n\
        --i\r\nContent-Type: text/html\r\n\r\n<HTML><BODY>Hello</BODY></HTML>\r\n\
        --i--\r\n--o\r\nContent-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nattached\r\n--o--\r\n";
    let (_, out) = with_footer(message, UMLAUT);
    let texts = texts(&out);
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(
        texts
            .iter()
            .take(2)
            .all(|t| t.contains("Hello") && t.contains("für Sie")),
        "{texts:?}"
    );
    assert_eq!(texts.last().unwrap(), "attached");
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("--o").count(), 3);
    assert_eq!(text.matches("--i").count(), 3);
    assert!(text.contains("preamble"));
}

#[test]
fn signed_encrypted_and_reports_are_left_alone() {
    for (kind, why) in [
        ("multipart/signed; boundary=x", Untouched::Signed),
        ("multipart/encrypted; boundary=x", Untouched::Encrypted),
        ("application/pkcs7-mime", Untouched::Encrypted),
        ("multipart/report; boundary=x", Untouched::Report),
        ("application/pdf", Untouched::NoText),
    ] {
        let message = format!("Content-Type: {kind}\r\n\r\n--x\r\n\r\ntext\r\n--x--\r\n");
        assert_eq!(append(message.as_bytes(), &footer("F")), Err(why), "{kind}");
    }
    let inline = "Subject: x\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\nx\r\n";
    assert_eq!(
        append(inline.as_bytes(), &footer("F")),
        Err(Untouched::Signed)
    );
}

#[test]
fn an_unknown_charset_is_not_guessed() {
    let message = "Content-Type: text/plain; charset=x-unknown\r\n\r\nHello\r\n";
    assert_eq!(
        append(message.as_bytes(), &footer("F")),
        Err(Untouched::Unreadable)
    );
}

#[test]
fn japanese_in_shift_states() {
    let (bytes, _, _) = encoding_rs::ISO_2022_JP.encode("こんにちは\r\n");
    let mut message = b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n".to_vec();
    message.extend_from_slice(&bytes);
    let changes = append(&message, &footer("秘密")).unwrap();
    let out = applied_to_bytes(&message, &changes);
    assert!(out.is_ascii());
    assert_eq!(texts(&out), ["こんにちは\r\n\r\n秘密\r\n"]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_splices_lie_within_the_body(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_vec();
        message.extend_from_slice(&body);
        let size = message.len() - message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() - 4;
        if let Ok(changes) = append(&message, &footer(UMLAUT)) {
            let mut from = 0;
            for splice in changes.splices {
                prop_assert!(from <= splice.range.start && splice.range.end <= size);
                from = splice.range.end;
            }
        }
    }

    #[test]
    fn text_of_any_characters_keeps_them(text in "[ -~äöü€あ\n]{0,300}") {
        let wire = text.replace('\n', "\r\n");
        let message = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{wire}");
        let changes = append(message.as_bytes(), &footer(UMLAUT)).unwrap();
        let out = applied(&message, &changes);
        let found = texts(&out).remove(0);
        prop_assert!(found.starts_with(&wire));
        let end = format!("{}\r\n", UMLAUT);
        prop_assert!(found.ends_with(&end));
    }
}
