//! An SMTP client that sends exactly what a test says and shows exactly what comes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection to the gateway. Every method panics with the dialogue's state when the peer does
/// something else than the test expects.
#[derive(Debug)]
pub struct Client {
    input: BufReader<TcpStream>,
    output: TcpStream,
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
        let output = TcpStream::connect(to).unwrap_or_else(|e| panic!("connect to {to}: {e}"));
        output
            .set_read_timeout(Some(Duration::from_secs(60)))
            .and_then(|()| output.set_nodelay(true))
            .unwrap_or_else(|e| panic!("socket options: {e}"));
        let input = BufReader::new(output.try_clone().unwrap_or_else(|e| panic!("clone: {e}")));
        Self { input, output }
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
        self.output
            .write_all(bytes.as_ref())
            .unwrap_or_else(|e| panic!("send: {e}"));
    }

    /// Sends bytes; says whether the peer still took them.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.output.write_all(bytes).is_ok()
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
                .input
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

    /// Fails unless the peer closes now.
    pub fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        match self.input.read_to_end(&mut rest) {
            Ok(_) => assert!(
                rest.is_empty(),
                "more came: {}",
                String::from_utf8_lossy(&rest)
            ),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
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
