//! AUTH by sinks: what they say of a step, beside the users of the virtual server.
//!
//! A step goes to the sinks first. Whoever answers it with a challenge carries the exchange on, alone; a success ends it. Where
//! nobody answers, the service's own users are looked at, if the mechanism is one of theirs.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_events::context::Authentication;
use postern_events::inbound::{AuthAnswer, AuthSuccess};
use postern_events::ruling::Ruling;
use postern_smtp::reply::{Code, Reply};
use tokio::time::sleep_until;

use super::Reception;
use super::authentication::REFUSAL;
use super::ruling::{Refused, refusal};
use crate::front::replies;
use crate::metrics::labels::{AuthMechanism, AuthResult, LimitName};

/// What sinks say of a step.
pub(in crate::front) enum Word {
    /// The client is asked for more, by this binding.
    Challenge(Bytes, Arc<str>),
    /// The client is who it says.
    Success(Box<Vouched>),
    /// It is not, or cannot be asked now.
    Refused(Refused),
    /// Nobody has anything to say.
    None,
}

/// Who the client is, by the word of a sink.
#[derive(Debug)]
pub(in crate::front) struct Vouched {
    mechanism: Bytes,
    success: AuthSuccess,
}

impl Reception {
    /// Whether the client may begin an exchange that sinks look at.
    ///
    /// # Errors
    /// The reply that refuses it: too many have failed.
    pub(in crate::front) fn may_ask_sinks(&self) -> Result<(), Reply> {
        let Some(submission) = &self.server.submission else {
            return Ok(());
        };
        match submission.attempt_at_sinks(self.who) {
            Ok(attempt) => {
                attempt.not_made();
                Ok(())
            }
            Err(_) => {
                let limit = LimitName::FailuresPerClient;
                self.tools.metrics.count_limit(&self.server.name, limit);
                self.count_at_sinks(AuthResult::Barred);
                Err(replies::too_many_failures())
            }
        }
    }

    /// What a chain says of a step. `carried`: the binding that carries the exchange on.
    pub(in crate::front) async fn hear(
        &self,
        ruling: Ruling,
        mechanism: &Bytes,
        carried: bool,
        began: Instant,
    ) -> Word {
        if let Some(mut refused) = refusal(&ruling, &self.session) {
            refused.reply = as_refusal_of_auth(&refused.reply);
            self.note_refusal_by_sink(&refused);
            // Guessing takes time, and the time tells nothing.
            sleep_until((began + REFUSAL).into()).await;
            return Word::Refused(refused);
        }
        let by = ruling.answered_by.clone();
        match (ruling.typed::<AuthAnswer>().answer, by) {
            (Some(AuthAnswer::Challenge(challenge)), Some(by)) => Word::Challenge(challenge, by),
            (Some(AuthAnswer::Success(success)), _) => Word::Success(Box::new(Vouched {
                mechanism: mechanism.clone(),
                success,
            })),
            _ if carried => Word::Refused(Refused::by_service(replies::authentication_busy())),
            _ => Word::None,
        }
    }

    /// Nobody has answered for a mechanism that only sinks have.
    pub(in crate::front) async fn nobody_vouches(&self, began: Instant) -> Reply {
        let refused = Refused::by_service(replies::authentication_failed());
        self.note_refusal_by_sink(&refused);
        sleep_until((began + REFUSAL).into()).await;
        refused.reply
    }

    /// The client has heard that it is authenticated: what follows is that identity's.
    pub(in crate::front) fn note_success(&self, vouched: &Vouched) {
        let AuthSuccess {
            identity,
            authorization_identity,
            may_relay,
            tenant,
        } = vouched.success.clone();
        let authentication = Authentication {
            mechanism: vouched.mechanism.clone(),
            identity,
            authorization_identity,
        };
        let may_relay = may_relay || self.scope.may_relay();
        self.scope.authenticate(authentication, may_relay, tenant);
        self.note_vouched();
    }

    fn note_refusal_by_sink(&self, refused: &Refused) {
        let failed = refused.reply.code().is_permanent();
        if failed && let Some(submission) = &self.server.submission {
            // It counts as failed as it is dropped.
            drop(submission.attempt_at_sinks(self.who));
        }
        self.count_at_sinks(if failed {
            AuthResult::Failed
        } else {
            AuthResult::Busy
        });
        tracing::info!(
            session = %self.session, server = %self.server.name, client = self.client, binding = refused.by,
            sink = refused.by.as_deref().and_then(|by| self.sink_of(by)), reply = super::shown(&refused.reply),
            "authentication refused by a sink"
        );
    }

    pub(super) fn count_at_sinks(&self, result: AuthResult) {
        let mechanism = AuthMechanism::Sink;
        self.tools
            .metrics
            .count_authentication(&self.server.name, mechanism, result);
    }
}

/// A refusal with the code that AUTH has for it (RFC 4954 6), and its own text: by 535 and 454 clients know what to do.
fn as_refusal_of_auth(reply: &Reply) -> Reply {
    let number = match reply.code() {
        code if code.value() == 421 => return reply.clone(),
        code if code.is_transient() => 454,
        _ => 535,
    };
    let made = Code::new(number)
        .and_then(|code| Reply::new(code, reply.enhanced(), reply.text().to_vec()));
    made.unwrap_or_else(|_| replies::authentication_failed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_of_auth_has_a_code_of_auth() {
        for (code, enhanced, then) in [
            (550, "5.7.1", 535),
            (535, "5.7.8", 535),
            (451, "4.7.1", 454),
            (421, "4.7.0", 421),
        ] {
            let reply = Reply::parse(code, Some(enhanced), "not you").unwrap();
            let made = as_refusal_of_auth(&reply);
            assert_eq!(made.code().value(), then);
            assert_eq!(made.text(), reply.text());
            assert_eq!(made.enhanced(), reply.enhanced());
        }
    }
}
