//! A binding's place in one session or message: the instance that is open for it, and what it has been told.
//!
//! Instances open lazily, from a snapshot, with the first event for the binding. Parked idle ones, those of a
//! replica that was lost, and new ones take the same path: open, replay the running transaction, go on.

mod frames;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_message::Version;
use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use crate::facts::Facts;
use crate::fault::{Fault, FaultKind};
use crate::feed::Feed;
use crate::instance::{Instance, Note, Question, Ticket};
use crate::mailbox::Mailbox;
use crate::outbox::Room;
use crate::plan::{Binding, BodyDepth};
use crate::pool::{Lease, Pool};
use crate::replica::{PROTOCOL_VERSION, Replica};
use crate::scope::Scope;
use crate::stream::SinkStream;
use crate::trace_context::trace_parent;
use crate::wire::{self, Happening, View};

use self::frames::Frames;

/// One binding's place.
pub(crate) struct Seat {
    kind: pb::Scope,
    binding: Arc<Binding>,
    pool: Arc<Pool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    instance: Option<Arc<Instance>>,
    /// Open has been sent on it.
    opened: bool,
    /// How often an instance was opened.
    openings: u32,
    /// The clock of the facts that the sink has been told.
    seen: u64,
}

/// A question that is to be sent.
pub(crate) struct Asking<'a> {
    /// Its name in the chain.
    pub(crate) ticket: Ticket,
    /// Where the answer goes.
    pub(crate) mailbox: &'a Arc<Mailbox<Note>>,
    /// Time for the answer.
    pub(crate) time: Duration,
    /// How often the event was asked before this chain.
    pub(crate) earlier: u32,
    /// Not on this replica.
    pub(crate) avoid: Option<&'a Arc<Replica>>,
}

/// A question that was sent.
#[derive(Clone)]
pub(crate) struct Asked {
    /// The instance that it was sent to.
    pub(crate) instance: Arc<Instance>,
    /// Its number there.
    pub(crate) event_id: u64,
    /// Content that belongs to it.
    pub(crate) showing: Option<Showing>,
    /// When it was sent.
    pub(crate) at: Instant,
}

/// Content that is to be shown to a sink.
#[derive(Clone)]
pub(crate) struct Showing {
    /// How the sink steers it.
    pub(crate) feed: Arc<Feed>,
    /// How much is pushed.
    pub(crate) depth: BodyDepth,
    /// The version that the binding sees.
    pub(crate) version: Version,
}

/// What came of an attempt to send.
pub(crate) enum Sent {
    /// It is on its way.
    Asked(Asked),
    /// It is on its way, and nobody waits for an answer.
    Told(Arc<Instance>),
    /// The sink said that it does not want it.
    Declined,
    /// The stream takes nothing now: wait for it, then try again.
    Full(Arc<SinkStream>),
    /// The replica is being connected: wait for it, then try again.
    Wait(Arc<Replica>),
    /// It cannot be sent.
    Failed(Fault),
}

impl Seat {
    /// The place of a binding in a scope of this kind.
    pub(crate) fn new(kind: pb::Scope, binding: Arc<Binding>, pool: Arc<Pool>) -> Self {
        Self {
            kind,
            binding,
            pool,
            state: Mutex::new(State::default()),
        }
    }

    /// The binding.
    pub(crate) fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    /// The replicas that serve it.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Closes what is open.
    pub(crate) fn close(&self, reason: pb::CloseReason) {
        let instance = self.state.lock().instance.take();
        if let Some(instance) = instance {
            instance.close(reason);
        }
    }

    /// Sends an event if it can be sent now, as a question or, without `asking`, one-way.
    pub(crate) fn send(
        &self,
        scope: &Scope,
        happening: &Happening,
        asking: Option<&Asking<'_>>,
    ) -> Sent {
        let mut state = self.state.lock();
        // A stream that has ended unnoticed is found here; the second attempt opens another.
        for _ in 0..2 {
            let instance = match self.instance(&mut state, asking.and_then(|asking| asking.avoid)) {
                Ok(Lease::Instance(instance)) => instance,
                Ok(Lease::Wait(replica)) => return Sent::Wait(replica),
                Err(fault) => return Sent::Failed(fault),
            };
            // An instance that is open already is no way around the limits.
            if asking.is_some()
                && let Err(fault) = instance.stream().replica().takes_questions()
            {
                return Sent::Failed(fault);
            }
            if let Some(sent) = self.send_to(&instance, &mut state, scope, happening, asking) {
                return sent;
            }
            state.instance = None;
            instance
                .stream()
                .end(&Fault::new(FaultKind::Unreachable, "the stream has ended"));
        }
        Sent::Failed(Fault::new(FaultKind::Unreachable, "the stream has ended"))
    }

