//! Twenty large uploads at once, each shown whole to a sink: how much memory the gateway takes.

use std::io;
use std::process::Command;
use std::time::Duration;

use postern_e2e::gateway::Setup;
use postern_e2e::programs::program;
use postern_e2e::sink::Sink;

use crate::load::{self, Shape};
use crate::receiver::Receiver;
use crate::report::Section;

const UPLOADS: Shape = Shape {
    size_bytes: 25 << 20,
    sessions: 20,
    recipients: 1,
    pipelined: true,
    messages: 20,
    pace: Duration::ZERO,
};
const ALLOWED_KIB: u64 = 150 << 10;

pub(crate) fn measure(receiver: &Receiver) -> io::Result<Section> {
    let mut command = Command::new(program("null-sink"));
    command.env("POSTERN_SINK_LOG", "warn");
    let sink = Sink::spawn(command, &["--listen"]);
    let gateway = Setup::default()
        .server("max_message_size = \"30 MiB\"")
        .domain("bench.test", &format!("smtp://{}", receiver.address()))
        .with(&sink.table("reader"))
        .with(
            "[[binding]]\nname = \"reader\"\nsink = \"reader\"\nevents = [\"inbound.message\"]\n\
             may = []\nbody = \"full\"",
        )
        .start();
    let before = gateway.peak_memory_kib();
    receiver.reset();
    let load = load::run(gateway.smtp(), UPLOADS)?;
    receiver
        .wait_for(UPLOADS.messages, Duration::from_secs(180))
        .map_err(|seen| io::Error::other(format!("{seen} delivered")))?;
    let peak = gateway.peak_memory_kib();

    let mut section = Section::new("Memory of large uploads");
    section.line(&format!(
        "{} uploads of 25 MiB at once, each pushed whole to a sink, spooled, and delivered. Resident memory of the \
         gateway, its highest value by the kernel's count. Allowed: under {} MiB.\n",
        UPLOADS.sessions,
        ALLOWED_KIB >> 10
    ));
    section.line(
        "| before MiB | highest MiB | all accepted after s | longest wait after the dot, s |",
    );
    section.line("| --- | --- | --- | --- |");
    let highest = section.judged(format!("{}", peak >> 10), peak < ALLOWED_KIB);
    section.line(&format!(
        "| {} | {highest} | {:.1} | {:.2} |",
        before >> 10,
        load.elapsed.as_secs_f64(),
        load.final_reply_us.max() as f64 / 1e6
    ));
    Ok(section)
}
