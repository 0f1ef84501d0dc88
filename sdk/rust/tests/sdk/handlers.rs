//! Handlers, extractors, state, properties, time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_sdk::testing::Session;
use postern_sdk::{
    AnyEvent, Carried, EventKind, Fault, Instance, Mail, MessageState, Outcome, Progress,
    Properties, Rcpt, RcptGroup, Recipients, Sender, Settled, Sink, State, Transaction, Verdict,
    delivery, inbound, sink, transport, v1,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Barrier;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// How many messages a session may bring.
    most: usize,
}

#[derive(Default)]
struct Mails(usize);

fn counting() -> Sink {
    async fn mail(state: State<Mails>, limit: Properties<Limit>, _: Mail) -> Verdict {
        let mut mails = state.lock();
        mails.0 += 1;
        match mails.0 > limit.most {
            true => Verdict::tempfail("Enough for now").reason("enough"),
            false => Verdict::proceed(),
        }
    }
    async fn outcome(accepted: Carried<AtomicUsize>, outcome: Outcome) {
        tokio::task::yield_now().await;
        if outcome.outcome() == v1::Outcome::Accepted {
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    }
    sink!()
        .on(inbound::MAIL, mail)
        .on(inbound::OUTCOME, outcome)
}

fn three_messages(sink: Sink) -> Session {
    let mut session = Session::connect(sink, "192.0.2.1");
    for _ in 0..3 {
        session = session
            .mail("a@example.test")
            .rcpt("b@example.test")
            .message("A: b\r\n\r\n");
    }
    session.quit()
}

#[test]
fn state_is_kept_per_instance_and_properties_are_typed() {
    let accepted = Arc::new(AtomicUsize::new(0));
    struct Shared(Arc<AtomicUsize>);
    let also = async |shared: Carried<Shared>, outcome: Outcome| {
        if outcome.outcome() == v1::Outcome::Accepted {
            shared.0.fetch_add(1, Ordering::Relaxed);
        }
    };
    async fn mail(state: State<Mails>, limit: Properties<Limit>, _: Mail) -> Verdict {
        let mut mails = state.lock();
        mails.0 += 1;
        match mails.0 > limit.most {
            true => Verdict::tempfail("Enough for now").reason("enough"),
            false => Verdict::proceed(),
        }
    }
    for _ in 0..2 {
        let sink = sink!()
            .with(Shared(Arc::clone(&accepted)))
            .on(inbound::MAIL, mail)
            .on(inbound::OUTCOME, also);
        let transcript = three_messages(sink)
            .properties(&json!({ "most": 2 }))
            .play();
        assert_eq!(transcript.mails().len(), 2);
        assert_eq!(
            transcript.reply(EventKind::InboundMail),
            Some((451, "Enough for now".to_owned()))
        );
    }
    // One-way events are handled to their end, even though nobody waits for them.
    assert_eq!(accepted.load(Ordering::Relaxed), 4);
}

#[test]
fn properties_that_do_not_fit_are_a_fault_that_names_the_reason() {
    let sink = counting().with(AtomicUsize::new(0));
    let transcript = three_messages(sink)
        .properties(&json!({ "most": "two" }))
        .play();
    let fault = transcript.fault(EventKind::InboundMail);
    assert_eq!(fault.kind(), v1::FaultKind::Properties);
    assert!(
        fault.detail().contains("invalid type: string \"two\""),
        "{fault:?}"
    );
}

#[test]
fn the_schema_of_the_properties_is_derived_and_told() {
    let sink = counting().with(AtomicUsize::new(0));
    let schema = sink.describe().unwrap().properties_schema;
    let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
    assert_eq!(schema["properties"]["most"]["type"], "integer");
    assert_eq!(
        schema["properties"]["most"]["description"],
        "How many messages a session may bring."
    );
    assert_eq!(schema["required"], json!(["most"]));
    assert_eq!(schema["additionalProperties"], false);

    let none = sink!().on(inbound::MAIL, async |_: Mail| Verdict::proceed());
    let schema: serde_json::Value =
        serde_json::from_slice(&none.describe().unwrap().properties_schema).unwrap();
    assert_eq!(
        schema["additionalProperties"], false,
        "a sink that takes none says so"
    );
    let transcript = Session::connect(none, "192.0.2.1")
        .properties(&json!({ "most": 1 }))
        .mail("a@example.test")
        .play();
    let fault = transcript.fault(EventKind::InboundMail);
    assert_eq!(fault.detail(), "binding test: the sink takes no properties");
}

#[test]
fn what_is_wrong_with_a_sink_is_said_before_it_is_served() {
    async fn mail(_: Mail) -> Verdict {
        Verdict::proceed()
    }
    let twice = sink!().on(inbound::MAIL, mail).on(inbound::MAIL, mail);
    let error = twice.describe().unwrap_err().to_string();
    assert!(error.contains("inbound.mail has two handlers"), "{error}");

    let lacking = sink!().on(inbound::OUTCOME, async |_: Carried<String>, _: Outcome| {});
    let error = lacking.describe().unwrap_err().to_string();
    assert!(error.contains("Carried<alloc::string::String>"), "{error}");

    let sink = Sink::new("No Name", "1")
        .may("header:X-A")
        .reads("bodies")
        .on(inbound::MAIL, mail);
    let error = sink.describe().unwrap_err().to_string();
    for part in [
        "its name is not",
        "\"header:X-A\" is no word of `may`",
        "\"bodies\" is no word of `reads`",
    ] {
        assert!(error.contains(part), "{error}");
    }

    let two_types = sink!()
        .on(inbound::MAIL, async |_: Properties<Limit>| {
            Verdict::proceed()
        })
        .on(inbound::RCPT, async |_: Properties<String>| {
            Verdict::proceed()
        });
    let error = two_types.describe().unwrap_err().to_string();
    assert!(
        error.contains("the handler of inbound.rcpt takes the properties as"),
        "{error}"
    );

    let none = sink!().describe().unwrap_err().to_string();
    assert!(none.contains("it handles no event"), "{none}");

    let submit = sink!().observe([EventKind::TransportSubmit], async |_: AnyEvent| {});
    let error = submit.describe().unwrap_err().to_string();
    assert!(
        error.contains("transport.submit cannot be told, only asked"),
        "{error}"
    );
}

#[test]
fn a_handler_is_the_only_list_of_events() {
    let sink = sink!()
        .on(inbound::CONNECT.at_rcpt(), async || Verdict::proceed())
        .on(inbound::MAIL.told(), async |_: Mail| {})
        .on(inbound::MESSAGE.prefix(1000), async || Verdict::proceed())
        .on(transport::SUBMIT, async || Verdict::proceed())
        .on(delivery::RESULT, async || {})
        .settled(async |_: Settled| {});
    let description = sink.describe().unwrap();
    let said: Vec<_> = description
        .events
        .iter()
        .map(|interest| (interest.event(), interest.ask(), interest.body.is_some()))
        .collect();
    assert_eq!(
        said,
        [
            (EventKind::InboundConnect, v1::AskMode::AtRcpt, false),
            (EventKind::InboundMail, v1::AskMode::Told, false),
            (EventKind::InboundMessage, v1::AskMode::Unspecified, true),
            (EventKind::TransportSubmit, v1::AskMode::Unspecified, true),
            (EventKind::DeliveryResult, v1::AskMode::Unspecified, false),
        ]
    );
    assert!(description.features.contains(&"settled".to_owned()));
    assert!(!description.features.contains(&"actions".to_owned()));
    assert!(!description.side_effects && !description.repeatable);
}

#[test]
fn side_effects_and_repeatable_are_two_things() {
    let sink = || sink!().on(inbound::MAIL, async || Verdict::proceed());
    let said = |sink: Sink| {
        let description = sink.describe().unwrap();
        (description.side_effects, description.repeatable)
    };
    assert_eq!(said(sink().side_effects()), (true, false));
    assert_eq!(said(sink().side_effects().repeatable()), (true, true));
}

/// Answers no RCPT before all of a group are there.
#[test]
fn recipients_of_a_pipelined_group_are_judged_at_the_same_time() {
    async fn rcpt(rcpt: Rcpt, together: Carried<Barrier>) -> Verdict {
        together.wait().await;
        match rcpt.address().local() == "no" {
            true => Verdict::reject("Not here"),
            false => Verdict::proceed(),
        }
    }
    let sink = sink!().with(Barrier::new(3)).on(inbound::RCPT, rcpt);
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("a@example.test")
        .pipelined_rcpts(&["x@example.test", "no@example.test", "y@example.test"])
        .message("A: b\r\n\r\n")
        .play();
    assert_eq!(
        transcript.mail().recipients(),
        ["x@example.test", "y@example.test"]
    );
}

#[test]
fn a_group_can_be_judged_in_one_handler() {
    async fn group(group: RcptGroup) -> Vec<Verdict> {
        let most = 2;
        let verdict = |(place, rcpt): (usize, &Rcpt)| match place < most {
            true => Verdict::proceed(),
            false => Verdict::tempfail(format!(
                "{} comes after {most} of {}",
                rcpt.address(),
                group.len()
            )),
        };
        group.iter().enumerate().map(verdict).collect()
    }
    let sink = sink!().on(inbound::RCPT.grouped(), group);
    let addresses = ["a@example.test", "b@example.test", "c@example.test"];
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("s@example.test")
        .pipelined_rcpts(&addresses)
        .rcpt("d@example.test")
        .message("A: b\r\n\r\n")
        .play();
    assert_eq!(
        transcript.mail().recipients(),
        ["a@example.test", "b@example.test", "d@example.test"]
    );
    let refused: Vec<_> = transcript
        .answers_to(EventKind::InboundRcpt)
        .filter_map(|answer| match answer.as_ref().unwrap().decision()? {
            v1::decision::Kind::Tempfail(tempfail) => tempfail.reply.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].lines[0], "c@example.test comes after 2 of 3");
}

#[test]
fn too_few_verdicts_for_a_group_are_a_fault_of_each() {
    let sink = sink!().on(inbound::RCPT.grouped(), async |_: RcptGroup| {
        vec![Verdict::proceed()]
    });
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("s@example.test")
        .pipelined_rcpts(&["a@example.test", "b@example.test"])
        .play();
    assert_eq!(transcript.answers_to(EventKind::InboundRcpt).count(), 2);
    let fault = transcript.fault(EventKind::InboundRcpt);
    assert_eq!(fault.detail(), "1 verdicts for a group of 2");
}

#[test]
fn sender_and_transaction_are_those_of_the_event() {
    async fn rcpt(
        rcpt: Rcpt,
        sender: Sender,
        transaction: Transaction,
        recipients: Recipients,
    ) -> Verdict {
        let number = recipients.len();
        assert_eq!(transaction.sender(), *sender);
        Verdict::proceed().explain(format!("{sender} to {} after {number}", rcpt.address()))
    }
    let sink = sink!()
        .on(inbound::MAIL, async |sender: Sender| {
            Verdict::proceed().explain(format!("null: {}", sender.is_null()))
        })
        .on(inbound::RCPT, rcpt);
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("")
        .rcpt("a@example.test")
        .reset()
        .mail("b@example.test")
        .rcpt("c@example.test")
        .rcpt("d@example.test")
        .play();
    let said: Vec<_> = transcript
        .answers()
        .iter()
        .map(|(_, answer)| answer.as_ref().unwrap().as_proto().explanation.clone())
        .collect();
    assert_eq!(
        said,
        [
            "null: true",
            " to a@example.test after 0",
            "null: false",
            "b@example.test to c@example.test after 0",
            "b@example.test to d@example.test after 1",
        ]
    );
}

#[test]
fn what_is_kept_for_a_message_ends_with_it() {
    async fn rcpt(count: MessageState<usize>, _: Rcpt) -> Verdict {
        let mut count = count.lock();
        *count += 1;
        Verdict::proceed().explain(count.to_string())
    }
    let sink = sink!().on(inbound::RCPT, rcpt);
    let mut session = Session::connect(sink, "192.0.2.1");
    for _ in 0..2 {
        session = session
            .mail("a@example.test")
            .rcpt("b@example.test")
            .rcpt("c@example.test")
            .message("A: b\r\n\r\n");
    }
    let transcript = session.play();
    let counted: Vec<_> = transcript
        .answers_to(EventKind::InboundRcpt)
        .map(|answer| answer.as_ref().unwrap().as_proto().explanation.clone())
        .collect();
    assert_eq!(counted, ["1", "2", "1", "2"]);
}

#[test]
fn a_handler_that_nobody_waits_for_is_dropped() {
    async fn mail(progress: Progress) -> Verdict {
        progress.tell("thinking").await;
        std::future::pending().await
    }
    let sink = sink!().on(inbound::MAIL, mail);
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("a@example.test")
        .play();
    // The script ends, so the handler is gone: the kit waits for all that runs.
    let fault = transcript.fault(EventKind::InboundMail);
    assert!(fault.detail().contains("deadline"), "{fault:?}");
    assert_eq!(transcript.activities(), ["thinking"]);
}

#[test]
fn more_time_is_asked_for_and_granted_on_a_virtual_clock() {
    async fn mail(progress: Progress) -> Verdict {
        let granted = progress.ask(Duration::from_secs(30), "scanning").await;
        tokio::time::sleep(Duration::from_secs(25)).await;
        Verdict::proceed().explain(format!("{granted:?}"))
    }
    let began = std::time::Instant::now();
    let transcript = Session::connect(sink!().on(inbound::MAIL, mail), "192.0.2.1")
        .mail("a@example.test")
        .play();
    let verdict = transcript.verdict(EventKind::InboundMail).as_proto();
    assert_eq!(verdict.explanation, "Some(30s)");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "no time was spent"
    );
}

