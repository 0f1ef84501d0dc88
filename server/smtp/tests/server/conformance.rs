//! What the RFCs require of a server's grammar and order, row by row.

use bytes::Bytes;
use postern_smtp::address::AddressSyntax;
use postern_smtp::command::{Command, Extensions, HelloNames};
use postern_smtp::server::{Config, Protocol};

use crate::driver::{config, play, play_greeted};

fn with_tls() -> Config {
    Config {
        starttls: true,
        ..config()
    }
}

fn lmtp() -> Config {
    Config {
        protocol: Protocol::Lmtp,
        ..config()
    }
}

#[test]
fn a_whole_session() {
    play(
        config(),
        r"S: 220 mx.test ESMTP Postern
          C: EHLO client.test
          S: 250-mx.test
          S: 250-PIPELINING
          S: 250-8BITMIME
          S: 250-SMTPUTF8
          S: 250-ENHANCEDSTATUSCODES
          S: 250-CHUNKING
          S: 250-BINARYMIME
          S: 250-DSN
          S: 250-SIZE 26214400
          S: 250 LIMITS RCPTMAX=1000 MAILMAX=1000
          C: MAIL FROM:<a@x.test> SIZE=100 BODY=8BITMIME
          S: 250 2.1.0 Sender OK
          C: RCPT TO:<b@y.test>
          S: 250 2.1.5 Recipient OK
          C: DATA
          S: 354 End the message with a dot on a line of its own
          C: Subject: x
          C:
          C: ..stuffed
          C: .
          M: Subject: x\r\n\r\n.stuffed\r\n
          S: 250 2.6.0 Kept
          C: QUIT
          S: 221 2.0.0 Bye
          X: Quit",
    );
}

#[test]
fn greetings() {
    play(
        config(),
        r"S: 220..
          C: HELO
          S: 501 5.5.4..
          C: EHLO
          S: 501 5.5.4..
          C: HELO client.test
          S: 250 mx.test
          C: MAIL FROM:<a@x.test> SIZE=1
          S: 555 5.5.4..
          C: EHLO [192.0.2.1]
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250 ..
          C: HELO [IPv6:::1]
          S: 250 mx.test
          C: HELO under_score.test
          S: 501 5.5.4..
          C: HELO two words
          S: 501 5.5.4..
          C: HELO <x>
          S: 501 5.5.4..
          C: LHLO client.test
          S: 500 5.5.1..",
    );
}

#[test]
fn a_name_is_no_ground_to_refuse_where_any_is_taken() {
    let mut any = config();
    any.hello_names = HelloNames::Any;
    for name in [
        "under_score.test",
        "two words",
        "<x>",
        "[2001:db8::1]",
        "[IPv6:fe80::1%eth0]",
        "host.",
        "M\u{dc}LLER-PC",
    ] {
        let script = format!(
            "S: 220..\nC: HELO {name}\nS: 250 mx.test\nC: MAIL FROM:<a@x.test>\nS: 250 2.1.0.."
        );
        play(any.clone(), &script);
    }
    play(any, "S: 220..\nC: EHLO\nS: 501 5.5.4..");
}

#[test]
fn a_name_in_another_character_set_is_kept_as_it_is() {
    let any = Extensions {
        hello_names: HelloNames::Any,
        ..Extensions::default()
    };
    let line = Bytes::from_static(b"EHLO M\xdcLLER-PC");
    let Ok(Command::Hello(hello)) = Command::parse(&line, any) else {
        panic!("refused")
    };
    assert_eq!(hello.name.octets(), &b"M\xdcLLER-PC"[..]);
    assert!(Command::parse(&line, Extensions::default()).is_err());
    let control = Bytes::from_static(b"EHLO a\0b");
    assert!(Command::parse(&control, any).is_err());
}