    /// Sends an event to an instance; nothing if its stream has ended.
    fn send_to(
        &self,
        instance: &Arc<Instance>,
        state: &mut State,
        scope: &Scope,
        happening: &Happening,
        asking: Option<&Asking<'_>>,
    ) -> Option<Sent> {
        let facts = scope.facts.lock();
        if instance.declines(
            wire::wire_kind(happening.event()).into(),
            facts.message_id(),
        ) {
            return Some(Sent::Declined);
        }
        let place = match instance.stream().outbox().room() {
            Room::Place(place) => place,
            Room::Full => return Some(Sent::Full(Arc::clone(instance.stream()))),
            Room::Ended => return None,
        };
        let mut frames = Frames::new(instance.id());
        if !state.opened {
            self.open(state, scope, &facts, happening, instance, &mut frames);
        }
        let showing = asking.and_then(|_| self.showing(&facts, happening, instance));
        let question = asking.map(|asking| Question {
            ticket: asking.ticket,
            mailbox: Arc::clone(asking.mailbox),
            feed: showing.as_ref().map(|showing| Arc::clone(&showing.feed)),
        });
        let event_id = instance.next_event(question);
        let attempt = asking.map_or(0, |asking| asking.ticket.attempt + asking.earlier);
        let time = asking.map(|asking| asking.time);
        let depth = showing.as_ref().map(|showing| showing.depth);
        self.event(
            state,
            &facts,
            happening,
            event_id,
            attempt,
            time,
            depth,
            &mut frames,
        );
        place.send(frames.into_batch());
        let instance = Arc::clone(instance);
        Some(match asking {
            Some(_) => Sent::Asked(Asked {
                instance,
                event_id,
                showing,
                at: Instant::now(),
            }),
            None => Sent::Told(instance),
        })
    }

    /// The instance that is open, or a new one.
    fn instance(&self, state: &mut State, avoid: Option<&Arc<Replica>>) -> Result<Lease, Fault> {
        if let Some(instance) = &state.instance {
            let unwanted =
                avoid.is_some_and(|avoid| Arc::ptr_eq(avoid, instance.stream().replica()));
            if instance.is_open() && !unwanted {
                return Ok(Lease::Instance(Arc::clone(instance)));
            }
            if instance.is_open() {
                instance.close(pb::CloseReason::Parked);
            }
        }
        let bulky = self.binding.events.iter().any(|(_, depth)| {
            matches!(
                depth,
                BodyDepth::Full | BodyDepth::Prefix(_) | BodyDepth::OnDemand
            )
        });
        let lease = self.pool.lease(avoid, bulky)?;
        if let Lease::Instance(instance) = &lease {
            state.instance = Some(Arc::clone(instance));
            state.opened = false;
        }
        Ok(lease)
    }

    fn open(
        &self,
        state: &mut State,
        scope: &Scope,
        facts: &Facts,
        happening: &Happening,
        instance: &Instance,
        frames: &mut Frames,
    ) {
        let view = View {
            binding: &self.binding,
        };
        let named = instance.stream().must_name(self.binding.revision);
        let mut snapshot = self.snapshot(scope, facts);
        let pages = match &mut snapshot.transaction {
            Some(transaction) => wire::paged_recipients(0, &mut transaction.recipients),
            None => Vec::new(),
        };
        frames.add(Kind::Open(pb::Open {
            protocol_version: PROTOCOL_VERSION,
            scope: self.kind.into(),
            binding_revision: self.binding.revision,
            binding: named.then(|| Box::new(wire::named_binding(&self.binding))),
            limits: named.then(|| wire::limits(&scope.shared.tuning.edit_limits)),
            snapshot: Some(Box::new(snapshot)),
            // The service has no trace: each event that it is told belongs to a message.
            trace_parent: match self.kind {
                pb::Scope::Service => String::new(),
                _ => facts
                    .trace_id()
                    .map(|id| trace_parent(&id))
                    .unwrap_or_default(),
            },
            trace_state: String::new(),
            reopened_count: state.openings,
        }));
        for page in pages {
            frames.add(Kind::Page(page));
        }
        let replay = state.openings > 0;
        state.opened = true;
        state.openings += 1;
        state.seen = facts.clock();
        if replay && happening.event().group() != crate::event::EventGroup::OneWay {
            self.replay(facts, happening, instance, view, frames);
        }
    }
}
