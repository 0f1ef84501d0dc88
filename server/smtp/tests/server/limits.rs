//! Limits, time-outs and shutdown.

use std::time::Duration;

use postern_smtp::server::{
    Answer, Ask, CloseReason, Config, ContentRefusal, Limits, Prospect, TimeoutReason, Wants,
};

use crate::driver::{Play, agree, config, play, play_greeted, reply};

const ENVELOPE: &str =
    "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: DATA\nS: 250..\nS: 250..\nS: 354..\n";

fn limited(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = config();
    change(&mut config.limits);
    config
}

/// B12.
#[test]
fn command_lines() {
    let fits = format!("NOOP {}", "x".repeat(4096 - 7));
    play(
        config(),
        &format!("S: 220..\nC: {fits}\nS: 250..\nC: {fits}x\nS: 500 5.5.6..\nC: NOOP\nS: 250.."),
    );
    // Beyond, the line is thrown away as it comes: nothing of it is kept.
    let mut play = Play::greeted(config());
    for _ in 0..15 {
        play.send(&[b'x'; 4096]);
        assert!(play.input.len() <= 4096);
    }
    play.script("S.\nC= x\\r\nS.\nC= \\nNOOP\\r\\n\nS: 500 5.5.6..\nS: 250 2.0.0..");
    for _ in 0..17 {
        play.send(&[b'x'; 4096]);
    }
    play.script("S: 500 5.5.6..\nX: LineTooLong");
    play.finish();
}

/// B13: never cut.
#[test]
fn text_lines() {
    let script = |line: &str| format!("{ENVELOPE}C: {line}\nC: .\n");
    let config = || limited(|limits| limits.line_length = 1000);
    let fits = "x".repeat(998);
    play_greeted(
        config(),
        &(script(&fits) + &format!("M: {fits}\\r\\n\nS: 250 2.6.0..")),
    );
    play_greeted(
        config(),
        &(script(&format!("{fits}x")) + "R: 554 5.6.0\nS: 554 5.6.0..\nC: NOOP\nS: 250.."),
    );
}

/// B15, with the answers to all RCPTs still open: no recipient is refused that might have fitted.
#[test]
fn recipients() {
    let is_rcpt = |question: &postern_smtp::server::Question| {
        matches!(question.prospect, Prospect::Accept(Ask::Rcpt(_)))
    };
    let held = Box::new(move |question: &_| {
        if is_rcpt(question) {
            None
        } else {
            agree(question)
        }
    });
    let mut play = Play::with(limited(|limits| limits.recipients = 2), held);
    play.script("C: EHLO client.test");
    play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(10)));
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<1@y.test>\nC: RCPT TO:<2@y.test>\nC: RCPT TO:<3@y.test>\nC: RCPT TO:<4@y.test>\nS: 250..\nS.");
    assert_eq!(play.open.len(), 2);
    play.answer(0, Answer::Reply(reply("550 5.1.1 Unknown")));
    play.script("S: 550 5.1.1..");
    assert_eq!(play.open.len(), 2, "the third may still fit");
    play.answer(0, Answer::Proceed);
    play.answer(0, Answer::Proceed);
    play.script("S: 250..\nS: 250..\nS: 452 4.5.3..\nC: RCPT TO:<5@y.test>\nS: 452 4.5.3..\nC: DATA\nS: 354..\nC: .\nM:\nS: 250 2.6.0..");
    play.finish();
}

#[test]
fn recipients_in_flight() {
    let mut play = Play::with(
        limited(|limits| limits.recipients_in_flight = 3),
        Box::new(agree),
    );
    play.script("C: EHLO client.test");
    play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(10)));
    let group = "C: RCPT TO:<b@y.test>\n".repeat(10);
    play.script(&format!(
        "C: MAIL FROM:<a@x.test>\n{group}S: 250 2.1.0..\n{}",
        "S: 250 2.1.5..\n".repeat(10)
    ));
    play.finish();
}

#[test]
fn messages() {
    play_greeted(
        limited(|limits| limits.messages_per_session = 2),
        r"C: MAIL FROM:<a@x.test>
          C: RSET
          C: MAIL FROM:<a@x.test>
          C: RSET
          C: MAIL FROM:<a@x.test>
          S: 250..
          S: 250..
          S: 250..
          S: 250..
          S: 421 4.7.0..
          X: Messages",
    );
}

