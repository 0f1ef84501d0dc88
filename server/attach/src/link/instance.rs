//! One instance on a stream.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use postern_proto::v1 as pb;

use crate::binding::WireBinding;

use super::actions::Actions;
use super::events::{InstanceId, Opening, Place};
use super::interest::Interest;
use super::ledger::Ledger;
use super::parts::VerdictBounds;
use super::reads::Reads;
use super::uploads::Uploads;

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It takes events.
    Open,
    /// The sink needs nothing further: it is closed as soon as nothing is open.
    Done,
    /// The caller has closed it: it waits for the answers to its actions.
    Closing(pb::CloseReason),
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) tag: u64,
    pub(crate) subject: Arc<str>,
    pub(crate) binding: Arc<WireBinding>,
    pub(crate) bounds: VerdictBounds,
    pub(crate) upload_credit: u64,
    /// It lives as long as its stream: never parked.
    pub(crate) lasting: bool,
    pub(crate) life: Life,
    pub(crate) ledger: Ledger,
    pub(crate) interest: Interest,
    pub(crate) reads: Reads,
    pub(crate) uploads: Uploads,
    pub(crate) actions: Actions,
    /// Verdicts whose fate the sink is still to hear.
    pub(crate) unsettled: BTreeSet<u64>,
    /// Since when it could be parked.
    pub(crate) idle_since: Option<Instant>,
}

impl Instance {
    pub(crate) fn new(id: InstanceId, opening: &Opening) -> Self {
        let mut interest = Interest::default();
        if let Some(message) = opening.message {
            interest.tell(message);
        }
        Self {
            id,
            tag: opening.tag,
            subject: Arc::clone(&opening.subject),
            binding: Arc::clone(&opening.binding),
            bounds: VerdictBounds::new(&opening.limits),
            upload_credit: u64::from(opening.limits.upload_credit_bytes),
            lasting: opening.scope == pb::Scope::Service,
            life: Life::Open,
            ledger: Ledger::default(),
            interest,
            reads: Reads::default(),
            uploads: Uploads::default(),
            actions: Actions::default(),
            unsettled: BTreeSet::new(),
            idle_since: None,
        }
    }

    /// Something keeps it from being closed: an open event, an unanswered action, a verdict whose fate is not known.
    pub(crate) fn is_busy(&self) -> bool {
        self.ledger.count() > 0 || self.actions.count() > 0 || !self.unsettled.is_empty()
    }

    /// Names it, and one of its events, for logs.
    pub(crate) fn place(&self, event_id: Option<u64>) -> Place {
        Place {
            instance: Some(self.id),
            binding: Some(Arc::clone(self.binding.name())),
            subject: Some(Arc::clone(&self.subject)),
            event_id,
            event: event_id.and_then(|id| self.ledger.kind(id)),
        }
    }
}
