//! BDAT (RFC 3030), attack B10 included.

use postern_smtp::server::{Answer, Ask, Prospect};

use crate::driver::{Play, agree, config, play_greeted, reply};

const ENVELOPE: &str = "C: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>\nS: 250..\nS: 250..\n";

fn play_chunks(script: &str) {
    play_greeted(config(), &format!("{ENVELOPE}{script}"));
}

#[test]
fn chunks_are_literal() {
    play_chunks(
        r"C: BDAT 5
          C= .\r\n.\r
          S: 250 2.0.0 5 octets received
          C: bdat 1
          C= \n
          S: 250 2.0.0..
          C: BDAT 0 last
          M: .\r\n.\r\n
          S: 250 2.6.0..
          C: NOOP
          S: 250..",
    );
    play_chunks("C: BDAT 3 LAST\nC= abcNOOP\\r\\n\nM: abc\nS: 250 2.6.0..\nS: 250 2.0.0 OK");
    play_chunks("C: BDAT 0 LAST\nM:\nS: 250 2.6.0..");
    play_chunks("C: BDAT 0\nS: 250 2.0.0..\nC: BDAT 1 LAST\nC= x\nM: x\nS: 250 2.6.0..");
}

/// A whole message in one flight.
#[test]
fn chunks_are_pipelined() {
    play_greeted(
        config(),
        r"C: MAIL FROM:<a@x.test>
          C: RCPT TO:<b@y.test>
          C: BDAT 3
          C= abc
          C: BDAT 3 LAST
          C= def
          C: MAIL FROM:<c@x.test>
          S: 250 2.1.0..
          S: 250 2.1.5..
          S: 250 2.0.0..
          M: abcdef
          S: 250 2.6.0..
          S: 250 2.1.0..",
    );
}

/// A size that cannot be read leaves the octets behind it unknown: they must not be read as commands.
#[test]
fn sizes_that_are_none() {
    for size in [
        "",
        "-1",
        "+1",
        "0x10",
        "1e3",
        "18446744073709551616",
        "100000000000000000000",
        "1 FIRST",
        "1 LAST x",
    ] {
        play_chunks(&format!(
            "C: BDAT {size}\nC: RSET\nS: 501 5.5.4..\nX: ChunkUnknown"
        ));
    }
}

/// Octets of a refused chunk are consumed.
#[test]
fn refused_chunks_are_consumed() {
    play_greeted(
        config(),
        r"C: BDAT 6
          C= RSET\r\n
          S: 503 5.5.1..
          C: MAIL FROM:<a@x.test>
          S: 250..
          C: BDAT 6 LAST
          C= QUIT\r\n
          Z.
          S: 503 5.5.1 RCPT comes first
          C: NOOP
          S: 250 2.0.0..",
    );
    let mut small = config();
    small.limits.max_message_size = 10;
    play_greeted(
        small.clone(),
        &format!(
            r"{ENVELOPE}
            C: BDAT 6
            C= RSET\r\n
            S: 250..
            C: BDAT 5 LAST
            C= 12345
            Z.
            S: 552 5.3.4..
            C: BDAT 0 LAST
            S: 503 5.5.1..
            C: MAIL FROM:<a@x.test>
            S: 250.."
        ),
    );
    small.limits.drain = 100;
    play_greeted(
        small,
        &format!("{ENVELOPE}C: BDAT 101\nC= x\nS: 552 5.3.4..\nX: RefusedBody"),
    );
}

/// Chunks that were on their way when one was refused can never begin a message of their own.
#[test]
fn the_rest_of_a_refused_message() {
    let refuse_first =
        Box::new(
            |question: &postern_smtp::server::Question| match &question.prospect {
                Prospect::Accept(Ask::Bdat { first: true, .. }) => {
                    Some(Answer::Reply(reply("550 5.7.1 No")))
                }
                _ => agree(question),
            },
        );
    let mut play = Play::with(config(), refuse_first);
    play.script("C: EHLO client.test");
    play.script(&format!("S: 220..\n{}", "S: 250..\n".repeat(10)));
    play.script(ENVELOPE);
    let chunks = "C: BDAT 2\nC= xx\n".repeat(30);
    play.script(&format!(
        "{chunks}C: BDAT 0 LAST\nZ.\nS: 550 5.7.1 No\n{}",
        "S: 503 5.5.1..\n".repeat(30)
    ));
    assert_eq!(
        play.session.counters().errors,
        1,
        "what the client had sent already is no error of its own"
    );
    play.script("C: NOOP\nS: 250..");
    play.finish();
}

