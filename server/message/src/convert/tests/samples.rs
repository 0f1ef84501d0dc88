//! Messages as they come, and as they are sent.

use super::{EIGHT, SEVEN, octets, text};
use crate::convert::Obstacle;

/// Text with CRLF for its line ends.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn text_becomes_quoted_printable_and_says_so() {
    let came = crlf(
        "From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: x\n\nGr\u{fc}\u{df}e = 1 \n--\nend\n",
    );
    let sent = crlf(
        "From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nSubject: x\n\nGr=C3=BC=C3=9Fe =3D 1=20\n=2D-\nend\n",
    );
    assert_eq!(text(&came, SEVEN).unwrap(), sent);
    assert_eq!(text(&came, EIGHT).unwrap(), came);
}

#[test]
fn who_says_nothing_of_mime_gets_its_fields() {
    let came = crlf("From: a\n\nGr\u{fc}\u{df}e\n");
    let sent = crlf(
        "From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe\n",
    );
    assert_eq!(text(&came, SEVEN).unwrap(), sent);
    let latin = octets(b"From: a\r\n\r\nGr\xfc\xdfe", SEVEN).unwrap();
    assert!(
        latin.contains("charset=unknown-8bit\r\n") && latin.ends_with("\r\n\r\nGr=FC=DFe"),
        "{latin}"
    );
    let long = format!("From: a\r\n\r\n{}\r\n", "z".repeat(5000));
    let sent = text(&long, EIGHT).unwrap();
    assert!(
        sent.starts_with(
            "From: a\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nzzz"
        ),
        "{sent}"
    );
    assert_eq!(sent.matches("=\r\n").count(), 5000 / 75);
}

const MIXED: &str = "From: a
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"b\"
Content-Transfer-Encoding: 8bit

preamble
--b
Content-Type: text/plain

plain
--b
Content-Type: text/plain; charset=utf-8

\u{e9}
--b
Content-Type: image/png
Content-Transfer-Encoding: binary

\u{e9}\u{e9}\u{e9}
--b--
epilogue
";

#[test]
fn parts_are_changed_that_need_it_and_no_others() {
    let sent = crlf(
        "From: a
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"b\"
Content-Transfer-Encoding: 7bit

preamble
--b
Content-Type: text/plain

plain
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

=C3=A9
--b
Content-Type: image/png
Content-Transfer-Encoding: base64

w6nDqcOp
--b--
epilogue
",
    );
    assert_eq!(text(&crlf(MIXED), SEVEN).unwrap(), sent);
}

#[test]
fn messages_within_messages_are_converted_inside() {
    let came = crlf(
        "From: a\nMIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: inner\nContent-Transfer-Encoding: 8bit\n\n\u{e9}\n",
    );
    let sent = text(&came, SEVEN).unwrap();
    assert_eq!(
        sent,
        crlf(
            "From: a\nMIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: inner\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n=C3=A9\n"
        )
    );
    let digest = crlf(
        "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: inner\n\n\u{e9}\n--b--\n",
    );
    let sent = text(&digest, SEVEN).unwrap();
    assert!(
        sent.contains(&crlf("--b\n\nSubject: inner\nMIME-Version: 1.0\n")),
        "{sent}"
    );
}

fn around(kind: &str, inside: &str) -> String {
    crlf(&format!(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=outer\n\n--outer\nContent-Type: {kind}\n\n{inside}\n--outer\nContent-Type: text/plain; charset=utf-8\n\n\u{e9}\n--outer--\n"
    ))
}

#[test]
fn what_is_signed_or_encrypted_is_left_alone() {
    let signed = "multipart/signed; boundary=s; protocol=\"application/pgp-signature\"";
    let inside = |text: &str| {
        format!(
            "--s\nContent-Type: text/plain\n\n{text}\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--"
        )
    };
    // The other part is converted, this one stays octet for octet.
    let sent = text(&around(signed, &inside("plain")), SEVEN).unwrap();
    assert!(
        sent.contains(&crlf(&inside("plain"))) && sent.contains("=C3=A9"),
        "{sent}"
    );
    let refused = text(&around(signed, &inside("\u{e9}")), SEVEN);
    assert_eq!(refused, Err(Obstacle::Protected));
    assert!(text(&around(signed, &inside("\u{e9}")), EIGHT).is_ok());
    for kind in [
        "application/pkcs7-mime; smime-type=signed-data",
        "multipart/encrypted; boundary=s",
    ] {
        assert_eq!(
            text(&around(kind, "\u{e9}"), SEVEN),
            Err(Obstacle::Protected),
            "{kind}"
        );
    }
}

