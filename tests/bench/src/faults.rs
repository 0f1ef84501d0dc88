//! Bad sinks, slow sinks and large uploads: what clients get, how late, and at what cost to others.
//!
//! The numbers are printed as they come; what misses its target is marked and counted.

mod bad_sink;
mod early;
mod idleness;
mod memory;
mod order;
mod others;
mod policies;

use std::fmt::Write;
use std::io;

use postern_e2e::programs;

use crate::faults::bad_sink::BadSinks;
use crate::receiver::Receiver;

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

/// One part's section of the report.
#[derive(Debug, Default)]
struct Section {
    text: String,
    misses: usize,
}

impl Section {
    fn new(title: &str) -> Self {
        let text = format!("## {title}\n\n");
        Self { text, misses: 0 }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A cell, marked and counted if it misses its target.
    fn judged(&mut self, cell: String, good: bool) -> String {
        if good {
            return cell;
        }
        self.misses += 1;
        format!("{cell} **missed**")
    }
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
    let mut out = String::new();
    let mut misses = 0;
    for part in &plan.parts {
        eprintln!("measuring: {part:?}");
        let busy = idleness::busy_with_others()?;
        let mut section = match part {
            Part::Policies => policies::measure(&sinks, plan.repeats),
            Part::Others => others::measure(&sinks, &receiver, plan)?,
            Part::Order => order::measure(),
            Part::Memory => memory::measure(&receiver)?,
            Part::Early => early::measure()?,
        };
        section.line(&format!(
            "\nOther programs used {busy:.0} % of the processors just before."
        ));
        eprintln!("{}", section.text);
        // Writing to a String cannot fail.
        writeln!(out, "{}", section.text).ok();
        misses += section.misses;
    }
    let verdict = match misses {
        0 => "Every number meets its target.".to_owned(),
        n => format!("{n} of these numbers miss their target; they are marked."),
    };
    Ok(format!("{verdict}\n\n{}\n", out.trim_end()))
}
