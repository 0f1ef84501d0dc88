//! One instance: what it is asked and told, and what comes back.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::content::Push;
use super::hub::Hub;
use super::mail::new_id;
use super::opening::{self, World};
use super::{Setup, Transcript};
use crate::Fault;
use crate::v1::{self, EventKind, attach_request, attach_response, body_depth, event};

/// Uploads of an instance that may be unfinished or unused.
const UPLOADS_MAX: usize = 8;

pub(super) struct Instance {
    hub: Hub,
    pub(super) id: u64,
    frames: mpsc::UnboundedReceiver<attach_response::Kind>,
    next_event_id: u64,
    told: World,
    open: Vec<u64>,
    over: HashSet<u64>,
    parts: HashMap<u64, v1::Verdict>,
    pub(super) uploads: HashMap<u64, Vec<u8>>,
    upload_credit: HashMap<u64, u64>,
    finished: HashSet<u64>,
    pub(super) done: bool,
    settles: bool,
    ready: bool,
    answered: bool,
    random: u64,
}

/// What came of a question.
pub(super) enum Came {
    Verdict(Box<v1::Verdict>),
    Fault(Fault),
    /// The client went away.
    Gone,
}

/// A question to be asked.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) kind: EventKind,
    pub(super) body: event::Kind,
    pub(super) attempt: u32,
}

impl Instance {
    /// Opens an instance, with the events of the running transaction told again.
    pub(super) async fn open(
        hub: &Hub,
        scope: v1::Scope,
        world: &World,
        history: &[event::Kind],
        reopened_count: u32,
        (description, setup): (&v1::DescribeResponse, &Setup),
    ) -> Self {
        let (id, frames, first) = hub.instance();
        let features: Vec<String> = description
            .features
            .iter()
            .filter(|feature| *feature != "cache")
            .cloned()
            .collect();
        let settles = features.iter().any(|feature| feature == "settled");
        let mut instance = Self {
            hub: hub.clone(),
            id,
            frames,
            next_event_id: 1,
            told: World {
                headers: None,
                ..world.clone()
            },
            open: Vec::new(),
            over: HashSet::new(),
            parts: HashMap::new(),
            uploads: HashMap::new(),
            upload_credit: HashMap::new(),
            finished: HashSet::new(),
            done: false,
            settles,
            ready: false,
            answered: false,
            random: setup.seed.wrapping_add(id) | 1,
        };
        if setup.seed == 0 {
            instance.random = 0;
        }
        let mut snapshot = world.snapshot();
        let rest = snapshot
            .recipients
            .split_off(snapshot.recipients.len().min(setup.part));
        let open = v1::Open {
            protocol_version: 1,
            scope: scope.into(),
            binding_revision: 1,
            binding: first.then(|| Box::new(opening::binding(description, setup))),
            limits: first.then(|| Box::new(setup.limits)),
            features: if first { features } else { Vec::new() },
            snapshot: Some(Box::new(snapshot)),
            reopened_count,
            gateway_id: new_id(),
            spool_id: new_id(),
            ..Default::default()
        };
        instance
            .send(attach_request::Kind::OpenInstance(Box::new(open)))
            .await;
        for recipients in rest.chunks(setup.part) {
            let part = v1::Snapshot {
                recipients: recipients.to_vec(),
                ..Default::default()
            };
            instance
                .send(attach_request::Kind::SnapshotPart(Box::new(part)))
                .await;
        }
        for body in history {
            let event = v1::Event {
                event_id: instance.event_id(),
                replayed: true,
                ask_reason: v1::AskReason::Restart.into(),
                kind: Some(body.clone()),
                ..Default::default()
            };
            instance
                .send(attach_request::Kind::Event(Box::new(event)))
                .await;
        }
        instance
    }

    pub(super) async fn close(self, reason: v1::CloseReason) {
        let close = v1::Close {
            reason: reason.into(),
            detail: String::new(),
        };
        self.send(attach_request::Kind::CloseInstance(close)).await;
        self.hub.forget(self.id);
    }

    /// Tells an event: nobody waits.
    pub(super) async fn tell(&mut self, body: event::Kind, world: &World, setup: &Setup) {
        let event = world.update(&self.told, false);
        self.take_over(world, false);
        let event = v1::Event {
            event_id: self.event_id(),
            ask_reason: v1::AskReason::Happened.into(),
            kind: Some(body),
            ..event
        };
        self.send_in_parts(event, setup).await;
    }

