//! A connection to a peer: the client machine with a socket, TLS and a clock.

mod asking;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use postern_message::Way;
use postern_smtp::client::{
    Action, Config, Failure, Questions, Report, Session, Stage, TlsUse, Transaction, Wants,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use self::asking::without_tls;
use super::content::ContentReader;
use super::destination::Hop;
use super::hooks::{Hooks, RemoteEnd, Sending, SessionHooks};
use super::link::{ConnectError, Connected, Connector, Link};
use super::terms::TlsPolicy;
use super::tls::agreed;

/// The most time for a TLS handshake with a next hop; no more than for the reply to a command.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Time to send a farewell to a peer that wants no session.
const FAREWELL: Duration = Duration::from_secs(2);
/// Hosts of one hop that are tried in one attempt, but for the last.
const MOST_HOSTS: usize = 9;
/// Slices given to one write.
const SLICES: usize = 32;
/// Octets of content gathered for one write.
const GATHERED: usize = 64 * 1024;

/// How a peer is spoken to.
#[derive(Clone)]
pub struct Peer {
    /// Where it is.
    pub hop: Hop,
    /// The settings of the protocol.
    pub config: Arc<Config>,
    /// TLS for STARTTLS.
    pub tls: Arc<ClientConfig>,
    /// Addresses of its hosts that are not to be tried.
    pub ruled_out: Vec<String>,
    /// Who is asked about sessions with it. `None`: nobody.
    pub hooks: Option<Arc<dyn Hooks>>,
}

/// Why a connection could not be opened for messages.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The session failed before it could take a message.
    #[error("{address}: {failure}")]
    Session {
        /// The peer's host name.
        host: String,
        /// Its address.
        address: String,
        /// Why.
        failure: Arc<Failure>,
    },
    /// The TLS handshake failed. On another connection, without TLS, it may work.
    #[error("{address}: TLS handshake: {source}")]
    Handshake {
        /// The peer's host name.
        host: String,
        /// Its address.
        address: String,
        /// The TLS library's error, or that of the connection.
        source: io::Error,
    },
}

impl OpenError {
    /// Whether another host of the same hop may do better.
    fn rules_out_host(&self, tls: TlsUse) -> bool {
        match self {
            Self::Session { failure, .. } => failure.rules_out_host(),
            // Where clear text will do, the same host may do.
            Self::Handshake { .. } => tls == TlsUse::Required,
            Self::Connect(_) => false,
        }
    }

    /// Whether the host that was tried is out of the question for this attempt, and another one of the hop may do.
    pub fn is_of_host(&self) -> bool {
        match self {
            Self::Session { failure, .. } => failure.rules_out_host(),
            Self::Handshake { .. } => true,
            Self::Connect(error) => !error.is_permanent(),
        }
    }

    /// Whether it is a fact of the recipient's domain, which holds for all mail to it.
    pub fn is_of_domain(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_of_domain())
    }
}

/// An open session with a peer.
pub struct Connection {
    session: Session,
    link: Box<dyn Link>,
    input: BytesMut,
    output: VecDeque<Bytes>,
    unflushed: bool,
    host: String,
    address: String,
    messages: u32,
    /// TLS is left out because it failed.
    without_tls: bool,
    at_stake: Arc<AtomicBool>,
    unreadable: Option<io::Error>,
    /// Who is asked about the session.
    hooks: Option<Box<dyn SessionHooks>>,
    /// The remote as those who are asked know it.
    remote: Arc<RemoteEnd>,
}

/// What a turn of the session ended with.
enum Turn {
    StartTls,
    Ready,
    Finished(Report),
    Closed(Option<Arc<Failure>>),
}

enum Io {
    Read,
    Wrote,
    Eof,
}

impl Connection {
    /// Connects, greets, and encrypts where `peer.config` says so.
    ///
    /// # Errors
    /// [`OpenError`]. After [`OpenError::Handshake`] nothing is tried again here; see [`Connection::open_plain`].
    pub async fn open(peer: &Peer, connector: &dyn Connector) -> Result<Self, OpenError> {
        Self::open_with(peer, Arc::clone(&peer.config), connector).await
    }

    /// As [`Connection::open`], and without TLS even if the peer offers it. `again`: to the host of this name and at this
    /// address alone, with which a handshake failed.
    ///
    /// # Errors
    /// [`OpenError`], not [`OpenError::Handshake`].
    pub async fn open_plain(
        peer: &Peer,
        connector: &dyn Connector,
        again: Option<(&str, &str)>,
    ) -> Result<Self, OpenError> {
        let mut config = Config::clone(&peer.config);
        config.tls = TlsUse::Never;
        let config = Arc::new(config);
        let mut connection = match again {
            Some((host, address)) => {
                let connected = connector.connect_again(&peer.hop, host, address).await?;
                Self::greet(peer, &config, connected).await?
            }
            None => Self::open_with(peer, config, connector).await?,
        };
        connection.without_tls = true;
        Ok(connection)
    }

