//! What each answer does, on the wire.

use std::sync::Arc;

use bytes::Bytes;

use super::play::{Play, Said, config, transaction};
use crate::client::{
    Action, AnswerError, Answered, CommandAnswer, Commands, Delivery, Extra, Failure, Line,
    NextStage, Occasion, OwnLine, Protocol, Question, Questions, Response, ResponseAnswer, Stage,
    Taking, TlsAnswer, TlsUse, Transaction,
};

const MAIL: &[u8] = b"Subject: x\r\n\r\ntext\r\n";

fn line(text: &str) -> Line {
    Line::new(text.to_owned()).unwrap()
}

fn extra(text: &str) -> Extra {
    Extra::new(line(text)).unwrap()
}

fn response(code: u16) -> Arc<Response> {
    Arc::new(Response {
        code,
        enhanced: None,
        lines: vec![Bytes::from_static(b"by an answer")],
    })
}

/// A session that asks everything, and answers lines that start with `verb` so, at their stage.
fn asking(verb: &'static str, answer: CommandAnswer) -> Play {
    let mut config = config(Protocol::Smtp);
    config.questions = Questions::ALL;
    let mut answer = Some(answer);
    Play::new(config).answers(move |question| match question {
        Question::Command(asked)
            if asked.occasion != Occasion::Command && asked.line.starts_with(verb.as_bytes()) =>
        {
            answer.take().map_or(Said::Default, Said::Command)
        }
        _ => Said::Default,
    })
}

fn open(mut play: Play, keywords: &[&str]) -> Play {
    play.hears("220 mx.test");
    play.hears("250-mx.test");
    for keyword in keywords {
        play.hears(&format!("250-{keyword}"));
    }
    play.hears("250 HELP");
    assert!(play.ready);
    play
}

/// A session that takes the reply to `to` in another way, once.
fn taking(to: &'static str, taking: Taking) -> Play {
    let mut config = config(Protocol::Smtp);
    config.questions.responses = true;
    let mut taking = Some(taking);
    Play::new(config).answers(move |question| {
        let Question::Response(asked) = question else {
            return Said::Default;
        };
        let line = match &asked.to {
            Answered::Connection => Bytes::from_static(b"CONNECT"),
            Answered::Command(line) => line.clone(),
            Answered::Content => Bytes::from_static(b"."),
        };
        match line.starts_with(to.as_bytes()) {
            true => taking.take().map_or(Said::Default, |taking| {
                Said::Response(ResponseAnswer::Take(taking))
            }),
            false => Said::Default,
        }
    })
}

fn as_reply(code: u16) -> Taking {
    Taking {
        response: Some(response(code)),
        next: None,
    }
}

fn going_on(next: NextStage) -> Taking {
    Taking {
        response: None,
        next: Some(next),
    }
}

#[test]
fn everything_is_asked_in_order() {
    let mut config = config(Protocol::Smtp);
    config.questions = Questions::ALL;
    let mut play = open(Play::new(config), &["PIPELINING"]);
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    assert_eq!(play.hears("250 ok\r\n550 no\r\n250 ok"), "DATA\r\n");
    play.hears("354 go");
    play.hears("250 taken");
    play.session.quit(play.now);
    play.sent();
    play.hears("221 bye");
    let asked: Vec<String> = play
        .asked
        .iter()
        .map(|question| match question {
            Question::Command(asked) => {
                let line = String::from_utf8_lossy(&asked.line);
                let verb = line.split(' ').next().unwrap().to_owned();
                match &asked.occasion {
                    Occasion::Command => verb,
                    Occasion::BeforeData { accepted } => format!("before {verb} to {accepted:?}"),
                    _ => format!("before {verb}"),
                }
            }
            Question::Tls { encrypted } => format!("tls {encrypted}"),
            Question::Response(asked) => {
                let about = asked
                    .recipient
                    .map_or(String::new(), |r| format!(" of {r}"));
                let together = if asked.pipelined { " in a group" } else { "" };
                format!("{}{about}{together}", asked.response.code)
            }
        })
        .collect();
    let due = "220, before EHLO, EHLO, 250, tls false, before MAIL, MAIL, before RCPT, RCPT, before RCPT, RCPT, \
               250 in a group, 550 of 0 in a group, 250 of 1, before DATA to [1], DATA, 354, 250, before QUIT, QUIT, 221";
    assert_eq!(asked.join(", "), due);
}

