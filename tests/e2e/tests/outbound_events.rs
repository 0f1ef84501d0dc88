//! Outgoing sessions before real sinks: commands added, replaced and left out, refusals, replies judged, content edited for
//! one attempt. The next hop is scripted, and what it hears is compared line by line.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::NextHop;
use postern_e2e::scripted_hop::{ScriptedHop, Visit};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(60);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";
const STAGES: &str = "\"outbound.session_start\", \"outbound.message_start\", \"outbound.recipient\", \
                      \"outbound.before_data\", \"outbound.session_end\"";

/// What a hop heard, line by line, and how it answers.
struct Hop {
    hop: ScriptedHop,
    heard: Receiver<String>,
    replies: Arc<Mutex<Vec<(String, String)>>>,
}

impl Hop {
    /// Offers these keywords, and answers commands that begin so with these replies; 250 otherwise.
    fn start(keywords: &'static [&'static str], replies: &[(&str, &str)]) -> Self {
        let (tell, heard) = channel();
        let owned = replies
            .iter()
            .map(|(to, with)| ((*to).into(), (*with).into()));
        let replies = Arc::new(Mutex::new(owned.collect::<Vec<(String, String)>>()));
        let (tell, script) = (Mutex::new(tell), Arc::clone(&replies));
        let hop = ScriptedHop::start(NextHop::start(), move |visit| {
            let tell = tell.lock().unwrap().clone();
            let reply = |line: &str| {
                let replies = script.lock().unwrap();
                let found = replies.iter().find(|(to, _)| line.starts_with(to.as_str()));
                found.map(|(_, reply)| format!("{reply}\r\n"))
            };
            talk(visit, keywords, &tell, &reply)
        });
        Self {
            hop,
            heard,
            replies,
        }
    }

    fn domain(&self) -> String {
        format!("smtp://{}", self.hop.address())
    }

    /// From now on it answers so.
    fn answers(&self, replies: &[(&str, &str)]) {
        let owned = replies
            .iter()
            .map(|(to, with)| ((*to).into(), (*with).into()));
        *self.replies.lock().unwrap() = owned.collect();
    }

    /// The next line that it hears; a content as one line.
    fn next(&self) -> String {
        self.heard
            .recv_timeout(LIMIT)
            .unwrap_or_else(|e| panic!("nothing more was heard: {e}"))
    }

    /// The lines up to the one that begins so, and that one.
    fn until(&self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.next());
            if lines.last().is_some_and(|line| line.starts_with(start)) {
                return lines;
            }
        }
    }

    /// Nothing is heard for a while.
    fn assert_silent(&self, while_: Duration) {
        let more = self.heard.recv_timeout(while_);
        assert_eq!(more, Err(RecvTimeoutError::Timeout));
    }
}

fn talk(
    visit: &mut Visit,
    keywords: &[&str],
    tell: &Sender<String>,
    reply: &dyn Fn(&str) -> Option<String>,
) -> std::io::Result<()> {
    visit.say("220 hop.test\r\n")?;
    loop {
        let line = visit.hear()?;
        tell.send(line.clone()).ok();
        if let Some(reply) = reply(&line) {
            visit.say(reply)?;
            continue;
        }
        match line.split(' ').next().unwrap_or_default() {
            "EHLO" | "LHLO" => visit.answer_hello(keywords)?,
            "DATA" => {
                visit.say("354 go on\r\n")?;
                let mut content = String::new();
                loop {
                    let line = visit.hear()?;
                    if line == "." {
                        break;
                    }
                    content.push_str(&line);
                    content.push('|');
                }
                // Whoever hears of it may have other answers given from then on.
                let taken = reply(".").unwrap_or_else(|| "250 2.0.0 taken\r\n".to_owned());
                tell.send(format!("CONTENT {content}")).ok();
                visit.say(taken)?;
            }
            "XBLOB" => visit.say("354 give it\r\n")?,
            // What follows it at once has the reply of both.
            "XHERE" => {}
            "QUIT" => {
                visit.say("221 bye\r\n")?;
                return Ok(());
            }
            _ => visit.say("250 2.1.0 fine\r\n")?,
        }
    }
}

