//! A sink that is scripted frame by frame, below gRPC: it can break every rule that a library would keep for it.
//!
//! It describes itself, and has no health service; what comes on `Attach` is handed to the script, which may answer, lie,
//! flood, stall or hang up: an error ends the connection. All that the gateway sent is kept.

mod pieces;
mod socket;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use postern_proto::v1;

pub use self::pieces::{code, flag, frame, header_block, kind, message, setting};
pub use self::socket::{Socket, tls_config};
pub use self::wire::{Asked, Wire};

/// How it behaves before anything is asked.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What it says of itself; nothing: the question is never answered.
    pub description: Option<v1::DescribeResponse>,
    /// The `grpc-message` with which it is UNAVAILABLE in place of saying what it is.
    pub refusal: Option<&'static str>,
    /// Settings of HTTP/2 that it announces, by identifier.
    pub settings: Vec<(u16, u32)>,
    /// Octets that it sends once it has described itself.
    pub behind_description: Vec<u8>,
    /// It speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            description: Some(description(1)),
            refusal: None,
            settings: Vec::new(),
            behind_description: Vec::new(),
            tls: None,
        }
    }
}

/// What a sink says of itself that carries so many instances on a stream.
pub fn description(instances: u32) -> v1::DescribeResponse {
    v1::DescribeResponse {
        name: "raw-sink".to_owned(),
        version: "1".to_owned(),
        protocol_version: 1,
        instances_per_stream: instances,
        ..Default::default()
    }
}

/// A running sink; it and its connections end when it is dropped.
pub struct RawSink {
    address: SocketAddr,
    record: Arc<Record>,
    accepts: Option<JoinHandle<()>>,
}

/// What happened so far.
#[derive(Default)]
struct Record {
    state: Mutex<State>,
    changed: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    frames: Vec<v1::AttachRequest>,
    /// How the connections ended that have.
    ends: Vec<String>,
    /// Those that have not, by their number.
    open: HashMap<usize, TcpStream>,
}

impl Record {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

impl RawSink {
    /// Listens on a free port.
    pub fn start(
        script: impl Fn(&mut Wire, &Asked) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Manners::default(), script)
    }

    /// The same with a script for questions alone; nothing is done about other frames.
    pub fn answering(
        script: impl Fn(&mut Wire, &Asked) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |wire, asked| match asked.question() {
            Some(_) => script(wire, asked),
            None => Ok(()),
        })
    }

    /// As [`RawSink::start`], with these manners.
    pub fn with(
        manners: Manners,
        script: impl Fn(&mut Wire, &Asked) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::tcp(listener("127.0.0.1:0"), serving(manners, script))
    }

    /// The same where another one was: `endpoint` as that one gave it.
    pub fn at(
        endpoint: &str,
        manners: Manners,
        script: impl Fn(&mut Wire, &Asked) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = endpoint.trim_start_matches("http://");
        Self::tcp(listener(address), serving(manners, script))
    }

    /// Listens, and leaves each connection to `serve`, which need not speak HTTP/2 at all.
    pub fn octets(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::tcp(listener("127.0.0.1:0"), move |stream, _| serve(stream))
    }

    fn tcp(
        listener: TcpListener,
        serve: impl Fn(TcpStream, &Record) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener
            .local_addr()
            .unwrap_or_else(|e| panic!("no address: {e}"));
        let record = Arc::new(Record::default());
        let (serve, kept) = (Arc::new(serve), Arc::clone(&record));
        let accepts = thread::spawn(move || {
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                if kept.stopped.load(Ordering::Acquire) {
                    return;
                }
                let clone = stream.try_clone().map(|clone| (number, clone));
                kept.change(|state| state.open.extend(clone));
                let (serve, record) = (Arc::clone(&serve), Arc::clone(&kept));
                thread::spawn(move || {
                    let end = serve(stream, &record);
                    let end = end.err().map(|e| e.to_string()).unwrap_or_default();
                    record.change(|state| {
                        state.ends.push(end);
                        // With this the connection is closed.
                        state.open.remove(&number);
                    });
                });
            }
        });
        Self {
            address,
            record,
            accepts: Some(accepts),
        }
    }

    /// What to write as `endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `[[sink]]` of this name.
    pub fn table(&self, name: &str) -> String {
        format!(
            "[[sink]]\nname = \"{name}\"\nendpoint = \"{}\"\n",
            self.endpoint()
        )
    }

    /// What came on `Attach` so far, of all connections.
    pub fn frames(&self) -> Vec<v1::AttachRequest> {
        self.record.state().frames.clone()
    }

    /// How often it was asked: events with a deadline.
    pub fn asked(&self) -> usize {
        let frames = self.frames();
        frames
            .iter()
            .filter(|f| wire::question(f).is_some())
            .count()
    }

    /// Waits for what `found` sees in the frames.
    pub fn wait<T>(&self, limit: Duration, found: impl Fn(&[v1::AttachRequest]) -> Option<T>) -> T {
        let until = Instant::now() + limit;
        let mut state = self.record.state();
        loop {
            if let Some(found) = found(&state.frames) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "not within {limit:?}: {:#?}, connections ended: {:?}",
                state.frames,
                state.ends
            );
            state = self
                .record
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"))
}

/// What such a sink does with a connection.
fn serving(
    manners: Manners,
    script: impl Fn(&mut Wire, &Asked) -> io::Result<()> + Send + Sync + 'static,
) -> impl Fn(TcpStream, &Record) -> io::Result<()> {
    move |stream, record| {
        let socket = Socket::accept(stream, manners.tls.as_ref())?;
        let mut wire = Wire::accept(socket, &manners.settings)?;
        loop {
            let asked = wire.next(&manners)?;
            record.change(|state| state.frames.push(asked.frame.clone()));
            script(&mut wire, &asked)?;
        }
    }
}

impl Drop for RawSink {
    fn drop(&mut self) {
        self.record.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts; one that is gone needs no waking.
        TcpStream::connect(self.address).ok();
        if let Some(accepts) = self.accepts.take() {
            accepts.join().ok();
        }
        for socket in self.record.state().open.values() {
            // One that is closed already is what is wanted.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

/// No objection to whatever is asked.
///
/// # Errors
/// When the connection is gone.
pub fn proceed(wire: &mut Wire, asked: &Asked) -> io::Result<()> {
    wire.decide(asked, v1::decision::Kind::Proceed(v1::Proceed {}))
}