#[test]
fn addresses_of_devices_are_taken_where_the_syntax_is_lenient() {
    let mut lenient = config();
    lenient.addresses = AddressSyntax::Lenient;
    for (strict, config) in [(false, lenient), (true, config())] {
        let (mail, rcpt) = if strict {
            ("501 5..", "503 5.5.1..")
        } else {
            ("250 2.1.0..", "250 2.1.5..")
        };
        for (from, to) in [
            (" <a@x.test>", " <b@x.test>"),
            ("a@x.test", "b@x.test"),
            (" a@x.test SIZE=10", "b@x.test"),
            ("<a@my_pc.x.test>", "<b@_x.test>"),
            ("<.a..b.@x.test>", "<b.@x.test>"),
        ] {
            let script = format!(
                "S: 220..\nC: EHLO c.test\nS: 250-..\nS: 250-..\nS: 250-..\nS: 250-..\nS: 250-..\nS: 250-..\nS: \
                 250-..\nS: 250-..\nS: 250-..\nS: 250 ..\nC: MAIL FROM:{from}\nS: {mail}\nC: RCPT TO:{to}\nS: {rcpt}"
            );
            play(config.clone(), &script);
        }
    }
}

#[test]
fn what_is_no_address_is_none_leniently_either() {
    let lenient = Extensions {
        offered: true,
        addresses: AddressSyntax::Lenient,
        ..Extensions::default()
    };
    for line in [
        "MAIL FROM:",
        "MAIL FROM: ",
        "MAIL FROM:a",
        "MAIL FROM:a@",
        "MAIL FROM:@x.test",
        "MAIL FROM:a@x.test>",
        "MAIL FROM:\"a b\"@x.test",
        "MAIL FROM:a@x..test",
        "MAIL FROM:a@-x.test",
        "MAIL FROM:<a@x.test",
        "MAIL FROM:a b@x.test",
        "RCPT TO:<>",
        "RCPT TO:<@x.test>",
    ] {
        assert!(
            Command::parse(&Bytes::from_static(line.as_bytes()), lenient).is_err(),
            "{line}"
        );
    }
}

#[test]
fn order_of_commands() {
    play(
        config(),
        r"S: 220..
          C: NOOP anything at all
          S: 250 2.0.0 OK
          C: RSET
          S: 250 2.0.0..
          C: VRFY someone
          S: 252 2.0.0..
          C: VRFY
          S: 501 5.5.4..
          C: EXPN list
          S: 502 5.5.1..
          C: HELP
          S: 214 2.0.0..
          C: AUTH PLAIN AGEAYg==
          S: 502 5.5.1..
          C: MAIL FROM:<a@x.test>
          S: 503 5.5.1..
          C: RCPT TO:<a@x.test>
          S: 503 5.5.1..
          C: DATA
          S: 503 5.5.1..
          C: helo client.test
          S: 250..
          C: RCPT TO:<a@x.test>
          S: 503 5.5.1..
          C: mail from:<>
          S: 250 2.1.0..
          C: MAIL FROM:<b@x.test>
          S: 503 5.5.1 A transaction is open already
          C: DATA
          S: 503 5.5.1 RCPT comes first
          C: RCPT TO:<>
          S: 501 5.1.3..
          C: DATA
          S: 554 5.5.1 No valid recipients
          C: rcpt to:<POSTmaster>
          S: 250 2.1.5..
          C: Data
          S: 354..
          C: .
          M:
          S: 250 2.6.0..
          C: DATA
          S: 503 5.5.1..
          C: XYZZY
          S: 500 5.5.1..
          C: RSET now
          S: 501 5.5.4..
          C: QUIT now
          S: 501 5.5.4..
          C= quit\s\s\r\n
          S: 221..
          X: Quit",
    );
}

#[test]
fn resets_forget_the_transaction() {
    play_greeted(
        config(),
        r"C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          S: 250..
          S: 250..
          C: RSET
          Z.
          S: 250..
          C: RCPT TO:<b@y.test>
          S: 503..
          C: MAIL FROM:<a@x.test>
          S: 250..
          C: HELO again.test
          Z.
          S: 250 mx.test
          C: RCPT TO:<b@y.test>
          S: 503..",
    );
}

