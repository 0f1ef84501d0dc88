//! What the gateway begins: instances, questions and news.

use std::time::Instant;

use bytes::Bytes;
use postern_events::encode::EncodedEvent;
use postern_events::event::EventKind;
use postern_events::fault::Fault;
use postern_proto::rules::bounds::GROUP;
use postern_proto::v1 as pb;

use crate::depth::BodyDepth;
use crate::settings::FRAME_BYTES;
use crate::transmit::Varying;

use super::events::{Asked, InstanceId, News, Opening, Question, Refusal};
use super::feed::Feed;
use super::instance::{Instance, Life};
use super::interest::MessageId;
use super::ledger::OpenEvent;
use super::named::OpenFrame;
use super::outbox::{Deadline, Frame, Urgency};
use super::parts::Parts;
use super::state::Link;

impl Link {
    /// Opens an instance. `Open` leaves with its first event.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoRoom`], [`Refusal::Busy`], or [`Refusal::Size`] where the sink takes no parts and the snapshot does
    /// not fit into a frame.
    pub fn open(&mut self, now: Instant, opening: Opening) -> Result<InstanceId, Refusal> {
        if !self.has_room() {
            return Err(Refusal::NoRoom);
        }
        self.admit()?;
        let (parts, snapshot) = if self.settings.features.parts {
            (
                opening.snapshot.parts.clone(),
                opening.snapshot.first.clone(),
            )
        } else {
            (Vec::new(), opening.snapshot.whole())
        };
        let frame = OpenFrame {
            open: pb::Open {
                scope: opening.scope.into(),
                binding_revision: opening.binding.revision(),
                reopened_count: opening.reopened_count,
                trace_parent: opening.trace_parent.clone(),
                trace_state: opening.trace_state.clone(),
                protocol_version: self.settings.protocol_version,
                gateway_id: Bytes::copy_from_slice(&self.settings.gateway_id),
                spool_id: Bytes::copy_from_slice(&self.settings.spool_id),
                ..pb::Open::default()
            },
            binding: opening.binding.clone(),
            limits: opening.limits.clone(),
            features: self.settings.features.words(),
            snapshot,
        };
        if frame.bound() > FRAME_BYTES {
            return Err(too_long("Open with its snapshot", frame.bound()));
        }
        self.last_instance += 1;
        let id = InstanceId(self.last_instance);
        self.push_frame(now, id.0, Frame::Open(Box::new(frame)), Urgency::Now);
        for part in parts {
            self.push_frame(now, id.0, Frame::SnapshotPart(part), Urgency::Now);
        }
        self.instances.insert(id.0, Instance::new(id, &opening));
        self.empty_since = None;
        self.rest(now, id);
        Ok(id)
    }

    /// Returns whether the sink wants this event, about this message. Ask before anything is encoded.
    #[must_use]
    pub fn wants(
        &self,
        instance: InstanceId,
        event: EventKind,
        message: Option<MessageId>,
    ) -> bool {
        self.instances.get(&instance.0).is_some_and(|one| {
            one.life == Life::Open && one.interest.wants(event.number(), message)
        })
    }

    /// Returns the binding's own depth at an event as the sink narrowed it. `None`: neither header fields nor body.
    #[must_use]
    pub fn depth(
        &self,
        instance: InstanceId,
        event: EventKind,
        own: BodyDepth,
    ) -> Option<BodyDepth> {
        match self.instances.get(&instance.0) {
            Some(one) => one.interest.depth(event.number(), own),
            None => Some(own),
        }
    }

    /// Asks an event.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; nothing was sent then.
    pub fn ask(
        &mut self,
        now: Instant,
        instance: InstanceId,
        question: Question,
    ) -> Result<Asked, Refusal> {
        self.accepts(
            instance,
            &question.event,
            &varying(&question),
            question.message,
        )?;
        self.admit()?;
        Ok(self.put(now, instance, question))
    }

    /// Asks a group of pipelined RCPTs, with consecutive numbers: all or none.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; nothing was sent then. [`Refusal::Size`] if one of them does not fit, or there are none or more
    /// than 100.
    pub fn ask_group(
        &mut self,
        now: Instant,
        instance: InstanceId,
        group: Vec<Question>,
    ) -> Result<Vec<Asked>, Refusal> {
        if group.is_empty() || group.len() > GROUP {
            let detail = format!(
                "a group of {} events; 1 to {GROUP} are allowed",
                group.len()
            );
            return Err(Refusal::Size(Fault::size(detail)));
        }
        for question in &group {
            self.accepts(
                instance,
                &question.event,
                &varying(question),
                question.message,
            )?;
        }
        self.admit()?;
        Ok(group
            .into_iter()
            .map(|question| self.put(now, instance, question))
            .collect())
    }