#[test]
fn what_must_not_be_encoded_is_refused_by_reason() {
    for (kind, inside, obstacle) in [
        (
            "message/partial; id=x; number=1",
            "\u{e9}",
            Obstacle::Unencodable,
        ),
        ("message/delivery-status", "\u{e9}", Obstacle::Unencodable),
        (
            "multipart/mixed; boundary=i",
            "\u{e9}\n--i\n\nx\n--i--",
            Obstacle::Outside,
        ),
        (
            "multipart/mixed; boundary=i",
            "--i\n\nx\n--i--\n\u{e9}",
            Obstacle::Outside,
        ),
        ("multipart/mixed", "\u{e9}", Obstacle::Malformed),
        (
            "text/plain\nContent-Type: image/png",
            "\u{e9}",
            Obstacle::Malformed,
        ),
        ("text/plain\nno field", "\u{e9}", Obstacle::Malformed),
        (
            "multipart/mixed; boundary=i\nContent-Transfer-Encoding: base64",
            "\u{e9}",
            Obstacle::Malformed,
        ),
        (
            "text/plain\nContent-Transfer-Encoding: x-uuencode",
            "\u{e9}",
            Obstacle::Encoding,
        ),
        (
            "text/plain\nContent-Transfer-Encoding: base64",
            "w6nD\u{e9}",
            Obstacle::Encoding,
        ),
        ("text/plain; name=\"\u{e9}\"", "x", Obstacle::EightBitHeader),
    ] {
        assert_eq!(text(&around(kind, inside), SEVEN), Err(obstacle), "{kind}");
        assert_eq!(obstacle.status(), (6, 3));
    }
    // Nothing is in the way there: the structure does not matter.
    assert!(text(&around("multipart/mixed", "plain"), SEVEN).is_ok());
}

#[test]
fn long_lines_of_what_is_encoded_get_shorter() {
    let base64 = "QUJD".repeat(1000);
    let sent = text(
        &around("image/png\nContent-Transfer-Encoding: base64", &base64),
        EIGHT,
    )
    .unwrap();
    assert!(
        sent.contains(&("QUJD".repeat(19) + "\r\n")) && sent.replace("\r\n", "").contains(&base64)
    );
    let quoted = "=C3=A9 and ".repeat(200) + "   \n-- \nlast=\nline";
    let came = around(
        "text/plain\nContent-Transfer-Encoding: quoted-printable",
        &quoted,
    );
    let sent = text(&came, EIGHT).unwrap();
    assert!(
        sent.replace("=\r\n", "").contains(
            &("=C3=A9 and ".repeat(200).trim_end().to_owned() + "\r\n--\r\nlastline\r\n")
        ),
        "{sent}"
    );
}

/// A soft line break never makes a line that reads like a delimiter.
#[test]
fn no_line_break_makes_a_boundary() {
    for (kind, before) in [
        ("text/plain", "\u{e9}"),
        (
            "text/plain\nContent-Transfer-Encoding: quoted-printable",
            "=",
        ),
    ] {
        for pad in 60..80 {
            let line = format!("{before}{}--outer--", "x".repeat(pad));
            let more = if before == "=" {
                "y".repeat(1000)
            } else {
                String::new()
            };
            let inside = format!("{line}\n{more}");
            let sent = text(&around(kind, &inside), SEVEN).unwrap();
            assert_eq!(sent.matches("\r\n--outer--").count(), 1, "{sent}");
        }
    }
}

#[test]
fn header_fields_are_folded_or_refused() {
    let long = "word ".repeat(400);
    let came = format!("Subject: {long}end\r\n\r\nbody\r\n");
    let sent = text(&came, EIGHT).unwrap();
    assert_eq!(sent.replace("\r\n ", " "), came);
    let hopeless = format!("X-Token: {}\r\n\r\nbody\r\n", "x".repeat(1200));
    assert_eq!(text(&hopeless, EIGHT), Err(Obstacle::LongHeader));
    assert_eq!(
        text("Subject: \u{e9}\r\n\r\nx\r\n", SEVEN),
        Err(Obstacle::EightBitHeader)
    );
    assert_eq!(
        text("Subject: \u{e9}\r\n\r\nx\r\n", EIGHT).unwrap(),
        "Subject: \u{e9}\r\n\r\nx\r\n"
    );
    assert_eq!(
        text("Subject: a\0b\r\n\r\nx\r\n", EIGHT),
        Err(Obstacle::BinaryHeader)
    );
    assert_eq!(
        text("Subject: a\nb\r\n\r\nx\r\n", EIGHT),
        Err(Obstacle::BinaryHeader)
    );
}

#[test]
fn binary_octets_come_through_lines_of_text() {
    let came = b"MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r\xff";
    let sent = octets(came, EIGHT).unwrap();
    assert!(
        sent.ends_with("Content-Transfer-Encoding: base64\r\n\r\nAAoN/w==\r\n"),
        "{sent}"
    );
    let came = b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\rc\0\r\n";
    let sent = octets(came, EIGHT).unwrap();
    assert!(
        sent.ends_with("Content-Transfer-Encoding: quoted-printable\r\n\r\na=0Ab=0Dc=00\r\n"),
        "{sent}"
    );
}

#[test]
fn parts_without_number_or_bottom_are_not_followed() {
    let many = "--b\r\n\r\nx\r\n".repeat(6000);
    let many = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{many}--b\r\n\r\n\u{e9}\r\n--b--\r\n"
    );
    assert_eq!(text(&many, SEVEN), Err(Obstacle::TooMany));
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(200);
    assert_eq!(
        text(&format!("{deep}\r\n\u{e9}\r\n"), SEVEN),
        Err(Obstacle::TooMany)
    );
}
