//! Bad sinks, slow sinks and large uploads: what clients get, how late, and at what cost to others.
//!
//! The numbers are printed as they come; what misses its target is marked and counted.

mod bad_sink;
mod early;
mod memory;
mod order;
mod others;
mod policies;

use std::io;

use postern_e2e::programs;

use crate::faults::bad_sink::BadSinks;
use crate::receiver::Receiver;
use crate::report;

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Each fault with each failure policy: the reply, and when it came.
    Policies,
    /// What sessions with a healthy sink notice of a faulty one.
    Others,
    /// Five slow sinks, at once and in turn.
    Order,
    /// Memory of twenty large uploads at once.
    Memory,
    /// Large uploads that are refused while they arrive.
    Early,
}

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The parts.
    pub parts: Vec<Part>,
    /// Questions for each fault and policy.
    pub repeats: usize,
    /// Rounds of the steady sessions.
    pub rounds: usize,
    /// Seconds of one run of the steady sessions.
    pub seconds: u64,
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
    let receiver = Receiver::start()?;
    let sinks = BadSinks::prepare()?;
    report::measure(&plan.parts, |part| match part {
        Part::Policies => Ok(policies::measure(&sinks, plan.repeats)),
        Part::Others => others::measure(&sinks, &receiver, plan),
        Part::Order => Ok(order::measure()),
        Part::Memory => memory::measure(&receiver),
        Part::Early => early::measure(),
    })
}
