//! Mail as it should not be, and is.

use super::*;

fn html(body: &str) -> String {
    format!("Content-Type: text/html; charset=utf-8\r\n\r\n{body}\r\n")
}

fn at_top(message: &str) -> Result<String, Reason> {
    let banner = Addition {
        place: Place::Top,
        ..addition("B")
    };
    match plan(
        message.as_bytes(),
        &banner,
        Dkim::LeaveAlone,
        &Limits::default(),
    ) {
        Plan::Edit(edits) => Ok(String::from_utf8(applied(message.as_bytes(), &edits)).unwrap()),
        Plan::LeftAlone(reason) => Err(reason),
    }
}

#[track_caller]
fn is_of_html(reason: Reason) {
    assert!(matches!(reason, Reason::Html(_)), "{reason}");
}

#[test]
fn nothing_is_put_where_a_condition_shows_it_to_some_readers_only() {
    for open in [
        "<!--[if !mso]><!--><body><p>a</p></body><!--<![endif]-->",
        "<body><![if !mso]><p>a</p></body><![endif]>",
        "<body><p>a</p><!--[if !mso]><!-->",
        "<!--[if gte mso 9]> --><p>a</p>",
    ] {
        is_of_html(left_alone(&html(open), "F"));
    }
    for closed in [
        "<body><p>a</p><!--[if mso]></body><![endif]--></body>",
        "<body><!--[if !mso]><!--><p>a</p><!--<![endif]--></body>",
        "<body><!--[if !mso]> --><p>a</p><!-- <![endif]--></body>",
        "<body><![if !mso]><p>a</p><![endif]></body>",
    ] {
        let out = edited(&html(closed), "F");
        assert!(out.ends_with("\r\n<p>F</p>\r\n</body>\r\n"), "{out}");
    }
    let two = "<!--[if !mso]><!--><body class=x><!--<![endif]--><!--[if mso]><body class=y><![endif]--><p>a</p></body>";
    is_of_html(at_top(&html(two)).unwrap_err());
    assert!(edited(&html(two), "F").contains("<p>a</p>\r\n<p>F</p>\r\n</body>"));
}

#[test]
fn nothing_is_put_into_what_is_hidden_or_a_link() {
    for open in [
        "<div style='display: none'><p>a</p>",
        "<div style='DISPLAY : NONE !important'><p>a</p></body>",
        "<div hidden><div>a</div>",
        "<span style='mso-hide:all'>a",
        "<div style='max-height: 0px; overflow: hidden'>a",
        "<body style='color:#000;font-size:0 !important'>a</body>",
        "<div style='opacity:0.0'>a",
        "<p>a <a href='https://x.test'>b",
        "<details><summary>a</summary>b",
        "<template><p>a</p></body>",
        "<noscript><p>a</p>",
        "<p>a<plaintext>b</body>",
        "<body><table><tr><td>a</body>",
    ] {
        is_of_html(left_alone(&html(open), "F"));
    }
    for closed in [
        "<div style='display:none'>pre<div>header</div></div><p>a</p>",
        "<img style='display:none' src='x'><input hidden><p>a</p>",
        "<div style='font-size:0.9em;max-height:100%;opacity:.5'><p>a</p>",
        "<div style='max-height:0;font-size:0'>pre</div><p>a</p>",
        "<a name='top'><p>a</p>",
        "<a href='x'>b</a><a href='y'>c<a name='z'>a",
        "<details><p>a</p></details>b",
        "<p title='</body>'>a</p>",
        "<script>'</body>'</script><style>/*</body>*/</style><title></body></title><p>a</p>",
    ] {
        let out = edited(&html(closed), "F");
        assert!(
            out.ends_with(&format!("{closed}\r\n\r\n<p>F</p>\r\n")),
            "{out}"
        );
    }
    // A banner stands before the text that previews show.
    let preheader = html("<body><div style='display:none'>pre</div><p>a</p></body>");
    assert!(
        at_top(&preheader)
            .unwrap()
            .contains("<body>\r\n<p>B</p>\r\n<div")
    );
}

/// The standard ends a comment at `--!>` and takes `<!-->` for a whole one; older readers look for the next `-->`.
#[test]
fn comments_that_readers_end_at_different_places_are_left_alone() {
    for differing in [
        "<body><p>a</p><!-- x --!> <p>b</p></body>",
        "<body><p>a</p><!--></body><p>b</p>",
        "<body><p>a</p><!---></body><p>b</p>",
    ] {
        is_of_html(left_alone(&html(differing), "F"));
        is_of_html(at_top(&html(differing)).unwrap_err());
    }
    for alike in [
        "<!----><p>a</p>",
        "<!-- <!-- --><p>a</p>",
        "<!-- -- > --><p>a</p>",
    ] {
        edited(&html(alike), "F");
    }
}

