//! Scripted peers.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::play::{Play, config, transaction};
use crate::client::{
    Body, ContentError, Delivery, Failure, Protocol, ReplyLimits, Response, ResponseParser, Stage,
    TlsUse, Wants,
};

const MAIL: &[u8] = b"Subject: x\r\n\r\n.dot\r\n";

/// A session that has greeted a peer with these extensions.
fn open(extensions: &[&str]) -> Play {
    open_with(config(Protocol::Smtp), extensions)
}

fn open_with(config: crate::client::Config, extensions: &[&str]) -> Play {
    let mut play = Play::new(config);
    let hello = play.hears("220 mx.test ready");
    assert!(hello.ends_with("HLO client.test\r\n"), "{hello}");
    for extension in extensions {
        assert_eq!(play.hears(&format!("250-{extension}")), "");
    }
    let answer = play.hears("250 HELP");
    assert!(
        ["", "STARTTLS\r\n", "QUIT\r\n"].contains(&answer.as_str()),
        "{answer}"
    );
    play
}

fn response(line: &str) -> Arc<Response> {
    let mut input = BytesMut::from(format!("{line}\r\n").as_bytes());
    let mut parser = ResponseParser::new(ReplyLimits::default());
    Arc::new(parser.parse(&mut input).unwrap().unwrap())
}

fn extensions(names: &[&str]) -> Play {
    let mut all = vec!["mx.test"];
    all.extend_from_slice(names);
    let play = open(&all);
    assert!(play.ready && play.session.is_ready());
    play
}

#[test]
fn without_pipelining_each_command_waits() {
    let mut play = extensions(&["SIZE 1000"]);
    let line = play.send(transaction(&["a@x.test", "b@x.test"], MAIL), MAIL);
    assert_eq!(line, "MAIL FROM:<from@client.test> SIZE=20\r\n");
    assert_eq!(play.hears("250 ok"), "RCPT TO:<a@x.test>\r\n");
    assert_eq!(play.hears("550 no"), "RCPT TO:<b@x.test>\r\n");
    assert_eq!(play.hears("251 will forward"), "DATA\r\n");
    let content = play.hears("354 go");
    assert_eq!(content, "Subject: x\r\n\r\n..dot\r\n.\r\n");
    assert_eq!(play.hears("250 queued"), "");
    assert_eq!(play.results(), ["550 at RCPT", "accepted 250"]);
    assert!(play.session.is_ready());
    play.session.quit(play.now);
    assert_eq!(play.sent(), b"QUIT\r\n");
    play.hears("221 bye");
    assert_eq!(play.closed, Some(None));
}

#[test]
fn without_recipients_data_is_not_said_and_the_next_mail_resets() {
    let mut play = extensions(&[]);
    play.send(transaction(&["a@x.test"], MAIL), MAIL);
    play.hears("250 ok");
    assert_eq!(play.hears("450 later"), "");
    assert_eq!(play.results(), ["450 at RCPT"]);
    assert_eq!(
        play.send(transaction(&["b@x.test"], MAIL), MAIL),
        "RSET\r\n"
    );
    let mail = play.hears("250 ok");
    assert!(mail.starts_with("MAIL"), "{mail}");
}

/// It is about the transaction before, and so is no word on this one.
#[test]
fn a_refused_rset_ends_the_session_and_says_nothing_of_the_message() {
    for refusal in ["421 4.3.2 enough", "450 4.3.0 not now", "500 what"] {
        for (keywords, said) in [
            (&[][..], "250 ok\r\n450 later"),
            (&["PIPELINING"], "250 ok\r\n450 later\r\n503 nobody"),
        ] {
            let mut play = extensions(keywords);
            play.send(transaction(&["a@x.test"], MAIL), MAIL);
            play.hears(said);
            let group = play.send(transaction(&["b@x.test"], MAIL), MAIL);
            assert!(group.starts_with("RSET\r\n"), "{group}");
            assert_eq!(play.hears(refusal), "");
            let report = play.finished.last().unwrap();
            let [Delivery::Broken(why)] = report.recipients.as_slice() else {
                panic!("{report:?}")
            };
            let refused = Failure::Refused {
                stage: Stage::Rset,
                response: response(refusal),
            };
            assert_eq!(**why, refused);
            assert_eq!(play.session.wants(), Wants::Nothing);
        }
    }
}