/// A gateway with one binding, whose mail for `example.test` goes to the hop, and reports to `sender.test` to another one.
fn gateway(hop: &Hop, reports: &NextHop, sink: &Sink, events: &str, keys: &str) -> Gateway {
    trying_again_in("1s", hop, reports, sink, events, keys)
}

fn trying_again_in(
    wait: &str,
    hop: &Hop,
    reports: &NextHop,
    sink: &Sink,
    events: &str,
    keys: &str,
) -> Gateway {
    Setup::default()
        .with(&format!("[queue]\nretry = [\"{wait}\"]"))
        .domain("example.test", &hop.domain())
        .domain("sender.test", &format!("smtp://{}", reports.address()))
        .with(&sink.table("sink"))
        .with(&binding(events, keys))
        .start()
}

fn binding(events: &str, keys: &str) -> String {
    format!("[[binding]]\nname = \"sink\"\nsink = \"sink\"\nevents = [{events}]\n{keys}")
}

fn send(gateway: &Gateway, recipients: &[&str]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Lines without what stands behind the address.
fn bare(lines: &[String]) -> Vec<String> {
    let own = |line: &String| match line.split_once('>') {
        Some((path, _)) if line.starts_with("MAIL") || line.starts_with("RCPT") => {
            format!("{path}>")
        }
        _ if line.starts_with("CONTENT") => "CONTENT".to_owned(),
        _ if line.starts_with("EHLO") => "EHLO".to_owned(),
        _ => line.clone(),
    };
    lines.iter().map(own).collect()
}

/// Every stage is asked in its turn, and what a sink puts around the gateway's commands is heard by the remote in order.
#[test]
fn commands_are_added_replaced_and_left_out_at_every_stage() {
    let hop = Hop::start(&[], &[]);
    let reports = NextHop::start();
    let sink = Sink::start(&[
        "out-session-start=around:before=XGREET one",
        "out-message-start=around:before=XCLIENT NAME=client.test ADDR=192.0.2.7",
        "out-recipient:b@=around:after=XAFTER b",
        "out-recipient:c@=around:drop",
        "out-before-data=around:before=XBLOB 7~payload;before=XHERE 5^there",
        "out-session-end=around:before=XBYE",
    ]);
    let keys = "may = [\"commands\"]\nreads = [\"sender\", \"recipients\", \"session\"]";
    let gateway = trying_again_in("10m", &hop, &reports, &sink, STAGES, keys);
    send(&gateway, &["b@example.test", "c@example.test"]);
    let lines = hop.until("CONTENT");
    assert_eq!(
        bare(&lines),
        [
            "XGREET one",
            "EHLO",
            "XCLIENT NAME=client.test ADDR=192.0.2.7",
            "MAIL FROM:<me@sender.test>",
            "RCPT TO:<b@example.test>",
            "XAFTER b",
            "XBLOB 7",
            "payload",
            "XHERE 5",
            "there",
            "DATA",
            "CONTENT",
        ],
        "{}",
        gateway.log()
    );
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("left out of this attempt at RCPT")
    });
    let asked: Vec<_> = sink.history();
    let names: Vec<_> = asked
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names[..5],
        [
            "out-session-start",
            "out-message-start",
            "out-recipient",
            "out-recipient",
            "out-before-data",
        ]
    );
    assert!(
        asked[0].contains("EHLO ") && asked[0].contains("host=127.0.0.1"),
        "{asked:?}"
    );
    assert!(asked[1].contains("recipients=2 offers=1"), "{asked:?}");
    assert!(asked[4].contains("DATA recipients=1"), "{asked:?}");
    // Instances of one session are one.
    let seen = sink.seen();
    let first = seen.first().unwrap().instance;
    assert!(seen.iter().take(10).all(|seen| seen.instance == first));
    let metrics = gateway.http("/metrics").1;
    let counted = |line: &str| {
        line.starts_with("postern_sink_verdicts_total{")
            && line.contains("event=\"outbound.before_data\"")
    };
    assert!(metrics.lines().any(counted), "{metrics}");
    // An idle connection ends in good order.
    let end = hop.until("QUIT");
    assert!(
        bare(&end).ends_with(&["XBYE".to_owned(), "QUIT".to_owned()]),
        "{end:?}"
    );
}