    /// A host that wants no session, or has none to give, is ruled out for this attempt, and the next one is tried
    /// (RFC 5321 5.1, RFC 7504 4).
    async fn open_with(
        peer: &Peer,
        config: Arc<Config>,
        connector: &dyn Connector,
    ) -> Result<Self, OpenError> {
        let mut ruled_out = peer.ruled_out.clone();
        if ruled_out.len() > MOST_HOSTS {
            return Err(OpenError::Connect(ConnectError::NoOtherHost {
                host: peer.hop.address.host().to_owned(),
            }));
        }
        let mut refused = None;
        loop {
            let connected = match connector.connect_beyond(&peer.hop, &ruled_out).await {
                Ok(connected) => connected,
                // There is no other host, or none that can be reached: what the last one said tells more.
                Err(error) => return Err(refused.unwrap_or(OpenError::Connect(error))),
            };
            let address = connected.address.clone();
            match Self::greet(peer, &config, connected).await {
                Err(error) if error.rules_out_host(config.tls) && ruled_out.len() < MOST_HOSTS => {
                    tracing::debug!(destination = %peer.hop, %error, "host ruled out");
                    ruled_out.push(address);
                    refused = Some(error);
                }
                opened => return opened,
            }
        }
    }

    async fn greet(
        peer: &Peer,
        config: &Arc<Config>,
        connected: Connected,
    ) -> Result<Self, OpenError> {
        let Connected {
            link,
            host,
            address,
            local,
        } = connected;
        let hooks = peer.hooks.as_ref().and_then(|hooks| hooks.begin());
        let questions = hooks.as_ref().map(|hooks| hooks.questions());
        let config = at_address(config, &address);
        let config = asking(config, questions.unwrap_or_default());
        let remote = match &hooks {
            Some(_) => RemoteEnd {
                host: host.clone(),
                address: address.clone(),
                source_address: local.map_or_else(String::new, |local| local.to_string()),
                ..RemoteEnd::default()
            },
            None => RemoteEnd::default(),
        };
        let mut connection = Self {
            session: Session::new(config, false, now()),
            link,
            input: BytesMut::new(),
            output: VecDeque::new(),
            unflushed: false,
            host,
            address,
            messages: 0,
            without_tls: false,
            at_stake: Arc::default(),
            unreadable: None,
            hooks,
            remote: Arc::new(remote),
        };
        loop {
            match connection.turn(&mut None).await {
                Turn::Ready if connection.session.is_ready() => return Ok(connection),
                // It was open, and is over: why comes next.
                Turn::Ready => {}
                Turn::StartTls => connection = connection.encrypt(peer).await?,
                Turn::Finished(_) => {}
                Turn::Closed(failure) => {
                    let abandoned = || {
                        Arc::new(Failure::Abandoned {
                            stage: Stage::Greeting,
                        })
                    };
                    let mut failure = failure.unwrap_or_else(abandoned);
                    if lacks_tls(&failure) {
                        let why = failure.to_string();
                        let Self { hooks, remote, .. } = &mut connection;
                        let declined = without_tls(hooks, remote, why).await;
                        failure = declined.unwrap_or(failure);
                    }
                    return Err(OpenError::Session {
                        host: connection.host,
                        address: connection.address,
                        failure,
                    });
                }
            }
        }
    }

    async fn encrypt(self, peer: &Peer) -> Result<Self, OpenError> {
        let Self {
            mut session,
            link,
            host,
            address,
            mut hooks,
            mut remote,
            ..
        } = self;
        let failed = |source| OpenError::Handshake {
            host: host.clone(),
            address: address.clone(),
            source,
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let handshake = TlsConnector::from(Arc::clone(&peer.tls)).connect(name, link);
        let most = HANDSHAKE.min(peer.config.timeouts.command);
        let shaken = timeout(most, handshake).await;
        let shaken = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = match shaken {
            Ok(stream) => stream,
            // Without TLS, on another connection, it is asked about then.
            Err(source) if peer.hop.terms.tls.allows_clear_text() => return Err(failed(source)),
            Err(source) => {
                let why = format!("TLS handshake: {source}");
                return Err(match without_tls(&mut hooks, &remote, why).await {
                    Some(failure) => OpenError::Session {
                        host,
                        address,
                        failure,
                    },
                    None => failed(source),
                });
            }
        };
        if hooks.is_some() {
            let verified = matches!(peer.hop.terms.tls, TlsPolicy::Verified(_));
            let agreed = agreed(stream.get_ref().1, &host, verified);
            let remote = Arc::make_mut(&mut remote);
            remote.tls = Some(agreed);
            // What was offered in clear text is not believed.
            remote.offers.clear();
        }
        session.tls_established(now());
        Ok(Self {
            session,
            link: Box::new(stream),
            input: BytesMut::new(),
            output: VecDeque::new(),
            unflushed: false,
            host,
            address,
            messages: 0,
            without_tls: false,
            at_stake: Arc::default(),
            unreadable: None,
            hooks,
            remote,
        })
    }

    /// The peer's host name, as the configuration or DNS has it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The peer's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.session.encrypted()
    }

