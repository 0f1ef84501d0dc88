//! A next hop that keeps what it is given, and answers as the test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::tls;

/// A message as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The line after `MAIL FROM:`.
    pub sender: String,
    /// The lines after `RCPT TO:`.
    pub recipients: Vec<String>,
    /// The content, dots unstuffed, byte for byte.
    pub content: Vec<u8>,
    /// Which of the connections brought it, counted from 0.
    pub connection: u64,
    /// The name after EHLO, LHLO or HELO.
    pub hello: String,
    /// The address that the connection came from.
    pub client: Option<IpAddr>,
    /// It came over TLS.
    pub encrypted: bool,
}

impl Received {
    /// The content as text, for looking at headers.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// The content without what the gateway has put in front: everything from the line that starts
    /// with `first` on.
    pub fn from_line(&self, first: &str) -> Option<&[u8]> {
        let needle = first.as_bytes();
        let mut at = 0;
        for line in self.content.split_inclusive(|b| *b == b'\n') {
            if line.starts_with(needle) {
                return self.content.get(at..);
            }
            at += line.len();
        }
        None
    }
}

/// What the next hop answers; everything is welcome by default.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What is said when a client connects; the connection ends behind any but 220.
    pub greeting: &'static str,
    /// The reply to EHLO, LHLO and HELO where it is not welcome.
    pub hello: Option<&'static str>,
    /// The reply to MAIL.
    pub sender: &'static str,
    /// The reply to RCPT once so many are accepted.
    pub most_recipients: Option<(usize, &'static str)>,
    /// The reply to BDAT where it is not taken; its octets are read.
    pub chunk: Option<&'static str>,
    /// EHLO keywords after the greeting line.
    pub keywords: Vec<&'static str>,
    /// Replies to RCPT, by a part of the address; else 250.
    pub recipients: Vec<(&'static str, &'static str)>,
    /// The reply to the final dot.
    pub final_reply: &'static str,
    /// LMTP instead of SMTP: LHLO, and one final reply per recipient.
    pub lmtp: bool,
    /// The reply to STARTTLS; after a 220 there comes no handshake, and the connection ends, unless there is a certificate.
    pub starttls: &'static str,
    /// Certificate and key: STARTTLS is offered and works.
    pub certificate: Option<Certificate>,
    /// What has to follow AUTH, the mechanism included; without it there is a 535. MAIL needs it.
    pub login: Option<&'static str>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            greeting: "220 next.hop.test",
            hello: None,
            sender: "250 2.1.0 fine",
            most_recipients: None,
            chunk: None,
            keywords: vec!["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600"],
            recipients: Vec::new(),
            final_reply: "250 2.0.0 taken",
            lmtp: false,
            starttls: "502 5.5.1 not here",
            certificate: None,
            login: None,
        }
    }
}

/// A listening next hop; lives as long as the test.
#[derive(Clone, Debug)]
pub struct NextHop {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    manners: Manners,
    received: Vec<Received>,
    connections: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NextHop {
    /// Listens on a free port, welcoming everything.
    pub fn start() -> Self {
        Self::with(Manners::default())
    }

    /// Listens on a free port.
    pub fn with(manners: Manners) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), manners)
    }

    /// Listens at an address of the loopback network.
    pub fn at(address: SocketAddr, manners: Manners) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|e| panic!("no next hop at {address}: {e}"));
        let address = listener.local_addr().unwrap_or_else(|e| panic!("{e}"));
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                manners,
                received: Vec::new(),
                connections: 0,
            }),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                thread::spawn(move || {
                    // A gateway that is killed breaks off in the middle: nothing to report.
                    session(stream, &shared).ok();
                });
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the manners for what is still to come.
    pub fn behave(&self, manners: Manners) {
        self.shared.state().manners = manners;
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// How many messages were received so far.
    pub fn count(&self) -> usize {
        self.shared.state().received.len()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// Waits until `count` messages are here.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Received> {
        let until = Instant::now() + limit;
        let mut state = self.shared.state();
        while state.received.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{} of {count} messages came",
                state.received.len()
            );
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.received.clone()
    }
}

/// What a session goes over.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

