#![allow(clippy::unwrap_used)]

use super::*;
use crate::mime::transfer::Transfer;
use crate::reason::Reason;

const UMLAUT: &str = "Vertraulich – nur für Sie.";

fn addition(text: &str) -> Addition {
    Addition {
        text: text.to_owned(),
        html: format!("<p>{text}</p>"),
        ..Addition::default()
    }
}

fn plan_of(message: &[u8], text: &str) -> Plan {
    plan(
        message,
        &addition(text),
        Dkim::LeaveAlone,
        &Limits::default(),
    )
}

/// The message with the text in it.
fn edited(message: &str, text: &str) -> String {
    let out = edited_octets(message.as_bytes(), &addition(text));
    String::from_utf8(out).unwrap()
}

fn edited_octets(message: &[u8], addition: &Addition) -> Vec<u8> {
    match plan(message, addition, Dkim::LeaveAlone, &Limits::default()) {
        Plan::Edit(edits) => applied(message, &edits),
        Plan::LeftAlone(reason) => panic!("{reason}: {}", message.escape_ascii()),
    }
}

#[track_caller]
fn left_alone(message: &str, text: &str) -> Reason {
    match plan_of(message.as_bytes(), text) {
        Plan::LeftAlone(reason) => reason,
        Plan::Edit(edits) => panic!("{edits:?}: {message}"),
    }
}

#[test]
fn plain_text_only_grows_at_its_end() {
    let message = "Subject: x\r\n\r\nHello\r\n";
    let Plan::Edit(edits) = plan_of(message.as_bytes(), "Confidential.\nReally.") else {
        panic!("left alone");
    };
    assert!(edits.fields.is_empty());
    assert_eq!(edits.splices.first().unwrap().range, 7..7);
    assert_eq!(
        applied(message.as_bytes(), &edits),
        b"Subject: x\r\n\r\nHello\r\n\r\nConfidential.\r\nReally.\r\n"
    );
}

#[test]
fn ascii_goes_over_to_utf8_when_the_text_needs_it() {
    let message = "Subject: x\r\nContent-Type: text/plain (a; b); format=flowed\r\n\r\nHello\r\n";
    let out = edited(message, UMLAUT);
    assert!(out.is_ascii(), "{out}");
    assert!(
        out.contains("Content-Type: text/plain (a; b); format=flowed; charset=utf-8\r\n"),
        "{out}"
    );
    assert!(out.contains("Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n"));
}

#[test]
fn iso_8859_1_is_kept_where_it_has_the_characters_and_is_not_windows_1252() {
    let message = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n";
    let out = edited_octets(message, &addition("für Sie"));
    assert!(out.ends_with(b"Gr\xfc\xdfe\r\n\r\nf\xfcr Sie\r\n"));
    // No euro sign and no dash in it: the part goes over to UTF-8, its octets beyond ASCII as they travelled.
    let out = edited_octets(message, &addition("5 € – für Sie"));
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"),
        "{out}"
    );
    assert!(out.ends_with("Grüße\r\n\r\n5 € – für Sie\r\n"), "{out}");
    // windows-1252 under the wrong label: the text can be added to, not converted.
    let message = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n5 \x80\r\n";
    assert!(edited_octets(message, &addition("F")).ends_with(b"5 \x80\r\n\r\nF\r\n"));
    assert!(matches!(
        plan_of(message, "€"),
        Plan::LeftAlone(Reason::Label(_))
    ));
}

#[test]
fn labels_that_do_not_fit_or_are_unknown_leave_the_message_alone() {
    let with = |fields: &str, body: &str| left_alone(&format!("{fields}\r\n\r\n{body}\r\n"), "F");
    assert!(matches!(
        with("Content-Type: text/plain", "Grüße"),
        Reason::Label(_)
    ));
    assert!(matches!(
        with("Content-Type: text/plain; charset=us-ascii", "ü"),
        Reason::Label(_)
    ));
    assert!(matches!(
        with("Content-Type: text/plain; charset=x-unknown", "a"),
        Reason::Charset(_)
    ));
    assert!(matches!(
        with("Content-Type: text/plain; charset=\"utf-16\"", "a"),
        Reason::Charset(_)
    ));
    assert!(matches!(
        with("Content-Transfer-Encoding: x-uuencode", "a"),
        Reason::Transfer(_)
    ));
    assert!(matches!(
        with("Content-Transfer-Encoding: base64", "a*"),
        Reason::Transfer(_)
    ));
    assert!(matches!(
        with("Content-Type: text", "a"),
        Reason::Structure(_)
    ));
}

