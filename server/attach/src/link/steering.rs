//! How a sink steers what it gets: content, and which events.

use std::time::Instant;

use postern_proto::v1 as pb;

use super::events::{Asked, InstanceId, LinkEvent};
use super::instance::Life;
use super::ledger::Standing;
use super::state::Link;

impl Link {
    pub(super) fn hear_want(&mut self, now: Instant, instance: InstanceId, want: pb::WantContent) {
        let event_id = want.event_id;
        if !self.is_open(now, instance, event_id) {
            return;
        }
        let granted = self
            .instances
            .get_mut(&instance.0)
            .and_then(|one| one.ledger.get_mut(event_id))
            .and_then(|event| event.feed.as_mut())
            .map_or(Ok(()), |feed| feed.grant(want.credit_bytes));
        match granted {
            Ok(()) => self.steered(now, Asked { instance, event_id }),
            Err(detail) => self.break_instance(now, instance, Some(event_id), detail),
        }
    }

    pub(super) fn hear_stop(&mut self, now: Instant, instance: InstanceId, event_id: u64) {
        if !self.is_open(now, instance, event_id) {
            return;
        }
        let feed = self
            .instances
            .get_mut(&instance.0)
            .and_then(|one| one.ledger.get_mut(event_id))
            .and_then(|event| event.feed.as_mut());
        if let Some(feed) = feed {
            feed.stop();
        }
        self.steered(now, Asked { instance, event_id });
    }

    pub(super) fn hear_read(&mut self, now: Instant, instance: InstanceId, read: pb::ReadContent) {
        let event_id = read.event_id;
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let has_content = match one.ledger.standing(event_id) {
            Standing::Open => one
                .ledger
                .get(event_id)
                .is_some_and(|event| event.feed.is_some()),
            // An event that was told has no content.
            Standing::Past => false,
            Standing::Answered | Standing::Cancelled => return self.late(instance, Some(event_id)),
            Standing::NeverAsked => return self.never_asked(now, instance, event_id),
        };
        let first = one.reads.front().is_none();
        match one.reads.ask(&read, has_content) {
            Ok(()) if first => self.serve_reads(now, instance),
            Ok(()) => {}
            Err(detail) => self.break_instance(now, instance, Some(event_id), detail),
        }
    }

    pub(super) fn hear_ready(&mut self, now: Instant, instance: InstanceId, ready: &pb::Ready) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let tag = one.tag;
        match one.interest.ready(ready, &one.binding) {
            Ok(()) => self.events.push_back(LinkEvent::Narrowed {
                instance,
                tag,
                done_with: None,
            }),
            Err(detail) => self.break_instance(now, instance, None, detail),
        }
    }

    pub(super) fn hear_done(&mut self, now: Instant, instance: InstanceId, done: pb::Done) {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        match done.kind {
            Some(pb::done::Kind::Instance(_)) => {
                if one.life == Life::Open {
                    one.life = Life::Done;
                }
                self.rest(now, instance);
            }
            Some(pb::done::Kind::MessageId(id)) => {
                let tag = one.tag;
                match one.interest.done_with(&id) {
                    Ok(message) => self.events.push_back(LinkEvent::Narrowed {
                        instance,
                        tag,
                        done_with: Some(message),
                    }),
                    Err(detail) => self.break_instance(now, instance, None, detail),
                }
            }
            None => {
                let detail = "Done with nothing: name the instance or a message";
                self.break_instance(now, instance, None, detail);
            }
        }
    }
}