#[test]
fn commands_go_around_one_and_in_its_place() {
    let commands = Commands {
        before: vec![extra("XONE"), extra("XTWO").pipelined()],
        own: OwnLine::Instead(line("MAIL FROM:<from@client.test> AUTH=<>")),
        after: vec![extra("XTHREE").pipelined()],
    };
    let mut play = open(
        asking("MAIL", CommandAnswer::Send(commands)),
        &["PIPELINING"],
    );
    let sent = play.send(transaction(&["a@x"], MAIL), MAIL);
    assert_eq!(sent, "XONE\r\n", "it must be waited with");
    let group = play.hears("250 ok");
    let due = "XTWO\r\nMAIL FROM:<from@client.test> AUTH=<>\r\nXTHREE\r\nRCPT TO:<a@x>\r\n";
    assert_eq!(group, due);
    // Refusals of what was put in change nothing.
    assert_eq!(
        play.hears("502 what\r\n250 ok\r\n502 what\r\n250 ok"),
        "DATA\r\n"
    );
}

#[test]
fn a_dialogue_goes_on_until_the_answer_lets_the_command_through() {
    let login = extra("AUTH LOGIN")
        .with_invited(Bytes::from_static(b"bWU=\r\n"))
        .unwrap();
    let first = CommandAnswer::First(vec![login, extra("c2VjcmV0")]);
    let mut play = open(asking("MAIL", first), &["PIPELINING"]);
    assert_eq!(
        play.send(transaction(&["a@x"], MAIL), MAIL),
        "AUTH LOGIN\r\n"
    );
    assert_eq!(play.hears("334 VXNlcm5hbWU6"), "bWU=\r\n");
    assert_eq!(play.hears("334 UGFzc3dvcmQ6"), "c2VjcmV0\r\n");
    let group = play.hears("235 welcome");
    assert!(group.starts_with("MAIL FROM:<from@client.test>\r\nRCPT"));
}

