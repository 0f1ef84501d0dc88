//! A destination that is slower than the intake: whether it runs at its own full rate.

use std::io;
use std::time::{Duration, Instant};

use postern_e2e::gateway::Setup;

use crate::load::{self, Shape};
use crate::receiver::{Manner, Receiver};
use crate::report::Section;

const EACH: Duration = Duration::from_millis(5);
const DIRECT: Shape = Shape {
    size_bytes: 4 << 10,
    sessions: 8,
    recipients: 1,
    pipelined: true,
    messages: 1_000,
    pace: Duration::ZERO,
};
const MESSAGES: u64 = 5_000;
const ALLOWED: f64 = 0.95;

pub(super) fn measure() -> io::Result<Section> {
    let manner = Manner {
        each: EACH,
        remembers: false,
    };
    let receiver = Receiver::start_with(manner)?;
    let direct = load::run(receiver.address(), DIRECT)?;
    let own = direct.accepted as f64 / direct.elapsed.as_secs_f64();
    receiver.reset();
    let gateway = Setup::default()
        .domain("bench.test", &format!("smtp://{}", receiver.address()))
        .start();
    let shape = Shape {
        sessions: 20,
        messages: MESSAGES,
        ..DIRECT
    };
    let load = load::run(gateway.smtp(), shape)?;
    // What is delivered while mail still comes in is left out, and so is the end, where too little is left for all connections.
    let (first, began) = (receiver.delivered(), Instant::now());
    let until = MESSAGES - 100;
    let ended = receiver
        .wait_for(until, Duration::from_secs(300))
        .map_err(|seen| io::Error::other(format!("{seen} delivered")))?;
    let through = (until - first) as f64 / ended.saturating_duration_since(began).as_secs_f64();
    let accepted = load.accepted as f64 / load.elapsed.as_secs_f64();
    let mut section = Section::new("A slow destination");
    section.line(&format!(
        "A destination that takes one message after the other, {EACH:?} each, whatever the connections. First {} sessions send to it \
         directly; then {MESSAGES} messages of 4 KiB come by way of the gateway. Allowed: {ALLOWED} of its own rate.\n",
        DIRECT.sessions
    ));
    section.line("| directly/s | accepted/s | delivered/s | ratio |");
    section.line("| --- | --- | --- | --- |");
    let ratio = section.judged(format!("{:.2}", through / own), through / own >= ALLOWED);
    section.line(&format!(
        "| {own:.0} | {accepted:.0} | {through:.0} | {ratio} |"
    ));
    Ok(section)
}