#[test]
fn a_pipelined_group_goes_out_whole() {
    let mut play = extensions(&["PIPELINING"]);
    let group = play.send(transaction(&["a@x.test", "b@x.test"], MAIL), MAIL);
    assert_eq!(
        group,
        "MAIL FROM:<from@client.test>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
    );
    assert_eq!(play.hears("250 ok\r\n250 ok\r\n452 too many"), "");
    assert!(play.hears("354 go").ends_with("\r\n.\r\n"));
    play.hears("250 queued");
    assert_eq!(play.results(), ["accepted 250", "452 at RCPT"]);
}

#[test]
fn go_ahead_with_nobody_left_is_answered_by_an_empty_message() {
    let mut play = extensions(&["PIPELINING"]);
    play.send(transaction(&["a@x.test"], MAIL), MAIL);
    assert_eq!(play.hears("250 ok\r\n550 5.1.1 who"), "");
    assert_eq!(play.hears("354 go"), ".\r\n");
    assert_eq!(play.hears("554 nobody"), "");
    assert_eq!(play.results(), ["550 at RCPT"]);
    let group = play.send(transaction(&["b@x.test"], MAIL), MAIL);
    assert!(group.starts_with("RSET\r\nMAIL"), "{group}");
}

#[test]
fn a_refused_mail_decides_all_recipients() {
    let mut play = extensions(&["PIPELINING"]);
    play.send(transaction(&["a@x.test", "b@x.test"], MAIL), MAIL);
    play.hears("451 4.3.0 not now\r\n503 a\r\n503 b\r\n503 c");
    assert_eq!(play.results(), ["451 at MAIL", "451 at MAIL"]);
    assert!(play.session.is_ready());
}

#[test]
fn refused_data_and_refused_content() {
    let mut play = extensions(&["PIPELINING"]);
    play.send(transaction(&["a@x.test"], MAIL), MAIL);
    play.hears("250 ok\r\n250 ok\r\n554 no data");
    assert_eq!(play.results(), ["554 at DATA"]);
    play.send(transaction(&["a@x.test"], MAIL), MAIL);
    play.hears("250 reset\r\n250 ok\r\n250 ok\r\n354 go");
    play.hears("552 5.3.4 too large");
    assert_eq!(play.results(), ["552 at the end of the content"]);
}

#[test]
fn small_messages_go_by_bdat_in_one_flight() {
    let mut play = extensions(&["PIPELINING", "CHUNKING"]);
    let flight = play.send(transaction(&["a@x.test", "b@x.test"], MAIL), MAIL);
    assert!(
        flight.ends_with("RCPT TO:<b@x.test>\r\nBDAT 20 LAST\r\nSubject: x\r\n\r\n.dot\r\n"),
        "{flight}"
    );
    play.hears("250 ok\r\n250 ok\r\n550 no\r\n250 queued");
    assert_eq!(play.results(), ["accepted 250", "550 at RCPT"]);

    play.send(transaction(&["a@x.test"], MAIL), MAIL);
    play.hears("250 ok\r\n550 no\r\n503 nobody");
    assert_eq!(play.results(), ["550 at RCPT"]);
    assert!(play.session.is_ready());
}

#[test]
fn a_refused_bdat_says_nothing_of_the_message() {
    for refusal in ["500 what", "502 5.5.1 not implemented", "503 not now"] {
        let mut play = extensions(&["PIPELINING", "CHUNKING"]);
        play.send(transaction(&["a@x.test", "b@x.test"], MAIL), MAIL);
        play.hears(&format!("250 ok\r\n250 ok\r\n550 no\r\n{refusal}"));
        let report = play.finished.pop().unwrap();
        let [first, second] = report.recipients.as_slice() else {
            panic!("{report:?}")
        };
        assert!(
            matches!(first, Delivery::Broken(why) if matches!(**why, Failure::ChunkingRefused { .. })),
            "{first:?}"
        );
        assert!(!first.is_final() && second.is_final());
        // What the peer made of the chunk is not known: nothing more goes over this connection.
        assert_eq!(play.session.wants(), Wants::Nothing);
    }
}

