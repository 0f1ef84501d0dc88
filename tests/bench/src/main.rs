//! Postfix with C milters beside Postern with sinks: same machine, same run, same load, both
//! synced to disk before the reply. One command: `cargo run --release -p postern-bench`.

mod accounting;
mod gateway;
mod postern;
mod postfix;
mod table;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use postern_bench::load::{self, Shape};
use postern_bench::receiver::Receiver;

use crate::gateway::Gateway;
use crate::postern::{Postern, Programs};
use crate::postfix::Postfix;
use crate::table::{Cell, Row};

/// Measures Postern beside Postfix.
#[derive(Debug, Parser)]
struct Arguments {
    /// Numbers of filters to measure with.
    #[arg(long, value_delimiter = ',', default_value = "0,1,5")]
    filters: Vec<usize>,
    /// Only shapes whose title starts with this, such as "4 KiB".
    #[arg(long)]
    only: Option<String>,
    /// How often each pair is run; the table shows the medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Divides the number of messages, for a quick look.
    #[arg(long, default_value_t = 1)]
    divide: u64,
    /// Where the table goes, besides the terminal.
    #[arg(long)]
    output: Option<PathBuf>,
    /// When the sinks are asked: at every event, as the milters are; connect to MAIL together with the first RCPT; or
    /// about the message alone, and told the rest.
    #[arg(long, default_value = "every")]
    ask: Ask,
    /// Which programs to measure.
    #[arg(long, value_delimiter = ',', default_value = "postfix,postern")]
    programs: Vec<Program>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Program {
    Postfix,
    Postern,
}

/// When the null sinks are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ask {
    Every,
    Rcpt,
    Message,
}

impl Ask {
    /// As the null sink reads it from its environment.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Rcpt => "rcpt",
            Self::Message => "message",
        }
    }
}

const SHAPES: [Shape; 5] = [
    Shape {
        size_bytes: 4 << 10,
        sessions: 20,
        recipients: 1,
        pipelined: true,
        messages: 4000,
        pace: Duration::ZERO,
    },
    Shape {
        size_bytes: 64 << 10,
        sessions: 20,
        recipients: 1,
        pipelined: true,
        messages: 1500,
        pace: Duration::ZERO,
    },
    Shape {
        size_bytes: 1 << 20,
        sessions: 8,
        recipients: 1,
        pipelined: true,
        messages: 200,
        pace: Duration::ZERO,
    },
    Shape {
        size_bytes: 4 << 10,
        sessions: 10,
        recipients: 50,
        pipelined: true,
        messages: 400,
        pace: Duration::ZERO,
    },
    Shape {
        size_bytes: 4 << 10,
        sessions: 10,
        recipients: 50,
        pipelined: false,
        messages: 400,
        pace: Duration::ZERO,
    },
];

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let tools = tempfile::tempdir()?;
    let postern = measured(&arguments, Program::Postern, Programs::build)?;
    let milter = measured(&arguments, Program::Postfix, || {
        postfix::build_milter(tools.path())
    })?;
    let receiver = Receiver::start()?;
    let mut rows = Vec::new();
    for mut shape in SHAPES {
        if arguments
            .only
            .as_ref()
            .is_some_and(|only| !shape.title().starts_with(only.as_str()))
        {
            continue;
        }
        shape.messages = (shape.messages / arguments.divide).max(1);
        for &filters in &arguments.filters {
            let mut row = Row::new(shape, filters);
            // Round by round, one beside the other, so that both see the same machine.
            for _ in 0..arguments.rounds {
                if let Some(milter) = &milter {
                    // Postfix needs longer for the same: fewer messages, the same measure.
                    let share = Shape {
                        messages: (shape.messages / (1 + filters as u64)).max(1),
                        ..shape
                    };
                    let peer = Postfix::start(milter, filters, receiver.address())?;
                    row.postfix.push(measure(&peer, share, &receiver)?);
                }
                if let Some(programs) = &postern {
                    let ours =
                        Postern::start(programs, filters, arguments.ask, receiver.address())?;
                    row.postern.push(measure(&ours, shape, &receiver)?);
                }
            }
            println!("{}", row.line());
            rows.push(row);
        }
    }
    let table = table::render(&rows, arguments.rounds);
    println!("\n{table}");
    match arguments.output {
        Some(path) => std::fs::write(path, table),
        None => Ok(()),
    }
}

fn measured<T>(
    arguments: &Arguments,
    program: Program,
    prepare: impl FnOnce() -> io::Result<T>,
) -> io::Result<Option<T>> {
    arguments
        .programs
        .contains(&program)
        .then(prepare)
        .transpose()
}

fn measure(gateway: &dyn Gateway, shape: Shape, receiver: &Receiver) -> io::Result<Cell> {
    let warm_up = Shape {
        messages: 40,
        ..shape
    };
    deliver(gateway, warm_up, receiver)?;

    let own = gateway.processes();
    let filters = gateway.filters().processes();
    let peak = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let cpu_before = (accounting::cpu(&own), accounting::cpu(&filters));
    let (load, elapsed) = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(accounting::memory_kib(&own), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(250));
            }
        });
        let result = deliver(gateway, shape, receiver);
        done.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(Cell {
        accepted_per_s: shape.messages as f64 / load.elapsed.as_secs_f64(),
        delivered_per_s: shape.messages as f64 / elapsed.as_secs_f64(),
        p50_ms: load.final_reply_us.value_at_quantile(0.5) as f64 / 1000.0,
        p99_ms: load.final_reply_us.value_at_quantile(0.99) as f64 / 1000.0,
        cpu_ms: per_message(accounting::cpu(&own) - cpu_before.0, shape.messages),
        filter_cpu_ms: per_message(accounting::cpu(&filters) - cpu_before.1, shape.messages),
        peak_mib: peak.load(Ordering::Relaxed) as f64 / 1024.0,
    })
}

fn deliver(
    gateway: &dyn Gateway,
    shape: Shape,
    receiver: &Receiver,
) -> io::Result<(load::LoadReport, Duration)> {
    receiver.reset();
    let started = std::time::Instant::now();
    let load = load::run(gateway.address(), shape)?;
    if load.accepted != shape.messages {
        return Err(io::Error::other(format!(
            "{} of {} accepted",
            load.accepted, shape.messages
        )));
    }
    let due = shape.messages * shape.recipients as u64;
    let ended = receiver
        .wait_for(due, Duration::from_secs(180))
        .map_err(|seen| io::Error::other(format!("{seen} of {due} recipients delivered")))?;
    Ok((load, ended - started))
}

fn per_message(time: Duration, messages: u64) -> f64 {
    time.as_secs_f64() * 1000.0 / messages as f64
}
