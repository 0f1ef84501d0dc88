//! What a sink does of its own accord: checked, bounded, handed to whoever carries it out, and answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_attach::{InstanceId, StreamId};
use postern_events::action::{self, Action, Deed, LookUp, Outcome, Status};
use postern_events::context::{Context as World, MessageContext};
use postern_events::picture::{Encodings, Picture};
use postern_events::plan::{Binding, Plan};
use postern_message::Message;
use postern_proto::v1 as pb;
use prost::Message as _;

use crate::actor::{Act, Acted, Found};
use crate::attached::Key;
use crate::observer::What;

use super::acts::Ended;
use super::task::SinkTask;

/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(45);

impl SinkTask {
    /// A sink wants something done.
    pub(super) fn act(
        &mut self,
        stream: StreamId,
        instance: InstanceId,
        key: Key,
        wanted: pb::SinkAction,
        now: Instant,
    ) {
        let action_id = wanted.action_id;
        let entry = self.instances.get_mut(key);
        let Some(opened_for) = entry.and_then(|entry| entry.attached.binding()) else {
            let closing = "the instance is being closed; send it on another";
            let result = Outcome::new(Status::Failed, closing).result(action_id);
            return self.answer_action(stream, instance, result);
        };
        let plan = self.plan.load_full();
        let checked = match self.acts.admit(now) {
            Ok(()) => check(wanted, &opened_for, &plan),
            Err(limited) => Err(limited),
        };
        let (action, binding, actor) = match (checked, &self.settings.acting.0) {
            (Ok((action, binding)), Some(actor)) => (action, binding, Arc::clone(actor)),
            (Ok(_), None) => {
                let refused = Outcome::new(Status::Failed, "this gateway takes no actions");
                return self.answer_action(stream, instance, refused.result(action_id));
            }
            (Err(outcome), _) => {
                let what = What::Acted {
                    deed: "refused",
                    status: outcome.status,
                    detail: &outcome.detail,
                    elapsed: Duration::ZERO,
                };
                self.observe(&opened_for.name, &self.replica_of(stream), what);
                return self.answer_action(stream, instance, outcome.result(action_id));
            }
        };
        if action.deed == Deed::LookUp(LookUp::Bindings) {
            return self.show_bindings(stream, instance, action_id);
        }
        let deed = action.deed.name();
        let act = Act {
            action,
            binding: Arc::clone(&binding),
            plan,
        };
        let doing = actor.act(act);
        self.acts.start(async move {
            let acted = tokio::time::timeout(PATIENCE, doing).await;
            let acted = acted.unwrap_or_else(|_| {
                Outcome::new(
                    Status::Failed,
                    "it is not done yet, and may be: send it again with the same key",
                )
                .into()
            });
            Ended {
                stream,
                instance,
                action_id,
                binding,
                deed,
                since: now,
                acted,
            }
        });
        self.stirred = true;
    }

    /// An action has come to its end.
    pub(super) fn acted(&mut self, ended: Ended) {
        let Ended {
            stream,
            instance,
            action_id,
            binding,
            deed,
            since,
            acted: Acted { outcome, found },
        } = ended;
        let what = What::Acted {
            deed,
            status: outcome.status,
            detail: &outcome.detail,
            elapsed: since.elapsed(),
        };
        self.observe(&binding.name, &self.replica_of(stream), what);
        let result = outcome.result(action_id);
        match found {
            None => self.answer_action(stream, instance, result),
            Some(Found::Link(link)) => {
                let found = pb::action_result::Found::Link(link.wire().into());
                let found = Some(found);
                self.answer_action(stream, instance, pb::ActionResult { found, ..result });
            }
            Some(Found::Message(message)) => {
                for result in snapshots(&message, &binding, &result) {
                    self.answer_action(stream, instance, result);
                }
            }
        }
    }

    fn show_bindings(&mut self, stream: StreamId, instance: InstanceId, action_id: u64) {
        let plan = self.plan.load_full();
        let own = plan
            .bindings()
            .iter()
            .filter(|binding| binding.sink.name == self.sink.name);
        let shown: Vec<pb::Binding> = own.map(|binding| binding.wire()).collect();
        let done = Outcome::done(Vec::new()).result(action_id);
        if shown.is_empty() {
            return self.answer_action(stream, instance, done);
        }
        let count = shown.len();
        for (place, binding) in shown.into_iter().enumerate() {
            let result = pb::ActionResult {
                more_follows: place + 1 < count,
                found: Some(pb::action_result::Found::Binding(binding.into())),
                ..done.clone()
            };
            self.answer_action(stream, instance, result);
        }
    }

