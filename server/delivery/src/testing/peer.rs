//! A peer that speaks SMTP or LMTP, as it is told to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{BoxFuture, ConnectError, Connected, Connector, Hop, Link};

/// A reply that never comes.
pub const SILENCE: &str = "...";

/// What a peer took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The address of MAIL.
    pub sender: String,
    /// The addresses of RCPT that were taken.
    pub recipients: Vec<String>,
    /// The octets, without dots that were stuffed.
    pub content: Vec<u8>,
    /// Which connection it came over, from 0.
    pub connection: usize,
    /// Whether that was encrypted.
    pub encrypted: bool,
}

/// A peer. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Peer {
    pub(crate) inner: Arc<Mutex<Inner>>,
    /// What it offers, one keyword with its parameters each.
    pub extensions: Vec<&'static str>,
    /// It speaks LMTP.
    pub lmtp: bool,
    /// It offers STARTTLS with this.
    pub tls: Option<TlsAcceptor>,
    /// Says that it encrypts, and then does not.
    pub breaks_tls: bool,
    /// Hosts behind it under each of its names.
    pub others: Vec<Peer>,
}

#[derive(Default)]
pub(crate) struct Inner {
    taken: Vec<Taken>,
    connections: usize,
    down: bool,
    /// Connections that were refused.
    refused: usize,
    /// Hosts that accept a connection and say nothing.
    silent: HashSet<String>,
    /// How long it takes over a message, and over each command.
    takes: Duration,
    takes_over_commands: Duration,
    /// Replies to give in place of the usual one, by verb or by verb and argument, in order.
    replies: HashMap<String, VecDeque<String>>,
}

impl Peer {
    /// A peer that offers these extensions.
    pub fn with(extensions: &[&'static str]) -> Self {
        Self {
            extensions: extensions.to_vec(),
            ..Self::default()
        }
    }

    /// Replies to the next commands that start with `command`; an empty reply closes the connection.
    pub fn says(&self, command: &str, replies: &[&str]) {
        let mut inner = self.inner.lock();
        inner
            .replies
            .entry(command.to_owned())
            .or_default()
            .extend(replies.iter().map(|r| (*r).to_owned()));
    }

    /// Refuses connections, or takes them again.
    pub fn goes_down(&self, down: bool) {
        self.inner.lock().down = down;
    }

    /// Connections that were refused so far.
    pub fn refused(&self) -> usize {
        self.inner.lock().refused
    }

    /// Accepts connections to this host and says nothing.
    pub fn is_silent(&self, host: &str) {
        self.inner.lock().silent.insert(host.to_owned());
    }

    /// Is as others again, on new connections.
    pub fn answers(&self, host: &str) {
        self.inner.lock().silent.remove(host);
    }

    /// Takes so long over each message.
    pub fn takes(&self, time: Duration) {
        self.inner.lock().takes = time;
    }

    /// Takes so long over each command.
    pub fn takes_over_commands(&self, time: Duration) {
        self.inner.lock().takes_over_commands = time;
    }

    /// All that it took.
    pub fn taken(&self) -> Vec<Taken> {
        self.inner.lock().taken.clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.inner.lock().connections
    }

    fn reply(&self, line: &str, usual: &str) -> String {
        let mut inner = self.inner.lock();
        let planned = inner
            .replies
            .iter_mut()
            .find(|(command, replies)| line.starts_with(command.as_str()) && !replies.is_empty());
        planned
            .and_then(|(_, replies)| replies.pop_front())
            .unwrap_or_else(|| usual.to_owned())
    }

    /// Listens on a port of the loopback interface.
    pub async fn listen(self) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().serve(Box::new(stream)));
            }
        });
        address
    }

    /// Serves one connection to its end.
    pub async fn serve(self, link: Box<dyn Link>) {
        let connection = {
            let mut inner = self.inner.lock();
            inner.connections += 1;
            inner.connections - 1
        };
        let mut stream = BufStream::new(link);
        let greeting = self.reply("CONNECT", "220 peer.test");
        if !answer(&mut stream, &greeting).await {
            return;
        }
        let encrypted = match self.talk(&mut stream, connection, false).await {
            Some(()) => true,
            None => return,
        };
        if self.breaks_tls {
            stream.write_all(b"this is not TLS\r\n").await.ok();
            stream.flush().await.ok();
            return;
        }
        let link = stream.into_inner();
        if let Some(tls) = &self.tls
            && let Ok(link) = tls.accept(link).await
        {
            let mut stream = BufStream::new(Box::new(link) as Box<dyn Link>);
            self.talk(&mut stream, connection, encrypted).await;
        }
    }

    /// Talks until the end; `Some` if TLS is to follow.
    async fn talk(
        &self,
        stream: &mut BufStream<Box<dyn Link>>,
        connection: usize,
        encrypted: bool,
    ) -> Option<()> {
        let mut sender = String::new();
        let mut recipients = Vec::new();
        let mut begun = false;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or("")
                .to_ascii_uppercase();
            let usual = match verb.as_str() {
                "EHLO" | "LHLO" => self.capabilities(encrypted),
                "STARTTLS" => "220 go".to_owned(),
                "RCPT" if !begun => "503 no transaction".to_owned(),
                "DATA" if recipients.is_empty() => "503 nobody".to_owned(),
                "DATA" => "354 go".to_owned(),
                "QUIT" => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            };
            if verb == "BDAT" {
                let size = line.split(' ').nth(1).unwrap().parse().unwrap();
                let mut content = vec![0; size];
                stream.read_exact(&mut content).await.ok()?;
                let refusal = self.reply(&line, "");
                if !refusal.is_empty() {
                    if !answer(stream, &refusal).await {
                        return None;
                    }
                    continue;
                }
                if !self
                    .take(
                        stream,
                        &mut sender,
                        &mut recipients,
                        content,
                        connection,
                        encrypted,
                    )
                    .await
                {
                    return None;
                }
                continue;
            }
            let takes = self.inner.lock().takes_over_commands;
            tokio::time::sleep(takes).await;
            let reply = self.reply(&line, &usual);
            if !answer(stream, &reply).await || verb == "QUIT" {
                return None;
            }
            let good = reply.starts_with('2');
            match verb.as_str() {
                "STARTTLS" if good => return Some(()),
                "MAIL" if good => {
                    begun = true;
                    sender = path(&line);
                    recipients.clear();
                }
                "RCPT" if good => recipients.push(path(&line)),
                "RSET" => {
                    begun = false;
                    recipients.clear();
                }
                "DATA" if reply.starts_with('3') => {
                    let content = dotted(stream).await?;
                    if !self
                        .take(
                            stream,
                            &mut sender,
                            &mut recipients,
                            content,
                            connection,
                            encrypted,
                        )
                        .await
                    {
                        return None;
                    }
                }
                _ => {}
            }
        }
    }

    fn capabilities(&self, encrypted: bool) -> String {
        let mut lines = vec!["250-peer.test".to_owned()];
        lines.extend(
            self.extensions
                .iter()
                .map(|extension| format!("250-{extension}")),
        );
        if (self.tls.is_some() || self.breaks_tls) && !encrypted {
            lines.push("250-STARTTLS".to_owned());
        }
        lines.push("250 HELP".to_owned());
        lines.join("\r\n")
    }

    async fn take(
        &self,
        stream: &mut BufStream<Box<dyn Link>>,
        sender: &mut String,
        recipients: &mut Vec<String>,
        content: Vec<u8>,
        connection: usize,
        encrypted: bool,
    ) -> bool {
        let takes = self.inner.lock().takes;
        tokio::time::sleep(takes).await;
        let all = std::mem::take(recipients);
        let mut good = Vec::new();
        if all.is_empty() {
            return answer(stream, "503 nobody").await;
        }
        let asked: Vec<_> = if self.lmtp {
            all.clone()
        } else {
            vec![all.join(",")]
        };
        let mut lines = Vec::new();
        for recipient in asked {
            let reply = self.reply(&format!(". {recipient}"), "250 taken");
            if reply.starts_with('2') {
                good.push(recipient);
            }
            lines.push(reply);
        }
        if !good.is_empty() {
            let recipients = if self.lmtp { good } else { all };
            let sender = std::mem::take(sender);
            self.inner.lock().taken.push(Taken {
                sender,
                recipients,
                content,
                connection,
                encrypted,
            });
        }
        for line in lines {
            if !answer(stream, &line).await {
                return false;
            }
        }
        true
    }
}