/// `outbound.command` sees every command; a replaced one is what is sent, also where the group is pipelined.
#[test]
fn any_command_can_be_replaced_or_preceded() {
    let hop = Hop::start(&["PIPELINING", "SIZE 1000000"], &[]);
    let reports = NextHop::start();
    let sink = Sink::start(&[
        "out-command:EHLO=around:instead=EHLO other.test",
        "out-command:MAIL=around:instead=MAIL FROM:<verp@sender.test> SIZE=1",
        "out-command:DATA=around:before=XDATA",
        "out-response:EHLO=proceed",
    ]);
    let events = "\"outbound.command\", \"outbound.response\"";
    let keys = "may = [\"commands\"]\nreads = [\"sender\", \"recipients\"]";
    let gateway = gateway(&hop, &reports, &sink, events, keys);
    send(&gateway, &["b@example.test"]);
    let lines = hop.until("CONTENT");
    assert_eq!(lines[0], "EHLO other.test");
    assert_eq!(
        bare(&lines[1..]),
        [
            "MAIL FROM:<verp@sender.test>",
            "RCPT TO:<b@example.test>",
            "XDATA",
            "DATA",
            "CONTENT"
        ],
        "{}",
        gateway.log()
    );
    sink.wait_seen("out-response", ". 250", LIMIT);
    let history = sink.history();
    for part in [
        "out-response CONNECT 220",
        "out-response EHLO 250",
        "out-command RCPT TO:<b@example.test>",
    ] {
        assert!(
            history.iter().any(|line| line.starts_with(part)),
            "{part}: {history:#?}"
        );
    }
    // What a sink puts in at `outbound.command` is not asked about once more.
    assert!(
        !history
            .iter()
            .any(|line| line.contains("out-command XDATA"))
    );
}

/// Refusals of a recipient and of a message: for good makes a report, for now leaves the mail where it is.
#[test]
fn recipients_and_messages_are_refused_for_good_and_for_now() {
    let hop = Hop::start(&["PIPELINING"], &[]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-recipient:b@=reject", "out-recipient:c@=tempfail"]);
    let keys = "may = []\nreads = [\"recipients\"]";
    let gateway = gateway(&hop, &reports, &sink, "\"outbound.recipient\"", keys);
    send(
        &gateway,
        &["b@example.test", "c@example.test", "d@example.test"],
    );
    let lines = hop.until("CONTENT");
    let expected = [
        "EHLO",
        "MAIL FROM:<me@sender.test>",
        "RCPT TO:<d@example.test>",
        "DATA",
        "CONTENT",
    ];
    assert_eq!(bare(&lines), expected, "{}", gateway.log());
    let report = reports.wait_for(1, LIMIT);
    let text = report.first().unwrap().text();
    for part in [
        "Final-Recipient: rfc822; b@example.test",
        "Status: 5.7.1",
        "the sink objects",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(
        !text.contains("Remote-MTA"),
        "nobody remote said it:\n{text}"
    );
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("c@example.test")
    });
    // The next attempt is asked about anew, and whoever is not refused then gets it once.
    let endpoint = sink.endpoint();
    drop(sink);
    let _again = Sink::at(&endpoint, &[]);
    let lines = hop.until("CONTENT");
    let rcpts: Vec<_> = bare(&lines)
        .into_iter()
        .filter(|line| line.starts_with("RCPT"))
        .collect();
    assert_eq!(rcpts, ["RCPT TO:<c@example.test>"]);
}

