//! Whether a frame about an event counts. Frames cross: what is over when one comes is no fault of anybody's; what was
//! never asked is.

use std::time::Instant;

use postern_proto::v1 as pb;

use super::events::{InstanceId, LinkEvent, Place};
use super::ledger::Standing;
use super::state::Link;

impl Link {
    /// A verdict or a fault for this event counts. If not, what is to be done about it has been done; `settled`: also to
    /// say that it was late.
    pub(super) fn is_answerable(
        &mut self,
        now: Instant,
        instance: InstanceId,
        event_id: u64,
        settled: bool,
    ) -> bool {
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return false;
        };
        match one.ledger.standing(event_id) {
            Standing::Open => return true,
            Standing::Answered => {
                let detail = format!("a second answer to event {event_id}");
                self.break_instance(now, instance, Some(event_id), detail);
            }
            Standing::Cancelled => {
                one.ledger.answer_late(event_id);
                self.late(instance, Some(event_id));
                if settled {
                    let late = pb::Settled {
                        event_id,
                        settlement: pb::Settlement::Late.into(),
                        ..pb::Settled::default()
                    };
                    self.send_settled(now, instance, late);
                }
            }
            Standing::Past => self.late(instance, Some(event_id)),
            Standing::NeverAsked => self.never_asked(now, instance, event_id),
        }
        false
    }

    /// A frame about this event counts. If not, what is to be done about it has been done.
    pub(super) fn is_open(&mut self, now: Instant, instance: InstanceId, event_id: u64) -> bool {
        let Some(one) = self.instances.get(&instance.0) else {
            return false;
        };
        match one.ledger.standing(event_id) {
            Standing::Open => return true,
            Standing::Answered | Standing::Cancelled | Standing::Past => {
                self.late(instance, Some(event_id));
            }
            Standing::NeverAsked => self.never_asked(now, instance, event_id),
        }
        false
    }

    pub(super) fn never_asked(&mut self, now: Instant, instance: InstanceId, event_id: u64) {
        let detail = format!("a frame about event {event_id}, which was never asked");
        self.break_instance(now, instance, Some(event_id), detail);
    }

    pub(super) fn late(&mut self, instance: InstanceId, event_id: Option<u64>) {
        let place = match self.instances.get(&instance.0) {
            Some(one) => one.place(event_id),
            None => Place {
                instance: Some(instance),
                ..Place::default()
            },
        };
        self.events.push_back(LinkEvent::Late { place });
    }
}
