//! Dialogues that the caller carries on: what is taken, what is no command meanwhile, and how they end.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use postern_smtp::command::Verb;
use postern_smtp::reply::Reply;
use postern_smtp::server::{Answer, Ask, Expects, MAX_DIALOGUE_OCTETS, Prospect, Question};

use super::driver::{Play, Respond, agree, config, reply};

type Heard = Rc<RefCell<Vec<Vec<u8>>>>;

/// Talks about XTALK as `steps` say: the first to the command, each further one to what the client said last.
fn talking(steps: impl Fn(usize) -> Answer + 'static) -> (Respond, Heard) {
    let heard = Heard::default();
    let own = Rc::clone(&heard);
    let respond = move |question: &Question| {
        if let Some(line) = &question.line
            && line.verb == Verb::Other
            && line.raw.starts_with(b"XTALK")
        {
            return Some(steps(0));
        }
        if let Prospect::Accept(Ask::Dialogue(said)) = &question.prospect {
            own.borrow_mut().push(said.to_vec());
            return Some(steps(own.borrow().len()));
        }
        agree(question)
    };
    (Box::new(respond), heard)
}

fn step(text: &str, expects: Expects) -> Answer {
    let (code, text) = text.split_once(' ').unwrap();
    let reply = Reply::parse(code.parse().unwrap(), None, text).unwrap();
    Answer::Dialogue {
        reply: Some(reply),
        expects,
    }
}

fn greeted(respond: Respond) -> Play {
    let mut play = Play::with(config(), respond);
    play.script("S: 220 mx.test ESMTP Postern\nC: HELO client.test\nS: 250 mx.test");
    play
}

#[test]
fn lines_and_octets_go_to_the_caller_and_are_no_commands() {
    let (respond, heard) = talking(|step_number| match step_number {
        0 => step("354 Say", Expects::Line(0)),
        1 => step("354 Now nine octets", Expects::Octets(9)),
        _ => Answer::Reply(reply("250 2.0.0 Thanks")),
    });
    let mut play = greeted(respond);
    play.script(
        "C: XTALK
         S: 354 Say
         C: RSET
         S: 354 Now nine octets
         C= QUIT\\r\\n
         S.
         C= ab\\n
         S: 250 2.0.0 Thanks
         C: NOOP
         S: 250 2.0.0 OK",
    );
    assert_eq!(*heard.borrow(), [&b"RSET"[..], b"QUIT\r\nab\n"]);
    play.finish();
}

#[test]
fn what_comes_before_the_client_is_told_to_go_on_closes_the_session() {
    for (sent, closes) in [
        ("XTALK\r\nMAIL FROM:<a@b.test>\r\n", true),
        ("XTALK\r\n", false),
    ] {
        let (respond, heard) = talking(|_| step("354 Say", Expects::Line(0)));
        let mut play = greeted(respond);
        play.send(sent.as_bytes());
        assert_eq!(play.closed.is_some(), closes, "{sent:?}");
        let first = match closes {
            true => "S 554 5.5.0 Input came before it was asked for\nPrematureInput",
            false => "S 354 Say\n",
        };
        assert_eq!(play.transcript(), first, "{sent:?}");
        assert!(heard.borrow().is_empty());
    }
}

#[test]
fn without_a_word_to_wait_for_what_follows_is_part_of_it() {
    let (respond, heard) = talking(|step_number| match step_number {
        0 => Answer::Dialogue {
            reply: None,
            expects: Expects::Octets(5),
        },
        _ => Answer::Reply(reply("250 2.0.0 Five")),
    });
    let mut play = greeted(respond);
    play.script(
        "C= XTALK 5\\r\\nabcdeNOOP\\r\\n
         S: 250 2.0.0 Five
         S: 250 2.0.0 OK",
    );
    assert_eq!(*heard.borrow(), [b"abcde"]);
    play.finish();
}