/// A sink that is down, breaks off or asks for what it may not: the attempt is put off, nothing is lost, nothing bounces.
#[test]
fn a_failing_sink_puts_the_attempt_off() {
    for (event, rule, may) in [
        ("session_start", "out-session-start=fault", "[\"commands\"]"),
        ("message_start", "out-message-start=close", "[\"commands\"]"),
        ("recipient", "out-recipient=around:before=XFOO", "[]"),
        (
            "before_data",
            "out-before-data=around:before=RCPT TO:<x@example.test>",
            "[\"commands\"]",
        ),
        (
            "command",
            "out-command:MAIL=around:instead=DATA",
            "[\"commands\"]",
        ),
        ("response", "out-response:MAIL=undecided", "[\"commands\"]"),
        ("tls", "out-tls=fault", "[]"),
    ] {
        let hop = Hop::start(&["PIPELINING"], &[]);
        let reports = NextHop::start();
        let sink = Sink::start(&[rule]);
        let keys = format!("may = {may}\ntimeout = \"2s\"");
        let gateway = gateway(
            &hop,
            &reports,
            &sink,
            &format!("\"outbound.{event}\""),
            &keys,
        );
        send(&gateway, &["b@example.test"]);
        gateway.wait_for_line(LIMIT, |line| {
            line.contains("deferred") && line.contains("b@example.test")
        });
        assert_eq!(
            gateway.spooled("deliver") + gateway.spooled("submit"),
            1,
            "{event}"
        );
        let endpoint = sink.endpoint();
        drop(sink);
        let _again = Sink::at(&endpoint, &[]);
        let lines = hop.until("CONTENT");
        assert!(
            lines.last().unwrap().contains("body|"),
            "{event}: {lines:?}"
        );
        hop.assert_silent(Duration::from_secs(2));
        assert_eq!(reports.count(), 0, "{event}");
    }
}

/// What a failure comes to is the operator's word, by the group `outgoing`.
#[test]
fn failure_policies_of_outgoing_sessions() {
    for (policy, comes_to) in [
        ("continue", "relayed"),
        ("tempfail", "deferred"),
        ("reject", "failed"),
        ("disconnect", "deferred"),
    ] {
        let hop = Hop::start(&["PIPELINING"], &[]);
        let reports = NextHop::start();
        let sink = Sink::start(&["out-recipient:b@=fault"]);
        let keys = format!(
            "may = []\nreads = [\"recipients\"]\non_failure = {{ outgoing = \"{policy}\" }}"
        );
        let gateway = gateway(&hop, &reports, &sink, "\"outbound.recipient\"", &keys);
        send(&gateway, &["b@example.test"]);
        gateway.wait_for_line(LIMIT, |line| {
            line.contains(comes_to) && line.contains("to=\"b@example.test\"")
        });
        if policy == "reject" {
            let report = reports.wait_for(1, LIMIT);
            assert!(report.first().unwrap().text().contains("Action: failed"));
        } else {
            assert_eq!(reports.count(), 0, "{policy}");
        }
    }
}

/// What the session cannot do at that moment, as to ask for ever, puts the attempt off, and the log says why.
#[test]
fn what_does_not_fit_the_session_puts_the_attempt_off() {
    let hop = Hop::start(&["PIPELINING"], &[]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-before-data=around:before=XAGAIN;again"]);
    let keys = "may = [\"commands\"]";
    let events = "\"outbound.before_data\"";
    let gateway = trying_again_in("10m", &hop, &reports, &sink, events, keys);
    send(&gateway, &["b@example.test"]);
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("what the sinks asked for does not fit the session")
            && line.contains("outbound.before_data")
    });
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("A filter asked for what this session cannot do")
    });
    let lines = hop.until("QUIT");
    let again = lines.iter().filter(|line| *line == "XAGAIN").count();
    assert_eq!(again, 10, "{lines:?}");
    assert!(!lines.iter().any(|line| line == "DATA"), "{lines:?}");
}

/// A sink that takes its time holds up the connection that it is asked about, and no other.
#[test]
fn a_slow_sink_holds_up_its_own_connection_alone() {
    let (slow, quick) = (
        Hop::start(&["PIPELINING"], &[]),
        Hop::start(&["PIPELINING"], &[]),
    );
    let sink = Sink::start(&["out-recipient:b@=hang"]);
    let gateway = Setup::default()
        .domain("example.test", &slow.domain())
        .domain("other.test", &quick.domain())
        .with(&sink.table("sink"))
        .with(&binding(
            "\"outbound.recipient\"",
            "may = []\nreads = [\"recipients\"]\ntimeout = \"100s\"",
        ))
        .start();
    send(&gateway, &["b@example.test"]);
    sink.wait_asked("out-recipient", 1, LIMIT);
    send(&gateway, &["c@other.test"]);
    quick.until("CONTENT");
    // What was gathered before the question is on its way: the remote is not kept waiting without a word.
    slow.until("MAIL");
    send(&gateway, &["d@example.test"]);
    let lines = slow.until("CONTENT");
    assert!(
        lines.iter().any(|line| line.starts_with("RCPT TO:<d@")),
        "{lines:?}"
    );
}

