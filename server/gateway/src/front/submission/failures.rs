//! Authentications that failed: by client, and by the name that was tried, whether there is such a user or not.
//!
//! A client from which a user has authenticated lately is counted for this user apart: neither do strangers lock the user
//! out, nor does a telephone with an old password lock out everybody behind the same address.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::window::Window;
use crate::front::client::Client;

/// Clients, and names, that are counted at the same time.
const MOST: usize = 50_000;

/// For so long a client from which a user has authenticated is counted for this user apart.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often the log hears of a client that is barred.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Which limit keeps a client from authenticating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) enum Barred {
    /// `failures_per_client`
    Client,
    /// `failures_per_user`
    User,
}

/// A name as it is counted.
type NameHash = u64;

/// What has failed within the last while.
#[derive(Debug)]
pub(super) struct Failures {
    per_client: u32,
    per_user: u32,
    hasher: RandomState,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug)]
struct Counts {
    clients: Window<Client>,
    names: Window<NameHash>,
    /// Who has authenticated from where.
    known: Window<Pair>,
    /// What failed for those.
    pairs: Window<Pair>,
    /// Barred clients that the log has heard of.
    told: Window<Client>,
}

/// A name, and a client that tries it.
type Pair = (NameHash, Client);

/// An authentication that counts as failed, unless it is said to have succeeded, or to have been none.
#[derive(Debug)]
pub(in crate::front) struct Attempt {
    counts: Arc<Mutex<Counts>>,
    client: Client,
    name: NameHash,
    known: bool,
}

impl Failures {
    pub(super) fn new(per_client: u32, per_user: u32, period: Duration, now: Instant) -> Self {
        Self {
            per_client,
            per_user,
            hasher: RandomState::new(),
            counts: Arc::new(Mutex::new(Counts {
                clients: Window::new(period, MOST, now),
                names: Window::new(period, MOST, now),
                known: Window::new(KNOWN, MOST, now),
                pairs: Window::new(period, MOST, now),
                told: Window::new(TELL_EVERY, MOST, now),
            })),
        }
    }

    /// Counts an attempt, before it is known what comes of it: those that run at the same time count too.
    pub(super) fn attempt(
        &self,
        client: Client,
        name: Option<&str>,
        now: Instant,
    ) -> Result<Attempt, Barred> {
        let name = self.hasher.hash_one(name);
        let pair = (name, client);
        let mut counts = self.counts.lock();
        let known = counts.known.count(&pair, now) > 0;
        if known {
            if counts.pairs.count(&pair, now) >= self.per_client {
                return Err(Barred::Client);
            }
            counts.pairs.add(pair, now);
        } else {
            if counts.clients.count(&client, now) >= self.per_client {
                return Err(Barred::Client);
            }
            if counts.names.count(&name, now) >= self.per_user {
                return Err(Barred::User);
            }
            counts.clients.add(client, now);
            counts.names.add(name, now);
        }
        drop(counts);
        Ok(Attempt {
            counts: Arc::clone(&self.counts),
            client,
            name,
            known,
        })
    }
}

impl Failures {
    /// Whether the log has not heard for a while that this client is barred. It has then.
    pub(super) fn is_news(&self, client: Client, now: Instant) -> bool {
        let mut counts = self.counts.lock();
        let is_news = counts.told.count(&client, now) == 0;
        if is_news {
            counts.told.add(client, now);
        }
        is_news
    }
}

impl Attempt {
    /// The client is who it says.
    pub(in crate::front) fn succeeded(self, now: Instant) {
        let counts = &mut self.counts.lock();
        self.uncount(counts);
        counts.known.touch((self.name, self.client), now);
    }

    /// Nothing was checked.
    pub(in crate::front) fn not_made(self) {
        self.uncount(&mut self.counts.lock());
    }

