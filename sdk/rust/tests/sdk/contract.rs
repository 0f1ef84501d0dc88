//! The test kit holds a sink to the contract.

use postern_sdk::testing::{Session, Transcript};
use postern_sdk::{
    EventKind, Mail, Message, MessageState, Rcpt, Recipients, Sink, Verdict, inbound, sink,
    transport, v1,
};

fn played(sink: Sink) -> Transcript {
    Session::connect(sink, "192.0.2.1")
        .tolerant()
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("Subject: hello\r\n\r\nHello.\r\n")
        .play()
}

#[track_caller]
fn refused(sink: Sink, told: &str) {
    let transcript = played(sink);
    assert!(
        transcript
            .refusals()
            .iter()
            .any(|refusal| refusal.contains(told)),
        "{:?}",
        transcript.refusals()
    );
}

#[test]
fn edits_without_a_grant_fail_the_test() {
    let subject = || Verdict::proceed().set_header("Subject", "another");
    refused(
        sink!().on(inbound::MESSAGE, move || async move { subject() }),
        "the verdict on inbound.message: the binding's `may` does not grant headers:Subject",
    );
    // A prefix does not grant trace fields.
    refused(
        sink!().may("headers:R*").on(inbound::MESSAGE, async || {
            Verdict::proceed().remove_headers("Received")
        }),
        "does not grant headers:Received",
    );
    // The sink asks for it, and the operator gives less.
    let sink = sink!().may("headers").on(inbound::MESSAGE, async || {
        Verdict::proceed().set_header("Subject", "another")
    });
    let transcript = Session::connect(sink, "192.0.2.1")
        .tolerant()
        .may(&["headers:X-*"])
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("A: b\r\n\r\n")
        .play();
    assert_eq!(transcript.refusals().len(), 1);
    assert!(
        !transcript.accepted(),
        "the binding's failure policy answers"
    );
}

#[test]
#[should_panic(
    expected = "the gateway would refuse the verdict on inbound.mail: discard cannot be decided at inbound.mail"
)]
fn a_verdict_that_the_table_does_not_have_fails_the_test() {
    let sink = sink!()
        .may("discard")
        .on(inbound::MAIL, async || Verdict::discard());
    Session::connect(sink, "192.0.2.1")
        .mail("a@example.test")
        .play();
}

#[test]
fn the_table_the_replies_and_the_limits_are_checked() {
    use postern_sdk::Reply;
    let at_rcpt = |verdict: fn() -> Verdict| {
        sink!()
            .may("admit")
            .on(inbound::RCPT, move || async move { verdict() })
    };
    refused(
        at_rcpt(|| Verdict::reject(Reply::new(450, "", "later"))),
        "code 450 contradicts reject",
    );
    refused(
        at_rcpt(|| Verdict::reject(Reply::new(550, "4.1.1", "no"))),
        "enhanced code 4.1.1 does not fit code 550",
    );
    refused(
        at_rcpt(|| Verdict::proceed().admit_relayed()),
        "does not grant relay",
    );
    refused(
        at_rcpt(|| Verdict::proceed().append_header("X-A", "b")),
        "insert_header cannot be made at inbound.rcpt",
    );
    refused(
        at_rcpt(|| Verdict::proceed().reason("Not a key")),
        "reason_code is not",
    );
    let at_message = |verdict: fn() -> Verdict| {
        sink!()
            .may("headers")
            .may("body")
            .may("hold")
            .on(inbound::MESSAGE, move || async move { verdict() })
    };
    refused(
        at_message(|| Verdict::proceed().append_header("X-A", "one\ntwo")),
        "a header value holds a bare CR or LF",
    );
    refused(
        at_message(|| Verdict::postpone(std::time::Duration::from_secs(5))),
        "postpone cannot be decided at inbound.message",
    );
    refused(
        at_message(|| {
            Verdict::proceed().edit(v1::edit::Kind::SpliceBody(v1::SpliceBody {
                insert: Some(v1::Data {
                    kind: Some(v1::data::Kind::Literal("a\nb".into())),
                }),
                ..Default::default()
            }))
        }),
        "content holds a bare CR or LF",
    );
    let sink = sink!()
        .may("recipients")
        .on(inbound::MESSAGE, async |recipients: Recipients| {
            let gone = |id: postern_sdk::Id| {
                v1::edit::Kind::RemoveRecipient(v1::RemoveRecipient {
                    recipient_id: id.into(),
                })
            };
            let verdict = Verdict::proceed();
            recipients.iter().fold(verdict, |verdict, recipient| {
                verdict.edit(gone(recipient.id()))
            })
        });
    refused(sink, "no recipient is left");
}

#[test]
fn a_message_that_grows_beyond_the_limit_is_refused() {
    let sink = sink!()
        .may("body")
        .on(transport::SUBMIT.full(), async |mut message: Message| {
            message.append_to_body("x".repeat(100)).await?;
            Ok::<_, postern_sdk::Fault>(Verdict::proceed())
        });
    let transcript = Session::connect(sink, "192.0.2.1")
        .tolerant()
        .limits(|limits| limits.message_bytes = 100)
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("A: b\r\n\r\nHello.\r\n")
        .play();
    assert!(
        transcript.refusals()[0].contains("octets of a message, the limit is 100"),
        "{:?}",
        transcript.refusals()
    );
}

fn counting() -> Sink {
    async fn rcpt(count: MessageState<Vec<String>>, rcpt: Rcpt, recipients: Recipients) -> Verdict {
        let mut seen = count.lock();
        seen.push(rcpt.address().to_string());
        let told: Vec<_> = recipients
            .iter()
            .map(|known| known.address().to_string())
            .collect();
        Verdict::proceed().explain(format!("seen {}; told {}", seen.join(" "), told.join(" ")))
    }
    sink!().on(inbound::RCPT, rcpt)
}

fn last_explanation(transcript: &Transcript) -> &str {
    &transcript
        .verdict(EventKind::InboundRcpt)
        .as_proto()
        .explanation
}

#[test]
fn an_instance_that_was_parked_is_told_the_transaction_again() {
    let transcript = Session::connect(counting(), "192.0.2.1")
        .mail("s@example.test")
        .rcpt("a@example.test")
        .rcpt("b@example.test")
        .parked()
        .rcpt("c@example.test")
        .play();
    assert_eq!(
        last_explanation(&transcript),
        "seen a@example.test b@example.test c@example.test; told a@example.test b@example.test"
    );
}

#[test]
fn a_question_that_is_moved_is_asked_again_with_its_attempt() {
    async fn mail(mail: Mail) -> Verdict {
        let about = mail.about();
        Verdict::proceed().explain(format!("{} {:?}", about.attempt, about.ask_reason))
    }
    let transcript = Session::connect(sink!().on(inbound::MAIL, mail), "192.0.2.1")
        .moved()
        .mail("s@example.test")
        .play();
    let verdict = transcript.verdict(EventKind::InboundMail).as_proto();
    assert_eq!(verdict.explanation, "1 FailOver");
}

#[test]
fn sessions_on_one_stream_do_not_see_each_other() {
    for seed in 0..20 {
        let transcripts = Session::connect(counting(), "192.0.2.1")
            .mail("s@example.test")
            .pipelined_rcpts(&["a@example.test", "b@example.test"])
            .rcpt("c@example.test")
            .message("A: b\r\n\r\n")
            .play_interleaved(8, seed);
        assert_eq!(transcripts.len(), 8);
        for transcript in transcripts {
            assert_eq!(
                last_explanation(&transcript),
                "seen a@example.test b@example.test c@example.test; told a@example.test b@example.test"
            );
        }
    }
}