/// A session that a sink refuses is used for nothing: for now the mail waits, for good it comes back.
#[test]
fn sessions_are_refused_at_their_start_and_for_their_tls() {
    for (event, rule) in [
        ("session_start", "out-session-start=tempfail"),
        ("tls", "out-tls=tempfail"),
        ("tls", "out-tls=disconnect"),
        ("response", "out-response:EHLO=tempfail"),
    ] {
        let hop = Hop::start(&[], &[]);
        let reports = NextHop::start();
        let sink = Sink::start(&[rule]);
        let gateway = gateway(
            &hop,
            &reports,
            &sink,
            &format!("\"outbound.{event}\""),
            "may = []",
        );
        send(&gateway, &["b@example.test"]);
        gateway.wait_for_line(LIMIT, |line| {
            line.contains("deferred") && line.contains("b@example.test")
        });
        let lines = hop.until("QUIT");
        assert!(
            !lines.iter().any(|line| line.starts_with("MAIL")),
            "{rule}: {lines:?}"
        );
        if event == "tls" {
            let seen = sink.wait_seen("out-tls", "policy=TLS_POLICY_OPPORTUNISTIC", LIMIT);
            assert!(
                seen.detail.contains("version= ") && seen.detail.contains("source=default"),
                "{seen:?}"
            );
        }
    }
    let hop = Hop::start(&[], &[]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-session-start=reject"]);
    let gateway = gateway(
        &hop,
        &reports,
        &sink,
        "\"outbound.session_start\"",
        "may = []",
    );
    send(&gateway, &["b@example.test"]);
    // The report itself goes to another hop, whose session is refused too: it is lost with a warning.
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("failed") && line.contains("b@example.test")
    });
}

/// TLS that has to be there and is not puts mail off; a sink that knows better has it come back at once.
#[test]
fn missing_tls_is_shown_with_its_reason_and_may_be_final() {
    let reports = NextHop::start();
    for (keywords, why) in [
        (
            &[][..],
            "TLS is required, and the peer does not offer STARTTLS",
        ),
        (&["STARTTLS"][..], "the peer refused at STARTTLS"),
    ] {
        let hop = Hop::start(keywords, &[("STARTTLS", "454 4.7.0 not today")]);
        let sink = Sink::start(&["out-tls:TLS_POLICY_ENCRYPT=reject"]);
        let gateway = Setup::default()
            .with("[outbound]\ndeliver = \"smtp://127.0.0.1:9\"")
            .domain("sender.test", &format!("smtp://{}", reports.address()))
            .with(&format!(
                "[[route]]\nname = \"own\"\nmatch = \"example.org\"\ndeliver = \"{}\"\ntls = \"required\"",
                hop.domain()
            ))
            .server("relay_from = [\"127.0.0.0/8\"]")
            .with(&sink.table("sink"))
            .with(&binding("\"outbound.tls\"", "may = []"))
            .start();
        let before = reports.count();
        send(&gateway, &["b@example.org"]);
        let seen = sink.wait_seen("out-tls", "TLS_POLICY_ENCRYPT source=route", LIMIT);
        assert!(seen.detail.contains(why), "{seen:?}");
        let report = reports.wait_for(before + 1, LIMIT);
        let text = report.last().unwrap().text();
        assert!(text.contains("the sink objects"), "{text}");
    }
}