/// UTF-8 under the label of another charset: readers who look at the octets show it well, and still do.
#[test]
fn utf8_under_another_label_is_not_written_again_nor_mixed() {
    for charset in ["iso-8859-1", "windows-1252", "iso-8859-15", "koi8-r"] {
        for encoding in ["8bit", "quoted-printable"] {
            let text = match encoding {
                "8bit" => "Gr\u{fc}n",
                _ => "Gr=C3=BCn",
            };
            let message = format!(
                "Content-Type: text/plain; charset={charset}\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{text}\r\n"
            );
            // In the charset, beyond it, and in ASCII, which is the same in both.
            for addition in ["\u{a0}", "\u{fc} \u{4e2d}"] {
                let label = Reason::Label(charset.to_owned());
                assert_eq!(left_alone(&message, addition), label, "{encoding}");
            }
            let out = edited(&message, "F");
            assert!(out.ends_with(&format!("{text}\r\n\r\nF\r\n")), "{out}");
        }
    }
}

#[test]
fn a_banner_comes_behind_the_byte_order_mark_and_the_head() {
    let out = at_top(&html("\u{feff}<p>a</p>")).unwrap();
    let quoted = out.replace("=EF=BB=BF", "\u{feff}");
    assert!(quoted.contains("\u{feff}\r\n<p>B</p>\r\n<p>a</p>"), "{out}");
    let out = at_top(&html(
        "\u{feff}<html><head><title>t</title></head><body>a</body>",
    ))
    .unwrap();
    assert!(out.contains("<body>\r\n<p>B</p>\r\na</body>"), "{out}");
    let out = at_top(&html("<html><head><style>p{}</style><p>a</p>")).unwrap();
    assert!(out.contains("</style>\r\n<p>B</p>\r\n<p>a</p>"), "{out}");
    is_of_html(at_top(&html("<head><noscript><p>a</p></noscript></head>")).unwrap_err());
}

#[test]
fn fields_that_describe_the_old_body_go_wherever_it_was_around_the_text() {
    let message = "Content-Length: 7\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
        --o\r\nContent-Length: 8\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n\
        --i\r\nContent-Length: 9\r\n\r\na\r\n--i--\r\n\
        --o\r\nContent-Length: 10\r\nContent-Type: application/pdf\r\n\r\nx\r\n--o--\r\n";
    let out = edited(message, "F");
    assert!(
        !out.contains(": 7") && !out.contains(": 8") && !out.contains(": 9"),
        "{out}"
    );
    assert!(out.contains("Content-Length: 10\r\n"), "{out}");
    let signed = "Content-Length: 7\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
        Content-Type: multipart/signed; boundary=s\r\nContent-Length: 8\r\n\r\n--s\r\n\r\ntext\r\n--s--\r\n\
        --o--\r\n";
    let out = edited(signed, "F");
    assert!(
        !out.contains(": 7") && out.contains("Content-Length: 8\r\n"),
        "{out}"
    );
    let with_image = edited_octets(
        b"Content-Length: 7\r\nContent-Length: 8\r\nContent-Type: text/html\r\n\r\n<p>a\r\n",
        &with_image(),
    );
    assert!(!String::from_utf8(with_image).unwrap().contains("Length"));
}

#[test]
fn a_field_that_is_written_again_keeps_its_folds_and_octets() {
    let message = b"Content-Type:text/plain;\r\n\tformat=flowed;\r\n x=\"\xfc\" (c)\r\n\r\na\r\n";
    let out = edited_octets(message, &addition("\u{fc}"));
    let expected =
        b"Content-Type: text/plain;\r\n\tformat=flowed;\r\n x=\"\xfc\"; charset=utf-8 (c)\r\n";
    assert!(out.starts_with(expected), "{}", out.escape_ascii());
    // A line that would be too long.
    let long = format!(
        "Content-Type: text/plain; x={}\r\n\r\na\r\n",
        "y".repeat(960)
    );
    assert_eq!(left_alone(&long, "\u{fc}"), Reason::Field("Content-Type"));
    let nested = format!("Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n{long}--B--\r\n");
    assert_eq!(left_alone(&nested, "\u{fc}"), Reason::Field("Content-Type"));
}

