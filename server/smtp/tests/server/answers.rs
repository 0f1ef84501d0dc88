//! Answers of the caller: what they change, and what they cannot.

use std::time::Instant;

use postern_smtp::command::Verb;
use postern_smtp::server::{
    Action, Answer, AnswerError, Ask, Config, Prospect, Protocol, Question, ReplyTo, Session,
    Transport, Wants,
};

use crate::driver::{Play, agree, config, reply};

/// A session whose responder leaves commands of this verb open; past EHLO.
fn holding(verb: Verb) -> Play {
    let held = move |question: &Question| {
        let open = question.line.as_ref().is_some_and(|line| line.verb == verb);
        if open { None } else { agree(question) }
    };
    let mut play = Play::with(config(), Box::new(held));
    play.script("S: 220..\nC: EHLO client.test");
    play.script(&"S: 250..\n".repeat(10));
    play
}

/// A session that answers commands of this verb so; past EHLO.
fn answering(verb: Verb, answer: Answer) -> Play {
    let respond = move |question: &Question| {
        let mine = question.line.as_ref().is_some_and(|line| line.verb == verb);
        if mine {
            Some(answer.clone())
        } else {
            agree(question)
        }
    };
    let mut play = Play::with(config(), Box::new(respond));
    play.script("S: 220..\nC: EHLO client.test");
    play.script(&"S: 250..\n".repeat(10));
    play
}

#[test]
fn every_line_is_asked_about_with_its_octets() {
    let mut play = Play::new(config());
    play.script("C: ehlo  client.test \nC: XYZZY a b\nC: MAIL FROM:<a@x.test>");
    let lines: Vec<(Verb, &[u8])> = play
        .asked
        .iter()
        .filter_map(|q| q.line.as_ref())
        .map(|line| (line.verb, &line.raw[..]))
        .collect();
    assert_eq!(
        lines,
        [
            (Verb::Ehlo, &b"ehlo  client.test "[..]),
            (Verb::Other, b"XYZZY a b"),
            (Verb::Mail, b"MAIL FROM:<a@x.test>"),
        ]
    );
    assert!(matches!(
        play.asked[0].prospect,
        Prospect::Accept(Ask::Greeting)
    ));
    assert!(
        matches!(&play.asked[2].prospect, Prospect::Refuse(reply) if reply.code().value() == 500)
    );
}

/// A pipelined group of RCPTs costs one round trip: all are asked at once, and replies keep the order of commands.
#[test]
fn recipients_are_asked_together_and_answered_in_order() {
    let mut play = holding(Verb::Rcpt);
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<1@y.test>\nC: RCPT TO:<2@y.test>\nC: RCPT TO:<3@y.test>\nC: NOOP\nS: 250 2.1.0..\nS.");
    assert_eq!(play.open.len(), 3);
    assert_eq!(
        play.session.wants(),
        Wants::Verdict,
        "NOOP waits for its turn"
    );
    play.answer(2, Answer::Proceed);
    play.script("S.");
    play.answer(1, Answer::Reply(reply("550 5.1.1 Second")));
    play.script("S.");
    play.answer(0, Answer::Reply(reply("250 2.1.5 First")));
    play.script(
        "S: 250 2.1.5 First\nS: 550 5.1.1 Second\nS: 250 2.1.5 Recipient OK\nS: 250 2.0.0 OK",
    );
    play.finish();
}

/// While only RCPTs are open more input may bring more of them; once something else came, reading on has to wait.
#[test]
fn input_is_held_back() {
    let mut play = holding(Verb::Rcpt);
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<1@y.test>\nS: 250 2.1.0..");
    assert_eq!(play.session.wants(), Wants::Input);
    play.send(b"rCp");
    assert_eq!(play.session.wants(), Wants::Input);
    play.send(b"T TO:<2@y.test>\r\nRCPT TO:<>\r\n");
    assert_eq!((play.open.len(), play.session.wants()), (3, Wants::Input));
    play.send(b"D");
    assert_eq!(play.session.wants(), Wants::Verdict);
    for _ in 0..3 {
        play.answer(0, Answer::Proceed);
    }
    assert_eq!(play.session.wants(), Wants::Input);
    play.script("S: 250 2.1.5..\nS: 250 2.1.5..\nS: 501 5.1.3..\nC= ATA\\r\\n\nS: 354..");
    play.finish();
}

/// A line too long is answered in its turn too.
#[test]
fn a_long_line_behind_open_recipients() {
    let mut play = holding(Verb::Rcpt);
    let long = "x".repeat(5000);
    play.script("C: MAIL FROM:<a@x.test>\nS: 250 2.1.0..");
    play.send(format!("RCPT TO:<1@y.test>\r\nRCPT TO:<{long}").as_bytes());
    play.send(b">\r\nRCPT TO:<2@y.test>\r\nNOOP\r\n");
    play.script("S.");
    play.answer(0, Answer::Proceed);
    play.script("S: 250 2.1.5..\nS: 500 5.5.6..\nS.");
    play.answer(0, Answer::Reply(reply("550 5.1.1 Second")));
    play.script("S: 550 5.1.1 Second\nS: 250 2.0.0 OK");
    assert_eq!(play.session.counters().errors, 2);
    play.finish();
}

