//! The next hop of both gateways: an SMTP server that takes everything and counts it.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Counts recipients delivered; one message to fifty recipients counts fifty.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    count: Arc<Count>,
}

/// What a receiver does beside taking everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The time that each message takes, one after the other, however many connections there are.
    pub each: Duration,
    /// It remembers how often each sender's message came.
    pub remembers: bool,
}

#[derive(Debug, Default)]
struct Count {
    recipients: AtomicU64,
    manner: Manner,
    /// Held for the time of one message.
    turn: Mutex<()>,
    senders: Mutex<HashMap<String, u32>>,
    changed: Condvar,
    lock: Mutex<()>,
}

impl Count {
    fn took(&self, sender: &str, recipients: u64) {
        if !self.manner.each.is_zero() {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            thread::sleep(self.manner.each);
        }
        if self.manner.remembers {
            let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            *senders.entry(sender.to_owned()).or_default() += 1;
        }
        self.recipients.fetch_add(recipients, Ordering::SeqCst);
        self.changed.notify_all();
    }
}

impl Receiver {
    /// Listens on a free port of the loopback address; lives as long as the process.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Manner::default())
    }

    /// The same, with a manner of its own.
    ///
    /// # Errors
    /// As [`Receiver::start`].
    pub fn start_with(manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let count = Arc::new(Count {
            manner,
            ..Count::default()
        });
        let shared = Arc::clone(&count);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&shared);
                // A connection that breaks is the sender's affair: it tries again.
                thread::spawn(move || session(stream, &count).ok());
            }
        });
        Ok(Self { address, count })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets what was counted.
    pub fn reset(&self) {
        self.count.recipients.store(0, Ordering::SeqCst);
    }

    /// Recipients delivered so far.
    pub fn delivered(&self) -> u64 {
        self.count.recipients.load(Ordering::SeqCst)
    }

    /// How often the message of each sender came, where it is remembered.
    pub fn senders(&self) -> HashMap<String, u32> {
        let senders = self.count.senders.lock();
        senders.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `recipients` were delivered.
    ///
    /// # Errors
    /// How many were, if not in time.
    pub fn wait_for(&self, recipients: u64, limit: Duration) -> Result<Instant, u64> {
        let until = Instant::now() + limit;
        let mut guard = self
            .count
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let seen = self.count.recipients.load(Ordering::SeqCst);
            if seen >= recipients {
                return Ok(now);
            }
            if now >= until {
                return Err(seen);
            }
            let wait = (until - now).min(Duration::from_millis(50));
            guard = self
                .count
                .changed
                .wait_timeout(guard, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn session(stream: TcpStream, count: &Count) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
    let mut out = stream;
    out.write_all(b"220 receiver.test\r\n")?;
    let mut recipients = 0;
    let mut sender = String::new();
    let mut line = Vec::new();
    let mut pending = Vec::new();
    loop {
        // Replies to a pipelined group leave in one write, as a real server's do.
        if input.buffer().is_empty() && !pending.is_empty() {
            out.write_all(&pending)?;
            pending.clear();
        }
        line.clear();
        if input.by_ref().take(4096).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let verb: String = line
            .iter()
            .take(4)
            .map(|b| b.to_ascii_uppercase() as char)
            .collect();
        match verb.as_str() {
            "EHLO" => pending.extend_from_slice(
                b"250-receiver.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n",
            ),
            "MAIL" => {
                sender = String::from_utf8_lossy(&line).trim_end().to_owned();
                pending.extend_from_slice(b"250 2.1.0 Ok\r\n");
            }
            "RCPT" => {
                recipients += 1;
                pending.extend_from_slice(b"250 2.1.5 Ok\r\n");
            }
            "DATA" => {
                pending.extend_from_slice(b"354 Go on\r\n");
                out.write_all(&pending)?;
                pending.clear();
                content(&mut input, &mut line)?;
                count.took(&sender, recipients);
                recipients = 0;
                pending.extend_from_slice(b"250 2.0.0 Ok\r\n");
            }
            "QUIT" => {
                pending.extend_from_slice(b"221 2.0.0 Bye\r\n");
                return out.write_all(&pending);
            }
            "RSET" => {
                recipients = 0;
                pending.extend_from_slice(b"250 2.0.0 Ok\r\n");
            }
            _ => pending.extend_from_slice(b"250 2.0.0 Ok\r\n"),
        }
    }
}

fn content(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    loop {
        line.clear();
        if input.read_until(b'\n', line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(());
        }
    }
}