fn session(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let connection = {
        let mut state = shared.state();
        state.connections += 1;
        state.connections - 1
    };
    stream.set_nodelay(true)?;
    let client = stream.peer_addr().ok().map(|address| address.ip());
    let mut input: BufReader<Box<dyn Wire>> = BufReader::new(Box::new(stream.try_clone()?));
    let greeting = shared.state().manners.greeting;
    input
        .get_mut()
        .write_all(format!("{greeting}\r\n").as_bytes())?;
    if !greeting.starts_with("220") {
        return Ok(());
    }
    let mut message = Received {
        sender: String::new(),
        recipients: Vec::new(),
        content: Vec::new(),
        connection,
        hello: String::new(),
        client,
        encrypted: false,
    };
    let mut authenticated = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(70_000).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let manners = shared.state().manners.clone();
        let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
        if matches!(verb.as_str(), "EHLO" | "LHLO" | "HELO") {
            message.hello = text.get(5..).unwrap_or_default().to_owned();
        }
        match verb.as_str() {
            "EHLO" | "LHLO" | "HELO" if manners.hello.is_some() => {
                let refusal = manners.hello.unwrap_or_default();
                input
                    .get_mut()
                    .write_all(format!("{refusal}\r\n").as_bytes())?;
            }
            "EHLO" | "LHLO" if manners.lmtp == (verb == "LHLO") => {
                let mut reply = String::from("250-next.hop.test\r\n");
                for keyword in &manners.keywords {
                    reply.push_str(&format!("250-{keyword}\r\n"));
                }
                if manners.certificate.is_some() && !message.encrypted {
                    reply.push_str("250-STARTTLS\r\n");
                }
                if manners.login.is_some() {
                    reply.push_str("250-AUTH PLAIN LOGIN\r\n");
                }
                reply.push_str("250 ENHANCEDSTATUSCODES\r\n");
                input.get_mut().write_all(reply.as_bytes())?;
            }
            "EHLO" | "LHLO" => input.get_mut().write_all(b"500 5.5.1 not here\r\n")?,
            "AUTH" => {
                authenticated = text.get(5..) == manners.login;
                let reply = match authenticated {
                    true => "235 2.7.0 welcome\r\n",
                    false => "535 5.7.8 who are you\r\n",
                };
                input.get_mut().write_all(reply.as_bytes())?;
            }
            "MAIL" if manners.login.is_some() && !authenticated => {
                input.get_mut().write_all(b"530 5.7.0 who are you\r\n")?;
            }
            "MAIL" => {
                message.sender = text.get(10..).unwrap_or_default().to_owned();
                message.recipients.clear();
                message.content.clear();
                input
                    .get_mut()
                    .write_all(format!("{}\r\n", manners.sender).as_bytes())?;
            }
            "RCPT" => {
                let reply = manners
                    .recipients
                    .iter()
                    .find(|(part, _)| text.contains(part))
                    .map(|(_, r)| *r);
                let over = manners
                    .most_recipients
                    .filter(|(most, _)| message.recipients.len() >= *most)
                    .map(|(_, reply)| reply);
                let reply = reply.or(over).unwrap_or("250 2.1.5 fine");
                if reply.starts_with('2') {
                    message
                        .recipients
                        .push(text.get(8..).unwrap_or_default().to_owned());
                }
                input
                    .get_mut()
                    .write_all(format!("{reply}\r\n").as_bytes())?;
            }
            "DATA" if message.recipients.is_empty() => {
                input.get_mut().write_all(b"554 5.5.1 no recipients\r\n")?
            }
            "DATA" => {
                input.get_mut().write_all(b"354 go on\r\n")?;
                message.content = content(&mut input)?;
                finish(input.get_mut(), &manners, &message, shared)?;
            }
            "BDAT" => {
                let words: Vec<&str> = text.split(' ').collect();
                let size = words.get(1).and_then(|size| size.parse().ok());
                let mut chunk = input.by_ref().take(size.unwrap_or(0));
                let mut octets = Vec::new();
                chunk.read_to_end(&mut octets)?;
                message.content.extend_from_slice(&octets);
                match manners.chunk {
                    Some(refusal) => input
                        .get_mut()
                        .write_all(format!("{refusal}\r\n").as_bytes())?,
                    None if words.len() < 3 => input.get_mut().write_all(b"250 2.0.0 go on\r\n")?,
                    None => finish(input.get_mut(), &manners, &message, shared)?,
                }
            }
            "STAR" if manners.certificate.is_some() => {
                input.get_mut().write_all(b"220 2.0.0 go on\r\n")?;
                let files = manners.certificate.as_ref();
                let files = files.ok_or(io::ErrorKind::InvalidInput)?;
                let tls = tls::serve_from(stream.try_clone()?, files)?;
                input = BufReader::new(Box::new(tls));
                message.encrypted = true;
            }
            "STAR" => {
                input
                    .get_mut()
                    .write_all(format!("{}\r\n", manners.starttls).as_bytes())?;
                if manners.starttls.starts_with("220") {
                    return Ok(());
                }
            }
            "QUIT" => return input.get_mut().write_all(b"221 2.0.0 bye\r\n"),
            _ => input.get_mut().write_all(b"250 2.0.0 fine\r\n")?,
        }
    }
}

fn finish(
    output: &mut dyn Write,
    manners: &Manners,
    message: &Received,
    shared: &Shared,
) -> io::Result<()> {
    if manners.final_reply.starts_with('2') {
        shared.state().received.push(message.clone());
        shared.changed.notify_all();
    }
    let replies = if manners.lmtp {
        message.recipients.len()
    } else {
        1
    };
    for _ in 0..replies {
        output.write_all(format!("{}\r\n", manners.final_reply).as_bytes())?;
    }
    Ok(())
}

fn content(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let start = content.len();
        if input.read_until(b'\n', &mut content)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = content.get(start..).unwrap_or_default();
        if line == b".\r\n" {
            content.truncate(start);
            return Ok(content);
        }
        if line.first() == Some(&b'.') {
            content.remove(start);
        }
    }
}
