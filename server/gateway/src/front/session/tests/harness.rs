//! A session over a pipe, with a real spool, and a dispatcher whose sinks do not answer.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use postern_config::settings::server::ListenAddress;
use postern_dispatch::dispatcher::Dispatcher;
use postern_dispatch::observer::Deaf;
use postern_dispatch::settings::Settings as DispatchSettings;
use postern_events::context::SessionContext;
use postern_events::plan::{Pin as Accepted, PinnedVerb};
use postern_message::Segment;
use postern_smtp::server::Additions;
use postern_spool::{Embedded, Store, StoredMessage};
use postern_transport::Schedule;
use rustls::pki_types::ServerName;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Session;
use super::super::begin::{Connection, serve};
use crate::front::admission::ClientConnections;
use crate::front::memory::Memory;
use crate::front::reception::Reception;
use crate::front::wire::Wire;
use crate::front::{Front, Onward, Standing, Tools, VirtualServer};
use crate::metrics::Metrics;
use crate::observe::addresses::AddressLog;
use crate::runtime::shutdown::Shutdown;

/// Longest wait for anything in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A virtual server and all that its sessions need.
pub(super) struct Setting {
    _folder: tempfile::TempDir,
    server: Arc<VirtualServer>,
    tools: Arc<Tools>,
    onward: Arc<Kept>,
    pub(super) spool: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shutdown: Shutdown,
}

/// Keeps what is handed on.
#[derive(Default)]
struct Kept(Mutex<Vec<StoredMessage>>);

impl Onward for Kept {
    fn accept(&self, message: StoredMessage) {
        self.0.lock().push(message);
    }
}

impl Setting {
    /// With these keys in the `[[server]]`.
    pub(super) fn new(keys: &str) -> Self {
        Self::with_spool(keys, 0)
    }

    /// With a certificate.
    pub(super) fn with_tls() -> Self {
        Self::new("tls = { cert = \"cert.pem\", key = \"key.pem\" }")
    }

    /// With the sinks and bindings in `keys`, of which `talker` adds the verb XPUT. Nothing listens for a sink.
    pub(super) fn with_verb(keys: &str) -> Self {
        let pin = Accepted {
            verbs: vec![PinnedVerb {
                name: "XPUT".to_owned(),
                help: String::new(),
            }],
            ..Accepted::default()
        };
        let pins = [("talker".to_owned(), pin)].into();
        Self::build(keys, 0, &pins)
    }

    /// With so much space that must be free.
    pub(super) fn with_spool(keys: &str, min_free: u64) -> Self {
        Self::build(keys, min_free, &HashMap::new())
    }

