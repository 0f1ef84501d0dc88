//! The load: N sessions at a time, each message over a connection of its own, as Postfix's
//! `smtp-source` does by default. What is timed is the reply to the final dot.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What one cell of the table sends.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Octets of content, headers included.
    pub size_bytes: usize,
    /// Sessions open at the same time.
    pub sessions: usize,
    /// Recipients of each message.
    pub recipients: usize,
    /// The client sends all RCPTs together (RFC 2920), as Postfix does; else it waits for each reply.
    pub pipelined: bool,
    /// How many messages altogether.
    pub messages: u64,
    /// From the start of a session's message to that of its next; zero: as fast as it goes.
    pub pace: Duration,
}

impl Shape {
    /// `4 KiB × 20`, as the table heads its rows.
    pub fn title(&self) -> String {
        let size = if self.size_bytes >= 1 << 20 {
            format!("{} MiB", self.size_bytes >> 20)
        } else {
            format!("{} KiB", self.size_bytes >> 10)
        };
        if self.recipients > 1 {
            let how = if self.pipelined {
                "pipelined"
            } else {
                "one by one"
            };
            let sessions = self.sessions;
            format!("{size} × {sessions}, {} recipients {how}", self.recipients)
        } else {
            format!("{size} × {}", self.sessions)
        }
    }
}

/// What came of a run of the load.
#[derive(Debug)]
pub struct LoadReport {
    /// From the first connection to the last final reply.
    pub elapsed: Duration,
    /// Microseconds between the final dot and its reply.
    pub final_reply_us: Histogram<u64>,
    /// Messages that were answered with 250.
    pub accepted: u64,
}

/// Sends `shape.messages` messages to `to`.
///
/// # Errors
/// The first socket error, or a reply that is not the one expected, with the reply.
pub fn run(to: SocketAddr, shape: Shape) -> io::Result<LoadReport> {
    let content = content(shape.size_bytes);
    let left = AtomicU64::new(shape.messages);
    let started = Instant::now();
    let parts: Vec<io::Result<Histogram<u64>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..shape.sessions)
            .map(|_| scope.spawn(|| worker(to, shape, &content, &left)))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a load thread panicked")))
            })
            .collect()
    });
    let elapsed = started.elapsed();
    let mut all = new_histogram()?;
    for part in parts {
        all.add(part?).map_err(io::Error::other)?;
    }
    Ok(LoadReport {
        elapsed,
        accepted: all.len(),
        final_reply_us: all,
    })
}

fn new_histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).map_err(io::Error::other)
}

fn worker(
    to: SocketAddr,
    shape: Shape,
    content: &[u8],
    left: &AtomicU64,
) -> io::Result<Histogram<u64>> {
    let mut times = new_histogram()?;
    let letter = Letter {
        sender: "sender@example.test",
        recipients: shape.recipients,
        pipelined: shape.pipelined,
        content,
        answer: "250",
    };
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
    {
        let begun = Instant::now();
        let waited = send(to, letter)?;
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        times.record(us.max(1)).map_err(io::Error::other)?;
        thread::sleep(shape.pace.saturating_sub(begun.elapsed()));
    }
    Ok(times)
}

/// One message and the reply that is due.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The address after MAIL FROM.
    pub sender: &'a str,
    /// How many recipients, all at `bench.test`.
    pub recipients: usize,
    /// All RCPTs in one go.
    pub pipelined: bool,
    /// What follows DATA, the final dot included.
    pub content: &'a [u8],
    /// The code of the reply to the final dot.
    pub answer: &'a str,
}

/// Sends one message over a connection of its own; the time from the final dot to its reply.
///
/// # Errors
/// A socket error, or a reply that is not the one expected.
pub fn send(to: SocketAddr, letter: Letter<'_>) -> io::Result<Duration> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    expect(&mut replies, "220")?;
    out.write_all(b"EHLO load.example.test\r\n")?;
    expect(&mut replies, "250")?;
    out.write_all(format!("MAIL FROM:<{}>\r\n", letter.sender).as_bytes())?;
    expect(&mut replies, "250")?;
    let together = if letter.pipelined {
        letter.recipients
    } else {
        1
    };
    let mut group = Vec::with_capacity(together * 40);
    for first in (0..letter.recipients).step_by(together.max(1)) {
        let members = first..letter.recipients.min(first + together);
        group.clear();
        for n in members.clone() {
            write!(group, "RCPT TO:<user{n}@bench.test>\r\n")?;
        }
        out.write_all(&group)?;
        for _ in members {
            expect(&mut replies, "250")?;
        }
    }
    out.write_all(b"DATA\r\n")?;
    expect(&mut replies, "354")?;
    out.write_all(letter.content)?;
    let asked = Instant::now();
    expect(&mut replies, letter.answer)?;
    let waited = asked.elapsed();
    out.write_all(b"QUIT\r\n")?;
    expect(&mut replies, "221")?;
    Ok(waited)
}

fn expect(replies: &mut impl BufRead, code: &str) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if replies.by_ref().take(4096).read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("closed where {code} was due")));
        }
        if !line.starts_with(code) {
            return Err(io::Error::other(format!(
                "{code} was due, came: {}",
                line.trim_end()
            )));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

/// A message of `size` octets with a final dot, text that needs no dot-stuffing.
#[must_use]
pub fn content(size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 8);
    out.extend_from_slice(
        b"From: <sender@example.test>\r\nTo: <user0@bench.test>\r\nSubject: load\r\n\
          Date: Sat, 21 Nov 2026 06:00:00 +0000\r\nMessage-ID: <load@example.test>\r\n\r\n",
    );
    let line = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n";
    while out.len() + line.len() <= size {
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}
