//! What the service itself makes of AUTH: the users of the virtual server, and who has failed too often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_auth::{Claim, Credentials, Exchange, Mechanism, NONCE, Step, UserName, Users};
use postern_events::context::Authentication;
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;
use postern_smtp::server::AuthStep;
use tokio::time::sleep_until;

use super::Reception;
use crate::front::replies;
use crate::front::submission::{Attempt, Barred, Spent, Submission};
use crate::metrics::labels::{AuthMechanism, AuthResult, LimitName};

/// A refusal leaves no sooner than this after what it refuses: guessing takes time, and the time tells nothing.
pub(super) const REFUSAL: Duration = Duration::from_secs(1);

/// What comes of a step.
pub(in crate::front) enum Outcome {
    /// The client is asked for more.
    Challenge(Bytes, Running),
    /// The client is this user.
    Authenticated(Box<Authenticated>),
    /// It is not, or cannot be asked now.
    Refused(Reply),
}

/// An exchange between two steps.
pub(in crate::front) struct Running {
    exchange: Exchange,
    proof: Option<Proof>,
}

/// A proof that was right, in an exchange that is not over. The client has learned that its guess was right: unless it
/// ends the exchange and is authenticated by that, the attempt stays counted as failed, and is told as such.
struct Proof {
    attempt: Option<Attempt>,
    reception: Arc<Reception>,
    mechanism: Mechanism,
    user: Option<UserName>,
}

impl Proof {
    /// The exchange is over, and what came of it is told by others.
    fn conclude(mut self) -> Option<Attempt> {
        self.attempt.take()
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        if self.attempt.take().is_some() {
            let failure = Failure::Abandoned(self.user.take());
            self.reception.note_failure(self.mechanism, failure);
        }
    }
}

/// Who a client has proved to be.
#[derive(Debug)]
pub(in crate::front) struct Authenticated {
    user: UserName,
    mechanism: Mechanism,
}

/// How an exchange ended without success.
enum Failure {
    /// The credentials are wrong. Whether a name may stand in the log: it is that of a user.
    Wrong(Option<UserName>),
    /// The client broke off when it knew that its credentials are right.
    Abandoned(Option<UserName>),
    /// The client broke the mechanism.
    Malformed(&'static str),
    Barred(Barred),
    Busy,
}

/// Takes one step. `running` is what the step before has left.
pub(in crate::front) async fn step(
    reception: &Arc<Reception>,
    running: Option<Running>,
    step: AuthStep,
) -> Outcome {
    let began = Instant::now();
    let (Some(submission), Some(mechanism)) = (
        &reception.server.submission,
        Mechanism::named(&step.mechanism),
    ) else {
        return Outcome::Refused(replies::authentication_busy());
    };
    let running = running.filter(|_| step.step > 1).unwrap_or(Running {
        exchange: Exchange::new(mechanism),
        proof: None,
    });
    let taken = take(reception, submission, mechanism, running, step.response).await;
    let failure = match taken {
        Ok(outcome) => return outcome,
        Err(failure) => failure,
    };
    let reply = reception.note_failure(mechanism, failure);
    sleep_until((began + REFUSAL).into()).await;
    Outcome::Refused(reply)
}

async fn take(
    reception: &Arc<Reception>,
    submission: &Submission,
    mechanism: Mechanism,
    Running { exchange, proof }: Running,
    response: Option<Bytes>,
) -> Result<Outcome, Failure> {
    let users = submission.users();
    let mut nonce = [0; NONCE];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Failure::Busy)?;
    let name = |claim: &Claim| {
        let name = claim.name.as_ref()?;
        users.find(name).map(|user| user.name.clone())
    };
    let attempt = |claim: &Claim| {
        let attempt = submission.attempt(reception.who, claim.name.as_ref());
        attempt.map_err(Failure::Barred)
    };
    let proved = proof.and_then(Proof::conclude);
    // Counted before the proof is looked at: what answers a right one tells that it is right.
    let proving = match exchange.claim() {
        Some(claim) => Some((attempt(claim)?, name(claim))),
        None => None,
    };
    let step = match exchange.step(response.as_deref(), |key| users.verifier(key), &nonce) {
        Ok(step) => step,
        Err(error) => {
            if let Some((unproved, _)) = proving {
                unproved.not_made();
            }
            return Err(Failure::Malformed(error.0));
        }
    };
    let user = match step {
        Step::Challenge(challenge, exchange) => {
            let proof = proving.map(|(attempt, user)| Proof {
                attempt: Some(attempt),
                reception: Arc::clone(reception),
                mechanism,
                user,
            });
            return Ok(Outcome::Challenge(challenge, Running { exchange, proof }));
        }
        Step::Check(credentials) => {
            let attempt = attempt(&credentials.claim)?;
            let known = name(&credentials.claim);
            let checked = check(submission, &users, credentials).await;
            let Some(found) = checked else {
                attempt.not_made();
                return Err(Failure::Busy);
            };
            if !found {
                return Err(Failure::Wrong(known));
            }
            attempt.succeeded(Instant::now());
            known
        }
        Step::Proved(claim) => {
            let known = name(&claim);
            if claim.for_another || known.is_none() {
                return Err(Failure::Wrong(known));
            }
            if let Some(attempt) = proved {
                attempt.succeeded(Instant::now());
            }
            known
        }
        Step::Failed(claim) => return Err(Failure::Wrong(name(&claim))),
    };
    let Some(user) = user else {
        return Err(Failure::Wrong(None));
    };
    Ok(Outcome::Authenticated(Box::new(Authenticated {
        user,
        mechanism,
    })))
}

