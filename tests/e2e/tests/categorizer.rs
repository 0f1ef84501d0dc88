//! From the addresses that a message came with to those that it goes to: the service's own aliases, and sinks that resolve.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop, Received};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: x\r\n\r\nbody\r\n";
const MAY: &str = r#"["headers:X-*", "recipients", "sender", "discard", "quarantine", "hold", "postpone", "finish"]"#;

/// A gateway for example.test, sender.test and other.test, with a fast schedule.
fn base(next_hop: &NextHop) -> Setup {
    let target = format!("smtp://{}", next_hop.address());
    Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("sender.test", &target)
        .domain("other.test", &target)
}

/// The same with sinks, each bound to all transport events that come before the delivery, but for notifications.
fn with_sinks(next_hop: &NextHop, sinks: &[(&str, &Sink)]) -> Setup {
    let target = format!("smtp://{}", next_hop.address());
    let mut setup = base(next_hop).domain("example.test", &target);
    for (name, sink) in sinks {
        setup = setup.with(&sink.table(name)).with(&format!(
            "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [\"transport.pre_categorize\", \
             \"transport.categorize\", \"transport.expand\", \"transport.post_categorize\"]\n\
             may = {MAY}\nbody = \"headers\"\nwhen = 'message.origin == \"smtp\"'"
        ));
    }
    setup
}

fn send(gateway: &Gateway, recipients: &[&str]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Who got the message from this sender, sorted.
fn recipients(received: &[Received], sender: &str) -> Vec<String> {
    let from = received.iter().filter(|one| one.sender.starts_with(sender));
    let mut all: Vec<_> = from
        .flat_map(|one| &one.recipients)
        .map(|one| one.split(' ').next().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

fn wait_empty(gateway: &Gateway) {
    for stage in ["submit", "categorize", "deliver", "held", "quarantined"] {
        wait_spooled(gateway, stage, 0);
    }
}

fn wait_spooled(gateway: &Gateway, stage: &str, count: u64) {
    let until = Instant::now() + LIMIT;
    while gateway.spooled(&format!("\"{stage}\"")) != count {
        assert!(Instant::now() < until, "{}", gateway.http("/metrics").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sinks_are_asked_before_and_after_and_edit_what_is_delivered() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[
        "pre_categorize=add-recipient:list@example.test",
        "expand:list@=members:c@other.test,d@other.test",
        "post_categorize=set-header:X-Resolved=yes",
    ]);
    let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
    send(&gateway, &["b@example.test"]);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        recipients(&received, "<me@sender.test>"),
        ["<b@example.test>", "<c@other.test>", "<d@other.test>"]
    );
    assert!(received[0].text().contains("X-Resolved: yes"));
    let asked = sink.history();
    assert_eq!(
        asked,
        [
            "pre_categorize",
            "categorize b@example.test list@example.test sender=true",
            "expand b@example.test depth=0",
            "expand list@example.test depth=0",
            "expand c@other.test depth=1",
            "expand d@other.test depth=1",
            "post_categorize resolved=3 unresolved=0 expanded=1",
        ]
    );
    let expanded = r#"postern_categorized_recipients_total{server="inbound",result="expanded"}"#;
    assert_eq!(gateway.metric(expanded), 1);
}

#[test]
fn each_decision_holds_at_its_stage() {
    for event in ["pre_categorize", "categorize", "post_categorize"] {
        // A refusal is a report to the sender.
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=reject")]);
        let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        let received = next_hop.wait_for(1, LIMIT);
        assert!(received[0].sender.starts_with("<>"), "{event}");
        let report = received[0].text();
        assert!(
            report.contains("Final-Recipient: rfc822; b@example.test"),
            "{report}"
        );

        // A refusal for now is asked again there, and nothing before it.
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=tempfail-before:4")]);
        let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        next_hop.wait_for(1, LIMIT);
        assert_eq!(sink.asked(event), 3, "{event}: {:?}", sink.history());
        let first = if event == "pre_categorize" { 3 } else { 1 };
        assert_eq!(sink.asked("pre_categorize"), first, "{event}");

        // What is put off waits for its time at its stage.
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=postpone:2")]);
        let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        wait_spooled(&gateway, "categorize", 1);
        sink.wait_asked(event, 1, LIMIT);
        let endpoint = sink.endpoint();
        drop(sink);
        let sink = Sink::at(&endpoint, &[]);
        next_hop.wait_for(1, LIMIT);
        let first = sink.history().first().cloned().unwrap();
        assert!(first.starts_with(event), "{event}: {first}");
    }
    for event in ["pre_categorize", "post_categorize"] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=quarantine")]);
        let mut gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        wait_spooled(&gateway, "quarantined", 1);
        gateway.kill();
        gateway.start();
        assert_eq!(gateway.spooled("\"quarantined\""), 1);
        assert_eq!(next_hop.count(), 0);

        let sink = Sink::start(&[&format!("{event}=discard")]);
        let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        sink.wait_asked(event, 1, LIMIT);
        wait_empty(&gateway);
        assert_eq!(next_hop.count(), 0);

        let sink = Sink::start(&[&format!("{event}=hold")]);
        let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        sink.wait_asked(event, 2, LIMIT);
        let endpoint = sink.endpoint();
        drop(sink);
        let _now_lets_go = Sink::at(&endpoint, &[]);
        let received = next_hop.wait_for(1, LIMIT);
        assert_eq!(recipients(&received, "<me@"), ["<b@example.test>"]);
    }
}

#[test]
fn a_kill_at_each_stage_asks_again_from_there_with_the_attempt() {
    for event in ["pre_categorize", "categorize", "expand", "post_categorize"] {
        let next_hop = NextHop::start();
        let sink = Sink::start(&[&format!("{event}=hang")]);
        let endpoint = sink.endpoint();
        let mut gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
        send(&gateway, &["b@example.test"]);
        sink.wait_asked(event, 1, LIMIT);
        gateway.kill();
        drop(sink);
        let sink = Sink::at(&endpoint, &[]);
        gateway.start();
        next_hop.wait_for(1, LIMIT);
        let again = sink.wait_seen(event, "attempt=2", LIMIT);
        assert_eq!(again.name, event);
        assert_eq!(next_hop.count(), 1, "{event}");
    }
}

#[test]
fn a_sink_resolves_in_lists_pages_and_lists_in_lists() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[
        "categorize:one@=final:moved@other.test",
        "expand:all@=members:inner@example.test,x@other.test",
        "expand:inner@=pages:y@other.test,z@other.test,x@other.test",
        "expand:loop@=members:back@example.test",
        "expand:back@=members:loop@example.test",
        "expand:nobody@=unknown",
        "expand:never@=reject",
    ]);
    let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
    let to = [
        "one@example.test",
        "all@example.test",
        "loop@example.test",
        "nobody@example.test",
        "never@example.test",
    ];
    send(&gateway, &to);
    let received = next_hop.wait_for(2, LIMIT);
    assert_eq!(
        recipients(&received, "<me@sender.test>"),
        [
            "<moved@other.test>",
            "<x@other.test>",
            "<y@other.test>",
            "<z@other.test>"
        ]
    );
    let report = received
        .iter()
        .find(|one| one.sender.starts_with("<>"))
        .unwrap()
        .text();
    // Each by the name that the sender wrote.
    for (address, status) in [
        ("loop@", "5.4.6"),
        ("nobody@", "5.1.1"),
        ("never@", "5.7.1"),
    ] {
        let named = format!("Final-Recipient: rfc822; {address}example.test");
        let (_, of_it) = report
            .split_once(&named)
            .unwrap_or_else(|| panic!("{named}\n{report}"));
        let of_it = of_it.split("\r\n\r\n").next().unwrap();
        assert!(
            of_it.contains(&format!("Status: {status}")),
            "{address}\n{report}"
        );
    }
    assert!(!report.contains("back@"), "{report}");
    let asked = sink.history();
    assert!(
        !asked.iter().any(|one| one.contains("expand moved@")),
        "it is resolved: {asked:?}"
    );
    for page in ["depth=1", "depth=1 page=1", "depth=1 page=2"] {
        let line = format!("expand inner@example.test {page}");
        assert!(asked.contains(&line), "{line}: {asked:?}");
    }
    assert!(
        asked.contains(&"post_categorize resolved=4 unresolved=3 expanded=3".to_owned()),
        "{asked:?}"
    );
    wait_empty(&gateway);
}

