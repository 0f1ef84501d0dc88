//! How much memory the gateway takes for what clients bring, and what is left of it half a minute later.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use postern_e2e::gateway::{Gateway, Setup, free_address};

use super::fill::expect;
use crate::load::{self, Letter, Shape};
use crate::receiver::Receiver;
use crate::report::Section;

const ALLOWED_KIB: u64 = 150 << 10;
const ALLOWED_REST_KIB: u64 = 20 << 10;
const MUCH_LATER: Duration = Duration::from_secs(30);
const MANY: usize = 1_000;

pub(super) fn measure() -> io::Result<Section> {
    let mut section = Section::new("Memory");
    section.line(&format!(
        "Resident memory of the gateway: at its start, at its highest by the kernel's count, and {} s after everything ended. Allowed: \
         under {} MiB, and within {} MiB of the start.\n",
        MUCH_LATER.as_secs(),
        ALLOWED_KIB >> 10,
        ALLOWED_REST_KIB >> 10
    ));
    section.line("| what | start MiB | highest MiB | later MiB |");
    section.line("| --- | --- | --- | --- |");
    recipients(&mut section)?;
    sessions(&mut section)?;
    uploads(&mut section)?;
    Ok(section)
}

fn row(section: &mut Section, what: &str, gateway: &Gateway, start: u64) {
    let peak = gateway.peak_memory_kib();
    thread::sleep(MUCH_LATER);
    let later = gateway.memory_kib();
    let highest = section.judged(format!("{}", peak >> 10), peak < ALLOWED_KIB);
    let rest = section.judged(format!("{}", later >> 10), later < start + ALLOWED_REST_KIB);
    section.line(&format!(
        "| {what} | {} | {highest} | {rest} |",
        start >> 10
    ));
}

/// 400 messages of 1,000 recipients each wait for a destination that refuses connections.
fn recipients(section: &mut Section) -> io::Result<()> {
    let gateway = Setup::default()
        .with("[queue]\nretry = [\"5s\"]")
        .domain("bench.test", &format!("smtp://{}", free_address()))
        .start();
    let start = gateway.memory_kib();
    let shape = Shape {
        size_bytes: 4 << 10,
        sessions: 20,
        recipients: MANY,
        pipelined: true,
        messages: 400,
        pace: Duration::ZERO,
    };
    load::run(gateway.smtp(), shape)?;
    // They are tried again at least twice.
    thread::sleep(Duration::from_secs(15));
    row(
        section,
        "400 messages of 1,000 recipients wait",
        &gateway,
        start,
    );
    Ok(())
}

/// 2,000 sessions that have sent 32 KiB of a body each and stop there.
fn sessions(section: &mut Section) -> io::Result<()> {
    let gateway = Setup::default()
        .server("[server.limits]\nconnections_per_client = 5000")
        .domain("bench.test", &format!("smtp://{}", free_address()))
        .start();
    let start = gateway.memory_kib();
    let half = load::content(32 << 10);
    let half = half.get(..half.len() - 3).unwrap_or(&half);
    let open: io::Result<Vec<TcpStream>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| (0..100).map(|_| begin(gateway.smtp(), half)).collect()))
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            let some: io::Result<Vec<TcpStream>> = worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
            all.extend(some?);
        }
        Ok(all)
    });
    let open = open?;
    thread::sleep(Duration::from_secs(5));
    let count = open.len();
    drop(open);
    row(
        section,
        &format!("{count} sessions with 32 KiB of a body each"),
        &gateway,
        start,
    );
    Ok(())
}

fn begin(to: SocketAddr, half: &[u8]) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    expect(&mut replies, "220")?;
    out.write_all(b"EHLO load.example.test\r\nMAIL FROM:<sender@example.test>\r\nRCPT TO:<user@bench.test>\r\nDATA\r\n")?;
    for code in ["250", "250", "250", "354"] {
        expect(&mut replies, code)?;
    }
    out.write_all(half)?;
    Ok(out)
}

/// 20 uploads of 25 MiB at once.
fn uploads(section: &mut Section) -> io::Result<()> {
    let receiver = Receiver::start()?;
    let gateway = Setup::default()
        .server("max_message_size = \"30 MiB\"")
        .domain("bench.test", &format!("smtp://{}", receiver.address()))
        .start();
    let start = gateway.memory_kib();
    let content = load::content(25 << 20);
    let letter = Letter {
        sender: "sender@example.test",
        recipients: 1,
        pipelined: true,
        content: &content,
        answer: "250",
    };
    let sent: io::Result<Vec<Duration>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| load::send(gateway.smtp(), letter)))
            .collect();
        let ends = workers.into_iter().map(|worker| {
            let end = worker.join();
            end.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        });
        ends.collect()
    });
    sent?;
    receiver
        .wait_for(20, Duration::from_secs(120))
        .map_err(|seen| io::Error::other(format!("{seen} delivered")))?;
    row(section, "20 uploads of 25 MiB, delivered", &gateway, start);
    Ok(())
}
