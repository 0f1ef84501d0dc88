//! What authors rely on: state, properties, editing, content, faults, time.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_sdk::testing::Session;
use postern_sdk::{
    Body, ContentError, Description, EventKind, Instance, Mail, Message, NoProperties, Outcome,
    Rcpt, Result, Sink, Verdict, describe, v1,
};
use serde::Deserialize;
use tokio::sync::Barrier;

const LIMIT: u64 = 64 << 20;

type BoxedVerdict<'a> = std::pin::Pin<Box<dyn Future<Output = Result> + Send + 'a>>;

/// A sink whose answer to a message is a function.
struct OnMessage(Body, fn(&mut Message) -> BoxedVerdict<'_>);

impl Sink for OnMessage {
    fn describe(&self) -> Description {
        describe!()
            .on_with(EventKind::InboundMessage, self.0)
            .may("body")
            .may("headers:*")
    }
    async fn on_message(&self, _: &Instance, message: &mut Message) -> Result {
        self.1(message).await
    }
}

fn session(
    body: Body,
    judge: fn(&mut Message) -> BoxedVerdict<'_>,
    raw: impl Into<Vec<u8>>,
) -> Session<OnMessage> {
    Session::connect(OnMessage(body, judge), "192.0.2.1")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message(raw)
}

#[tokio::test]
async fn a_new_body_becomes_the_smallest_splice() {
    let transcript = session(
        Body::Full,
        |message| {
            Box::pin(async move {
                let text = message.text(LIMIT).await?.replace("world", "moon");
                message.set_body(text);
                message.headers.set("Subject", "changed");
                Ok(Verdict::proceed())
            })
        },
        "Subject: hello\r\n\r\nHello, world, again.\r\n",
    )
    .await;
    assert_eq!(
        transcript.mail().text(),
        "Subject: changed\r\n\r\nHello, moon, again.\r\n"
    );
    let edits = &transcript
        .verdict(EventKind::InboundMessage)
        .as_proto()
        .edits;
    let Some(v1::edit::Kind::SpliceBody(splice)) = &edits[1].kind else {
        panic!("{edits:?}")
    };
    assert_eq!((splice.offset, splice.remove_bytes), (7, 5));
}

#[tokio::test]
async fn edits_of_a_refused_message_are_dropped() {
    let transcript = session(
        Body::Headers,
        |message| {
            Box::pin(async move {
                message.headers.append("X-Seen", "yes");
                Ok(Verdict::reject("Go away"))
            })
        },
        "Subject: hello\r\n\r\n",
    )
    .await;
    assert!(
        transcript
            .verdict(EventKind::InboundMessage)
            .as_proto()
            .edits
            .is_empty()
    );
    assert_eq!(
        transcript.reply(EventKind::InboundMessage),
        Some((550, "Go away".to_owned()))
    );
    assert!(!transcript.accepted());
}

#[tokio::test]
async fn a_large_body_comes_under_credit_and_goes_back_in_an_upload() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let raw = [b"Subject: large\r\n\r\n", body.as_slice()].concat();
    let transcript = session(
        Body::Full,
        |message| {
            Box::pin(async move {
                let mut turned = message.body(LIMIT).await?.to_vec();
                turned.reverse();
                message.set_body(turned);
                Ok(Verdict::proceed())
            })
        },
        raw,
    )
    .chunks_of(40_000)
    .await;
    let turned: Vec<u8> = body.into_iter().rev().collect();
    assert!(transcript.mail().body() == turned);
}

#[tokio::test]
async fn a_body_is_streamed_to_its_end_and_appended_to() {
    let transcript = session(
        Body::Full,
        |message| {
            Box::pin(async move {
                let mut octets = 0;
                while let Some(chunk) = message.next_chunk().await? {
                    octets += chunk.len();
                }
                assert_eq!(message.body(LIMIT).await, Err(ContentError::Taken));
                message
                    .append_to_body(format!("{octets} octets\r\n"))
                    .await?;
                Ok(Verdict::proceed())
            })
        },
        format!("Subject: x\r\n\r\n{}", "0123456789abcdef".repeat(20_000)),
    )
    .chunks_of(1000)
    .await;
    assert!(transcript.mail().body().ends_with(b"cdef320000 octets\r\n"));
}

#[tokio::test]
async fn a_body_that_is_not_read_need_not_be_sent_to_be_appended_to() {
    let transcript = session(
        Body::Full,
        |message| {
            Box::pin(async move {
                message.append_to_body("footer\r\n").await?;
                Ok(Verdict::proceed())
            })
        },
        format!("Subject: x\r\n\r\n{}", "x".repeat(500_000)),
    )
    .await;
    assert!(transcript.mail().body().ends_with(b"xxxfooter\r\n"));
    assert_eq!(transcript.mail().body().len(), 500_008);
}

#[tokio::test]
async fn ranges_are_read_on_demand() {
    let transcript = session(
        Body::OnDemand,
        |message| {
            Box::pin(async move {
                assert_eq!(message.next_chunk().await, Err(ContentError::NotShown));
                assert_eq!(message.read(5, 3).await?, "567");
                assert_eq!(message.read(8, 100).await?, "89");
                assert_eq!(message.read(10, 100).await?, "");
                let whole = message.body(LIMIT).await?;
                Ok(Verdict::proceed().explain(format!("{} octets", whole.len())))
            })
        },
        "Subject: x\r\n\r\n0123456789",
    )
    .await;
    assert_eq!(
        transcript
            .verdict(EventKind::InboundMessage)
            .as_proto()
            .explanation,
        "10 octets"
    );
}