    fn build(keys: &str, min_free: u64, pins: &HashMap<String, Accepted>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["mx.example.test".to_owned()]).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write("people", "anna\n");
        write(
            "postern.toml",
            &format!(
                "[[domain]]\nname = \"example.test\"\nrecipients = \"any\"\ndeliver = \"smtp://127.0.0.1:9\"\n\
                 [[domain]]\nname = \"file.test\"\nrecipients = {{ file = \"people\" }}\ndeliver = \"smtp://127.0.0.1:9\"\n\
                 [[server]]\nname = \"inbound\"\nhostname = \"mx.example.test\"\nlisten = \"127.0.0.1:0\"\n{keys}\n"
            ),
        );
        let effective =
            postern_config::load(&folder.path().join("postern.toml"), &[("NONE", "")]).unwrap();
        let server = Front::load(&effective.config).unwrap().servers.remove(0);
        let options = postern_spool::Options {
            path: folder.path().join("state"),
            min_free,
            memory: 0,
        };
        let spool: Arc<dyn Store> = Arc::new(Embedded::open(&options, SystemTime::now()).unwrap());
        let plan = crate::plan::of(&effective, pins).unwrap();
        let plan = Arc::new(ArcSwap::from_pointee(plan));
        let onward = Arc::new(Kept::default());
        let metrics = Metrics::new();
        let shutdown = Shutdown::new();
        let tools = Tools {
            dispatcher: Dispatcher::new(plan, Arc::new(Deaf), DispatchSettings::default()),
            spool: Arc::clone(&spool),
            onward: Arc::clone(&onward) as Arc<dyn Onward>,
            metrics: Arc::clone(&metrics),
            addresses: Arc::new(AddressLog::new(effective.config.log.addresses)),
            shutdown: shutdown.clone(),
            schedule: Schedule::new(vec![Duration::from_secs(300)], Duration::from_secs(432_000)),
        };
        Self {
            _folder: folder,
            server,
            tools: Arc::new(tools),
            onward,
            spool,
            metrics,
            shutdown,
        }
    }

    /// A client that has read the banner.
    pub(super) async fn connect(&self) -> Client<DuplexStream> {
        let mut client = self.connect_silent();
        let banner = client.reply().await;
        assert!(banner.starts_with(super::GREETING), "{banner}");
        client
    }

    /// A client that has read nothing yet.
    pub(super) fn connect_silent(&self) -> Client<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.client(ours, theirs, false)
    }

    /// A proxy that names nobody.
    pub(super) fn connect_proxy(&self) -> Client<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.client(ours, theirs, true)
    }

    /// A client that has sent something before its session began.
    pub(super) async fn connect_early(&self, said: &[u8]) -> Client<DuplexStream> {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        ours.write_all(said).await.unwrap();
        self.client(ours, theirs, false)
    }

    fn client(
        &self,
        ours: DuplexStream,
        theirs: DuplexStream,
        is_proxy: bool,
    ) -> Client<DuplexStream> {
        let writes = Arc::new(AtomicUsize::new(0));
        let connection = Connection {
            wire: Wire::over(Counted {
                inner: theirs,
                writes: Arc::clone(&writes),
            }),
            client: std::net::IpAddr::from([192, 0, 2, 7]).into(),
            peer: Some("192.0.2.7:40000".parse().unwrap()),
            proxy: None,
            is_proxy,
            local: ListenAddress::Tcp("192.0.2.1:25".parse().unwrap()),
            listener: "192.0.2.1:25".into(),
            connections: ClientConnections::default(),
            memory: self
                .server
                .memory
                .reserve(crate::front::client::Client::User(None), 0)
                .unwrap(),
        };
        let (tools, server) = (Arc::clone(&self.tools), Arc::clone(&self.server));
        let label = crate::metrics::labels::OfServer {
            server: (&server.name).into(),
        };
        self.metrics.sessions_open.get_or_create(&label).set(0);
        let session = tokio::spawn(serve(tools, server, connection, false));
        Client {
            io: ours,
            buffer: Vec::new(),
            writes,
            session,
        }
    }

    /// A session that nobody runs, over nothing, and the memory that it shares with nobody.
    pub(super) fn idle_session(&self, memory: u64) -> (Session, Arc<Memory>) {
        let memory = Arc::new(Memory::new(2 * memory, memory));
        let (tools, server) = (Arc::clone(&self.tools), Arc::clone(&self.server));
        let context = SessionContext::new(
            Arc::clone(&server.name),
            Arc::clone(&server.hostname),
            postern_events::context::Client::default(),
            SystemTime::now(),
        );
        let who = crate::front::client::Client::User(None);
        let reserved = memory.reserve(who, 0).unwrap();
        let machine = server.machine(Standing::Unknown, &Additions::default());
        let reception = Reception {
            session: context.id,
            client: String::new(),
            who,
            scope: tools.dispatcher.begin_session(context),
            server,
            tools,
            user: OnceLock::new(),
            vouched: OnceLock::new(),
            implicit_tls: None,
            connections: ClientConnections::default(),
        };
        let wire = Wire::over(tokio::io::empty());
        let session = Session::new(Arc::new(reception), machine, wire, false, reserved);
        (session, memory)
    }

    /// What was handed on.
    pub(super) fn accepted(&self) -> Vec<StoredMessage> {
        self.onward.0.lock().clone()
    }

    /// The message as it will be sent.
    pub(super) async fn octets(&self, stored: &StoredMessage) -> Vec<u8> {
        let mut octets = Vec::new();
        for segment in stored.message.version.segments() {
            match segment {
                Segment::Inserted(bytes) => octets.extend_from_slice(&bytes),
                Segment::Original(range) => {
                    let mut at = range.start;
                    while at < range.end {
                        let most = usize::try_from(range.end - at).unwrap();
                        let part = stored.content.read_at(at, most).await.unwrap();
                        assert!(!part.is_empty());
                        at += part.len() as u64;
                        octets.extend_from_slice(&part);
                    }
                }
            }
        }
        octets
    }

    /// The same as text.
    pub(super) async fn text(&self, stored: &StoredMessage) -> String {
        String::from_utf8(self.octets(stored).await).unwrap()
    }
}

/// The client's side.
pub(super) struct Client<S> {
    io: S,
    buffer: Vec<u8>,
    writes: Arc<AtomicUsize>,
    session: tokio::task::JoinHandle<()>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn send(&mut self, octets: &[u8]) {
        timeout(PATIENCE, self.io.write_all(octets))
            .await
            .unwrap()
            .unwrap();
        self.io.flush().await.unwrap();
    }

    pub(super) async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
    }

    /// The next reply, all its lines.
    pub(super) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await;
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line).unwrap();
            }
            let read = timeout(PATIENCE, self.io.read_buf(&mut self.buffer))
                .await
                .unwrap()
                .unwrap();
            assert_ne!(
                read,
                0,
                "the session ended after {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    pub(super) async fn expect(&mut self, line: &str, start: &str) {
        self.say(line).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "{line}: {reply} is not {start}");
    }

    /// Sends a message with this header section.
    pub(super) async fn message(&mut self, headers: &[u8]) {
        self.expect("MAIL FROM:<>", "250").await;
        self.expect("RCPT TO:<a@example.test>", "250").await;
        self.expect("DATA", "354").await;
        self.send(headers).await;
        self.send(b"\r\nbody\r\n.\r\n").await;
        let reply = self.reply().await;
        assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    }

    /// Everything that still comes, up to the end.
    pub(super) async fn rest(&mut self) -> String {
        timeout(PATIENCE, self.io.read_to_end(&mut self.buffer))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    /// The session ends by itself, with nothing more to read.
    pub(super) async fn end(mut self) {
        assert_eq!(self.rest().await, "");
        drop(self.io);
        timeout(PATIENCE, self.session).await.unwrap().unwrap();
    }

    /// Goes away.
    pub(super) async fn leave(self) {
        drop(self.io);
        timeout(PATIENCE, self.session).await.unwrap().unwrap();
    }

    /// How often the session has written.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) async fn start_tls(self) -> Client<TlsStream<S>> {
        assert!(self.buffer.is_empty());
        let config = postern_delivery::opportunistic().unwrap();
        let name = ServerName::try_from("mx.example.test").unwrap();
        let handshake = TlsConnector::from(config).connect(name, self.io);
        let io = timeout(PATIENCE, handshake).await.unwrap().unwrap();
        Client {
            io,
            buffer: Vec::new(),
            writes: self.writes,
            session: self.session,
        }
    }
}

/// Counts writes.
struct Counted {
    inner: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
