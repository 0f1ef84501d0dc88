//! The message that the demonstration sends, and the client that sends it.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::timeline::Timeline;

/// Who writes.
pub(crate) const SENDER: &str = "ada@example.test";
/// Who reads. The part before the `@` is the Maildir's name.
pub(crate) const RECIPIENT: &str = "grace@example.test";

/// Two alternatives, one quoted-printable and one base64, neither in ASCII, and an attachment.
pub(crate) const MESSAGE: &str = "\
From: Ada <ada@example.test>\r\n\
To: Grace <grace@example.test>\r\n\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_dem_Maschinenraum?=\r\n\
Date: Sat, 21 Nov 2026 09:00:00 +0100\r\n\
Message-ID: <quickstart@example.test>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=\"outer\"\r\n\
\r\n\
--outer\r\n\
Content-Type: multipart/alternative; boundary=\"inner\"\r\n\
\r\n\
--inner\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
Sch=C3=B6ne Gr=C3=BC=C3=9Fe =E2=80=93 die Analytische Maschine webt Muster.\r\n\
--inner\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
PGh0bWw+PGJvZHk+PHA+U2Now7ZuZSA8Yj5HcsO8w59lPC9iPjwvcD48L2JvZHk+PC9odG1sPg==\r\n\
--inner--\r\n\
--outer\r\n\
Content-Type: text/plain; charset=us-ascii; name=\"note.txt\"\r\n\
Content-Disposition: attachment; filename=\"note.txt\"\r\n\
\r\n\
An attachment stays as it is.\r\n\
--outer--\r\n";

/// How long a reply is waited for.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest reply line that is read.
const LINE_MAX: u64 = 4096;

/// Sends the message and shows the dialogue.
///
/// # Errors
/// A broken connection, or a reply that refuses.
pub(crate) fn send(to: SocketAddr, timeline: &Timeline) -> io::Result<()> {
    let mut output = TcpStream::connect(to)?;
    output.set_read_timeout(Some(REPLY_TIMEOUT))?;
    output.set_nodelay(true)?;
    let mut input = BufReader::new(output.try_clone()?);
    expect(&mut input, timeline, '2')?;
    let commands = [
        ("EHLO workshop.example.test".to_owned(), '2'),
        (format!("MAIL FROM:<{SENDER}> BODY=8BITMIME"), '2'),
        (format!("RCPT TO:<{RECIPIENT}>"), '2'),
        ("DATA".to_owned(), '3'),
    ];
    for (command, class) in commands {
        timeline.dialogue("C:", &command);
        output.write_all(format!("{command}\r\n").as_bytes())?;
        expect(&mut input, timeline, class)?;
    }
    timeline.dialogue("C:", &format!("… {} octets of message …", MESSAGE.len()));
    output.write_all(MESSAGE.as_bytes())?;
    timeline.dialogue("C:", ".");
    output.write_all(b".\r\n")?;
    expect(&mut input, timeline, '2')?;
    timeline.dialogue("C:", "QUIT");
    output.write_all(b"QUIT\r\n")?;
    expect(&mut input, timeline, '2')
}

fn expect(input: &mut impl BufRead, timeline: &Timeline, class: char) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if input.by_ref().take(LINE_MAX).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        timeline.dialogue("S:", line);
        if !line.starts_with(class) {
            return Err(io::Error::other(format!("the gateway answered {line}")));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
