//! How sinks and queues stand: one state in the metrics, in `/readyz` and in the log.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::programs::root;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn set_up(target: &str, endpoint: &str, policy: &str) -> Gateway {
    Setup::default()
        .with("[queue]\nretry = [\"10m\"]")
        .domain("example.test", target)
        .with(&format!(
            "[[sink]]\nname = \"scanner\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"scan\"\nsink = \"scanner\"\nmay = [\"quarantine\"]\nbody = \"headers\"\n\
             events = [\"inbound.message\"]\non_failure = \"{policy}\""
        ))
        .start()
}

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    reply.code
}

/// The values of all lines of a metric, with their labels.
fn values(gateway: &Gateway, name: &str) -> Vec<(String, f64)> {
    let (_, text) = gateway.http("/metrics");
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        Some((labels.to_owned(), value.parse().ok()?))
    });
    lines.collect()
}

fn value(gateway: &Gateway, name: &str, part: &str) -> Option<f64> {
    let found = values(gateway, name);
    let mut found = found
        .into_iter()
        .filter(|(labels, _)| labels.contains(part));
    found.next().map(|(_, value)| value)
}

fn until(gateway: &Gateway, what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(
            Instant::now() < until,
            "{what}: {}",
            gateway.http("/metrics").1
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lines<'a>(log: &'a str, message: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(message)).collect()
}

#[test]
fn an_outage_is_one_in_the_metrics_in_readyz_and_in_the_log() {
    let next_hop = NextHop::start();
    let target = format!("smtp://{}", next_hop.address());
    let sink = Sink::start(&[]);
    let endpoint = sink.endpoint();
    let gateway = set_up(&target, &endpoint, "tempfail");
    let is_up = || value(&gateway, "postern_sink_up", "scanner");
    until(&gateway, "it is up", || is_up() == Some(1.0));
    assert_eq!(
        gateway.http("/readyz"),
        (200, "ok\nsink scanner: up\n".to_owned())
    );
    assert_eq!(send(&gateway), 250);
    drop(sink);
    until(&gateway, "it is down", || is_up() == Some(0.0));
    // Every message would be refused: another gateway is the better choice.
    let (code, why) = gateway.http("/readyz");
    assert_eq!(code, 503, "{why}");
    assert!(
        why.contains("binding scan") && why.contains("sink scanner: down"),
        "{why}"
    );
    assert_eq!(send(&gateway), 451);
    let down = ["postern_sink_replica_up", "postern_sink_replica_ejected"];
    for name in down {
        assert_eq!(value(&gateway, name, &endpoint), Some(0.0), "{name}");
    }
    let since = value(&gateway, "postern_sink_replica_state_seconds", &endpoint).unwrap();
    assert!(since < LIMIT.as_secs_f64(), "{since}");
    let _again = Sink::at(&endpoint, &[]);
    until(&gateway, "it is up again", || is_up() == Some(1.0));
    assert_eq!(gateway.http("/readyz").0, 200);
    assert_eq!(send(&gateway), 250);
    for change in ["up", "down"] {
        let label = format!("change=\"{change}\"");
        let count = value(&gateway, "postern_sink_replica_changes_total", &label);
        assert_eq!(count, Some(1.0), "{change}");
    }
    // The log is written beside.
    until(&gateway, "the log says so", || {
        lines(&gateway.log(), "sink is reachable").len() == 2
    });
    let log = gateway.log();
    assert_eq!(lines(&log, "sink is not reachable").len(), 1, "{log}");
    // Each reason of a replica once, whichever thread met it.
    let mut reasons: Vec<&str> = lines(&log, "replica is not reachable")
        .into_iter()
        .filter_map(|line| line.split("fault=").nth(1)?.split(" retry_in=").next())
        .collect();
    let said = reasons.len();
    reasons.sort_unstable();
    reasons.dedup();
    assert!(said > 0 && said == reasons.len(), "{log}");
}

#[test]
fn a_dead_sink_whose_mail_is_held_keeps_nobody_from_being_ready() {
    let away = format!("http://{}", free_address());
    let gateway = set_up("smtp://127.0.0.1:9", &away, "hold");
    until(&gateway, "it is down", || {
        value(&gateway, "postern_sink_up", "scanner") == Some(0.0)
    });
    let (code, text) = gateway.http("/readyz");
    assert_eq!(code, 200, "{text}");
    assert!(text.starts_with("ok\nsink scanner: down: "), "{text}");
    assert_eq!(send(&gateway), 250);
    let oldest = || value(&gateway, "postern_spool_oldest_age_seconds", "held");
    until(&gateway, "the oldest has an age", || oldest().is_some());
    let log = gateway.log();
    let held = lines(&log, "message held");
    let line = held.first().unwrap();
    for part in ["id", "binding", "scan", "sink", "scanner", "unreachable"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn what_waits_for_a_destination_is_shown_with_its_next_attempt() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("b@", "450 4.2.2 mailbox full")],
        ..Manners::default()
    });
    let target = format!("smtp://{}", next_hop.address());
    let sink = Sink::start(&[]);
    let gateway = set_up(&target, &sink.endpoint(), "tempfail");
    assert_eq!(send(&gateway), 250);
    assert_eq!(send(&gateway), 250);
    let messages = || value(&gateway, "postern_destination_messages", &target);
    until(&gateway, "both wait", || messages() == Some(2.0));
    let recipients = value(&gateway, "postern_destination_recipients", &target);
    assert_eq!(recipients, Some(2.0));
    let next = value(
        &gateway,
        "postern_destination_next_attempt_seconds",
        &target,
    )
    .unwrap();
    assert!((500.0..=660.0).contains(&next), "{next}");
}

#[test]
fn a_verdicts_line_names_message_binding_sink_and_reason() {
    let next_hop = NextHop::start();
    let target = format!("smtp://{}", next_hop.address());
    for (action, message) in [
        ("quarantine", "message quarantined"),
        ("reject", "message refused"),
    ] {
        let sink = Sink::start(&[&format!("message={action}")]);
        let gateway = set_up(&target, &sink.endpoint(), "tempfail");
        send(&gateway);
        gateway.wait_for_log(message, LIMIT);
        let log = gateway.log();
        let found = lines(&log, message);
        let line = found.first().unwrap();
        // As text or as JSON.
        let line = line.replace('"', "").replace(':', "=");
        for part in ["id=", "session=", "binding=scan", "sink=scanner"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[test]
fn every_metric_of_the_running_gateway_is_on_the_page() {
    let next_hop = NextHop::start();
    let target = format!("smtp://{}", next_hop.address());
    let sink = Sink::start(&[]);
    let gateway = set_up(&target, &sink.endpoint(), "tempfail");
    assert_eq!(send(&gateway), 250);
    next_hop.wait_for(1, LIMIT);
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let (_, text) = gateway.http("/metrics");
    let names: BTreeSet<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let base = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        let listed = |name: &str| page.contains(&format!("| `{name}` |"));
        assert!(listed(name) || base.is_some_and(listed), "{name}");
    }
}