#[tokio::test]
async fn too_large_a_body_and_a_panic_are_faults_at_once() {
    let judge: fn(&mut Message) -> BoxedVerdict<'_> = |message| {
        Box::pin(async move {
            message.body(3).await?;
            Ok(Verdict::proceed())
        })
    };
    let transcript = session(Body::Full, judge, "A: b\r\n\r\ntoo long").await;
    assert_eq!(
        transcript.fault(EventKind::InboundMessage).detail(),
        "the body is larger than 3 octets"
    );

    let judge: fn(&mut Message) -> BoxedVerdict<'_> = |_| Box::pin(async { panic!("a bug") });
    let transcript = session(Body::Full, judge, "A: b\r\n\r\n").await;
    assert_eq!(
        transcript.fault(EventKind::InboundMessage).detail(),
        "the handler panicked: a bug"
    );
}

#[derive(Deserialize)]
struct Properties {
    most: usize,
}

#[derive(Default)]
struct Counts {
    mails: usize,
}

/// Counts per session and in all.
struct Counting(Arc<AtomicUsize>);

impl Sink<Properties, Counts> for Counting {
    fn describe(&self) -> Description {
        describe!()
            .on(EventKind::InboundMail)
            .on(EventKind::InboundReset)
            .on(EventKind::InboundOutcome)
    }
    async fn on_mail(&self, instance: &Instance<Properties, Counts>, _: &Mail) -> Result {
        let mails = {
            let mut state = instance.state();
            state.mails += 1;
            state.mails
        };
        Ok(match mails > instance.properties().most {
            true => Verdict::tempfail("Enough for now").reason("enough"),
            false => Verdict::proceed(),
        })
    }
    async fn on_outcome(&self, _: &Instance<Properties, Counts>, outcome: &Outcome) {
        tokio::task::yield_now().await;
        if outcome.outcome() == v1::Outcome::Accepted {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn state_is_kept_per_instance_and_properties_are_typed() {
    let accepted = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let mut session = Session::connect(Counting(Arc::clone(&accepted)), "192.0.2.1")
            .properties(&serde_json::json!({ "most": 2 }));
        for _ in 0..3 {
            session = session
                .mail("a@example.test")
                .rcpt("b@example.test")
                .message("A: b\r\n\r\n");
        }
        let transcript = session.quit().await;
        assert_eq!(transcript.mails().len(), 2);
        assert_eq!(
            transcript.reply(EventKind::InboundMail),
            Some((451, "Enough for now".to_owned()))
        );
    }
    // One-way events are handled to their end, even though nobody waits for them.
    assert_eq!(accepted.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn properties_that_do_not_fit_are_a_fault_that_names_the_reason() {
    let transcript = Session::connect(Counting(Arc::default()), "192.0.2.1")
        .properties(&serde_json::json!({ "most": "two" }))
        .mail("a@example.test")
        .await;
    let fault = transcript.fault(EventKind::InboundMail);
    assert_eq!(fault.kind(), v1::FaultKind::Properties);
    assert!(
        fault.detail().contains("invalid type: string \"two\""),
        "{fault:?}"
    );
}

/// Answers no RCPT before all of a group are there.
struct Together(Barrier);

impl Sink<NoProperties, ()> for Together {
    fn describe(&self) -> Description {
        describe!().on(EventKind::InboundRcpt)
    }
    async fn on_rcpt(&self, _: &Instance, rcpt: &Rcpt) -> Result {
        self.0.wait().await;
        Ok(if rcpt.address().starts_with("no@") {
            Verdict::reject("Not here")
        } else {
            Verdict::proceed()
        })
    }
}

#[tokio::test]
async fn recipients_of_a_pipelined_group_are_judged_at_the_same_time() {
    let transcript = Session::connect(Together(Barrier::new(3)), "192.0.2.1")
        .mail("a@example.test")
        .pipelined_rcpts(&["x@example.test", "no@example.test", "y@example.test"])
        .message("A: b\r\n\r\n")
        .await;
    assert_eq!(
        transcript.mail().recipients(),
        ["x@example.test", "y@example.test"]
    );
}

/// Never answers, but says that it works.
struct Hanging;

impl Sink for Hanging {
    fn describe(&self) -> Description {
        describe!().on(EventKind::InboundMail)
    }
    async fn on_mail(&self, instance: &Instance, _: &Mail) -> Result {
        instance.progress("thinking").await;
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_handler_that_nobody_waits_for_is_dropped() {
    let transcript = Session::connect(Hanging, "192.0.2.1")
        .deadline(Duration::from_millis(50))
        .mail("a@example.test")
        .await;
    // The script ends, so the handler is gone: the kit waits for all that runs.
    assert!(
        transcript
            .fault(EventKind::InboundMail)
            .detail()
            .contains("deadline")
    );
    assert_eq!(transcript.activities(), ["thinking"]);
}