/// MAIL is awaited before its RCPTs are looked at.
#[test]
fn mail_is_awaited() {
    let mut play = holding(Verb::Mail);
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<1@y.test>\nS.");
    assert_eq!((play.open.len(), play.session.wants()), (1, Wants::Verdict));
    play.answer(0, Answer::Reply(reply("550 5.7.1 Not you")));
    play.script("S: 550 5.7.1..\nS: 503 5.5.1..");
    play.finish();
}

#[test]
fn refusals_change_nothing() {
    answering(Verb::Mail, Answer::Reply(reply("451 4.7.1 Later")))
        .script("C: MAIL FROM:<a@x.test>\nS: 451 4.7.1..\nC: RCPT TO:<b@y.test>\nS: 503..");
    answering(Verb::Rcpt, Answer::Reply(reply("451 4.7.1 Later")))
        .script("C: MAIL FROM:<a@x.test>\nS: 250..\nC: RCPT TO:<b@y.test>\nS: 451..\nC: DATA\nS: 554 5.5.1..");
    answering(Verb::Data, Answer::Reply(reply("451 4.7.1 Later")))
        .script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: DATA\nS: 250..\nS: 250..\nS: 451..\nC: NOOP\nS: 250..");
    answering(Verb::Rset, Answer::Reply(reply("550 5.7.1 No"))).script(
        "C: MAIL FROM:<a@x.test>\nC: RSET\nS: 250..\nS: 550..\nC: RCPT TO:<b@y.test>\nS: 250..",
    );
    answering(Verb::Quit, Answer::Reply(reply("550 5.7.1 Stay")))
        .script("C: QUIT\nS: 550..\nC: NOOP\nS: 250..");
}

/// A 2xx in place of the session's own counts as accepted; where the session would refuse, it is only text.
#[test]
fn consent() {
    answering(Verb::Mail, Answer::Reply(reply("250 2.1.0 Gladly"))).script(
        "C: MAIL FROM:<a@x.test>\nS: 250 2.1.0 Gladly\nC: RCPT TO:<b@y.test>\nS: 250 2.1.5..",
    );
    answering(Verb::Mail, Answer::Reply(reply("250 2.1.0 Gladly")))
        .script("C: MAIL FROM:<nonsense>\nS: 250 2.1.0 Gladly\nC: RCPT TO:<b@y.test>\nS: 503..");
    answering(
        Verb::Other,
        Answer::Reply(reply("250 2.0.0 Nothing happens")),
    )
    .script("C: XYZZY\nS: 250 2.0.0 Nothing happens");
}

/// A reply gets an enhanced code if it has none.
#[test]
fn enhanced_codes_are_added() {
    let bare = postern_smtp::reply::Reply::parse(550, None, "No\nreally").unwrap();
    answering(Verb::Mail, Answer::Reply(bare))
        .script("C: MAIL FROM:<a@x.test>\nS: 550-5.0.0 No\nS: 550 5.0.0 really");
}

#[test]
fn disconnection() {
    let mut play = answering(Verb::Rcpt, Answer::Disconnect(reply("550 5.7.1 Go away")));
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: DATA\nS: 250..\nS: 550 5.7.1..\nX: Disconnected");
    play.finish();
    // A 421 closes, whoever says it.
    let mut play = answering(Verb::Mail, Answer::Reply(reply("421 4.7.0 Enough")));
    play.script("C: MAIL FROM:<a@x.test>\nC: NOOP\nS: 421..\nX: Disconnected");
    play.finish();
}

#[test]
fn a_refused_greeting_closes() {
    for refusal in [
        Answer::Reply(reply("554 5.7.1 No")),
        Answer::Disconnect(reply("554 5.7.1 No")),
    ] {
        let mut play = Play::with(config(), Box::new(move |_| Some(refusal.clone())));
        play.script("S: 554 5.7.1 No\nX: Disconnected");
        play.finish();
    }
}

/// Answers that do not fit are errors of the caller's; the client hears a temporary no, and never a false yes.
#[test]
fn unfit_answers() {
    for (verb, line, answer) in [
        (
            Verb::Data,
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n",
            "250 2.0.0 Yes",
        ),
        (Verb::StartTls, "STARTTLS\r\n", "220 2.0.0 Yes"),
        (Verb::Rset, "RSET\r\n", "250 2.0.0 Yes"),
        (Verb::Quit, "QUIT\r\n", "250 2.0.0 Yes"),
    ] {
        let mut play = Play::with(
            Config {
                starttls: true,
                ..config()
            },
            Box::new(move |question: &Question| {
                let mine = question.line.as_ref().is_some_and(|line| line.verb == verb);
                if mine { None } else { agree(question) }
            }),
        );
        play.send(b"EHLO client.test\r\n");
        play.send(line.as_bytes());
        let id = play.open.remove(0).id;
        let result = play
            .session
            .answer(id, Answer::Reply(reply(answer)), play.now);
        assert_eq!(result, Err(AnswerError::Unfit(id)), "{verb:?}");
        let said = play.session.poll_action().unwrap();
        assert!(
            matches!(&said, Action::Reply(ReplyTo::Command(Some(to), _), reply) if *to == id && reply.code().value() == 451),
            "{verb:?}: {said:?}"
        );
        assert_eq!(play.session.wants(), Wants::Input, "{verb:?}");
    }
}