#[test]
fn an_instance_that_is_done_hears_nothing_further() {
    async fn mail(instance: Instance, _: Mail) -> Verdict {
        instance.done().await;
        Verdict::proceed()
    }
    let sink = sink!()
        .on(inbound::MAIL, mail)
        .on(inbound::RCPT, async || -> Result<Verdict, Fault> {
            panic!("asked all the same")
        });
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("A: b\r\n\r\n")
        .play();
    assert!(transcript.accepted());
    assert_eq!(transcript.answers().len(), 1);
}

#[test]
fn what_became_of_verdicts_is_heard() {
    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<v1::Settlement>>);
    let heard = Arc::new(Heard::default());
    let sink = sink!()
        .with(Arc::clone(&heard))
        .on(inbound::MAIL, async || Verdict::proceed())
        .on(inbound::RCPT, async || Verdict::discard())
        .settled(async |settled: Settled, heard: Carried<Arc<Heard>>| {
            heard.0.lock().unwrap().push(settled.settlement());
        });
    let transcript = Session::connect(sink, "192.0.2.1")
        .tolerant()
        .mail("a@example.test")
        .rcpt("b@example.test")
        .play();
    assert_eq!(
        transcript.refusals(),
        [
            "the gateway would refuse the verdict on inbound.rcpt: the binding's `may` does not grant discard"
        ]
    );
    let heard = heard.0.lock().unwrap().clone();
    assert_eq!(heard, [v1::Settlement::Applied, v1::Settlement::Refused]);
}

