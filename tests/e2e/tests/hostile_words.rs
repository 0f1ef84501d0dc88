//! What sinks say of themselves and of their reasons: no line of the log and no reply is theirs to write.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::hostile::Hostile;
use postern_e2e::raw_sink::{Asked, Manners, RawSink, Wire, description, proceed};
use postern_proto::v1;
use postern_proto::v1::attach_response::Kind as FromSink;

const LIMIT: Duration = Duration::from_secs(20);

/// What looks like a line of the log, and a terminal's escape.
const FORGED: &str = "so\r\n2026-01-01T00:00:00.000000Z  INFO postern::forged: all is well\n\u{1b}[31mred\u{7}\u{202e}";

/// Each line of the log begins with its time, and holds no control character.
fn is_whole(log: &str) {
    assert!(!log.is_empty());
    for line in log.split('\n').filter(|line| !line.is_empty()) {
        assert!(!line.starts_with("2026-01-01"), "a forged line: {line}");
        let control = line.chars().find(|c| c.is_control() || *c == '\u{202e}');
        assert!(control.is_none(), "{control:?} in {line:?}");
        let dated = line
            .get(..4)
            .is_some_and(|year| year.parse::<u16>().is_ok());
        assert!(dated, "no time in front of {line:?}");
    }
}

fn answers(
    wire: &mut Wire,
    asked: &Asked,
    fill: impl FnOnce(&mut v1::Verdict),
) -> std::io::Result<()> {
    wire.verdict(asked, |verdict| {
        verdict.explanation = FORGED.to_owned();
        verdict.reason_code = FORGED.to_owned();
        verdict.warnings = vec![FORGED.to_owned(); 3];
        fill(verdict);
    })
}

#[test]
fn no_words_of_a_sink_make_a_line_of_the_log() {
    let mut forger = description(1);
    forger.name = FORGED.to_owned();
    forger.version = FORGED.to_owned();
    forger.summary = FORGED.to_owned();
    forger.grants = vec![FORGED.to_owned()];
    let refuses = Manners {
        refusal: Some(
            "so%0D%0A2026-01-01T00:00:00.000000Z  INFO postern::forged: all is well%0A%1B[31mred",
        ),
        ..Manners::default()
    };
    let named = Manners {
        description: Some(forger),
        ..Manners::default()
    };
    let sinks = [
        ("named", RawSink::with(named, proceed)),
        ("refuses", RawSink::with(refuses, proceed)),
        (
            "explains",
            RawSink::answering(|wire, asked| {
                answers(wire, asked, |verdict| {
                    let kind = v1::decision::Kind::Tempfail(v1::Tempfail::default());
                    verdict.decision = Some(v1::Decision { kind: Some(kind) });
                })
            }),
        ),
        (
            "agrees",
            RawSink::answering(|wire, asked| answers(wire, asked, |_| {})),
        ),
        (
            "faults",
            RawSink::answering(|wire, asked| {
                wire.say(
                    asked,
                    FromSink::Fault(v1::Fault {
                        event_id: asked.event_id(),
                        detail: FORGED.to_owned(),
                        ..Default::default()
                    }),
                )
            }),
        ),
        (
            "ends",
            RawSink::answering(|wire, asked| {
                let status = [
                    (":status", "200"),
                    ("content-type", "application/grpc"),
                    ("grpc-status", "13"),
                    (
                        "grpc-message",
                        "so%0D%0A2026-01-01T00:00:00.000000Z  INFO postern::forged: fine%0A%1B[31m",
                    ),
                ];
                wire.end(asked.stream, &status)
            }),
        ),
        (
            "leaves",
            RawSink::answering(|wire, asked| {
                let mut stream = asked.clone();
                stream.frame.instance_id = 0;
                let reason = FORGED.to_owned();
                wire.say(
                    &stream,
                    FromSink::GoAway(v1::GoAway {
                        reason,
                        ..Default::default()
                    }),
                )?;
                proceed(wire, asked)
            }),
        ),
        (
            "progresses",
            RawSink::answering(|wire, asked| {
                let event_id = asked.event_id();
                let activity = FORGED.to_owned();
                wire.say(
                    asked,
                    FromSink::Progress(v1::Progress {
                        event_id,
                        wanted: None,
                        activity,
                    }),
                )?;
                proceed(wire, asked)
            }),
        ),
    ];
    let tables: Vec<_> = sinks
        .iter()
        .map(|(name, sink)| (*name, sink.table(name), "timeout = \"5s\""))
        .collect();
    let hostile = Hostile::start("inbound.rcpt", &tables);
    for (name, _) in &sinks {
        let reply = hostile.rcpt(name);
        assert!([250, 451].contains(&reply.code), "{name}: {reply:?}");
        assert!(!reply.text().contains("forged"), "{name}: {reply:?}");
    }
    hostile.failed("faults", &["fault"]);
    hostile.failed("ends", &["fault"]);
    hostile.failed("refuses", &["unreachable"]);
    hostile.stands();
    is_whole(&hostile.gateway.log());
    // Nor of the metrics.
    let metrics = hostile.gateway.http("/metrics").1;
    for line in metrics.lines() {
        assert!(
            line.starts_with("postern_") || line.starts_with("# "),
            "{line}"
        );
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

/// Descriptions beyond all measure.
#[test]
fn a_sink_that_describes_itself_beyond_measure_gets_no_more_than_a_modest_one() {
    let mut boundless = description(u32::MAX);
    boundless.initial_credit_bytes = u32::MAX;
    boundless.features = vec!["parts".to_owned(), "x".repeat(100_000)];
    let mut wants_all = description(100);
    wants_all.events = (0..10_000)
        .map(|event| v1::EventInterest {
            event,
            ..Default::default()
        })
        .collect();
    wants_all.grants = vec!["headers".to_owned(); 10_000];
    let mut odd_schema = description(100);
    odd_schema.properties_schema = "{\"type\": [[[".into();
    let mut newer = description(100);
    newer.protocol_version = u32::MAX;
    let mut huge = description(100);
    huge.summary = "x".repeat(3 << 20);
    let cases = [
        ("boundless", boundless, &[250][..]),
        ("wants-all", wants_all, &[250]),
        ("odd-schema", odd_schema, &[250, 451]),
        ("newer", newer, &[250, 451]),
        ("none", v1::DescribeResponse::default(), &[451]),
        ("huge", huge, &[250, 451]),
    ];
    let sinks: Vec<_> = cases
        .into_iter()
        .map(|(name, description, codes)| {
            let manners = Manners {
                description: Some(description),
                ..Manners::default()
            };
            (name, RawSink::with(manners, proceed), codes)
        })
        .collect();
    let tables: Vec<_> = sinks
        .iter()
        .map(|(name, sink, _)| (*name, sink.table(name), "timeout = \"5s\""))
        .collect();
    let hostile = Hostile::start("inbound.rcpt", &tables);
    for (name, _, codes) in &sinks {
        let reply = hostile.rcpt(name);
        assert!(codes.contains(&reply.code), "{name}: {reply:?}");
        if reply.code == 451 {
            hostile.failed(name, &["unreachable", "protocol"]);
        }
    }
    hostile.stands();
    let log = hostile.gateway.log();
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(20_000), "{longest:?}");
    is_whole(&log);
    hostile.gateway.wait_for_log("sink is reachable", LIMIT);
}
