//! What a chain, a limit and a trace must keep even when plans change and instances are open already.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_dispatch::dispatcher::Dispatcher;
use postern_dispatch::observer::Deaf;
use postern_dispatch::settings::Settings;
use postern_events::chain::Start;
use postern_events::context::MessageContext;
use postern_events::fault::FaultKind;
use postern_events::plan::{BindingSpec, Plan, PlanSpec, ServerSpec, SinkSpec, Timeouts};
use postern_events::ruling::Decision;
use postern_events::transport::Submit;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind as In;
use postern_proto::v1::attach_response::Kind as Out;

use crate::content::{again, stored};
use crate::rig::{Bound, Rig, budget, command, session};
use crate::sink::{TestSink, agreeable};

fn plan(bound: &[(&str, &TestSink)], event: &str, concurrency: Option<u32>) -> Plan {
    let mut spec = PlanSpec {
        servers: vec![ServerSpec::new("mx")],
        ..PlanSpec::default()
    };
    for (name, sink) in bound {
        spec.sinks.push(SinkSpec {
            name: (*name).to_owned(),
            endpoints: vec![sink.endpoint.clone()],
            concurrency,
            ..SinkSpec::default()
        });
        spec.bindings.push(BindingSpec {
            events: Some(vec![event.to_owned()]),
            reads: Some(Vec::new()),
            may: Some(vec!["postpone".to_owned()]),
            timeouts: Timeouts::uniform(Duration::from_secs(5)),
            ..BindingSpec::new((*name).to_owned(), (*name).to_owned())
        });
    }
    Plan::build(spec, &HashMap::new()).unwrap()
}

fn dispatcher(plan: Plan) -> Dispatcher {
    Dispatcher::new(
        Arc::new(ArcSwap::from_pointee(plan)),
        Arc::new(Deaf),
        Settings::default(),
    )
}

#[tokio::test]
async fn a_chain_that_was_put_off_by_a_binding_that_is_gone_goes_on_behind_those_that_were_asked() {
    let [first, last] = [
        TestSink::start(16, agreeable).await,
        TestSink::start(16, agreeable).await,
    ];
    let holder = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            let wait = Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            });
            replies.verdict(
                event.event_id,
                pb::decision::Kind::Postpone(pb::Postpone { wait }),
            );
        }
    })
    .await;
    let event = "transport.submit";
    let before = dispatcher(plan(
        &[("first", &first), ("holder", &holder), ("last", &last)],
        event,
        None,
    ));
    let (mut message, content) = stored();
    let context = |message: &postern_message::Message| {
        MessageContext::new(Arc::new(message.clone())).unwrap()
    };
    let scope = before.begin_message(context(&message), Arc::clone(&content));
    let ruled = scope.judge(Submit, &budget(), Start::First, again(0)).await;
    assert_eq!(
        ruled.ruling.decision,
        Decision::Postpone(Duration::from_secs(60)),
        "{:?}",
        ruled.ruling
    );
    assert_eq!(
        ruled.ruling.by.as_ref().map(|by| &*by.binding),
        Some("holder")
    );
    message.properties = ruled.draft.properties;
    let gone = Start::At {
        binding: "holder".to_owned(),
        passed: vec!["first".to_owned()],
    };
    let questions = |sink: &TestSink| {
        let frames = sink.frames();
        frames
            .iter()
            .filter(|frame| frame.question().is_some())
            .count()
    };
    let asked = questions(&first);

    let after = dispatcher(plan(&[("first", &first), ("last", &last)], event, None));
    let ruled = after
        .begin_message(context(&message), content)
        .judge(Submit, &budget(), gone, again(1))
        .await;
    assert_eq!(
        ruled.ruling.decision,
        Decision::Proceed,
        "{:?}",
        ruled.ruling
    );
    assert_eq!(
        questions(&first),
        asked,
        "it has edited the message already"
    );
    assert!(
        last.frames()
            .iter()
            .any(|frame| frame.question().is_some_and(|event| event.attempt == 2))
    );
}

#[tokio::test]
async fn instances_that_are_open_keep_to_the_sinks_concurrency() {
    let sink = TestSink::start(16, |frame, replies| {
        let told = |event: &pb::Event| match &event.kind {
            Some(pb::event::Kind::InboundCommand(command)) => {
                command.command.clone().unwrap_or_default().verb
            }
            _ => "".into(),
        };
        if let Some(event) = frame.question().filter(|event| told(event) != "SLOW") {
            replies.proceed(event.event_id);
        }
    })
    .await;
    let dispatcher = dispatcher(plan(&[("one", &sink)], "inbound.command", Some(1)));
    let scopes = [
        dispatcher.begin_session(session()),
        dispatcher.begin_session(session()),
    ];
    for scope in &scopes {
        assert_eq!(
            scope.command(command("NOOP"), &budget()).await.decision,
            Decision::Proceed
        );
    }
    let slow = scopes[0].command(command("SLOW"), &budget());
    let shed = async {
        sink.until(|frames| {
            frames
                .iter()
                .filter(|frame| frame.question().is_some())
                .count()
                == 3
        })
        .await;
        scopes[1].command(command("NOOP"), &budget()).await
    };
    let shed = tokio::select! {
        _ = slow => panic!("nobody answered it"),
        shed = shed => shed,
    };
    assert_eq!(
        shed.failures.first().map(|failure| failure.fault.kind),
        Some(FaultKind::Overload)
    );
}

#[tokio::test]
async fn every_event_is_a_span_of_the_sessions_trace() {
    let sink = TestSink::start(16, agreeable).await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.command"])]);
    let session = session();
    let trace = session.id.to_string().replace('-', "");
    let scope = rig.dispatcher.begin_session(session);
    for _ in 0..2 {
        scope.command(command("NOOP"), &budget()).await;
    }
    let parents: Vec<String> = sink
        .frames()
        .into_iter()
        .filter_map(|frame| match frame.kind {
            In::OpenInstance(open) => Some(open.trace_parent),
            In::Event(event) => Some(event.trace_parent),
            _ => None,
        })
        .collect();
    let mut spans: Vec<&str> = Vec::new();
    for parent in &parents {
        let parts: Vec<&str> = parent.split('-').collect();
        assert_eq!(
            (parts[0], parts[1], parts[3]),
            ("00", trace.as_str(), "01"),
            "{parent}"
        );
        spans.push(parts[2]);
    }
    spans.sort_unstable();
    spans.dedup();
    assert_eq!((parents.len(), spans.len()), (3, 3));
}

#[tokio::test]
async fn a_flood_of_progress_holds_up_nobody_and_the_verdict_counts() {
    let sink = TestSink::start(16, |frame, replies| {
        if let Some(event) = frame.question() {
            for _ in 0..50 {
                replies.send(Out::Progress(pb::Progress {
                    event_id: event.event_id,
                    ..Default::default()
                }));
            }
            replies.proceed(event.event_id);
        }
    })
    .await;
    let rig = Rig::new(vec![Bound::to(&sink, &["inbound.command"])]);
    let scope = rig.session();
    for _ in 0..20 {
        assert_eq!(
            scope.command(command("NOOP"), &budget()).await.decision,
            Decision::Proceed
        );
    }
}
