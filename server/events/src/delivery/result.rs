//! `delivery.result`: what became of recipients in one attempt.

use std::borrow::Cow;
use std::time::Duration;

use postern_message::{AttemptId, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

use super::MessageSummary;
use crate::answer::NoAnswer;
use crate::context::{DeliveryContext, Remote};
use crate::event::EventKind;
use crate::question::{Event, EventFacts, Parties};
use crate::wire::{self, View};

/// What became of an attempt. Told only of attempts that took place.
#[derive(Clone, Debug)]
pub struct Result {
    /// The message.
    pub summary: MessageSummary,
    /// The attempt.
    pub attempt: AttemptId,
    /// Where it went. `None`: no connection was made.
    pub remote: Option<Remote>,
    /// The recipients of the attempt.
    pub recipients: Vec<RecipientResult>,
    /// Time since the message was accepted.
    pub age: Duration,
    /// Time that the attempt took.
    pub elapsed: Duration,
}

/// What became of one recipient in one attempt.
#[derive(Clone, Debug)]
pub struct RecipientResult {
    /// The recipient.
    pub id: RecipientId,
    /// Where it went.
    pub address: ForwardPath,
    /// The address as it was given. `None`: the same.
    pub given: Option<ForwardPath>,
    /// What became of it.
    pub status: DeliveryStatus,
    /// The remote's reply, or the gateway's own where there was none.
    pub reply: Option<Reply>,
    /// Attempts so far.
    pub attempts: u32,
    /// Time to the next attempt.
    pub retry_in: Option<Duration>,
    /// Where a failure arose.
    pub origin: FailureOrigin,
}

/// Where a failure arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureOrigin {
    /// At another host.
    Remote,
    /// At a mailbox store.
    Store,
    /// At the gateway itself.
    Gateway,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// In its mailbox, or at a server that reports by itself.
    Delivered,
    /// To be tried again.
    Deferred,
    /// Failed for good.
    Failed,
    /// Given up after the last retry.
    Expired,
    /// At a server that does not report by itself.
    Relayed,
}

impl DeliveryStatus {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Relayed => "relayed",
        }
    }
}

impl RecipientResult {
    fn shown(&self, view: &View<'_>) -> pb::RecipientResult {
        let status = match self.status {
            DeliveryStatus::Delivered => pb::DeliveryStatus::Delivered,
            DeliveryStatus::Deferred => pb::DeliveryStatus::Deferred,
            DeliveryStatus::Failed => pb::DeliveryStatus::Failed,
            DeliveryStatus::Expired => pb::DeliveryStatus::Expired,
            DeliveryStatus::Relayed => pb::DeliveryStatus::Relayed,
        };
        let origin = match (self.status, self.origin) {
            (DeliveryStatus::Expired, _) => pb::FailureOrigin::Expiry,
            (DeliveryStatus::Failed, FailureOrigin::Remote) => pb::FailureOrigin::Remote,
            (DeliveryStatus::Failed, FailureOrigin::Store) => pb::FailureOrigin::Store,
            (DeliveryStatus::Failed, FailureOrigin::Gateway) => pb::FailureOrigin::Routing,
            _ => pb::FailureOrigin::Unspecified,
        };
        let shown = view.reads.recipients;
        let address = |path: &ForwardPath| {
            if shown {
                wire::address(path)
            } else {
                bytes::Bytes::new()
            }
        };
        pb::RecipientResult {
            recipient_id: wire::id(self.id.as_bytes()),
            address: address(&self.address),
            status: status.into(),
            reply: self.reply.as_ref().map(wire::reply),
            attempt_count: self.attempts,
            retry_in: self.retry_in.map(wire::span),
            given_address: self.given.as_ref().map(address).unwrap_or_default(),
            failure_origin: origin.into(),
        }
    }
}

impl Parties for Result {
    fn sender(&self) -> &str {
        match &self.summary.sender {
            ReversePath::Null => "",
            ReversePath::Mailbox(mailbox) => mailbox.as_str(),
        }
    }

    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.recipients
            .iter()
            .any(|one| visit(wire::path(&one.address)))
    }
}

impl Event for Result {
    const KIND: EventKind = EventKind::DeliveryResult;
    type Context = DeliveryContext;
    type Answer = NoAnswer;