/// Replies are taken for others of the same kind; the success of a message is never taken back.
#[test]
fn replies_are_judged_and_a_success_stays_one() {
    // A failure for now is taken for one that is final.
    let hop = Hop::start(&[], &[("RCPT", "450 4.2.0 later")]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-response:RCPT 450=taken:550 no use to wait"]);
    let keys = "may = [\"commands\"]\nwhen = 'command.verb == \"RCPT\" && command.line.contains(\"example.test\")'";
    let own = gateway(&hop, &reports, &sink, "\"outbound.response\"", keys);
    send(&own, &["b@example.test"]);
    let report = reports.wait_for(1, LIMIT);
    let text = report.first().unwrap().text();
    assert!(text.contains("no use to wait"), "{text}");
    drop(own);

    // And the reverse: the mail stays until the remote takes it.
    let hop = Hop::start(&[], &[("RCPT", "550 5.1.1 nobody")]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-response:RCPT 550=taken:450 they will"]);
    let own = gateway(&hop, &reports, &sink, "\"outbound.response\"", keys);
    send(&own, &["b@example.test"]);
    own.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("they will")
    });
    hop.answers(&[]);
    let lines = hop.until("CONTENT");
    assert!(bare(&lines).contains(&"DATA".to_owned()));
    assert_eq!(reports.count(), 0);
    drop(own);

    // What the remote has taken is not sent again, whatever a sink makes of its reply, and whether it answers at all.
    for rule in [
        "out-response:. 250=taken:450 again please",
        "out-response:. 250=tempfail",
        "out-response:. 250=reject",
        "out-response:. 250=fault",
        "out-response:. 250=disconnect",
    ] {
        let hop = Hop::start(&[], &[]);
        let reports = NextHop::start();
        let sink = Sink::start(&[rule]);
        let keys = "may = [\"commands\"]";
        let own = gateway(&hop, &reports, &sink, "\"outbound.response\"", keys);
        send(&own, &["b@example.test"]);
        own.wait_for_line(LIMIT, |line| {
            line.contains("relayed") && line.contains("b@example.test")
        });
        hop.until("CONTENT");
        let rest = hop.heard.try_iter().collect::<Vec<_>>();
        assert!(rest.iter().all(|line| line == "QUIT"), "{rule}: {rest:?}");
        own.wait_for_line(LIMIT, |_| own.spooled("deliver") == 0);
        assert_eq!(reports.count(), 0, "{rule}");
    }
}