#[test]
fn a_root_that_the_type_parameter_contradicts_is_left_alone() {
    let message = |kind: &str, first: &str, second: &str| {
        format!(
            "Content-Type: multipart/related; type=\"{kind}\"; boundary=R\r\n\r\n\
             --R\r\nContent-Type: {first}\r\n\r\na\r\n--R\r\nContent-Type: {second}\r\n\r\nb\r\n--R--\r\n"
        )
    };
    let reason = left_alone(&message("text/html", "text/plain", "text/html"), "F");
    assert!(matches!(reason, Reason::Structure(_)), "{reason}");
    for first in ["text/html", "TEXT/HTML"] {
        edited(&message("text/html", first, "image/png"), "F");
    }
    edited(
        &message("multipart/alternative", "text/html", "image/png"),
        "F",
    );
}

#[test]
fn a_message_of_very_many_alternatives_is_left_alone() {
    let alternatives = |count: usize| {
        let parts = "--A\r\n\r\na\r\n".repeat(count);
        format!("Content-Type: multipart/alternative; boundary=A\r\n\r\n{parts}--A--\r\n")
    };
    assert_eq!(
        edited(&alternatives(100), "F").matches("\r\nF\r\n").count(),
        100
    );
    let reason = Reason::Structure("too many texts");
    assert_eq!(left_alone(&alternatives(101), "F"), reason);
}

#[test]
fn pgp_in_html_is_left_alone_too() {
    for (line, why) in [
        ("-----BEGIN PGP MESSAGE-----", Reason::Encrypted),
        ("-----BEGIN PGP SIGNED MESSAGE-----", Reason::Signed),
    ] {
        let body = format!("<pre>{line}<br>Hash: SHA256\r\n\r\nx</pre>");
        assert_eq!(left_alone(&html(&body), "F"), why);
    }
    edited(&html("<p title='-----BEGIN PGP MESSAGE-----'>a"), "F");
    // Quoted, it is words.
    edited("Subject: x\r\n\r\n> -----BEGIN PGP MESSAGE-----\r\n", "F");
}

#[test]
fn what_carries_no_text_of_its_own_is_left_alone() {
    let mixed = |parts: &[&str]| {
        let parts: String = parts
            .iter()
            .map(|part| format!("--B\r\n{part}\r\n"))
            .collect();
        format!("Content-Type: multipart/mixed; boundary=B\r\n\r\n{parts}--B--\r\n")
    };
    let list = "Content-Type: text/plain\r\n\r\n____\r\nlist";
    let opaque =
        "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n\r\nMIIB";
    assert_eq!(left_alone(&mixed(&[opaque, list]), "F"), Reason::Signed);
    let old = "Content-Type: application/x-pkcs7-mime; name=smime.p7m\r\n\r\nMIIB";
    assert_eq!(left_alone(&mixed(&[old, list]), "F"), Reason::Encrypted);
    let report = "Content-Type: multipart/report; report-type=disposition-notification; boundary=r\r\n\r\n\
        --r\r\n\r\nread\r\n--r\r\nContent-Type: message/disposition-notification\r\n\r\nFinal-Recipient: x\r\n--r--";
    assert_eq!(left_alone(&format!("{report}\r\n"), "F"), Reason::Report);
    assert_eq!(left_alone(&mixed(&[report, list]), "F"), Reason::Report);
    for alone in [
        "Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\n",
        "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+\r\n",
        "Content-Type: application/octet-stream; name=smime.p7m\r\n\r\nx\r\n",
        "Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nx\r\n",
        "Content-Type: text/enriched\r\n\r\nx\r\n",
    ] {
        assert_eq!(left_alone(alone, "F"), Reason::NoText, "{alone}");
    }
    // Beside a text they stay as they are.
    let tnef = "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+";
    let out = edited(&mixed(&["Content-Type: text/plain\r\n\r\na", tnef]), "F");
    assert!(
        out.contains("\r\n\r\na\r\n\r\nF\r\n--B") && out.contains(tnef),
        "{out}"
    );
    let invitation = "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\
        Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n--a--";
    let out = edited(&mixed(&[invitation]), "F");
    assert!(
        out.contains("\r\nx\r\n\r\nF\r\n--a") && out.contains("\r\n\r\nBEGIN:VCALENDAR\r\n--a--"),
        "{out}"
    );
}

