//! Known attacks on SMTP servers. The numbers are those of the project's list.

use postern_smtp::server::{Answer, Config, EarlyRefusal, Wants};

use crate::driver::{Play, agree, config, play, play_greeted, reply};

const ENVELOPE: &str =
    "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: DATA\nS: 250..\nS: 250..\nS: 354..\n";

/// B1: ends that are none. The message is refused when the real end has come, and the session closes: what follows
/// was perhaps meant to pass for commands.
#[test]
fn smuggling_in_data() {
    for (fake, refused) in [
        (r"\n.\n", true),
        (r"\n.\r\n", true),
        (r"\r\n.\n", true),
        (r"\r.\r", true),
        (r"\r.\r\n", true),
        (r"\r\n.\rx", true),
        (r"\n.\r", true),
        (r"\r.\n", true),
        (r"\n\n.\n\n", true),
        (r"\r\r\n.\n", true),
        (r"\r\n\n.\r\n", true),
        (r"\r\n\0.\r\n", false),
        (r"\r\0\n.\r\n", true),
        (r"\r\n.\0\r\n", false),
        (r"\r\n. \r\n", false),
        (r"\r\n.\x0b\r\n", false),
        (r"\xc2\x85.\xc2\x85", false),
        (r"\xe2\x80\xa8.\xe2\x80\xa8", false),
        (r"\r\n\xef\xbc\x8e\r\n", false),
    ] {
        let mut play = Play::greeted(config());
        play.script(ENVELOPE);
        play.script(&format!(
            "C= text{fake}\nC: MAIL FROM:<evil@x.test>\nC: RCPT TO:<victim@y.test>\nC: DATA\nC: .\n"
        ));
        let (messages, last) = (
            play.session.counters().messages,
            play.asked.last().unwrap().line.is_none(),
        );
        if refused {
            play.script("R: 550 5.5.2\nS: 550 5.5.2..\nX: Smuggling");
            assert_eq!(messages, 0, "{fake}");
        } else {
            assert!(
                last && messages == 1,
                "{fake}: one message, nothing asked after it"
            );
        }
        assert_eq!(play.session.counters().transactions, 1, "{fake}");
    }
}

/// B1, the mixture with a true CRLF in it: it is an end, and what follows is not read.
#[test]
fn smuggling_behind_a_doubled_cr() {
    let mut play = Play::greeted(config());
    play.script(ENVELOPE);
    play.script(
        r"C= text\r\r\n.\r\nMAIL FROM:<evil@x.test>\r\n
          R: 550 5.5.2
          S: 550 5.5.2..
          X: Smuggling",
    );
    play.finish();
}

/// B3: the rest of a body refused early is never read as commands.
#[test]
fn body_refused_early() {
    let mut play = Play::greeted(config());
    play.script(ENVELOPE);
    play.script("C: first");
    assert!(play.session.refuse_content(reply("550 5.7.1 No"), play.now));
    assert!(
        !play
            .session
            .refuse_content(reply("550 5.7.2 Again"), play.now),
        "refused once"
    );
    play.drive();
    play.script(
        r"C: QUIT
          C: RSET
          S.
          C: .
          S: 550 5.7.1 No
          C: NOOP
          S: 250 2.0.0..",
    );
    assert_eq!(play.session.counters().messages_refused, 1);
    play.finish();
}

#[test]
fn body_refused_early_and_closed() {
    let mut play = Play::greeted(Config {
        early_refusal: EarlyRefusal::Close,
        ..config()
    });
    play.script(ENVELOPE);
    play.script("C: first");
    assert!(play.session.refuse_content(reply("550 5.7.1 No"), play.now));
    play.drive();
    play.script("S: 550 5.7.1 No\nX: RefusedBody\nC: QUIT\nS.");
    play.finish();
}

#[test]
fn refusing_with_a_yes_is_a_temporary_no() {
    let mut play = Play::greeted(config());
    play.script(ENVELOPE);
    assert!(
        play.session
            .refuse_content(reply("250 2.0.0 Fine"), play.now)
    );
    play.script("C: .\nS: 451 4.3.0..");
    play.finish();
}

