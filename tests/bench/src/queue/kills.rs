//! SIGKILL while messages pass: what is lost, and what is delivered twice.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::gateway::Setup;

use super::fill::expect;
use crate::receiver::{Manner, Receiver};
use crate::report::Section;

const MESSAGES: u64 = 2_000;
const KILLS: u64 = 10;
const SESSIONS: usize = 10;
/// Of one session, so that together they send 500 a second.
const PACE: Duration = Duration::from_millis(20);
const ALLOWED: u64 = 20;

pub(super) fn measure() -> io::Result<Section> {
    let receiver = Receiver::start_with(Manner {
        each: Duration::ZERO,
        remembers: true,
    })?;
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("bench.test", &format!("smtp://{}", receiver.address()))
        .start();
    let to = gateway.smtp();
    let (next, taken, done) = (
        AtomicU64::new(0),
        Mutex::new(Vec::new()),
        AtomicBool::new(false),
    );
    thread::scope(|scope| {
        let workers: Vec<_> = (0..SESSIONS)
            .map(|_| scope.spawn(|| send(to, &next, &taken)))
            .collect();
        let killer = scope.spawn(|| {
            for kill in 1..=KILLS {
                // In the middle of each tenth, so that mail passes before and after.
                let at = MESSAGES * kill / KILLS - MESSAGES / KILLS / 2;
                while next.load(Ordering::SeqCst) < at && !done.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
                gateway.kill();
                gateway.start();
            }
        });
        for worker in workers {
            worker.join().ok();
        }
        done.store(true, Ordering::SeqCst);
        killer.join().ok();
    });
    let taken = taken.into_inner().unwrap_or_default();
    let missing = |receiver: &Receiver| {
        let came = receiver.senders();
        let lost = taken
            .iter()
            .filter(|number| !came.contains_key(&name(**number)));
        lost.count()
    };
    let until = Instant::now() + Duration::from_secs(60);
    while missing(&receiver) > 0 && Instant::now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    let lost = missing(&receiver);
    let twice: u64 = receiver
        .senders()
        .values()
        .map(|count| u64::from(count.saturating_sub(1)))
        .sum();
    let mut section = Section::new("SIGKILL");
    section.line(&format!(
        "{MESSAGES} messages at 500 a second from {SESSIONS} sessions to a destination that takes all; the gateway is killed {KILLS} \
         times meanwhile and started again. A message whose 250 did not come is not sent again, so what comes twice was delivered \
         twice. Allowed: none lost, under {ALLOWED} twice.\n"
    ));
    section.line("| acknowledged | lost | delivered twice |");
    section.line("| --- | --- | --- |");
    let lost = section.judged(format!("{lost}"), lost == 0);
    let twice = section.judged(format!("{twice}"), twice < ALLOWED);
    section.line(&format!("| {} | {lost} | {twice} |", taken.len()));
    Ok(section)
}

fn name(number: u64) -> String {
    format!("MAIL FROM:<n{number}@example.test>")
}

fn send(to: SocketAddr, next: &AtomicU64, taken: &Mutex<Vec<u64>>) {
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= MESSAGES {
            return;
        }
        let begun = Instant::now();
        // Killed before it greets: it is the same message that is tried again.
        let stream = loop {
            match greeted(to) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        };
        if one(stream, number).is_ok()
            && let Ok(mut taken) = taken.lock()
        {
            taken.push(number);
        }
        thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
}

fn greeted(to: SocketAddr) -> io::Result<(TcpStream, BufReader<TcpStream>)> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    expect(&mut replies, "220")?;
    Ok((stream, replies))
}

fn one((mut out, mut replies): (TcpStream, BufReader<TcpStream>), number: u64) -> io::Result<()> {
    let envelope = format!("EHLO load.example.test\r\n{}\r\n", name(number));
    out.write_all(envelope.as_bytes())?;
    out.write_all(b"RCPT TO:<user@bench.test>\r\nDATA\r\n")?;
    for code in ["250", "250", "250", "354"] {
        expect(&mut replies, code)?;
    }
    out.write_all(format!("Subject: {number}\r\n\r\n").as_bytes())?;
    out.write_all("a line of a message\r\n".repeat(100).as_bytes())?;
    out.write_all(b".\r\n")?;
    expect(&mut replies, "250")
}