    /// Asks several events in one write and returns what came, in their order.
    pub(super) async fn ask(
        &mut self,
        questions: &[Asking],
        mut push: Option<Push>,
        world: &World,
        setup: &Setup,
        transcript: &mut Transcript,
    ) -> Vec<(u64, Came)> {
        let asked = self
            .send_questions(questions, push.as_ref(), world, setup)
            .await;
        let mut came: HashMap<u64, Came> = HashMap::new();
        let mut until = Instant::now() + setup.deadline;
        while asked.iter().any(|event_id| !came.contains_key(event_id)) {
            if let (Some(push), Some(event_id)) = (&mut push, asked.last()) {
                while !came.contains_key(event_id)
                    && let Some(content) = push.next(*event_id, setup.chunk)
                {
                    self.send(attach_request::Kind::Content(content)).await;
                }
                if push.is_cut() {
                    self.cancel(&asked, &mut came, v1::CancelReason::ClientGone, || {
                        Came::Gone
                    })
                    .await;
                    break;
                }
            }
            match timeout_at(until, self.frames.recv()).await {
                Ok(Some(frame)) => {
                    if let Some(extended) = self
                        .take(frame, &mut came, &mut push, setup, transcript)
                        .await
                    {
                        until = Instant::now() + extended;
                    }
                }
                Ok(None) => panic!("the stream ended with a question open"),
                Err(_) => {
                    let late = || Came::Fault(Fault::error("no verdict within the deadline"));
                    self.cancel(&asked, &mut came, v1::CancelReason::Deadline, late)
                        .await;
                }
            }
        }
        let lost = || Came::Fault(Fault::error("no answer"));
        let answers = asked
            .into_iter()
            .map(|id| (id, came.remove(&id).unwrap_or_else(lost)));
        answers.collect()
    }

    /// Asks, and cancels at once because another replica is asked instead.
    pub(super) async fn ask_in_vain(&mut self, questions: &[Asking], world: &World, setup: &Setup) {
        let asked = self.send_questions(questions, None, world, setup).await;
        tokio::task::yield_now().await;
        let mut came = HashMap::new();
        self.cancel(&asked, &mut came, v1::CancelReason::Moved, || Came::Gone)
            .await;
    }

    async fn send_questions(
        &mut self,
        questions: &[Asking],
        push: Option<&Push>,
        world: &World,
        setup: &Setup,
    ) -> Vec<u64> {
        let mut asked = Vec::new();
        for question in questions {
            let content = push
                .map(Push::depth)
                .filter(|_| shows_content(question.kind));
            let shows_headers = !matches!(content, None | Some(body_depth::Kind::Nothing(_)));
            let update = world.update(&self.told, shows_headers);
            self.take_over(world, shows_headers);
            let event = v1::Event {
                event_id: self.event_id(),
                deadline: setup.deadline.try_into().ok(),
                attempt: question.attempt,
                ask_reason: match question.attempt {
                    0 => v1::AskReason::Happened.into(),
                    _ => v1::AskReason::FailOver.into(),
                },
                content: content.map(|kind| v1::BodyDepth { kind: Some(kind) }),
                kind: Some(question.body.clone()),
                ..update
            };
            asked.push(event.event_id);
            self.open.push(event.event_id);
            self.send_in_parts(event, setup).await;
        }
        asked
    }

    async fn cancel(
        &mut self,
        asked: &[u64],
        came: &mut HashMap<u64, Came>,
        reason: v1::CancelReason,
        outcome: impl Fn() -> Came,
    ) {
        for event_id in asked {
            if came.contains_key(event_id) {
                continue;
            }
            let cancel = v1::Cancel {
                event_id: *event_id,
                reason: reason.into(),
            };
            self.send(attach_request::Kind::Cancel(cancel)).await;
            self.open.retain(|open| open != event_id);
            self.over.insert(*event_id);
            came.insert(*event_id, outcome());
        }
    }

