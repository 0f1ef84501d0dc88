//! The verbs by which an operator steers messages, each seen where it counts: at the next hop, in the spool, in the log.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use postern_e2e::admin::{command, id, list, run, wait_listed, well};
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(60);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// A next hop that turns every connection away, so that it is left alone.
fn turning_away() -> NextHop {
    NextHop::with(Manners {
        greeting: "421 4.3.2 come again",
        ..Manners::default()
    })
}

/// A gateway with this next hop for its domain, and another one for those who send.
fn set_up(next_hop: &NextHop, senders: &NextHop, rest: &str) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .with(rest)
        .start()
}

fn send(gateway: &Gateway, recipients: &[&str]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// The one message, once it was tried.
fn deferred(gateway: &Gateway) -> String {
    let all = wait_listed(gateway, &["--attempts", "1"], 1);
    id(&all[0]).to_owned()
}

fn outcome(gateway: &Gateway, arguments: &[&str]) -> (String, String) {
    let ran = run(gateway, &[arguments, &["--json"]].concat());
    let lines = ran.json_lines();
    assert_eq!(lines.len(), 1, "{arguments:?} {ran:?}");
    let text = |key: &str| lines[0][key].as_str().unwrap().to_owned();
    (text("result"), text("text"))
}

fn wait_until(gateway: &Gateway, what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "{what}\n{}", gateway.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_retry_goes_at_once_even_to_a_destination_that_is_left_alone() {
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let gateway = set_up(&next_hop, &senders, "");
    for _ in 0..3 {
        send(&gateway, &["b@example.test"]);
    }
    wait_listed(&gateway, &["--attempts", "1"], 3);
    next_hop.behave(Manners::default());
    let ran = well(
        &gateway,
        &["queue", "retry", "--recipient", "b@example.test"],
    );
    assert!(ran.out.ends_with("3 changed\n"), "{ran:?}");
    next_hop.wait_for(3, LIMIT);
    wait_listed(&gateway, &[], 0);
    assert!(gateway.log().contains("tried again, by an operator"));
}

#[test]
fn what_is_on_hold_stays_until_it_is_released() {
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let gateway = set_up(&next_hop, &senders, "[queue]\nretry = [\"2s\"]");
    send(&gateway, &["b@example.test"]);
    let one = deferred(&gateway);
    let held = well(&gateway, &["queue", "hold", &one, "--because", "it loops"]);
    assert!(held.out.contains("on hold"), "{held:?}");
    next_hop.behave(Manners::default());
    let listed = &list(&gateway, &["--state", "on-hold"])[0];
    assert_eq!(id(listed), one);
    assert!(
        listed["reason"].as_str().unwrap().contains("it loops"),
        "{listed}"
    );
    assert_eq!(listed["due"], serde_json::Value::Null);
    let shown = well(&gateway, &["queue", "show", "--json", &one]).json();
    assert!(
        shown["kept_by"]["operator"]
            .as_str()
            .unwrap()
            .starts_with("uid "),
        "{shown}"
    );
    assert_eq!(shown["kept_by"]["reason"], "it loops");
    assert_eq!(gateway.spooled("on_hold"), 1);
    for (verb, why) in [("hold", "on hold already"), ("retry", "release it")] {
        let (result, text) = outcome(&gateway, &["queue", verb, &one]);
        assert_eq!(result, "unfit");
        assert!(text.contains(why), "{text}");
    }
    // Another message goes, this one does not, not even after its time.
    send(&gateway, &["c@example.test"]);
    let taken = next_hop.wait_for(1, LIMIT);
    assert!(taken[0].recipients[0].contains("c@example.test"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(next_hop.count(), 1);
    let (result, _) = outcome(&gateway, &["queue", "release", &one]);
    assert_eq!(result, "done");
    let taken = next_hop.wait_for(2, LIMIT);
    assert!(taken[1].recipients[0].contains("b@example.test"));
    wait_listed(&gateway, &[], 0);
}

#[test]
fn a_hold_lasts_over_a_restart() {
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let mut gateway = set_up(&next_hop, &senders, "");
    send(&gateway, &["b@example.test"]);
    let one = deferred(&gateway);
    well(&gateway, &["queue", "hold", &one]);
    next_hop.behave(Manners::default());
    gateway.kill();
    gateway.start();
    assert_eq!(list(&gateway, &["--state", "on-hold"]).len(), 1);
    assert_eq!(next_hop.count(), 0);
    well(&gateway, &["queue", "release", "--state", "on-hold"]);
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn what_is_bounced_goes_back_with_the_operators_words() {
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let gateway = set_up(&next_hop, &senders, "");
    send(&gateway, &["b@example.test", "c@example.test"]);
    let one = deferred(&gateway);
    let why = "this mailbox moved in 2019";
    let (result, text) = outcome(&gateway, &["queue", "bounce", &one, "--because", why]);
    assert_eq!(
        (result.as_str(), text.contains("me@sender.test")),
        ("done", true),
        "{text}"
    );
    let report = &senders.wait_for(1, LIMIT)[0];
    assert!(report.sender.contains("<>"), "{report:?}");
    assert!(report.recipients[0].contains("me@sender.test"));
    let text = report.text();
    for part in [
        why,
        "Action: failed",
        "Status: 5.3.0",
        "rfc822; b@example.test",
        "rfc822; c@example.test",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    wait_listed(&gateway, &[], 0);
    assert_eq!(next_hop.count(), 0);
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("bounced by an operator") && line.contains(&one) && line.contains("uid ")
    });
}

#[test]
fn what_is_removed_is_gone_and_on_record() {
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let gateway = set_up(&next_hop, &senders, "[queue]\nretry = [\"2s\"]");
    send(&gateway, &["b@example.test"]);
    let one = deferred(&gateway);
    let (result, _) = outcome(
        &gateway,
        &["queue", "remove", &one, "--because", "spam run"],
    );
    assert_eq!(result, "done");
    assert!(list(&gateway, &[]).is_empty());
    assert_eq!(run(&gateway, &["queue", "show", &one]).code, 66);
    gateway.wait_for_line(LIMIT, |line| {
        let parts = [
            "removed by an operator",
            &one,
            "uid ",
            "spam run",
            "me@sender.test",
        ];
        parts.iter().all(|part| line.contains(part))
    });
    next_hop.behave(Manners::default());
    send(&gateway, &["c@example.test"]);
    next_hop.wait_for(1, LIMIT);
    assert_eq!((next_hop.count(), senders.count()), (1, 0));
}

#[test]
fn a_change_goes_to_its_end_though_nobody_reads_what_came_of_it() {
    const MANY: usize = 450;
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let gateway = set_up(&next_hop, &senders, "");
    let mut client = Client::ready(gateway.smtp());
    for _ in 0..MANY {
        let reply = client.deliver("me@sender.test", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    wait_listed(&gateway, &[], MANY);
    let mut changing = command(&gateway, &["queue", "hold", "--all"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(changing.stdout.take());
    assert!(changing.wait().unwrap().success());
    assert_eq!(gateway.spooled("on_hold"), MANY as u64);
}

#[test]
fn a_dry_run_changes_nothing() {
    let (next_hop, senders) = (turning_away(), NextHop::start());
    let gateway = set_up(&next_hop, &senders, "");
    send(&gateway, &["b@example.test"]);
    send(&gateway, &["c@example.test"]);
    let before = wait_listed(&gateway, &["--attempts", "1"], 2);
    let ids: Vec<_> = before.iter().map(id).collect();
    for verb in ["hold", "retry", "bounce", "remove"] {
        for which in [&["--sender", "*"][..], &ids] {
            let ran = run(&gateway, &[&["queue", verb, "--dry-run"], which].concat());
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(ran.out.ends_with("2 would be changed\n"), "{ran:?}");
            assert!(ids.iter().all(|id| ran.out.contains(id)), "{ran:?}");
        }
    }
    let ran = run(&gateway, &["queue", "release", "--all", "--dry-run"]);
    assert!(ran.out.contains("nothing keeps it"), "{ran:?}");
    assert_eq!(list(&gateway, &[]), before);
    assert_eq!(senders.count(), 0);
}

/// A binding at this event whose sink answers by the rules.
fn binding(endpoint: &str, event: &str) -> String {
    format!(
        "[[sink]]\nname = \"scanner\"\nendpoint = \"{endpoint}\"\n\
         [[binding]]\nname = \"scan\"\nsink = \"scanner\"\nevents = [\"{event}\"]\nmay = [\"quarantine\"]\n\
         body = \"headers\"\non_failure = \"hold\""
    )
}

#[test]
fn quarantined_mail_names_who_keeps_it_and_goes_on_without_asking_again() {
    for (event, name) in [
        ("inbound.message", "message"),
        ("transport.submit", "submit"),
    ] {
        let (next_hop, senders) = (NextHop::start(), NextHop::start());
        let sink = Sink::start(&[&format!("{name}=quarantine")]);
        let gateway = set_up(&next_hop, &senders, &binding(&sink.endpoint(), event));
        send(&gateway, &["b@example.test"]);
        let found = wait_listed(
            &gateway,
            &["--state", "quarantined", "--binding", "scan"],
            1,
        );
        let one = id(&found[0]).to_owned();
        let shown = well(&gateway, &["queue", "show", "--json", &one]).json();
        assert_eq!(shown["kept_by"]["binding"], "scan");
        assert_eq!(shown["kept_by"]["event"], event);
        let text = well(&gateway, &["queue", "show", &one]).out;
        assert!(text.contains(&format!("binding scan at {event}")), "{text}");
        let (result, _) = outcome(&gateway, &["queue", "retry", &one]);
        assert_eq!(result, "unfit");
        let asked = sink.asked(name);
        let (result, text) = outcome(&gateway, &["queue", "release", &one]);
        assert_eq!(
            (result.as_str(), text.as_str()),
            ("done", "released, without scan")
        );
        next_hop.wait_for(1, LIMIT);
        wait_listed(&gateway, &[], 0);
        assert_eq!(sink.asked(name), asked, "it is not asked again");
    }
}

#[test]
fn held_mail_names_its_binding_and_goes_on_without_it() {
    for event in ["inbound.message", "transport.submit"] {
        let (next_hop, senders) = (NextHop::start(), NextHop::start());
        let away = format!("http://{}", free_address());
        let gateway = set_up(&next_hop, &senders, &binding(&away, event));
        send(&gateway, &["b@example.test"]);
        let found = wait_listed(&gateway, &["--state", "held", "--binding", "scan"], 1);
        let reason = found[0]["reason"].as_str().unwrap();
        assert!(
            reason.contains("scan") && reason.contains(event),
            "{reason}"
        );
        well(&gateway, &["queue", "release", id(&found[0])]);
        next_hop.wait_for(1, LIMIT);
        wait_listed(&gateway, &[], 0);
    }
}

#[test]
fn held_mail_can_be_bounced_and_removed() {
    let (next_hop, senders) = (NextHop::start(), NextHop::start());
    let away = format!("http://{}", free_address());
    let gateway = set_up(&next_hop, &senders, &binding(&away, "inbound.message"));
    send(&gateway, &["b@example.test"]);
    send(&gateway, &["c@example.test"]);
    let found = wait_listed(&gateway, &["--state", "held"], 2);
    well(
        &gateway,
        &["queue", "bounce", id(&found[0]), "--because", "no"],
    );
    well(&gateway, &["queue", "remove", id(&found[1])]);
    let report = &senders.wait_for(1, LIMIT)[0];
    assert!(report.text().contains("b@example.test"));
    wait_listed(&gateway, &[], 0);
    assert_eq!((next_hop.count(), senders.count()), (0, 1));
}

#[test]
fn a_message_that_is_on_its_way_is_not_pulled_away() {
    // It greets and says nothing more: the first message hangs in its connection, the others wait for room.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            use std::io::Write as _;
            let mut stream = stream;
            stream.write_all(b"220 silent\r\n").ok();
            open.push(stream);
        }
    });
    let senders = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{address}"))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    for number in 0..20 {
        send(&gateway, &[&format!("u{number}@example.test")]);
    }
    wait_listed(&gateway, &[], 20);
    let status = || well(&gateway, &["status", "--json"]).json();
    wait_until(&gateway, "it connects", || {
        status()["connections"].as_u64() > Some(0)
    });
    // Those that wait are given up at once; one that a connection has may be busy.
    let ran = run(&gateway, &["queue", "hold", "--all", "--json"]);
    let lines = ran.json_lines();
    assert_eq!(lines.len(), 20, "{ran:?}");
    let of = |result: &str| lines.iter().filter(|line| line["result"] == result).count();
    assert_eq!(of("done") + of("busy"), 20, "{ran:?}");
    assert!(of("done") >= 16, "{ran:?}");
    assert_eq!(ran.code, if of("busy") > 0 { 75 } else { 0 });
    assert_eq!(list(&gateway, &["--state", "on-hold"]).len(), of("done"));
    // What waited in memory can be removed as well.
    let removed = run(&gateway, &["queue", "remove", "--state", "on-hold"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_eq!(list(&gateway, &[]).len(), of("busy"));
}