#[test]
fn only_the_caller_accepts_a_message() {
    let mut play = Play::with(
        config(),
        Box::new(|question: &Question| {
            if question.line.is_none() && question.id.value() > 1 {
                None
            } else {
                Some(Answer::Proceed)
            }
        }),
    );
    play.send(b"EHLO client.test\r\n");
    play.send(b"MAIL FROM:<a@x.test> BODY=8BITMIME\r\nRCPT TO:<b@y.test>\r\nDATA\r\n");
    play.send("ü\r\n.\r\n".as_bytes());
    let question = play.open.remove(0);
    let Prospect::Accept(Ask::MessageEnd(end)) = question.prospect else {
        panic!("{question:?}")
    };
    assert_eq!(
        (end.size, end.recipients, end.eight_bit, end.chunked),
        (4, 1, true, false)
    );
    assert_eq!(play.session.wants(), Wants::Verdict);
    let result = play.session.answer(question.id, Answer::Proceed, play.now);
    assert_eq!(result, Err(AnswerError::Unfit(question.id)));
    assert!(
        matches!(play.session.poll_action(), Some(Action::Reply(ReplyTo::Message(..), reply)) if reply.code().value() == 451)
    );
    let again = play.session.answer(question.id, Answer::Proceed, play.now);
    assert_eq!(again, Err(AnswerError::UnknownQuestion(question.id)));
}

#[test]
fn answers_per_recipient_are_for_lmtp() {
    let per_recipient = |count: usize| {
        Answer::PerRecipient(
            (1..=count)
                .map(|n| {
                    reply(&format!(
                        "{}50 {}.0.0 {n}",
                        n + 1,
                        if n == 1 { 2 } else { n + 1 }
                    ))
                })
                .collect(),
        )
    };
    for (protocol, replies, fits) in [
        (Protocol::Lmtp, 1, true),
        (Protocol::Lmtp, 2, false),
        (Protocol::Smtp, 1, false),
    ] {
        let mut play = Play::with(
            Config {
                protocol,
                ..config()
            },
            Box::new(|question: &Question| {
                if question.line.is_none() && question.id.value() > 1 {
                    None
                } else {
                    Some(Answer::Proceed)
                }
            }),
        );
        play.send(if protocol == Protocol::Lmtp {
            b"LHLO client.test\r\n"
        } else {
            b"EHLO client.test\r\n"
        });
        play.send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n");
        play.send(b".\r\n");
        let question = play.open.remove(0);
        let answer = if replies == 1 {
            per_recipient(1)
        } else {
            Answer::PerRecipient(vec![reply("250 2.0.0 x"); 2])
        };
        assert_eq!(
            play.session.answer(question.id, answer, play.now).is_ok(),
            fits,
            "{protocol:?} {replies}"
        );
        let expected = if fits { 250 } else { 451 };
        assert!(
            matches!(play.session.poll_action(), Some(Action::Reply(_, reply)) if reply.code().value() == expected)
        );
    }
}

/// A 2xx for these would have the client go on as if they had been accepted.
#[test]
fn what_may_only_be_refused_is_not_accepted_when_it_was_refused_already() {
    for (verb, line) in [
        (Verb::StartTls, "STARTTLS"),
        (Verb::Data, "DATA"),
        (Verb::Rset, "RSET now"),
        (Verb::Quit, "QUIT now"),
    ] {
        for code in ["220 2.0.0 Fine", "354", "250 2.0.0 Fine"] {
            let mut play = holding(verb);
            play.send(line.as_bytes());
            play.send(b"\r\n");
            let question = play.open.remove(0);
            assert!(matches!(question.prospect, Prospect::Refuse(_)), "{line}");
            let answer = Answer::Reply(reply(code));
            let result = play.session.answer(question.id, answer, play.now);
            assert_eq!(
                result,
                Err(AnswerError::Unfit(question.id)),
                "{line} {code}"
            );
            play.drive();
            play.script("S: 451 4.3.0..");
            play.finish();
        }
    }
}

#[test]
fn questions_nobody_asked() {
    let now = Instant::now();
    let mut session = Session::new(std::sync::Arc::new(config()), Transport { tls: true }, now);
    let Some(Action::Ask(question)) = session.poll_action() else {
        panic!("no greeting")
    };
    session.answer(question.id, Answer::Proceed, now).unwrap();
    assert_eq!(
        session.answer(question.id, Answer::Proceed, now),
        Err(AnswerError::UnknownQuestion(question.id))
    );
    assert!(
        !session.refuse_content(reply("550 5.7.1 No"), now),
        "no content is arriving"
    );
    assert!(session.is_tls());
}
