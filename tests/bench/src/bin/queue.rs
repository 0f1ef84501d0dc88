//! What the gateway's queue does under load, in numbers. One command:
//! `cargo run --release -p postern-bench --bin postern-bench-queue`.

use std::io;
use std::path::PathBuf;

use clap::Parser;
use postern_bench::queue::{self, Part, Plan};

/// Measures the gateway's queue: bursts, bad destinations, a million messages, SIGKILL, memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which parts to measure.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "burst,company,slow,kills,memory,standing"
    )]
    only: Vec<Part>,
    /// How often what is compared is run, in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages for the dead destination beside which live mail is measured.
    #[arg(long, default_value_t = 100_000)]
    dead: u64,
    /// Messages of the standing queue.
    #[arg(long, default_value_t = 1_000_000)]
    queued: u64,
    /// Where the tables go, besides the terminal.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let text = queue::measure(&Plan {
        parts: arguments.only,
        rounds: arguments.rounds.max(1),
        dead: arguments.dead,
        queued: arguments.queued,
    })?;
    println!("\n{text}");
    match arguments.output {
        Some(path) => std::fs::write(path, text),
        None => Ok(()),
    }
}
