//! Verdicts and how they are built.

use std::time::Duration;

use bytes::Bytes;

use crate::address::{Address, Id};
use crate::message::HeaderValue;
use crate::v1::{self, answer, auth_answer, decision::Kind, edit, expansion, header_place};
use crate::{Reply, Value};

/// What a sink decides about an event.
///
/// Made by a constructor that names the decision, completed by the methods that follow:
///
/// ```
/// use postern_sdk::Verdict;
/// let verdict = Verdict::reject("Too many recipients").reason("too-many").explain("12 of at most 10");
/// ```
///
/// Before it is sent it is checked against the table, the binding's grants and the gateway's limits; one that breaks a
/// rule becomes a fault that names it.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a verdict does nothing unless the handler returns it"]
pub struct Verdict(Box<v1::Verdict>);

impl Verdict {
    /// No objection: the next binding, and at last the service's own handling.
    pub fn proceed() -> Self {
        Self::of(Kind::Proceed(v1::Proceed {}))
    }

    /// A permanent refusal. Text alone goes with 550.
    pub fn reject(reply: impl Into<Reply>) -> Self {
        let reply = Some(reply.into().into_proto(550));
        Self::of(Kind::Reject(v1::Reject { reply }))
    }

    /// A temporary refusal. Text alone goes with 451.
    pub fn tempfail(reply: impl Into<Reply>) -> Self {
        let reply = Some(reply.into().into_proto(451));
        Self::of(Kind::Tempfail(v1::Tempfail { reply }))
    }

    /// The reply, then the connection ends. Text alone goes with 421.
    pub fn disconnect(reply: impl Into<Reply>) -> Self {
        let reply = Some(reply.into().into_proto(421));
        Self::of(Kind::Disconnect(v1::Disconnect { reply }))
    }

    /// The sink answered a command that changes nothing in the service. Text alone goes with 250. Grant `respond`.
    pub fn respond(reply: impl Into<Reply>) -> Self {
        let reply = Some(reply.into().into_proto(250));
        Self::of(Kind::Respond(v1::Respond { reply }))
    }

    /// The chain of this event ends here; later bindings are not asked. Grant `finish`.
    pub fn finish() -> Self {
        let scope = v1::FinishScope::Event.into();
        Self::of(Kind::Finish(v1::Finish { scope }))
    }

    /// As [`finish`](Self::finish), for this message's remaining inbound events too.
    pub fn finish_message() -> Self {
        let scope = v1::FinishScope::Message.into();
        Self::of(Kind::Finish(v1::Finish { scope }))
    }

    /// Accepted and dropped, on record. Grant `discard`.
    pub fn discard() -> Self {
        Self::of(Kind::Discard(v1::Discard {}))
    }

    /// Accepted and kept until a person acts. Grant `quarantine`.
    pub fn quarantine(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::of(Kind::Quarantine(v1::Quarantine { reason }))
    }

    /// Accepted, kept, and judged again from this binding on when it is released. Grant `hold`.
    pub fn hold(reason: impl Into<String>) -> Self {
        Self::of(Kind::Hold(v1::Hold {
            reason: reason.into(),
            at_most: None,
        }))
    }

    /// As [`hold`](Self::hold); it is judged again after `at_most` without a release.
    pub fn hold_at_most(reason: impl Into<String>, at_most: Duration) -> Self {
        Self::of(Kind::Hold(v1::Hold {
            reason: reason.into(),
            at_most: Some(duration(at_most)),
        }))
    }

    /// Accepted, kept, and judged again from this binding on after `wait`. Grant `postpone`.
    pub fn postpone(wait: Duration) -> Self {
        let wait = Some(duration(wait));
        Self::of(Kind::Postpone(v1::Postpone { wait }))
    }

    /// Sets a code for metrics: few different ones, `[a-z0-9][a-z0-9._-]{0,62}`.
    pub fn reason(mut self, code: impl Into<String>) -> Self {
        self.0.reason_code = code.into();
        self
    }

    /// Explains the verdict in the operator's trace. No client reads it.
    pub fn explain(mut self, explanation: impl Into<String>) -> Self {
        self.0.explanation = explanation.into();
        self
    }

