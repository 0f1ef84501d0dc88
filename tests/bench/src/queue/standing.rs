//! A queue that stands: its memory, live mail beside it, and a restart with it.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::gateway::{Setup, free_address};

use super::fill::fill;
use crate::load::{self, Shape};
use crate::receiver::Receiver;
use crate::report::Section;

/// The number at which a restart is looked at first.
const SOME: u64 = 100_000;
const ALLOWED_KIB: u64 = 150 << 10;
const ALLOWED_OPEN: Duration = Duration::from_secs(2);
const ALLOWED_P99_MS: f64 = 5.0;
const LIVE: Shape = Shape {
    size_bytes: 4 << 10,
    sessions: 4,
    recipients: 1,
    pipelined: true,
    messages: 2_000,
    pace: Duration::from_millis(40),
};

pub(super) fn measure(queued: u64) -> io::Result<Section> {
    let receiver = Receiver::start()?;
    let live = format!("smtp://{}", receiver.address());
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"4h\"]")
        .domain("bench.test", &live)
        .domain("dead.test", &format!("smtp://{}", free_address()))
        .start();
    let mut section = Section::new("A standing queue");
    section.line(&format!(
        "Messages of 1 KiB that wait for a destination that refuses connections; then {} live ones of 4 KiB, {} a second, for another. \
         The restart is from SIGKILL to the greeting, beside one of the same gateway with an empty queue. Allowed: under {} MiB, p99 under \
         {ALLOWED_P99_MS} ms; with {SOME}, open in {} s.\n",
        LIVE.messages,
        LIVE.sessions * 1000 / LIVE.pace.as_millis() as usize,
        ALLOWED_KIB >> 10,
        ALLOWED_OPEN.as_secs()
    ));
    section.line("| queued | filled/s | memory MiB | after the restart MiB | live final reply p50 / p99 ms | restart s |");
    section.line("| --- | --- | --- | --- | --- | --- |");
    let mut stands = 0;
    for number in [0, SOME.min(queued), queued] {
        let more = number - stands;
        if more == 0 && number > 0 {
            continue;
        }
        let begun = Instant::now();
        fill(gateway.smtp(), "dead.test", more)?;
        let filled = more as f64 / begun.elapsed().as_secs_f64();
        stands = number;
        // What was deferred last is recorded, and the store's caches are at rest.
        thread::sleep(Duration::from_secs(5));
        let memory = gateway.memory_kib();
        receiver.reset();
        let load = load::run(gateway.smtp(), LIVE)?;
        receiver
            .wait_for(LIVE.messages, Duration::from_secs(60))
            .map_err(|seen| io::Error::other(format!("{seen} delivered")))?;
        let ms = |quantile| load.final_reply_us.value_at_quantile(quantile) as f64 / 1000.0;
        gateway.kill();
        let begun = Instant::now();
        gateway.start();
        let open = begun.elapsed();
        thread::sleep(Duration::from_secs(10));
        let again = gateway.memory_kib();
        let kib = |section: &mut Section, kib: u64| {
            section.judged(format!("{}", kib >> 10), kib < ALLOWED_KIB)
        };
        let (memory, again) = (kib(&mut section, memory), kib(&mut section, again));
        let p99 = section.judged(format!("{:.1}", ms(0.99)), ms(0.99) < ALLOWED_P99_MS);
        let in_time = number > SOME || open < ALLOWED_OPEN;
        let open = section.judged(format!("{:.2}", open.as_secs_f64()), in_time);
        section.line(&format!(
            "| {number} | {filled:.0} | {memory} | {again} | {:.1} / {p99} | {open} |",
            ms(0.5)
        ));
    }
    Ok(section)
}
