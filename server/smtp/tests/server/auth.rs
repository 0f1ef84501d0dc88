//! AUTH (RFC 4954): where it is offered, how its lines are read, what it changes.

use std::time::Duration;

use bytes::Bytes;
use postern_smtp::server::{Answer, Ask, Auth, AuthStep, Config, Prospect, Question};
use proptest::prelude::*;

use super::driver::{Play, agree, config, reply};

/// AUTH is there once TLS is, and mail needs it.
fn submission() -> Config {
    let mut config = config();
    config.starttls = true;
    config.auth = Some(Auth {
        mechanisms: vec!["LOGIN".to_owned(), "PLAIN".to_owned()],
        in_clear: false,
        required: true,
    });
    config
}

fn in_clear() -> Config {
    let mut config = submission();
    if let Some(auth) = &mut config.auth {
        auth.in_clear = true;
    }
    config
}

/// Knows one client, by either mechanism.
fn check(question: &Question) -> Option<Answer> {
    let Prospect::Accept(Ask::Auth(AuthStep {
        mechanism,
        response,
        step,
    })) = &question.prospect
    else {
        return agree(question);
    };
    let is = |right| match right {
        true => Answer::Proceed,
        false => Answer::Reply(reply("535 5.7.8 No")),
    };
    let challenge = |text: &'static str| Answer::Challenge(Bytes::from_static(text.as_bytes()));
    Some(match (&mechanism[..], step, response.as_deref()) {
        (b"PLAIN", 1, None) => challenge(""),
        (b"PLAIN", _, Some(response)) => is(response == b"\0anna\0secret"),
        (b"LOGIN", 1, None) => challenge("Username:"),
        (b"LOGIN", 2, Some(_)) => challenge("Password:"),
        (b"LOGIN", 3, Some(response)) => is(response == b"secret"),
        _ => is(false),
    })
}

fn play(config: Config, script: &str) -> Play {
    let mut play = Play::with(config, Box::new(check));
    play.script("S: 220 mx.test ESMTP Postern");
    play.script(script);
    play
}

/// Past EHLO, its reply read.
fn greeted(config: Config) -> Play {
    let mut play = play(config, "");
    play.send(b"EHLO client.test\r\n");
    while play.transcript().contains("S 250") {
        play.script("S: 250..");
    }
    play
}

#[test]
fn offered_where_it_can_be_used_alone() {
    let lines = |play: &Play| play.transcript();
    let mut secured = play(submission(), "");
    secured.send(b"EHLO c.test\r\n");
    assert!(!lines(&secured).contains("AUTH"), "{}", lines(&secured));
    let mut secured = greeted(submission());
    secured.script("C: STARTTLS\nS: 220 2.0.0 Ready for TLS\nT.");
    secured.send(b"EHLO c.test\r\n");
    assert!(
        lines(&secured).contains("S 250 AUTH LOGIN PLAIN\n"),
        "{}",
        lines(&secured)
    );
    let mut allowed = play(in_clear(), "");
    allowed.send(b"EHLO c.test\r\n");
    assert!(
        lines(&allowed).contains("S 250 AUTH LOGIN PLAIN\n"),
        "{}",
        lines(&allowed)
    );
    let mut done = greeted(in_clear());
    done.script("C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated");
    done.send(b"EHLO c.test\r\n");
    assert!(!lines(&done).contains("AUTH"), "{}", lines(&done));
}

#[test]
fn both_forms_of_the_response() {
    for script in [
        "C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated",
        "C: auth plain AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated",
        "C: AUTH PLAIN\nS: 334 \nC: AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated",
        "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5uYQ==\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 2.7.0 Authenticated",
        // Commands behind it wait for their turn.
        "C: AUTH PLAIN AGFubmEAc2VjcmV0\nC: NOOP\nS: 235 2.7.0 Authenticated\nS: 250 2.0.0 OK",
    ] {
        let mut play = greeted(in_clear());
        play.script(script);
        assert!(play.session.is_authenticated(), "{script}");
        play.script("C: MAIL FROM:<a@x.test>\nS: 250 2.1.0 Sender OK");
        play.finish();
    }
}