/// A recipient that the remote takes and a sink refuses by its reply gets nothing; the others wait for another transaction.
#[test]
fn a_reply_can_be_refused_for_one_recipient() {
    let hop = Hop::start(&[], &[]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-response:RCPT=reject"]);
    let keys =
        "may = []\nreads = [\"recipients\"]\nwhen = 'command.line.contains(\"<b@example.test>\")'";
    let gateway = gateway(&hop, &reports, &sink, "\"outbound.response\"", keys);
    send(&gateway, &["b@example.test", "c@example.test"]);
    let lines = bare(&hop.until("CONTENT"));
    let last = lines
        .iter()
        .rposition(|line| line.starts_with("MAIL"))
        .unwrap();
    let expected = [
        "MAIL FROM:<me@sender.test>",
        "RCPT TO:<c@example.test>",
        "DATA",
        "CONTENT",
    ];
    assert_eq!(lines[last..], expected, "{lines:?}");
    let report = reports.wait_for(1, LIMIT);
    assert!(
        report
            .first()
            .unwrap()
            .text()
            .contains("Final-Recipient: rfc822; b@example.test")
    );
    hop.assert_silent(Duration::from_secs(2));
}

/// Edits at `outbound.message_start` are those of one attempt: the size that is announced follows them, another attempt begins
/// with the message as it was, and conversions come before them.
#[test]
fn content_is_edited_for_one_attempt_after_every_conversion() {
    let hop = Hop::start(&["SIZE 1000000"], &[(".", "451 4.3.0 not now")]);
    let reports = NextHop::start();
    let sink = Sink::start(&["out-message-start=splice:FOOTER"]);
    let keys = "may = [\"body\"]\nbody = \"full\"";
    let own = gateway(&hop, &reports, &sink, "\"outbound.message_start\"", keys);
    send(&own, &["b@example.test", "c@example.test"]);
    let first = hop.until("CONTENT");
    hop.answers(&[]);
    let second = hop.until("CONTENT");
    for lines in [&first, &second] {
        let content = lines.last().unwrap();
        assert_eq!(content.matches("FOOTER").count(), 1, "{content}");
        assert!(content.ends_with("Subject: x||FOOTER|body|"), "{content}");
        let mail = lines.iter().find(|line| line.starts_with("MAIL")).unwrap();
        let size = content.len() - "CONTENT ".len() + content.matches('|').count();
        assert!(
            mail.contains(&format!("SIZE={size}")),
            "{mail} for {size}: {content}"
        );
        let rcpts = lines.iter().filter(|line| line.starts_with("RCPT")).count();
        assert_eq!(rcpts, 2, "one edit for all: {lines:?}");
    }
    assert!(sink.asked("out-message-start") >= 2);
    drop(own);

    // Content that the hop does not take as it is: the sink sees it converted, and what it adds is not converted any more.
    let without = Hop::start(&[], &[("EHLO", "250 hop.test")]);
    let sink = Sink::start(&["out-message-start=splice:FOOTER"]);
    let own = gateway(
        &without,
        &reports,
        &sink,
        "\"outbound.message_start\"",
        keys,
    );
    let mut client = Client::ready(own.smtp());
    let eight_bit = "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                     Content-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n";
    let reply = client.deliver("me@sender.test", &["b@example.test"], eight_bit.as_bytes());
    assert_eq!(reply.code, 250, "{reply:?}");
    let lines = without.until("CONTENT");
    let content = lines.last().unwrap();
    assert!(content.contains("FOOTER|gr=C3=BCn|"), "{content}");
    drop(own);

    // What the hop does not take cannot be brought in: the sink's failure, and the attempt is put off.
    let without = Hop::start(&[], &[("EHLO", "250 hop.test")]);
    let sink = Sink::start(&["out-message-start=splice:f\u{fc}r"]);
    let own = gateway(
        &without,
        &reports,
        &sink,
        "\"outbound.message_start\"",
        keys,
    );
    send(&own, &["b@example.test"]);
    own.wait_for_log("the next hop does not take octets above 127", LIMIT);
    own.wait_for_line(LIMIT, |line| line.contains("deferred"));
    assert_eq!(reports.count(), 0);
}

/// A message keeps the bindings of the virtual server that accepted it: its sessions are not shared with others'.
#[test]
fn sessions_belong_to_one_virtual_server_where_somebody_is_asked() {
    let hop = Hop::start(&[], &[]);
    let sink = Sink::start(&["out-message-start=around:before=XCLIENT NAME=client.test"]);
    let other = free_address();
    let gateway = Setup::default()
        .domain("example.test", &hop.domain())
        .with(&format!(
            "[[server]]\nname = \"other\"\nhostname = \"mx.example.test\"\nlisten = [\"{other}\"]"
        ))
        .with(&sink.table("sink"))
        .with(&binding(
            "\"outbound.message_start\"",
            "servers = [\"inbound\"]\nmay = [\"commands\"]",
        ))
        .start();
    wait_for_listener(other).unwrap();
    send(&gateway, &["b@example.test"]);
    let lines = bare(&hop.until("CONTENT"));
    assert_eq!(
        lines[..3],
        [
            "EHLO",
            "XCLIENT NAME=client.test",
            "MAIL FROM:<me@sender.test>"
        ]
    );
    // The connection is still open, and would be used again.
    let mut client = Client::ready(other);
    let reply = client.deliver("me@sender.test", &["c@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    // Idle connections may end meanwhile.
    let lines = |skipped: &[&str]| {
        let mut lines = bare(&hop.until("CONTENT"));
        lines.retain(|line| !skipped.contains(&line.as_str()));
        lines
    };
    let of_other = lines(&["QUIT"]);
    assert_eq!(
        of_other[..2],
        ["EHLO", "MAIL FROM:<me@sender.test>"],
        "a session of its own"
    );
    send(&gateway, &["d@example.test"]);
    let again = lines(&["QUIT", "EHLO"]);
    assert_eq!(
        again[..2],
        ["XCLIENT NAME=client.test", "MAIL FROM:<me@sender.test>"]
    );
    assert_eq!(sink.asked("out-message-start"), 2);
}
