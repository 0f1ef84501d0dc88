//! A burst from 200 sessions: how fast it is delivered, beside how fast it is accepted.

use std::io;
use std::time::{Duration, Instant};

use postern_e2e::gateway::Setup;

use super::median;
use crate::load::{self, Shape};
use crate::receiver::Receiver;
use crate::report::Section;

const BURST: Shape = Shape {
    size_bytes: 4 << 10,
    sessions: 200,
    recipients: 1,
    pipelined: true,
    messages: 10_000,
    pace: Duration::ZERO,
};
const ALLOWED: f64 = 0.9;

pub(super) fn measure(rounds: usize) -> io::Result<Section> {
    let receiver = Receiver::start()?;
    let gateway = Setup::default()
        .server("[server.limits]\nconnections_per_client = 1000")
        .domain("bench.test", &format!("smtp://{}", receiver.address()))
        .start();
    let (mut accepted, mut delivered, mut behind) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        receiver.reset();
        let begun = Instant::now();
        let load = load::run(gateway.smtp(), BURST)?;
        let taken = begun.elapsed();
        let last = receiver
            .wait_for(BURST.messages, Duration::from_secs(120))
            .map_err(|seen| io::Error::other(format!("{seen} delivered")))?;
        let all = last.saturating_duration_since(begun).max(taken);
        accepted.push(load.accepted as f64 / taken.as_secs_f64());
        delivered.push(load.accepted as f64 / all.as_secs_f64());
        behind.push((all - taken).as_secs_f64());
    }
    let mut section = Section::new("A burst");
    section.line(&format!(
        "{} messages of 4 KiB from {} sessions, as fast as they go; medians of {rounds}. The last one delivered is compared with \
         the last one accepted. Allowed: {ALLOWED} of the rate.\n",
        BURST.messages, BURST.sessions
    ));
    section.line("| accepted/s | delivered/s | ratio | last delivered after the last 250, s |");
    section.line("| --- | --- | --- | --- |");
    let (accepted, delivered) = (median(accepted), median(delivered));
    let ratio = delivered / accepted;
    let ratio = section.judged(format!("{ratio:.2}"), ratio >= ALLOWED);
    section.line(&format!(
        "| {accepted:.0} | {delivered:.0} | {ratio} | {:.2} |",
        median(behind)
    ));
    Ok(section)
}
