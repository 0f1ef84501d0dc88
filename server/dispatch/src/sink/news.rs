//! One-way events of sessions: told at once, or kept until the sink can take them.

use std::sync::Arc;
use std::time::Instant;

use postern_attach::{Ending, Refusal};
use postern_events::fault::{Fault, FaultKind};

use super::asking::{Place, gone};
use super::command::{Tell, Told};
use super::queue::Waiting;
use super::task::SinkTask;

impl SinkTask {
    pub(super) fn tell(&mut self, mut tell: Box<Tell>) {
        let key = tell.attached.key;
        let octets = tell.news.event.size();
        let begin = tell.begin.take();
        let Some(entry) = self.instances.take_up(&tell.attached, begin) else {
            let fault = Fault::new(FaultKind::Unreachable, "the instance is over");
            return (tell.report)(Told::Failed(&fault));
        };
        let stuck = if entry.waiting.is_empty() {
            self.try_tell(tell)
        } else {
            Some(tell)
        };
        let Some(tell) = stuck else { return };
        if self.instances.has_room(octets, self.settings.one_way_bytes) {
            let waiting = Waiting::Tell {
                tell,
                octets,
                until: Instant::now() + self.settings.one_way_patience,
            };
            self.instances.wait(key, waiting);
        }
    }

    /// Tells, or gives back what has to wait.
    pub(super) fn try_tell(&mut self, mut tell: Box<Tell>) -> Option<Box<Tell>> {
        let now = Instant::now();
        let key = tell.attached.key;
        let Some(entry) = self.instances.get_mut(key) else {
            let fault = Fault::new(FaultKind::Unreachable, "the instance is over");
            (tell.report)(Told::Failed(&fault));
            return None;
        };
        if entry.place.is_none() {
            let placed = match self.place(key, None, now) {
                Place::On(stream) => self.open(key, stream, now),
                Place::Wait => return Some(tell),
                Place::Fault(fault) => {
                    self.instances.remove(key);
                    tell.attached.end(Ending::Lost);
                    (tell.report)(Told::Failed(&fault));
                    return None;
                }
            };
            if placed.is_err() {
                return Some(tell);
            }
        }
        let (stream_id, instance) = self.instances.get_mut(key)?.place?;
        let stream = self.streams.touch(stream_id)?;
        for news in std::mem::take(&mut tell.told) {
            // What cannot be told is not told.
            let _refused = stream.link.tell(now, instance, news).is_err();
        }
        match stream.link.tell(now, instance, tell.news.clone()) {
            Ok(_) => {
                let replica = Arc::clone(&stream.replica_name);
                let lost = self.instances.take_lost();
                (tell.report)(Told::Sent {
                    replica: &replica,
                    lost,
                });
            }
            Err(Refusal::Busy | Refusal::NoRoom) => return Some(tell),
            Err(Refusal::Declined) => (tell.report)(Told::Declined),
            Err(Refusal::Gone) => {
                let fault = Fault::new(FaultKind::Unreachable, "the instance is over");
                (tell.report)(Told::Failed(&fault));
            }
            Err(Refusal::Size(fault)) => (tell.report)(Told::Failed(&fault)),
        }
        None
    }

    /// The instance is over before what waited for it had its turn.
    pub(super) fn orphaned(&self, waiting: Waiting) {
        match waiting {
            Waiting::Ask(ask) => gone(&ask),
            Waiting::Tell { tell, .. } => {
                let fault = Fault::new(FaultKind::Unreachable, "the instance is over");
                (tell.report)(Told::Failed(&fault));
            }
        }
    }

    /// A one-way event has waited long enough.
    pub(super) fn too_late(&mut self, tell: Tell) {
        let fault = Fault::new(
            FaultKind::Timeout,
            "the sink did not take the event in time",
        );
        (tell.report)(Told::Failed(&fault));
    }
}
