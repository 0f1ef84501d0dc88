//! Events of a session: what a sink may decide at each, what it is told, in which order.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::chain::set_up;
use postern_e2e::client::Client;
use postern_e2e::gateway::Gateway;
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// One sink at one event.
fn one(next_hop: &NextHop, sink: &Sink, event: &str, may: &str) -> Gateway {
    let keys = format!("may = [{may}]\nbody = \"full\"");
    set_up(
        next_hop,
        &[("sink", sink, &format!("\"inbound.{event}\""), &keys)],
    )
}

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    let recipients = ["b@example.test", "c@example.test"];
    client.deliver("a@example.org", &recipients, CONTENT).code
}

#[test]
fn a_sink_answers_or_refuses_any_verb() {
    let sink = Sink::start(&[
        "command:NOOP=respond:250 the sink is here",
        "command:VRFY=reject",
        "command:XSink=respond:214 our own verb",
        "command:HELP=disconnect",
        "command:EXPN=tempfail",
    ]);
    let gateway = one(&NextHop::start(), &sink, "command", "\"respond\"");
    let mut client = Client::ready(gateway.smtp());
    assert!(
        client
            .expect("NOOP", 250)
            .text()
            .ends_with("the sink is here")
    );
    assert!(
        client
            .expect("VRFY b@example.test", 550)
            .text()
            .contains("the sink objects")
    );
    assert!(
        client
            .expect("XSink with arguments", 214)
            .text()
            .ends_with("our own verb")
    );
    client.expect("EXPN list", 451);
    client.expect("RSET", 250);
    assert!(
        client.command("NONSENSE").code >= 500,
        "nobody has answered it"
    );
    assert!(
        client
            .expect("HELP", 421)
            .text()
            .contains("the sink hangs up")
    );
    client.expect_closed();
    assert!(
        sink.history()
            .contains(&"command XSink with arguments known=false".to_owned())
    );
}

#[test]
fn what_has_to_keep_its_meaning_can_only_be_refused() {
    let sink = Sink::start(&[
        "command:DATA=respond:250 never mind",
        "command:RSET=respond:250 no need",
        "command:c@example.test=respond:250 rather not",
        "command:QUIT=reject",
    ]);
    let gateway = one(&NextHop::start(), &sink, "command", "\"respond\"");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    // A verdict that the table does not allow is the sink's failure.
    client.expect("RCPT TO:<c@example.test>", 451);
    client.expect("DATA", 451);
    client.expect("RSET", 451);
    client.expect("RCPT TO:<d@example.test>", 250);
    client.expect("QUIT", 550);
    client.expect("NOOP", 250);
}

#[test]
fn a_refused_command_does_not_happen() {
    let sink = Sink::start(&["command:MAIL=reject", "command:EHLO=proceed"]);
    let gateway = one(&NextHop::start(), &sink, "command", "");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 550);
    client.expect("RCPT TO:<b@example.test>", 503);
}

#[test]
fn a_reply_may_change_its_text_and_within_its_class_its_code() {
    let sink = Sink::start(&[
        "response:NOOP=reply:252 rather this",
        "response:RSET=reply:550 another class",
        "response:VRFY=disconnect",
    ]);
    let gateway = one(&NextHop::start(), &sink, "response", "");
    let mut client = Client::ready(gateway.smtp());
    assert!(client.expect("NOOP", 252).text().ends_with("rather this"));
    // What a reply means has happened already: the policy cannot take it back.
    client.expect("RSET", 250);
    assert!(
        client
            .expect("VRFY b", 421)
            .text()
            .contains("the sink hangs up")
    );
    client.expect_closed();
}

#[test]
fn a_sink_that_fails_at_a_reply_leaves_it_or_ends_the_session() {
    for (policy, code) in [
        ("continue", 250),
        ("tempfail", 250),
        ("reject", 250),
        ("disconnect", 421),
    ] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&["response:.=undecided"]);
        let keys = format!("may = []\non_failure = \"{policy}\"");
        let gateway = set_up(&next_hop, &[("sink", &sink, "\"inbound.response\"", &keys)]);
        let mut client = Client::ready(gateway.smtp());
        let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, code, "{policy}: {reply:?}");
        if policy == "disconnect" {
            client.expect_closed();
        } else {
            client.expect("NOOP", 250);
        }
        // It was durable before anybody was asked about the reply.
        next_hop.wait_for(1, LIMIT);
    }
}

#[test]
fn what_became_of_a_session_is_told_in_order() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["rcpt:refused@=reject"]);
    let events = "\"inbound.mail\", \"inbound.rcpt\", \"inbound.message\", \"inbound.outcome\", \
                  \"inbound.reset\", \"inbound.disconnect\"";
    let gateway = set_up(
        &next_hop,
        &[("sink", &sink, events, "may = []\nbody = \"headers\"")],
    );
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    client.expect("MAIL FROM:<two@example.org>", 250);
    client.expect("RCPT TO:<refused@example.test>", 550);
    client.expect("RSET", 250);
    client.expect("MAIL FROM:<three@example.org>", 250);
    client.expect("EHLO again.example.test", 250);
    client.expect("QUIT", 221);
    sink.wait_seen("disconnect", "QUIT", LIMIT);
    let mut history = sink.history();
    // The connection by which the harness waits for the start has said nothing else.
    history.retain(|line| line != "disconnect DISCONNECT_REASON_CLIENT_GONE");
    assert_eq!(
        history,
        [
            "mail a@example.org",
            "rcpt b@example.test",
            "message",
            "outcome OUTCOME_ACCEPTED 250 by=",
            "mail two@example.org",
            "rcpt refused@example.test",
            "reset RESET_REASON_COMMAND",
            "outcome OUTCOME_GIVEN_UP 0 by=",
            "mail three@example.org",
            "reset RESET_REASON_GREETING",
            "outcome OUTCOME_GIVEN_UP 0 by=",
            "disconnect DISCONNECT_REASON_QUIT",
        ]
    );
}

#[test]
fn a_refusal_and_a_client_that_leaves_are_told_too() {
    let next_hop = NextHop::start();
    let refuses = Sink::start(&["message=reject"]);
    let told = Sink::start(&[]);
    let gateway = set_up(
        &next_hop,
        &[
            (
                "refuses",
                &refuses,
                "\"inbound.message\"",
                "may = []\nbody = \"full\"",
            ),
            (
                "told",
                &told,
                "\"inbound.outcome\", \"inbound.disconnect\"",
                "may = []",
            ),
        ],
    );
    assert_eq!(send(&gateway), 550);
    let seen = told.wait_seen("outcome", "OUTCOME_REJECTED", LIMIT);
    assert_eq!(seen.detail, "OUTCOME_REJECTED 550 by=refuses");
    told.wait_seen("disconnect", "CLIENT_GONE", LIMIT);
}

#[test]
fn the_result_of_a_delivery_is_told() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let gateway = set_up(
        &next_hop,
        &[("sink", &sink, "\"delivery.result\"", "may = []")],
    );
    assert_eq!(send(&gateway), 250);
    let detail = sink.wait_seen("result", "", LIMIT).detail;
    for recipient in ["b@example.test=", "c@example.test="] {
        assert!(detail.contains(recipient), "{detail}");
    }
    assert!(
        detail.contains("RELAYED") || detail.contains("DELIVERED"),
        "{detail}"
    );
}