/// B19: chunks behind one that failed are no errors, but not without end.
#[test]
fn chunks_without_end() {
    let flood = |play: &mut Play| {
        let mut sent = 0;
        while play.closed.is_none() && sent < 10_000 {
            play.send(b"BDAT 0\r\n");
            sent += 1;
        }
        assert_eq!(play.closed, Some(CloseReason::Errors), "after {sent}");
        sent
    };
    // No transaction, so nothing has failed.
    let mut play = Play::greeted(config());
    assert_eq!(flood(&mut play), 21);
    let mut play = Play::greeted(config());
    play.send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 30000000\r\n");
    play.send(&vec![b'x'; 30_000_000]);
    assert!(flood(&mut play) > 100);
}

/// B19: errors, and commands that do nothing.
#[test]
fn errors_and_junk() {
    play_greeted(
        limited(|limits| limits.errors = 3),
        r"C: A
          C: B
          C: C
          C: NOOP
          S: 500..
          S: 500..
          S: 500..
          S: 421 4.7.0 mx.test Too many errors
          X: Errors",
    );
    for verb in ["NOOP", "RSET", "VRFY x", "HELP", "EHLO client.test"] {
        let mut play = Play::greeted(limited(|limits| limits.junk_commands = 3));
        let command = format!("{verb}\r\n");
        for _ in 0..4 {
            play.send(command.as_bytes());
        }
        assert_eq!(play.session.counters().junk, 3, "{verb}");
        play.script("X: JunkCommands");
    }
    // An accepted message clears the account of junk.
    let mut play = Play::greeted(limited(|limits| limits.junk_commands = 3));
    for _ in 0..3 {
        play.script("C: NOOP\nS: 250..\nC: RSET\nS: 250..");
        play.script(ENVELOPE);
        play.script("C: .\nM:\nS: 250 2.6.0..");
    }
    play.finish();
}

/// What is counted for those who judge a client's manners.
#[test]
fn counts() {
    let mut play = Play::greeted(config());
    play.script(&format!(
        "C: NOOP\nS: 250..\nC: FOO\nS: 500..\nC: MAIL FROM:<a\nS: 501..\nC: {}\nS: 500..\nC: DATA\nS: 503..",
        "x".repeat(5000)
    ));
    play.script("C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@@y.test>\nC: RCPT TO:<b@y.test>\nC: DATA");
    play.script(
        "S: 250..\nS: 501..\nS: 250..\nS: 354..\nC: .\nM:\nS: 250 2.6.0..\nC: NOOP\nS: 250..",
    );
    let counters = *play.session.counters();
    assert_eq!((counters.commands, counters.messages), (11, 1));
    assert_eq!((counters.refusals, counters.syntax_errors), (5, 4));
    assert_eq!(counters.refused_recipients, 1);
    assert_eq!((counters.junk_commands, counters.junk), (2, 1));
    // A reply to a message is a reply too, and so is one that nobody asked for.
    let mut play = Play::greeted(config());
    play.script(&format!("{ENVELOPE}C: x"));
    assert!(play.session.refuse_content(reply("550 5.7.1 No"), play.now));
    play.script("C: .\nS: 550 5.7.1 No\nW: 300\nS: 421 4.4.2..");
    assert_eq!(play.session.counters().refusals, 2);
    // What is no command line at all is one that broke the grammar.
    for line in ["GET / HTTP/1.1\r\n", "NOOP\n"] {
        let mut play = Play::greeted(config());
        play.send(line.as_bytes());
        let counters = play.session.counters();
        assert_eq!(
            (counters.commands, counters.syntax_errors),
            (2, 1),
            "{line}"
        );
    }
}

/// Messages refused by a verdict are no errors of the client's.
#[test]
fn refused_messages_are_no_errors() {
    let refuse = Box::new(
        |question: &postern_smtp::server::Question| match question.prospect {
            Prospect::Accept(Ask::MessageEnd(_)) => Some(Answer::Reply(reply("550 5.7.1 Spam"))),
            _ => Some(Answer::Proceed),
        },
    );
    let mut play = Play::with(limited(|limits| limits.errors = 2), refuse);
    play.script("C: EHLO client.test");
    play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(10)));
    for _ in 0..5 {
        play.script(&format!("{ENVELOPE}C: .\nM:\nS: 550 5.7.1 Spam"));
    }
    assert_eq!(
        (
            play.session.counters().errors,
            play.session.counters().messages_refused
        ),
        (0, 5)
    );
    play.finish();
}

/// B16: a command has to come whole in its time; dripping octets does not help.
#[test]
fn command_timeout() {
    play_greeted(
        config(),
        "W: 299\nS.\nC: NOOP\nS: 250..\nW: 299\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Command)",
    );
    let mut play = Play::greeted(config());
    for _ in 0..6 {
        play.script("C= N\nW: 49\nS.");
    }
    play.script("W: 6\nS: 421 4.4.2..\nX: Timeout(Command)");
    play.finish();
}