    pub(super) async fn settle(&self, event_id: u64, settlement: v1::Settlement, detail: &str) {
        if self.settles {
            let settled = v1::Settled {
                event_id,
                settlement: settlement.into(),
                detail: detail.to_owned(),
                ..Default::default()
            };
            self.send(attach_request::Kind::Settled(settled)).await;
        }
    }

    /// Takes a frame of the sink in. Some: the event has so much time from now on.
    async fn take(
        &mut self,
        frame: attach_response::Kind,
        came: &mut HashMap<u64, Came>,
        push: &mut Option<Push>,
        setup: &Setup,
        transcript: &mut Transcript,
    ) -> Option<Duration> {
        use attach_response::Kind;
        match frame {
            Kind::VerdictPart(part) => {
                let whole = self.parts.entry(part.event_id).or_default();
                merge(whole, &part);
            }
            Kind::Verdict(verdict) => {
                let event_id = verdict.event_id;
                let mut whole = self.parts.remove(&event_id).unwrap_or_default();
                merge(&mut whole, &verdict);
                if self.answers(event_id) {
                    came.insert(event_id, Came::Verdict(Box::new(whole)));
                }
            }
            Kind::Fault(fault) => {
                let events = match fault.event_id {
                    0 => std::mem::take(&mut self.open),
                    event_id if self.answers(event_id) => vec![event_id],
                    _ => Vec::new(),
                };
                self.done |= fault.event_id == 0;
                for event_id in events {
                    self.over.insert(event_id);
                    came.insert(
                        event_id,
                        Came::Fault(Fault::new(fault.kind(), fault.detail.clone())),
                    );
                }
            }
            Kind::WantContent(want) => {
                assert!(
                    want.credit_bytes > 0,
                    "the gateway would refuse credit of 0 octets"
                );
                if let Some(push) = push {
                    push.credit += want.credit_bytes;
                    assert!(
                        push.credit <= 16 << 20,
                        "the gateway would refuse credit for more than 16 MiB"
                    );
                }
            }
            Kind::StopContent(_) => {
                if let Some(push) = push {
                    push.stopped = true;
                }
            }
            Kind::ReadContent(read) => self.read(&read, push.as_ref()).await,
            Kind::Upload(upload) => self.upload(&upload, setup).await,
            Kind::Progress(progress) => return self.progress(progress, setup, transcript).await,
            Kind::Done(done) => match done.kind {
                Some(v1::done::Kind::Instance(_)) => self.done = true,
                Some(v1::done::Kind::MessageId(_)) => {}
                None => panic!("the gateway would refuse a Done without kind"),
            },
            Kind::Ready(_) => {
                assert!(
                    !self.ready && !self.answered,
                    "the gateway would refuse a late or second Ready"
                );
                self.ready = true;
            }
            Kind::Action(action) => {
                let result = v1::ActionResult {
                    action_id: action.action_id,
                    status: v1::ActionStatus::Done.into(),
                    ..Default::default()
                };
                self.send(attach_request::Kind::ActionResult(Box::new(result)))
                    .await;
                transcript.actions.push(*action);
            }
            Kind::Heartbeat(_) | Kind::GoAway(_) => {
                panic!("the gateway would end the stream: {frame:?}")
            }
        }
        None
    }

    /// Whether an answer is awaited. One for an event that was never asked, or a second one, fails the test.
    fn answers(&mut self, event_id: u64) -> bool {
        self.answered = true;
        match self.open.iter().position(|open| *open == event_id) {
            Some(place) => {
                self.open.remove(place);
                self.over.insert(event_id);
                true
            }
            None => {
                assert!(
                    event_id < self.next_event_id,
                    "the gateway would refuse an answer to event {event_id}, which was never asked"
                );
                false
            }
        }
    }

    async fn read(&self, read: &v1::ReadContent, push: Option<&Push>) {
        let fits = read.read_id != 0 && (1..=1 << 20).contains(&read.length_bytes);
        assert!(fits, "the gateway would refuse {read:?}");
        let frames = match push {
            Some(push) if self.open.contains(&read.event_id) => push.read(read),
            _ => return,
        };
        for content in frames {
            self.send(attach_request::Kind::Content(content)).await;
        }
    }

