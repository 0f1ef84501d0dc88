//! Questions and answers: what they may change, and what never changes.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::model::{Offers, Peer, Taken};
use super::play::{Answers, Play, Said, config, transaction};
use crate::client::{
    CommandAnswer, Commands, Extra, Line, NextStage, OwnLine, Protocol, Question, Questions,
    Response, ResponseAnswer, Taking, TlsAnswer, Wants,
};

const MAIL: &[u8] = b"Subject: x\r\n\r\n.dot\r\n";
const NAMES: [&str; 4] = ["a@x.test", "b@x.test", "c@x.test", "d@x.test"];

/// How a session with a model went.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    lines: Vec<String>,
    taken: Vec<Taken>,
    results: Vec<Vec<String>>,
}

/// Sends messages to this many recipients each.
fn run(
    offers: Offers,
    seed: u64,
    questions: Questions,
    bdat_up_to: u64,
    messages: &[usize],
    mut pieces: impl FnMut() -> usize,
    answers: Option<Box<Answers>>,
) -> Run {
    let protocol = match offers.lmtp {
        true => Protocol::Lmtp,
        false => Protocol::Smtp,
    };
    let mut config = config(protocol);
    config.questions = questions;
    config.bdat_up_to = bdat_up_to;
    let mut play = Play::new(config);
    if let Some(mut answers) = answers {
        play = play.answers(move |question| answers(question));
    }
    let mut peer = Peer::new(offers, seed);
    let mut results = Vec::new();
    let mut talk = |play: &mut Play, peer: &mut Peer, results: &mut Vec<Vec<String>>| {
        loop {
            let piece = peer.says(pieces().max(1));
            if piece.is_empty() {
                break;
            }
            peer.takes(&play.peer(&piece));
        }
        if peer.is_closed() {
            play.session.handle_eof();
            play.sent();
        }
        results.extend(play.finished.drain(..).map(|report| {
            let words = report.recipients.iter().map(super::play::word);
            words.collect()
        }));
    };
    talk(&mut play, &mut peer, &mut results);
    for (done, recipients) in messages.iter().enumerate() {
        if !play.session.is_ready() {
            break;
        }
        let sent = play.send_octets(transaction(&NAMES[..*recipients], MAIL), MAIL);
        peer.takes(&sent);
        talk(&mut play, &mut peer, &mut results);
        assert_eq!(results.len(), done + 1, "one report for each message");
        assert_eq!(results[done].len(), *recipients);
    }
    if play.session.is_ready() {
        play.session.quit(play.now);
        peer.takes(&play.sent());
        talk(&mut play, &mut peer, &mut results);
    }
    if play.session.wants() != Wants::Nothing {
        play.session.handle_eof();
        play.sent();
    }
    assert_eq!(play.session.wants(), Wants::Nothing);
    assert!(play.closed.is_some());
    Run {
        lines: peer.lines,
        taken: peer.taken,
        results,
    }
}

fn offers() -> impl Strategy<Value = Offers> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(lmtp, pipelining, chunking, kind)| Offers {
            lmtp,
            pipelining,
            chunking,
            kind,
        },
    )
}

fn messages() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..=NAMES.len(), 1..4)
}

/// Numbers that come round again.
fn cycle(numbers: Vec<usize>) -> impl FnMut() -> usize {
    let mut numbers = numbers.into_iter().cycle();
    move || numbers.next().unwrap_or(usize::MAX)
}

