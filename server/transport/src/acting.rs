//! What sinks do to the queue of their own accord: once for each of their keys, within reach of their bindings, on record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use postern_delivery::{Attempted, Fate};
use postern_dispatch::actor::{Act, Acted, Actor, Found};
use postern_events::action::{Deed, Link, LinkState, LookUp, Outcome, QueueChange, Status, fits};
use postern_events::event::EventKind;
use postern_events::grant::Grants;
use postern_events::order::Injection;
use postern_events::plan::{Binding, Plan};
use postern_message::{Message, MessageId, RecipientId, RecipientState};
use postern_smtp::address::ForwardPath;
use postern_spool::{
    Batch, Due, MessageUpdate, Point, SpoolError, Stage, StageKind, StoredMessage, UsedKey,
};
use tokio::time::timeout;

use super::Handle;
use super::core::{Begun, Core};
use super::decided::{own, words};
use super::injection::{Cause, InjectionError, Injections, key};
use super::job::Job;
use super::operator::{AT_ONCE, Change, RECORDING, hurry, kind};
use super::question::Asked;
use super::reach::{Reached, Unclaimed, reach_all};
use super::settle::Outcome as Settled;
use super::slots::Slot;
use super::worker::note;

/// Injections that lead from one to the next.
const DEPTH: u8 = 8;
/// Destinations that are looked through for one.
const BACKLOGS: usize = 1000;

/// Carries out what sinks do of their own accord, on one runtime thread.
pub struct Agent {
    core: Arc<Core>,
    worker: usize,
}

impl Agent {
    /// One that acts where `handle` hands messages over.
    #[must_use]
    pub fn new(handle: &Handle) -> Self {
        Self {
            core: Arc::clone(&handle.core),
            worker: handle.worker,
        }
    }
}

impl Actor for Agent {
    fn act(&self, act: Act) -> postern_dispatch::content::BoxFuture<'static, Acted> {
        let Act {
            action,
            binding,
            plan,
        } = act;
        let intent = Arc::new(Intent {
            core: Arc::clone(&self.core),
            worker: self.worker,
            binding,
            plan,
            key: action.key,
            why: action.reason,
        });
        let deed = action.deed;
        Box::pin(async move { intent.act(deed).await })
    }
}

/// On whose behalf something is done, under which key, and why.
struct Intent {
    core: Arc<Core>,
    worker: usize,
    binding: Arc<Binding>,
    plan: Arc<Plan>,
    key: String,
    why: String,
}

impl Intent {
    async fn act(self: Arc<Self>, deed: Deed) -> Acted {
        let outcome = match deed {
            Deed::LookUp(look) => return self.look_up(look).await,
            Deed::Change {
                messages,
                recipients,
                change,
            } => self.change(messages, recipients, change).await,
            Deed::Inject { injection, parent } => self.inject(*injection, parent).await,
            Deed::SetLink { destination, state } => self.set_link(&destination, state),
        };
        outcome.unwrap_or_else(|why| why).into()
    }

    fn used_key(&self, key: Vec<u8>, messages: Vec<MessageId>) -> UsedKey {
        UsedKey {
            owner: self.binding.sink.name.to_string(),
            key,
            messages,
            at: self.core.now(),
        }
    }

    /// What was done under a key before.
    async fn done_before(&self, key: &[u8]) -> Result<Option<Outcome>, Outcome> {
        let sink = &self.binding.sink.name;
        let used = self.core.store.used(sink, key).await.map_err(failed)?;
        Ok(used.map(|used| Outcome {
            messages: used.messages,
            ..Outcome::new(Status::DoneBefore, "")
        }))
    }

    /// Who did it, for the record.
    fn by(&self) -> String {
        format!(
            "sink {}, binding {}",
            self.binding.sink.name, self.binding.name
        )
    }

    fn log(&self, id: MessageId, what: &str) {
        let (sink, binding) = (&*self.binding.sink.name, &*self.binding.name);
        let why = self.why.as_str();
        tracing::info!(%id, sink, binding, why, "message {what} by a sink");
    }

