//! Verbs and keywords that others add, mechanisms offered to one greeting, keywords taken out of a reply.

use postern_smtp::command::Verb;
use postern_smtp::reply::ReplyText;
use postern_smtp::server::{
    AddedVerb, Additions, Answer, Auth, Config, Question, is_own_keyword, is_own_verb,
};

use super::driver::{Play, agree, config, play, reply};

fn with_verb() -> Config {
    let text = |text: &'static str| ReplyText::new(text).unwrap();
    Config {
        additions: Additions {
            verbs: vec![AddedVerb {
                name: "XTALK".to_owned(),
                help: text("talks"),
            }],
            keywords: vec![text("XTALK a b")],
        },
        ..config()
    }
}

#[test]
fn added_keywords_and_verbs_are_told_of() {
    play(
        with_verb(),
        "S: 220 mx.test ESMTP Postern
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
         S: 250 XTALK a b
         C: HELO client.test
         S: 250 mx.test
         C: HELP
         S: 214-2.0.0 See RFC 5321; this is Postern
         S: 214 2.0.0 XTALK talks
         C: HELP xtalk
         S: 214-2.0.0 See RFC 5321; this is Postern
         S: 214 2.0.0 XTALK talks
         C: XTALK
         S: 500 5.5.1 Command not recognized",
    );
    let mut play = Play::greeted(with_verb());
    play.send(b"XTALK now\r\nXWALK\r\n");
    let counters = play.session.counters();
    assert_eq!(counters.syntax_errors, 1, "one of them is no verb");
    assert_eq!(counters.junk_commands, 1, "the other one moves no mail");
}

/// Whoever answers a verb, it moves no mail; and a verb ends at a blank, and nowhere else.
#[test]
fn a_verb_that_somebody_answers_is_junk() {
    for (line, answer, junk) in [
        ("XTALK", "250 2.0.0 Ok", 1),
        ("XTALK:", "250 2.0.0 Ok", 1),
        ("XWALK", "250 2.0.0 Ok", 1),
        ("RCPT:x", "252 2.0.0 Ok", 1),
        ("XWALK", "451 4.0.0 Later", 1),
        ("XWALK", "550 5.0.0 No", 0),
    ] {
        let respond = move |question: &Question| match &question.line {
            Some(line) if line.verb == Verb::Other => Some(Answer::Reply(reply(answer))),
            _ => agree(question),
        };
        let mut play = Play::with(with_verb(), Box::new(respond));
        play.script("S: 220 mx.test ESMTP Postern");
        play.send(format!("{line}\r\n").as_bytes());
        play.script(&format!("S: {answer}"));
        assert_eq!(
            play.session.counters().junk_commands,
            junk,
            "{line} {answer}"
        );
    }
}

#[test]
fn the_sessions_own_words_are_known() {
    for (word, keyword, verb) in [
        ("starttls", true, true),
        ("AUTH", true, true),
        ("Pipelining", true, false),
        ("NOOP", false, true),
        ("XTALK", false, false),
    ] {
        assert_eq!(is_own_keyword(word.as_bytes()), keyword, "{word}");
        assert_eq!(is_own_verb(word.as_bytes()), verb, "{word}");
    }
}