proptest! {
    #[test]
    fn asking_everything_and_changing_nothing_changes_nothing(
        offers in offers(),
        seed: u64,
        bdat_up_to in prop_oneof![Just(0u64), Just(1000)],
        messages in messages(),
        pieces in prop::collection::vec(1usize..40, 1..20),
    ) {
        let silent = run(offers, seed, Questions::default(), bdat_up_to, &messages, || usize::MAX, None);
        let asking = run(offers, seed, Questions::ALL, bdat_up_to, &messages, cycle(pieces), None);
        prop_assert_eq!(silent, asking);
    }

    #[test]
    fn whatever_is_answered_the_order_holds_and_nothing_is_lost_or_claimed(
        offers in offers(),
        seed: u64,
        bdat_up_to in prop_oneof![Just(0u64), Just(1000)],
        messages in messages(),
        pieces in prop::collection::vec(1usize..40, 1..20),
        choices in prop::collection::vec(any::<u16>(), 1..60),
        wanted in any::<[bool; 8]>(),
    ) {
        let [session_start, tls, message_start, recipients, before_data, session_end, commands, responses] = wanted;
        let questions = Questions {
            session_start, tls, message_start, recipients, before_data, session_end, commands, responses,
        };
        let answers = random_answers(choices);
        let run = run(offers, seed, questions, bdat_up_to, &messages, cycle(pieces), Some(Box::new(answers)));
        let claimed: usize = run
            .results
            .iter()
            .flatten()
            .filter(|word| word.starts_with("accepted"))
            .count();
        let taken: usize = run.taken.iter().map(|taken| taken.recipients.len()).sum();
        prop_assert_eq!(claimed, taken, "{:?}", run);
        for taken in run.taken {
            prop_assert_eq!(taken.content, MAIL);
        }
    }
}

fn extra(line: &'static str) -> Extra {
    Extra::new(Line::new(line).unwrap()).unwrap()
}

fn response(code: u16) -> Arc<Response> {
    Arc::new(Response {
        code,
        enhanced: None,
        lines: vec![Bytes::from_static(b"by an answer")],
    })
}

fn random_answers(choices: Vec<u16>) -> impl FnMut(&Question) -> Said {
    let mut choices = choices.into_iter().cycle();
    let mut choose = move |most: u16| choices.next().unwrap_or_default() % most;
    move |question| match question {
        Question::Command(command) => {
            let mut extras = |most| -> Vec<Extra> {
                (0..choose(most))
                    .map(|_| match choose(4) {
                        0 => extra("X1"),
                        1 => extra("P1").pipelined(),
                        2 => extra("P2 with a payload")
                            .with_following(Bytes::from_static(b"PAYLOAD\r\n"))
                            .unwrap(),
                        _ => extra("X2")
                            .with_invited(Bytes::from_static(b"X\r\n"))
                            .unwrap(),
                    })
                    .collect()
            };
            let (before, after) = (extras(3), extras(2));
            let with = |own| Commands { before, own, after };
            Said::Command(match choose(8) {
                0 | 1 => CommandAnswer::Proceed,
                2 => CommandAnswer::Send(with(OwnLine::AsIs)),
                3 => CommandAnswer::Send(with(OwnLine::Drop)),
                4 => {
                    let mut line = command.line.to_vec();
                    line.extend_from_slice(b" X=1");
                    CommandAnswer::Send(with(OwnLine::Instead(Line::new(line).unwrap())))
                }
                5 => CommandAnswer::First(with(OwnLine::AsIs).before),
                6 => CommandAnswer::Refuse(response(if choose(2) == 0 { 450 } else { 550 })),
                _ if choose(4) == 0 => CommandAnswer::End,
                _ => CommandAnswer::Proceed,
            })
        }
        Question::Tls { .. } => Said::Tls(match choose(8) {
            0 => TlsAnswer::Refuse(response(450)),
            1 => TlsAnswer::End,
            _ => TlsAnswer::Proceed,
        }),
        Question::Response(_) => {
            let code = [250, 354, 450, 550, 421][usize::from(choose(5))];
            let stages = [
                NextStage::SessionStart,
                NextStage::MessageStart,
                NextStage::Recipient,
                NextStage::BeforeData,
                NextStage::SessionEnd,
            ];
            let next = stages[usize::from(choose(5))];
            let refusal = || response(if code < 500 { 450 } else { 550 });
            Said::Response(match choose(7) {
                0 | 1 => ResponseAnswer::Proceed,
                2 => ResponseAnswer::Take(Taking {
                    response: Some(response(code)),
                    next: None,
                }),
                3 => ResponseAnswer::Take(Taking {
                    response: None,
                    next: Some(next),
                }),
                4 => ResponseAnswer::Take(Taking {
                    response: Some(response(code)),
                    next: Some(next),
                }),
                5 => ResponseAnswer::Refuse(refusal()),
                _ if choose(4) == 0 => ResponseAnswer::End,
                _ => ResponseAnswer::Proceed,
            })
        }
    }
}