/// Whether name and password are right; `None` if there is no time to find out.
async fn check(
    submission: &Submission,
    users: &Arc<Users>,
    credentials: Credentials,
) -> Option<bool> {
    let users = Arc::clone(users);
    let checked = submission.checks().check(users, credentials).await;
    checked.ok().map(|found| found.is_some())
}

impl Reception {
    /// The client has heard that it is authenticated: what follows is its user's.
    pub(in crate::front) fn note_authenticated(&self, who: &Authenticated) {
        self.scope.authenticate(
            Authentication {
                mechanism: Bytes::from_static(who.mechanism.name().as_bytes()),
                identity: Bytes::copy_from_slice(who.user.as_str().as_bytes()),
                authorization_identity: Bytes::new(),
            },
            true,
            String::new(),
        );
        // The machine lets no session authenticate twice.
        let _first = self.user.set(who.user.clone());
        self.count_authentication(who.mechanism, AuthResult::Ok);
        tracing::info!(
            session = %self.session, server = %self.server.name, client = self.client,
            user = self.show_user(&who.user), mechanism = who.mechanism.name(), "authenticated"
        );
    }

    /// The users of the virtual server can authenticate by this mechanism.
    pub(in crate::front) fn has_mechanism(&self, name: &[u8]) -> bool {
        self.server.submission.is_some() && Mechanism::named(name).is_some()
    }

    /// A sink has said who the client is, by its certificate or by an exchange that it carried on: what follows is that
    /// identity's.
    pub(in crate::front) fn note_vouched(&self) {
        let session = self.scope.session();
        let own = session.as_ref().and_then(|own| own.authentication.as_ref());
        let Some(own) = own else {
            return;
        };
        let name = std::str::from_utf8(&own.identity).ok();
        let name = name.and_then(|name| UserName::parse(name).ok());
        // The machine lets no session authenticate twice.
        let _first = self.vouched.set(counted_as(name.as_ref(), &own.identity));
        tracing::info!(
            session = %self.session, server = %self.server.name, client = self.client,
            user = name.as_ref().map(|user| self.show_user(user)),
            mechanism = std::str::from_utf8(&own.mechanism).ok().filter(|name| !name.is_empty()),
            "authenticated by a sink"
        );
        if let Some(name) = name {
            let _first = self.user.set(name);
        }
        self.count_at_sinks(AuthResult::Ok);
    }

    /// Whether the session's user may begin a message from this sender. On a server without users anybody may, and so may
    /// whoever a sink answers for, unless it is a user of the file.
    ///
    /// # Errors
    /// The reply that refuses it.
    pub(in crate::front) fn judge_sender(&self, sender: &ReversePath) -> Result<(), Reply> {
        let Some(submission) = &self.server.submission else {
            return Ok(());
        };
        if self.vouched.get().is_some() {
            let user = self.user.get();
            let user = user.filter(|user| submission.users().find(user).is_some());
            return user.map_or(Ok(()), |user| submission.judge_sender(user, sender));
        }
        // The machine takes no MAIL before AUTH.
        let user = self.user.get().ok_or_else(replies::no_user_any_more)?;
        submission.judge_sender(user, sender)
    }

    /// Counts one more message of the session's user.
    ///
    /// # Errors
    /// The reply that refuses it.
    pub(in crate::front) fn count_message(&self) -> Result<(), Reply> {
        self.count_against(Submission::count_message)
    }

    /// Counts one more recipient of the session's user.
    ///
    /// # Errors
    /// The reply that refuses it.
    pub(in crate::front) fn count_recipient(&self) -> Result<(), Reply> {
        self.count_against(Submission::count_recipient)
    }

