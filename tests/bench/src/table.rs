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

    /// How many times as many messages a second were delivered, if both were run.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let ours = median(&self.postern, |c| c.delivered_per_s);
        let theirs = median(&self.postfix, |c| c.delivered_per_s);
        (theirs > 0.0).then(|| ours / theirs)
    }

    /// A line for the terminal while the run goes on.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {} filters: Postfix {:.0}/s, Postern {:.0}/s delivered",
            self.shape.title(),
            self.filters,
            median(&self.postfix, |c| c.delivered_per_s),
            median(&self.postern, |c| c.delivered_per_s),
        )
    }
}

/// The Markdown table of all rows.
pub(crate) fn render(rows: &[Row], rounds: usize) -> String {
    let mut out = format!(
        "Medians of {rounds} rounds. CPU and memory are the gateway's own; the filters' CPU stands beside.\n\n\
         | load | filters | program | accepted/s | delivered/s | final reply p50 / p99 ms | CPU ms/message | filters' CPU ms | peak MiB | delivered, ratio |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        for (name, cells) in [("Postfix", &row.postfix), ("Postern", &row.postern)] {
            if cells.is_empty() {
                continue;
            }
            let ratio = match (name, row.ratio()) {
                ("Postern", Some(ratio)) => format!("**{ratio:.1}**"),
                _ => String::new(),
            };
            // Writing to a String cannot fail.
            writeln!(
                out,
                "| {} | {} | {name} | {:.0} | {:.0} | {:.1} / {:.1} | {:.2} | {:.2} | {:.0} | {ratio} |",
                row.shape.title(),
                row.filters,
                median(cells, |c| c.accepted_per_s),
                median(cells, |c| c.delivered_per_s),
                median(cells, |c| c.p50_ms),
                median(cells, |c| c.p99_ms),
                median(cells, |c| c.cpu_ms),
                median(cells, |c| c.filter_cpu_ms),
                median(cells, |c| c.peak_mib),
            )
            .ok();
        }
    }
    out
}

fn median(cells: &[Cell], value: impl Fn(&Cell) -> f64) -> f64 {
    let mut values: Vec<f64> = cells.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