#[test]
fn what_was_taken_out_of_the_greeting_is_refused_until_the_next_one() {
    for (keyword, script) in [
        ("SIZE", "C: MAIL FROM:<a@b.test> SIZE=1\nS: 555 5.5.4.."),
        (
            "8BITMIME",
            "C: MAIL FROM:<a@b.test> BODY=8BITMIME\nS: 555 5.5.4..",
        ),
        (
            "BINARYMIME",
            "C: MAIL FROM:<a@b.test> BODY=BINARYMIME\nS: 555 5.5.4..",
        ),
        (
            "SMTPUTF8",
            "C: MAIL FROM:<a@b.test> smtputf8\nS: 555 5.5.4..",
        ),
        ("DSN", "C: MAIL FROM:<a@b.test> RET=HDRS\nS: 555 5.5.4.."),
        (
            "DSN",
            "C: MAIL FROM:<a@b.test>\nS: 250 2.1.0..\nC: RCPT TO:<a@b.test> NOTIFY=NEVER\nS: 555 5.5.4..",
        ),
        (
            "CHUNKING",
            "C: MAIL FROM:<a@b.test>\nS: 250 2.1.0..\nC: RCPT TO:<a@b.test>\nS: 250 2.1.5..\n\
             C: BDAT 6 LAST\nC= NOOP\\r\\n\nS: 502 5.5.1..\nC: NOOP\nS: 250 2.0.0 OK",
        ),
        ("STARTTLS", "C: STARTTLS\nS: 502 5.5.1.."),
        ("AUTH", "C: AUTH PLAIN\nS: 502 5.5.1.."),
    ] {
        let mut config = config();
        config.starttls = true;
        config.auth = Some(Auth {
            mechanisms: vec!["PLAIN".to_owned()],
            in_clear: true,
            required: false,
        });
        let mut play = Play::greeted(config);
        play.session.withdraw([keyword.as_bytes()]);
        play.script(script);
        play.script("C: RSET\nS: 250 2.0.0 Forgotten");
        play.send(b"EHLO client.test\r\n");
        let mut play = play;
        play.script("S: 250-mx.test\nS: 250-PIPELINING..\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-ENH..\nS: 250-CHU..\nS: 250-BIN..\nS: 250-DSN\nS: 250-SIZE..\nS: 250-LIM..\nS: 250-STARTTLS\nS: 250 AUTH PLAIN");
        play.script("C: MAIL FROM:<a@b.test> SIZE=1 BODY=8BITMIME RET=HDRS\nS: 250 2.1.0..");
    }
}

#[test]
fn further_mechanisms_are_offered_within_tls_and_to_one_greeting() {
    let mut config = config();
    config.starttls = true;
    let mut play = Play::with(
        config,
        Box::new(|question| match question.line {
            Some(_) => None,
            None => super::driver::agree(question),
        }),
    );
    play.script("S: 220 mx.test ESMTP Postern");
    let greet = |play: &mut Play, offers: bool, last: &str| {
        play.send(b"EHLO client.test\r\n");
        if offers {
            play.session.offer_mechanisms(vec!["XTOKEN".to_owned()]);
        }
        play.answer(0, postern_smtp::server::Answer::Proceed);
        let said = play.transcript();
        assert!(said.ends_with(&format!("S {last}\n")), "{said}");
        play.script(&"S: 250..\n".repeat(said.lines().count()));
    };
    // Not where somebody may listen.
    greet(&mut play, true, "250 STARTTLS");
    play.send(b"AUTH XTOKEN\r\n");
    play.answer(0, postern_smtp::server::Answer::Proceed);
    play.script("S: 538 5.7.11 AUTH needs TLS");
    play.send(b"STARTTLS\r\n");
    play.answer(0, postern_smtp::server::Answer::Proceed);
    play.script("S: 220 2.0.0 Ready for TLS\nT.");
    greet(&mut play, true, "250 AUTH XTOKEN");
    play.send(b"AUTH XTOKEN\r\n");
    assert!(matches!(
        play.open.remove(0).prospect,
        postern_smtp::server::Prospect::Accept(postern_smtp::server::Ask::Auth(_))
    ));
}

#[test]
fn who_is_known_otherwise_needs_no_auth() {
    let mut config = config();
    config.auth = Some(Auth {
        mechanisms: vec!["PLAIN".to_owned()],
        in_clear: true,
        required: true,
    });
    let mut play = Play::greeted(config);
    play.script("C: MAIL FROM:<a@b.test>\nS: 530 5.7.0..");
    play.session.authenticate();
    play.script(
        "C: AUTH PLAIN
         S: 503 5.5.1 Authenticated already
         C: MAIL FROM:<a@b.test>
         S: 250 2.1.0 Sender OK",
    );
    play.finish();
}