/// RFC 2920: whole groups from one segment, replies in order, input never flushed, more behind the dot.
#[test]
fn pipelining() {
    play_greeted(
        config(),
        r"C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: RCPT TO:<>
          C: RCPT TO:<c@y.test>
          C: DATA
          S: 250 2.1.0..
          S: 250 2.1.5..
          S: 501 5.1.3..
          S: 250 2.1.5..
          S: 354..
          C: text
          C: .
          C: RSET
          C: MAIL FROM:<d@x.test>
          C: RCPT TO:<e@y.test>
          M: text\r\n
          S: 250 2.6.0..
          S: 250 2.0.0..
          S: 250 2.1.0..
          S: 250 2.1.5..",
    );
}

/// A group whose recipients are all refused, DATA in it, accepts nothing.
#[test]
fn group_without_recipients() {
    play_greeted(
        config(),
        r"C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b>
          C: DATA
          S: 250..
          S: 501 5.1.3..
          S: 554 5.5.1..
          C: QUIT
          S: 221..
          X: Quit",
    );
}

#[test]
fn sizes() {
    let mut small = config();
    small.limits.max_message_size = 20;
    play_greeted(
        small,
        r"C: MAIL FROM:<a@x.test> SIZE=21
          S: 552 5.3.4..
          C: MAIL FROM:<a@x.test> SIZE=99999999999999999999
          S: 552 5.3.4..
          C: MAIL FROM:<a@x.test> SIZE=100000000000000000000
          S: 501 5.5.4..
          C: MAIL FROM:<a@x.test> SIZE=
          S: 501 5.5.4..
          C: MAIL FROM:<a@x.test> SIZE=0x10
          S: 501 5.5.4..
          C: MAIL FROM:<a@x.test> SIZE=-1
          S: 501 5.5.4..
          C: MAIL FROM:<a@x.test> SIZE=1
          C: RCPT TO:<b@y.test>
          C: DATA
          S: 250..
          S: 250..
          S: 354..
          C: ..23456789012345
          C: ..
          C: .
          M: .23456789012345\r\n.\r\n
          S: 250..
          C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: DATA
          S: 250..
          S: 250..
          S: 354..
          C: 1234567890123456789
          R: 552 5.3.4
          S.
          C: MAIL FROM:<nobody@x.test>
          C: .
          S: 552 5.3.4..
          C: NOOP
          S: 250 2.0.0..",
    );
}

