//! What sinks are told of session, command and transaction is so: each documented fact, on the wire.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant, SystemTime};

use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::{Seen, Sink};

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// A sink that shows all that it is told, at every event of a session.
fn set_up(rules: &[&str], keys: &str) -> (Sink, Gateway, NextHop) {
    let next_hop = NextHop::start();
    let sink = Sink::with(rules, &["--facts"]);
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("sink"))
        .with(
            "[[binding]]\nname = \"sink\"\nsink = \"sink\"\nmay = []\nbody = \"none\"\n\
             events = [\"inbound.connect\", \"inbound.tls\", \"inbound.command\", \"inbound.helo\", \"inbound.mail\", \
             \"inbound.rcpt\", \"inbound.data\", \"inbound.message\", \"inbound.outcome\", \"inbound.disconnect\"]",
        )
        .server(&format!("tls = {{ cert = \"mx.pem\", key = \"mx.key\" }}\n{keys}"))
        .start();
    // The connection by which the harness waits for the start.
    sink.wait_seen("disconnect", "CLIENT_GONE", LIMIT);
    (sink, gateway, next_hop)
}

/// The command event of this line.
fn command(sink: &Sink, line: &str) -> Seen {
    sink.wait_seen("command", line, LIMIT)
}

#[test]
fn pipelined_is_said_of_what_more_had_come_behind() {
    let (sink, gateway, _next_hop) = set_up(&[], "");
    let mut client = Client::ready(gateway.smtp());
    client.send(
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\nDATA\r\n",
    );
    for code in [250, 250, 250, 354] {
        assert_eq!(client.reply().code, code);
    }
    client.send("\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    client.expect("NOOP alone", 250);
    client.expect("QUIT", 221);
    for (line, pipelined) in [
        ("EHLO", "false"),
        ("MAIL FROM:", "true"),
        ("RCPT TO:<b@", "true"),
        ("RCPT TO:<c@", "true"),
        ("DATA", "false"),
        ("NOOP alone", "false"),
    ] {
        assert_eq!(command(&sink, line).fact("pipelined"), pipelined, "{line}");
    }
    for (name, pipelined) in [("mail", "true"), ("rcpt", "true"), ("data", "false")] {
        let seen = sink.wait_seen(name, "", LIMIT);
        assert_eq!(seen.fact("pipelined"), pipelined, "{name}");
    }
    let end = sink.wait_seen("disconnect", "QUIT", LIMIT);
    assert_eq!(end.fact("pipelined_early"), "false");
    assert_eq!(end.fact("early"), "false");
}

#[test]
fn conduct_counts_what_its_fields_say() {
    let rules = [
        "rcpt:refused@=reject",
        "rcpt:later@=tempfail",
        "message:bad@=reject",
        "command:VRFY=reject",
    ];
    let (sink, gateway, _next_hop) = set_up(&rules, "[server.limits]\nrecipients = 100");
    let mut client = Client::ready(gateway.smtp());
    let mut number = 0;
    // By a NOOP with a number: commands, errors, syntax, messages, refused, junk.
    let mut expect = |client: &mut Client, due: [u64; 6]| {
        number += 1;
        client.expect(&format!("NOOP {number}"), 250);
        let seen = command(&sink, &format!("NOOP {number}"));
        let keys = [
            "commands", "errors", "syntax", "messages", "refused", "junk",
        ];
        assert_eq!(keys.map(|key| seen.count(key)), due, "{keys:?} of {seen:?}");
    };
    expect(&mut client, [2, 0, 0, 0, 0, 1]);
    // No known command, no grammar, too long a line.
    client.expect("NONSENSE", 500);
    client.expect("MAIL FROM:<a@example.org", 501);
    client.expect(&format!("NOOP {}", "x".repeat(5000)), 500);
    expect(&mut client, [6, 3, 3, 0, 0, 2]);
    // Errors, but nothing is wrong with the grammar: the order, an unknown name, a sink's refusal.
    client.expect("DATA", 503);
    client.expect("VRFY b", 550);
    expect(&mut client, [9, 5, 3, 0, 0, 4]);
    // Recipients, refused by sinks, by the service, and for their grammar.
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<refused@example.test>", 550);
    client.expect("RCPT TO:<later@example.test>", 451);
    client.expect("RCPT TO:<b@foreign.example>", 550);
    client.expect("RCPT TO:<b@@example.test>", 501);
    client.expect("RCPT TO:<b@example.test>", 250);
    expect(&mut client, [16, 9, 4, 0, 4, 5]);
    client.expect("DATA", 354);
    client.send("\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    // With the message that it is about.
    let outcome = sink.wait_seen("outcome", "ACCEPTED", LIMIT);
    assert_eq!(outcome.count("messages"), 1);
    // What did nothing stays counted.
    expect(&mut client, [18, 9, 4, 1, 4, 6]);
    // A reply to a message is a reply too.
    let reply = client.deliver("a@example.org", &["bad@example.test"], CONTENT);
    assert_eq!(reply.code, 550);
    expect(&mut client, [22, 10, 4, 1, 4, 7]);
    // Commands behind one that has to be the last of its group.
    client.send("NOOP last\r\nNOOP behind\r\n");
    assert_eq!(client.reply().code, 250);
    assert_eq!(client.reply().code, 250);
    assert_eq!(
        command(&sink, "NOOP behind").fact("pipelined_early"),
        "true"
    );
    client.expect("NONSENSE", 500);
    drop(client);
    // Up to the very end.
    let until = Instant::now() + LIMIT;
    let end = loop {
        let ends = sink
            .seen()
            .into_iter()
            .filter(|seen| seen.name == "disconnect");
        if let Some(end) = ends.skip(1).last() {
            break end;
        }
        assert!(Instant::now() < until, "no end is told");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!((end.count("commands"), end.count("errors")), (25, 11));
    assert_eq!(end.count("syntax"), 5);
    assert!(
        end.count("received") > 5000 && end.count("sent") > 500,
        "{end:?}"
    );
}

#[test]
fn who_talks_before_the_banner_is_told_of() {
    let (sink, gateway, _next_hop) = set_up(&["connect=delay:500"], "");
    let mut client = Client::open(gateway.smtp());
    client.send("EHLO early.example.test\r\n");
    assert_eq!(client.reply().code, 554);
    client.expect_closed();
    let end = sink.wait_seen("disconnect", "LIMIT", LIMIT);
    assert_eq!(end.fact("early"), "true");
    assert_eq!(end.count("errors"), 1);
}

#[test]
fn commands_in_one_go_before_ehlo_are_told_of() {
    let (sink, gateway, _next_hop) = set_up(&[], "");
    let (mut client, _) = Client::connect(gateway.smtp());
    client.send("HELO client.example.test\r\nMAIL FROM:<a@example.org>\r\n");
    assert_eq!(client.reply().code, 250);
    assert_eq!(client.reply().code, 250);
    let mail = sink.wait_seen("mail", "", LIMIT);
    assert_eq!(mail.fact("pipelined_early"), "true");
    assert_eq!(mail.fact("helo"), "HELO:client.example.test");
}

#[test]
fn idle_is_the_time_up_to_the_first_octet() {
    let (sink, gateway, _next_hop) = set_up(&[], "");
    let mut client = Client::ready(gateway.smtp());
    client.expect("NOOP at once", 250);
    std::thread::sleep(Duration::from_millis(600));
    client.send("NOOP ");
    // What the rest of a command takes is no idleness.
    std::thread::sleep(Duration::from_millis(1500));
    client.send("slow\r\nNOOP behind\r\n");
    assert_eq!(client.reply().code, 250);
    assert_eq!(client.reply().code, 250);
    let idle = |line| command(&sink, line).count("idle_ms");
    assert!(idle("NOOP at once") < 600, "{}", idle("NOOP at once"));
    let slow = idle("NOOP slow");
    assert!((600..1500).contains(&slow), "{slow}");
}

#[test]
fn who_the_client_is_and_where_it_came_in() {
    let keys = "relay_from = [\"127.0.0.0/8\"]\n[server.limits]\njunk_commands = 10000";
    let before = SystemTime::now();
    let next_hop = NextHop::start();
    let sink = Sink::with(&[], &["--facts"]);
    let wildcard = free_address().port();
    let setup = Setup::default();
    let path = setup.folder().join("smtp.sock");
    let gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("sink"))
        .with(
            "[[binding]]\nname = \"sink\"\nsink = \"sink\"\nmay = []\nbody = \"none\"\n\
             events = [\"inbound.command\"]",
        )
        .with(&format!(
            "[[server]]\nname = \"other\"\nhostname = \"other.example.test\"\nprotocol = \"lmtp\"\n\
             listen = [\"0.0.0.0:{wildcard}\", \"unix:{}\"]",
            path.display()
        ))
        .server(keys)
        .start();
    let mut client = Client::ready(gateway.smtp());
    let mut lines = 0;
    // The harness's own connection may not be counted off yet.
    let mut becomes = |client: &mut Client, connections: u64| {
        let until = Instant::now() + LIMIT;
        loop {
            lines += 1;
            let line = format!("NOOP {lines}.");
            client.expect(&line, 250);
            let seen = command(&sink, &line);
            if seen.count("connections") == connections {
                return seen;
            }
            assert!(Instant::now() < until, "{seen:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    becomes(&mut client, 1);
    let second = Client::ready(gateway.smtp());
    let seen = becomes(&mut client, 2);
    for (key, due) in [
        ("server", "inbound"),
        ("hostname", "mx.example.test"),
        ("listener", &*gateway.smtp().to_string()),
        ("protocol", "smtp"),
        ("client", "127.0.0.1"),
        ("local", "127.0.0.1"),
        ("local_port", &*gateway.smtp().port().to_string()),
        ("implicit", "false"),
        ("relay", "true"),
        ("helo", "EHLO:client.example.test"),
        ("tls", "-"),
        ("transaction", "-"),
    ] {
        assert_eq!(seen.fact(key), due, "{key}");
    }
    assert!(seen.count("port") > 0);
    let since = before.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(
        (0..60).contains(&(seen.count("started") - since.as_secs())),
        "{seen:?}"
    );
    drop(second);
    becomes(&mut client, 1);
    // Of a listener on all addresses: the one that the client chose.
    let wildcard = format!("127.0.0.1:{wildcard}").parse().unwrap();
    wait_for_listener(wildcard).unwrap();
    let (mut client, _) = Client::connect(wildcard);
    client.expect("LHLO wild.example.test", 250);
    let seen = command(&sink, "LHLO wild");
    assert_eq!(seen.fact("server"), "other");
    assert_eq!(
        (seen.fact("protocol"), seen.fact("relay")),
        ("lmtp", "false")
    );
    assert_eq!(seen.fact("local"), "127.0.0.1");
    assert_eq!(seen.count("local_port"), u64::from(wildcard.port()));
    // On a Unix socket its path.
    let mut client = Client::open_unix(&path);
    assert_eq!(client.reply().code, 220);
    client.expect("LHLO socket.example.test", 250);
    let seen = command(&sink, "LHLO socket");
    assert_eq!(seen.fact("local"), path.display().to_string());
    assert_eq!((seen.fact("client"), seen.count("port")), ("", 0));
    // It counts as this user of the machine.
    assert_eq!(seen.count("connections"), 1);
}

#[test]
fn tls_is_told_and_what_was_said_before_it_forgotten() {
    let (sink, gateway, _next_hop) = set_up(&[], "");
    let mut client = Client::ready(gateway.smtp());
    client.expect("NOOP plain", 250);
    assert_eq!(
        command(&sink, "NOOP plain").fact("helo"),
        "EHLO:client.example.test"
    );
    client.expect("STARTTLS", 220);
    let mut client = client.into_tls("mx.example.test");
    client.expect("NOOP secret", 250);
    let made = sink.wait_seen("tls", "TLSv1.3", LIMIT);
    let after = command(&sink, "NOOP secret");
    for (seen, prefix) in [(&made, "own_"), (&made, ""), (&after, "")] {
        assert_eq!(seen.fact(&format!("{prefix}tls")), "TLSv1.3");
        assert!(seen.fact(&format!("{prefix}cipher")).starts_with("TLS_"));
        assert_eq!(seen.fact(&format!("{prefix}sni")), "mx.example.test");
        assert_eq!(seen.fact("helo"), "-", "the greeting was in plain text");
    }
    client.expect("EHLO again.example.test", 250);
    client.expect("MAIL FROM:<a@example.org>", 250);
    let mail = sink.wait_seen("mail", "a@example.org", LIMIT);
    assert_eq!(mail.fact("helo"), "EHLO:again.example.test");
    assert_eq!(mail.fact("tls"), "TLSv1.3");
    assert_eq!(mail.fact("implicit"), "false");
    // A handshake that fails.
    let mut client = Client::ready(gateway.smtp());
    client.expect("STARTTLS", 220);
    client.send("EHLO in plain text\r\n");
    client.rest();
    let end = sink.wait_seen("disconnect", "DISCONNECT_REASON_TLS", LIMIT);
    assert_eq!(end.fact("tls"), "-");
    let failed = sink.seen();
    let failed = failed.iter().filter(|seen| seen.what == "asked");
    let failed: Vec<_> = failed.filter(|seen| seen.name == "tls").collect();
    assert_eq!(failed.len(), 2, "{failed:#?}");
    assert_eq!(failed[1].fact("own_tls"), "");
}

#[test]
fn a_greeting_that_is_refused_is_none() {
    let (sink, gateway, _next_hop) = set_up(&["helo:bad.example.test=reject"], "");
    let mut client = Client::ready(gateway.smtp());
    client.expect("EHLO bad.example.test", 550);
    client.expect("NOOP after", 250);
    assert_eq!(
        command(&sink, "NOOP after").fact("helo"),
        "EHLO:client.example.test"
    );
}

#[test]
fn a_second_transaction_begins_with_nothing_of_the_first() {
    let rules = [
        "mail:one@=property:seen=one",
        "rcpt:b@=session-property:last=b",
        "rcpt:c@=session-property:last=c",
    ];
    let (sink, gateway, next_hop) = set_up(&rules, "");
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("one@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    let reply = client.deliver("two@example.org", &["c@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    client.expect("NOOP idle", 250);
    client.expect("QUIT", 221);
    sink.wait_seen("disconnect", "QUIT", LIMIT);
    let seen = sink.seen();
    let of = |name: &str| -> Vec<&Seen> {
        let of = seen.iter().filter(|seen| seen.name == name);
        of.filter(|seen| seen.what != "answered").collect()
    };
    let [first, second] = of("message")[..] else {
        panic!("{seen:#?}");
    };
    assert_eq!(first.fact("recipients"), "b@example.test");
    assert_eq!(second.fact("recipients"), "c@example.test");
    assert_eq!((first.fact("number"), second.fact("number")), ("1", "2"));
    assert_ne!(first.fact("transaction"), second.fact("transaction"));
    assert_eq!(first.fact("session"), second.fact("session"));
    assert_eq!(first.fact("sink.seen"), "one");
    assert!(!second.detail.contains("sink.seen"), "{second:?}");
    // Properties of the session stay, and what changed is told.
    assert_eq!(
        (first.fact("sink.last"), second.fact("sink.last")),
        ("b", "c")
    );
    // At MAIL the transaction has not begun; between transactions there is none.
    let [_, mail] = of("mail")[..] else {
        panic!("{seen:#?}");
    };
    for seen in [mail, &command(&sink, "NOOP idle")] {
        assert_eq!(seen.fact("recipients"), "-");
        assert_eq!(seen.fact("transaction"), "-");
        assert!(!seen.detail.contains("sink.seen"), "{seen:?}");
    }
    next_hop.wait_for(2, LIMIT);
}

/// `respond` without an enhanced code, and a reply to EHLO that keeps what it means.
#[test]
fn extensions_survive_a_sink_that_has_its_say_about_ehlo() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["response:EHLO=reply:250 hello from the sink"]);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("sink"))
        .with(
            "[[binding]]\nname = \"sink\"\nsink = \"sink\"\nmay = []\n\
             events = [\"inbound.response\"]",
        )
        .start();
    let (mut client, _) = Client::connect(gateway.smtp());
    let plain = Client::connect(gateway.smtp())
        .0
        .expect("HELO client.example.test", 250);
    assert!(!plain.text().is_empty());
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert_eq!(ehlo.lines[0], "hello from the sink");
    for keyword in ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"] {
        assert!(
            ehlo.lines.iter().any(|line| line == keyword),
            "{keyword}: {ehlo:?}"
        );
    }
    let parameters = ["2.0.0", "2.5.0"];
    for line in &ehlo.lines {
        assert!(
            !parameters.iter().any(|code| line.starts_with(code)),
            "{ehlo:?}"
        );
    }
}
