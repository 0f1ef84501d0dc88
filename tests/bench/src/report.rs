//! A report in Markdown, one section for each part of a measurement. What misses its target is marked and counted.

mod idleness;

use std::fmt::{Debug, Write};
use std::io;

/// One part's section of the report.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) text: String,
    misses: usize,
}

impl Section {
    pub(crate) fn new(title: &str) -> Self {
        let text = format!("## {title}\n\n");
        Self { text, misses: 0 }
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A cell, marked and counted if it misses its target.
    pub(crate) fn judged(&mut self, cell: String, good: bool) -> String {
        if good {
            return cell;
        }
        self.misses += 1;
        format!("{cell} **missed**")
    }
}

/// Measures each part, and says how busy the machine was with other things.
pub(crate) fn measure<P: Debug>(
    parts: &[P],
    mut part: impl FnMut(&P) -> io::Result<Section>,
) -> io::Result<String> {
    let mut out = String::new();
    let mut misses = 0;
    for one in parts {
        eprintln!("measuring: {one:?}");
        let busy = idleness::busy_with_others()?;
        let mut section = part(one)?;
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
