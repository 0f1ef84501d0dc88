//! The frames that open an instance, replay what happened, and carry an event.

use std::sync::Arc;
use std::time::Duration;

use postern_proto::v1 as pb;
use postern_proto::v1::AttachRequest;
use postern_proto::v1::attach_request::Kind;

use crate::facts::Facts;
use crate::feed::Feed;
use crate::instance::Instance;
use crate::outbox::Batch;
use crate::plan::BodyDepth;
use crate::scope::Scope;
use crate::session::SessionContext;
use crate::table::shows_content;
use crate::trace_context::trace_parent;
use crate::wire::{self, Happening, View};

use super::{Seat, Showing, State};

impl Seat {
    /// Tells again what happened in the running transaction.
    pub(super) fn replay(
        &self,
        facts: &Facts,
        now: &Happening,
        instance: &Instance,
        view: View<'_>,
        frames: &mut Frames,
    ) {
        for earlier in facts.history() {
            let again = match (&**earlier, now) {
                (Happening::Rcpt(one), Happening::Rcpt(other))
                    if one.recipient.id == other.recipient.id =>
                {
                    false
                }
                (Happening::Rcpt(one), _) => facts.recipient(one.recipient.id).is_some(),
                (one, other) => one.event() != other.event(),
            };
            if again && self.binding.has(earlier.event()) {
                frames.add(Kind::Event(pb::Event {
                    event_id: instance.next_event(None),
                    replayed: true,
                    kind: Some(wire::kind_of(earlier, facts, view)),
                    ..pb::Event::default()
                }));
            }
        }
    }

    pub(super) fn snapshot(&self, scope: &Scope, facts: &Facts) -> pb::Snapshot {
        let view = View {
            binding: &self.binding,
        };
        let session = shown_session(facts).map(|session| {
            let properties = &facts.draft.session_properties;
            wire::session(&scope.server, session, properties, view)
        });
        let transaction = facts.transaction().map(|(id, number, parameters)| {
            let recipients = self.recipients(facts, facts.accepted());
            wire::transaction(
                id.as_bytes(),
                number,
                &facts.draft,
                parameters,
                recipients,
                view,
            )
        });
        // The message of transport comes with its first event.
        pb::Snapshot {
            session,
            transaction,
            message: None,
        }
    }

