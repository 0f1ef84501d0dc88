//! Each fault with each failure policy: the reply that the client gets, and when.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;

use crate::faults::bad_sink::{BadSinks, Fault};
use crate::report::Section;

const DEADLINE: Duration = Duration::from_millis(500);
const ALLOWED: Duration = Duration::from_millis(250);

/// A policy, and the code that it answers with.
type Policy = (&'static str, u16);

const AT_COMMAND: [Policy; 4] = [
    ("continue", 250),
    ("tempfail", 451),
    ("reject", 550),
    ("disconnect", 421),
];
const AT_MESSAGE: [Policy; 6] = [
    ("continue", 250),
    ("tempfail", 451),
    ("reject", 550),
    ("hold", 250),
    ("quarantine", 250),
    ("disconnect", 421),
];

/// What became of the messages of one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    delivered: usize,
    held: usize,
    quarantined: usize,
}

impl Fate {
    fn due(policy: &str, messages: usize) -> Self {
        let mut due = Self::default();
        match policy {
            "continue" => due.delivered = messages,
            "hold" => due.held = messages,
            "quarantine" => due.quarantined = messages,
            _ => {}
        }
        due
    }

    fn now(next_hop: &NextHop, gateway: &Gateway) -> Self {
        let metrics = gateway.http("/metrics").1;
        let at = |stage: &str| {
            let series = format!("postern_spool_messages{{stage=\"{stage}\"}} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
            value.and_then(|n| n.parse().ok()).unwrap_or_default()
        };
        Self {
            delivered: next_hop.count(),
            held: at("held"),
            quarantined: at("quarantined"),
        }
    }
}

pub(crate) fn measure(sinks: &BadSinks, repeats: usize) -> Section {
    let mut section = Section::new("Faults and policies");
    section.line(&format!(
        "Each cell: the reply, and the longest of {repeats} waits. With a `+` it counts from the deadline \
         ({DEADLINE:?} after the question, at a message after its end); without, the fault was noticed \
         earlier and the wait counts from the command or the final dot. Allowed: {ALLOWED:?}. At a message the \
         cell also misses unless every message was delivered, held, quarantined, or none of them, as the policy says.\n"
    ));
    if let Some(note) = sinks.note() {
        section.line(note);
    }
    table(&mut section, sinks, "rcpt", &AT_COMMAND, repeats);
    table(&mut section, sinks, "message", &AT_MESSAGE, repeats);
    section
}

fn table(
    section: &mut Section,
    sinks: &BadSinks,
    event: &str,
    policies: &[Policy],
    repeats: usize,
) {
    let mut head = format!("| the sink, at `inbound.{event}` |");
    let mut rule = "| --- |".to_owned();
    for (policy, _) in policies {
        // Writing to a String cannot fail.
        write!(head, " `{policy}` |").ok();
        rule.push_str(" --- |");
    }
    section.line(&head);
    section.line(&rule);
    for fault in sinks.faults() {
        let mut row = format!("| {} |", fault.title());
        for policy in policies {
            let (cell, good) = cell(sinks, fault, event, *policy, repeats);
            let cell = section.judged(cell, good);
            write!(row, " {cell} |").ok();
        }
        section.line(&row);
    }
    section.line("");
}

fn cell(
    sinks: &BadSinks,
    fault: Fault,
    event: &str,
    (policy, code): Policy,
    repeats: usize,
) -> (String, bool) {
    let next_hop = NextHop::start();
    let sink = sinks.start(fault, event);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"bad\"\nendpoint = \"{}\"\n\
             [[binding]]\nname = \"bad\"\nsink = \"bad\"\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.{event}\"]\ntimeout = \"{DEADLINE:?}\"\non_failure = \"{policy}\"",
            sink.endpoint()
        ))
        .start();
    let answers: Vec<(u16, Duration)> = (0..repeats).map(|_| ask(&gateway, event)).collect();
    let late = answers.iter().filter(|(_, took)| *took >= DEADLINE);
    let late = late.count();
    let excess = |took: Duration| took.checked_sub(DEADLINE).unwrap_or(took);
    let worst = answers.iter().map(|(_, took)| excess(*took)).max();
    let worst = worst.unwrap_or_default();
    let other = answers.iter().find(|(came, _)| *came != code);

    let mut text = format!("{} ", other.map_or(code, |(came, _)| *came));
    let sign = if late > 0 { "+" } else { "" };
    write!(text, "{sign}{:.0} ms", worst.as_secs_f64() * 1000.0).ok();
    if late > 0 && late < repeats {
        write!(text, " ({late} of {repeats} at the deadline)").ok();
    }
    let mut good = other.is_none() && worst <= ALLOWED;
    if event == "message" {
        let due = Fate::due(policy, repeats);
        let fate = fate(&next_hop, &gateway, due);
        if fate != due {
            write!(text, ", {fate:?}").ok();
            good = false;
        }
    }
    (text, good)
}

/// The code of the reply and the wait for it; 0 where the connection was closed without one.
fn ask(gateway: &Gateway, event: &str) -> (u16, Duration) {
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    if event == "message" {
        client.expect("RCPT TO:<b@example.test>", 250);
        client.expect("DATA", 354);
        // The sink gets to know of the message while half of it is still to come.
        client.send("From: a@example.org\r\nSubject: x\r\n\r\nthe first half\r\n");
        thread::sleep(Duration::from_millis(20));
        client.send("the second half\r\n.\r\n");
    } else {
        client.send("RCPT TO:<b@example.test>\r\n");
    }
    let asked = Instant::now();
    let code = client.try_reply().map_or(0, |reply| reply.code);
    (code, asked.elapsed())
}

/// What became of the messages, once what is due has had its time.
fn fate(next_hop: &NextHop, gateway: &Gateway, due: Fate) -> Fate {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let fate = Fate::now(next_hop, gateway);
        if fate == due || Instant::now() > until {
            return fate;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
