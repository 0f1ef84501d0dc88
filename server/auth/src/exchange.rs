//! The mechanisms, step by step.

use std::fmt;

use bytes::Bytes;

use crate::name::UserName;
use crate::password::Password;
use crate::scram::{Awaited, ClientFirst, NONCE, ScramVerifier};

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM-SHA-256 (RFC 7677): the password is not shown.
    ScramSha256,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which has no RFC and is in use all the same.
    Login,
}

impl Mechanism {
    /// All, the best one first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The one with this name in upper case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|own| own.name().as_bytes() == name)
    }
}

/// What a client sent that its mechanism does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Who a client says it is.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its name. `None`: it gave one that no user can have.
    pub name: Option<UserName>,
    /// It wants to act for somebody else, which nobody may.
    pub for_another: bool,
}

impl Claim {
    fn new(name: &str, acts_for: Option<&str>) -> Self {
        let name = UserName::parse(name).ok();
        let acts_for = acts_for.map(UserName::parse);
        let for_another = acts_for.is_some_and(|other| other.ok() != name);
        Self { name, for_another }
    }
}

/// Name and password of a client, to be checked.
#[derive(Clone)]
pub struct Credentials {
    /// Who it says it is.
    pub claim: Claim,
    /// The password. `None`: one that no user can have.
    pub password: Option<Password>,
}

impl Credentials {
    fn new(name: &str, acts_for: Option<&str>, password: &[u8]) -> Self {
        Self {
            claim: Claim::new(name, acts_for),
            password: Password::parse(password).ok(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}

/// What comes of a step.
#[derive(Debug)]
pub enum Step {
    /// The client is to be sent this, and its answer goes into the next step.
    Challenge(Bytes, Exchange),
    /// The exchange is over: all hangs on the password.
    Check(Credentials),
    /// The exchange is over: the client has proved that it knows the password.
    Proved(Claim),
    /// The exchange is over: it has not.
    Failed(Claim),
}

/// The server's side of an exchange, between two steps.
pub struct Exchange(State);

enum State {
    Begin(Mechanism),
    LoginName,
    LoginPassword(String),
    ScramProof(Claim, Box<Awaited>),
    ScramEnd(Claim),
}

impl Exchange {
    /// An exchange that has not begun.
    #[must_use]
    pub const fn new(mechanism: Mechanism) -> Self {
        Self(State::Begin(mechanism))
    }

    /// Whose proof the next step checks. `None`: it checks none, so that nothing of a password comes to light by it.
    #[must_use]
    pub const fn claim(&self) -> Option<&Claim> {
        match &self.0 {
            State::ScramProof(claim, _) => Some(claim),
            _ => None,
        }
    }

    /// Takes the next step. `response` is what the client sent, `None` only where the command had no initial response.
    /// `verifier` finds what is kept of a password by the name that a client gives, for users who do not exist too.
    /// `nonce` is random.
    ///
    /// # Errors
    /// [`Malformed`]. The exchange is over.
    pub fn step(
        self,
        response: Option<&[u8]>,
        verifier: impl FnOnce(&str) -> ScramVerifier,
        nonce: &[u8; NONCE],
    ) -> Result<Step, Malformed> {
        let challenge = |text: &'static str, state| {
            Ok(Step::Challenge(
                Bytes::from_static(text.as_bytes()),
                Self(state),
            ))
        };
        match (self.0, response) {
            // Clients know LOGIN's questions by these words.
            (State::Begin(Mechanism::Login), None) => challenge("Username:", State::LoginName),
            (State::Begin(Mechanism::Login) | State::LoginName, Some(name)) => {
                let name = text(name)?.to_owned();
                challenge("Password:", State::LoginPassword(name))
            }
            (State::Begin(mechanism), None) => challenge("", State::Begin(mechanism)),
            (State::LoginPassword(name), Some(password)) => {
                Ok(Step::Check(Credentials::new(&name, None, password)))
            }
            (State::Begin(Mechanism::Plain), Some(message)) => plain(message).map(Step::Check),
            (State::Begin(Mechanism::ScramSha256), Some(message)) => {
                let first = ClientFirst::parse(message)?;
                let claim = Claim::new(&first.name, first.acts_for.as_deref());
                let key = claim.name.as_ref().map_or(&*first.name, UserName::key);
                let verifier = verifier(key);
                let (reply, awaited) = first.reply(verifier, nonce);
                let state = State::ScramProof(claim, Box::new(awaited));
                Ok(Step::Challenge(reply, Self(state)))
            }
            (State::ScramProof(claim, awaited), Some(message)) => {
                Ok(match awaited.verify(message)? {
                    Some(last) => Step::Challenge(last, Self(State::ScramEnd(claim))),
                    None => Step::Failed(claim),
                })
            }
            (State::ScramEnd(claim), Some(b"")) => Ok(Step::Proved(claim)),
            (State::ScramEnd(_), _) => Err(Malformed("the last answer of SCRAM is empty")),
            (_, None) => Err(Malformed("a response is missing")),
        }
    }
}

/// Without what the client said.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(..)")
    }
}

fn text(octets: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(octets).map_err(|_| Malformed("a name is not UTF-8"))
}

/// `[acts-for] NUL name NUL password`
fn plain(message: &[u8]) -> Result<Credentials, Malformed> {
    const BAD: Malformed = Malformed("PLAIN is name and password with NUL before each");
    let parts: Vec<&[u8]> = message.splitn(4, |&b| b == 0).collect();
    let [acts_for, name, password] = parts.as_slice() else {
        return Err(BAD);
    };
    let acts_for = text(acts_for)?;
    let acts_for = (!acts_for.is_empty()).then_some(acts_for);
    Ok(Credentials::new(text(name)?, acts_for, password))
}

#[cfg(test)]
mod tests;