#[test]
fn a_dialogue_that_nobody_goes_on_with_ends_the_session_and_takes_no_command() {
    let commands = Commands {
        before: vec![extra("AUTH LOGIN")],
        ..Commands::default()
    };
    let mut play = open(asking("MAIL", CommandAnswer::Send(commands)), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    assert_eq!(play.hears("334 VXNlcm5hbWU6"), "");
    assert!(
        play.results()[0].starts_with("broken"),
        "{:?}",
        play.results()
    );
    assert!(play.closed.is_some());
}

#[test]
fn what_is_left_out_waits_for_another_attempt() {
    let left_out = || {
        CommandAnswer::Send(Commands {
            own: OwnLine::Drop,
            ..Commands::default()
        })
    };
    let mut play = open(asking("RCPT", left_out()), &["PIPELINING"]);
    let group = play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    assert!(group.ends_with("test>\r\nRCPT TO:<b@x>\r\n"), "{group}");
    play.hears("250 ok\r\n250 ok");
    play.hears("354 go");
    play.hears("250 taken");
    assert_eq!(play.results(), ["withheld at RCPT", "accepted 250"]);

    let mut play = open(asking("DATA", left_out()), &["PIPELINING"]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    assert_eq!(play.hears("250 ok\r\n250 ok"), "");
    assert_eq!(play.results(), ["withheld at DATA"]);
    let next = play.send(transaction(&["a@x"], MAIL), MAIL);
    assert!(next.starts_with("RSET\r\n"), "{next}");

    let mut play = open(asking("QUIT", left_out()), &[]);
    play.session.quit(play.now);
    assert_eq!(play.sent(), b"");
    assert_eq!(play.closed, Some(None));
}

#[test]
fn a_refusal_is_about_what_the_command_is_for() {
    for (verb, results) in [
        ("MAIL", ["declined 550 at MAIL", "declined 550 at MAIL"]),
        ("RCPT", ["declined 550 at RCPT", "accepted 250"]),
        ("DATA", ["declined 550 at DATA", "declined 550 at DATA"]),
    ] {
        let refuse = CommandAnswer::Refuse(response(550));
        let mut play = open(asking(verb, refuse), &[]);
        let mut sent = play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
        for _ in 0..8 {
            if play.finished.is_empty() {
                let reply = if sent == "DATA\r\n" {
                    "354 go"
                } else {
                    "250 ok"
                };
                sent = play.hears(reply);
            }
        }
        assert_eq!(play.results(), results);
        let last = play.finished.last().unwrap();
        assert!(last.recipients.iter().all(|word| word.is_final()));
        assert!(play.session.is_ready());
    }
    let mut play = asking("EHLO", CommandAnswer::Refuse(response(450)));
    assert_eq!(play.hears("220 mx.test"), "QUIT\r\n");
    let why = play.closed.unwrap().unwrap();
    assert!(matches!(
        *why,
        Failure::Declined {
            stage: Stage::Hello,
            ..
        }
    ));
}

#[test]
fn what_holds_the_session_together_cannot_be_taken_out() {
    let drop = || Commands {
        own: OwnLine::Drop,
        ..Commands::default()
    };
    let instead = |text| Commands {
        own: OwnLine::Instead(line(text)),
        ..Commands::default()
    };
    let after = Commands {
        after: vec![extra("XTRA")],
        ..Commands::default()
    };
    for (verb, commands, error) in [
        ("EHLO", drop(), AnswerError::Needed),
        ("EHLO", instead("MAIL FROM:<>"), AnswerError::OtherCommand),
        ("MAIL", instead("NOOP"), AnswerError::OtherCommand),
        ("DATA", instead("DATA now"), AnswerError::OtherCommand),
        ("BDAT", instead("BDAT 1 LAST"), AnswerError::OtherCommand),
        ("QUIT", after, AnswerError::NothingFollows),
    ] {
        let keywords: &[&str] = match verb {
            "BDAT" => &["PIPELINING", "CHUNKING"],
            _ => &["PIPELINING"],
        };
        let mut play = open(asking(verb, CommandAnswer::Send(commands)), keywords);
        play.send(transaction(&["a@x"], MAIL), MAIL);
        play.hears("250 ok\r\n250 ok");
        play.hears(if verb == "BDAT" {
            "250 taken"
        } else {
            "354 go"
        });
        if verb != "BDAT" {
            play.hears("250 taken");
        }
        play.session.quit(play.now);
        play.sent();
        assert_eq!(play.unfit, [error], "{verb}");
        assert_eq!(play.results(), ["accepted 250"]);
    }
    let mut config = config(Protocol::Smtp);
    config.tls = TlsUse::Required;
    config.questions.commands = true;
    let mut play = Play::new(config).answers(move |question| match question {
        Question::Command(asked) if asked.line == "STARTTLS" => {
            Said::Command(CommandAnswer::Send(drop()))
        }
        _ => Said::Default,
    });
    play.hears("220 mx.test");
    assert_eq!(play.hears("250-mx.test\r\n250 STARTTLS"), "STARTTLS\r\n");
    assert_eq!(play.unfit, [AnswerError::Needed]);
}

#[test]
fn helo_may_stand_for_ehlo() {
    let commands = Commands {
        own: OwnLine::Instead(line("HELO other.test")),
        ..Commands::default()
    };
    let mut play = asking("EHLO", CommandAnswer::Send(commands));
    assert_eq!(play.hears("220 mx.test"), "HELO other.test\r\n");
    play.hears("250-mx.test\r\n250 PIPELINING");
    assert!(play.ready && !play.session.peer().pipelining);
}

#[test]
fn an_answer_cannot_keep_a_stage_waiting_for_ever() {
    let mut config = config(Protocol::Smtp);
    config.questions.message_start = true;
    let mut play = Play::new(config).answers(|question| match question {
        Question::Command(_) => Said::Command(CommandAnswer::First(Vec::new())),
        _ => Said::Default,
    });
    play.hears("220 mx.test");
    play.hears("250 mx.test");
    let sent = play.send(transaction(&["a@x"], MAIL), MAIL);
    assert!(sent.starts_with("MAIL"), "{sent}");
    assert_eq!(play.unfit, [AnswerError::TooMany]);
}

#[test]
fn a_reply_may_be_taken_for_another_of_its_kind() {
    let mut play = open(taking("RCPT", as_reply(450)), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    play.hears("550 never");
    assert_eq!(play.results(), ["450 at RCPT"]);

    let mut play = open(taking(".", as_reply(550)), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    play.hears("250 ok");
    play.hears("354 go");
    play.hears("451 later");
    assert_eq!(play.results(), ["550 at the end of the content"]);

    // The peer has a transaction open, whatever its reply was taken for.
    let mut play = open(taking("MAIL", as_reply(550)), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    assert_eq!(play.hears("250 ok"), "");
    assert_eq!(play.results(), ["550 at MAIL"]);
    assert_eq!(play.send(transaction(&["a@x"], MAIL), MAIL), "RSET\r\n");
}

#[test]
fn nothing_taken_becomes_a_failure_and_nothing_refused_a_success() {
    for (to, replies, code, result) in [
        (
            "RCPT",
            ["250 ok", "250 ok", "354 go", "250 taken"],
            450,
            "accepted 250",
        ),
        (
            "DATA",
            ["250 ok", "250 ok", "354 go", "250 taken"],
            450,
            "accepted 250",
        ),
        (
            ".",
            ["250 ok", "250 ok", "354 go", "250 taken"],
            451,
            "accepted 250",
        ),
        (
            ".",
            ["250 ok", "250 ok", "354 go", "250 taken"],
            554,
            "accepted 250",
        ),
        (
            ".",
            ["250 ok", "250 ok", "354 go", "451 no"],
            250,
            "451 at the end of the content",
        ),
        ("RCPT", ["250 ok", "550 no", "", ""], 250, "550 at RCPT"),
        ("MAIL", ["550 no", "", "", ""], 250, "550 at MAIL"),
    ] {
        let mut play = open(taking(to, as_reply(code)), &[]);
        play.send(transaction(&["a@x"], MAIL), MAIL);
        for reply in replies.iter().filter(|reply| !reply.is_empty()) {
            play.hears(reply);
        }
        assert_eq!(play.unfit, [AnswerError::OtherClass], "{to} {code}");
        assert_eq!(play.results(), [result], "{to} {code}");
    }
    // Behind a pipelined MAIL there is no way back.
    let mut play = open(taking("MAIL", as_reply(450)), &["PIPELINING"]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    assert_eq!(play.unfit, [AnswerError::OtherClass]);
}

#[test]
fn an_answer_says_where_to_go_on() {
    // The second recipient is not tried.
    let mut play = open(taking("RCPT", going_on(NextStage::BeforeData)), &[]);
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    play.hears("250 ok");
    assert_eq!(play.hears("250 ok"), "DATA\r\n");
    play.hears("354 go");
    play.hears("250 taken");
    assert_eq!(play.results(), ["accepted 250", "withheld at RCPT"]);

    let mut play = open(taking("RCPT", going_on(NextStage::SessionEnd)), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    assert_eq!(play.hears("250 ok"), "QUIT\r\n");
    assert_eq!(play.results(), ["withheld at an idle connection"]);

    // Greeted twice, and once more for ever would be too often.
    let mut config = config(Protocol::Smtp);
    config.questions.responses = true;
    let mut play = Play::new(config).answers(|question| match question {
        Question::Response(asked) if asked.to != Answered::Connection => {
            Said::Response(ResponseAnswer::Take(going_on(NextStage::SessionStart)))
        }
        _ => Said::Default,
    });
    play.hears("220 mx.test");
    for _ in 0..5 {
        assert_eq!(play.hears("250 mx.test"), "EHLO client.test\r\n");
    }
    assert_eq!(play.hears("250 mx.test"), "");
    assert!(play.ready && play.unfit == [AnswerError::OtherStage]);

    // Not behind a pipelined command, and not away from recipients whose content is being delivered.
    let mut play = open(
        taking("MAIL", going_on(NextStage::SessionEnd)),
        &["PIPELINING"],
    );
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    assert_eq!(play.unfit, [AnswerError::OtherStage]);
}

#[test]
fn a_session_ended_by_an_answer_defers_what_is_open_and_keeps_what_was_taken() {
    let mut play = open(asking("RCPT", CommandAnswer::End), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    assert_eq!(play.hears("250 ok"), "QUIT\r\n");
    let report = play.finished.last().unwrap();
    assert!(!report.recipients[0].is_final());

    let mut config = config(Protocol::Smtp);
    config.questions.responses = true;
    let play = Play::new(config).answers(|question| match question {
        Question::Response(asked) if asked.to == Answered::Content => {
            Said::Response(ResponseAnswer::End)
        }
        _ => Said::Default,
    });
    let mut play = open(play, &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    play.hears("250 ok");
    play.hears("354 go");
    play.hears("250 taken");
    assert_eq!(play.results(), ["accepted 250"]);
    assert!(play.closed.is_some());
}

/// A session that refuses what the first reply to `to` is about.
fn refusing(to: &'static str, code: u16) -> Play {
    let mut config = config(Protocol::Smtp);
    config.questions.responses = true;
    let mut refusal = Some(response(code));
    Play::new(config).answers(move |question| {
        let Question::Response(asked) = question else {
            return Said::Default;
        };
        let line = match &asked.to {
            Answered::Connection => Bytes::from_static(b"CONNECT"),
            Answered::Command(line) => line.clone(),
            Answered::Content => Bytes::from_static(b"."),
        };
        match line.starts_with(to.as_bytes()) {
            true => refusal.take().map_or(Said::Default, |refusal| {
                Said::Response(ResponseAnswer::Refuse(refusal))
            }),
            false => Said::Default,
        }
    })
}

#[test]
fn what_a_reply_is_about_may_be_refused() {
    // The recipient, and the others are tried again: there is no way to take an accepted one back.
    let mut play = open(refusing("RCPT", 550), &[]);
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    play.hears("250 ok");
    assert_eq!(play.hears("250 ok"), "");
    assert_eq!(play.results(), ["declined 550 at RCPT", "withheld at RCPT"]);
    assert_eq!(play.send(transaction(&["b@x"], MAIL), MAIL), "RSET\r\n");
    assert_eq!(play.hears("250 ok"), "MAIL FROM:<from@client.test>\r\n");

    // In a group the content may be on its way: nothing more is said.
    let mut play = open(refusing("RCPT", 450), &["PIPELINING"]);
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    assert_eq!(play.hears("250 ok\r\n250 ok\r\n250 ok\r\n354 go"), "");
    assert_eq!(play.results(), ["declined 450 at RCPT", "withheld at RCPT"]);
    assert!(play.closed.is_some());

    // The message.
    for (to, results) in [
        ("MAIL", ["declined 550 at MAIL"]),
        ("DATA", ["declined 550 at DATA"]),
    ] {
        let mut play = open(refusing(to, 550), &[]);
        play.send(transaction(&["a@x"], MAIL), MAIL);
        for reply in ["250 ok", "250 ok", "354 go"] {
            if play.finished.is_empty() {
                play.hears(reply);
            }
        }
        assert_eq!(play.results(), results);
        // Who waits for a content gets nothing that could be taken for one.
        assert_eq!(play.closed.is_some(), to == "DATA");
    }

    // The session.
    let mut play = refusing("EHLO", 450);
    play.hears("220 mx.test");
    assert_eq!(play.hears("250 mx.test"), "QUIT\r\n");
    assert!(!play.ready);

    // What was refused anyway is refused in other words, and what was taken stays taken.
    let mut play = open(refusing("RCPT", 550), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    play.hears("450 later");
    assert_eq!(play.results(), ["550 at RCPT"]);
    let mut play = open(refusing(".", 550), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    for reply in ["250 ok", "250 ok", "354 go", "250 taken"] {
        play.hears(reply);
    }
    assert_eq!(play.results(), ["accepted 250"]);
    let mut play = open(refusing("RCPT", 250), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    play.hears("250 ok");
    assert_eq!(play.unfit, [AnswerError::NotARefusal]);
}

#[test]
fn a_message_may_be_another_one_before_its_mail() {
    let before_mail = |keywords: &[&str]| {
        let mut config = config(Protocol::Smtp);
        config.questions.message_start = true;
        let mut play = open(Play::new(config), keywords);
        let now = play.now;
        let sent = play.session.send(transaction(&["a@x"], MAIL), now);
        assert!(sent.is_ok());
        assert!(matches!(
            play.session.poll_action(),
            Some(Action::Ask(Question::Command(_)))
        ));
        (play, now)
    };
    let of_size = |size, recipients: &[&'static str]| Transaction {
        size,
        ..transaction(recipients, MAIL)
    };
    let (mut play, now) = before_mail(&["PIPELINING", "SIZE 100"]);
    let others = play.session.revise(of_size(60, &["a@x", "b@x"]), now);
    assert_eq!(others, Err(AnswerError::NotOpen));
    assert_eq!(play.session.revise(of_size(60, &["a@x"]), now), Ok(true));
    play.session.proceed_by_default(now);
    let Some(Action::Send(sent)) = play.session.poll_action() else {
        panic!("nothing was sent");
    };
    assert_eq!(
        sent,
        "MAIL FROM:<from@client.test> SIZE=60\r\nRCPT TO:<a@x>\r\nDATA\r\n"
    );
    let late = play.session.revise(of_size(61, &["a@x"]), now);
    assert_eq!(late, Err(AnswerError::NotOpen));

    // The chunk is as long as what is sent.
    let (mut play, now) = before_mail(&["PIPELINING", "CHUNKING"]);
    assert_eq!(play.session.revise(of_size(60, &["a@x"]), now), Ok(true));
    play.session.proceed_by_default(now);
    let Some(Action::Send(sent)) = play.session.poll_action() else {
        panic!("nothing was sent");
    };
    assert!(
        sent.ends_with(b"RCPT TO:<a@x>\r\nBDAT 60 LAST\r\n"),
        "{sent:?}"
    );

    // More than the peer takes: nothing of it is sent.
    let (mut play, now) = before_mail(&["PIPELINING", "SIZE 100"]);
    assert_eq!(play.session.revise(of_size(101, &["a@x"]), now), Ok(false));
    let Some(Action::Finished(report)) = play.session.poll_action() else {
        panic!("not finished");
    };
    assert!(matches!(report.recipients[..], [Delivery::Impossible(_)]));
    assert!(play.session.is_ready() && play.session.poll_action().is_none());
}

#[test]
fn a_connection_may_be_refused_for_its_encryption() {
    let mut config = config(Protocol::Smtp);
    config.questions.tls = true;
    let mut play = Play::new(config).answers(|question| match question {
        Question::Tls { encrypted: false } => Said::Tls(TlsAnswer::Refuse(response(450))),
        _ => Said::Default,
    });
    play.hears("220 mx.test");
    assert_eq!(play.hears("250 mx.test"), "QUIT\r\n");
    assert!(!play.ready);
}

#[test]
fn an_end_that_comes_while_a_question_is_open_hides_no_reply() {
    let mut config = config(Protocol::Smtp);
    config.questions.responses = true;
    let mut play = open(Play::new(config), &[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok");
    play.hears("250 ok");
    play.hears("354 go");
    // As a caller does that reads on while it finds an answer.
    let now = play.now;
    let mut input = bytes::BytesMut::from(&b"250 taken\r\n"[..]);
    play.session.handle_input(&mut input, now);
    play.session.handle_eof();
    assert!(play.session.poll_timeout().is_none());
    play.session.proceed_by_default(now);
    play.session.handle_input(&mut input, now);
    while let Some(action) = play.session.poll_action() {
        if let crate::client::Action::Finished(report) = action {
            play.finished.push(report);
        }
    }
    assert_eq!(play.results(), ["accepted 250"]);
    assert_eq!(play.session.wants(), crate::client::Wants::Nothing);
}