#[test]
fn large_binary_messages_wait_for_a_recipient() {
    let mut config = config(Protocol::Smtp);
    config.bdat_up_to = 3;
    let names = ["mx.test", "PIPELINING", "CHUNKING", "BINARYMIME"];
    let mut play = open_with(config, &names);
    let mut binary = transaction(&["a@x.test"], b"a\nb\r");
    binary.body = Body::BinaryMime;
    let group = play.send(binary, b"a\nb\r");
    assert!(group.ends_with("RCPT TO:<a@x.test>\r\n"), "{group}");
    assert!(group.contains(" BODY=BINARYMIME"));
    assert_eq!(play.hears("250 ok\r\n250 ok"), "BDAT 4 LAST\r\na\nb\r");
    play.hears("250 queued");
    assert_eq!(play.results(), ["accepted 250"]);
}

#[test]
fn a_refused_bdat_says_nothing_of_binary_content_either() {
    let mut play = extensions(&["PIPELINING", "CHUNKING", "BINARYMIME"]);
    let mut binary = transaction(&["a@x.test"], b"a\nb\r");
    binary.body = Body::BinaryMime;
    play.send(binary, b"a\nb\r");
    play.hears("250 ok\r\n250 ok\r\n502 5.5.1 not implemented");
    let report = play.finished.pop().unwrap();
    let [Delivery::Broken(why)] = report.recipients.as_slice() else {
        panic!("{report:?}")
    };
    assert!(matches!(**why, Failure::ChunkingRefused { .. }), "{why}");
}

#[test]
fn a_session_can_be_told_to_leave_bdat_out() {
    let mut play = extensions(&["PIPELINING", "CHUNKING"]);
    play.session.leave_out_bdat();
    let group = play.send(transaction(&["a@x.test"], MAIL), MAIL);
    assert!(group.ends_with("\r\nDATA\r\n"), "{group}");
}

/// Any octets are more than eight bits in lines.
#[test]
fn eight_bits_are_declared_as_what_the_peer_takes() {
    for (keywords, declared) in [
        (&["8BITMIME", "CHUNKING", "BINARYMIME"][..], "8BITMIME"),
        (&["CHUNKING", "BINARYMIME"], "BINARYMIME"),
    ] {
        let mut play = extensions(keywords);
        let mut eight = transaction(&["a@x.test"], b"\xe9\r\n");
        eight.body = Body::EightBitMime;
        let mail = play.send(eight, b"\xe9\r\n");
        assert!(mail.ends_with(&format!(" BODY={declared}\r\n")), "{mail}");
        play.hears("250 ok");
        let begun = play.peer("250 ok\r\n");
        assert_eq!(begun.starts_with(b"BDAT"), declared == "BINARYMIME");
    }
}

#[test]
fn what_the_peer_lacks_is_told_without_a_word_to_it() {
    let mut play = extensions(&["SIZE 19"]);
    assert_eq!(play.send(transaction(&["a@x.test"], MAIL), MAIL), "");
    assert_eq!(play.results(), ["TooLarge { size: 20, limit: 19 }"]);
    let mut eight = transaction(&["a@x.test"], b"");
    eight.body = Body::EightBitMime;
    assert_eq!(play.send(eight, b""), "");
    assert_eq!(play.results(), ["NeedsEightBitMime"]);
    let mut bad = transaction(&["a@x.test\r\nRSET", "b@x.test"], b"");
    bad.size = 0;
    let mail = play.send(bad, b"");
    assert!(mail.starts_with("MAIL") && play.session.wants() == Wants::Input);
    assert_eq!(play.hears("250 ok"), "RCPT TO:<b@x.test>\r\n");
    play.hears("550 no");
    assert_eq!(play.results(), ["Unsendable", "550 at RCPT"]);
}