#[test]
fn a_message_that_was_ascii_stays_so() {
    let message = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>a</p>\r\n";
    let out = edited(message, "ü");
    assert!(out.is_ascii(), "{out}");
    assert!(
        out.contains("Content-Transfer-Encoding: quoted-printable"),
        "{out}"
    );
}

#[test]
fn html_takes_it_before_its_end_and_meta_follows_the_charset() {
    let html = "<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=iso-8859-2\"></head><body>a</body></html>\r\n";
    let message = format!("Content-Type: text/html; charset=iso-8859-2\r\n\r\n{html}");
    let out = edited(&message, "F");
    assert!(
        out.ends_with("charset=iso-8859-2\"></head><body>a\r\n<p>F</p>\r\n</body></html>\r\n"),
        "{out}"
    );
    let out = edited(&message, "いろは").replace("=\r\n", "");
    assert!(
        !out.contains("iso-8859-2") && out.contains("charset=3Dutf-8"),
        "{out}"
    );
}

#[test]
fn every_alternative_gets_it_and_files_do_not() {
    let message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
        preamble\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
        --i\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-MD5: x\r\n\r\nHello\r\n\
        --i\r\nContent-Type: text/html\r\n\r\n<HTML><BODY>Hello</BODY></HTML>\r\n\
        --i\r\nContent-Type: text/calendar; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\n\
        --i--\r\n--o\r\nContent-Type: text/plain\r\n\r\nlater\r\n--o--\r\nepilogue";
    let out = edited(message, UMLAUT);
    assert!(
        out.contains("\r\nHello\r\n\r\nVertraulich =E2=80=93 nur f=C3=BCr Sie.\r\n--i\r\n"),
        "{out}"
    );
    assert!(out.contains("Hello\r\n<p>Vertraulich"), "{out}");
    assert!(
        out.contains("preamble\r\n--o\r\n") && out.ends_with("\r\n\r\nlater\r\n--o--\r\nepilogue")
    );
    assert!(
        out.contains("\r\n\r\nBEGIN:VCALENDAR\r\n--i--") && !out.contains("MD5"),
        "{out}"
    );
    assert_eq!(out.matches("quoted-printable").count(), 2);
}

#[test]
fn parts_with_names_or_as_attachments_are_not_text() {
    for fields in [
        "Content-Type: text/plain; name=a.txt",
        "Content-Type: text/plain; NAME*=utf-8''a.txt",
        "Content-Type: text/plain; name*0=a; name*1=.txt",
        "Content-Disposition: inline; filename=a.txt",
        "Content-Disposition: inline; filename*0*=a.txt",
        "Content-Disposition: attachment",
        "Content-Disposition: x-unknown",
    ] {
        assert_eq!(
            left_alone(&format!("{fields}\r\n\r\ntext\r\n"), "F"),
            Reason::NoText,
            "{fields}"
        );
        let message = format!(
            "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n{fields}\r\n\r\na\r\n\
             --o\r\n\r\ntext\r\n--o--\r\n"
        );
        assert!(edited(&message, "F").contains("\r\n\r\na\r\n--o\r\n\r\ntext\r\n\r\nF\r\n--o--"));
    }
}