    async fn upload(&mut self, upload: &v1::Upload, setup: &Setup) {
        let octets = upload.octets.len();
        let first = u64::from(setup.limits.upload_credit_bytes);
        let credit = self.upload_credit.entry(upload.upload_id).or_insert(first);
        let left = credit.checked_sub(octets as u64);
        let left =
            left.unwrap_or_else(|| panic!("the gateway would refuse an upload beyond its credit"));
        *credit = left;
        assert!(
            octets <= setup.limits.chunk_bytes as usize,
            "the gateway would refuse {octets} octets in one frame of an upload"
        );
        self.uploads
            .entry(upload.upload_id)
            .or_default()
            .extend_from_slice(&upload.octets);
        assert!(
            self.uploads.len() <= UPLOADS_MAX,
            "the gateway would refuse a ninth upload"
        );
        if upload.finished {
            self.finished.insert(upload.upload_id);
            return;
        }
        *self.upload_credit.entry(upload.upload_id).or_default() += octets as u64;
        let want = v1::WantUpload {
            upload_id: upload.upload_id,
            credit_bytes: octets as u64,
        };
        self.send(attach_request::Kind::WantUpload(want)).await;
    }

    async fn progress(
        &self,
        progress: v1::Progress,
        setup: &Setup,
        transcript: &mut Transcript,
    ) -> Option<Duration> {
        transcript.activities.push(progress.activity);
        if !self.open.contains(&progress.event_id) {
            return None;
        }
        let wanted = progress
            .wanted
            .and_then(|wanted| Duration::try_from(wanted).ok());
        let Some(wanted) = wanted else {
            return Some(setup.deadline);
        };
        // The kit grants at most four times what the event had.
        let remaining = wanted.min(setup.deadline * 4);
        let extended = v1::Extended {
            event_id: progress.event_id,
            remaining: remaining.try_into().ok(),
        };
        self.send(attach_request::Kind::Extended(extended)).await;
        Some(remaining)
    }

    /// Sends an event, long lists in parts ahead of it.
    async fn send_in_parts(&mut self, mut event: v1::Event, setup: &Setup) {
        let event_id = event.event_id;
        let mut parts = Vec::new();
        if let Some(update) = &mut event.recipients {
            let last = update
                .changed
                .split_off(update.changed.len().saturating_sub(setup.part));
            for changed in std::mem::replace(&mut update.changed, last).chunks(setup.part) {
                parts.push(v1::Event {
                    recipients: Some(v1::RecipientsUpdate {
                        changed: changed.to_vec(),
                        ..Default::default()
                    }),
                    ..Default::default()
                });
            }
        }
        if let Some(headers) = &mut event.headers {
            let last = headers
                .fields
                .split_off(headers.fields.len().saturating_sub(setup.part));
            for fields in std::mem::replace(&mut headers.fields, last).chunks(setup.part) {
                parts.push(v1::Event {
                    headers: Some(v1::Headers {
                        fields: fields.to_vec(),
                        ..Default::default()
                    }),
                    ..Default::default()
                });
            }
        }
        for mut part in parts {
            part.event_id = event_id;
            self.send(attach_request::Kind::EventPart(Box::new(part)))
                .await;
        }
        self.wander().await;
        self.send(attach_request::Kind::Event(Box::new(event)))
            .await;
    }

    async fn send(&self, kind: attach_request::Kind) {
        self.hub.send(self.id, kind).await;
    }

    /// Lets other instances of the stream go first, at random.
    async fn wander(&mut self) {
        if self.random == 0 {
            return;
        }
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        for _ in 0..self.random % 4 {
            tokio::task::yield_now().await;
        }
    }

    fn take_over(&mut self, world: &World, headers: bool) {
        let known = match headers {
            true => world.headers.clone(),
            false => std::mem::take(&mut self.told.headers),
        };
        self.told = World {
            headers: known,
            ..world.clone()
        };
    }

    fn event_id(&mut self) -> u64 {
        let event_id = self.next_event_id;
        self.next_event_id += 1;
        event_id
    }
}

/// Whether content goes with an event of this kind.
fn shows_content(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::InboundHeaders | EventKind::InboundMessage | EventKind::TransportSubmit
    )
}

fn merge(whole: &mut v1::Verdict, next: &v1::Verdict) {
    if let Err(error) = whole.merge(next.encode_to_vec().as_slice()) {
        panic!("parts of a verdict that cannot be merged: {error}");
    }
}