#[test]
fn told_events_come_in_their_order_before_the_next_question() {
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let lines = Arc::clone(&lines);
        move || {
            let lines = Arc::clone(&lines);
            async move {
                lines.lock().unwrap().push(name);
            }
        }
    };
    let asked = Arc::clone(&lines);
    let sink = sink!()
        .on(inbound::CONNECT.told(), note("connect"))
        .on(inbound::HELO.told(), note("helo"))
        .on(inbound::MAIL.told(), note("mail"))
        .on(inbound::DISCONNECT, note("disconnect"))
        .on(inbound::RCPT, move || {
            let asked = Arc::clone(&asked);
            async move {
                asked.lock().unwrap().push("rcpt");
                Verdict::proceed()
            }
        });
    let transcript = Session::connect(sink, "192.0.2.1")
        .ehlo("client.example.test")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .quit()
        .play();
    assert_eq!(transcript.answers().len(), 1);
    let lines = lines.lock().unwrap().clone();
    assert_eq!(lines, ["connect", "helo", "mail", "rcpt", "disconnect"]);
}

#[test]
fn questions_that_wait_for_rcpt_refuse_it() {
    let sink = sink!()
        .on(inbound::CONNECT.at_rcpt(), async || Verdict::proceed())
        .on(inbound::MAIL.at_rcpt(), async |mail: Mail| {
            match mail
                .sender()
                .address()
                .is_some_and(|sender| sender.is_within("spam.example"))
            {
                true => Verdict::reject("Not from there"),
                false => Verdict::proceed(),
            }
        });
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("a@spam.example")
        .rcpt("b@example.test")
        .message("A: b\r\n\r\n")
        .reset()
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("A: b\r\n\r\n")
        .play();
    assert_eq!(transcript.mails().len(), 1);
    let kinds: Vec<_> = transcript.answers().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::InboundConnect,
            EventKind::InboundMail,
            EventKind::InboundMail
        ]
    );
}

