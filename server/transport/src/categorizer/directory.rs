//! What the service itself knows of addresses.

use postern_smtp::address::{ForwardPath, ReversePath};

/// What an address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Another spelling of this address, which is looked up in turn.
    Other(ForwardPath),
    /// These addresses, each of which is looked up in turn: an alias or a list.
    Members {
        /// The addresses.
        addresses: Vec<ForwardPath>,
        /// The list's owner, who is the sender of what goes to its members (RFC 5321, 3.9.2). `None`: it has none.
        owner: Option<ReversePath>,
    },
}

/// Aliases, lists and other names, as the operator configured them. Lookups do not block.
pub trait Directory: Send + Sync {
    /// What an address stands for. `None`: for itself.
    fn look_up(&self, address: &ForwardPath) -> Option<Entry>;

    /// Whether an address stands for something else than itself. Cheaper than to look it up.
    fn knows(&self, address: &ForwardPath) -> bool {
        self.look_up(address).is_some()
    }
}

/// A directory with nothing in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Empty;

impl Directory for Empty {
    fn look_up(&self, _address: &ForwardPath) -> Option<Entry> {
        None
    }
}
