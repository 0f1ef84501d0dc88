//! Mailbox stores: which binding keeps the mail of which recipient, and what each said.

use std::future::Future;
use std::sync::Arc;

use postern_events::event::EventKind;
use postern_events::judge;
use postern_events::plan::{Member, Stage};
use postern_events::question::Question;
use postern_events::ruling::{Decision, Ruling};
use postern_events::transport::{LocalDelivery, LocalDeliveryAnswer};
use postern_message::{AttemptId, RecipientId};

use crate::run::{Begin, Run};
use crate::scope::Scope;

/// Which sinks are asked to keep mail.
#[derive(Clone, Debug)]
pub enum Stores {
    /// The one that a next hop names.
    Named(Arc<str>),
    /// All but those that next hops name.
    Others(Arc<[Arc<str>]>),
}

impl Stores {
    fn has(&self, sink: &str) -> bool {
        match self {
            Self::Named(name) => **name == *sink,
            Self::Others(named) => named.iter().all(|name| **name != *sink),
        }
    }
}

/// What one binding said of some recipients.
#[derive(Debug)]
pub struct Said {
    /// The binding.
    pub binding: Arc<str>,
    /// Its sink.
    pub sink: Arc<str>,
    /// Whom it was asked about.
    pub recipients: Vec<RecipientId>,
    /// What it came to.
    pub ruling: Ruling<LocalDeliveryAnswer>,
}

impl Said {
    /// Nothing was said of this recipient, though the binding was asked.
    fn leaves_out(&self, id: RecipientId) -> bool {
        match (&self.ruling.decision, &self.ruling.answer) {
            (Decision::Proceed | Decision::Finish(_), Some(answer)) => {
                answer.statuses.iter().all(|(own, _)| *own != id)
            }
            (Decision::Proceed | Decision::Finish(_), None) => true,
            _ => false,
        }
    }
}

/// The recipients of one attempt.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    /// The recipients.
    pub recipients: Vec<RecipientId>,
    /// The attempt.
    pub attempt: AttemptId,
}

/// Asks `stores`, one binding after the other. Of a named one the first that fires for a recipient is asked about it and
/// no other; of others the next is asked about whom the one before left out. `begin` says how each question begins.
pub(crate) fn ask<F: Fn() -> Begin + Send>(
    scope: &Arc<Scope>,
    stores: &Stores,
    mailboxes: Mailboxes,
    begin: F,
) -> impl Future<Output = Vec<Said>> + Send + use<F> {
    let candidates = candidates(scope, stores, &mailboxes);
    let named = matches!(stores, Stores::Named(_));
    let scope = Arc::clone(scope);
    async move {
        let Mailboxes {
            recipients: mut left,
            attempt,
        } = mailboxes;
        let mut all = Vec::new();
        for (member, fires_for) in candidates {
            let asked: Vec<RecipientId> = fires_for
                .into_iter()
                .filter(|id| left.contains(id))
                .collect();
            if asked.is_empty() {
                continue;
            }
            let (binding, sink) = (
                Arc::clone(&member.binding.name),
                Arc::clone(&member.binding.sink.name),
            );
            let stage = Arc::new(Stage {
                event: EventKind::TransportLocalDelivery,
                members: vec![member],
            });
            let question = Question::new(LocalDelivery {
                recipients: asked.clone(),
                attempt,
            });
            let run = Run::new(&scope, stage, vec![question], begin());
            let said = Said {
                binding,
                sink,
                ruling: run.ruling(None).await.typed(),
                recipients: asked,
            };
            left.retain(|id| {
                let was_asked = said.recipients.contains(id);
                !was_asked || (!named && said.leaves_out(*id))
            });
            all.push(said);
        }
        all
    }
}

/// The bindings that may be asked, in their order, each with whom it fires for.
fn candidates(
    scope: &Arc<Scope>,
    stores: &Stores,
    mailboxes: &Mailboxes,
) -> Vec<(Member, Vec<RecipientId>)> {
    let Some(stage) = scope.stage(EventKind::TransportLocalDelivery) else {
        return Vec::new();
    };
    let state = scope.state();
    let fires_for = |member: &Member, id: RecipientId| {
        let question = Question::new(LocalDelivery {
            recipients: vec![id],
            attempt: mailboxes.attempt,
        });
        // One that cannot tell fails where it is asked.
        judge::fires(&member.binding, &state.context, &question).unwrap_or(true)
    };
    let own = stage
        .members
        .iter()
        .filter(|member| stores.has(&member.binding.sink.name));
    own.map(|member| {
        let recipients = mailboxes.recipients.iter().copied();
        let fires_for = recipients.filter(|id| fires_for(member, *id)).collect();
        // It is a chain of its own.
        let alone = Member {
            about: 0,
            after: None,
            ..member.clone()
        };
        (alone, fires_for)
    })
    .collect()
}