/// B4: what comes behind STARTTLS in plain text is never taken for encrypted.
#[test]
fn starttls_injection() {
    let config = Config {
        starttls: true,
        ..config()
    };
    play_greeted(
        config.clone(),
        r"C: STARTTLS
          C: MAIL FROM:<evil@x.test>
          S: 554 5.5.0..
          X: PrematureInput",
    );
    // While the question about STARTTLS is open.
    let held = Box::new(|question: &_| {
        if is_starttls(question) {
            None
        } else {
            agree(question)
        }
    });
    let mut play = Play::with(config.clone(), held);
    play.script("C: EHLO client.test");
    play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(11)));
    play.script("C: STARTTLS\nS.\nC: RSET");
    play.answer(0, Answer::Proceed);
    play.script("S: 554 5.5.0..\nX: PrematureInput");
    play.finish();
    // Between the reply and the handshake: dropped.
    let mut play = Play::greeted(config);
    play.script("C: STARTTLS\nS: 220..");
    assert_eq!(play.session.wants(), Wants::Tls);
    play.script("C: RSET\nS.\nT.\nS.\nC: NOOP\nS: 250 2.0.0 OK");
    assert_eq!(play.session.counters().commands, 3);
    play.finish();
}

fn is_starttls(question: &postern_smtp::server::Question) -> bool {
    question
        .line
        .as_ref()
        .is_some_and(|line| line.raw.starts_with(b"STARTTLS"))
}

/// B7, B8, B37: control octets never get into an address, a parameter or a reply.
#[test]
fn control_octets_in_commands() {
    for line in [
        r"MAIL FROM:<a\0b@x.test>",
        r"MAIL FROM:<a\rb@x.test>",
        r#"MAIL FROM:<"a\rb"@x.test>"#,
        r"EHLO x\0y",
        r"EHLO x\ry",
        r"VRFY a\rb",
        r"NOOP \x1b[2J",
        r"NO\0OP",
        r"RCPT TO:<a@x.test> ORCPT=rfc822;a\x7fb",
    ] {
        let script = format!("S: 220..\nC= {line}\\r\\n\nS: 5..\nC: NOOP\nS: 250 2.0.0..");
        play(config(), &script);
    }
}

/// B11: input before the banner; a body before 354.
#[test]
fn premature_input() {
    let mut early = Play::silent(config(), Box::new(|_| None));
    early.drive();
    early.send(b"EHLO client.test\r\n");
    assert_eq!(early.session.wants(), Wants::Verdict);
    early.answer(0, Answer::Proceed);
    early.script("S: 554 5.5.0..\nX: EarlyTalker");
    assert!(early.session.counters().early_talker);
    early.finish();

    play_greeted(
        config(),
        r"C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: DATA
          C: Subject: too soon
          S: 250..
          S: 250..
          S: 554 5.5.0..
          X: PrematureInput",
    );
    // The same behind a DATA that is refused anyway: the body is not read as commands.
    play_greeted(
        config(),
        "C: DATA\nC: NOOP\nS: 554 5.5.0..\nX: PrematureInput",
    );
}

#[test]
fn body_before_the_answer_to_data() {
    let held = Box::new(|question: &postern_smtp::server::Question| {
        let is_data = question
            .line
            .as_ref()
            .is_some_and(|line| &line.raw[..] == b"DATA");
        if is_data { None } else { agree(question) }
    });
    let mut play = Play::with(config(), held);
    play.script("C: EHLO client.test");
    play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(10)));
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: DATA\nS: 250..\nS: 250..\nC: Subject: too soon");
    play.answer(0, Answer::Proceed);
    play.script("S: 554 5.5.0..\nX: PrematureInput");
    play.finish();
}

#[test]
fn violations_of_pipelining_are_noticed() {
    let mut play = Play::greeted(config());
    play.script("C: NOOP\nC: NOOP\nS: 250..\nS: 250..");
    assert_eq!(play.session.counters().pipelining_violations, 1);
    let wrongly: Vec<bool> = play
        .asked
        .iter()
        .filter_map(|question| Some(question.line.as_ref()?.pipelined_wrongly))
        .collect();
    assert_eq!(wrongly, [false, true, false]);
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nS: 250..\nS: 250..");
    assert_eq!(play.session.counters().pipelining_violations, 1);
    play.finish();
}

/// Before a client has heard of PIPELINING it may not use it.
#[test]
fn pipelining_before_it_is_offered() {
    let mut play = Play::new(config());
    play.script("S: 220..\nC: HELO client.test\nC: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nS: 250..\nS: 250..\nS: 250..");
    assert_eq!(play.session.counters().pipelining_violations, 2);
}

/// B22: other protocols are shown the door at their first line, or byte.
#[test]
fn other_protocols() {
    for first in [
        "GET / HTTP/1.1\\r\\nHost: x\\r\\n",
        "POST /x HTTP/1.1\\r\\n",
        "PRI * HTTP/2.0\\r\\n",
        "\\x16\\x03\\x01",
        "\\r\\n",
        " EHLO x\\r\\n",
        "{\\r\\n",
    ] {
        play(
            config(),
            &format!("S: 220..\nC= {first}\nS: 554 5.5.0..\nX: NotSmtp"),
        );
    }
    play_greeted(
        config(),
        "C: POST / HTTP/1.1\nC: MAIL FROM:<a@x.test>\nS: 554 5.5.0..\nX: NotSmtp",
    );
    // Later in a session an odd line is only an error.
    play_greeted(config(), "C: .\nS: 500 5.5.1..\nC:\nS: 500 5.5.1..");
}

