//! What sessions may hold in memory, in octets: all of them together, and those of one client.
//!
//! A session adds up what it holds and keeps a reservation that covers it. Reservations grow and shrink in steps, so that
//! most reads and commands touch nothing that other threads see, and none takes a lock. Whoever finds no room refuses for
//! now what would need it, or puts it to the disk.
//!
//! A client never gets more than its share, and never more than half of what is free: however few clients fill the whole,
//! something is left for the next one, and what it gets is the more, the fewer they are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::client::Client;

/// What reservations are multiples of.
pub(super) const STEP: u64 = 8 * 1024;

/// Steps that a reservation keeps beyond what it has to cover, before it gives the rest back.
const SLACK: u64 = 4;

/// What a client may have however little is free, as long as there is that much: a few small messages.
const LEAST: u64 = 256 * 1024;

/// Whose room is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// `memory.clients`.
    All,
    /// `memory.per_client`.
    Client,
}

/// The memory of all sessions of one gateway.
#[derive(Debug)]
pub struct Memory {
    most: u64,
    share: u64,
    used: AtomicU64,
    accounts: Mutex<HashMap<Client, Weak<Account>>>,
}

/// What one client holds.
#[derive(Debug, Default)]
struct Account {
    used: AtomicU64,
}

/// Memory that is set aside for one session. Free again when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<Memory>,
    account: Arc<Account>,
    held: u64,
}

impl Memory {
    /// `most` for all together, `share` for one client; nothing is in use.
    #[must_use]
    pub fn new(most: u64, share: u64) -> Self {
        Self {
            most,
            share,
            used: AtomicU64::new(0),
            accounts: Mutex::default(),
        }
    }

    /// What is reserved now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Begins a reservation that covers `octets`.
    ///
    /// # Errors
    /// There is no room.
    pub fn reserve(self: &Arc<Self>, client: Client, octets: u64) -> Result<Reservation, Short> {
        let mut reservation = Reservation {
            memory: Arc::clone(self),
            account: self.account(client),
            held: 0,
        };
        reservation.cover(octets)?;
        Ok(reservation)
    }

    fn account(&self, client: Client) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(&client).and_then(Weak::upgrade) {
            return account;
        }
        // Those that nobody uses any more are forgotten now and then, so that the map stays as small as they are few.
        if accounts.len() >= accounts.capacity() {
            accounts.retain(|_, account| account.strong_count() > 0);
        }
        let account = Arc::new(Account::default());
        accounts.insert(client, Arc::downgrade(&account));
        account
    }

    /// Counts first and looks then: two that are in a hurry may both be refused the last room, never both get it.
    fn take(&self, account: &Account, octets: u64) -> Result<(), Short> {
        let all = self.used.fetch_add(octets, Ordering::Relaxed);
        let own = account.used.fetch_add(octets, Ordering::Relaxed) + octets;
        let short = if own > self.share {
            Short::Client
        } else if all + octets > self.most
            || own > ((self.most - all.min(self.most)) / 2).max(LEAST)
        {
            Short::All
        } else {
            return Ok(());
        };
        self.give_back(account, octets);
        Err(short)
    }

    fn give_back(&self, account: &Account, octets: u64) {
        account.used.fetch_sub(octets, Ordering::Relaxed);
        self.used.fetch_sub(octets, Ordering::Relaxed);
    }
}

impl Reservation {
    /// Makes it cover `octets`, and gives back what is far beyond that. Cheap where nothing has to change.
    ///
    /// # Errors
    /// There is no room; it stays as it is.
    pub fn cover(&mut self, octets: u64) -> Result<(), Short> {
        let wanted = octets.next_multiple_of(STEP);
        if wanted > self.held {
            self.memory.take(&self.account, wanted - self.held)?;
            self.held = wanted;
        } else if self.held - wanted > SLACK * STEP {
            let kept = wanted + STEP;
            self.memory.give_back(&self.account, self.held - kept);
            self.held = kept;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.give_back(&self.account, self.held);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;
    use std::thread;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn client(last: u8) -> Client {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn memory(most: u64, share: u64) -> Arc<Memory> {
        Arc::new(Memory::new(most, share))
    }

    #[test]
    fn reservations_follow_what_they_cover_in_steps_and_end_with_their_session() {
        let memory = memory(MIB, MIB);
        let mut one = memory.reserve(client(1), 1).unwrap();
        assert_eq!(memory.used(), STEP);
        one.cover(STEP).unwrap();
        assert_eq!(memory.used(), STEP, "it is covered already");
        one.cover(20 * STEP + 1).unwrap();
        assert_eq!(memory.used(), 21 * STEP);
        one.cover(18 * STEP).unwrap();
        assert_eq!(memory.used(), 21 * STEP, "a little less changes nothing");
        one.cover(STEP).unwrap();
        assert_eq!(memory.used(), 2 * STEP, "much less is given back");
        drop(one);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_client_has_its_share_whatever_the_number_of_its_sessions() {
        let memory = memory(64 * MIB, MIB);
        let mut one = memory.reserve(client(1), MIB / 2).unwrap();
        let _two = memory.reserve(client(1), MIB / 2).unwrap();
        assert_eq!(one.cover(MIB / 2 + 1), Err(Short::Client));
        assert_eq!(memory.reserve(client(1), 1).unwrap_err(), Short::Client);
        assert_eq!(memory.used(), MIB, "what was refused is not counted");
        let _other = memory.reserve(client(2), MIB).unwrap();
        drop(one);
        memory.reserve(client(1), MIB / 2).unwrap();
    }

    #[test]
    fn few_clients_leave_something_for_the_next_one() {
        let memory = memory(64 * MIB, 64 * MIB);
        let mut greedy = Vec::new();
        for last in 0..3 {
            let mut own = memory.reserve(client(last), STEP).unwrap();
            let mut octets = STEP;
            while own.cover(octets + STEP).is_ok() {
                octets += STEP;
            }
            assert_eq!(own.cover(octets + STEP), Err(Short::All));
            greedy.push(own);
        }
        assert!(memory.used() < 61 * MIB, "{}", memory.used());
        memory.reserve(client(100), MIB).unwrap();
    }

    #[test]
    fn the_whole_is_never_exceeded_and_small_sessions_fit_into_what_is_left() {
        let memory = memory(MIB, MIB);
        let small: Vec<_> = (0..=255)
            .map_while(|last| memory.reserve(client(last), LEAST / 4).ok())
            .collect();
        assert_eq!(small.len() as u64, MIB / (LEAST / 4));
        assert_eq!(memory.reserve(client(255), 1).unwrap_err(), Short::All);
        drop(small);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_many_threads_take_and_give_adds_up() {
        let memory = memory(8 * MIB, 4 * MIB);
        thread::scope(|scope| {
            for last in 0..4 {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..2000_u64 {
                        let Ok(mut own) = memory.reserve(client(last % 2), round % 7 * STEP) else {
                            continue;
                        };
                        let _may_be_full = own.cover(round * 1000 % MIB);
                        assert!(memory.used() < 9 * MIB);
                    }
                });
            }
        });
        assert_eq!(memory.used(), 0);
        assert!(memory.accounts.lock().len() <= 2);
    }

    #[test]
    fn clients_that_are_gone_are_forgotten() {
        let memory = memory(MIB, MIB);
        for last in 0..=255 {
            drop(memory.reserve(client(last), 1).unwrap());
        }
        assert!(memory.accounts.lock().len() < 200);
    }
}
