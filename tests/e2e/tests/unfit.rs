//! Verdicts that cannot be applied: mail does not wait for its end in silence.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(25);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

#[test]
fn a_verdict_that_cannot_be_applied_is_told_at_once_and_named_in_the_senders_report() {
    let next_hop = NextHop::start();
    let target = format!("smtp://{}", next_hop.address());
    // It may not touch the subject, and does.
    let sink = Sink::start(&["submit=set-header:Subject=changed"]);
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]\nexpire = \"4s\"")
        .domain("example.test", &target)
        .domain("sender.test", &target)
        .with(&sink.table("footer"))
        .with(
            "[[binding]]\nname = \"footer\"\nsink = \"footer\"\nevents = [\"transport.submit\"]\n\
             may = [\"headers:X-*\"]\nbody = \"headers\"\nwhen = 'message.origin == \"smtp\"'",
        )
        .start();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    sink.wait_asked("submit", 1, LIMIT);
    gateway.wait_for_log("message deferred", LIMIT);
    // At the first time, while it still waits.
    let (_, metrics) = gateway.http("/metrics");
    let counted = metrics.lines().any(|line| {
        line.starts_with("postern_sink_faults_total{binding=\"footer\"")
            && line.contains("kind=\"protocol\"")
    });
    assert!(counted, "{metrics}");
    let log = gateway.log();
    for what in ["sink failed", "message deferred"] {
        let line = log.lines().find(|line| line.contains(what)).unwrap();
        assert!(line.to_lowercase().contains("warn"), "{line}");
        assert!(
            line.contains("footer") && line.contains("protocol"),
            "{line}"
        );
    }
    assert_eq!(next_hop.count(), 0);
    let received = next_hop.wait_for(1, LIMIT);
    let report = received.first().unwrap();
    assert_eq!(report.recipients, ["<me@sender.test>"]);
    let text = report.text().replace("\r\n ", " ").replace("\r\n\t", " ");
    for part in [
        "Action: failed",
        "the filter footer gave an answer that could not be applied",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("Subject: changed"), "{text}");
}