#[test]
fn it_ends_with_any_other_reply_and_there_is_nothing_to_proceed_with() {
    for (last, said) in [
        (Answer::Reply(reply("550 5.7.1 No")), "550 5.7.1 No"),
        (
            step("250 x", Expects::Line(0)),
            "451 4.3.0 Local error, try again later",
        ),
        (Answer::Proceed, "451 4.3.0 Local error, try again later"),
        (
            step("354 x", Expects::Octets(0)),
            "451 4.3.0 Local error, try again later",
        ),
        (
            step("354 x", Expects::Octets(MAX_DIALOGUE_OCTETS + 1)),
            "451 4.3.0 Local error, try again later",
        ),
    ] {
        let mut play = greeted(Box::new(|question| match &question.line {
            Some(line) if line.raw.starts_with(b"XTALK") => Some(step("334 Say", Expects::Line(0))),
            _ if matches!(question.prospect, Prospect::Accept(Ask::Dialogue(_))) => None,
            _ => agree(question),
        }));
        play.script("C: XTALK\nS: 334 Say\nC: x\nS.");
        let id = play.open.remove(0).id;
        let fits = play.session.answer(id, last.clone(), play.now).is_ok();
        assert_eq!(
            fits,
            said.starts_with("550") || last == Answer::Proceed,
            "{last:?}"
        );
        play.drive();
        play.script(&format!("S: {said}\nC: RSET\nS: 250 2.0.0 Forgotten"));
        play.finish();
    }
}

#[test]
fn of_a_command_that_does_something_there_is_no_dialogue() {
    for line in ["RSET", "MAIL FROM:<a@b.test>", "QUIT", "EHLO x.test"] {
        let mut play = greeted(Box::new(|question| match &question.line {
            Some(line) if line.verb != Verb::Helo => None,
            _ => agree(question),
        }));
        play.send(format!("{line}\r\n").as_bytes());
        let id = play.open.pop().unwrap().id;
        let answer = step("354 x", Expects::Line(0));
        assert!(play.session.answer(id, answer, play.now).is_err(), "{line}");
    }
}

#[test]
fn lines_octets_and_steps_have_bounds() {
    // A line that is longer than the caller wants is not skipped: who knows what follows.
    let (respond, _) = talking(|_| step("354 Say", Expects::Line(10)));
    let mut play = greeted(respond);
    play.script(
        "C: XTALK
         S: 354 Say
         C: 0123456789
         S: 354 Say
         C: 0123456789a
         S: 500 5.5.6 Line too long
         X: LineTooLong",
    );
    play.finish();
    let (respond, heard) = talking(|_| Answer::Dialogue {
        reply: None,
        expects: Expects::Line(0),
    });
    let mut play = greeted(respond);
    play.send(b"XTALK\r\n");
    play.send(&b"x\r\n".repeat(1001));
    assert_eq!(heard.borrow().len(), 1000);
    play.script("S: 554 5.5.0 The dialogue has no end\nX: Dialogue");
    let (respond, heard) = talking(|_| Answer::Dialogue {
        reply: None,
        expects: Expects::Octets(1000),
    });
    let mut config = config();
    config.limits.max_message_size = 2500;
    let mut play = Play::with(config, respond);
    play.script("S: 220 mx.test ESMTP Postern");
    play.send(b"XTALK\r\n");
    play.send(&[b'x'; 3000]);
    assert_eq!(heard.borrow().len(), 2);
    play.script("S: 554 5.5.0 The dialogue has no end\nX: Dialogue");
}

#[test]
fn a_client_that_says_nothing_is_not_waited_for() {
    for (expects, said) in [
        (
            Expects::Line(0),
            "421 4.4.2 mx.test Timeout waiting for a command",
        ),
        (
            Expects::Octets(9),
            "421 4.4.2 mx.test Content comes too slowly",
        ),
    ] {
        let (respond, _) = talking(move |_| step("354 Say", expects));
        let mut play = greeted(respond);
        play.script("C: XTALK\nS: 354 Say\nC= half\nS.");
        play.script(&format!("W: 4000\nS: {said}"));
        assert!(play.closed.is_some());
    }
}

#[test]
fn the_end_of_the_service_does_not_wait_for_a_dialogue() {
    let (respond, _) = talking(|_| step("354 Say", Expects::Line(0)));
    let mut play = greeted(respond);
    play.script("C: XTALK\nS: 354 Say");
    play.session.shutdown();
    play.drive();
    play.script("S: 421 4.3.2 mx.test Service shutting down, try again later\nX: Shutdown");
}

#[test]
fn a_bare_lf_in_a_dialogue_ends_the_session() {
    let (respond, heard) = talking(|_| step("354 Say", Expects::Line(0)));
    let mut play = greeted(respond);
    play.script("C: XTALK\nS: 354 Say\nC= a\\nb\\r\\n\nS: 500 5.5.2..\nX: BareLf");
    assert!(heard.borrow().is_empty());
    // Octets are octets.
    let (respond, heard) = talking(|_| step("354 Say", Expects::Octets(3)));
    let mut play = greeted(respond);
    play.script("C: XTALK\nS: 354 Say\nC= a\\nb\nS: 354 Say");
    assert_eq!(*heard.borrow(), [Bytes::from_static(b"a\nb")]);
}
