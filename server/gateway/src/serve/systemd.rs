//! What the service manager is told (sd_notify): that the gateway is ready, that it stops and how long that may take, and, if a
//! watchdog is set, that every thread still answers. Without a service manager nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};

/// Beyond the time to drain: sinks hear that we leave, the spool closes.
const AFTER_DRAIN: Duration = Duration::from_secs(20);

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager is not told");
    }
}

/// All listeners accept.
pub(super) fn ready(listeners: usize) {
    let status = format!("accepting on {listeners} listening sockets");
    say(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The end has begun, and takes up to `drain`: a unit that allows less is asked for more.
pub(super) fn stopping(drain: Duration) {
    let whole = u32::try_from((drain + AFTER_DRAIN).as_micros()).unwrap_or(u32::MAX);
    say(&[
        NotifyState::Stopping,
        NotifyState::Status("sessions and deliveries come to their end"),
        NotifyState::ExtendTimeoutUsec(whole),
    ]);
}

/// Says that the gateway lives, for as long as each of its threads answers in time. Whoever does not ends the process by
/// the service manager's hand. Does nothing where no watchdog is set.
pub(super) async fn keep_watchdog(threads: Vec<Handle>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut turns = interval((limit / 3).max(Duration::from_millis(1)));
    loop {
        turns.tick().await;
        let mut well = true;
        for (place, thread) in threads.iter().enumerate() {
            // One that has ended refuses at once: the end is under way, and others watch over it.
            if timeout(limit / 3, thread.spawn(async {})).await.is_err() {
                tracing::error!(
                    runtime = place,
                    "a thread does not answer; the watchdog is not told"
                );
                well = false;
            }
        }
        if well {
            say(&[NotifyState::Watchdog]);
        }
    }
}