/// A line that ends in LF alone is no line. Waiting for its CRLF would let two servers see different commands.
#[test]
fn bare_lf_in_commands() {
    play(
        config(),
        "S: 220..\nC= NOOP\\nNOOP\\r\\n\nS: 500 5.5.2..\nX: BareLf",
    );
}

/// B23: forms of addresses that have opened relays. The domain that decides is behind the last unquoted `@`.
#[test]
fn relay_tricks() {
    use postern_smtp::server::{Ask, Prospect};
    for (path, domain) in [
        ("<victim%other.test@y.test>", Some("y.test")),
        ("<other.test!victim@y.test>", Some("y.test")),
        ("<@y.test:victim@other.test>", Some("other.test")),
        (r#"<"victim@other.test"@y.test>"#, Some("y.test")),
        (r#"<"victim\"@other.test"@y.test>"#, Some("y.test")),
        ("<victim@other.test@y.test>", None),
        ("<victim@[127.0.0.1]>", Some("")),
        ("<victim@y.test.>", None),
        ("<victim@.y.test>", None),
        ("<victim@y..test>", None),
        ("<victim@Y.TEST>", Some("y.test")),
        ("<victim@sub.y.test>", Some("sub.y.test")),
        ("<victim@y.test.other>", Some("y.test.other")),
        ("<victim>", None),
        ("<@y.test>", None),
        ("<victim@>", None),
        ("<@>", None),
        ("<victim@y.test> <victim@other.test>", None),
        ("<victim@y.test,other.test>", None),
        ("<victim @y.test>", None),
        ("<victim@y.test\0>", None),
    ] {
        let mut play = Play::greeted(config());
        play.script("C: MAIL FROM:<>\nS: 250..");
        play.send(format!("RCPT TO:{path}\r\n").as_bytes());
        play.script(if domain.is_some() {
            "S: 250.."
        } else {
            "S: 50.."
        });
        let asked = match &play.asked.last().unwrap().prospect {
            Prospect::Accept(Ask::Rcpt(rcpt)) => {
                let mailbox = rcpt.recipient.mailbox().unwrap();
                Some(
                    mailbox
                        .domain()
                        .domain()
                        .map_or("", |domain| domain.key())
                        .to_owned(),
                )
            }
            _ => None,
        };
        assert_eq!(asked.as_deref(), domain, "{path}");
    }
}

/// B24: names that look like others are not those others.
#[test]
fn unicode_domains() {
    use postern_smtp::address::Domain;
    let key = |name: &str| {
        Domain::parse(name.as_bytes(), true)
            .ok()
            .map(|domain| domain.key().to_owned())
    };
    for (name, expected) in [
        ("bücher.test", Some("xn--bcher-kva.test")),
        ("BÜCHER.TEST", Some("xn--bcher-kva.test")),
        ("bu\u{308}cher.test", Some("xn--bcher-kva.test")),
        ("xn--bcher-kva.test", Some("xn--bcher-kva.test")),
        ("XN--BCHER-KVA.test", Some("xn--bcher-kva.test")),
        ("ex\u{0430}mple.test", Some("xn--exmple-4nf.test")),
        ("example\u{3002}test", None),
        ("example\u{ff0e}test", None),
        ("example\u{ff61}test", None),
        ("\u{ff45}xample.test", None),
        ("e\u{200b}xample.test", None),
        ("ex\u{00ad}ample.test", None),
        ("\u{2028}.test", None),
    ] {
        assert_eq!(key(name).as_deref(), expected, "{name}");
    }
    assert!(Domain::parse("bücher.test".as_bytes(), false).is_err());
    assert!(Domain::parse(b"b\xfccher.test", true).is_err());
}

/// B10 and B43 have files of their own: `chunks.rs`, `limits.rs`. B12, B13, B15, B16 and B19 are in `limits.rs`.
#[test]
fn end_of_input_at_any_moment() {
    for script in [
        "",
        "C: EHLO client.test\n",
        "C: EHLO client.test\nC= MAIL FR\n",
        "C: EHLO client.test\nC: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: DATA\n",
        "C: EHLO client.test\nC: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: BDAT 5\nC= x\n",
    ] {
        let mut play = Play::new(config());
        play.script(script);
        play.session.handle_eof();
        play.drive();
        play.script("X: ClientGone");
        assert_eq!(play.session.counters().messages, 0);
    }
}
