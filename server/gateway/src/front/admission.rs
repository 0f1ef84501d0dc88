//! How many connections there may be, in total and from one client.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::client::Client;

/// Which limit a new connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// `connections`: the virtual server has no room.
    Server,
    /// `connections_per_client`.
    Client,
}

/// Counts the connections of one virtual server.
#[derive(Debug)]
pub struct Admission {
    most: u32,
    most_per_client: u32,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    by_client: HashMap<Client, ClientConnections>,
}

/// How many connections one client has open. Written under the lock of [`Admission`], read without it.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientConnections(Arc<AtomicU32>);

impl ClientConnections {
    /// How many there are now.
    pub(super) fn open(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, open: u32) {
        self.0.store(open, Ordering::Relaxed);
    }
}

/// A connection of a client that is not known yet, behind a proxy. It counts among all until this is dropped.
#[derive(Debug)]
pub struct Unknown(Arc<Admission>);

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    among_all: Unknown,
    client: Client,
    connections: ClientConnections,
}

impl Ticket {
    /// How many connections its client has open.
    pub(super) fn connections(&self) -> ClientConnections {
        self.connections.clone()
    }
}

impl Admission {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(most: u32, most_per_client: u32) -> Self {
        Self {
            most,
            most_per_client,
            counts: Mutex::default(),
        }
    }

    /// Counts one more connection.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn admit(self: &Arc<Self>, client: Client) -> Result<Ticket, Denied> {
        self.admit_unknown()?.known_as(client)
    }

    /// Counts one more connection, of a client that is still to be named.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn admit_unknown(self: &Arc<Self>) -> Result<Unknown, Denied> {
        let mut counts = self.counts.lock();
        if counts.all >= self.most {
            return Err(Denied::Server);
        }
        counts.all += 1;
        drop(counts);
        Ok(Unknown(Arc::clone(self)))
    }

    /// Connections now.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.counts.lock().all
    }
}

impl Unknown {
    /// The client is known: the connection counts among its own from now on.
    ///
    /// # Errors
    /// It has as many as it may.
    pub fn known_as(self, client: Client) -> Result<Ticket, Denied> {
        let mut counts = self.0.counts.lock();
        let own = counts.by_client.entry(client).or_default();
        // An entry just made is 0 and stays below any limit that the configuration takes.
        if own.open() >= self.0.most_per_client {
            return Err(Denied::Client);
        }
        own.set(own.open() + 1);
        let connections = own.clone();
        drop(counts);
        Ok(Ticket {
            among_all: self,
            client,
            connections,
        })
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock();
        counts.all = counts.all.saturating_sub(1);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.among_all.0.counts.lock();
        let left = self.connections.open().saturating_sub(1);
        self.connections.set(left);
        if left == 0 {
            counts.by_client.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;

    use super::*;

    fn from(text: &str) -> Client {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn one_client_is_an_address_or_a_64() {
        let admission = Arc::new(Admission::new(10, 1));
        let _four = admission.admit(from("192.0.2.1")).unwrap();
        assert_eq!(
            admission.admit(from("::ffff:192.0.2.1")).unwrap_err(),
            Denied::Client
        );
        let _other = admission.admit(from("192.0.2.2")).unwrap();
        let six = admission.admit(from("2001:db8:0:1::1")).unwrap();
        assert_eq!(
            admission.admit(from("2001:db8:0:1:ffff::2")).unwrap_err(),
            Denied::Client
        );
        let _neighbour = admission.admit(from("2001:db8:0:2::1")).unwrap();
        drop(six);
        admission.admit(from("2001:db8:0:1::3")).unwrap();
    }

    #[test]
    fn a_user_of_this_machine_is_one_client() {
        let admission = Arc::new(Admission::new(10, 1));
        let _one = admission.admit(Client::User(Some(1000))).unwrap();
        assert_eq!(
            admission.admit(Client::User(Some(1000))).unwrap_err(),
            Denied::Client
        );
        admission.admit(Client::User(Some(1001))).unwrap();
        admission.admit(Client::User(None)).unwrap();
    }

    #[test]
    fn the_total_counts_everybody_and_forgets_who_left() {
        let admission = Arc::new(Admission::new(2, 2));
        let one = admission.admit(Client::User(None)).unwrap();
        let _two = admission.admit(from("192.0.2.1")).unwrap();
        assert_eq!(
            admission.admit(from("192.0.2.3")).unwrap_err(),
            Denied::Server
        );
        drop(one);
        // It counts while nobody knows whose it is, and once when somebody does.
        let unknown = admission.admit_unknown().unwrap();
        assert_eq!(admission.admit_unknown().unwrap_err(), Denied::Server);
        let known = unknown.known_as(from("192.0.2.3")).unwrap();
        assert_eq!(admission.connections(), 2);
        drop(known);
        assert_eq!(admission.connections(), 1);
        assert_eq!(admission.counts.lock().by_client.len(), 1);
    }
}