#[test]
fn what_is_signed_encrypted_or_a_report_is_left_alone() {
    let body = "--x\r\n\r\ntext\r\n--x--\r\n";
    for (kind, why) in [
        ("multipart/signed; boundary=x", Reason::Signed),
        ("multipart/encrypted; boundary=x", Reason::Encrypted),
        ("application/pkcs7-mime", Reason::Encrypted),
        (
            "application/pkcs7-mime; smime-type=signed-data",
            Reason::Signed,
        ),
        ("multipart/report; boundary=x", Reason::Report),
        ("application/pdf", Reason::NoText),
        ("message/rfc822", Reason::NoText),
        ("multipart/digest; boundary=x", Reason::NoText),
    ] {
        assert_eq!(
            left_alone(&format!("Content-Type: {kind}\r\n\r\n{body}"), "F"),
            why,
            "{kind}"
        );
    }
    for (line, why) in [
        ("-----BEGIN PGP SIGNED MESSAGE-----", Reason::Signed),
        ("-----BEGIN PGP MESSAGE-----", Reason::Encrypted),
    ] {
        assert_eq!(
            left_alone(&format!("Subject: x\r\n\r\n{line}\r\n\r\nx\r\n"), "F"),
            why
        );
    }
    let signed = "DKIM-Signature: v=1; x\r\n\r\ntext\r\n";
    assert_eq!(left_alone(signed, "F"), Reason::Dkim);
    let with = |dkim| match plan(signed.as_bytes(), &addition("F"), dkim, &Limits::default()) {
        Plan::Edit(edits) => String::from_utf8(applied(signed.as_bytes(), &edits)).unwrap(),
        Plan::LeftAlone(reason) => panic!("{reason}"),
    };
    assert_eq!(
        with(Dkim::Keep),
        "DKIM-Signature: v=1; x\r\n\r\ntext\r\n\r\nF\r\n"
    );
    assert_eq!(with(Dkim::Remove), "\r\ntext\r\n\r\nF\r\n");
}

#[test]
fn beside_a_signed_text_there_is_room_for_a_part() {
    let message = "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
        Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\ntext\r\n--s--\r\n\
        --o\r\n\r\n____\r\nlist\r\n--o--\r\n";
    let out = edited(message, "ü");
    let (before, after) = message.split_at(message.find("--o--").unwrap());
    assert!(out.starts_with(before) && out.ends_with(after), "{out}");
    assert!(out.contains("inline\r\n\r\n=C3=BC\r\n--o--\r\n"), "{out}");
}

#[test]
fn the_root_of_related_is_what_start_names() {
    let message = |start: &str| {
        format!(
            "Content-Type: multipart/related; boundary=R{start}\r\n\r\n--R\r\nContent-Type: text/html\r\nContent-ID: <frame@x>\r\n\r\n<p>frame\r\n\
         --R\r\nContent-Type: text/html\r\nContent-ID: <root@x>\r\n\r\n<p>root\r\n--R--\r\n"
        )
    };
    assert!(edited(&message("; start=\"<root@x>\""), "F").contains("<p>root\r\n<p>F</p>\r\n"));
    assert!(edited(&message(""), "F").contains("<p>frame\r\n<p>F</p>\r\n"));
    assert!(matches!(
        left_alone(&message("; start=\"<other@x>\""), "F"),
        Reason::Structure(_)
    ));
}

#[test]
fn what_two_readers_take_differently_is_left_alone() {
    let mixed = |body: &str| format!("Content-Type: multipart/mixed; boundary=B\r\n\r\n{body}");
    for message in [
        mixed("--B\r\n\r\ntext\r\n"),
        mixed("--B\r\n\r\ntext\r\n--Bx\r\n--B--\r\n"),
        "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\ntext\r\n".to_owned(),
        "Content-Type: text/plain; charset=utf-8; charset=koi8-r\r\n\r\ntext\r\n".to_owned(),
        "no header\r\n\r\ntext\r\n".to_owned(),
        "Subject: x\r\n\r\na\nb\r\n".to_owned(),
    ] {
        assert!(
            matches!(left_alone(&message, "F"), Reason::Structure(_)),
            "{message}"
        );
    }
    // By RFC 2046 and in practice a delimiter is a line: there is no doubt about this one.
    let out = edited(
        &mixed("--B\r\n\r\nsee --B there\r\n--B\r\nContent-Type: image/png\r\n\r\nx\r\n--B--\r\n"),
        "F",
    );
    assert!(out.contains("see --B there\r\n\r\nF\r\n--B\r\n"), "{out}");
}

/// mail-parser 0.11.1 keeps lists of alternatives and panics while it makes them of this.
#[test]
fn alternatives_that_a_library_panics_at_are_edited() {
    let html = "--A\r\nContent-Type: text/html\r\n\r\n<p>a\r\n".repeat(4);
    let message = format!(
        "Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\nContent-Type: multipart/Alternative; boundary=A\r\n\r\n\
         --A\r\n\r\na\r\n{html}--A--\r\n--M\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n\
         --B\r\n\r\nb\r\n--B--\r\n--M--\r\n"
    );
    let out = edited(&message, "F");
    assert_eq!(out.matches("<p>F</p>").count(), 4);
    assert!(
        out.contains("multipart/Alternative")
            && out.ends_with("--B\r\n\r\nb\r\n--B--\r\n--M--\r\n")
    );
}

