//! What `postern check` has found: the listing first, then notes, warnings and errors, and one line at the end that says
//! whether it is well.

use std::fmt::Display;
use std::io;

use super::super::{Exit, output};
use crate::paint::Paint;

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Note,
    Warning,
    Error,
}

/// Everything that was found so far.
#[derive(Debug)]
pub(super) struct Report {
    findings: Vec<(Weight, String)>,
    exit: Exit,
    strict: bool,
    listing: String,
    left_out: &'static str,
}

impl Report {
    /// Nothing was found. `strict`: warnings are errors.
    pub(super) fn new(strict: bool) -> Self {
        Self {
            findings: Vec::new(),
            exit: Exit::Ok,
            strict,
            listing: String::new(),
            left_out: "",
        }
    }

    /// The configuration is wrong.
    pub(super) fn wrong(&mut self, line: &dyn Display) {
        self.error(Exit::Config, line);
    }

    /// Something that has to be there cannot be reached.
    pub(super) fn unreachable(&mut self, line: &dyn Display) {
        self.error(Exit::Unavailable, line);
    }

    /// An error with an exit code of its own.
    pub(super) fn error(&mut self, exit: Exit, line: &dyn Display) {
        self.findings.push((Weight::Error, line.to_string()));
        self.raise(exit);
    }

    /// It works, but probably not as it was meant.
    pub(super) fn warning(&mut self, line: &dyn Display) {
        match self.strict {
            true => self.wrong(line),
            false => self.findings.push((Weight::Warning, line.to_string())),
        }
    }

    /// Something works only later. An error where warnings are.
    pub(super) fn away(&mut self, line: &dyn Display) {
        match self.strict {
            true => self.unreachable(line),
            false => self.warning(line),
        }
    }

    /// Worth knowing.
    pub(super) fn note(&mut self, line: &dyn Display) {
        self.findings.push((Weight::Note, line.to_string()));
    }

    /// What is shown in front of all findings.
    pub(super) fn list(&mut self, listing: String) {
        self.listing = listing;
    }

    /// What was not looked at, for the last line.
    pub(super) fn leave_out(&mut self, what: &'static str) {
        self.left_out = what;
    }

    /// The configuration itself is in order; what is not there is another matter.
    pub(super) fn is_in_order(&self) -> bool {
        matches!(self.exit, Exit::Ok | Exit::Unavailable)
    }

    /// A configuration that is wrong weighs more than a sink that is away: it does not pass by itself.
    fn raise(&mut self, exit: Exit) {
        if self.exit == Exit::Ok || exit == Exit::Config {
            self.exit = exit;
        }
    }

    /// Prints everything. The exit code is that of the worst, or of the printing.
    pub(super) fn finish(mut self) -> Exit {
        if !self.listing.is_empty() {
            self.listing.push('\n');
            let shown = output::print(&self.listing);
            self.raise(shown);
        }
        // What has to be done is last on the screen.
        self.findings.sort_by_key(|(weight, _)| *weight);
        let paint = Paint::on(&io::stderr());
        for (weight, line) in &self.findings {
            let label = match weight {
                Weight::Note => paint.cyan("note:"),
                Weight::Warning => paint.yellow("warning:"),
                Weight::Error => paint.red("error:"),
            };
            output::complain(&format!("{label} {line}"));
        }
        let shown = output::print(&format!("{}\n", self.verdict(Paint::on(&io::stdout()))));
        self.raise(shown);
        self.exit
    }

    fn verdict(&self, paint: Paint) -> String {
        let count = |wanted: Weight| {
            let found = self.findings.iter().filter(|(weight, _)| *weight == wanted);
            found.count()
        };
        let (errors, warnings) = (count(Weight::Error), count(Weight::Warning));
        let word = match (errors, warnings) {
            (0, 0) => paint.green("well"),
            (0, _) => paint.yellow("well"),
            _ => paint.red("not well"),
        };
        let counts = format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        );
        format!("{word}: {counts}{}", self.left_out)
    }
}

/// `no errors`, `1 error`, `2 errors`
fn counted(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_the_worst_decides() {
        let mut report = Report::new(false);
        assert_eq!(
            report.verdict(Paint::none()),
            "well: no errors, no warnings"
        );
        report.note(&"n");
        report.warning(&"w");
        report.away(&"hop");
        assert_eq!(report.verdict(Paint::none()), "well: no errors, 2 warnings");
        assert_eq!(report.exit, Exit::Ok);
        report.unreachable(&"sink");
        assert!(report.is_in_order());
        report.wrong(&"key");
        report.unreachable(&"sink");
        report.leave_out("; no sink was asked");
        assert_eq!(
            report.verdict(Paint::none()),
            "not well: 3 errors, 2 warnings; no sink was asked"
        );
        assert_eq!(report.exit, Exit::Config);
        assert!(!report.is_in_order());
    }

    #[test]
    fn warnings_are_errors_for_who_asks_for_it() {
        let mut report = Report::new(true);
        report.away(&"hop");
        assert_eq!(report.exit, Exit::Unavailable);
        report.warning(&"w");
        assert_eq!(report.exit, Exit::Config);
        assert_eq!(
            report.verdict(Paint::none()),
            "not well: 2 errors, no warnings"
        );
    }
}
