//! All users of a file.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use postern_smtp::address::Mailbox;

use crate::exchange::Credentials;
use crate::name::UserName;
use crate::password::PasswordHash;
use crate::scram::ScramVerifier;
use crate::sender::Sender;

/// Iterations of the verifiers of users who do not exist, where no user has one to take the number from.
pub(crate) const ITERATIONS: NonZeroU32 = match NonZeroU32::new(100_000) {
    Some(iterations) => iterations,
    None => NonZeroU32::MIN,
};

/// Why a file of users cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// It is no TOML, or its tables are others than ours.
    #[error("line {line}: {what}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// An entry cannot be used.
    #[error("line {line}: user \"{name}\": {what}")]
    Entry {
        /// The line, from 1.
        line: usize,
        /// Whose entry it is.
        name: String,
        /// What is wrong.
        what: String,
    },
}

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub name: UserName,
    /// The hash of the password.
    pub password: PasswordHash,
    /// What SCRAM is checked by. `None`: the user cannot use it.
    pub scram: Option<ScramVerifier>,
    /// Which senders the user may name.
    pub senders: Vec<Sender>,
}

impl User {
    /// Whether the user may name this sender.
    #[must_use]
    pub fn may_send_as(&self, sender: &Mailbox) -> bool {
        self.senders.iter().any(|own| own.allows(sender))
    }
}

/// All users of a file, and what stands in for those who do not exist: who asks for them reads the same, and waits as
/// long.
#[derive(Debug)]
pub struct Users {
    by_key: HashMap<String, Arc<User>>,
    secret: [u8; 32],
    nobody: PasswordHash,
    iterations: NonZeroU32,
}

impl Users {
    /// `secret` is random, and the same as long as the file is.
    #[must_use]
    pub fn new(users: impl IntoIterator<Item = User>, secret: [u8; 32]) -> Self {
        let by_key: HashMap<_, _> = users
            .into_iter()
            .map(|user| (user.name.key().to_owned(), Arc::new(user)))
            .collect();
        let cost = most_common(by_key.values().map(|user| user.password.cost()), |cost| {
            (cost.memory, cost.passes, cost.lanes)
        });
        let of_scram = by_key.values().filter_map(|user| user.scram.as_ref());
        let iterations = most_common(of_scram.map(ScramVerifier::iterations), |own| own.get());
        let salt = [0x70; 16];
        Self {
            nobody: PasswordHash::of_nobody(secret, salt, cost.unwrap_or_default()),
            iterations: iterations.unwrap_or(ITERATIONS),
            by_key,
            secret,
        }
    }

    /// The user of this name.
    #[must_use]
    pub fn find(&self, name: &UserName) -> Option<&Arc<User>> {
        self.by_key.get(name.key())
    }

    /// What SCRAM is checked by; of a user who does not exist, or has none, one that nothing proves.
    #[must_use]
    pub fn verifier(&self, key: &str) -> ScramVerifier {
        let own = self.by_key.get(key).and_then(|user| user.scram.clone());
        own.unwrap_or_else(|| ScramVerifier::of_nobody(&self.secret, key, self.iterations))
    }

    /// What [`check`](Self::check) takes of memory, in KiB.
    #[must_use]
    pub fn memory_to_check(&self, credentials: &Credentials) -> u32 {
        match credentials.password {
            Some(_) => self.hash_for(credentials).cost().memory,
            None => 0,
        }
    }

    fn hash_for(&self, credentials: &Credentials) -> &PasswordHash {
        let name = credentials.claim.name.as_ref();
        let user = name.and_then(|name| self.find(name));
        user.map_or(&self.nobody, |user| &user.password)
    }

    /// The user whose name and password these are. It takes as long whether there is one or not: some 30 ms.
    #[must_use]
    pub fn check(&self, credentials: &Credentials) -> Option<&Arc<User>> {
        let user = credentials
            .claim
            .name
            .as_ref()
            .and_then(|name| self.find(name));
        let hash = self.hash_for(credentials);
        // What can be no password is not hashed: who sends that learns nothing of users.
        let is_right = hash.is_of(credentials.password.as_ref()?);
        user.filter(|_| is_right && !credentials.claim.for_another)
    }

