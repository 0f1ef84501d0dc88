//! The ready-made sinks behind the real gateway.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;
use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::mime::from_base64;
use postern_e2e::next_hop::NextHop;
use postern_e2e::programs::program;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);

fn start(name: &str) -> Sink {
    Sink::spawn(Command::new(program(name)), &["--listen"])
}

/// All that the disclaimer may need.
const MAY: &str = "\"body\", \"headers:Content-Type\", \"headers:Content-Transfer-Encoding\", \"headers:MIME-Version\", \"headers:Content-MD5\"";

fn disclaimer(next_hop: &NextHop) -> (Sink, Gateway) {
    disclaimer_with(next_hop, MAY, "text = \"Für Sie\"")
}

fn disclaimer_with(next_hop: &NextHop, may: &str, properties: &str) -> (Sink, Gateway) {
    let (sink, setup) = bound(
        next_hop,
        &format!("body = \"full\"\nmay = [{may}]"),
        properties,
    );
    (sink, setup.start())
}

/// A gateway yet to be started, with the disclaimer bound so.
fn bound(next_hop: &NextHop, binding: &str, properties: &str) -> (Sink, Setup) {
    let sink = start("postern-disclaimer");
    let setup = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("disclaimer"))
        .with(&format!(
            "[[binding]]\nname = \"disclaimer\"\nsink = \"disclaimer\"\nevents = [\"transport.submit\"]\n\
             {binding}\n[binding.properties]\n{properties}",
        ));
    (sink, setup)
}

/// The metric counts one message that was left alone for this reason.
fn counted(gateway: &Gateway, reason: &str) {
    let (_, metrics) = gateway.http("/metrics");
    let line = format!(
        "postern_sink_reasons_total{{binding=\"disclaimer\",sink=\"disclaimer\",event=\"transport.submit\",reason=\"left-alone.{reason}\"}} 1"
    );
    assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
}

/// What arrives of `content`, from its first line on.
fn through(next_hop: &NextHop, gateway: &Gateway, count: usize, content: &[u8]) -> Vec<u8> {
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org> BODY=8BITMIME", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
    client.send(postern_e2e::client::stuffed(content));
    assert_eq!(client.reply().code, 250);
    let received = next_hop.wait_for(count, LIMIT);
    let message = received.get(count - 1).unwrap();
    message.from_line("From: a@").unwrap().to_vec()
}

fn message(fields: &str, body: &[u8]) -> Vec<u8> {
    let mut content = b"From: a@example.org\r\nMIME-Version: 1.0\r\n".to_vec();
    content.extend_from_slice(fields.as_bytes());
    content.extend_from_slice(b"\r\n");
    content.extend_from_slice(body);
    content
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_text_is_appended_in_the_charset_and_encoding_of_the_part() {
    let next_hop = NextHop::start();
    let (_sink, gateway) = disclaimer(&next_hop);
    let cases: [(&str, &[u8], &[u8]); 3] = [
        (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
            "Grüße\r\n".as_bytes(),
            "Für Sie".as_bytes(),
        ),
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
            b"Gr\xfc\xdfe\r\n",
            b"F\xfcr Sie",
        ),
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"Gr=FC=DFe\r\n",
            b"F=FCr Sie",
        ),
    ];
    for (n, (fields, body, expected)) in cases.into_iter().enumerate() {
        let sent = message(fields, body);
        let arrived = through(&next_hop, &gateway, n + 1, &sent);
        let shown = String::from_utf8_lossy(&arrived);
        assert!(contains(&arrived, expected), "{shown}");
        assert!(arrived.len() > sent.len(), "{shown}");
        assert!(contains(&arrived, fields.as_bytes()), "{shown}");
    }
}

#[test]
fn base64_is_decoded_and_encoded_again() {
    let next_hop = NextHop::start();
    let (_sink, gateway) = disclaimer(&next_hop);
    let fields = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n";
    let arrived = through(
        &next_hop,
        &gateway,
        1,
        &message(fields, b"SGVsbG8NCg==\r\n"),
    );
    let shown = String::from_utf8(arrived).unwrap();
    let (_, body) = shown.split_once("\r\n\r\n").unwrap();
    let text = String::from_utf8(from_base64(body)).unwrap();
    assert!(text.starts_with("Hello\r\n"), "{text}");
    assert!(text.trim_end().ends_with("Für Sie"), "{text}");
}