#[test]
fn a_dialogue_is_a_row_of_commands_with_input_and_has_to_be_answered() {
    async fn talk(command: postern_sdk::Command) -> Verdict {
        match (&*command.verb(), command.input()) {
            ("XGREET", None) => Verdict::ask_line("Who are you?", 100),
            ("XGREET", Some(b"nobody")) => Verdict::proceed(),
            ("XGREET", Some(name)) => Verdict::respond(String::from_utf8_lossy(name).into_owned()),
            _ => Verdict::proceed(),
        }
    }
    let said = |input: Option<&'static str>| {
        v1::event::Kind::InboundCommand(v1::InboundCommand {
            command: Some(v1::Command {
                verb: "XGREET".into(),
                line: "XGREET".into(),
                ..Default::default()
            }),
            handling: v1::CommandHandling::Registered.into(),
            dialogue_input: input.map(Into::into),
        })
    };
    let sink = sink!()
        .may("respond")
        .verb("XGREET", "greets by name")
        .on(inbound::COMMAND, talk);
    let transcript = Session::connect(sink, "192.0.2.1")
        .event(said(None))
        .event(said(Some("Anna")))
        .event(said(Some("nobody")))
        .tolerant()
        .play();
    let answers: Vec<_> = transcript.answers_to(EventKind::InboundCommand).collect();
    assert!(answers[0].as_ref().unwrap().as_proto().answer.is_some());
    let anna = answers[1].as_ref().unwrap();
    assert!(format!("{anna:?}").contains("Anna"), "{anna:?}");
    let nobody = answers[2].as_ref().unwrap_err();
    assert!(format!("{nobody:?}").contains("dialogue"), "{nobody:?}");
}
