//! What both peers have in common: a listener, processes that cost something, and filters.

use std::io;
use std::net::SocketAddr;
use std::process::Child;

use postern_e2e::gateway::wait_for_listener;

/// A program under measurement.
pub(crate) trait Gateway {
    /// Where it takes mail.
    fn address(&self) -> SocketAddr;
    /// Its own processes, without the filters; children are found from these.
    fn processes(&self) -> Vec<u32>;
    /// The filters that it asks.
    fn filters(&self) -> &Filters;
}

/// Filter processes; killed when dropped.
#[derive(Default)]
pub(crate) struct Filters {
    children: Vec<Child>,
    addresses: Vec<SocketAddr>,
}

impl Filters {
    /// Takes a process that was just started and waits until it listens.
    pub(crate) fn push(&mut self, child: Child, address: SocketAddr) -> io::Result<()> {
        self.children.push(child);
        self.addresses.push(address);
        wait_for_listener(address)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(crate) fn processes(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        for child in &mut self.children {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                eprintln!("a filter does not end: {error}");
            }
        }
    }
}
