//! How much each user sends.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::window::Window;

/// Users that are counted at the same time.
const MOST: usize = 50_000;

/// Which rate is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) enum Spent {
    /// `messages_per_hour`
    Messages,
    /// `recipients_per_hour`
    Recipients,
}

/// Messages and recipients of users.
#[derive(Debug)]
pub(super) struct Rates {
    messages: Option<Rate>,
    recipients: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    most: u32,
    counts: Mutex<Window<String>>,
}

impl Rates {
    pub(super) fn new(
        messages: Option<u32>,
        recipients: Option<u32>,
        period: Duration,
        now: Instant,
    ) -> Self {
        let rate = |most: Option<u32>| {
            most.map(|most| Rate {
                most,
                counts: Mutex::new(Window::new(period, MOST, now)),
            })
        };
        Self {
            messages: rate(messages),
            recipients: rate(recipients),
        }
    }

    pub(super) fn message(&self, user: &str, now: Instant) -> Result<(), Spent> {
        count(self.messages.as_ref(), user, now, Spent::Messages)
    }

    pub(super) fn recipient(&self, user: &str, now: Instant) -> Result<(), Spent> {
        count(self.recipients.as_ref(), user, now, Spent::Recipients)
    }
}

fn count(rate: Option<&Rate>, user: &str, now: Instant, spent: Spent) -> Result<(), Spent> {
    let Some(rate) = rate else { return Ok(()) };
    let user = user.to_owned();
    let mut counts = rate.counts.lock();
    if counts.count(&user, now) >= rate.most {
        return Err(spent);
    }
    counts.add(user, now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_rate_of_its_own() {
        let start = Instant::now();
        let hour = Duration::from_secs(3600);
        let rates = Rates::new(Some(2), None, hour, start);
        for user in ["anna", "bert"] {
            assert_eq!(rates.message(user, start), Ok(()));
            assert_eq!(rates.message(user, start), Ok(()));
            assert_eq!(rates.message(user, start), Err(Spent::Messages));
        }
        assert_eq!(rates.message("anna", start + hour * 2), Ok(()));
        for _ in 0..1000 {
            assert_eq!(rates.recipient("anna", start), Ok(()));
        }
    }
}