    /// Tells an event, one-way or replayed. Returns its number.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; nothing was sent then.
    pub fn tell(&mut self, now: Instant, instance: InstanceId, news: News) -> Result<u64, Refusal> {
        let varying = Varying {
            event_id: 0,
            attempt: 0,
            ask_reason: news.ask_reason.into(),
            replayed: news.replayed,
            content: None,
            attributes: news.attributes,
            trace_parent: news.trace_parent,
        };
        self.accepts(instance, &news.event, &varying, news.message)?;
        self.admit()?;
        let event = news.event;
        let event_id = self.send_event(
            now,
            instance,
            event,
            varying,
            news.message,
            None,
            Urgency::AtLeisure,
        );
        if let Some(one) = self.instances.get_mut(&instance.0)
            && let Some(since) = one.idle_since.take()
        {
            self.idle.remove(&(since, instance.0));
        }
        self.rest(now, instance);
        Ok(event_id)
    }

    /// The instance takes this event.
    fn accepts(
        &self,
        instance: InstanceId,
        event: &EncodedEvent,
        varying: &Varying,
        message: Option<MessageId>,
    ) -> Result<(), Refusal> {
        let Some(one) = self.instances.get(&instance.0) else {
            return Err(Refusal::Gone);
        };
        match one.life {
            Life::Closing(_) => return Err(Refusal::Gone),
            Life::Done => return Err(Refusal::Declined),
            Life::Open => {}
        }
        if !one.interest.wants(event.kind.number(), message) {
            return Err(Refusal::Declined);
        }
        let longest = if self.settings.features.parts {
            let parts = event.parts.iter().map(Bytes::len).max().unwrap_or_default();
            parts.max(event.last.len())
        } else {
            event.size()
        };
        let octets = varying.bound() + longest;
        if octets > FRAME_BYTES {
            return Err(too_long("the event", octets));
        }
        Ok(())
    }

    /// The stream takes more to be sent.
    fn admit(&mut self) -> Result<(), Refusal> {
        if self.outbox.events() >= self.settings.queue_bytes {
            self.refused = true;
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    fn put(&mut self, now: Instant, instance: InstanceId, question: Question) -> Asked {
        let credit = (!self.is_exclusive()).then_some(self.settings.initial_credit);
        let (kind, tag, deadline) = (question.event.kind, question.tag, question.deadline);
        let content = question
            .content
            .and_then(|own| self.depth(instance, kind, own));
        let varying = Varying {
            content,
            ..varying(&question)
        };
        let event = question.event;
        let message = question.message;
        let deadline = Some(deadline);
        let event_id = self.send_event(
            now,
            instance,
            event,
            varying,
            message,
            deadline,
            Urgency::Now,
        );
        if let Some(one) = self.instances.get_mut(&instance.0) {
            one.ledger.open(OpenEvent {
                id: event_id,
                kind,
                tag,
                heard_before: self.heard,
                feed: content.map(|depth| Feed::new(depth, credit)),
                parts: Parts::default(),
                wants_time: false,
            });
            self.questions += 1;
            self.unanswered_since.get_or_insert(now);
        }
        self.rest(now, instance);
        Asked { instance, event_id }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one frame is made of all of these"
    )]
    fn send_event(
        &mut self,
        now: Instant,
        instance: InstanceId,
        event: EncodedEvent,
        varying: Varying,
        message: Option<MessageId>,
        deadline: Option<Deadline>,
        urgency: Urgency,
    ) -> u64 {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return 0;
        };
        let event_id = one.ledger.number();
        if let Some(message) = message {
            one.interest.tell(message);
        }
        let (parts, last) = if self.settings.features.parts {
            (event.parts, event.last)
        } else {
            (Vec::new(), event.whole())
        };
        for part in parts {
            let frame = Frame::EventPart { event_id, part };
            self.push_frame(now, instance.0, frame, urgency);
        }
        let frame = Frame::Event {
            varying: Box::new(Varying {
                event_id,
                ..varying
            }),
            deadline,
            last,
        };
        self.push_frame(now, instance.0, frame, urgency);
        event_id
    }
}

fn varying(question: &Question) -> Varying {
    Varying {
        event_id: 0,
        attempt: question.attempt,
        ask_reason: question.ask_reason.into(),
        replayed: false,
        content: question.content,
        attributes: question.attributes.clone(),
        trace_parent: question.trace_parent.clone(),
    }
}

fn too_long(what: &str, octets: usize) -> Refusal {
    Refusal::Size(Fault::size(format!(
        "{what} takes {octets} octets; a frame holds {FRAME_BYTES}"
    )))
}