    /// Whether the peer may offer more in another session: it refused EHLO, or TLS failed with it.
    pub fn is_weakened(&self) -> bool {
        self.without_tls || self.session.without_extensions()
    }

    /// From now on what can go by DATA goes by DATA.
    pub fn leave_out_bdat(&mut self) {
        self.session.leave_out_bdat();
    }

    /// What contents the peer takes. `binary`: BDAT may be used, without which nothing goes that is not in lines.
    pub fn way(&self, binary: bool) -> Way {
        let peer = self.session.peer();
        let binary = binary && peer.binary_mime && peer.chunking;
        Way::offered(peer.eight_bit_mime, binary)
    }

    /// Whether the connection takes another message.
    pub fn is_ready(&self) -> bool {
        self.session.is_ready()
    }

    /// Whether the connection can end in good order now, by [`quit`](Self::quit).
    pub fn may_quit(&self) -> bool {
        self.session.may_quit()
    }

    /// Transactions begun so far.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// The most recipients that the peer takes in one transaction, if it said so (RFC 9422).
    pub fn most_recipients(&self) -> Option<usize> {
        let most = self.session.peer().limits.recipients;
        most.map(|most| usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// True from the end of a message's content on until the next message: the peer may have taken it, so that who gives the
    /// delivery up then does not know what came of it.
    pub fn at_stake(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.at_stake)
    }

    /// Why the content of the last message could not be read, if that is what ended it.
    pub fn take_unreadable(&mut self) -> Option<io::Error> {
        self.unreadable.take()
    }

    /// Whether it is asked about as a session that begins now would be.
    pub fn is_current(&self) -> bool {
        self.hooks.as_ref().is_none_or(|hooks| hooks.is_current())
    }

    /// Whether anybody is asked about the session.
    pub fn is_asked_about(&self) -> bool {
        self.hooks.is_some()
    }

    /// Sends a message. Always comes to an end, by the time-outs of the configuration at the latest, and by those of whoever is
    /// asked: they are shown `sending`.
    /// `None`: the session was not ready, and nothing was sent.
    pub async fn deliver(
        &mut self,
        transaction: Transaction,
        content: ContentReader,
        sending: Option<Sending>,
    ) -> Option<Report> {
        if let (Some(hooks), Some(sending)) = (&mut self.hooks, sending) {
            hooks.begin_message(sending);
        }
        let report = self.send(transaction, content).await;
        if let Some(hooks) = &mut self.hooks {
            hooks.end_message();
        }
        report
    }

    async fn send(&mut self, transaction: Transaction, content: ContentReader) -> Option<Report> {
        self.session.send(transaction, now()).ok()?;
        self.messages = self.messages.saturating_add(1);
        self.at_stake.store(false, Ordering::Relaxed);
        let mut content = Some(content);
        loop {
            match self.turn(&mut content).await {
                Turn::Finished(report) => return Some(report),
                Turn::Closed(_) => return None,
                Turn::Ready | Turn::StartTls => {}
            }
        }
    }

    /// Resolves when the peer closes the idle connection, or says something that ends it. May be dropped at any time.
    pub async fn closed(&mut self) {
        loop {
            if let Turn::Closed(_) = self.turn(&mut None).await {
                return;
            }
        }
    }

    /// Says QUIT and waits for the answer, briefly.
    pub async fn quit(mut self) {
        self.session.quit(now());
        self.closed().await;
    }

    async fn turn(&mut self, content: &mut Option<ContentReader>) -> Turn {
        loop {
            while let Some(action) = self.session.poll_action() {
                match action {
                    Action::Send(octets) => self.output.push_back(octets),
                    Action::Ask(question) => self.ask(question, content).await,
                    Action::StartTls => return Turn::StartTls,
                    Action::Ready => return Turn::Ready,
                    Action::Finished(report) => return Turn::Finished(report),
                    Action::Close(failure) => {
                        self.farewell().await;
                        return Turn::Closed(failure);
                    }
                }
            }
            if self.session.wants() == Wants::Nothing {
                return Turn::Closed(None);
            }
            // A small message and its final dot leave in one write.
            if self.session.wants() == Wants::Content && self.has_room() {
                self.feed(content).await;
            } else {
                self.step().await;
            }
        }
    }

    /// The next write can take more.
    fn has_room(&self) -> bool {
        self.output.len() < SLICES && self.output.iter().map(Bytes::len).sum::<usize>() < GATHERED
    }

    /// Gives the session the next piece of the content.
    async fn feed(&mut self, content: &mut Option<ContentReader>) {
        let piece = match content {
            Some(content) => content.next().await,
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        match piece {
            Ok(Some(piece)) => self.session.content(piece, now()),
            Ok(None) => {
                self.at_stake.store(true, Ordering::Relaxed);
                self.session.content_end(now());
            }
            Err(error) => {
                tracing::error!(%error, "content cannot be read, delivery given up");
                self.unreadable = Some(error);
                self.session.abandon();
            }
        }
    }

    /// Writes and reads at the same time, until something came of it or the session's time is up.
    async fn step(&mut self) {
        let deadline = self.session.poll_timeout();
        let io = poll_fn(|cx| self.poll_io(cx));
        let result = match deadline {
            Some((at, _)) => match timeout_at(Instant::from_std(at), io).await {
                Ok(result) => result,
                Err(_) => return self.session.handle_timeout(now()),
            },
            None => io.await,
        };
        match result {
            Ok(Io::Read) => self.session.handle_input(&mut self.input, now()),
            Ok(Io::Wrote) => {}
            Ok(Io::Eof) => self.session.handle_eof(),
            Err(error) => {
                tracing::debug!(address = self.address, %error, "connection lost");
                self.session.handle_eof();
            }
        }
    }

    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Io>> {
        let written = self.poll_write(cx);
        // Also when writing failed: what the peer said before it went away may be the reason.
        let mut room = [0; 4096];
        let mut read = ReadBuf::new(&mut room);
        match Pin::new(&mut self.link).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) if read.filled().is_empty() => Poll::Ready(Ok(Io::Eof)),
            Poll::Ready(Ok(())) => {
                self.input.extend_from_slice(read.filled());
                Poll::Ready(Ok(Io::Read))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match written {
                Ok(true) => Poll::Ready(Ok(Io::Wrote)),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    /// Writes what it can. True if everything was written just now.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slot, octets) in slices.iter_mut().zip(&self.output) {
                *slot = IoSlice::new(octets);
                used += 1;
            }
            let slices = slices.get(..used).unwrap_or_default();
            match Pin::new(&mut self.link).poll_write_vectored(cx, slices) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.advance(written),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
            self.unflushed = true;
        }
        if !self.unflushed {
            return Ok(false);
        }
        match Pin::new(&mut self.link).poll_flush(cx) {
            Poll::Ready(result) => result.map(|()| {
                self.unflushed = false;
                true
            }),
            Poll::Pending => Ok(false),
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.output.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.output.pop_front();
        }
    }

    /// Sends what is left to be sent to a peer that the session has ended with.
    async fn farewell(&mut self) {
        let rest = poll_fn(|cx| match self.poll_write(cx) {
            Ok(false) if !self.output.is_empty() || self.unflushed => Poll::Pending,
            _ => Poll::Ready(()),
        });
        if timeout(FAREWELL, rest).await.is_err() {
            tracing::debug!("a peer did not take our QUIT");
        }
    }
}

/// The settings towards this address: to a peer on this host a password may go in clear text.
fn at_address(config: &Arc<Config>, address: &str) -> Arc<Config> {
    let is_here = match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_canonical().is_loopback(),
        // A Unix socket.
        Err(_) => address.starts_with('/'),
    };
    match config.login.is_some() && is_here {
        true => Arc::new(Config {
            login_in_clear: true,
            ..Config::clone(config)
        }),
        false => Arc::clone(config),
    }
}

/// Whether a session ended because TLS has to be there and is not.
fn lacks_tls(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::TlsNotOffered
            | Failure::Refused {
                stage: Stage::StartTls,
                ..
            }
    )
}

/// The settings with these questions.
fn asking(config: Arc<Config>, questions: Questions) -> Arc<Config> {
    match config.questions == questions {
        true => config,
        false => Arc::new(Config {
            questions,
            ..Config::clone(&config)
        }),
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
