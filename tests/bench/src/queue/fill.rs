//! Fills a queue: many small messages over few connections.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Messages over one connection: fewer than a session may send.
const EACH: u64 = 500;
const SESSIONS: usize = 32;

/// Sends `messages` of 1 KiB to one recipient at `domain`, each from a sender of its own among 1,000.
///
/// # Errors
/// A socket error, or a message that is not accepted.
pub(super) fn fill(to: SocketAddr, domain: &str, messages: u64) -> io::Result<()> {
    let left = AtomicU64::new(messages);
    let parts: Vec<io::Result<()>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..SESSIONS)
            .map(|_| scope.spawn(|| worker(to, domain, &left)))
            .collect();
        let ends = workers.into_iter().map(|worker| {
            let end = worker.join();
            end.unwrap_or_else(|_| Err(io::Error::other("a filling thread panicked")))
        });
        ends.collect()
    });
    parts.into_iter().collect()
}

fn worker(to: SocketAddr, domain: &str, left: &AtomicU64) -> io::Result<()> {
    let take = |n: u64| n.checked_sub(EACH.min(n)).filter(|_| n > 0);
    while let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
        session(to, domain, before, EACH.min(before))?;
    }
    Ok(())
}

fn session(to: SocketAddr, domain: &str, first: u64, messages: u64) -> io::Result<()> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    expect(&mut replies, "220")?;
    out.write_all(b"EHLO load.example.test\r\n")?;
    expect(&mut replies, "250")?;
    let body = "a line of a message that waits\r\n".repeat(30);
    for number in 0..messages {
        let sender = (first + number) % 1000;
        let envelope =
            format!("MAIL FROM:<s{sender}@example.test>\r\nRCPT TO:<user@{domain}>\r\nDATA\r\n");
        out.write_all(envelope.as_bytes())?;
        for code in ["250", "250", "354"] {
            expect(&mut replies, code)?;
        }
        out.write_all(format!("Subject: it waits\r\n\r\n{body}.\r\n").as_bytes())?;
        expect(&mut replies, "250")?;
    }
    out.write_all(b"QUIT\r\n")?;
    expect(&mut replies, "221")
}

/// Reads a reply and sees that it begins with `code`.
///
/// # Errors
/// It does not, or the socket's.
pub(super) fn expect(replies: &mut impl BufRead, code: &str) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if replies.by_ref().take(4096).read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("closed where {code} was due")));
        }
        if !line.starts_with(code) {
            let came = line.trim_end();
            return Err(io::Error::other(format!("{code} was due, came: {came}")));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
