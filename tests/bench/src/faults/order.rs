//! Five sinks of equal standing that each take their time: all at once, or in turn, by what they
//! read and may touch. The outcome is the same.

use std::process::Command;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::programs::program;
use postern_e2e::sink::Sink;

use crate::report::Section;

const SINKS: usize = 5;
const TAKES_MS: u64 = 20;
const ROUNDS: usize = 50;
/// "About 20 ms": what the whole stage may cost beyond the same gateway without sinks.
const ALLOWED_MS: f64 = TAKES_MS as f64 * 1.5;

/// A gateway with the sinks bound in one way.
struct Arrangement {
    title: &'static str,
    gateway: Gateway,
    next_hop: NextHop,
    waits_ms: Vec<f64>,
}

pub(crate) fn measure() -> Section {
    let sinks: Vec<Sink> = (0..SINKS)
        .map(|_| {
            let mut command = Command::new(program("slow-sink"));
            command.env("POSTERN_SINK_LOG", "warn");
            Sink::spawn(command, &["--listen"])
        })
        .collect();
    let mut arrangements = [
        arrangement("no sinks", &[], ""),
        arrangement(
            "they read what none may touch",
            &sinks,
            "\"headers:Subject\"",
        ),
        arrangement("each may touch what the next reads", &sinks, "\"headers\""),
    ];
    for round in 0..=ROUNDS {
        for arrangement in &mut arrangements {
            let wait = deliver(&arrangement.gateway);
            // The first one opens connections.
            if round > 0 {
                arrangement.waits_ms.push(wait.as_secs_f64() * 1000.0);
            }
        }
    }
    report(&mut arrangements)
}

fn arrangement(title: &'static str, sinks: &[Sink], reads: &str) -> Arrangement {
    let next_hop = NextHop::start();
    let mut setup =
        Setup::default().domain("example.test", &format!("smtp://{}", next_hop.address()));
    for (n, sink) in sinks.iter().enumerate() {
        setup = setup.with(&sink.table(&format!("slow-{n}"))).with(&format!(
            "[[binding]]\nname = \"slow-{n}\"\nsink = \"slow-{n}\"\nevents = [\"inbound.message\"]\n\
             may = [\"headers:X-Sink-*\"]\nreads = [{reads}]\nbody = \"headers\"\n\
             properties = {{ field = \"X-Sink-{n}\", takes_ms = {TAKES_MS} }}"
        ));
    }
    Arrangement {
        title,
        gateway: setup.start(),
        next_hop,
        waits_ms: Vec::new(),
    }
}

/// From the final dot to the reply.
fn deliver(gateway: &Gateway) -> Duration {
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
    let asked = Instant::now();
    client.send("From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n.\r\n");
    let reply = client.reply();
    assert_eq!(reply.code, 250, "{reply:?}");
    asked.elapsed()
}

/// The fields that the sinks added, in the order of each message.
fn outcome(next_hop: &NextHop) -> Vec<Vec<String>> {
    let received = next_hop.wait_for(ROUNDS + 1, Duration::from_secs(30));
    let mut outcomes: Vec<Vec<String>> = received
        .iter()
        .map(|message| {
            let text = message.text();
            let fields = text.lines().filter(|line| line.starts_with("X-Sink-"));
            fields.map(str::to_owned).collect()
        })
        .collect();
    outcomes.dedup();
    outcomes
}

fn report(arrangements: &mut [Arrangement; 3]) -> Section {
    let mut section = Section::new("Five slow sinks");
    section.line(&format!(
        "{SINKS} sinks of equal priority that each take {TAKES_MS} ms at `inbound.message` and put a field in front. \
         Time from the message, sent in one piece with its dot, to the reply, of {ROUNDS} messages. Allowed for all at once: {ALLOWED_MS} ms \
         more than without sinks.\n"
    ));
    section.line("| | p50 ms | longest ms | more than without, p50 ms |");
    section.line("| --- | --- | --- | --- |");
    let mut without = 0.0;
    for (n, arrangement) in arrangements.iter_mut().enumerate() {
        arrangement.waits_ms.sort_by(f64::total_cmp);
        let waits = &arrangement.waits_ms;
        let p50 = waits.get(waits.len() / 2).copied().unwrap_or_default();
        let longest = waits.last().copied().unwrap_or_default();
        let more = p50 - without;
        let more = match n {
            0 => String::new(),
            1 => section.judged(format!("{more:.1}"), more <= ALLOWED_MS),
            _ => section.judged(
                format!("{more:.1}"),
                more >= (SINKS as u64 * TAKES_MS) as f64,
            ),
        };
        if n == 0 {
            without = p50;
        }
        section.line(&format!(
            "| {} | {p50:.1} | {longest:.1} | {more} |",
            arrangement.title
        ));
    }
    let [_, at_once, in_turn] = arrangements;
    let (at_once, in_turn) = (outcome(&at_once.next_hop), outcome(&in_turn.next_hop));
    let fields = at_once.first().map_or(0, Vec::len);
    let same = at_once == in_turn && at_once.len() == 1 && fields == SINKS;
    let words = if same { "the same" } else { "different" };
    let words = section.judged(words.to_owned(), same);
    section.line(&format!(
        "\nFields of the delivered messages and their order, at once and in turn: {words}."
    ));
    section
}
