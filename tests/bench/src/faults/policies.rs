//! Each fault with each failure policy: the reply that the client gets, and when.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;

use crate::faults::Section;
use crate::faults::bad_sink::{BadSinks, Fault};

const DEADLINE: Duration = Duration::from_millis(500);
const ALLOWED: Duration = Duration::from_millis(250);

/// A policy, the code that it answers with, and whether the message goes on.
type Policy = (&'static str, u16, bool);

const AT_COMMAND: [Policy; 4] = [
    ("continue", 250, true),
    ("tempfail", 451, false),
    ("reject", 550, false),
    ("disconnect", 421, false),
];
const AT_MESSAGE: [Policy; 6] = [
    ("continue", 250, true),
    ("tempfail", 451, false),
    ("reject", 550, false),
    ("hold", 250, false),
    ("quarantine", 250, false),
    ("disconnect", 421, false),
];

pub(crate) fn measure(sinks: &BadSinks, repeats: usize) -> Section {
    let mut section = Section::new("Faults and policies");
    section.line(&format!(
        "Each cell: the reply, and the longest of {repeats} waits. With a `+` it counts from the deadline \
         ({DEADLINE:?} after the question, at a message after its end); without, the fault was noticed \
         earlier and the wait counts from the command or the final dot. Allowed: {ALLOWED:?}.\n"
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
    for (policy, ..) in policies {
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
    (policy, code, goes_on): Policy,
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
    let late = answers.iter().any(|(_, took)| *took >= DEADLINE);
    let excess = |took: Duration| took.checked_sub(DEADLINE).unwrap_or(took);
    let worst = answers.iter().map(|(_, took)| excess(*took)).max();
    let worst = worst.unwrap_or_default();
    let other = answers.iter().find(|(came, _)| *came != code);

    let mut text = format!("{} ", other.map_or(code, |(came, _)| *came));
    let sign = if late { "+" } else { "" };
    write!(text, "{sign}{:.0} ms", worst.as_secs_f64() * 1000.0).ok();
    let mut good = other.is_none() && worst <= ALLOWED;
    if event == "message" {
        let due = if goes_on { repeats } else { 0 };
        let delivered = delivered(&next_hop, due);
        if delivered != due {
            write!(text, ", {delivered} of {due} delivered").ok();
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

/// How many messages came, once those that are due have had their time.
fn delivered(next_hop: &NextHop, due: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(5);
    while next_hop.count() < due && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    next_hop.count()
}
