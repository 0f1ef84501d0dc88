//! Lists that are longer than a frame: nothing of them is lost, in either direction.

use postern_sdk::testing::Session;
use postern_sdk::{EventKind, Message, Recipients, Verdict, inbound, sink, transport, v1};

fn script(sink: postern_sdk::Sink, recipients: usize) -> Session {
    let mut session = Session::connect(sink, "192.0.2.1")
        .limits(|limits| limits.recipient_count = 100_000)
        .mail("s@example.test");
    let all: Vec<_> = (0..recipients)
        .map(|n| format!("{n}@example.test"))
        .collect();
    for group in all.chunks(100) {
        session = session.pipelined_rcpts(group);
    }
    session
}

#[test]
fn all_recipients_of_a_snapshot_in_parts_are_told() {
    async fn count(recipients: Recipients) -> Verdict {
        let last = recipients
            .iter()
            .last()
            .map(|last| last.address().to_string());
        Verdict::proceed().explain(format!("{} {}", recipients.len(), last.unwrap_or_default()))
    }
    // An instance of transport is opened with a snapshot; one of a session is brought up to date event by event.
    let sink = sink!()
        .on(inbound::MESSAGE, count)
        .on(transport::SUBMIT, count);
    let transcript = script(sink, 1500)
        .parts_of(400)
        .message("A: b\r\n\r\n")
        .play();
    for event in [EventKind::InboundMessage, EventKind::TransportSubmit] {
        let verdict = transcript.verdict(event).as_proto();
        assert_eq!(verdict.explanation, "1500 1499@example.test", "{event:?}");
    }
}

#[test]
fn a_header_section_in_parts_is_whole() {
    let sink = sink!().on(inbound::MESSAGE, async |message: Message| {
        Verdict::proceed().explain(message.headers.iter().count().to_string())
    });
    let fields: String = (0..700).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let transcript = script(sink, 1)
        .parts_of(100)
        .message(format!("{fields}\r\n"))
        .play();
    let verdict = transcript.verdict(EventKind::InboundMessage).as_proto();
    assert_eq!(verdict.explanation, "700");
}

#[test]
fn a_long_verdict_goes_in_parts() {
    async fn rewrite(recipients: Recipients) -> Verdict {
        let edits = recipients.iter().map(|recipient| {
            v1::edit::Kind::RewriteRecipient(v1::RewriteRecipient {
                recipient_id: recipient.id().into(),
                address: format!("{}@example.test", "x".repeat(60)).into(),
            })
        });
        edits.fold(Verdict::proceed(), Verdict::edit)
    }
    let sink = sink!().may("recipients").on(inbound::MESSAGE, rewrite);
    let transcript = script(sink, 9000).message("A: b\r\n\r\n").play();
    let recipients = transcript.mail().recipients();
    assert_eq!(recipients.len(), 9000);
    assert!(recipients.iter().all(|address| address.starts_with("xxx")));
}

#[test]
fn removed_recipients_are_gone_and_the_next_transaction_is_its_own() {
    async fn drop_first(recipients: Recipients) -> Verdict {
        let gone = recipients.iter().next().map(|recipient| {
            v1::edit::Kind::RemoveRecipient(v1::RemoveRecipient {
                recipient_id: recipient.id().into(),
            })
        });
        gone.into_iter().fold(Verdict::proceed(), Verdict::edit)
    }
    async fn list(recipients: Recipients) -> Verdict {
        let known: Vec<_> = recipients
            .iter()
            .map(|known| known.address().to_string())
            .collect();
        Verdict::proceed().explain(known.join(" "))
    }
    let sink = sink!()
        .may("recipients")
        .on(inbound::HEADERS, drop_first)
        .on(inbound::MESSAGE, list)
        .on(inbound::RCPT, list);
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("s@example.test")
        .rcpt("a@example.test")
        .rcpt("b@example.test")
        .message("A: b\r\n\r\n")
        .mail("s@example.test")
        .rcpt("c@example.test")
        .play();
    let said = |event| {
        let answers = transcript.answers_to(event);
        let answers = answers.map(|answer| answer.as_ref().unwrap().as_proto().explanation.clone());
        answers.collect::<Vec<_>>()
    };
    assert_eq!(said(EventKind::InboundMessage), ["b@example.test"]);
    assert_eq!(said(EventKind::InboundRcpt), ["", "a@example.test", ""]);
}
