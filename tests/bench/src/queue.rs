//! The way of a message under load: bursts, destinations that hang or are dead or slow, a queue of a million, SIGKILL, memory.
//!
//! Each ratio is of two measurements of one run. What misses its target is marked and counted.

mod burst;
mod company;
mod fill;
mod kills;
mod memory;
mod slow;
mod standing;

use std::io;

use postern_e2e::programs;

use crate::report;

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// A burst from 200 sessions: whether it is delivered as fast as it is accepted.
    Burst,
    /// Live mail beside ten destinations that hang and a long queue for a dead one.
    Company,
    /// A destination that is slower than the intake.
    Slow,
    /// Ten SIGKILLs while messages pass.
    Kills,
    /// Memory of many recipients, of many sessions and of large uploads.
    Memory,
    /// A standing queue: its memory, live mail beside it, and a restart with it.
    Standing,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The parts.
    pub parts: Vec<Part>,
    /// How often what is compared is run, in turn.
    pub rounds: usize,
    /// Messages for the dead destination beside which live mail is measured.
    pub dead: u64,
    /// Messages of the standing queue.
    pub queued: u64,
}

/// Measures and gives the report in Markdown.
///
/// # Errors
/// A socket error, or a reply where none of its kind was due.
///
/// # Panics
/// When the programs do not build or do not start.
pub fn measure(plan: &Plan) -> io::Result<String> {
    programs::prepare(&["postern", "postern-e2e", "postern-bench"]);
    report::measure(&plan.parts, |part| match part {
        Part::Burst => burst::measure(plan.rounds),
        Part::Company => company::measure(plan),
        Part::Slow => slow::measure(),
        Part::Kills => kills::measure(),
        Part::Memory => memory::measure(),
        Part::Standing => standing::measure(plan.queued),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