    pub(super) fn recipients<'a>(
        &self,
        facts: &Facts,
        list: impl Iterator<Item = &'a postern_message::Recipient>,
    ) -> Vec<pb::Recipient> {
        if !self.binding.reads.recipients {
            return Vec::new();
        }
        let view = View {
            binding: &self.binding,
        };
        list.map(|one| {
            wire::recipient(
                one,
                pb::RecipientState::Accepted,
                facts.parameters_of(one.id),
                view,
            )
        })
        .collect()
    }

    /// Adds the event, with what changed since the last one.
    #[expect(
        clippy::too_many_arguments,
        reason = "one frame is made of all of these"
    )]
    pub(super) fn event(
        &self,
        state: &mut State,
        facts: &Facts,
        happening: &Happening,
        event_id: u64,
        attempt: u32,
        time: Option<Duration>,
        depth: Option<BodyDepth>,
        frames: &mut Frames,
    ) {
        let view = View {
            binding: &self.binding,
        };
        let seen = std::mem::replace(&mut state.seen, facts.clock());
        let session = shown_session(facts)
            .filter(|_| facts.session_changed_since(seen))
            .map(|session| {
                let properties = &facts.draft.session_properties;
                Box::new(wire::session_change(session, properties, view))
            });
        let mut transaction = self.transaction_change(facts, seen);
        if let Some(change) = &mut transaction {
            for page in wire::paged_recipients(event_id, &mut change.recipients) {
                frames.add(Kind::Page(page));
            }
        }
        let of_service = matches!(happening, Happening::Delivery(..));
        let message = facts
            .message
            .as_ref()
            .filter(|_| !of_service)
            .map(|message| {
                let mut shown = wire::message(message, &facts.draft, view);
                shown.headers = wire::shown_headers(facts.version(), happening.event(), view);
                for page in wire::paged_recipients(event_id, &mut shown.recipients) {
                    frames.add(Kind::Page(page));
                }
                Box::new(shown)
            });
        frames.add(Kind::Event(pb::Event {
            event_id,
            deadline: time.map(wire::span),
            attempt,
            replayed: false,
            session,
            transaction: transaction.map(Box::new),
            message,
            conduct: shown_session(facts).map(|session| wire::conduct(&session.conduct)),
            trace_parent: facts
                .trace_id()
                .map(|id| trace_parent(&id))
                .unwrap_or_default(),
            content: depth.map(wire::depth_of),
            kind: Some(wire::kind_of(happening, facts, view)),
        }));
    }

    pub(super) fn transaction_change(&self, facts: &Facts, seen: u64) -> Option<pb::Transaction> {
        let view = View {
            binding: &self.binding,
        };
        let (id, number, parameters) = facts.transaction()?;
        let mut recipients = Vec::new();
        if seen < facts.clock() {
            recipients = self.recipients(facts, facts.changed_recipients(seen));
            if self.binding.reads.recipients {
                let gone = pb::RecipientState::Removed;
                recipients.extend(
                    facts
                        .removed_recipients(seen)
                        .map(|one| wire::recipient(one, gone, &[], view)),
                );
            }
        }
        let changed = facts.transaction_changed_since(seen);
        if !changed && recipients.is_empty() {
            return None;
        }
        let whole = wire::transaction(
            id.as_bytes(),
            number,
            &facts.draft,
            parameters,
            recipients,
            view,
        );
        Some(if changed {
            whole
        } else {
            pb::Transaction {
                envelope: None,
                properties: Vec::new(),
                ..whole
            }
        })
    }

    /// The content that goes with this event, if the binding is shown any.
    pub(super) fn showing(
        &self,
        facts: &Facts,
        happening: &Happening,
        instance: &Instance,
    ) -> Option<Showing> {
        let event = happening.event();
        // At inbound.headers the body is not there yet; only the header fields are shown.
        if !shows_content(event) || matches!(happening, Happening::Headers(_)) {
            return None;
        }
        let depth = narrower(self.binding.depth(event), instance.narrowed_depth());
        if !depth.shows_headers() {
            return None;
        }
        let version = facts.version()?.clone();
        let shared = !instance.stream().is_exclusive();
        let credit = instance
            .stream()
            .replica()
            .described()
            .filter(|_| shared)
            .map(|one| one.initial_credit);
        Some(Showing {
            feed: Arc::new(Feed::new(credit)),
            depth,
            version,
        })
    }
}

/// The session as sinks are shown it: at inbound events.
fn shown_session(facts: &Facts) -> Option<&SessionContext> {
    facts.session.as_ref().filter(|_| facts.message.is_none())
}

/// What the sink narrowed the binding's depth to. It cannot widen it.
fn narrower(own: BodyDepth, wanted: Option<pb::BodyDepth>) -> BodyDepth {
    use pb::body_depth::Kind as Wanted;
    match (own, wanted.and_then(|wanted| wanted.kind)) {
        (_, Some(Wanted::Nothing(_))) => BodyDepth::None,
        (BodyDepth::None, _) => BodyDepth::None,
        (_, Some(Wanted::Headers(_))) => BodyDepth::Headers,
        (BodyDepth::Full | BodyDepth::OnDemand, Some(Wanted::OnDemand(_))) => BodyDepth::OnDemand,
        (BodyDepth::Full, Some(Wanted::Prefix(prefix))) => BodyDepth::Prefix(prefix.size_bytes),
        (BodyDepth::Prefix(own), Some(Wanted::Prefix(prefix))) => {
            BodyDepth::Prefix(own.min(prefix.size_bytes))
        }
        (own, _) => own,
    }
}

/// Frames of one instance that are sent together.
pub(super) struct Frames {
    instance_id: u64,
    list: Vec<AttachRequest>,
}

impl Frames {
    pub(super) fn new(instance_id: u64) -> Self {
        Self {
            instance_id,
            list: Vec::with_capacity(2),
        }
    }

    pub(super) fn add(&mut self, kind: Kind) {
        self.list.push(AttachRequest {
            instance_id: self.instance_id,
            kind: Some(kind),
        });
    }

    pub(super) fn into_batch(mut self) -> Batch {
        match (self.list.len(), self.list.pop()) {
            (1, Some(frame)) => Batch::One(frame),
            (_, last) => {
                self.list.extend(last);
                Batch::Many(self.list)
            }
        }
    }
}
