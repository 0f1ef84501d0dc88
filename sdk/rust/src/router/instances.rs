//! The instances of a stream, and what is known of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::Fault;
use crate::instance::{BindingView, Known, Shared};
use crate::message::Feed;
use crate::v1::{self, FaultKind, event};

/// Configurations of bindings that one stream may name. Each change of a binding is one.
const BINDINGS_MAX: usize = 4096;

/// Elements that the pages before an event may hold.
const PAGED_MAX: usize = 200_000;

/// One-way events of an instance that may wait for a slow handler.
const LANE_MAX: usize = 256;

/// The bindings that a stream has named so far, by revision.
pub(super) struct Bindings<P>(HashMap<u64, Result<Arc<BindingView<P>>, Fault>>);

impl<P> Default for Bindings<P> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<P: DeserializeOwned> Bindings<P> {
    /// The binding of an instance that opens.
    pub(super) fn of(&mut self, open: &mut v1::Open) -> Result<Arc<BindingView<P>>, Fault> {
        if let Some(binding) = open.binding.take() {
            if self.0.len() >= BINDINGS_MAX {
                return Err(Fault::new(
                    FaultKind::Protocol,
                    "too many bindings on one stream",
                ));
            }
            let view = view(*binding, open.limits.take().unwrap_or_default());
            self.0.insert(open.binding_revision, view);
        }
        match self.0.get(&open.binding_revision) {
            Some(view) => view.clone(),
            None => Err(Fault::new(
                FaultKind::Protocol,
                "the first Open of a binding must bring it",
            )),
        }
    }
}

fn view<P: DeserializeOwned>(
    binding: v1::Binding,
    limits: v1::Limits,
) -> Result<Arc<BindingView<P>>, Fault> {
    let json: &[u8] = if binding.properties_json.is_empty() {
        b"{}"
    } else {
        &binding.properties_json
    };
    match serde_json::from_slice(json) {
        Ok(properties) => Ok(Arc::new(BindingView {
            binding,
            limits,
            properties,
        })),
        Err(error) => Err(Fault::properties(format!(
            "binding {}: {error}",
            binding.name
        ))),
    }
}

/// The instances that are open.
pub(super) struct Instances<P, T>(HashMap<u64, Entry<P, T>>);

impl<P, T> Default for Instances<P, T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<P, T: Default> Instances<P, T> {
    pub(super) fn open(&mut self, instance_id: u64, binding: Arc<BindingView<P>>, open: v1::Open) {
        let shared = Arc::new(Shared {
            instance_id,
            binding,
            state: Mutex::default(),
            trace_parent: open.trace_parent,
            uploads: Mutex::default(),
        });
        let known = Known::open(open.snapshot.map(|snapshot| *snapshot));
        self.0.insert(instance_id, Entry::new(shared, known));
    }
}

impl<P, T> Instances<P, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&mut self, instance_id: u64) -> Option<&mut Entry<P, T>> {
        self.0.get_mut(&instance_id)
    }

    /// The gateway closed it. Handlers of events that nobody awaits go on to their end.
    pub(super) fn close(&mut self, instance_id: u64) {
        self.abandon_one(instance_id);
    }

    /// Nobody waits any more for what the handlers of this instance were asked.
    pub(super) fn abandon_one(&mut self, instance_id: u64) {
        if let Some(entry) = self.0.remove(&instance_id) {
            entry.abort_awaited();
        }
    }

    /// Nobody waits any more at all.
    pub(super) fn abandon(&mut self) {
        for (_, entry) in self.0.drain() {
            entry.abort_awaited();
        }
    }

    pub(super) fn cancel(&mut self, instance_id: u64, event_id: u64) {
        if let Some(open) = self
            .get(instance_id)
            .and_then(|entry| entry.open.remove(&event_id))
        {
            open.task.abort();
        }
    }

    pub(super) fn page(&mut self, instance_id: u64, page: v1::Page) -> Result<(), &'static str> {
        match self.get(instance_id) {
            Some(entry) => entry.page(page),
            None => Ok(()),
        }
    }

    pub(super) fn content(
        &mut self,
        instance_id: u64,
        content: v1::Content,
    ) -> Result<(), &'static str> {
        let Some(entry) = self.get(instance_id) else {
            return Ok(());
        };
        // None: the handler has answered, or wants no content.
        match entry
            .open
            .get(&content.event_id)
            .and_then(|open| open.feed.as_ref())
        {
            Some(feed) => feed.push(content),
            None => Ok(()),
        }
    }

    pub(super) fn upload_credit(&mut self, instance_id: u64, want: &v1::WantUpload) {
        let Some(entry) = self.get(instance_id) else {
            return;
        };
        let uploads = entry
            .shared
            .uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(credit) = uploads.get(&want.upload_id) {
            let room = Semaphore::MAX_PERMITS - credit.available_permits();
            credit.add_permits(usize::try_from(want.credit_bytes).unwrap_or(room).min(room));
        }
    }
}

