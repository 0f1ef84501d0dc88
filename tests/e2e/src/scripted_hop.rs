//! A next hop that does what a script says, octet by octet, until it is told to behave.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::next_hop::NextHop;

/// How long a visit may last without a word from the gateway, and without an end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listening hop: hostile at first, and a door to a [`NextHop`] once it behaves.
pub struct ScriptedHop {
    address: SocketAddr,
    behaves: Arc<AtomicBool>,
    visits: Arc<AtomicUsize>,
    /// What came once it behaved.
    pub behind: NextHop,
}

impl fmt::Debug for ScriptedHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let visits = self.visits.load(Ordering::Relaxed);
        write!(f, "hop at {} after {visits} visits", self.address)
    }
}

/// One connection of the gateway.
#[derive(Debug)]
pub struct Visit {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl ScriptedHop {
    /// Listens on a free port. Each connection is given to the script, in a thread of its own.
    ///
    /// # Panics
    /// Without a port.
    pub fn start(
        behind: NextHop,
        script: impl Fn(&mut Visit) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap_or_else(|e| panic!("no port for a next hop: {e}"));
        let address = listener.local_addr().unwrap_or_else(|e| panic!("{e}"));
        let (behaves, visits) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (script, door) = (Arc::new(script), behind.address());
        let (well, count) = (Arc::clone(&behaves), Arc::clone(&visits));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if well.load(Ordering::SeqCst) {
                    thread::spawn(move || pass_on(stream, door).ok());
                    continue;
                }
                let (script, count) = (Arc::clone(&script), Arc::clone(&count));
                thread::spawn(move || {
                    // The gateway hangs up in the middle: that is what it is for.
                    Visit::new(stream)
                        .and_then(|mut visit| script(&mut visit))
                        .ok();
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            behaves,
            visits,
            behind,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Visits that the script has ended with.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// From the next connection on it takes whatever comes.
    pub fn behave(&self) {
        self.behaves.store(true, Ordering::SeqCst);
    }
}

/// Hands a connection to the well-behaved one.
fn pass_on(stream: TcpStream, door: SocketAddr) -> io::Result<()> {
    let inner = TcpStream::connect(door)?;
    let (mut from, mut to) = (stream.try_clone()?, inner.try_clone()?);
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
    let (mut from, mut to) = (inner, stream);
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}

impl Visit {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            input: BufReader::new(stream.try_clone()?),
            output: stream,
        })
    }

    /// Says these octets.
    ///
    /// # Errors
    /// When the gateway has hung up.
    pub fn say(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.output.write_all(octets.as_ref())
    }

    /// Hears the next line, without its end.
    ///
    /// # Errors
    /// When the gateway has hung up.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Hears lines until one starts with this.
    ///
    /// # Errors
    /// When the gateway has hung up.
    pub fn hear_until(&mut self, start: &str) -> io::Result<String> {
        loop {
            let line = self.hear()?;
            if line.starts_with(start) {
                return Ok(line);
            }
        }
    }

    /// Hears whatever comes until the gateway hangs up.
    ///
    /// # Errors
    /// When it does not.
    pub fn hear_out(&mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(())
    }

    /// Says this again and again, until the gateway hangs up.
    ///
    /// # Errors
    /// Always.
    pub fn say_for_ever(&mut self, octets: &[u8], pause: Duration) -> io::Result<()> {
        loop {
            self.say(octets)?;
            thread::sleep(pause);
        }
    }

    /// Says nothing more, and still hears.
    ///
    /// # Errors
    /// When the gateway has hung up.
    pub fn fall_silent_for_good(&mut self) -> io::Result<()> {
        self.output.shutdown(Shutdown::Write)
    }

    /// Greets, and answers EHLO with these keywords.
    ///
    /// # Errors
    /// When the gateway has hung up.
    pub fn open(&mut self, keywords: &[&str]) -> io::Result<()> {
        self.say("220 hop.test\r\n")?;
        self.hear()?;
        self.answer_hello(keywords)
    }

    /// Answers an EHLO or LHLO with these keywords.
    ///
    /// # Errors
    /// When the gateway has hung up.
    pub fn answer_hello(&mut self, keywords: &[&str]) -> io::Result<()> {
        let mut answer = "250-hop.test\r\n".to_owned();
        for keyword in keywords {
            answer.push_str(&format!("250-{keyword}\r\n"));
        }
        self.say(answer + "250 8BITMIME\r\n")
    }

    /// The connection itself, with what was heard of it and not looked at dropped.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.output
    }
}
