//! The table: medians of the rounds, and the ratio that matters.

use std::fmt::Write;

use postern_bench::load::Shape;

/// One run of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) accepted_per_s: f64,
    pub(crate) delivered_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) filter_cpu_ms: f64,
    pub(crate) peak_mib: f64,
}

impl Cell {
    /// CPU of gateway and filters, ms a message.
    fn cpu_in_all(&self) -> f64 {
        self.cpu_ms + self.filter_cpu_ms
    }
}

/// One shape of load with one number of filters: the rounds of both programs.
#[derive(Debug)]
pub(crate) struct Row {
    shape: Shape,
    filters: usize,
    pub(crate) postfix: Vec<Cell>,
    pub(crate) postern: Vec<Cell>,
}

impl Row {
    pub(crate) fn new(shape: Shape, filters: usize) -> Self {
        Self {
            shape,
            filters,
            postfix: Vec::new(),
            postern: Vec::new(),
        }
    }

    /// How many times the CPU Postfix takes for a message, gateway and filters together, if both were run.
    pub(crate) fn cpu_ratio(&self) -> Option<f64> {
        let ours = median(&self.postern, Cell::cpu_in_all);
        let theirs = median(&self.postfix, Cell::cpu_in_all);
        (ours > 0.0 && theirs > 0.0).then(|| theirs / ours)
    }

    /// How many times as many messages a second were delivered, if both were run.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let ours = median(&self.postern, |c| c.delivered_per_s);
        let theirs = median(&self.postfix, |c| c.delivered_per_s);
        (theirs > 0.0).then(|| ours / theirs)
    }

    /// A line for the terminal while the run goes on.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {} filters: CPU ms a message {:.2} and {:.2}, delivered {:.0}/s and {:.0}/s (Postfix, Postern)",
            self.shape.title(),
            self.filters,
            median(&self.postfix, Cell::cpu_in_all),
            median(&self.postern, Cell::cpu_in_all),
            median(&self.postfix, |c| c.delivered_per_s),
            median(&self.postern, |c| c.delivered_per_s),
        )
    }
}

/// The Markdown table of all rows.
pub(crate) fn render(rows: &[Row], rounds: usize) -> String {
    let mut out = format!(
        "Medians of {rounds} rounds. CPU is that of gateway and filters together, then the gateway's own and the filters'; \
         memory is the gateway's own.\n\n\
         | load | filters | program | CPU ms/message | CPU, ratio | gateway's | filters' | accepted/s | delivered/s | delivered, ratio | final reply p50 / p99 ms | peak MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        for (name, cells) in [("Postfix", &row.postfix), ("Postern", &row.postern)] {
            if cells.is_empty() {
                continue;
            }
            let shown = |ratio: Option<f64>| match (name, ratio) {
                ("Postern", Some(ratio)) => format!("**{ratio:.1}**"),
                _ => String::new(),
            };
            // Writing to a String cannot fail.
            writeln!(
                out,
                "| {} | {} | {name} | {:.2} | {} | {:.2} | {:.2} | {:.0} | {:.0} | {} | {:.1} / {:.1} | {:.0} |",
                row.shape.title(),
                row.filters,
                median(cells, Cell::cpu_in_all),
                shown(row.cpu_ratio()),
                median(cells, |c| c.cpu_ms),
                median(cells, |c| c.filter_cpu_ms),
                median(cells, |c| c.accepted_per_s),
                median(cells, |c| c.delivered_per_s),
                shown(row.ratio()),
                median(cells, |c| c.p50_ms),
                median(cells, |c| c.p99_ms),
                median(cells, |c| c.peak_mib),
            )
            .ok();
        }
    }
    out
}

fn median(cells: &[Cell], value: impl FnMut(&Cell) -> f64) -> f64 {
    let mut values: Vec<f64> = cells.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
