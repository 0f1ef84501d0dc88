//! Whose TLS handshake is worked on now.
//!
//! A handshake costs the server a signature and a key exchange, and its client a few octets. So there are slots for them,
//! taken only when the client's whole ClientHello is there: a client that connects and says nothing holds none. Of the
//! slots one client gets a share. A slot is given back when the handshake ends, and at the latest [`HOLD`] after it was
//! taken: an honest client answers within a round trip, and who does not keeps nobody waiting longer than that.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::Client;

/// Handshakes of one virtual server at the same time.
const SLOTS: usize = 256;

/// Of them, those of one client.
const SHARE: usize = 32;

/// Longest time for which one handshake holds a slot.
pub(super) const HOLD: Duration = Duration::from_secs(1);

/// The slots of one virtual server.
#[derive(Debug)]
pub(super) struct Handshakes {
    slots: Arc<Semaphore>,
    share: usize,
    shares: Mutex<HashMap<Client, Weak<Semaphore>>>,
}

/// A place for one handshake, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _of_client: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Handshakes {
    /// Slots that are all free.
    pub(super) fn new() -> Self {
        Self::with(SLOTS, SHARE)
    }

    fn with(slots: usize, share: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            share,
            shares: Mutex::default(),
        }
    }

    /// Waits for a slot. Whoever is over its share waits for itself alone.
    pub(super) async fn slot(&self, client: Client) -> Option<Slot> {
        let share = self.share_of(client);
        let of_client = share.acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some(Slot {
            _of_client: of_client,
            _of_all: of_all,
        })
    }

    fn share_of(&self, client: Client) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(&client).and_then(Weak::upgrade) {
            return share;
        }
        // Those that nobody uses any more are forgotten now and then, so that the map stays as small as they are few.
        if shares.len() >= shares.capacity() {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(client, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;

    use super::*;

    fn client(last: u8) -> Client {
        std::net::IpAddr::from([192, 0, 2, last]).into()
    }

    #[tokio::test]
    async fn one_client_has_its_share_and_others_have_theirs() {
        let slots = Handshakes::with(4, 2);
        let first = slots.slot(client(1)).await.unwrap();
        let _second = slots.slot(client(1)).await.unwrap();
        assert!(
            slots.slot(client(1)).now_or_never().is_none(),
            "over its share"
        );
        let _other = slots.slot(client(2)).now_or_never().unwrap().unwrap();
        let _unix = slots
            .slot(Client::User(None))
            .now_or_never()
            .unwrap()
            .unwrap();
        assert!(slots.slot(client(3)).now_or_never().is_none(), "all taken");
        drop(first);
        let _third = slots.slot(client(3)).now_or_never().unwrap().unwrap();
    }

    #[tokio::test]
    async fn clients_that_are_gone_are_forgotten() {
        let slots = Handshakes::with(4, 2);
        for last in 0..=255 {
            drop(slots.slot(client(last)).await.unwrap());
        }
        assert!(slots.shares.lock().len() < 200);
    }
}
