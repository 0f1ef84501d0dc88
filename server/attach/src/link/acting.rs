//! What sinks begin: actions and uploads.

use std::time::Instant;

use postern_proto::v1 as pb;
use postern_proto::v1::attach_request::Kind;

use super::events::{InstanceId, LinkEvent};
use super::instance::Life;
use super::ledger::Standing;
use super::outbox::Urgency;
use super::state::Link;
use super::uploads::Taken;

impl Link {
    /// Answers an action. The result is the last one unless more follow.
    pub fn answer_action(&mut self, now: Instant, instance: InstanceId, result: pb::ActionResult) {
        let waits = self
            .instances
            .get_mut(&instance.0)
            .is_some_and(|one| one.actions.answer(&result));
        if waits {
            self.send_result(now, instance, result);
            self.rest(now, instance);
        }
    }

    /// Grants octets of an upload beyond those that were granted before.
    pub fn want_upload(&mut self, now: Instant, instance: InstanceId, upload_id: u64, octets: u64) {
        let arriving = self
            .instances
            .get_mut(&instance.0)
            .is_some_and(|one| one.uploads.grant(upload_id, octets));
        if arriving {
            let want = pb::WantUpload {
                upload_id,
                credit_bytes: octets,
            };
            self.send(now, instance.0, Kind::WantUpload(want), Urgency::Now);
        }
    }

    /// Takes no more of an upload; it cannot be used.
    pub fn stop_upload(
        &mut self,
        now: Instant,
        instance: InstanceId,
        upload_id: u64,
        detail: &str,
    ) {
        let known = self
            .instances
            .get_mut(&instance.0)
            .is_some_and(|one| one.uploads.stop(upload_id));
        if known {
            self.send_stop_upload(now, instance, upload_id, detail);
        }
    }

    /// Forgets a finished upload: an action has used it.
    pub fn release_upload(&mut self, instance: InstanceId, upload_id: u64) {
        if let Some(one) = self.instances.get_mut(&instance.0) {
            one.uploads.release(upload_id);
        }
    }

    pub(super) fn hear_action(
        &mut self,
        now: Instant,
        instance: InstanceId,
        action: Box<pb::SinkAction>,
    ) {
        let in_force = self.settings.features.actions;
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let begun = match one.life {
            Life::Closing(_) => Err(pb::ActionResult {
                action_id: action.action_id,
                status: pb::ActionStatus::Failed.into(),
                detail: "the instance is being closed; send it on another".to_owned(),
                ..pb::ActionResult::default()
            }),
            Life::Open | Life::Done => one.actions.begin(&action, in_force),
        };
        let tag = one.tag;
        match begun {
            Ok(()) => {
                self.events.push_back(LinkEvent::Action {
                    instance,
                    tag,
                    action,
                });
                self.rest(now, instance);
            }
            Err(result) => self.send_result(now, instance, result),
        }
    }

    pub(super) fn hear_upload(&mut self, now: Instant, instance: InstanceId, upload: pb::Upload) {
        let in_force = self.settings.features.uploads;
        let chunk = self.settings.chunk_bytes;
        let Some(one) = self.instances.get_mut(&instance.0) else {
            return;
        };
        let of_event = upload.event_id != 0;
        let refusal = match (in_force, one.ledger.standing(upload.event_id)) {
            (false, _) => Some("the feature `uploads` is not in force"),
            (true, Standing::NeverAsked) if of_event => {
                let detail = format!(
                    "Upload for event {}, which was never asked",
                    upload.event_id
                );
                return self.break_instance(now, instance, None, detail);
            }
            (true, Standing::Answered | Standing::Cancelled | Standing::Past) => {
                Some("its event is over")
            }
            (true, Standing::Open | Standing::NeverAsked) => None,
        };
        match one
            .uploads
            .frame(&upload, one.upload_credit, chunk, refusal)
        {
            Ok(Taken::Kept) => {
                let tag = one.tag;
                self.events.push_back(LinkEvent::Upload {
                    instance,
                    tag,
                    upload,
                });
            }
            Ok(Taken::Dropped) => {}
            Ok(Taken::Refused(why)) => {
                self.send_stop_upload(now, instance, upload.upload_id, why);
            }
            Err(detail) => self.break_instance(now, instance, None, detail),
        }
    }

    fn send_result(&mut self, now: Instant, instance: InstanceId, result: pb::ActionResult) {
        let kind = Kind::ActionResult(Box::new(result));
        self.send(now, instance.0, kind, Urgency::Now);
    }
}