#[test]
fn data_timeout() {
    let quiet = || limited(|limits| limits.body_rate_min = 0);
    play_greeted(
        quiet(),
        &format!(
            "{ENVELOPE}C: x\nW: 179\nC: y\nW: 179\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Data)"
        ),
    );
    let chunk =
        "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nC: BDAT 5\nC= x\nS: 250..\nS: 250..\n";
    play_greeted(
        quiet(),
        &format!("{chunk}W: 180\nS: 421 4.4.2..\nX: Timeout(Data)"),
    );
}

const CHUNKED: &str = "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nS: 250..\nS: 250..\n";

/// Each chunk has its own time, from its command on, and each octet of it starts that anew.
#[test]
fn data_timeout_of_chunks() {
    let quiet = || limited(|limits| limits.body_rate_min = 0);
    // The time before the command does not count.
    play_greeted(
        quiet(),
        &format!("{CHUNKED}W: 200\nC: BDAT 5\nW: 179\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Data)"),
    );
    // Nor does that before the last octet.
    play_greeted(
        quiet(),
        &format!(
            "{CHUNKED}C: BDAT 5\nW: 170\nC= x\nW: 170\nC= y\nW: 179\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Data)"
        ),
    );
    // A second chunk begins anew.
    play_greeted(
        quiet(),
        &format!(
            "{CHUNKED}C: BDAT 2\nW: 170\nC= xy\nS: 250..\nW: 170\nC: BDAT 5\nW: 179\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Data)"
        ),
    );
}

/// The octets of chunks count for the rate.
#[test]
fn body_rate_of_chunks() {
    let mut play = Play::greeted(limited(|limits| limits.body_rate_min = 10));
    play.script(&format!("{CHUNKED}C: BDAT 5000"));
    for _ in 0..3 {
        play.script(&format!("C= {}\nW: 60\nS.", "x".repeat(600)));
    }
    play.script(&format!(
        "C= {}\nW: 60\nS: 421 4.4.2..\nX: Timeout(BodyRate)",
        "x".repeat(599)
    ));
    play.finish();
}

/// The time for the next command begins with the reply to the content, however long that took to come.
#[test]
fn command_timeout_after_content() {
    let quiet = || limited(|limits| limits.body_rate_min = 0);
    let then =
        "W: 299\nS.\nC: NOOP\nS: 250..\nW: 299\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Command)";
    let slow = "C= x\nW: 170\nC= x\nW: 170\n";
    for content in [
        format!("{ENVELOPE}{slow}C:\nC: .\nM: xx\\r\\n\nS: 250 2.6.0..\n"),
        format!("{CHUNKED}C: BDAT 3\n{slow}C= x\nS: 250..\n"),
        format!("{CHUNKED}C: BDAT 3 LAST\n{slow}C= x\nM: xxx\nS: 250 2.6.0..\n"),
        // Refused, since there is no transaction.
        format!("C: BDAT 3\n{slow}C= x\nS: 503..\n"),
    ] {
        play_greeted(quiet(), &format!("{content}{then}"));
    }
    // Refused by the caller while it arrived.
    for (begin, end) in [
        ("C: DATA\nS: 354..\n", "C:\nC: .\n"),
        ("C: BDAT 3\n", "C= x\n"),
    ] {
        let mut play = Play::greeted(quiet());
        play.script(&format!("{CHUNKED}{begin}C= x\nW: 170"));
        assert!(play.session.refuse_content(reply("550 5.7.1 No"), play.now));
        play.script(&format!("C= x\nW: 170\n{end}S: 550 5.7.1 No\n{then}"));
        play.finish();
    }
}

/// What the caller spends on its own work while content arrives is not the client's fault.
#[test]
fn pauses_are_excused() {
    for begin in ["C: DATA\nS: 354..", "C: BDAT 5"] {
        let mut play = Play::greeted(limited(|limits| limits.body_rate_min = 0));
        play.script(&format!("{CHUNKED}{begin}\nC= x"));
        let pause = Duration::from_secs(100);
        play.now += pause;
        play.session.excuse_pause(pause);
        play.script("W: 179\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Data)");
    }
}