    /// Adds a warning for the gateway's log.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.0.warnings.push(warning.into());
        self
    }

    /// Makes the gateway wait so long before it replies (tarpit). At most 30 s.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.0.delay = Some(duration(delay));
        self
    }

    /// Lets the gateway use the same verdict for so long without asking, for events that agree in the attributes `keys`
    /// (all of them, if it is empty). Dropped where the gateway keeps no verdicts.
    pub fn cache_for(mut self, lifetime: Duration, keys: &[&str]) -> Self {
        self.0.cache_for = Some(duration(lifetime));
        self.0.cache_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    /// Sets a property of the session, in the sink's own namespace.
    pub fn session_property(self, key: &str, value: impl Into<Value>) -> Self {
        self.property(v1::PropertyScope::Session, Bytes::new(), key, value.into())
    }

    /// Sets a property of the message, in the sink's own namespace.
    pub fn message_property(self, key: &str, value: impl Into<Value>) -> Self {
        self.property(v1::PropertyScope::Message, Bytes::new(), key, value.into())
    }

    /// Sets a property of a recipient, in the sink's own namespace.
    pub fn recipient_property(self, recipient: &Id, key: &str, value: impl Into<Value>) -> Self {
        let recipient_id = recipient.as_bytes().clone();
        self.property(
            v1::PropertyScope::Recipient,
            recipient_id,
            key,
            value.into(),
        )
    }

    /// Adds a header field behind all others. Grant `headers:NAME`, as for the edits that follow. Nothing of the message
    /// need be shown.
    pub fn append_header(self, name: &str, value: impl Into<HeaderValue>) -> Self {
        self.insert_header(
            header_place::Kind::Last(v1::LastPlace {}),
            name,
            value.into(),
        )
    }

    /// Adds a header field before all others.
    pub fn prepend_header(self, name: &str, value: impl Into<HeaderValue>) -> Self {
        self.insert_header(
            header_place::Kind::First(v1::FirstPlace {}),
            name,
            value.into(),
        )
    }

    /// Makes this the only field of its name: at the place of the first, or behind all others.
    pub fn set_header(self, name: &str, value: impl Into<HeaderValue>) -> Self {
        self.edit(edit::Kind::SetHeader(v1::SetHeader {
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: value.into().into_bytes(),
            ..Default::default()
        }))
    }

    /// Removes all fields of this name, or with this prefix if a star follows it.
    pub fn remove_headers(self, name: &str) -> Self {
        let name = Bytes::copy_from_slice(name.as_bytes());
        self.edit(edit::Kind::RemoveHeaders(v1::RemoveHeaders { name }))
    }

    /// Gives the recipient another address. Grant `recipients`.
    pub fn rewrite_recipient(self, recipient: &Id, address: &Address) -> Self {
        self.edit(edit::Kind::RewriteRecipient(v1::RewriteRecipient {
            recipient_id: recipient.as_bytes().clone(),
            address: address.to_string().into(),
        }))
    }

    /// Makes any other edit of the protocol.
    pub fn edit(mut self, edit: edit::Kind) -> Self {
        self.0.edits.push(v1::Edit { kind: Some(edit) });
        self
    }

    /// Decides otherwise for these recipients; the verdict's own decision stands for the others.
    pub fn for_recipients(
        mut self,
        recipients: impl IntoIterator<Item = Id>,
        verdict: Verdict,
    ) -> Self {
        self.0.recipients.push(v1::RecipientDecision {
            recipient_ids: recipients.into_iter().map(Bytes::from).collect(),
            decision: verdict.0.decision,
        });
        self
    }

    /// Branches the message: these recipients get these edits instead of the verdict's own.
    pub fn fork(mut self, fork: v1::Fork) -> Self {
        self.0.forks.push(fork);
        self
    }

    /// Says at `inbound.rcpt` that the address is one of the service's own. Grant `admit`.
    pub fn admit_hosted(self) -> Self {
        self.admit(v1::RecipientKind::Hosted)
    }

    /// Says at `inbound.rcpt` that the client may send to this address. Grants `admit` and `relay`.
    pub fn admit_relayed(self) -> Self {
        self.admit(v1::RecipientKind::Relayed)
    }

    /// Says at `inbound.rcpt` that the recipient belongs to this tenant: `[a-z0-9][a-z0-9.-]{0,62}`. Grant `tenant`. Goes
    /// together with [`admit_hosted`](Self::admit_hosted) and [`admit_relayed`](Self::admit_relayed).
    pub fn of_tenant(mut self, tenant: impl Into<String>) -> Self {
        let mut said = match self.take_answer() {
            Some(answer::Kind::Rcpt(said)) => said,
            _ => v1::RcptAnswer::default(),
        };
        said.tenant = tenant.into();
        self.answer(answer::Kind::Rcpt(said))
    }

    /// Answers a command that changes nothing in the service with this reply, a 3xx, and wants a line of at most
    /// `most` octets next (0: as the gateway takes it): it comes as another `inbound.command`. Text alone goes with 354.
    /// Grant `respond`.
    pub fn ask_line(reply: impl Into<Reply>, most: u64) -> Self {
        let line = v1::ExpectLine { max_bytes: most };
        Self::going_on(Some(reply.into()), v1::dialogue_answer::Expects::Line(line))
    }

    /// As [`ask_line`](Self::ask_line), for so many octets as they are, 1 to 512 KiB. Without a reply the client sends them
    /// of its own accord, right behind what it said.
    pub fn ask_octets(reply: Option<Reply>, octets: u64) -> Self {
        let octets = v1::ExpectOctets { size_bytes: octets };
        Self::going_on(reply, v1::dialogue_answer::Expects::Octets(octets))
    }

    /// Offers these mechanisms of AUTH at `inbound.helo`, upper case. Grant `authenticated`.
    pub fn offer_mechanisms(self, names: &[&str]) -> Self {
        let names = names
            .iter()
            .map(|name| Bytes::copy_from_slice(name.as_bytes()));
        let names = names.collect();
        self.auth(auth_answer::Kind::Mechanisms(v1::AuthMechanisms { names }))
    }

    /// Asks the client for more at `inbound.auth`, at most 369 octets before base64. Grant `authenticated`.
    pub fn challenge(challenge: impl Into<Bytes>) -> Self {
        let challenge = challenge.into();
        Self::proceed().auth(auth_answer::Kind::Challenge(v1::AuthChallenge {
            challenge,
        }))
    }

    /// Says at `inbound.auth` that the client is this identity. Grant `authenticated`. For relaying and a tenant give
    /// [`v1::AuthSuccess`] to [`answer`](Self::answer).
    pub fn authenticated(identity: impl Into<Bytes>) -> Self {
        Self::proceed().auth(auth_answer::Kind::Success(v1::AuthSuccess {
            identity: identity.into(),
            ..Default::default()
        }))
    }

    /// Puts these lines behind the reply that is about to be sent, at `inbound.response`; behind one to EHLO they are
    /// keywords with their arguments, with the grant `ehlo`.
    pub fn append_lines(mut self, lines: &[&str]) -> Self {
        let mut said = self.take_response();
        let lines = lines
            .iter()
            .map(|line| Bytes::copy_from_slice(line.as_bytes()));
        said.added_lines.extend(lines);
        self.answer(answer::Kind::Response(said))
    }

    /// Takes these keywords out of the reply to EHLO or LHLO, at `inbound.response`: the service then refuses their use.
    /// Grant `ehlo`.
    pub fn remove_keywords(mut self, keywords: &[&str]) -> Self {
        let mut said = self.take_response();
        let keywords = keywords
            .iter()
            .map(|word| Bytes::copy_from_slice(word.as_bytes()));
        said.removed_keywords.extend(keywords);
        self.answer(answer::Kind::Response(said))
    }

    /// Replaces the reply that is about to be sent, at `inbound.response`. Its first digit must stay.
    pub fn replace_reply(mut self, reply: impl Into<Reply>) -> Self {
        let mut said = self.take_response();
        said.reply = Some(reply.into().into_proto(250));
        self.answer(answer::Kind::Response(said))
    }

    /// Says at `transport.categorize` and `transport.expand` that this recipient stands for these addresses. Grant
    /// `recipients`. Several of these for one recipient add up.
    pub fn members<A: AsRef<[u8]>>(
        self,
        recipient_id: &[u8],
        addresses: impl IntoIterator<Item = A>,
    ) -> Self {
        let recipients = addresses.into_iter().map(|address| v1::AddRecipient {
            address: Bytes::copy_from_slice(address.as_ref()),
            ..Default::default()
        });
        self.expands(
            recipient_id,
            expansion::Kind::Members(v1::Members {
                recipients: recipients.collect(),
                ..Default::default()
            }),
        )
    }

    /// Says at `transport.categorize` and `transport.expand` that mail for this recipient goes to this address; with an
    /// empty one, to the one that it has. Nobody else is asked about it. Grant `recipients`.
    pub fn final_address(self, recipient_id: &[u8], address: impl AsRef<[u8]>) -> Self {
        self.expands(
            recipient_id,
            expansion::Kind::FinalAddress(v1::FinalAddress {
                address: Bytes::copy_from_slice(address.as_ref()),
                ..Default::default()
            }),
        )
    }

    /// Says at `transport.categorize` and `transport.expand` that there is no such recipient. Grant `recipients`.
    pub fn no_such_recipient(self, recipient_id: &[u8]) -> Self {
        let unknown = v1::NoSuchRecipient::default();
        self.expands(recipient_id, expansion::Kind::Unknown(unknown))
    }

    /// Adds to the answer `expansion`.
    fn expands(mut self, recipient_id: &[u8], kind: expansion::Kind) -> Self {
        let expansion = v1::Expansion {
            recipient_id: Bytes::copy_from_slice(recipient_id),
            kind: Some(kind),
        };
        if let Some(answer) = &mut self.0.answer
            && let Some(answer::Kind::Expansion(answer)) = &mut answer.kind
        {
            answer.expansions.push(expansion);
            return self;
        }
        self.answer(answer::Kind::Expansion(v1::ExpansionAnswer {
            expansions: vec![expansion],
        }))
    }

    /// Gives the typed answer, where the event asks a question.
    pub fn answer(mut self, answer: answer::Kind) -> Self {
        self.0.answer = Some(Box::new(v1::Answer { kind: Some(answer) }));
        self
    }

    /// The decision, as the protocol has it.
    pub fn decision(&self) -> Option<&Kind> {
        self.0.decision.as_ref()?.kind.as_ref()
    }

    /// The whole verdict, as the protocol has it.
    pub fn as_proto(&self) -> &v1::Verdict {
        &self.0
    }

    pub(crate) fn into_proto(self) -> v1::Verdict {
        *self.0
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn from_proto(verdict: v1::Verdict) -> Self {
        Self(Box::new(verdict))
    }

    /// Whether the message lives on, so that edits mean something.
    pub(crate) fn keeps_the_message(&self) -> bool {
        matches!(
            self.decision(),
            Some(
                Kind::Proceed(_)
                    | Kind::Finish(_)
                    | Kind::Quarantine(_)
                    | Kind::Hold(_)
                    | Kind::Postpone(_)
            )
        )
    }

    pub(crate) fn add_edits(&mut self, edits: impl IntoIterator<Item = edit::Kind>) {
        let edits = edits.into_iter().map(|kind| v1::Edit { kind: Some(kind) });
        self.0.edits.extend(edits);
    }

    pub(crate) fn proto_mut(&mut self) -> &mut v1::Verdict {
        &mut self.0
    }

    fn of(kind: Kind) -> Self {
        Self(Box::new(v1::Verdict {
            decision: Some(v1::Decision { kind: Some(kind) }),
            ..Default::default()
        }))
    }

    fn admit(mut self, kind: v1::RecipientKind) -> Self {
        let mut said = match self.take_answer() {
            Some(answer::Kind::Rcpt(said)) => said,
            _ => v1::RcptAnswer::default(),
        };
        said.recipient_kind = kind.into();
        self.answer(answer::Kind::Rcpt(said))
    }

    fn take_answer(&mut self) -> Option<answer::Kind> {
        self.0.answer.take().and_then(|answer| answer.kind)
    }

    fn take_response(&mut self) -> v1::ResponseAnswer {
        match self.take_answer() {
            Some(answer::Kind::Response(said)) => said,
            _ => v1::ResponseAnswer::default(),
        }
    }

    fn auth(self, kind: auth_answer::Kind) -> Self {
        self.answer(answer::Kind::Auth(v1::AuthAnswer { kind: Some(kind) }))
    }

    fn going_on(reply: Option<Reply>, expects: v1::dialogue_answer::Expects) -> Self {
        let reply = reply.map(|reply| reply.into_proto(354));
        Self::of(Kind::Respond(v1::Respond::default())).answer(answer::Kind::Dialogue(
            v1::DialogueAnswer {
                reply,
                expects: Some(expects),
            },
        ))
    }

    fn insert_header(self, place: header_place::Kind, name: &str, value: HeaderValue) -> Self {
        self.edit(edit::Kind::InsertHeader(v1::InsertHeader {
            place: Some(v1::HeaderPlace { kind: Some(place) }),
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: value.into_bytes(),
        }))
    }

    fn property(
        mut self,
        scope: v1::PropertyScope,
        recipient_id: Bytes,
        key: &str,
        value: Value,
    ) -> Self {
        self.0.properties.push(v1::PropertyEdit {
            scope: scope.into(),
            recipient_id,
            key: key.to_owned(),
            value: Some(value.into_proto()),
            lifetime: v1::PropertyLifetime::Unspecified.into(),
        });
        self
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    // Longer than the protocol can say is as long as it can say; the gateway's bounds are far below.
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: 315_576_000_000,
        nanos: 0,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_recipients_stand_for_adds_up_to_one_answer() {
        let verdict = Verdict::proceed()
            .members(b"1", ["a@x.test", "b@x.test"])
            .final_address(b"2", "c@x.test")
            .no_such_recipient(b"3");
        let answer = verdict.as_proto().answer.as_ref().unwrap();
        let Some(answer::Kind::Expansion(answer)) = &answer.kind else {
            panic!("{answer:?}");
        };
        let kinds: Vec<_> = answer
            .expansions
            .iter()
            .map(|one| (&one.recipient_id[..], one.kind.as_ref().unwrap()))
            .collect();
        assert!(matches!(
            kinds[..],
            [
                (b"1", expansion::Kind::Members(_)),
                (b"2", expansion::Kind::FinalAddress(_)),
                (b"3", expansion::Kind::Unknown(_)),
            ]
        ));
    }
}
