//! Submission by users (RFC 6409): who they are, which senders they may name, how much they may send, and what is mended
//! in their messages.

mod checks;
mod failures;
mod fields;
mod rates;
pub mod users_file;
mod window;

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_auth::{Mechanism, User, UserName, Users};
use postern_config::settings::server::{AuthInClear, Submission as Settings};
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;
use postern_smtp::server::Auth;

pub use self::checks::Checks;
use self::failures::Failures;
pub(in crate::front) use self::failures::{Attempt, Barred};
pub(in crate::front) use self::fields::{Completion, Incomplete, Known};
use self::rates::Rates;
pub(in crate::front) use self::rates::Spent;
use self::users_file::UserFile;
use super::Standing;
use super::client::Client;
use super::replies;

/// Over which failures are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// What a virtual server for submission has beside the others.
#[derive(Debug)]
pub struct Submission {
    users: Arc<UserFile>,
    checks: Arc<Checks>,
    failures: Failures,
    rates: Rates,
    /// What is mended in messages.
    pub(in crate::front) completion: Completion,
    auth_in_clear: AuthInClear,
}

impl Submission {
    /// With the users of a file.
    #[must_use]
    pub fn new(settings: &Settings, users: Arc<UserFile>, checks: Arc<Checks>) -> Self {
        Self {
            users,
            checks,
            failures: Failures::new(
                settings.failures_per_client,
                settings.failures_per_user,
                HOUR,
                Instant::now(),
            ),
            rates: Rates::new(
                settings.messages_per_hour,
                settings.recipients_per_hour,
                HOUR,
                Instant::now(),
            ),
            completion: Completion::new(settings.missing_fields, settings.missing_from),
            auth_in_clear: settings.auth_in_clear,
        }
    }

    /// How AUTH is offered to a client that is there.
    pub(super) fn auth(&self, client: Standing) -> Auth {
        Auth {
            mechanisms: Mechanism::ALL.map(|own| own.name().to_owned()).into(),
            in_clear: client.is_local() && self.auth_in_clear == AuthInClear::Loopback,
            required: true,
        }
    }

    /// The users as the file has them now.
    pub(in crate::front) fn users(&self) -> Arc<Users> {
        self.users.users()
    }

    /// Where passwords are checked.
    pub(in crate::front) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// An authentication that begins: it counts as failed until it has succeeded.
    ///
    /// # Errors
    /// [`Barred`]: too many have failed.
    pub(in crate::front) fn attempt(
        &self,
        client: Client,
        name: Option<&UserName>,
    ) -> Result<Attempt, Barred> {
        self.failures
            .attempt(client, name.map(UserName::key), Instant::now())
    }

    /// An authentication that sinks look at, who know its names: it counts for the client alone.
    ///
    /// # Errors
    /// [`Barred`]: too many have failed.
    pub(in crate::front) fn attempt_at_sinks(&self, client: Client) -> Result<Attempt, Barred> {
        // No name of a user: none has a NUL.
        let name = format!("\0{client:?}");
        self.failures.attempt(client, Some(&name), Instant::now())
    }

    /// Whether the log is to hear that this client is barred: it does not hear of each time.
    pub(in crate::front) fn tells_of_barred(&self, client: Client) -> bool {
        self.failures.is_news(client, Instant::now())
    }

    /// Whether the user of this name may begin a message from `sender`.
    ///
    /// # Errors
    /// The reply that refuses it.
    pub(in crate::front) fn judge_sender(
        &self,
        name: &UserName,
        sender: &ReversePath,
    ) -> Result<(), Reply> {
        // As the file has it now: who was removed sends nothing more.
        let users = self.users();
        let user: &User = users.find(name).ok_or_else(replies::no_user_any_more)?;
        match sender {
            // Reports that a client makes have it (RFC 8098 3).
            ReversePath::Null => Ok(()),
            ReversePath::Mailbox(mailbox) if user.may_send_as(mailbox) => Ok(()),
            ReversePath::Mailbox(_) => Err(replies::not_your_sender()),
        }
    }

    /// Counts one more message of a user.
    ///
    /// # Errors
    /// [`Spent`]: the hour has had as many as it may.
    pub(in crate::front) fn count_message(&self, name: &str) -> Result<(), Spent> {
        self.rates.message(name, Instant::now())
    }

    /// Counts one more recipient of a user.
    ///
    /// # Errors
    /// [`Spent`]: the hour has had as many as it may.
    pub(in crate::front) fn count_recipient(&self, name: &str) -> Result<(), Spent> {
        self.rates.recipient(name, Instant::now())
    }
}