    fn count_against(
        &self,
        count: impl Fn(&Submission, &str) -> Result<(), Spent>,
    ) -> Result<(), Reply> {
        let vouched = self.vouched.get().map(String::as_str);
        let name = vouched.or_else(|| self.user.get().map(UserName::key));
        let Some((submission, name)) = self.server.submission.as_ref().zip(name) else {
            return Ok(());
        };
        count(submission, name).map_err(|spent| {
            let (limit, reply) = match spent {
                Spent::Messages => (
                    LimitName::MessagesPerHour,
                    replies::too_many_messages_an_hour(),
                ),
                Spent::Recipients => (
                    LimitName::RecipientsPerHour,
                    replies::too_many_recipients_an_hour(),
                ),
            };
            self.tools.metrics.count_limit(&self.server.name, limit);
            reply
        })
    }

    /// A user as it may stand in the log.
    pub(in crate::front) fn show_user(&self, user: &UserName) -> String {
        self.tools.addresses.show_name(user.as_str())
    }

    /// Logs and counts a failure, and gives the reply to it. A name that is no user's may be a password that somebody typed
    /// in the wrong place: it is not logged.
    fn note_failure(&self, mechanism: Mechanism, failure: Failure) -> Reply {
        let (result, why, user, limit) = match &failure {
            Failure::Wrong(user) => (AuthResult::Failed, "wrong credentials", user.as_ref(), None),
            Failure::Abandoned(user) => (
                AuthResult::Abandoned,
                "given up after a right proof",
                user.as_ref(),
                None,
            ),
            Failure::Malformed(what) => (AuthResult::Malformed, *what, None, None),
            Failure::Busy => (AuthResult::Busy, "too much to check", None, None),
            Failure::Barred(Barred::Client) => {
                let limit = Some(LimitName::FailuresPerClient);
                (
                    AuthResult::Barred,
                    "too many failures of this client",
                    None,
                    limit,
                )
            }
            Failure::Barred(Barred::User) => {
                let limit = Some(LimitName::FailuresPerUser);
                (
                    AuthResult::Barred,
                    "too many failures for this name",
                    None,
                    limit,
                )
            }
        };
        self.count_authentication(mechanism, result);
        if let Some(limit) = limit {
            self.tools.metrics.count_limit(&self.server.name, limit);
        }
        let is_told = limit.is_none()
            || (self.server.submission.as_ref()).is_some_and(|own| own.tells_of_barred(self.who));
        if is_told {
            tracing::info!(
                session = %self.session, server = %self.server.name, client = self.client,
                user = user.map(|user| self.show_user(user)), mechanism = mechanism.name(), why, "authentication failed"
            );
        }
        match failure {
            Failure::Wrong(_) | Failure::Abandoned(_) => replies::authentication_failed(),
            Failure::Malformed(what) => replies::malformed_response(what),
            Failure::Barred(_) => replies::too_many_failures(),
            Failure::Busy => replies::authentication_busy(),
        }
    }

    fn count_authentication(&self, mechanism: Mechanism, result: AuthResult) {
        let mechanism = match mechanism {
            Mechanism::ScramSha256 => AuthMechanism::ScramSha256,
            Mechanism::Plain => AuthMechanism::Plain,
            Mechanism::Login => AuthMechanism::Login,
        };
        self.tools
            .metrics
            .count_authentication(&self.server.name, mechanism, result);
    }
}

/// The name under which is counted what an identity sends that a sink has named. One that can be no user's has its own, which is
/// no user's either: none has a NUL.
fn counted_as(name: Option<&UserName>, identity: &[u8]) -> String {
    match name {
        Some(name) => name.key().to_owned(),
        None => format!("\0{}", identity.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn whoever_a_sink_names_has_a_count_of_its_own() {
        let counted = |identity: &[u8]| {
            let name = std::str::from_utf8(identity).ok();
            let name = name.and_then(|name| UserName::parse(name).ok());
            counted_as(name.as_ref(), identity)
        };
        assert_eq!(counted(b"Anna"), UserName::parse("anna").unwrap().key());
        let odd: [&[u8]; 4] = [b"\xff", b"\xfe", b"device\n7", b"\0anna"];
        for (place, one) in odd.iter().enumerate() {
            let counted_one = counted(one);
            assert!(counted_one.starts_with('\0'), "{counted_one:?}");
            for other in &odd[place + 1..] {
                assert_ne!(counted_one, counted(other));
            }
        }
    }
}