#[test]
fn parameters() {
    for (line, expected) in [
        ("MAIL FROM:<a@x.test> BODY=7BIT", "250"),
        (
            "MAIL FROM:<a@x.test> body=8bitmime ret=hdrs envid=a+2Bb",
            "250",
        ),
        ("MAIL FROM:<a@x.test>  SIZE=1 ", "250"),
        ("MAIL FROM:<a@x.test> BODY=9BIT", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> BODY", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> BODY=7BIT BODY=7BIT", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> SMTPUTF8 SMTPUTF8", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> RET=FULL RET=HDRS", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> ENVID=a+0D+0Ab", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> ENVID=a+2b", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> ENVID=a+", "501 5.5.4"),
        ("MAIL FROM:<a@x.test> AUTH=<>", "555 5.5.4"),
        ("MAIL FROM:<a@x.test> X-UNKNOWN=1", "555 5.5.4"),
        ("MAIL FROM:<a@x.test> =1", "501 5.5.4"),
        ("MAIL FROM:<a@x.test>SIZE=1", "501 5.5.4"),
        ("MAIL FROM: <a@x.test>", "501 5.5.4"),
        ("MAIL FROM :<a@x.test>", "501 5.5.4"),
        ("MAIL a@x.test", "501 5.5.4"),
        ("MAIL FROM:a@x.test", "501 5.5.4"),
        ("MAIL FROM:<a@x.test", "501 5.5.4"),
        ("MAIL FROM:<postmaster>", "501 5.1.7"),
    ] {
        play_greeted(config(), &format!("C: {line}\nS: {expected}.."));
    }
    let long = "x".repeat(101);
    play_greeted(
        config(),
        &format!("C: MAIL FROM:<a@x.test> ENVID={long}\nS: 501 5.5.4.."),
    );
    for (parameter, expected) in [
        ("NOTIFY=NEVER", "250"),
        (
            "NOTIFY=SUCCESS,delay,FAILURE ORCPT=rfc822;b+2Bx@y.test",
            "250",
        ),
        ("NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"),
        ("NOTIFY=", "501 5.5.4"),
        ("NOTIFY", "501 5.5.4"),
        ("NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"),
        ("ORCPT=b@y.test", "501 5.5.4"),
        ("ORCPT=rfc822;", "501 5.5.4"),
        ("ORCPT=rfc822;b+0A@y.test", "501 5.5.4"),
        (r"ORCPT=utf-8;\x{E9}@y.test", "250"),
        (r"ORCPT=utf-8;\x{0A}@y.test", "501 5.5.4"),
        (r"ORCPT=utf-8;\x{D800}@y.test", "501 5.5.4"),
        ("SIZE=1", "555 5.5.4"),
    ] {
        let script = format!(
            "C: MAIL FROM:<a@x.test>\nS: 250..\nC: RCPT TO:<b@y.test> {parameter}\nS: {expected}.."
        );
        play_greeted(config(), &script);
    }
    let long = "x".repeat(500);
    play_greeted(
        config(),
        &format!(
            "C: MAIL FROM:<a@x.test>\nS: 250..\nC: RCPT TO:<b@y.test> ORCPT=rfc822;{long}\nS: 501 5.5.4.."
        ),
    );
}

#[test]
fn utf8() {
    play_greeted(
        config(),
        r"C: MAIL FROM:<ü@x.test>
          S: 553 5.6.7..
          C: MAIL FROM:<a@bücher.test>
          S: 553 5.6.7..
          C= MAIL FROM:<\xc3@x.test> SMTPUTF8\r\n
          S: 500 5.5.2..
          C: MAIL FROM:<a@x.test>
          S: 250..
          C: RCPT TO:<ü@y.test>
          S: 553 5.6.7..
          C: RSET
          S: 250..
          C: MAIL FROM:<ü@bücher.test> SMTPUTF8
          S: 250..
          C: RCPT TO:<ö@y.test> ORCPT=utf-8;ö@y.test
          S: 250..
          C= RCPT TO:<\xc0\xaf@y.test>\r\n
          S: 500 5.5.2..
          C= RCPT TO:<x\xc2\x85@y.test>\r\n
          S: 501 5.1.3..",
    );
}

#[test]
fn starttls() {
    play(
        with_tls(),
        r"S: 220..
          C: STARTTLS
          S: 503 5.5.1..
          C: HELO client.test
          S: 250 mx.test
          C: EHLO client.test
          S: 250-mx.test
          S: 250-PIPELINING
          S: 250-8BITMIME
          S: 250-SMTPUTF8
          S: 250-ENHANCEDSTATUSCODES
          S: 250-CHUNKING
          S: 250-BINARYMIME
          S: 250-DSN
          S: 250-SIZE..
          S: 250-LIMITS..
          S: 250 STARTTLS
          C: STARTTLS now
          S: 501 5.5.4..
          C: MAIL FROM:<a@x.test>
          S: 250..
          C: STARTTLS
          S: 503 5.5.1 Not within a transaction
          C: RSET
          S: 250..
          C: STARTTLS
          S: 220 2.0.0..
          T.
          S.
          C: MAIL FROM:<a@x.test>
          S: 503 5.5.1..
          C: STARTTLS
          S: 503 5.5.1 TLS is active already
          C: EHLO client.test
          S: 250-mx.test
          S: 250-PIPELINING
          S: 250-8BITMIME
          S: 250-SMTPUTF8
          S: 250-ENHANCEDSTATUSCODES
          S: 250-CHUNKING
          S: 250-BINARYMIME
          S: 250-DSN
          S: 250-SIZE..
          S: 250 LIMITS..",
    );
    play_greeted(config(), "C: STARTTLS\nS: 502 5.5.1..");
}

#[test]
fn addresses_at_their_limits() {
    let local = "l".repeat(64);
    let label = "d".repeat(63);
    for (path, expected) in [
        (format!("<{local}@y.test>"), "250"),
        (format!("<{local}l@y.test>"), "501 5.1.3"),
        (format!("<a@{label}.{label}.{label}.test>"), "250"),
        (format!("<a@{label}d.test>"), "501 5.1.3"),
        (
            format!("<{local}@{label}.{label}.{label}.abc>"),
            "501 5.1.3",
        ),
        ("<@a.test,@b.test:u@y.test>".to_owned(), "250"),
        ("<@a.test,b.test:u@y.test>".to_owned(), "501 5.1.3"),
        ("<u@[192.0.2.1]>".to_owned(), "250"),
        ("<u@[300.0.2.1]>".to_owned(), "501 5.1.3"),
        (r#"<"a>b"@y.test>"#.to_owned(), "250"),
        (r#"<"a\"b c"@y.test>"#.to_owned(), "250"),
    ] {
        play_greeted(
            config(),
            &format!("C: MAIL FROM:<>\nS: 250..\nC: RCPT TO:{path}\nS: {expected}.."),
        );
    }
}

#[test]
fn lmtp_replies_for_each_recipient() {
    play(
        lmtp(),
        r"S: 220 mx.test LMTP Postern
          C: HELO client.test
          S: 500 5.5.1..
          C: EHLO client.test
          S: 500 5.5.1..
          C: MAIL FROM:<a@x.test>
          S: 503 5.5.1..
          C: LHLO client.test
          S: 250-mx.test
          S: 250-PIPELINING
          S: 250-..
          S: 250-..
          S: 250-ENHANCEDSTATUSCODES
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250-..
          S: 250 ..
          C: MAIL FROM:<a@x.test>
          C: DATA
          S: 250..
          S: 503 5.5.1..
          C: RCPT TO:<b@y.test>
          C: RCPT TO:<>
          C: RCPT TO:<c@y.test>
          C: DATA
          S: 250..
          S: 501..
          S: 250..
          S: 354..
          C: x
          C: .
          M: x\r\n
          S: 250 2.6.0 Kept
          S: 250 2.6.0 Kept
          C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: RCPT TO:<c@y.test>
          C: BDAT 1
          C= x
          C: BDAT 1 LAST
          C= y
          S: 250..
          S: 250..
          S: 250..
          S: 250 2.0.0 1 octets received
          M: xy
          S: 250 2.6.0 Kept
          S: 250 2.6.0 Kept
          C: QUIT
          S: 221..
          X: Quit",
    );
}

#[test]
fn lmtp_refusals_are_for_each_recipient_too() {
    let mut lmtp = lmtp();
    lmtp.limits.max_message_size = 3;
    let mut play = crate::driver::Play::new(lmtp);
    play.send(b"LHLO client.test\r\n");
    play.script("S: 220..");
    play.script(&"S: 250..\n".repeat(10));
    play.script(
        r"C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: RCPT TO:<c@y.test>
          C: DATA
          S: 250..
          S: 250..
          S: 250..
          S: 354..
          C: too large
          C: .
          R: 552 5.3.4
          S: 552 5.3.4..
          S: 552 5.3.4..
          C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: RCPT TO:<c@y.test>
          C: BDAT 4 LAST
          C= 1234
          S: 250..
          S: 250..
          S: 250..
          Z.
          S: 552 5.3.4..
          S: 552 5.3.4..
          C: NOOP
          S: 250..",
    );
    play.finish();
}