#[test]
fn helo_follows_a_refused_ehlo_only() {
    let mut play = Play::new(config(Protocol::Smtp));
    play.hears("220 old");
    assert_eq!(play.hears("502 what"), "HELO client.test\r\n");
    play.hears("250-old\r\n250 PIPELINING");
    assert!(play.ready && !play.session.peer().pipelining);
    assert!(play.session.without_extensions());

    let mut play = Play::new(config(Protocol::Smtp));
    play.hears("220 old");
    assert_eq!(play.hears("450 busy"), "QUIT\r\n");
    assert!(matches!(
        play.closed.unwrap().unwrap().as_ref(),
        Failure::Refused {
            stage: Stage::Hello,
            ..
        }
    ));
}

#[test]
fn greetings_other_than_220_end_the_session() {
    for greeting in [
        "521 no mail here",
        "554 you are listed",
        "421 busy",
        "250 hello",
        "354 go",
    ] {
        let mut play = Play::new(config(Protocol::Smtp));
        play.hears(greeting);
        let why = play.closed.unwrap().unwrap();
        assert!(!why.is_permanent(), "{greeting}: it is about the host");
    }
}

#[test]
fn starttls_forgets_what_was_said_in_clear() {
    let mut play = open(&["mx.test", "STARTTLS", "PIPELINING", "CHUNKING"]);
    assert!(!play.ready);
    // What follows the 220 was put there by somebody in between.
    play.peer("220 go\r\n250-mx.test\r\n250 BINARYMIME\r\n");
    assert!(play.start_tls && play.session.wants() == Wants::Tls);
    assert!(play.session.poll_timeout().is_none());
    play.session.tls_established(play.now);
    assert_eq!(play.sent(), b"EHLO client.test\r\n");
    assert!(!play.session.peer().pipelining);
    play.hears("250-mx.test\r\n250 STARTTLS");
    assert!(play.ready && play.session.encrypted());
    assert!(!play.session.peer().binary_mime);
}

#[test]
fn the_use_of_tls_follows_the_configuration() {
    let with = |tls| {
        let mut config = config(Protocol::Smtp);
        config.tls = tls;
        config
    };
    let play = open_with(with(TlsUse::Required), &["mx.test"]);
    assert_eq!(*play.closed.unwrap().unwrap(), Failure::TlsNotOffered);
    let play = open_with(with(TlsUse::Never), &["mx.test", "STARTTLS"]);
    assert!(play.ready && !play.start_tls);
}

#[test]
fn a_refused_starttls_follows_the_configuration() {
    for (tls, ready) in [(TlsUse::IfOffered, true), (TlsUse::Required, false)] {
        let mut config = config(Protocol::Smtp);
        config.tls = tls;
        let mut play = Play::new(config);
        play.hears("220 mx.test");
        assert_eq!(play.hears("250-mx.test\r\n250 STARTTLS"), "STARTTLS\r\n");
        play.hears("454 no certificate today");
        assert_eq!(play.ready, ready);
        assert_eq!(play.closed.is_none(), ready);
    }
}

#[test]
fn lmtp_has_a_reply_for_each_accepted_recipient() {
    let mut play = Play::new(config(Protocol::Lmtp));
    assert_eq!(play.hears("220 store"), "LHLO client.test\r\n");
    play.hears("250-store\r\n250 PIPELINING");
    play.send(transaction(&["a@x", "b@x", "c@x"], MAIL), MAIL);
    play.hears("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go");
    play.hears("452 full");
    assert!(play.finished.is_empty());
    play.hears("250 stored");
    assert_eq!(
        play.results(),
        [
            "452 at the end of the content",
            "550 at RCPT",
            "accepted 250"
        ]
    );
}