    fn body(&self, _: &DeliveryContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        Kind::DeliveryResult(
            pb::DeliveryResult {
                summary: Some(self.summary.shown(view)),
                attempt_id: wire::id(self.attempt.as_bytes()),
                remote: self.remote.as_ref().map(wire::remote),
                recipients: self.recipients.iter().map(|one| one.shown(view)).collect(),
                age: Some(wire::span(self.age)),
                elapsed: Some(wire::span(self.elapsed)),
            }
            .into(),
        )
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            parties: Some(self),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        let to: Vec<String> = self
            .recipients
            .iter()
            .take(3)
            .map(|one| format!("{} {}", wire::path(&one.address), one.status.name()))
            .collect();
        Cow::Owned(to.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;

    use super::*;
    use crate::samples;

    fn event(status: DeliveryStatus, origin: FailureOrigin) -> Result {
        let message = samples::message();
        Result {
            summary: MessageSummary::of(message.message(), message.session()),
            attempt: AttemptId::new(),
            remote: samples::outgoing().remote.into(),
            recipients: vec![RecipientResult {
                id: RecipientId::new(),
                address: samples::path("to@example.test"),
                given: Some(samples::path("given@example.test")),
                status,
                reply: Some(samples::reply(250, "taken")),
                attempts: 3,
                retry_in: Some(Duration::from_secs(60)),
                origin,
            }],
            age: Duration::from_secs(100),
            elapsed: Duration::from_millis(1500),
        }
    }

    #[test]
    fn every_status_is_told_whole_with_where_a_failure_arose() {
        use DeliveryStatus as D;
        use FailureOrigin as F;
        use pb::FailureOrigin as O;
        let context = samples::delivery().into();
        for (status, arose, shown, origin) in [
            (
                D::Delivered,
                F::Remote,
                pb::DeliveryStatus::Delivered,
                O::Unspecified,
            ),
            (
                D::Deferred,
                F::Remote,
                pb::DeliveryStatus::Deferred,
                O::Unspecified,
            ),
            (D::Failed, F::Remote, pb::DeliveryStatus::Failed, O::Remote),
            (
                D::Failed,
                F::Gateway,
                pb::DeliveryStatus::Failed,
                O::Routing,
            ),
            (D::Failed, F::Store, pb::DeliveryStatus::Failed, O::Store),
            (D::Expired, F::Store, pb::DeliveryStatus::Expired, O::Expiry),
            (
                D::Relayed,
                F::Remote,
                pb::DeliveryStatus::Relayed,
                O::Unspecified,
            ),
        ] {
            let event = event(status, arose);
            let reads = samples::all();
            let summary = event.summary.shown(&crate::testing::view(&reads));
            let told = pb::RecipientResult {
                recipient_id: wire::id(event.recipients[0].id.as_bytes()),
                address: Bytes::from_static(b"to@example.test"),
                status: shown.into(),
                reply: Some(samples::wire_reply(250, "taken")),
                attempt_count: 3,
                retry_in: Some(wire::span(Duration::from_secs(60))),
                given_address: Bytes::from_static(b"given@example.test"),
                failure_origin: origin.into(),
            };
            let expected = pb::DeliveryResult {
                summary: Some(summary),
                attempt_id: wire::id(event.attempt.as_bytes()),
                remote: Some(samples::wire_remote()),
                recipients: vec![told],
                age: Some(wire::span(Duration::from_secs(100))),
                elapsed: Some(wire::span(Duration::from_millis(1500))),
            };
            assert_eq!(
                samples::body(event, None, &context),
                Kind::DeliveryResult(expected.into())
            );
        }
    }

    #[test]
    fn rules_see_the_parties_and_who_reads_nothing_does_not() {
        let event = event(DeliveryStatus::Delivered, FailureOrigin::Remote);
        let parties = event.facts().parties.unwrap();
        assert_eq!(parties.sender(), "sender@example.test");
        assert!(parties.any_recipient(&mut |one| one == "to@example.test"));
        assert!(!parties.any_recipient(&mut |one| one == "given@example.test"));
        let blind = samples::blind_body(event, &samples::delivery().into());
        let Kind::DeliveryResult(blind) = blind else {
            panic!("{blind:?}");
        };
        let told = &blind.recipients[0];
        assert!(told.address.is_empty() && told.given_address.is_empty());
        assert!(blind.summary.unwrap().reverse_path.is_empty());
    }
}