#[test]
fn what_was_resolved_is_kept_while_the_rest_waits() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[
        "expand:a@=members:c@other.test,d@other.test",
        "expand:b@=tempfail-before:4",
    ]);
    let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
    send(&gateway, &["a@example.test", "b@example.test"]);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        recipients(&received, "<me@"),
        ["<b@example.test>", "<c@other.test>", "<d@other.test>"]
    );
    let asked = sink.history();
    let count = |part: &str| asked.iter().filter(|one| one.starts_with(part)).count();
    assert_eq!(
        (count("expand a@"), count("expand b@")),
        (1, 3),
        "{asked:?}"
    );
    assert_eq!(
        (count("expand c@"), count("categorize")),
        (1, 1),
        "{asked:?}"
    );
}

#[test]
fn a_list_with_an_owner_goes_out_with_its_sender() {
    let next_hop = NextHop::start();
    let sink =
        Sink::start(&["expand:list@=members:c@other.test,d@other.test by owner@example.test"]);
    let gateway = with_sinks(&next_hop, &[("sink", &sink)]).start();
    send(&gateway, &["list@example.test", "c@other.test"]);
    let received = next_hop.wait_for(2, LIMIT);
    assert_eq!(
        recipients(&received, "<me@sender.test>"),
        ["<c@other.test>"]
    );
    assert_eq!(
        recipients(&received, "<owner@example.test>"),
        ["<c@other.test>", "<d@other.test>"]
    );
    for one in &received {
        assert_eq!(one.from_line("From:").unwrap(), CONTENT);
    }
    wait_empty(&gateway);
    assert_eq!(next_hop.count(), 2);
}