#[test]
fn lmtp_by_bdat() {
    let mut play = Play::new(config(Protocol::Lmtp));
    play.hears("220 store");
    play.hears("250-store\r\n250-CHUNKING\r\n250 PIPELINING");
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    play.hears("250 ok\r\n250 ok\r\n250 ok\r\n250 one\r\n550 two");
    assert_eq!(
        play.results(),
        ["accepted 250", "550 at the end of the content"]
    );
}

#[test]
fn four_two_one_ends_it_anywhere() {
    let mut play = extensions(&["PIPELINING"]);
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    play.hears("250 ok\r\n250 ok\r\n421 closing");
    assert_eq!(play.results(), ["421 at RCPT", "421 at RCPT"]);
    assert!(play.closed.is_some());

    let mut idle = extensions(&[]);
    idle.hears("421 idle too long");
    assert!(idle.closed.is_some() && idle.session.wants() == Wants::Nothing);
}

#[test]
fn a_lost_connection_leaves_what_was_answered() {
    let mut play = extensions(&["PIPELINING"]);
    play.send(transaction(&["a@x", "b@x"], MAIL), MAIL);
    play.hears("250 ok\r\n550 no\r\n250 ok\r\n354 go");
    play.session.handle_eof();
    play.sent();
    assert_eq!(
        play.results(),
        [
            "550 at RCPT",
            "broken: the peer closed the connection at the end of the content"
        ]
    );
}

#[test]
fn replies_out_of_place_end_the_session() {
    let mut play = extensions(&[]);
    play.hears("250 for nothing");
    assert!(matches!(
        play.closed.unwrap().unwrap().as_ref(),
        Failure::Unexpected {
            stage: Stage::Idle,
            ..
        }
    ));
    let mut play = extensions(&[]);
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok\r\n250 ok");
    play.hears("250 not an invitation");
    assert!(
        play.results()[0].starts_with("broken"),
        "{:?}",
        play.results()
    );
}

#[test]
fn bare_line_ends_stop_the_content_before_its_end() {
    let mut play = extensions(&["PIPELINING"]);
    let smuggled = b"a\n.\nMAIL FROM:<x@y>\r\n";
    play.slice = 1;
    play.send(transaction(&["a@x"], smuggled), smuggled);
    let sent = play.hears("250 ok\r\n250 ok\r\n354 go");
    assert_eq!(sent, "a");
    let why = play.closed.unwrap().unwrap();
    assert_eq!(*why, Failure::Content(ContentError::BareLf { offset: 1 }));
    assert!(why.is_permanent());
}

#[test]
fn each_reply_has_its_time() {
    let mut play = Play::new(config(Protocol::Smtp));
    let (deadline, stage) = play.session.poll_timeout().unwrap();
    assert_eq!(stage, Stage::Greeting);
    // Octets of an unfinished reply do not buy time.
    play.now += Duration::from_secs(299);
    play.peer("220-still");
    assert_eq!(play.session.poll_timeout().unwrap().0, deadline);
    play.session.handle_timeout(play.now);
    assert!(play.closed.is_none());
    play.now = deadline;
    play.session.handle_timeout(play.now);
    play.sent();
    assert_eq!(
        *play.closed.unwrap().unwrap(),
        Failure::TimedOut {
            stage: Stage::Greeting
        }
    );

    let mut play = extensions(&["PIPELINING"]);
    assert!(play.session.poll_timeout().is_none());
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("250 ok\r\n250 ok\r\n354 go");
    let (deadline, stage) = play.session.poll_timeout().unwrap();
    assert_eq!(stage, Stage::ContentReply);
    assert_eq!(deadline - play.now, Duration::from_secs(600));
}

#[test]
fn mailmax_is_honoured() {
    let mut play = extensions(&["LIMITS MAILMAX=1 RCPTMAX=7"]);
    assert_eq!(play.session.peer().limits.recipients, Some(7));
    play.send(transaction(&["a@x"], MAIL), MAIL);
    play.hears("550 no");
    assert!(!play.session.is_ready());
    assert!(
        play.session
            .send(transaction(&["a@x"], MAIL), play.now)
            .is_err()
    );
}