#[test]
fn fields_that_cannot_be_written_and_limits_leave_the_message_alone() {
    let long = "y".repeat(1100);
    let message = format!("Content-Type: text/plain; charset=us-ascii; x=\"{long}\"\r\n\r\na\r\n");
    assert_eq!(left_alone(&message, "ü"), Reason::Field("Content-Type"));
    assert!(edited(&message, "F").ends_with("a\r\n\r\nF\r\n"));
}

/// At each limit the edit is made, one below it the message is left alone.
#[test]
fn an_edit_over_any_limit_leaves_the_message_alone() {
    // Two splices; Content-Type, Content-Transfer-Encoding and MIME-Version are added, Content-MD5 goes.
    let message = b"Subject: x\r\nContent-MD5: y\r\nX: 1\r\n\r\nHello\r\n";
    let edits = |limits: Limits| {
        plan(
            message,
            &addition("f\u{fc}r Sie"),
            Dkim::LeaveAlone,
            &limits,
        )
    };
    let Plan::Edit(all) = edits(Limits::default()) else {
        panic!("left alone");
    };
    let after = applied(message, &all);
    let header = after
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let inserted: usize = all.splices.iter().map(|splice| splice.insert.len()).sum();
    assert_eq!((all.splices.len(), all.fields.len()), (1, 4));
    type Set = fn(&mut Limits, usize);
    let limits: [(Set, usize, &str); 5] = [
        (|limits, most| limits.edits = most, 6, "edits of a verdict"),
        (
            |limits, most| limits.insert = most,
            inserted,
            "octets that edits bring in",
        ),
        (
            |limits, most| limits.message = most,
            after.len(),
            "octets of a message",
        ),
        (
            |limits, most| limits.header = most,
            header,
            "octets of a header section",
        ),
        (|limits, most| limits.fields = most, 5, "header fields"),
    ];
    for (set, most, what) in limits {
        let with = |most| {
            let mut limits = Limits::default();
            set(&mut limits, most);
            edits(limits)
        };
        assert_eq!(with(most), Plan::Edit(all.clone()), "{what}");
        assert_eq!(with(most - 1), Plan::LeftAlone(Reason::Limits(what)));
    }
    // What a verdict takes on the wire is told with room to spare.
    let verdict = |verdict| {
        edits(Limits {
            verdict,
            ..Limits::default()
        })
    };
    assert_eq!(
        verdict(8000),
        Plan::LeftAlone(Reason::Limits("octets of a verdict"))
    );
    assert_eq!(verdict(10_000), Plan::Edit(all));
}

#[test]
fn a_large_encoded_text_changes_little() {
    let html = format!(
        "<html><body>{}</body></html>\r\n",
        "<p>Gruesse, eine Zeile.</p>\r\n".repeat(30_000)
    );
    for transfer in [Transfer::Base64, Transfer::QuotedPrintable] {
        let name = if transfer == Transfer::Base64 {
            "base64"
        } else {
            "quoted-printable"
        };
        let raw = transfer.encode(html.as_bytes()).unwrap();
        let mut message = format!(
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n"
        )
        .into_bytes();
        message.extend_from_slice(&raw);
        let Plan::Edit(edits) = plan_of(&message, UMLAUT) else {
            panic!("{name}");
        };
        let inserted: usize = edits.splices.iter().map(|splice| splice.insert.len()).sum();
        assert!(inserted < 300, "{name}: {inserted}");
    }
}

#[test]
fn a_text_in_shift_states_is_added_to_in_its_own() {
    let (octets, _, _) = encoding_rs::ISO_2022_JP.encode("<p>こんにちは</p><body></body>\r\n");
    let mut message = b"Content-Type: text/html; charset=iso-2022-jp\r\n\r\n".to_vec();
    message.extend_from_slice(&octets);
    let out = edited_octets(&message, &addition("秘密"));
    assert!(out.is_ascii());
    let (text, _, _) = encoding_rs::ISO_2022_JP.decode(&out);
    assert!(
        text.contains("<p>こんにちは</p><body>\r\n<p>秘密</p>\r\n</body>"),
        "{text}"
    );
}

fn with_image() -> Addition {
    Addition {
        text: "F".to_owned(),
        html: "<img src=\"cid:logo@x\">".to_owned(),
        images: vec![Image {
            cid: "logo@x".to_owned(),
            kind: "image/png".to_owned(),
            octets: vec![0, 1, 2],
        }],
        ..Addition::default()
    }
}

