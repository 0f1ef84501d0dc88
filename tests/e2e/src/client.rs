//! An SMTP client that sends exactly what a test says and shows exactly what comes back.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, socket};

use crate::tls::{self, Tls};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to the gateway. Every method panics with the dialogue's state when the peer does
/// something else than the test expects.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Connection>,
}

/// What the dialogue goes over.
#[derive(Debug)]
enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Tls>),
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A reply: its code and its lines without the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of each line.
    pub lines: Vec<String>,
}

impl Reply {
    /// All lines in one, for `contains`.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl Client {
    /// Connects and reads the greeting.
    pub fn connect(to: SocketAddr) -> (Self, Reply) {
        let mut client = Self::open(to);
        let greeting = client.reply();
        (client, greeting)
    }

    /// Connects without reading anything.
    pub fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap_or_else(|e| panic!("connect to {to}: {e}"));
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_nodelay(true))
            .unwrap_or_else(|e| panic!("socket options: {e}"));
        Self::over(Connection::Tcp(stream))
    }

    /// Connects from another address of this machine, without reading anything.
    pub fn open_from(source: IpAddr, to: SocketAddr) -> Self {
        let connect = || {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            bind(&socket, &SocketAddr::new(source, 0))?;
            rustix::net::connect(&socket, &to)?;
            Ok::<_, std::io::Error>(TcpStream::from(socket))
        };
        let stream = connect().unwrap_or_else(|e| panic!("connect from {source} to {to}: {e}"));
        stream
            .set_read_timeout(Some(PATIENCE))
            .unwrap_or_else(|e| panic!("socket options: {e}"));
        Self::over(Connection::Tcp(stream))
    }

    /// Connects to a Unix socket without reading anything.
    pub fn open_unix(to: &Path) -> Self {
        let stream = UnixStream::connect(to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
        stream
            .set_read_timeout(Some(PATIENCE))
            .unwrap_or_else(|e| panic!("socket options: {e}"));
        Self::over(Connection::Unix(stream))
    }

    fn over(connection: Connection) -> Self {
        Self {
            stream: BufReader::new(connection),
        }
    }

    /// Goes on in TLS from here, asking for `host`. The certificate is not checked but kept, see
    /// [`Client::certificate`].
    ///
    /// # Panics
    /// When plain text is waiting to be read, or the handshake fails.
    pub fn into_tls(self, host: &str) -> Self {
        self.try_into_tls(host, &[])
            .unwrap_or_else(|e| panic!("handshake: {e}"))
    }

    /// The same, asking by ALPN for one of `protocols`, if there are any.
    ///
    /// # Errors
    /// When the handshake fails.
    pub fn try_into_tls(self, host: &str, protocols: &[&str]) -> std::io::Result<Self> {
        let waiting = String::from_utf8_lossy(self.stream.buffer()).into_owned();
        assert!(waiting.is_empty(), "plain text before TLS: {waiting}");
        let Connection::Tcp(stream) = self.stream.into_inner() else {
            panic!("TLS goes over TCP");
        };
        let tls = tls::handshake(stream, host, protocols)?;
        Ok(Self::over(Connection::Tls(Box::new(tls))))
    }

    /// STARTTLS, the handshake, EHLO again; and the keywords of that.
    pub fn start_tls(mut self, host: &str) -> (Self, Reply) {
        self.expect("STARTTLS", 220);
        let mut client = self.into_tls(host);
        let ehlo = client.expect("EHLO client.example.test", 250);
        (client, ehlo)
    }

    /// The server's certificate.
    ///
    /// # Panics
    /// Outside TLS.
    pub fn certificate(&self) -> Vec<u8> {
        match self.stream.get_ref() {
            Connection::Tls(stream) => tls::certificate(stream),
            _ => panic!("not in TLS"),
        }
    }

    /// Connects, greets with EHLO, and fails unless both are welcome.
    pub fn ready(to: SocketAddr) -> Self {
        let (mut client, greeting) = Self::connect(to);
        assert_eq!(greeting.code, 220, "{greeting:?}");
        let ehlo = client.command("EHLO client.example.test");
        assert_eq!(ehlo.code, 250, "{ehlo:?}");
        client
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .get_mut()
            .write_all(bytes.as_ref())
            .and_then(|()| self.stream.get_mut().flush())
            .unwrap_or_else(|e| panic!("send: {e}"));
    }

    /// Sends bytes; says whether the peer still took them.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        let stream = self.stream.get_mut();
        stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .is_ok()
    }

    /// Sends a line, reads the reply.
    pub fn command(&mut self, line: &str) -> Reply {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends a line, reads the reply; nothing if the peer has closed.
    pub fn try_command(&mut self, line: &str) -> Option<Reply> {
        self.try_send(format!("{line}\r\n").as_bytes());
        self.try_reply()
    }

    /// Sends a line and fails unless the reply has this code.
    pub fn expect(&mut self, line: &str, code: u16) -> Reply {
        let reply = self.command(line);
        assert_eq!(reply.code, code, "{line}: {reply:?}");
        reply
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> Reply {
        self.try_reply()
            .unwrap_or_else(|| panic!("closed where a reply was due"))
    }

    /// Reads one reply, or finds the connection closed.
    pub fn try_reply(&mut self) -> Option<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let n = self
                .stream
                .by_ref()
                .take(4096)
                .read_until(b'\n', &mut line)
                .ok()?;
            if n == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|c| c.parse().ok());
            let code = code.unwrap_or_else(|| panic!("not a reply: {line:?}"));
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(Reply { code, lines });
            }
        }
    }

    /// Everything that still comes until the peer closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A connection that is reset has ended too.
        self.stream.read_to_end(&mut rest).ok();
        rest
    }

    /// Fails unless the peer closes now.
    pub fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(
                rest.is_empty(),
                "more came: {}",
                String::from_utf8_lossy(&rest)
            ),
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    // In TLS an end without a farewell is an error.
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ),
                "{error}"
            ),
        }
    }

    /// One whole transaction by DATA; `content` has CRLF lines, needs no final dot, and is stuffed.
    pub fn deliver(&mut self, sender: &str, recipients: &[&str], content: &[u8]) -> Reply {
        self.expect(&format!("MAIL FROM:<{sender}>"), 250);
        for recipient in recipients {
            self.expect(&format!("RCPT TO:<{recipient}>"), 250);
        }
        self.expect("DATA", 354);
        self.send(stuffed(content));
        self.reply()
    }
}

/// `content` as DATA carries it: dots doubled, the final dot behind.
pub fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 16);
    for line in content.split_inclusive(|b| *b == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