#[test]
fn charsets_that_are_not_edited_or_end_in_a_shift_are_left_alone() {
    for charset in [
        "utf-7",
        "UTF-16",
        "utf-16le",
        "utf-32",
        "iso-2022-kr",
        "hz-gb-2312",
        "unicode-1-1-utf-7",
    ] {
        let message = format!("Content-Type: text/plain; charset={charset}\r\n\r\na\r\n");
        let reason = left_alone(&message, "F");
        assert!(matches!(reason, Reason::Charset(_)), "{charset}: {reason}");
    }
    // The text does not return to ASCII: what is put behind it would be read as Japanese.
    let open = b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s";
    assert!(matches!(plan_of(open, "F"), Plan::LeftAlone(_)));
    let closed = b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s\x1b(B\r\n";
    assert!(edited_octets(closed, &addition("F")).ends_with(b"\x1b(B\r\n\r\nF\r\n"));
}

#[test]
fn quoted_printable_and_flowed_text_take_it_at_any_kind_of_end() {
    let quoted = |body: &str| {
        let fields = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
        let out = edited(&format!("{fields}{body}"), "-- \nü");
        out.strip_prefix(fields).unwrap().to_owned()
    };
    assert_eq!(quoted("a=\r\nb\r\n"), "a=\r\nb\r\n\r\n--=20\r\n=C3=BC\r\n");
    assert_eq!(quoted("a=\r\n"), "a=\r\n\r\n\r\n--=20\r\n=C3=BC\r\n");
    assert_eq!(quoted("a="), "a=\r\n\r\n\r\n--=20\r\n=C3=BC\r\n");
    assert_eq!(quoted("a=20"), "a=20\r\n\r\n--=20\r\n=C3=BC\r\n");
    assert_eq!(quoted(""), "--=20\r\n=C3=BC\r\n");
    let flowed = |body: &str| {
        let fields = "Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n";
        edited(&format!("{fields}{body}"), "-- \n> F \n From")
            .strip_prefix(fields)
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        flowed("a \r\nb\r\n"),
        "a \r\nb\r\n\r\n-- \r\n > F\r\n  From\r\n"
    );
    assert_eq!(flowed("a \r\n"), "a \r\n\r\n\r\n-- \r\n > F\r\n  From\r\n");
    assert_eq!(flowed("-- \r\n"), "-- \r\n\r\n-- \r\n > F\r\n  From\r\n");
}

#[test]
fn parts_of_nothing_and_messages_of_an_octet() {
    let alternative = "Content-Type: multipart/alternative; boundary=A\r\n\r\n\
        --A\r\n\r\n\r\n--A\r\nContent-Type: text/html\r\n\r\n\r\n--A--\r\n";
    let out = edited(alternative, "F");
    assert!(out.contains("--A\r\n\r\nF\r\n\r\n--A\r\n"), "{out}");
    assert!(out.contains("<p>F</p>"), "{out}");
    // Does the line end before the delimiter end the header, or is it the delimiter's?
    let shorter = alternative.replace("--A\r\n\r\n\r\n", "--A\r\n\r\n");
    assert!(matches!(left_alone(&shorter, "F"), Reason::Structure(_)));
    assert_eq!(edited("Subject: x\r\n\r\n", "F"), "Subject: x\r\n\r\nF\r\n");
    assert_eq!(edited("\r\n", "F"), "\r\nF\r\n");
    assert_eq!(edited("\r\na", "F"), "\r\na\r\n\r\nF\r\n");
    for uncertain in [
        "",
        "a",
        "\r",
        "\n",
        "\r\n\0",
        "Subject: x\r\n",
        "Subject: x",
        ":\r\n\r\n",
    ] {
        assert!(
            matches!(left_alone(uncertain, "F"), Reason::Structure(_)),
            "{uncertain:?}"
        );
    }
    for fields in [
        "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: inline\r\nContent-Disposition: attachment",
        "Content-Type: text/plain\r\nContent-Type: text/plain",
        "Content-Type: text/plain; charset=utf-8; charset*=us-ascii''utf-8",
        "Content-Type: text/plain; charset*0=utf; charset*1=-8",
    ] {
        let reason = left_alone(&format!("{fields}\r\n\r\na\r\n"), "F");
        assert!(matches!(reason, Reason::Structure(_)), "{fields}: {reason}");
    }
    // Raw octets in other fields concern nobody.
    let raw = b"Subject: gr\xfc\xdfe\r\nX-\xe4: y\r\n\r\na\r\n";
    match plan_of(raw, "F") {
        Plan::Edit(edits) => assert!(applied(raw, &edits).starts_with(b"Subject: gr\xfc\xdfe\r\n")),
        Plan::LeftAlone(reason) => assert!(matches!(reason, Reason::Structure(_)), "{reason}"),
    }
}