    /// A message within reach.
    async fn load(&self, id: MessageId) -> Result<StoredMessage, Outcome> {
        let not_found = || Outcome::new(Status::NotFound, format!("there is no message {id}"));
        match self.core.store.load(id).await {
            Ok(Some(stored)) if self.plan.serves(&self.binding, &stored.message.server) => {
                Ok(stored)
            }
            Ok(_) | Err(SpoolError::Damaged { .. }) => Err(not_found()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn change(
        self: &Arc<Self>,
        messages: Vec<MessageId>,
        recipients: Vec<RecipientId>,
        change: QueueChange,
    ) -> Result<Outcome, Outcome> {
        let whole = key(None, &self.key);
        if let Some(before) = self.done_before(&whole).await? {
            return Ok(before);
        }
        // Of several messages each has a key of its own, so that what was done of an action is not done again with the rest.
        let several = messages.len() > 1;
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut within = Vec::with_capacity(messages.len());
        for &id in &messages {
            match self.load(id).await {
                Ok(_) => within.push(id),
                Err(outcome) => outcomes.push(outcome),
            }
        }
        let reached = reach_all(&self.core, &within).await;
        let (recipients, change) = (Arc::new(recipients), Arc::new(change));
        let changes = reached.into_iter().map(|(id, reached)| {
            let key = match several {
                true => [whole.as_slice(), id.as_bytes()].concat(),
                false => whole.clone(),
            };
            let one = One {
                id,
                key,
                recipients: Arc::clone(&recipients),
                change: Arc::clone(&change),
            };
            Arc::clone(self).change_one(one, reached)
        });
        outcomes.extend(iter(changes).buffered(AT_ONCE).collect::<Vec<_>>().await);
        let together = together(outcomes);
        if several && matches!(together.status, Status::Done | Status::DoneBefore) {
            let batch = Batch {
                keys: vec![self.used_key(whole, messages)],
                ..Batch::default()
            };
            match self.core.store.commit(batch, &[]).await {
                Ok(_) | Err(SpoolError::KeyUsed(_)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(together)
    }

    async fn change_one(self: Arc<Self>, one: One, reached: Reached) -> Outcome {
        let id = one.id;
        let slot = match reached.claim().await {
            Ok(slot) => slot,
            Err(Unclaimed::Busy) => {
                return Outcome::busy(format!("message {id} is being judged or sent"));
            }
            Err(Unclaimed::Gone) => {
                return Outcome::new(Status::TooLate, format!("message {id} has left the queue"));
            }
            Err(Unclaimed::Failed(why)) => return Outcome::new(Status::Failed, why),
        };
        // The task has the claim until the record is made, whoever still waits for it.
        let changing = tokio::spawn(async move { self.change_claimed(one, slot).await });
        match timeout(RECORDING, changing).await {
            Ok(Ok(outcome)) => outcome.unwrap_or_else(|why| why),
            Ok(Err(error)) => {
                note(&error);
                Outcome::new(Status::Failed, "it was not recorded")
            }
            Err(_) => Outcome::new(Status::Failed, "it is not recorded yet, and may be"),
        }
    }

    async fn change_claimed(&self, one: One, slot: Slot) -> Result<Outcome, Outcome> {
        let id = one.id;
        // Another action with the key may have had the message until now.
        if let Some(before) = self.done_before(&one.key).await? {
            return Ok(before);
        }
        let stored = self.load(id).await?;
        if let Due::At(due) = stored.due {
            // Where nothing is changed it is due as it was.
            slot.put_off(due);
        }
        let places = one.places(&stored.message)?;
        of_quarantine(&one.change, &stored.stage, &self.binding.grants)?;
        let stage = kind(&stored.stage);
        let unfit = |change: Change| match change.unfit(stage) {
            Some(why) => Err(Outcome::new(
                Status::Invalid,
                format!("message {id}: {why}"),
            )),
            None => Ok(()),
        };
        match &*one.change {
            QueueChange::Hold(at_most) => {
                unfit(Change::Hold)?;
                self.hold(&one, stored, *at_most, &slot).await
            }
            QueueChange::Release => self.release(&one, stored, &slot).await,
            QueueChange::Judge => self.judge(&one, stored, &slot).await,
            QueueChange::Retry => {
                unfit(Change::Retry)?;
                let mut update = MessageUpdate::new(id);
                self.hurry(&stored.message, &mut update).await;
                self.commit(&one, update, &slot, "tried again").await
            }
            QueueChange::Reroute(hops) => {
                let mut message = Message::clone(&stored.message);
                for recipient in places
                    .iter()
                    .filter_map(|&at| stored.message.recipients.get(at))
                {
                    match hops.is_empty() {
                        true => drop(message.handling.next_hops.remove(&recipient.id)),
                        false => drop(
                            message
                                .handling
                                .next_hops
                                .insert(recipient.id, hops.clone()),
                        ),
                    }
                }
                let mut update = MessageUpdate::new(id);
                if matches!(stage, StageKind::Deliver) {
                    self.hurry(&message, &mut update).await;
                }
                update.message = Some(Arc::new(message));
                self.commit(&one, update, &slot, "sent another way").await
            }
            QueueChange::Recall => {
                let at = self.core.now();
                let status = own(2, format!("recalled by {}", self.by()), at);
                let outcome = Settled::Discarded(status);
                self.end(&one, stored, slot, &places, &outcome, "recalled")
                    .await
            }
            QueueChange::Expire(reply) => {
                let at = self.core.now();
                let status = match reply {
                    Some(reply) => words(reply, at),
                    None => {
                        let text = "given up by order of the receiving system".to_owned();
                        Attempted::own(Fate::Failed, 7, 0, text, at).status
                    }
                };
                let outcome = Settled::Tried(Attempted {
                    fate: Fate::Failed,
                    status,
                });
                self.end(&one, stored, slot, &places, &outcome, "given up")
                    .await
            }
        }
    }

    async fn hold(
        &self,
        one: &One,
        stored: StoredMessage,
        at_most: Option<Duration>,
        slot: &Slot,
    ) -> Result<Outcome, Outcome> {
        let now = self.core.now();
        let until = at_most.and_then(|span| now.checked_add(span));
        let mut update = MessageUpdate::new(one.id);
        update.stage = Some(Stage::OnHold {
            was: Box::new(stored.stage),
            by: self.by(),
            why: self.why.clone(),
            since: now,
        });
        update.due = Some(until.map_or(Due::Never, Due::At));
        self.commit(one, update, slot, "on hold").await
    }

    /// What a verdict held is judged again from its binding on, what somebody held goes on where it was, what was quarantined
    /// is judged again as if it had just been accepted.
    async fn release(
        &self,
        one: &One,
        stored: StoredMessage,
        slot: &Slot,
    ) -> Result<Outcome, Outcome> {
        let stage = match stored.stage {
            Stage::OnHold { was, .. } => *was,
            Stage::Quarantined { .. } => Stage::submit(),
            stage @ (Stage::Held { .. } | Stage::At { .. }) => stage,
            Stage::Deliver => {
                let why = format!("message {}: nothing keeps it", one.id);
                return Err(Outcome::new(Status::Invalid, why));
            }
        };
        let mut update = MessageUpdate::new(one.id);
        // What was quarantined when it was held goes back there.
        match matches!(stage, Stage::Quarantined { .. }) {
            true => update.due = Some(Due::Never),
            false => self.hurry(&stored.message, &mut update).await,
        }
        update.stage = Some(stage);
        self.commit(one, update, slot, "released").await
    }

    /// This binding alone is asked once more, before the next attempt.
    async fn judge(
        &self,
        one: &One,
        stored: StoredMessage,
        slot: &Slot,
    ) -> Result<Outcome, Outcome> {
        if !matches!(stored.stage, Stage::Deliver) {
            let why = format!(
                "message {}: it is judged already, or kept: release it",
                one.id
            );
            return Err(Outcome::new(Status::Invalid, why));
        }
        let server = stored.message.server.as_str();
        let members = self.plan.stage(server, EventKind::TransportSubmit);
        let members = members.map_or(&[][..], |stage| &stage.members);
        let others = members.iter().map(|member| &member.binding.name);
        let others = others.filter(|name| **name != self.binding.name);
        let mut message = Message::clone(&stored.message);
        message.passed = others.map(ToString::to_string).collect();
        let mut update = MessageUpdate::new(one.id);
        // What they stand for was looked up before it was to be delivered.
        for recipient in &mut message.recipients {
            recipient.resolved = true;
        }
        update.message = Some(Arc::new(message));
        update.stage = Some(Stage::At {
            point: Point::Submit,
            from_binding: Some(String::new()),
            attempts: 0,
            waits_for: None,
        });
        self.commit(one, update, slot, "judged again").await
    }

    async fn hurry(&self, message: &Message, update: &mut MessageUpdate) {
        let core = &self.core;
        hurry(core, message, update, core.now(), |to| core.wake(to)).await;
    }

    async fn commit(
        &self,
        one: &One,
        update: MessageUpdate,
        slot: &Slot,
        words: &str,
    ) -> Result<Outcome, Outcome> {
        let batch = Batch {
            update: vec![update],
            keys: vec![self.used_key(one.key.clone(), vec![one.id])],
            ..Batch::default()
        };
        match self.core.store.commit(batch, &[slot.lease()]).await {
            Ok(_durable) => {
                slot.do_not_put_off();
                self.log(one.id, words);
                Ok(Outcome::done(vec![one.id]))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Some recipients come to their end.
    async fn end(
        &self,
        one: &One,
        stored: StoredMessage,
        slot: Slot,
        places: &[usize],
        outcome: &Settled,
        words: &str,
    ) -> Result<Outcome, Outcome> {
        let pending = |message: &Message| {
            let left = message.recipients.iter();
            left.filter(|one| !one.state.is_done()).count()
        };
        let partly = places.len() < pending(&stored.message);
        if partly && !matches!(stored.stage, Stage::Deliver) {
            let why = format!(
                "message {}: it is not being delivered, name no recipients",
                one.id
            );
            return Err(Outcome::new(Status::Invalid, why));
        }
        let core = &self.core;
        let begun = Begun {
            stored,
            unrecorded: false,
            slot: Box::new(slot),
            waited: false,
            asked: Asked::Counted,
            early: false,
            turn: None,
        };
        let outcomes = places.iter().map(|&at| (at, outcome.clone())).collect();
        let key = self.used_key(one.key.clone(), vec![one.id]);
        let job = Job::new(begun, 1, core.now()).using_up(key);
        let recorded = job.record(core, self.worker, outcomes, false).await;
        let all_ended = recorded.changes.iter().all(|(_, state)| state.is_done());
        if !recorded.lasts || !all_ended {
            return Err(Outcome::new(Status::Failed, "it was not recorded"));
        }
        self.log(one.id, words);
        Ok(Outcome::done(vec![one.id]))
    }

    async fn inject(
        &self,
        mut injection: Injection,
        parent: Option<MessageId>,
    ) -> Result<Outcome, Outcome> {
        let key = key(None, &self.key);
        if let Some(before) = self.done_before(&key).await? {
            return Ok(before);
        }
        let mut depth = 0;
        if let Some(parent) = parent {
            let message = self.load(parent).await?.message;
            depth = message.injected.as_ref().map_or(0, |own| own.depth);
            if injection.server.is_empty() {
                injection.server.clone_from(&message.server);
                fits(&injection, &self.plan.limits(&injection.server))?;
            }
        }
        if depth >= DEPTH {
            return Err(Outcome::new(
                Status::Limited,
                format!(
                    "{depth} injections led to the parent: at most {DEPTH} lead from one to the next"
                ),
            ));
        }
        let (core, server) = (&self.core, injection.server.clone());
        let cause = Cause {
            parent,
            by_verdict: false,
            server: &server,
            depth,
        };
        let made = Injections::prepare(
            &*core.store,
            std::slice::from_ref(&injection),
            cause,
            |server| core.hostname(server).to_owned(),
            |path| core.settings.routes.is_own(path),
            core.now(),
        );
        let made = made.await.map_err(|error| match error {
            InjectionError::Spool(error) => failed(error),
            InjectionError::Trace(error) => Outcome::new(Status::Failed, error.to_string()),
        })?;
        let mut batch = Batch::default();
        made.join(&mut batch);
        match core.store.commit(batch, &[]).await {
            Ok(_durable) => {
                for stored in made.committed() {
                    core.begin(self.worker, stored);
                }
                core.slots.scan.notify_one();
                Ok(Outcome::done(made.ids()))
            }
            // Another one with the key was quicker.
            Err(SpoolError::KeyUsed(_)) => {
                let before = self.done_before(&key).await?;
                Ok(before.unwrap_or_else(|| Outcome::new(Status::DoneBefore, "")))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn set_link(&self, destination: &str, state: LinkState) -> Result<Outcome, Outcome> {
        let (halts, servers) = (&self.core.halts, &self.binding.servers);
        let words = match state {
            LinkState::Halted(span) => {
                if !halts.halt(destination, servers, span, Instant::now()) {
                    return Err(Outcome::new(Status::Limited, "too many links are halted"));
                }
                "halted"
            }
            LinkState::Normal => {
                halts.open(destination, servers);
                "opened"
            }
            LinkState::Forced => {
                halts.open(destination, servers);
                let anybody =
                    ForwardPath::parse(format!("<postmaster@{destination}>").as_bytes(), false);
                let found = anybody.ok();
                let found = found.and_then(|path| {
                    let found = self.core.settings.routes.find(&path);
                    found.map(std::borrow::Cow::into_owned)
                });
                if let Some(found) = found {
                    self.core.wake(&found);
                    for server in servers {
                        self.core.wake(&found.clone().asked_for(server));
                    }
                }
                "forced"
            }
        };
        let (sink, binding) = (&*self.binding.sink.name, &*self.binding.name);
        let why = self.why.as_str();
        tracing::info!(destination, sink, binding, why, "link {words} by a sink");
        Ok(Outcome::done(Vec::new()))
    }

    async fn look_up(&self, look: LookUp) -> Acted {
        let shown = match look {
            // The dispatcher knows them itself.
            LookUp::Bindings => return Outcome::done(Vec::new()).into(),
            LookUp::Message(id) => {
                let stored = self.load(id).await;
                stored.map(|stored| (vec![id], Found::Message(stored.message)))
            }
            LookUp::Destination(name) => {
                let link = self.link(name).await;
                link.map(|link| (Vec::new(), Found::Link(link)))
            }
        };
        match shown {
            Ok((messages, found)) => Acted {
                outcome: Outcome::done(messages),
                found: Some(found),
            },
            Err(outcome) => outcome.into(),
        }
    }

    async fn link(&self, name: String) -> Result<Link, Outcome> {
        let core = &self.core;
        // What waits is counted for all virtual servers together.
        let backlogs = match self.binding.servers.is_empty() {
            true => core.store.backlogs(BACKLOGS).await.map_err(failed)?,
            false => Vec::new(),
        };
        let waits = backlogs
            .into_iter()
            .find(|own| own.destination.eq_ignore_ascii_case(&name));
        let server = self.binding.servers.first().map_or("", String::as_str);
        let link = Link {
            halted: core.halts.is_halted(&name, server, Instant::now()),
            destination: name,
            ..Link::default()
        };
        let Some(waits) = waits else {
            return Ok(link);
        };
        Ok(Link {
            queued: waits.messages,
            retry_in: Some(waits.next.duration_since(core.now()).unwrap_or_default()),
            reason: waits.reason,
            ..link
        })
    }
}

/// One message of an action.
struct One {
    id: MessageId,
    key: Vec<u8>,
    recipients: Arc<Vec<RecipientId>>,
    change: Arc<QueueChange>,
}

impl One {
    /// The recipients that are meant, of those that are left.
    fn places(&self, message: &Message) -> Result<Vec<usize>, Outcome> {
        let all = message.recipients.iter().enumerate();
        let left = |state: &RecipientState| !state.is_done();
        if self.recipients.is_empty() {
            let left = all.filter(|(_, one)| left(&one.state));
            return Ok(left.map(|(at, _)| at).collect());
        }
        let mut places = Vec::with_capacity(self.recipients.len());
        for id in self.recipients.iter() {
            match message.recipients.iter().position(|one| one.id == *id) {
                Some(at)
                    if message
                        .recipients
                        .get(at)
                        .is_some_and(|one| left(&one.state)) =>
                {
                    places.push(at);
                }
                Some(_) => {
                    let why = format!("recipient {id} is delivered, or has failed");
                    return Err(Outcome::new(Status::TooLate, why));
                }
                None => {
                    let why = format!("there is no recipient {id}");
                    return Err(Outcome::new(Status::NotFound, why));
                }
            }
        }
        Ok(places)
    }
}

/// Whatever has a message leave quarantine needs the grant for it. What is on hold over it goes back there with a release.
fn of_quarantine(change: &QueueChange, stage: &Stage, grants: &Grants) -> Result<(), Outcome> {
    let leaves = match change {
        QueueChange::Release => matches!(stage, Stage::Quarantined { .. }),
        QueueChange::Recall | QueueChange::Expire(_) => stage.is_quarantined(),
        _ => false,
    };
    if !leaves || grants.has("quarantine") {
        return Ok(());
    }
    Err(Outcome::new(
        Status::Forbidden,
        "the binding's `may` does not grant quarantine",
    ))
}

/// What an action came to: the worst of what it came to for each message.
fn together(outcomes: Vec<Outcome>) -> Outcome {
    let mut messages = Vec::new();
    for outcome in &outcomes {
        for id in &outcome.messages {
            if !messages.contains(id) {
                messages.push(*id);
            }
        }
    }
    let any_is_new = outcomes
        .iter()
        .any(|outcome| outcome.status == Status::Done);
    let worst = outcomes.into_iter().max_by_key(|outcome| outcome.status);
    let mut worst = worst.unwrap_or_else(|| Outcome::new(Status::NotFound, ""));
    // What was left of an action that is sent again is done now.
    if worst.status == Status::DoneBefore && any_is_new {
        worst.status = Status::Done;
    }
    Outcome { messages, ..worst }
}

fn failed(error: SpoolError) -> Outcome {
    match error {
        SpoolError::KeyUsed(_) => Outcome::new(Status::DoneBefore, ""),
        SpoolError::Unknown(id) => {
            Outcome::new(Status::TooLate, format!("message {id} has left the queue"))
        }
        error => Outcome::new(Status::Failed, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_in_quarantine_is_not_ended_without_the_grant() {
        let quarantined = Stage::Quarantined {
            by: "virus-scan".to_owned(),
            why: String::new(),
            event: String::new(),
        };
        let over = |was: &Stage| Stage::OnHold {
            was: Box::new(was.clone()),
            by: "operator".to_owned(),
            why: String::new(),
            since: std::time::SystemTime::UNIX_EPOCH,
        };
        let none = Grants::parse_all(&["act:queue", "discard"]).unwrap();
        let granted = Grants::parse_all(&["act:queue", "discard", "quarantine"]).unwrap();
        let status = |change: &QueueChange, stage: &Stage, grants: &Grants| {
            of_quarantine(change, stage, grants).map_err(|why| why.status)
        };
        for change in [QueueChange::Expire(None), QueueChange::Recall] {
            for stage in [&quarantined, &over(&quarantined)] {
                assert_eq!(status(&change, stage, &none), Err(Status::Forbidden));
                assert_eq!(status(&change, stage, &granted), Ok(()));
            }
            for stage in [&Stage::Deliver, &over(&Stage::Deliver)] {
                assert_eq!(status(&change, stage, &none), Ok(()));
            }
        }
        let release = QueueChange::Release;
        assert_eq!(
            status(&release, &quarantined, &none),
            Err(Status::Forbidden)
        );
        // It goes back into quarantine.
        assert_eq!(status(&release, &over(&quarantined), &none), Ok(()));
    }
}