#[test]
fn signed_and_encrypted_messages_are_left_alone() {
    let next_hop = NextHop::start();
    let (_sink, gateway) = disclaimer(&next_hop);
    let signed: &[u8] = b"--s\r\nContent-Type: text/plain\r\n\r\nsigned\r\n--s\r\n\
          Content-Type: application/pgp-signature\r\n\r\nnot really\r\n--s--\r\n";
    let cases: [(&str, &[u8]); 4] = [
        ("Content-Type: multipart/signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"; boundary=s\r\n", signed),
        ("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=s\r\n", signed),
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n", b"AAAA\r\n"),
        ("Content-Type: text/plain\r\n", b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nx\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\nAAAA\r\n-----END PGP SIGNATURE-----\r\n"),
    ];
    for (n, (fields, body)) in cases.into_iter().enumerate() {
        let sent = message(fields, body);
        let arrived = through(&next_hop, &gateway, n + 1, &sent);
        assert!(arrived == sent, "{}", String::from_utf8_lossy(&arrived));
    }
}

/// What the gateway would refuse is not asked for: the message arrives as it was, and a metric says why.
#[test]
fn a_change_beyond_grants_or_limits_leaves_the_message_as_it_is() {
    let next_hop = NextHop::start();
    let may_not = "\"body\", \"headers:Content-Type\"";
    let (_sink, gateway) = disclaimer_with(&next_hop, may_not, "text = \"Für Sie\"");
    let ascii = message(
        "Content-Type: text/plain; charset=us-ascii\r\n",
        b"Hello\r\n",
    );
    // In UTF-8 each line is longer, all of them above what a verdict may bring in.
    let cyrillic = [b"\xd0\xd2\xc9\xd7\xc5\xd4 ".repeat(10), b"\r\n".to_vec()].concat();
    let large = message(
        "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n",
        &cyrillic.repeat(8000),
    );
    for (n, (sent, reason)) in [(ascii, "grant"), (large, "limits")]
        .into_iter()
        .enumerate()
    {
        let arrived = through(&next_hop, &gateway, n + 1, &sent);
        assert!(arrived == sent, "{reason}: {} octets", arrived.len());
        counted(&gateway, reason);
    }
}

/// The limits are those of the virtual server, whatever they are: at each size of the header section or of the message
/// that it takes, the message arrives, with the text or as it was.
#[test]
fn around_the_limits_of_a_virtual_server_every_message_arrives() {
    let next_hop = NextHop::start();
    let binding = format!("body = \"full\"\nmay = [{MAY}]");
    let (_sink, setup) = bound(&next_hop, &binding, "text = \"F\u{fc}r Sie\"");
    let gateway = setup
        .server("max_message_size = \"3000 B\"\nlimits = { header_size = \"1500 B\", header_count = 8 }")
        .start();
    let (mut count, mut added) = (0, 0);
    let mut arrives = |sent: &[u8]| {
        count += 1;
        let arrived = through(&next_hop, &gateway, count, sent);
        let is_added = arrived != sent;
        assert!(
            !is_added || contains(&arrived, b"=C3=BCr Sie"),
            "{}",
            arrived.escape_ascii()
        );
        added += usize::from(is_added);
    };
    for length in (400..=820).step_by(30) {
        let (line, more) = ("y".repeat(600), "z".repeat(length));
        arrives(&message(
            &format!("X-A: {line}\r\nX-B: {more}\r\n"),
            b"a\r\n",
        ));
    }
    for length in (620..=960).step_by(20) {
        arrives(&message(
            "",
            format!("{}\r\n", "z".repeat(length)).repeat(3).as_bytes(),
        ));
    }
    for fields in 0..=6 {
        arrives(&message(&"X: y\r\n".repeat(fields), b"a\r\n"));
    }
    assert!(added > 5 && added < count - 3, "{added} of {count}");
}

/// Settings that no schema can judge: `postern check` asks the sink, which says what is wrong; if they run all the same,
/// no message waits, and log, metric and message go on to say it.
#[test]
fn settings_that_cannot_be_used_are_found_by_check_and_keep_no_message() {
    let next_hop = NextHop::start();
    let binding = format!("body = \"full\"\nmay = [{MAY}]");
    let properties = "text = \"x\"\nhtml = \"<table><tr><td>${sender.address}\"";
    let (sink, setup) = bound(&next_hop, &binding, properties);
    let output = Command::new(program("postern"))
        .arg("check")
        .arg("--config")
        .arg(setup.write())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("binding.disclaimer.properties: \"html\" cannot stand in a message: a table"),
        "{said}"
    );
    let gateway = setup.start();
    let sent = message("", b"Hello\r\n");
    for number in 1..=3 {
        let arrived = through(&next_hop, &gateway, number, &sent);
        assert!(arrived == sent, "{}", arrived.escape_ascii());
    }
    let (_, metrics) = gateway.http("/metrics");
    assert!(
        metrics.contains("reason=\"left-alone.settings\"} 3"),
        "{metrics}"
    );
    drop(sink);
}

/// A footer behind the first octets of a body would stand in its middle.
#[test]
fn a_binding_that_shows_a_part_of_the_body_leaves_messages_alone() {
    for body in ["{ prefix = \"1 KiB\" }", "\"headers\""] {
        let next_hop = NextHop::start();
        let binding = format!("body = {body}\nmay = [{MAY}]");
        let (_sink, setup) = bound(&next_hop, &binding, "text = \"F\"");
        let gateway = setup.start();
        let sent = message("", &b"Hello, this is a line.\r\n".repeat(100));
        let arrived = through(&next_hop, &gateway, 1, &sent);
        assert!(arrived == sent, "{}", arrived.escape_ascii());
        counted(&gateway, "not-shown");
    }
}

/// The way, the language and the sender decide; an image goes with HTML, in a multipart/related that the gateway writes.
#[test]
fn texts_are_chosen_filled_and_shown_with_their_images() {
    let next_hop = NextHop::start();
    let properties = "own_domains = [\"example.org\"]\n\
        [[binding.properties.texts]]\nname = \"logo\"\ndirection = \"outgoing\"\nlanguages = [\"de\"]\n\
        text = \"von ${sender.local}\"\nhtml = \"<img src='cid:logo@x'>\"\n\
        [[binding.properties.texts]]\nname = \"rest\"\ntext = \"top\"\nplace = \"top\"\n\
        [[binding.properties.images]]\ncid = \"logo@x\"\ntype = \"image/png\"\ndata = \"AAEC\"";
    let (_sink, gateway) = disclaimer_with(&next_hop, MAY, properties);
    let german = "Content-Language: de-AT\r\n";
    let html = message(
        &format!("{german}Content-Type: text/html\r\n"),
        b"<p>a</p>\r\n",
    );
    let arrived = through(&next_hop, &gateway, 1, &html);
    let shown = String::from_utf8_lossy(&arrived);
    let expected = format!(
        "From: a@example.org\r\nMIME-Version: 1.0\r\n{german}\
         Content-Type: multipart/related; boundary=\"=_postern_related_0\";\r\n type=\"text/html\"\r\n\r\n\
         --=_postern_related_0\r\nContent-Type: text/html\r\n\r\n<p>a</p>\r\n\r\n<img src='cid:logo@x'>\r\n\r\n\
         --=_postern_related_0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\
         Content-ID: <logo@x>\r\nContent-Disposition: inline\r\n\r\nAAEC\r\n--=_postern_related_0--\r\n"
    );
    assert_eq!(shown, expected);
    let text = message(german, b"b\r\n");
    let arrived = through(&next_hop, &gateway, 2, &text);
    assert!(arrived.ends_with(b"\r\n\r\nb\r\n\r\nvon a\r\n"));
    let other = message("", b"c\r\n");
    let arrived = through(&next_hop, &gateway, 3, &other);
    assert!(arrived.ends_with(b"\r\n\r\ntop\r\n\r\nc\r\n"));
}

#[test]
fn the_stamp_says_whose_message_it_is_and_keeps_the_rest() {
    let next_hop = NextHop::start();
    let sink = start("postern-stamp");
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("stamp"))
        .with(
            "[[binding]]\nname = \"stamp\"\nsink = \"stamp\"\nevents = [\"inbound.message\", \"transport.submit\"]\n\
             body = \"headers\"\nmay = [\"headers:X-*\"]\nproperties = { header = \"X-Test-Trace\" }",
        )
        .start();
    let sent = message("X-Test-Trace: an earlier one\r\n", b"text\r\n");
    let arrived = through(&next_hop, &gateway, 1, &sent);
    assert!(arrived == sent, "{}", String::from_utf8_lossy(&arrived));
    let text = next_hop.received().first().unwrap().text();
    let text = text.replace("\r\n ", " ").replace("\r\n\t", " ");
    let stamp = text
        .lines()
        .find(|line| line.starts_with("X-Test-Trace: message="))
        .unwrap();
    assert!(stamp.contains("server=inbound"), "{stamp}");
}