    fn answer_action(&mut self, stream: StreamId, instance: InstanceId, result: pb::ActionResult) {
        if let Some(stream) = self.streams.touch(stream) {
            stream.link.answer_action(Instant::now(), instance, result);
        }
    }
}

/// Checks an action against the binding as the plan has it now: the instance may be older. With it comes that binding.
fn check(
    wanted: pb::SinkAction,
    opened_for: &Binding,
    plan: &Plan,
) -> Result<(Action, Arc<Binding>), Outcome> {
    let gone = || Outcome::new(Status::Forbidden, "the binding is there no more");
    let binding = Arc::clone(plan.same(opened_for).ok_or_else(gone)?);
    let action = action::check(wanted, &binding, plan)?;
    Ok((action, binding))
}

/// A message as a binding may see it, in results that fit into frames.
fn snapshots(
    message: &Arc<Message>,
    binding: &Binding,
    result: &pb::ActionResult,
) -> Vec<pb::ActionResult> {
    let failed = |detail: String| {
        let outcome = Outcome::new(Status::Failed, detail);
        vec![outcome.result(result.action_id)]
    };
    let world = MessageContext::new(Arc::clone(message));
    let world = match world {
        Ok(world) => World::from(world),
        Err(error) => return failed(format!("the message cannot be shown: {error}")),
    };
    let opening = Picture::new().open(&world, binding, &[], &mut Encodings::default());
    let snapshot = match opening {
        Ok(opening) => opening.snapshot,
        Err(fault) => return failed(fault.detail),
    };
    let pieces = snapshot.parts.iter().chain([&snapshot.first]);
    let mut results = Vec::with_capacity(snapshot.parts.len() + 1);
    for piece in pieces {
        let Ok(shown) = pb::Snapshot::decode(piece.clone()) else {
            return failed("the message cannot be shown".to_owned());
        };
        results.push(pb::ActionResult {
            more_follows: true,
            found: Some(pb::action_result::Found::Snapshot(shown.into())),
            ..result.clone()
        });
    }
    if let Some(last) = results.last_mut() {
        last.more_follows = false;
    }
    results
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use postern_events::plan::{BindingSpec, PlanSpec, ServerSpec, SinkSpec};

    use super::*;

    /// A plan of one binding; `None`: it is disabled.
    fn plan(may: Option<&str>, servers: &[&str]) -> Plan {
        let spec = PlanSpec {
            servers: vec![ServerSpec::new("in"), ServerSpec::new("out")],
            sinks: vec![SinkSpec {
                name: "sandbox".to_owned(),
                endpoints: vec!["unix:/s".to_owned()],
                ..SinkSpec::default()
            }],
            bindings: vec![BindingSpec {
                events: Some(vec!["inbound.connect".to_owned()]),
                may: Some(may.into_iter().map(str::to_owned).collect()),
                servers: servers.iter().map(|name| (*name).to_owned()).collect(),
                enabled: may.is_some(),
                ..BindingSpec::new("b", "sandbox")
            }],
        };
        Plan::build(spec, &HashMap::new()).unwrap()
    }

    #[test]
    fn a_binding_acts_as_it_is_now_whatever_its_instance_was_opened_with() {
        let before = plan(Some("act:look"), &[]);
        let opened_for = before.bindings().first().unwrap();
        let look = || pb::SinkAction {
            kind: Some(pb::sink_action::Kind::LookUp(pb::LookUp {
                what: Some(pb::look_up::What::Destination("x.test".into())),
            })),
            ..pb::SinkAction::default()
        };
        let status = |now: &Plan| check(look(), opened_for, now).map_err(|outcome| outcome.status);
        assert!(status(&before).is_ok());
        for now in [plan(None, &[]), plan(Some("act:queue"), &[]), Plan::empty()] {
            assert_eq!(status(&now).err(), Some(Status::Forbidden));
        }
        // Who carries it out is told what the binding serves now.
        let (_, binding) = status(&plan(Some("act:look"), &["out"])).unwrap();
        assert_eq!(*binding.servers, ["out"]);
    }
}