/// False if the connection ends.
async fn answer(stream: &mut BufStream<Box<dyn Link>>, reply: &str) -> bool {
    if reply.is_empty() {
        return false;
    }
    if reply == SILENCE {
        std::future::pending::<()>().await;
    }
    stream
        .write_all(format!("{reply}\r\n").as_bytes())
        .await
        .is_ok()
        && stream.flush().await.is_ok()
        && !reply.starts_with("421")
}

fn path(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}

async fn dotted(stream: &mut BufStream<Box<dyn Link>>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

/// Connects to the peer whatever hop is asked for.
impl Connector for Peer {
    fn connect<'a>(&'a self, hop: &'a Hop) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        Box::pin(async move {
            let address = hop.to_string();
            let down = self.inner.lock().down;
            if down {
                self.inner.lock().refused += 1;
                let source = std::io::ErrorKind::ConnectionRefused.into();
                return Err(ConnectError::Refused { address, source });
            }
            let (near, far) = tokio::io::duplex(4096);
            let silent = self.inner.lock().silent.contains(hop.address.host());
            match silent {
                true => drop(tokio::spawn(async move {
                    let _held = far;
                    std::future::pending::<()>().await;
                })),
                false => drop(tokio::spawn(self.clone().serve(Box::new(far)))),
            }
            Ok(Connected {
                host: hop.address.host().to_owned(),
                link: Box::new(near),
                address,
                local: None,
            })
        })
    }

    fn connect_beyond<'a>(
        &'a self,
        hop: &'a Hop,
        ruled_out: &'a [String],
    ) -> BoxFuture<'a, Result<Connected, ConnectError>> {
        Box::pin(async move {
            let mut hosts = std::iter::once(self).chain(&self.others).enumerate();
            let address = |place| match place {
                0 => hop.to_string(),
                _ => format!("{hop}#{place}"),
            };
            let next = hosts.find(|(place, _)| !ruled_out.contains(&address(*place)));
            let Some((place, host)) = next else {
                let host = hop.address.host().to_owned();
                return Err(ConnectError::NoOtherHost { host });
            };
            let connected = host.connect(hop).await?;
            let address = address(place);
            Ok(Connected {
                address,
                ..connected
            })
        })
    }
}