#[test]
fn early_refusal_at_the_chunk() {
    let mut play = Play::greeted(config());
    play.script(ENVELOPE);
    play.script("C: BDAT 10\nC= 12345\nS.");
    assert!(
        play.session
            .refuse_content(reply("554 5.7.1 Enough"), play.now)
    );
    play.script(
        "C= 67890\nS: 554 5.7.1 Enough\nC: BDAT 3 LAST\nC= xyz\nS: 503..\nC: RSET\nS: 250..",
    );
    play.finish();
}

#[test]
fn early_refusal_between_chunks() {
    let mut play = Play::greeted(config());
    play.script(ENVELOPE);
    play.script("C: BDAT 2\nC= 12\nS: 250..");
    assert!(
        play.session
            .refuse_content(reply("554 5.7.1 Enough"), play.now)
    );
    play.script("S.\nC: BDAT 3\nC= xyz\nZ.\nS: 554 5.7.1 Enough\nC: BDAT 3 LAST\nC= xyz\nS: 503..");
    play.finish();
}

#[test]
fn no_mixing_with_data() {
    play_chunks(
        r"C: BDAT 2
          C= 12
          S: 250..
          C: DATA
          S: 503 5.5.1..
          C: RCPT TO:<c@y.test>
          S: 503 5.5.1..
          C: MAIL FROM:<c@y.test>
          S: 503 5.5.1..
          C: BDAT 0 LAST
          M: 12
          S: 250 2.6.0..",
    );
    play_chunks(
        "C: BDAT 2\nC= 12\nS: 250..\nC: RSET\nZ.\nS: 250..\nC: BDAT 0 LAST\nS: 503 5.5.1..",
    );
}

/// Text that must never be sent on as it is is refused; as BINARYMIME it is data.
#[test]
fn bare_cr_and_lf() {
    play_chunks("C: BDAT 3 LAST\nC= a\\nb\nR: 550 5.5.2\nS: 550 5.5.2..\nC: NOOP\nS: 250..");
    play_chunks("C: BDAT 3 LAST\nC= a\\rb\nR: 550 5.5.2\nS: 550 5.5.2..");
    play_chunks("C: BDAT 2 LAST\nC= a\\r\nR: 550 5.5.2\nS: 550 5.5.2..");
    play_chunks("C: BDAT 2\nC= a\\r\nS: 250..\nC: BDAT 1 LAST\nC= x\nR: 550 5.5.2\nS: 550 5.5.2..");
    play_chunks("C: BDAT 3\nC= a\\nb\nR: 550 5.5.2\nS: 550 5.5.2..\nC: BDAT 0 LAST\nS: 503..");
    play_greeted(
        config(),
        r"C: MAIL FROM:<a@x.test> BODY=BINARYMIME
          C: RCPT TO:<b@y.test>
          S: 250..
          S: 250..
          C: DATA
          S: 503 5.5.1 BODY=BINARYMIME needs BDAT
          C: BDAT 6 LAST
          C= \r\0\n\n\r\xff
          M: \r\0\n\n\r\xff
          S: 250 2.6.0..",
    );
}

#[test]
fn bdat_needs_ehlo() {
    crate::driver::play(
        config(),
        r"S: 220..
          C: HELO client.test
          S: 250..
          C: MAIL FROM:<a@x.test>
          S: 250..
          C: RCPT TO:<b@y.test>
          S: 250..
          C: BDAT 6 LAST
          C= QUIT\r\n
          S: 503 5.5.1..",
    );
}
