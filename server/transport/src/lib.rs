//! The transport core: what becomes of a message between its acceptance and its last recipient.
//!
//! A message is taken up ([`Handle::accept`] or the [`Scanner`]), taken through the stages before its delivery, sorted by
//! destination, and delivered; what became of each recipient is recorded before a connection takes its next message. What is not done waits
//! in the spool until its due time. Nothing that matters is only in memory: a message that does not fit there, or that is
//! lost from there with the process, is found again by its due time.
//!
//! On each runtime thread runs a [`Worker`], on one of them the [`Scanner`]. A destination belongs to one worker, which
//! makes all connections to it.

mod acting;
mod carrier;
mod categorizer;
mod clock;
mod core;
mod decided;
mod disposition;
mod encoding;
mod envelope;
mod fitting;
mod halts;
mod handing;
mod hops;
mod injection;
mod into_maildir;
mod into_sink;
mod job;
mod judge;
mod keeping;
mod links;
mod notification;
mod operator;
mod outgoing;
mod parked;
mod question;
mod reach;
mod recording;
mod release;
mod report;
mod results;
mod returns;
mod routes;
mod routing;
mod scanner;
mod schedule;
mod scheduler;
mod seat;
mod settle;
pub mod shutdown;
mod slots;
mod spooled;
mod stages;
mod submit;
mod unasked;
mod way;
mod worker;

use std::sync::Arc;

use postern_message::{Message, Recipient};
use postern_spool::{Store, StoredMessage};
use rustls::ClientConfig;
use tokio::sync::mpsc;

pub use self::acting::Agent;
pub use self::categorizer::{Directory, Empty, Entry, Tally};
pub use self::clock::{Clock, SystemClock};
pub use self::core::{Depth, Settings};
pub use self::disposition::{Disposition, HeldRefusal, Position, disposition};
pub use self::injection::{Cause, InjectionError, Injections};
pub use self::judge::{About, Case, Judge, OutgoingCase, Sinks};
pub use self::operator::{Change, Changed, Operator};
pub use self::routes::{Route, Routes, Rule};
pub use self::scanner::Scanner;
pub use self::schedule::{Next, Schedule};
pub use self::settle::draw;
pub use self::worker::Worker;

use self::core::{Core, Counted, Owner, PARKING, orders};
use postern_delivery::Connector;

/// The parts of a transport core, before they run.
pub struct Transport {
    core: Arc<Core>,
    /// One for each runtime thread, in their order.
    pub workers: Vec<Worker>,
    /// For one of them.
    pub scanner: Scanner,
}

/// Where the front end hands accepted messages to, one for each runtime thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    core: Arc<Core>,
    worker: usize,
}

impl Transport {
    /// A transport core for so many runtime threads. `connector` and `tls` are for next hops.
    pub fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        tls: Arc<ClientConfig>,
        clock: Arc<dyn Clock>,
        threads: usize,
    ) -> Self {
        let room = orders(&settings);
        let channels = (0..threads.max(1)).map(|_| {
            let (orders, ordered) = mpsc::channel(room);
            let (parking, parked) = mpsc::channel(PARKING);
            let counts = Counted::default();
            let owner = Owner {
                orders,
                parking,
                counts,
            };
            (owner, (ordered, parked))
        });
        let (owners, receivers): (Vec<_>, Vec<_>) = channels.unzip();
        let core = Arc::new(Core::new(settings, store, connector, tls, clock, owners));
        let workers = receivers
            .into_iter()
            .enumerate()
            .map(|(place, (orders, parked))| Worker {
                core: Arc::clone(&core),
                place,
                orders,
                parked,
            })
            .collect();
        let scanner = Scanner {
            core: Arc::clone(&core),
            workers: threads.max(1),
        };
        Self {
            core,
            workers,
            scanner,
        }
    }

    /// The handle of a runtime thread.
    pub fn handle(&self, worker: usize) -> Handle {
        Handle {
            core: Arc::clone(&self.core),
            worker,
        }
    }
}

impl Handle {
    /// Takes up a message that was just committed and is due, without reading it back from the spool. Never waits. If memory
    /// is full the message stays in the spool and is taken up from there. A message that is not due is left alone.
    pub fn accept(&self, stored: StoredMessage) {
        self.core.begin(self.worker, stored);
    }

    /// How many messages are being worked on now, on all runtime threads.
    pub fn in_memory(&self) -> usize {
        self.depth().in_memory
    }

    /// Where a message goes for a recipient, as the configuration writes it; `None`: nowhere.
    pub fn destination(&self, message: &Message, recipient: &Recipient) -> Option<String> {
        let found = way::destination(&self.core, message, recipient);
        found.map(|found| found.to_string())
    }

    /// What the transport core has to do with now, on all runtime threads.
    pub fn depth(&self) -> Depth {
        self.core.depth()
    }
}

#[cfg(test)]
mod tests;