#[test]
fn an_empty_response_is_one() {
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN =\nS: 535 5.7.8 No\nC: AUTH PLAIN\nS: 334 \nC: \nS: 535 5.7.8 No");
    let responses: Vec<_> = play
        .asked
        .iter()
        .filter_map(|question| match &question.prospect {
            Prospect::Accept(Ask::Auth(step)) => Some(step.response.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(responses, [Some(Bytes::new()), None, Some(Bytes::new())]);
    play.finish();
}

#[test]
fn what_cannot_begin_or_go_on_is_refused() {
    let mut play = greeted(in_clear());
    play.script(
        "C: AUTH\nS: 501 5.5.4..\n\
         C: AUTH CRAM-MD5\nS: 504 5.5.4..\n\
         C: AUTH PLAIN a b\nS: 501 5.5.4..\n\
         C: AUTH A-NAME-LONGER-THAN-20-OCTETS\nS: 501 5.5.4..\n\
         C: AUTH PLAIN AGFu!\nS: 501 5.5.2 The response is not base64\n\
         C: AUTH PLAIN\nS: 334 \nC: not base64\nS: 501 5.5.2 The response is not base64\n\
         C: AUTH PLAIN\nS: 334 \nC: *\nS: 501 5.7.0 Authentication cancelled\n\
         C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5uYQ==\nS: 334 UGFzc3dvcmQ6\nC: *\nS: 501 5.7.0 Authentication cancelled\n\
         C: MAIL FROM:<a@x.test>\nS: 530 5.7.0 Authentication required",
    );
    // None of that was a wrong password.
    assert_eq!(play.session.counters().failed_authentications, 0);
    assert_eq!(play.session.counters().errors, 9);
    play.finish();
}

#[test]
fn order() {
    let mut play = play(
        submission(),
        "C: AUTH PLAIN\nS: 503 5.5.1 Greet with EHLO first",
    );
    play.script(
        "C: HELO c.test\nS: 250 mx.test\nC: AUTH PLAIN\nS: 503 5.5.1 Greet with EHLO first\n\
         C: MAIL FROM:<a@x.test>\nS: 530 5.7.0 Use STARTTLS first, then AUTH",
    );
    let mut play = greeted(submission());
    play.script(
        "C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 538 5.7.11 AUTH needs TLS\n\
         C: AUTH NOSUCH\nS: 538 5.7.11 AUTH needs TLS\n\
         C: MAIL FROM:<a@x.test>\nS: 530 5.7.0 Use STARTTLS first, then AUTH\n\
         C: RCPT TO:<a@x.test>\nS: 503 5.5.1..",
    );
    let mut play = greeted(in_clear());
    play.script(
        "C: MAIL FROM:<a@x.test>\nS: 530 5.7.0 Authentication required\n\
         C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated\n\
         C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 503 5.5.1 Authenticated already\n\
         C: STARTTLS\nS: 503 5.5.1 Not after AUTH\n\
         C: MAIL FROM:<a@x.test> AUTH=<>\nS: 250 2.1.0 Sender OK\n\
         C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 503 5.5.1..",
    );
    let mut optional = in_clear();
    if let Some(auth) = &mut optional.auth {
        auth.required = false;
    }
    let mut play = greeted(optional);
    play.script("C: MAIL FROM:<a@x.test>\nS: 250 2.1.0 Sender OK\nC: AUTH PLAIN\nS: 503 5.5.1 Not within a transaction");
    let mut none = greeted(config());
    none.script("C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 502 5.5.1..\nC: MAIL FROM:<a@x.test> AUTH=<>\nS: 555 5.5.4..");
}

#[test]
fn who_submitted_it_first_is_read_and_not_more() {
    for (value, code) in [
        ("<>", "250 2.1.0"),
        ("e+3Dmc2@x.test", "250 2.1.0"),
        ("", "501 5.5.4"),
        ("a+ZZ@x.test", "501 5.5.4"),
    ] {
        let mut play = greeted(in_clear());
        play.script("C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated");
        play.script(&format!(
            "C: MAIL FROM:<a@x.test> AUTH={value}\nS: {code}.."
        ));
    }
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 235 2.7.0 Authenticated");
    play.script("C: MAIL FROM:<a@x.test> AUTH=<> AUTH=<>\nS: 501 5.5.4..");
}

#[test]
fn failures_end_the_session() {
    let mut play = greeted(in_clear());
    play.script(
        "C: AUTH PLAIN AGFubmEAeA==\nS: 535 5.7.8 No\n\
         C: AUTH PLAIN AGFubmEAeA==\nS: 535 5.7.8 No\n\
         C: AUTH PLAIN AGFubmEAeA==\nS: 535 5.7.8 No\n\
         C: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 421 4.7.0 mx.test Too many failed authentications\nX: FailedAuthentications",
    );
    play.finish();
}

#[test]
fn who_cannot_be_checked_ends_the_session_too() {
    let mut play = Play::with(
        in_clear(),
        Box::new(|question| match &question.prospect {
            Prospect::Accept(Ask::Auth(_)) => Some(Answer::Reply(reply("454 4.7.0 Later"))),
            _ => agree(question),
        }),
    );
    play.script("S: 220 mx.test ESMTP Postern");
    play.send(b"EHLO c.test\r\n");
    while play.transcript().contains("S 250") {
        play.script("S: 250..");
    }
    play.script(
        "C: AUTH PLAIN AA==\nS: 454 4.7.0 Later\n\
         C: AUTH PLAIN AA==\nS: 454 4.7.0 Later\n\
         C: AUTH PLAIN AA==\nS: 454 4.7.0 Later\n\
         C: AUTH PLAIN AA==\nS: 421 4.7.0 mx.test Too many failed authentications\nX: FailedAuthentications",
    );
    play.finish();
}

#[test]
fn lines_are_bounded_and_the_session_goes_on() {
    // As long as RFC 4954 says, with its CRLF, and one octet more.
    for (octets, said) in [
        (12_288, "535 5.7.8 No"),
        (12_289, "500 5.5.6 Command line too long"),
    ] {
        let mut play = greeted(in_clear());
        let response = "A".repeat((octets - 2) / 4 * 4);
        let blanks = " ".repeat(octets - 2 - "AUTH PLAIN ".len() - (response.len() - 12));
        let command = format!("AUTH PLAIN {}{blanks}\r\n", &response[12..]);
        assert_eq!(command.len(), octets);
        play.send(command.as_bytes());
        play.script(&format!("S: {said}\nC: NOOP\nS: 250 2.0.0 OK"));
        play.finish();
    }
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN\nS: 334 ");
    play.send(format!("{}\r\n", "A".repeat(12_284)).as_bytes());
    play.script("S: 535 5.7.8 No\nC: AUTH PLAIN\nS: 334 ");
    play.send(format!("{}\r\n", "A".repeat(12_288)).as_bytes());
    play.script("S: 500 5.5.6 Command line too long\nC: MAIL FROM:<a@x.test>\nS: 530..");
    play.finish();
    // Other commands have their own limit, and AUTH too where it is not to be had.
    let mut play = greeted(submission());
    play.send(format!("AUTH PLAIN {}\r\n", "A".repeat(5000)).as_bytes());
    play.script("S: 500 5.5.6 Command line too long");
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN\nS: 334 ");
    play.send(&b"A".repeat(70_000));
    play.script("S: 500 5.5.6..\nX: LineTooLong");
}

#[test]
fn a_response_has_a_time_and_ends_in_crlf() {
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN\nS: 334 ");
    play.wait(Duration::from_secs(301));
    play.script("S: 421 4.4.2..\nX: Timeout(Command)");
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN\nS: 334 \nC= AGFubmEAc2VjcmV0\\n\nS: 500 5.5.2..\nX: BareLf");
    let mut play = greeted(in_clear());
    play.script("C: AUTH PLAIN\nS: 334 ");
    play.session.shutdown();
    play.drive();
    play.script("S: 421 4.3.2..\nX: Shutdown");
}

#[test]
fn commands_before_tls_do_not_authenticate() {
    let mut play = greeted(submission());
    play.script("C: STARTTLS\nC: AUTH PLAIN AGFubmEAc2VjcmV0\nS: 554 5.5.0..\nX: PrematureInput");
}

#[test]
fn only_the_exchange_itself_accepts() {
    let mut play = Play::with(
        in_clear(),
        Box::new(|question| match &question.prospect {
            Prospect::Accept(Ask::Auth(_)) => None,
            _ => agree(question),
        }),
    );
    play.script("S: 220 mx.test ESMTP Postern");
    play.send(b"EHLO c.test\r\nAUTH PLAIN AA==\r\n");
    let question = play.open.remove(0);
    let now = play.now;
    let answer = Answer::Reply(reply("235 2.7.0 Yes"));
    assert!(play.session.answer(question.id, answer, now).is_err());
    play.drive();
    assert!(play.transcript().contains("S 451 4.3.0"));
    assert!(!play.session.is_authenticated());
    play.send(b"AUTH PLAIN AA==\r\n");
    let question = play.open.remove(0);
    let long = Answer::Challenge(Bytes::from(vec![b'x'; 370]));
    assert!(play.session.answer(question.id, long, now).is_err());
}

#[test]
fn what_may_be_a_password_is_in_no_line_that_is_shown() {
    for line in [
        "AUTH PLAIN AGFubmEAc2VjcmV0",
        "auth plain AGFubmEAc2VjcmV0",
        "AUTH\tPLAIN AGFubmEAc2VjcmV0",
        "AUTH: PLAIN AGFubmEAc2VjcmV0",
        "AUTH  PLAIN AGFubmEAc2VjcmV0",
        "AUTH=PLAIN AGFubmEAc2VjcmV0",
        " AUTH PLAIN AGFubmEAc2VjcmV0",
        "\t AUTH PLAIN AGFubmEAc2VjcmV0",
    ] {
        for config in [in_clear(), submission(), config()] {
            let mut play = greeted(config);
            play.send(format!("{line}\r\n").as_bytes());
            let shown = format!("{:?}", play.asked);
            assert!(
                !shown.contains("AGFubmEA") && !shown.contains("secret"),
                "{shown}"
            );
            let raw = &play.asked.last().unwrap().line.as_ref().unwrap().raw;
            let raw = raw.to_ascii_uppercase();
            assert!(
                raw.trim_ascii_start().starts_with(b"AUTH") && raw.ends_with(b"PLAIN"),
                "{raw:?}"
            );
        }
    }
}

#[test]
fn answers_to_challenges_that_never_came_are_in_no_line_that_is_shown() {
    for (config, first) in [
        // Before TLS, without AUTH, and where it began and failed.
        (submission(), "AUTH LOGIN"),
        (submission(), " AUTH LOGIN"),
        (config(), "AUTH LOGIN"),
        (in_clear(), "AUTH NOSUCH"),
        (in_clear(), "AUTH LOGIN not-base64"),
        (in_clear(), "AUTH PLAIN AGFubmEAeA=="),
        (in_clear(), "AUTH LOGIN\r\n*"),
    ] {
        let mut play = greeted(config);
        play.send(format!("{first}\r\nYW5uYQ==\r\nc2VjcmV0\r\n").as_bytes());
        let shown = format!("{:?}", play.asked);
        assert!(
            !shown.contains("YW5uYQ") && !shown.contains("c2VjcmV0"),
            "{first}: {shown}"
        );
        // A command ends that.
        play.send(b"NOOP\r\nXFOO bar\r\n");
        let raw = &play.asked.last().unwrap().line.as_ref().unwrap().raw;
        assert_eq!(raw, "XFOO bar", "{first}");
    }
    let mut play = greeted(in_clear());
    play.send(b"AUTH PLAIN AGFubmEAc2VjcmV0\r\nXFOO bar\r\n");
    let raw = &play.asked.last().unwrap().line.as_ref().unwrap().raw;
    assert_eq!(raw, "XFOO bar");
}

proptest! {
    /// Whatever a client sends in an exchange: nobody but who knows the password is authenticated, and what may be one
    /// is in no line that is shown.
    #[test]
    fn nobody_gets_in_without_the_password(lines in proptest::collection::vec(
        prop_oneof![
            Just("AUTH PLAIN".to_owned()), Just("AUTH LOGIN".to_owned()), Just("*".to_owned()), Just(String::new()),
            "AUTH (PLAIN|LOGIN) [A-Za-z0-9+/]{0,8}={0,2}", "[A-Za-z0-9+/]{0,12}={0,2}", "[ -~]{0,20}",
            Just("MAIL FROM:<a@x.test>".to_owned()), Just("RCPT TO:<b@x.test>".to_owned()), Just("DATA".to_owned()),
            Just("RSET".to_owned()), Just("STARTTLS".to_owned()), Just("EHLO c.test".to_owned()),
        ], 0..20), together in any::<bool>())
    {
        let mut play = greeted(in_clear());
        let all: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        if together {
            play.send(&all);
        } else {
            for octet in all.chunks(3) {
                play.send(octet);
            }
        }
        prop_assert!(!play.session.is_authenticated());
        prop_assert!(!play.transcript().contains("250 2.1.0"));
        prop_assert!(!play.transcript().contains("\nM "));
    }
}
