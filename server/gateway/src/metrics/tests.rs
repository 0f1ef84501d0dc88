//! What is exported, and what the page says of it.

#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;

#[test]
fn what_is_counted_can_be_read() {
    let metrics = Metrics::new();
    let server: Arc<str> = "in\"bound".into();
    metrics.count_reply(&server, 2);
    metrics.count_reply(&server, 2);
    metrics.count_message(&server, MessageEnd::Accepted);
    metrics.count_limit(&server, LimitName::ConnectionsPerClient);
    metrics.observe_wait(&server, WaitedFor::Command, Duration::from_millis(3));
    metrics.set_spool(&StageCounts {
        held: 3,
        ..StageCounts::default()
    });
    let text = metrics.render().unwrap();
    for line in [
        "postern_replies_total{server=\"in\\\"bound\",class=\"2xx\"} 2\n",
        "postern_messages_total{server=\"in\\\"bound\",end=\"accepted\"} 1\n",
        "postern_limits_total{server=\"in\\\"bound\",limit=\"connections_per_client\"} 1\n",
        "postern_reply_time_seconds_bucket{le=\"0.005\",server=\"in\\\"bound\",kind=\"command\"} 1\n",
        "postern_spool_messages{stage=\"held\"} 3\n",
        "# EOF\n",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

/// Every family has a value, so that each metric is exported.
fn all() -> Arc<Metrics> {
    use crate::metrics::labels::{
        Categorized, Change, DeliveryResult, Found, ReplicaChange, TlsMode, TlsResult,
    };
    use crate::observe::standing::ReplicaStanding;
    use postern_dispatch::dispatcher::ReplicaHealth;

    let metrics = Metrics::new();
    let name: Arc<str> = "x".into();
    let server = || labels::Name::from(&name);
    let of_server = OfServer { server: server() };
    metrics.sessions.get_or_create(&of_server).inc();
    metrics.sessions_open.get_or_create(&of_server).set(1);
    metrics.received_bytes.get_or_create(&of_server).inc();
    metrics.message_size.get_or_create(&of_server).observe(1.0);
    metrics.count_reply(&name, 2);
    metrics.observe_wait(&name, WaitedFor::Command, Duration::ZERO);
    metrics.count_message(&name, MessageEnd::Accepted);
    metrics.tenants.count(&name, "t");
    metrics.count_limit(&name, LimitName::Errors);
    let handshake = Handshake {
        server: server(),
        mode: TlsMode::Implicit,
        result: TlsResult::Tls13,
    };
    metrics.handshakes.get_or_create(&handshake).inc();
    let (mechanism, result) = (labels::AuthMechanism::Plain, labels::AuthResult::Ok);
    metrics.count_authentication(&name, mechanism, result);
    let (binding, sink, event) = (server, server, "e");
    let ruled = Ruled {
        binding: binding(),
        sink: sink(),
        event,
        decision: "proceed",
    };
    metrics.verdicts.get_or_create(&ruled).inc();
    let reasoned = Reasoned {
        binding: binding(),
        sink: sink(),
        event,
        reason: server(),
    };
    metrics.reasons.get_or_create(&reasoned).inc();
    let faulted = Faulted {
        binding: binding(),
        sink: sink(),
        event,
        kind: "timeout",
    };
    metrics.faults.get_or_create(&faulted).inc();
    let acted = ActedLabel {
        binding: binding(),
        sink: sink(),
        deed: "release",
        status: "done",
    };
    metrics.actions.get_or_create(&acted).inc();
    let of_sink = OfSink {
        sink: sink(),
        event,
    };
    metrics.sink_time.get_or_create(&of_sink).observe(1.0);
    let endpoint = Endpoint { sink: sink() };
    metrics.late.get_or_create(&endpoint).inc();
    metrics.dropped.get_or_create(&endpoint).inc();
    metrics.stalls.get_or_create(&endpoint).inc();
    let change = ReplicaChange {
        sink: sink(),
        replica: server(),
        change: Change::Down,
    };
    metrics.replica_changes.get_or_create(&change).inc();
    let delivered = Delivered {
        server: server(),
        result: DeliveryResult::Delivered,
    };
    metrics.deliveries.get_or_create(&delivered).inc();
    let categorized = Categorized {
        server: server(),
        result: Found::Expanded,
    };
    metrics.categorized.get_or_create(&categorized).inc();
    let (mx, found) = (
        postern_delivery::RecordKind::Mx,
        postern_delivery::LookedUp::Found,
    );
    metrics.lookups.observe(mx, found, Duration::ZERO);
    metrics.set_spool(&StageCounts::default());
    let now = SystemTime::now();
    let replica = ReplicaStanding {
        name: Arc::clone(&name),
        health: ReplicaHealth::Up,
        since: now,
        streams: 1,
        connections: 1,
    };
    let standing = Standing {
        sink: Arc::clone(&name),
        is_up: Some(true),
        why: None,
        open_questions: 0,
        instances: 0,
        replicas: vec![replica],
    };
    metrics.set_sinks(&[standing], now);
    metrics.set_oldest(&[(Stage::Held, now)], now);
    let backlog = Backlog {
        destination: "smtp://127.0.0.1:25".to_owned(),
        messages: 1,
        recipients: 1,
        next: now,
        reason: String::new(),
    };
    metrics.set_backlogs(&[backlog], now);
    metrics
}

/// Name, type and labels of what is exported: as it is written in queries.
fn exported(text: &str) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            current = Some((format!("{name}{suffix}"), kind.to_owned()));
        } else if let Some((name, kind)) = current.take_if(|_| !line.starts_with('#')) {
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels: Vec<_> = labels
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(label, _)| label)
                .filter(|label| *label != "le")
                .collect();
            found.insert(name, (kind, labels.join(", ")));
        }
    }
    found
}

#[test]
fn the_page_lists_what_is_exported_and_nothing_else() {
    let metrics = all();
    let exported = exported(&metrics.render().unwrap());
    assert_eq!(
        exported.len(),
        metrics.names.len(),
        "this test gives a value to each of {:?}",
        metrics.names
    );
    let page = include_str!("../../../../docs/metrics.md");
    let mut listed = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `postern_")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let plain = |place: usize| cells.get(place).unwrap().replace('`', "");
        assert!(cells.get(4).unwrap().len() > 10, "{line}");
        listed.insert(plain(1), (plain(2), plain(3)));
    }
    assert_eq!(listed, exported);
}

#[test]
fn tenants_are_counted_by_name_up_to_a_bound() {
    let metrics = Metrics::new();
    let server: Arc<str> = "in".into();
    for number in 0..300 {
        metrics.tenants.count(&server, &format!("t{number}"));
        metrics.tenants.count(&server, "");
    }
    metrics.tenants.count(&server, "t0");
    let text = metrics.render().unwrap();
    let count = |tenant: &str, times: usize| {
        let line = format!("{{server=\"in\",tenant=\"{tenant}\"}} {times}\n");
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    };
    count("t0", 2);
    count("t255", 1);
    count("other", 300 - 256);
}
