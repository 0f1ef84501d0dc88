//! The events of one instance, in their order.
//!
//! Events are handled one after the other, so that what a handler keeps is what earlier events left. Only questions of
//! one kind, as the RCPTs of a pipelined group, are handled at the same time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::task::AbortHandle;
use tracing::warn;

use crate::call::{Call, Context, Subject, Values};
use crate::message::Feed;
use crate::sink::Registered;
use crate::v1::{EventKind, body_depth};

/// Events of an instance that may wait for a slow handler.
const WAITING_MAX: usize = 4096;

/// An event and its handler.
pub(super) struct Work {
    pub(super) call: Call,
    pub(super) event: Option<EventKind>,
    pub(super) registered: Arc<Registered>,
    pub(super) event_ids: Vec<u64>,
    pub(super) awaited: bool,
}

impl Work {
    /// The body that the handler is shown. A large one mostly means work.
    pub(super) fn body(&self) -> Option<Arc<Feed>> {
        match &self.call.content {
            Some((
                feed,
                body_depth::Kind::Prefix(_)
                | body_depth::Kind::Full(_)
                | body_depth::Kind::OnDemand(_),
            )) => Some(Arc::clone(feed)),
            _ => None,
        }
    }
}

/// One instance.
pub(super) struct Seat {
    pub(super) context: Arc<Context>,
    pub(super) message_states: Arc<Values>,
    pub(super) feeds: HashMap<u64, Arc<Feed>>,
    waiting: VecDeque<Work>,
    active: HashMap<u64, Active>,
    active_kind: Option<Option<EventKind>>,
    groups: HashMap<u64, Gathering>,
    closed: bool,
}

/// A handler at work.
struct Active {
    event_ids: Vec<u64>,
    awaited: bool,
    task: Option<AbortHandle>,
}

/// A group whose members have not all come.
struct Gathering {
    work: Work,
    left: u32,
}

impl Seat {
    pub(super) fn new(context: Context) -> Self {
        Self {
            context: Arc::new(context),
            message_states: Arc::default(),
            feeds: HashMap::new(),
            waiting: VecDeque::new(),
            active: HashMap::new(),
            active_kind: None,
            groups: HashMap::new(),
            closed: false,
        }
    }

    /// Takes an event in; a member of a group waits for the others. An error has the events that are awaited and find no
    /// room.
    pub(super) fn take(
        &mut self,
        work: Work,
        (position, size): (u32, u32),
    ) -> Result<(), Vec<u64>> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(if work.awaited {
                work.event_ids
            } else {
                Vec::new()
            });
        }
        if size <= 1 {
            self.waiting.push_back(work);
            return Ok(());
        }
        let event_id = work.event_ids.first().copied().unwrap_or_default();
        let first_id = event_id.saturating_sub(u64::from(position - 1));
        match self.groups.get_mut(&first_id) {
            None => {
                let left = size - 1;
                self.groups.insert(first_id, Gathering { work, left });
            }
            Some(gathering) => {
                gathering.join(work);
                gathering.left -= 1;
            }
        }
        self.complete(first_id);
        Ok(())
    }

    fn complete(&mut self, first_id: u64) {
        if self
            .groups
            .get(&first_id)
            .is_some_and(|group| group.left == 0)
            && let Some(gathering) = self.groups.remove(&first_id)
            && !gathering.work.event_ids.is_empty()
        {
            self.waiting.push_back(gathering.work);
        }
    }

    /// The next event that may be handled now.
    pub(super) fn next(&mut self) -> Option<Work> {
        let next = self.waiting.front()?;
        let together =
            |kind: &Option<EventKind>| next.awaited && *kind == next.event && next.event.is_some();
        match &self.active_kind {
            Some(kind) if !together(kind) => None,
            _ => {
                let work = self.waiting.pop_front()?;
                // A told event is alone.
                self.active_kind = Some(work.event.filter(|_| work.awaited));
                Some(work)
            }
        }
    }

    pub(super) fn began(
        &mut self,
        token: u64,
        event_ids: Vec<u64>,
        awaited: bool,
        task: Option<AbortHandle>,
    ) {
        let active = Active {
            event_ids,
            awaited,
            task,
        };
        self.active.insert(token, active);
    }

    /// A handler has ended. False: it was cancelled before.
    pub(super) fn ended(&mut self, token: u64) -> bool {
        let known = self.active.remove(&token).is_some();
        self.rest();
        known
    }

    /// Nobody waits for an answer to this event any more.
    pub(super) fn cancel(&mut self, event_id: u64) {
        self.feeds.remove(&event_id);
        for work in &mut self.waiting {
            work.forget(event_id);
        }
        self.waiting
            .retain(|work| !work.awaited || !work.event_ids.is_empty());
        let group = self
            .groups
            .iter_mut()
            .find(|(_, group)| group.work.event_ids.contains(&event_id));
        if let Some((first_id, group)) = group {
            // Its other members still come; the handler judges those that are awaited.
            group.work.forget(event_id);
            let first_id = *first_id;
            self.complete(first_id);
        }
        self.active.retain(|_, active| {
            active.event_ids.retain(|id| *id != event_id);
            let over = active.awaited && active.event_ids.is_empty();
            if let (true, Some(task)) = (over, &active.task) {
                task.abort();
            }
            !over
        });
        self.rest();
    }

    /// The instance is over. What is awaited is dropped; what was told is still heard.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.feeds.clear();
        self.groups.clear();
        self.waiting.retain(|work| !work.awaited);
        self.active.retain(|_, active| {
            if let (true, Some(task)) = (active.awaited, &active.task) {
                task.abort();
            }
            !active.awaited
        });
        self.rest();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty()
    }

    /// Whether it is closed and nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        self.closed && self.is_idle()
    }

    fn rest(&mut self) {
        if self.active.is_empty() {
            self.active_kind = None;
        }
    }
}

impl Gathering {
    fn join(&mut self, other: Work) {
        let (Subject::Group(members), Subject::Group(more)) =
            (&mut self.work.call.subject, other.call.subject)
        else {
            warn!("a group of events that are no RCPTs");
            return;
        };
        members.extend(more);
        self.work.event_ids.extend(other.event_ids);
    }
}

impl Work {
    fn forget(&mut self, event_id: u64) {
        if !self.awaited {
            return;
        }
        self.event_ids.retain(|id| *id != event_id);
        if let Subject::Group(members) = &mut self.call.subject {
            members.retain(|(about, _)| about.event_id != event_id);
        }
    }
}
