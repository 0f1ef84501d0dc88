//! What the gateway does when sinks misbehave, in numbers. One command:
//! `cargo run --release -p postern-bench --bin postern-bench-faults`.

use std::io;
use std::path::PathBuf;

use clap::Parser;
use postern_bench::faults::{self, Part, Plan};

/// Measures the gateway with bad sinks, slow sinks and large uploads.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which parts to measure.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "policies,others,order,memory,early"
    )]
    only: Vec<Part>,
    /// How often each failure policy is put to the test with each fault.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// How often the run with a fault and the run without stand side by side.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long one run of the steady sessions takes, in seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Where the tables go, besides the terminal.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let text = faults::measure(&Plan {
        parts: arguments.only,
        repeats: arguments.repeats,
        rounds: arguments.rounds,
        seconds: arguments.seconds,
    })?;
    println!("\n{text}");
    match arguments.output {
        Some(path) => std::fs::write(path, text),
        None => Ok(()),
    }
}