    fn uncount(&self, counts: &mut Counts) {
        if self.known {
            counts.pairs.take_back(&(self.name, self.client));
        } else {
            counts.clients.take_back(&self.client);
            counts.names.take_back(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn client(last: u8) -> Client {
        std::net::IpAddr::from([192, 0, 2, last]).into()
    }

    #[test]
    fn a_client_has_so_many_attempts_with_any_names() {
        let start = Instant::now();
        let failures = Failures::new(3, 100, HOUR, start);
        for name in ["a", "b", "c"] {
            failures.attempt(client(1), Some(name), start).unwrap();
        }
        let barred = failures.attempt(client(1), Some("d"), start).unwrap_err();
        assert_eq!(barred, Barred::Client);
        failures.attempt(client(2), Some("a"), start).unwrap();
        failures
            .attempt(client(1), Some("a"), start + HOUR * 2)
            .unwrap();
    }

    #[test]
    fn a_name_has_so_many_attempts_from_anywhere_but_where_it_is_known() {
        let start = Instant::now();
        let failures = Failures::new(100, 3, HOUR, start);
        failures
            .attempt(client(9), Some("a"), start)
            .unwrap()
            .succeeded(start);
        for from in 1..=3 {
            failures.attempt(client(from), Some("a"), start).unwrap();
        }
        let barred = failures.attempt(client(4), Some("a"), start).unwrap_err();
        assert_eq!(barred, Barred::User);
        failures.attempt(client(4), Some("b"), start).unwrap();
        failures
            .attempt(client(9), Some("a"), start)
            .unwrap()
            .succeeded(start);
    }

    #[test]
    fn who_logs_in_all_the_time_stays_known() {
        let start = Instant::now();
        let failures = Failures::new(1000, 3, HOUR, start);
        let mut now = start;
        let anna = |now| failures.attempt(client(9), Some("anna"), now);
        anna(now).unwrap().succeeded(now);
        while now < start + KNOWN * 5 {
            now += HOUR;
            while failures.attempt(client(1), Some("anna"), now).is_ok() {}
            let barred = failures.attempt(client(2), Some("anna"), now).unwrap_err();
            assert_eq!(barred, Barred::User, "{:?}", now - start);
            anna(now).unwrap().succeeded(now);
        }
        // Who stays away for long is a stranger again.
        now += KNOWN * 2;
        for _ in 0..3 {
            failures.attempt(client(1), Some("anna"), now).unwrap();
        }
        assert_eq!(anna(now).unwrap_err(), Barred::User);
    }

    #[test]
    fn who_is_known_is_counted_apart() {
        let start = Instant::now();
        let failures = Failures::new(3, 3, HOUR, start);
        let attempt = |name| failures.attempt(client(1), Some(name), start);
        attempt("anna").unwrap().succeeded(start);
        attempt("bert").unwrap().succeeded(start);
        // A telephone with an old password.
        for _ in 0..3 {
            attempt("anna").unwrap();
        }
        assert_eq!(attempt("anna").unwrap_err(), Barred::Client);
        attempt("bert").unwrap().succeeded(start);
        // A stranger behind the same address.
        for name in ["x", "y", "z"] {
            attempt(name).unwrap();
        }
        assert_eq!(attempt("carl").unwrap_err(), Barred::Client);
        attempt("bert").unwrap().succeeded(start);
    }

    #[test]
    fn the_log_hears_of_a_barred_client_now_and_then() {
        let start = Instant::now();
        let failures = Failures::new(1, 1, HOUR, start);
        assert!(failures.is_news(client(1), start));
        for passed in 0..60 {
            let now = start + Duration::from_secs(passed);
            assert!(!failures.is_news(client(1), now));
        }
        assert!(failures.is_news(client(2), start));
        assert!(failures.is_news(client(1), start + TELL_EVERY * 2));
    }

    #[test]
    fn what_succeeds_or_was_not_checked_does_not_count() {
        let start = Instant::now();
        let failures = Failures::new(1, 1, HOUR, start);
        for _ in 0..10 {
            failures
                .attempt(client(1), Some("a"), start)
                .unwrap()
                .succeeded(start);
            failures.attempt(client(1), None, start).unwrap().not_made();
        }
        // One that is still running counts.
        let running = failures.attempt(client(2), Some("b"), start).unwrap();
        failures.attempt(client(2), Some("c"), start).unwrap_err();
        running.not_made();
        failures.attempt(client(2), Some("c"), start).unwrap();
    }
}