/// A 421 to a message closes, whoever says it and whenever; so does a refusal that is to disconnect.
#[test]
fn a_message_whose_reply_closes() {
    for said in [
        Answer::Reply(reply("421 4.7.0 Enough")),
        Answer::Disconnect(reply("554 5.7.1 Never again")),
    ] {
        for content in [
            "C: DATA\nS: 354..\nC: x\nC: .\nM: x\\r\\n\n",
            "C: BDAT 1 LAST\nC= x\nM: x\n",
        ] {
            let said = said.clone();
            let mut play = Play::with(
                config(),
                Box::new(move |question| match question.prospect {
                    Prospect::Accept(Ask::MessageEnd(_)) => Some(said.clone()),
                    _ => agree(question),
                }),
            );
            play.script("C: EHLO client.test");
            play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(10)));
            play.script(&format!("{CHUNKED}{content}"));
            assert_eq!(play.closed, Some(CloseReason::Disconnected));
        }
    }
    for (text, disconnect, closes) in [
        ("421 4.7.0 Enough", false, true),
        ("554 5.7.1 Never again", true, true),
        ("554 5.7.1 Not this one", false, false),
    ] {
        let refusal = || ContentRefusal {
            reply: reply(text),
            disconnect,
        };
        for (before, after) in [
            ("C: DATA\nS: 354..\nC= x", "C:\nC: .\n"),
            ("C: BDAT 3\nC= x", "C= xx\n"),
            // Between two chunks: at the next one.
            ("C: BDAT 1\nC= x\nS: 250..", "C: BDAT 1\nC= x\n"),
        ] {
            let mut play = Play::greeted(config());
            play.script(&format!("{CHUNKED}{before}"));
            assert!(play.session.refuse_content(refusal(), play.now));
            assert_eq!(play.closed, None, "{text} {before}");
            play.script(&format!("{after}S: {text}"));
            let closed = closes.then_some(CloseReason::Disconnected);
            assert_eq!(play.closed, closed, "{text} {before}");
            play.finish();
        }
    }
}

#[test]
fn body_rate() {
    let mut play = Play::greeted(limited(|limits| limits.body_rate_min = 10));
    play.script(ENVELOPE);
    for _ in 0..3 {
        play.script(&format!("C= {}\nW: 60\nS.", "x".repeat(600)));
    }
    assert_eq!(
        play.session.poll_timeout().unwrap().1,
        TimeoutReason::BodyRate
    );
    play.script(&format!(
        "C= {}\nW: 60\nS: 421 4.4.2..\nX: Timeout(BodyRate)",
        "x".repeat(599)
    ));
    play.finish();
    // What the caller spent on its own work is not the client's fault.
    let mut play = Play::greeted(limited(|limits| limits.body_rate_min = 10));
    play.script(ENVELOPE);
    play.now += Duration::from_secs(50);
    play.session.excuse_pause(Duration::from_secs(50));
    play.script("W: 59\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(BodyRate)");
}

/// While an answer is awaited, the time is ours.
#[test]
fn no_deadline_while_an_answer_is_open() {
    let mut play = Play::silent(config(), Box::new(|_| None));
    play.drive();
    assert_eq!(play.session.poll_timeout(), None);
    assert_eq!(play.session.wants(), Wants::Verdict);
    play.now += Duration::from_secs(3600);
    play.answer(0, Answer::Proceed);
    play.script("S: 220..\nW: 299\nS.\nW: 1\nS: 421 4.4.2..\nX: Timeout(Command)");
}

#[test]
fn too_much_to_drain() {
    let mut play = Play::greeted(limited(|limits| limits.drain = 1000));
    play.script(ENVELOPE);
    assert!(play.session.refuse_content(reply("550 5.7.1 No"), play.now));
    play.send(&[b'x'; 1000]);
    play.script("S.\nC= x\nS: 550 5.7.1 No\nX: RefusedBody");
    play.finish();
}

/// B43.
#[test]
fn shutdown() {
    // Idle: at once.
    let mut play = Play::greeted(config());
    play.session.shutdown();
    play.drive();
    play.script("S: 421 4.3.2..\nX: Shutdown");
    play.finish();
    // In a transaction: at the next command.
    let mut play = Play::greeted(config());
    play.script("C: MAIL FROM:<a@x.test>\nS: 250..");
    play.session.shutdown();
    play.drive();
    play.script("S.\nC: RCPT TO:<b@y.test>\nS: 421 4.3.2..\nX: Shutdown");
    play.finish();
    // A message that is arriving: after its reply.
    let mut play = Play::greeted(config());
    play.script(ENVELOPE);
    play.session.shutdown();
    play.drive();
    play.script("S.\nC: x\nC: .\nM: x\\r\\n\nS: 250 2.6.0..\nS: 421 4.3.2..\nX: Shutdown");
    play.finish();
    // Before the greeting.
    let mut play = Play::silent(config(), Box::new(|_| None));
    play.drive();
    play.session.shutdown();
    play.answer(0, Answer::Proceed);
    play.script("S: 421 4.3.2..\nX: Shutdown");
}