/// One instance.
pub(super) struct Entry<P, T> {
    pub(super) shared: Arc<Shared<P, T>>,
    pub(super) known: Known,
    open: HashMap<u64, OpenEvent>,
    /// The header section of the running transaction, once it was told.
    headers: Option<(Bytes, v1::Headers)>,
    pages: v1::Page,
    lane: Option<mpsc::Sender<BoxFuture<'static, ()>>>,
}

/// An event whose handler is at work.
struct OpenEvent {
    task: AbortHandle,
    feed: Option<Arc<Feed>>,
    awaited: bool,
}

impl<P, T> Entry<P, T> {
    fn new(shared: Arc<Shared<P, T>>, known: Known) -> Self {
        Self {
            shared,
            known,
            open: HashMap::new(),
            headers: None,
            pages: v1::Page::default(),
            lane: None,
        }
    }

    pub(super) fn started(
        &mut self,
        event_id: u64,
        task: AbortHandle,
        feed: Option<Arc<Feed>>,
        awaited: bool,
    ) {
        self.open.retain(|_, open| !open.task.is_finished());
        self.open.insert(
            event_id,
            OpenEvent {
                task,
                feed,
                awaited,
            },
        );
    }

    fn abort_awaited(self) {
        for open in self.open.into_values().filter(|open| open.awaited) {
            open.task.abort();
        }
    }

    fn page(&mut self, page: v1::Page) -> Result<(), &'static str> {
        self.pages.recipients.extend(page.recipients);
        self.pages.headers.extend(page.headers);
        if self.pages.recipients.len() + self.pages.headers.len() > PAGED_MAX {
            return Err("too long a list");
        }
        Ok(())
    }

    /// Puts what came in pages into the event that they were sent ahead of.
    pub(super) fn take_pages(&mut self, event: &mut v1::Event) {
        let pages = std::mem::take(&mut self.pages);
        if !pages.recipients.is_empty() {
            let list = match (&mut event.transaction, &mut event.message) {
                (Some(transaction), _) => Some(&mut transaction.recipients),
                (None, Some(message)) => Some(&mut message.recipients),
                (None, None) => None,
            };
            if let Some(list) = list {
                list.splice(0..0, pages.recipients);
            }
        }
        if !pages.headers.is_empty() {
            let in_message = event
                .message
                .as_mut()
                .and_then(|message| message.headers.as_mut());
            if let Some(headers) = in_message.or(match &mut event.kind {
                Some(event::Kind::InboundHeaders(body)) => body.headers.as_mut(),
                Some(event::Kind::InboundMessage(body)) => body.headers.as_mut(),
                _ => None,
            }) {
                headers.fields.splice(0..0, pages.headers);
            }
        }
    }

    /// The header section that a message event is about: told with it, or before.
    pub(super) fn headers(&mut self, event: &mut v1::Event) -> v1::Headers {
        let (message_id, told) = match &mut event.kind {
            Some(event::Kind::InboundHeaders(body)) => {
                (body.message_id.clone(), body.headers.take())
            }
            Some(event::Kind::InboundMessage(body)) => {
                (body.message_id.clone(), body.headers.take())
            }
            _ => {
                let message = self.known.message.as_ref();
                return message
                    .and_then(|message| message.headers.clone())
                    .unwrap_or_default();
            }
        };
        let is_last = matches!(event.kind, Some(event::Kind::InboundMessage(_)));
        match (told, self.headers.take()) {
            (Some(headers), _) if is_last => headers,
            (Some(headers), _) => {
                self.headers = Some((message_id, headers.clone()));
                headers
            }
            (None, Some((known_id, headers))) if known_id == message_id => headers,
            (None, _) => v1::Headers::default(),
        }
    }

    pub(super) fn lane(&self) -> Option<&mpsc::Sender<BoxFuture<'static, ()>>> {
        self.lane.as_ref()
    }

    /// A task that finishes this one-way event, then handles those that come later, until the instance closes.
    pub(super) fn start_lane(&mut self, first: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        let (sender, mut receiver) = mpsc::channel::<BoxFuture<'static, ()>>(LANE_MAX);
        self.lane = Some(sender);
        Box::pin(async move {
            first.await;
            while let Some(work) = receiver.recv().await {
                work.await;
            }
        })
    }
}