/// Domains with names of all kinds.
fn with_names(next_hop: &NextHop) -> Setup {
    let target = format!("smtp://{}", next_hop.address());
    let setup = base(next_hop).with(&format!(
        "[[domain]]\nname = \"example.test\"\nrecipients = {{ file = \"{{dir}}/recipients\" }}\n\
         deliver = \"{target}\"\naliases = \"{{dir}}/aliases\"\nsubaddress = \"+\"\ncatch_all = \"rest\"\n\
         [[domain_alias]]\nname = \"old.test\"\nof = \"example.test\"\n\
         [[domain]]\nname = \"strict.test\"\nrecipients = {{ file = \"{{dir}}/recipients\" }}\n\
         deliver = \"{target}\"\naliases = \"{{dir}}/aliases\"\n"
    ));
    let write = |name: &str, text: &str| fs::write(setup.folder().join(name), text).unwrap();
    write("recipients", "anna\nbert\nrest\n");
    write(
        "aliases",
        "staff: anna, bert, out@other.test, crew\ncrew: anna, :include:list\n\
         news: :include:list\nowner-news: bert\nround: square\nsquare: round\n",
    );
    write("list", "dora@other.test\nemil@other.test\n");
    setup
}

#[test]
fn aliases_lists_tags_and_other_names_come_to_mailboxes() {
    let next_hop = NextHop::start();
    let gateway = with_names(&next_hop).start();
    send(
        &gateway,
        &[
            "staff@example.test",
            "anna+lists@example.test",
            "bert@old.test",
            "who@example.test",
        ],
    );
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(
        recipients(&received, "<me@sender.test>"),
        [
            "<anna@example.test>",
            "<bert@example.test>",
            "<dora@other.test>",
            "<emil@other.test>",
            "<out@other.test>",
            "<rest@example.test>"
        ]
    );
    // A list with an owner, and the address that was written in reports.
    send(&gateway, &["news@example.test", "round@example.test"]);
    let received = next_hop.wait_for(3, LIMIT);
    assert_eq!(
        recipients(&received, "<owner-news@example.test>"),
        ["<dora@other.test>", "<emil@other.test>"]
    );
    let report = received
        .iter()
        .find(|one| one.sender.starts_with("<>"))
        .unwrap()
        .text();
    assert!(
        report.contains("Final-Recipient: rfc822; round@example.test"),
        "{report}"
    );
    assert!(report.contains("Status: 5.4.6"), "{report}");
    wait_empty(&gateway);
    gateway.wait_for_log("recipient expanded", LIMIT);
}

#[test]
fn who_is_an_alias_is_known_at_rcpt_and_files_are_read_anew() {
    let next_hop = NextHop::start();
    let gateway = with_names(&next_hop).start();
    let mut client = Client::ready(gateway.smtp());
    client.command("MAIL FROM:<me@sender.test>");
    for (address, code) in [
        ("staff@strict.test", 250),
        ("ANNA@strict.test", 250),
        ("anna+tag@strict.test", 550),
        ("who@strict.test", 550),
        ("anna+tag@old.test", 250),
        ("who@old.test", 250),
        ("staff@sub.old.test", 550),
    ] {
        let reply = client.command(&format!("RCPT TO:<{address}>"));
        assert_eq!(reply.code, code, "{address}: {reply:?}");
    }
    client.command("RSET");
    fs::write(gateway.folder().join("aliases"), "who: new\n").unwrap();
    fs::write(gateway.folder().join("recipients"), "anna\nnew\n").unwrap();
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("read again") && line.contains("aliases")
    });
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("read again") && line.contains("recipients")
    });
    send(&gateway, &["who@strict.test"]);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(recipients(&received, "<me@"), ["<new@strict.test>"]);
    // One that cannot be read changes nothing, and the log says where.
    fs::write(gateway.folder().join("aliases"), "who: |/bin/cat\n").unwrap();
    gateway.wait_for_log("aliases:1:", LIMIT);
    send(&gateway, &["who@strict.test"]);
    let received = next_hop.wait_for(2, LIMIT);
    assert_eq!(
        recipients(&received, "<me@"),
        ["<new@strict.test>", "<new@strict.test>"]
    );
}

#[test]
fn a_failure_of_a_member_is_reported_by_the_name_that_was_written() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("out@other.test", "550 5.1.1 nobody")],
        ..Manners::default()
    });
    let gateway = with_names(&next_hop).start();
    send(&gateway, &["staff@example.test"]);
    let received = next_hop.wait_for(2, LIMIT);
    let report = received
        .iter()
        .find(|one| one.sender.starts_with("<>"))
        .unwrap()
        .text();
    assert!(
        report.contains("Final-Recipient: rfc822; staff@example.test"),
        "{report}"
    );
    assert!(!report.contains("out@other.test"), "{report}");
}