#[test]
fn an_image_comes_beside_the_html_in_related() {
    let image = "Content-ID: <logo@x>\r\nContent-Disposition: inline\r\n\r\nAAEC\r\n";
    let out = |message: &str| {
        String::from_utf8(edited_octets(message.as_bytes(), &with_image())).unwrap()
    };
    // HTML alone: a multipart/related is opened around it.
    let alone = out(
        "Subject: x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>a=C3=BC\r\n",
    );
    assert!(alone.contains("Subject: x\r\nContent-Type: multipart/related; boundary=\"=_postern_related_0\";\r\n type=\"text/html\"\r\nMIME-Version"), "{alone}");
    assert!(alone.contains("\r\n--=_postern_related_0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>a=C3=BC\r\n\r\n<img"), "{alone}");
    assert!(
        alone.ends_with(&format!("{image}--=_postern_related_0--\r\n")),
        "{alone}"
    );
    // In an alternative: around that part only.
    let inside = out(
        "Content-Type: multipart/alternative; boundary=A\r\n\r\n--A\r\n\r\ntext\r\n--A\r\nContent-Type: text/html\r\n\r\n<p>a\r\n--A--\r\n",
    );
    assert!(inside.contains("--A\r\nContent-Type: multipart/related; boundary=\"=_postern_related_0\";\r\n type=\"text/html\"\r\n\r\n--=_postern_related_0\r\nContent-Type: text/html\r\n\r\n<p>a"), "{inside}");
    // In one already: one part more. With the image already there: none.
    let related = "Content-Type: multipart/related; boundary=R\r\n\r\n--R\r\nContent-Type: text/html\r\n\r\n<p>a\r\n--R\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\n\r\nx\r\n--R--\r\n";
    assert_eq!(out(related).matches("<logo@x>").count(), 1);
    let two = "Content-Type: multipart/related; boundary=R\r\n\r\n--R\r\nContent-Type: multipart/alternative; boundary=A\r\n\r\n--A\r\nContent-Type: text/html\r\n\r\n<p>a\r\n--A\r\nContent-Type: text/html\r\n\r\n<p>b\r\n--A--\r\n--R--\r\n";
    assert_eq!(out(two).matches("<logo@x>").count(), 1);
    let more = out(&related.replace("<logo@x>", "<other@x>"));
    assert!(more.ends_with(&format!("{image}--R--\r\n")), "{more}");
}

#[test]
fn a_footer_that_looks_like_a_delimiter_leaves_the_message_alone() {
    let message = "Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\ntext\r\n--B--\r\n";
    assert!(matches!(left_alone(message, "x\n--B\ny"), Reason::Check(_)));
}

#[test]
fn a_banner_stands_at_the_top_of_both() {
    let message = "Content-Type: multipart/alternative; boundary=A\r\n\r\n--A\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--A\r\nContent-Type: text/html\r\n\r\n<html><body><p>a</body></html>\r\n--A--\r\n";
    let banner = Addition {
        place: Place::Top,
        ..addition("External")
    };
    let out = String::from_utf8(edited_octets(message.as_bytes(), &banner)).unwrap();
    assert!(
        out.contains("\r\nRXh0ZXJuYWwNCg0K\r\nSGVsbG8=\r\n--A"),
        "{out}"
    );
    assert!(
        out.contains("<html><body>\r\n<p>External</p>\r\n<p>a</body>"),
        "{out}"
    );
}

mod strange;

mod any_octets {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn are_survived(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".to_vec();
            message.extend_from_slice(&body);
            if let Plan::Edit(edits) = plan_of(&message, UMLAUT) {
                prop_assert!(applied(&message, &edits).len() > message.len());
            }
        }

        #[test]
        fn in_html_are_survived(body in "[<>/!a-c \"'=\\-]{0,60}(</body>|<!--|-->|<script>|<table>)?[<>/!a-z]{0,20}") {
            let message = format!("Content-Type: text/html\r\n\r\n{body}\r\n");
            if let Plan::Edit(edits) = plan_of(message.as_bytes(), "F") {
                let out = applied(message.as_bytes(), &edits);
                prop_assert!(String::from_utf8(out).unwrap().contains("<p>F</p>"));
            }
        }
    }
}
