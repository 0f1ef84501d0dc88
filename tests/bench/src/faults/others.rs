//! What sessions with a healthy sink notice of others whose sink is faulty.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::gateway::Setup;
use postern_e2e::programs::program;
use postern_e2e::sink::Sink;

use crate::faults::Plan;
use crate::faults::bad_sink::{BadSinks, Fault};
use crate::load::{self, Letter, Shape};
use crate::receiver::Receiver;
use crate::report::Section;

const SESSIONS: usize = 20;
const FAULTY_SESSIONS: usize = 5;
const PACE: Duration = Duration::from_millis(50);
const ALLOWED: f64 = 2.0;

/// One run of the steady sessions.
#[derive(Clone, Copy)]
struct Run {
    p50_ms: f64,
    p99_ms: f64,
    /// Messages of the other sessions that met the fault.
    met: usize,
}

pub(crate) fn measure(sinks: &BadSinks, receiver: &Receiver, plan: &Plan) -> io::Result<Section> {
    let faults = sinks.faults();
    let bad: Vec<_> = faults
        .iter()
        .map(|fault| (*fault, sinks.start(*fault, "message")))
        .collect();
    let mut healthy = Command::new(program("null-sink"));
    healthy.env("POSTERN_SINK_LOG", "warn");
    let healthy = Sink::spawn(healthy, &["--listen"]);
    let mut setup = Setup::default()
        .domain("bench.test", &format!("smtp://{}", receiver.address()))
        .with(&healthy.table("healthy"))
        .with(
            "[[binding]]\nname = \"healthy\"\nsink = \"healthy\"\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.mail\", \"inbound.rcpt\", \"inbound.message\"]\nrule = \"MAIL FROM=sender@*\"",
        );
    for (fault, sink) in &bad {
        let name = fault.name();
        setup = setup.with(&format!(
            "[[sink]]\nname = \"{name}\"\nendpoint = \"{}\"\n\
             [[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.message\"]\nrule = \"MAIL FROM={name}@*\"\ntimeout = \"500ms\"\n\
             on_failure = \"tempfail\"",
            sink.endpoint()
        ));
    }
    let gateway = setup.start();
    let to = gateway.smtp();

    // A first run warms up and is thrown away.
    run(to, None, 2)?;
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); faults.len() + 1];
    for round in 0..plan.rounds {
        // Each kind of run stands at each place in turn.
        for n in 0..runs.len() {
            let which = (n + round) % runs.len();
            let fault = which.checked_sub(1).and_then(|i| faults.get(i)).copied();
            let came = run(to, fault, plan.seconds)?;
            if let Some(list) = runs.get_mut(which) {
                list.push(came);
            }
        }
    }
    Ok(report(&faults, &runs, plan))
}

fn run(to: SocketAddr, fault: Option<Fault>, seconds: u64) -> io::Result<Run> {
    let a_second = SESSIONS as u64 * 1000 / PACE.as_millis() as u64;
    let shape = Shape {
        size_bytes: 4 << 10,
        sessions: SESSIONS,
        recipients: 1,
        pipelined: true,
        messages: a_second * seconds,
        pace: PACE,
    };
    let content = load::content(shape.size_bytes);
    let done = AtomicBool::new(false);
    let met = AtomicUsize::new(0);
    let load = thread::scope(|scope| {
        if let Some(fault) = &fault {
            for _ in 0..FAULTY_SESSIONS {
                scope.spawn(|| pester(to, *fault, &content, &done, &met));
            }
        }
        let load = load::run(to, shape);
        done.store(true, Ordering::Relaxed);
        load
    })?;
    let ms = |quantile| load.final_reply_us.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Run {
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        met: met.into_inner(),
    })
}

/// One of the sessions that meet the fault, message after message.
fn pester(to: SocketAddr, fault: Fault, content: &[u8], done: &AtomicBool, met: &AtomicUsize) {
    let sender = format!("{}@example.test", fault.name());
    let letter = Letter {
        sender: &sender,
        recipients: 1,
        pipelined: true,
        content,
        answer: "451",
    };
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        match load::send(to, letter) {
            Ok(_) => met.fetch_add(1, Ordering::Relaxed),
            Err(error) => return eprintln!("{}: {error}", fault.title()),
        };
        thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
}

fn report(faults: &[Fault], runs: &[Vec<Run>], plan: &Plan) -> Section {
    let mut section = Section::new("Other sessions");
    section.line(&format!(
        "{SESSIONS} steady sessions, a message of 4 KiB each every {PACE:?}, asked of a healthy sink. Beside them \
         {FAULTY_SESSIONS} sessions whose messages are asked of the faulty one, at the same pace where it lets \
         them, policy `tempfail`. Time from the final dot to the reply; medians of {} interleaved runs of {} s each. \
         Allowed: {ALLOWED} times the p99 without fault.\n",
        plan.rounds, plan.seconds
    ));
    section.line("| beside a sink that | messages that met it | p50 ms | p99 ms (lowest to highest) | p99, ratio |");
    section.line("| --- | --- | --- | --- | --- |");
    let without = runs
        .first()
        .map(|list| median(list, |run| run.p99_ms))
        .unwrap_or_default();
    let titles = std::iter::once("(none)").chain(faults.iter().map(|fault| fault.title()));
    for (n, (title, list)) in titles.zip(runs).enumerate() {
        let p99 = median(list, |run| run.p99_ms);
        let least = list.iter().map(|r| r.p99_ms).fold(f64::INFINITY, f64::min);
        let most = list.iter().map(|r| r.p99_ms).fold(0.0, f64::max);
        let ratio = p99 / without;
        let ratio = match n {
            0 => String::new(),
            _ => section.judged(format!("{ratio:.2}"), ratio <= ALLOWED),
        };
        let met: usize = list.iter().map(|run| run.met).sum();
        section.line(&format!(
            "| {title} | {met} | {:.1} | {p99:.1} ({least:.1} to {most:.1}) | {ratio} |",
            median(list, |run| run.p50_ms),
        ));
    }
    section
}

fn median(list: &[Run], value: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = list.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
