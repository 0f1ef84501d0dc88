//! Every transaction that MAIL began ends once: whatever ends it, sinks are told one outcome, the log has one line, and
//! one is counted.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, terminate};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::{Seen, Sink};

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &str = "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// What the log says of the end of a transaction, one of them once.
const ENDS: [&str; 7] = [
    "message accepted",
    "message held",
    "message quarantined",
    "message discarded",
    "message refused",
    "client went away before the reply",
    "transaction given up",
];

/// A gateway with a sink that judges by the recipient, and one that is only told.
struct Scene {
    _next_hop: NextHop,
    judge: Sink,
    told: Sink,
    gateway: Gateway,
    /// Sessions whose end was told.
    sessions: usize,
    /// Outcomes so far, by the words of the metric.
    ends: Vec<(&'static str, u64)>,
}

/// What a transaction is to come to: its outcome as the sink is told, the line of the log, the word of the metric.
type Due = (&'static str, &'static str, &'static str);

const ACCEPTED: Due = ("OUTCOME_ACCEPTED 250 by=", "message accepted", "accepted");
const GONE: Due = (
    "OUTCOME_CLIENT_GONE 0 by=",
    "client went away before the reply",
    "client_gone",
);
const GIVEN_UP: Due = ("OUTCOME_GIVEN_UP 0 by=", "transaction given up", "given_up");

const fn refused(outcome: &'static str) -> Due {
    (outcome, "message refused", "rejected")
}

const fn put_off(outcome: &'static str) -> Due {
    (outcome, "message refused", "tempfailed")
}

impl Scene {
    fn new(keys: &str) -> Self {
        let next_hop = NextHop::start();
        let judge = Sink::with(
            &[
                "message:reject@=reject",
                "message:tempfail@=tempfail",
                "message:discard@=discard",
                "message:quarantine@=quarantine",
                "message:hold@=hold",
                "message:hang@=hang",
                "message:disconnect@=disconnect",
                "rcpt:rcpt-disconnect@=disconnect",
                "rcpt:rcpt-hang@=hang",
                "rcpt:rcpt-discard@=discard",
                "data:no-data@=reject",
                "response:no-reply@=disconnect",
            ],
            &["--instances", "64", "--facts"],
        );
        let told = Sink::with(&[], &["--facts"]);
        let setup = Setup::default();
        Authority::default().issue(setup.folder(), "mx", "mx.example.test");
        let gateway = setup
            .domain("example.test", &format!("smtp://{}", next_hop.address()))
            .with(&judge.table("judge"))
            .with(
                "[[binding]]\nname = \"judge\"\nsink = \"judge\"\nbody = \"full\"\n\
                 may = [\"discard\", \"quarantine\", \"hold\"]\n\
                 events = [\"inbound.rcpt\", \"inbound.data\", \"inbound.message\"]",
            )
            // Only where the test says so: it would hold up every reply.
            .with(&judge.table("replies"))
            .with(
                "[[binding]]\nname = \"replies\"\nsink = \"replies\"\nmay = []\n\
                 events = [\"inbound.response\"]\nwhen = 'command.verb == \"RCPT\"'",
            )
            .with(&told.table("told"))
            .with(
                "[[binding]]\nname = \"told\"\nsink = \"told\"\nmay = []\n\
                 events = [\"inbound.reset\", \"inbound.outcome\", \"inbound.disconnect\"]",
            )
            .server(&format!(
                "tls = {{ cert = \"mx.pem\", key = \"mx.key\" }}\n{keys}"
            ))
            .start();
        let mut scene = Self {
            _next_hop: next_hop,
            judge,
            told,
            gateway,
            sessions: 0,
            ends: Vec::new(),
        };
        // The connection by which the harness waits for the start.
        assert!(scene.session_told().is_empty());
        scene
    }

    fn client(&self) -> Client {
        Client::ready(self.gateway.smtp())
    }

    /// What was told of the next session that has ended, without its end.
    fn session_told(&mut self) -> Vec<Seen> {
        let ends = |seen: &[Seen]| {
            let ends = seen.iter().enumerate();
            let mut ends = ends.filter(|(_, seen)| seen.name == "disconnect");
            ends.nth(self.sessions).map(|(place, _)| place)
        };
        let until = std::time::Instant::now() + LIMIT;
        let (seen, end) = loop {
            let seen = self.told.seen();
            if let Some(end) = ends(&seen) {
                break (seen, end);
            }
            assert!(
                std::time::Instant::now() < until,
                "no end is told: {seen:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let begin = seen[..end]
            .iter()
            .rposition(|seen| seen.name == "disconnect")
            .map_or(0, |last| last + 1);
        self.sessions += 1;
        seen[begin..end].to_vec()
    }

    /// The session that has just ended had exactly these transactions.
    fn expect(&mut self, case: &str, due: &[Due]) {
        let told = self.session_told();
        let outcomes: Vec<_> = told.iter().filter(|seen| seen.name == "outcome").collect();
        assert_eq!(outcomes.len(), due.len(), "{case}: {told:#?}");
        for (seen, (outcome, line, end)) in outcomes.into_iter().zip(due) {
            let said = seen.detail.starts_with(&format!("{outcome} "));
            assert!(said, "{case}: {} is not {outcome}", seen.detail);
            assert_eq!(seen.fact("transaction"), seen.fact("id"), "{case}");
            self.expect_line(case, seen.fact("id"), line);
            match self.ends.iter_mut().find(|(known, _)| known == end) {
                Some((_, count)) => *count += 1,
                None => self.ends.push((end, 1)),
            }
        }
        self.expect_counts(case);
    }

    /// The log has one line of the end of this transaction, and it is this one.
    fn expect_line(&self, case: &str, id: &str, line: &str) {
        let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        self.gateway.wait_for_log(&id, LIMIT);
        let log = self.gateway.log();
        let of_it = log.lines().filter(|own| own.contains(&id));
        let ends: Vec<_> = of_it
            .filter(|own| ENDS.iter().any(|end| own.contains(end)))
            .collect();
        assert_eq!(ends.len(), 1, "{case}: {ends:#?}\n{log}");
        assert!(ends[0].contains(line), "{case}: {} is not {line}", ends[0]);
    }

    fn expect_counts(&self, case: &str) {
        let metrics = self.gateway.http("/metrics").1;
        let counted = metrics
            .lines()
            .filter(|line| line.starts_with("postern_messages_total{"));
        let mut counted: Vec<(String, u64)> = counted
            .map(|line| {
                let (labels, count) = line.rsplit_once(' ').unwrap();
                let end = labels.split("end=\"").nth(1).unwrap();
                let end = end.split('"').next().unwrap();
                (end.to_owned(), count.parse().unwrap())
            })
            .collect();
        let mut due: Vec<(String, u64)> = self
            .ends
            .iter()
            .map(|(end, count)| ((*end).to_owned(), *count))
            .collect();
        counted.sort();
        due.sort();
        assert_eq!(counted, due, "{case}");
    }
}

fn mail(client: &mut Client, recipient: &str) {
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect(&format!("RCPT TO:<{recipient}@example.test>"), 250);
}

/// Up to the middle of the body.
fn half(client: &mut Client, recipient: &str) {
    mail(client, recipient);
    client.expect("DATA", 354);
    client.send(CONTENT);
}

fn quit(client: &mut Client) {
    client.expect("QUIT", 221);
}

#[test]
fn verdicts_about_the_message() {
    let mut scene = Scene::new("");
    let cases: [(&str, u16, Due); 7] = [
        ("anybody", 250, ACCEPTED),
        ("reject", 550, refused("OUTCOME_REJECTED 550 by=judge")),
        ("tempfail", 451, put_off("OUTCOME_TEMPFAILED 451 by=judge")),
        (
            "discard",
            250,
            (
                "OUTCOME_DISCARDED 250 by=judge",
                "message discarded",
                "discarded",
            ),
        ),
        (
            "quarantine",
            250,
            (
                "OUTCOME_QUARANTINED 250 by=judge",
                "message quarantined",
                "quarantined",
            ),
        ),
        (
            "hold",
            250,
            ("OUTCOME_HELD 250 by=judge", "message held", "held"),
        ),
        // Dropped at RCPT, and nobody else to get it.
        (
            "rcpt-discard",
            250,
            (
                "OUTCOME_DISCARDED 250 by=",
                "message discarded",
                "discarded",
            ),
        ),
    ];
    for (recipient, code, due) in cases {
        let mut client = scene.client();
        half(&mut client, recipient);
        client.send(".\r\n");
        assert_eq!(client.reply().code, code, "{recipient}");
        quit(&mut client);
        scene.expect(recipient, &[due]);
    }
    let mut client = scene.client();
    half(&mut client, "disconnect");
    client.send(".\r\n");
    assert_eq!(client.reply().code, 421);
    client.expect_closed();
    scene.expect("disconnect", &[put_off("OUTCOME_TEMPFAILED 421 by=judge")]);
}

#[test]
fn what_the_service_refuses() {
    let mut scene =
        Scene::new("max_message_size = \"64 KiB\"\n[server.limits]\nheader_count = 5\nerrors = 3");
    // The header section, while it arrives.
    let mut client = scene.client();
    mail(&mut client, "b");
    client.expect("DATA", 354);
    client.send("X: 1\r\n".repeat(6) + "\r\nx\r\n.\r\n");
    assert_eq!(client.reply().code, 552);
    quit(&mut client);
    scene.expect("header_count", &[refused("OUTCOME_REJECTED 552 by=")]);
    // Content that might be smuggled.
    let mut client = scene.client();
    half(&mut client, "b");
    client.send("a bare\rin the body\r\n.\r\n");
    assert_eq!(client.reply().code, 550);
    client.expect_closed();
    scene.expect("a bare CR", &[refused("OUTCOME_REJECTED 550 by=")]);
    // A chunk that would be too much: the transaction is over with it.
    let mut client = scene.client();
    mail(&mut client, "b");
    let chunk = format!("{CONTENT}{}", "x\r\n".repeat(10_000));
    client.send(format!("BDAT {}\r\n{chunk}", chunk.len()));
    assert_eq!(client.reply().code, 250);
    client.send("BDAT 40000 LAST\r\n".to_owned() + &"x".repeat(40_000));
    assert_eq!(client.reply().code, 552);
    quit(&mut client);
    scene.expect("a chunk too much", &[refused("OUTCOME_REJECTED 552 by=")]);
    // A chunk that no chunk can follow: nobody knows where it ends.
    let mut client = scene.client();
    mail(&mut client, "b");
    client.expect("BDAT many", 501);
    client.expect_closed();
    scene.expect(
        "BDAT without a size",
        &[refused("OUTCOME_REJECTED 501 by=")],
    );
    // A limit of the session.
    let mut client = scene.client();
    mail(&mut client, "b");
    for _ in 0..3 {
        client.expect("NONSENSE", 500);
    }
    client.expect("NOOP", 421);
    client.expect_closed();
    scene.expect("errors", &[put_off("OUTCOME_TEMPFAILED 421 by=")]);
    // A body that nobody has asked for.
    let mut client = scene.client();
    mail(&mut client, "b");
    client.send("DATA\r\nSubject: x\r\n");
    assert_eq!(client.reply().code, 554);
    scene.expect("a body too early", &[refused("OUTCOME_REJECTED 554 by=")]);
}

#[test]
fn what_sinks_refuse_before_there_is_content() {
    let mut scene = Scene::new("");
    // DATA refused ends nothing: QUIT does.
    let mut client = scene.client();
    mail(&mut client, "no-data");
    client.expect("DATA", 550);
    quit(&mut client);
    scene.expect("DATA refused", &[GIVEN_UP]);
    // BDAT refused does.
    let mut client = scene.client();
    mail(&mut client, "no-data");
    client.send(format!("BDAT {} LAST\r\n{CONTENT}", CONTENT.len()));
    assert_eq!(client.reply().code, 550);
    quit(&mut client);
    scene.expect("BDAT refused", &[refused("OUTCOME_REJECTED 550 by=judge")]);
    // The session ends at RCPT.
    let mut client = scene.client();
    mail(&mut client, "b");
    client.expect("RCPT TO:<rcpt-disconnect@example.test>", 421);
    client.expect_closed();
    scene.expect(
        "RCPT disconnects",
        &[put_off("OUTCOME_TEMPFAILED 421 by=judge")],
    );
    // The session ends in place of a reply.
    let mut client = scene.client();
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<no-reply@example.test>", 421);
    client.expect_closed();
    scene.expect(
        "a reply disconnects",
        &[put_off("OUTCOME_TEMPFAILED 421 by=replies")],
    );
}

#[test]
fn what_the_client_gives_up() {
    let mut scene = Scene::new("");
    let mut client = scene.client();
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RSET", 250);
    mail(&mut client, "b");
    client.expect("EHLO again.example.test", 250);
    mail(&mut client, "b");
    client.expect("HELO once.more.example.test", 250);
    mail(&mut client, "b");
    quit(&mut client);
    scene.expect("RSET, EHLO, HELO, QUIT", &[GIVEN_UP; 4]);
    let resets: Vec<_> = scene.told.seen();
    let resets = resets.iter().filter(|seen| seen.name == "reset");
    let resets: Vec<_> = resets
        .map(|seen| seen.fact("id") == seen.fact("transaction"))
        .collect();
    assert_eq!(resets, [true; 3], "a reset belongs to its transaction");
    // In the middle of the chunks.
    let mut client = scene.client();
    mail(&mut client, "b");
    client.send(format!("BDAT {}\r\n{CONTENT}", CONTENT.len()));
    assert_eq!(client.reply().code, 250);
    client.expect("RSET", 250);
    quit(&mut client);
    scene.expect("RSET between chunks", &[GIVEN_UP]);
    // A MAIL that was refused has begun nothing, and one message after the other is one each.
    let mut client = scene.client();
    client.expect("MAIL FROM:<not an address>", 501);
    for _ in 0..3 {
        half(&mut client, "b");
        client.send(".\r\n");
        assert_eq!(client.reply().code, 250);
    }
    quit(&mut client);
    scene.expect("three messages", &[ACCEPTED; 3]);
}

#[test]
fn clients_that_go_away() {
    let mut scene = Scene::new("");
    let mut client = scene.client();
    client.expect("MAIL FROM:<a@example.org>", 250);
    drop(client);
    scene.expect("gone after MAIL", &[GONE]);

    let mut client = scene.client();
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.send("RCPT TO:<rcpt-hang@example.test>\r\n");
    scene.judge.wait_seen("rcpt", "rcpt-hang@", LIMIT);
    drop(client);
    scene.expect("gone while a sink thinks at RCPT", &[GONE]);
    scene.judge.wait_seen("cancel", "CLIENT_GONE", LIMIT);

    let mut client = scene.client();
    half(&mut client, "b");
    drop(client);
    scene.expect("gone in the body", &[GONE]);

    let mut client = scene.client();
    mail(&mut client, "b");
    client.send(format!("BDAT 1000\r\n{CONTENT}"));
    drop(client);
    scene.expect("gone in a chunk", &[GONE]);

    let cancelled = |scene: &Scene| {
        let seen = scene.judge.seen();
        seen.iter().filter(|seen| seen.what == "cancelled").count()
    };
    let before = cancelled(&scene);
    let mut client = scene.client();
    half(&mut client, "hang");
    client.send(".\r\n");
    let asked = scene.judge.wait_seen("message", "hang@", LIMIT);
    drop(client);
    scene.expect("gone while a sink thinks", &[GONE]);
    // The sink hears that its upload broke off by the Cancel of its question.
    let until = std::time::Instant::now() + LIMIT;
    while cancelled(&scene) == before {
        assert!(std::time::Instant::now() < until, "no Cancel");
        std::thread::sleep(Duration::from_millis(5));
    }
    let seen = scene.judge.seen();
    let last = seen.iter().rfind(|seen| seen.what == "cancelled").unwrap();
    assert_eq!((last.instance, last.event), (asked.instance, asked.event));
    assert_eq!(last.detail, "CANCEL_REASON_CLIENT_GONE");

    let (mut client, _) = scene.client().start_tls("mx.example.test");
    half(&mut client, "b");
    // The end of TLS is not said.
    drop(client);
    scene.expect("TLS breaks", &[GONE]);
}

#[test]
fn clients_that_take_too_long() {
    let mut scene = Scene::new("[server.limits]\ncommand_timeout = \"2s\"\ndata_timeout = \"2s\"");
    let mut client = scene.client();
    mail(&mut client, "b");
    assert_eq!(client.reply().code, 421);
    client.expect_closed();
    scene.expect("no command", &[put_off("OUTCOME_TEMPFAILED 421 by=")]);
    let mut client = scene.client();
    half(&mut client, "b");
    assert_eq!(client.reply().code, 421);
    client.expect_closed();
    scene.expect("no content", &[put_off("OUTCOME_TEMPFAILED 421 by=")]);
}

/// SIGTERM, then again: nothing is waited for any more.
fn cut(scene: &mut Scene) {
    terminate(scene.gateway.pid());
    scene.gateway.wait_for_log("stopping", LIMIT);
    terminate(scene.gateway.pid());
    assert!(scene.gateway.wait(LIMIT).success());
}

#[test]
fn a_gateway_that_ends() {
    for (recipient, thinks) in [("b", false), ("hang", true)] {
        let mut scene = Scene::new("");
        let mut client = scene.client();
        half(&mut client, recipient);
        if thinks {
            client.send(".\r\n");
        }
        scene.judge.wait_seen("message", recipient, LIMIT);
        cut(&mut scene);
        let told = scene.session_told();
        let [outcome] = told.as_slice() else {
            panic!("{told:#?}");
        };
        assert!(
            outcome.detail.starts_with("OUTCOME_TEMPFAILED 0 by= "),
            "{outcome:?}"
        );
        scene.expect_line("the gateway ends", outcome.fact("id"), "message refused");
    }
    // In the envelope, a client is told so at its next command.
    let mut scene = Scene::new("");
    let mut client = scene.client();
    mail(&mut client, "b");
    terminate(scene.gateway.pid());
    scene.gateway.wait_for_log("stopping", LIMIT);
    client.expect("DATA", 421);
    client.expect_closed();
    assert!(scene.gateway.wait(LIMIT).success());
    let told = scene.session_told();
    let outcomes: Vec<_> = told.iter().map(|seen| seen.detail.clone()).collect();
    assert!(
        outcomes.len() == 1 && outcomes[0].starts_with("OUTCOME_TEMPFAILED 421 by= "),
        "{outcomes:?}"
    );
}
