//! Connections of one sink, while they are made, while they last, and when they end.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::{AbortHandle, Abortable, FuturesUnordered};
use postern_attach::{ConnectionId, ReplicaId};
use postern_events::fault::Fault;
use postern_events::plan::{Endpoint, Sink, SinkTls};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use crate::connection::{Connected, Target, connect, resolve};
use crate::health;
use crate::settings::Settings;
use crate::tls_files::TlsFiles;

/// States of a watch that wait to be read.
const STATES: usize = 8;

/// What became of a connection, or is known of a replica.
pub(super) enum Note {
    /// It was made, and the sink described itself.
    Made(ConnectionId, ReplicaId, Result<Box<Connected>, Fault>),
    /// It is over.
    Gone(ConnectionId),
    /// What the replica's health service says.
    Health(ConnectionId, ReplicaId, Option<bool>),
    /// The addresses behind the sink's names.
    Resolved(Vec<(Arc<str>, Target)>),
}

type Noted = Pin<Box<dyn Future<Output = Option<Note>> + Send>>;

/// One connection that is there.
struct Lasting {
    channel: Channel,
    watch: AbortHandle,
}

/// What names a watch.
type Watched = (ConnectionId, ReplicaId);

/// All connections of a sink.
pub(super) struct Connections {
    lasting: HashMap<ConnectionId, Lasting>,
    making: HashMap<ConnectionId, AbortHandle>,
    files: Arc<TlsFiles>,
    notes: FuturesUnordered<Noted>,
    states: mpsc::Sender<(Watched, Option<bool>)>,
    said: mpsc::Receiver<(Watched, Option<bool>)>,
}

impl Connections {
    pub(super) fn new(tls: SinkTls) -> Self {
        let (states, said) = mpsc::channel(STATES);
        Self {
            lasting: HashMap::new(),
            making: HashMap::new(),
            files: TlsFiles::new(tls),
            notes: FuturesUnordered::new(),
            states,
            said,
        }
    }

    /// Begins to connect.
    pub(super) fn make(
        &mut self,
        id: ConnectionId,
        replica: ReplicaId,
        target: Target,
        sink: &Arc<Sink>,
        settings: &Arc<Settings>,
    ) {
        let (sink, settings) = (Arc::clone(sink), Arc::clone(settings));
        let files = Arc::clone(&self.files);
        let (abort, registration) = AbortHandle::new_pair();
        let making = async move {
            let made = connect(&target, &files, &sink.name, &settings).await;
            Note::Made(id, replica, made.map(Box::new))
        };
        self.making.insert(id, abort);
        let making = Abortable::new(making, registration);
        self.notes.push(Box::pin(async move { making.await.ok() }));
    }

    /// Keeps a connection that was made, and watches it.
    pub(super) fn keep(&mut self, id: ConnectionId, replica: ReplicaId, connected: Connected) {
        self.making.remove(&id);
        let Connected { channel, gone, .. } = connected;
        self.notes.push(Box::pin(async move {
            // The sender sends when it is dropped, too.
            let _told = gone.await.is_ok();
            Some(Note::Gone(id))
        }));
        let (watch, registration) = AbortHandle::new_pair();
        let watching = Abortable::new(
            health::watch(channel.clone(), (id, replica), self.states.clone()),
            registration,
        );
        self.notes.push(Box::pin(async move {
            // Ends with the watch: what it says arrives by the channel.
            let _given_up = watching.await.is_err();
            None
        }));
        self.lasting.insert(id, Lasting { channel, watch });
    }

    /// Resolves the names of a sink whose replicas share one.
    pub(super) fn resolve(&mut self, sink: &Arc<Sink>, after: std::time::Duration) {
        let endpoints: Vec<Arc<Endpoint>> = sink.endpoints.iter().cloned().map(Arc::new).collect();
        self.notes.push(Box::pin(async move {
            tokio::time::sleep(after).await;
            Some(Note::Resolved(targets(endpoints).await))
        }));
    }

    /// Connections that are there.
    pub(super) fn len(&self) -> usize {
        self.lasting.len()
    }

    pub(super) fn channel(&self, id: ConnectionId) -> Option<&Channel> {
        self.lasting.get(&id).map(|lasting| &lasting.channel)
    }

    /// What is wrong with the files of the sink's TLS, or that nothing is any more, if that is news.
    pub(super) fn files_news(&self) -> Option<Option<String>> {
        self.files.news()
    }

    /// Gives a connection up. It ends when its streams have.
    pub(super) fn drop_one(&mut self, id: ConnectionId) {
        if let Some(making) = self.making.remove(&id) {
            making.abort();
        }
        if let Some(lasting) = self.lasting.remove(&id) {
            lasting.watch.abort();
        }
    }

    pub(super) fn poll_note(&mut self, cx: &mut Context<'_>) -> Option<Note> {
        if let Poll::Ready(Some(((connection, replica), serves))) = self.said.poll_recv(cx) {
            return Some(Note::Health(connection, replica, serves));
        }
        loop {
            if self.notes.is_empty() {
                return None;
            }
            match self.notes.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(note))) => return Some(note),
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) | Poll::Pending => return None,
            }
        }
    }
}

/// The replicas that the sink's endpoints lead to, with their names.
pub(super) async fn targets(endpoints: Vec<Arc<Endpoint>>) -> Vec<(Arc<str>, Target)> {
    let mut found = Vec::new();
    for endpoint in endpoints {
        let whole = || {
            let target = Target {
                endpoint: (*endpoint).clone(),
                address: None,
            };
            (Arc::from(endpoint.to_string()), target)
        };
        match resolve(Arc::clone(&endpoint)).await {
            // One address, or none yet: the name stands for it.
            Ok(addresses) if addresses.len() > 1 => {
                for address in addresses {
                    let target = Target {
                        endpoint: (*endpoint).clone(),
                        address: Some(address),
                    };
                    found.push((Arc::from(format!("{endpoint} at {address}")), target));
                }
            }
            Ok(_) | Err(_) => found.push(whole()),
        }
    }
    found
}