    /// All users, by name.
    #[must_use]
    pub fn all(&self) -> Vec<&User> {
        let mut all: Vec<&User> = self.by_key.values().map(|user| &**user).collect();
        all.sort_by(|one, other| one.name.key().cmp(other.name.key()));
        all
    }
}

/// The value that most have; of several the smallest.
fn most_common<T: Copy, K: Ord>(all: impl Iterator<Item = T>, key: impl Fn(T) -> K) -> Option<T> {
    let mut counts = std::collections::BTreeMap::new();
    for one in all {
        counts.entry(key(one)).or_insert((0_usize, one)).0 += 1;
    }
    let most = counts.values().map(|(count, _)| *count).max()?;
    let (_, one) = counts.into_values().find(|(count, _)| *count == most)?;
    Some(one)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::exchange::Claim;
    use crate::password::{Cost, Password};

    const CHEAP: Cost = Cost {
        memory: 64,
        passes: 1,
        lanes: 1,
    };

    fn user(name: &str, password: &str) -> User {
        let password = Password::parse(password.as_bytes()).unwrap();
        User {
            name: UserName::parse(name).unwrap(),
            password: PasswordHash::make(&password, [1; 16], CHEAP).unwrap(),
            scram: Some(ScramVerifier::make(
                &password,
                [1; 16],
                NonZeroU32::new(5).unwrap(),
            )),
            senders: vec![Sender::parse("@example.test").unwrap()],
        }
    }

    fn credentials(name: &str, password: &str) -> Credentials {
        Credentials {
            claim: Claim {
                name: UserName::parse(name).ok(),
                for_another: false,
            },
            password: Password::parse(password.as_bytes()).ok(),
        }
    }

    #[test]
    fn name_and_password_have_to_be_of_one_user() {
        let users = Users::new([user("anna", "a"), user("Bert", "b")], [9; 32]);
        let found = |own| users.check(&own).map(|user| user.name.to_string());
        assert_eq!(found(credentials("anna", "a")).as_deref(), Some("anna"));
        assert_eq!(found(credentials("bert", "b")).as_deref(), Some("Bert"));
        for (name, password) in [("anna", "b"), ("nobody", "a"), ("\0", "a"), ("anna", "")] {
            assert_eq!(found(credentials(name, password)), None, "{name}");
        }
        let mut other = credentials("anna", "a");
        other.claim.for_another = true;
        assert_eq!(found(other), None);
        assert!(
            Users::new([], [0; 32])
                .check(&credentials("a", "b"))
                .is_none()
        );
    }

    #[test]
    fn a_check_takes_what_its_hash_asks_for() {
        let mut dear = user("dear", "a");
        dear.password = PasswordHash::of_nobody(
            [0; 32],
            [0; 16],
            Cost {
                memory: 4096,
                ..CHEAP
            },
        );
        let users = Users::new([user("anna", "a"), user("bert", "b"), dear], [9; 32]);
        let memory = |name, password| users.memory_to_check(&credentials(name, password));
        assert_eq!(memory("dear", "x"), 4096);
        assert_eq!(memory("anna", "x"), 64);
        assert_eq!(memory("nobody", "x"), 64);
        // What can be no password is not hashed.
        assert_eq!(memory("dear", ""), 0);
    }

    #[test]
    fn who_does_not_exist_looks_like_who_does() {
        let users = Users::new([user("anna", "a")], [9; 32]);
        assert_eq!(users.nobody.cost(), CHEAP);
        let nobody = users.verifier("nobody");
        assert_eq!(nobody.iterations().get(), 5);
        assert_eq!(nobody, users.verifier("nobody"));
        assert_ne!(nobody, users.verifier("anna"));
        assert_eq!(users.verifier("anna"), user("anna", "a").scram.unwrap());
    }

    #[test]
    fn the_most_common_value() {
        let of = |all: &[u32]| most_common(all.iter().copied(), |own| own);
        assert_eq!(of(&[3, 1, 3, 2]), Some(3));
        assert_eq!(of(&[2, 1]), Some(1));
        assert_eq!(of(&[]), None);
    }
}
