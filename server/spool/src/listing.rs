//! What is in a store, page by page, for people and for tools.

use std::time::SystemTime;

use postern_message::MessageId;

/// Most entries on one page, whatever is asked for.
pub const MOST_ON_A_PAGE: usize = 1000;

/// The stage of a message, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// [`Stage::Submit`](crate::Stage::Submit)
    Submit,
    /// [`Stage::Deliver`](crate::Stage::Deliver)
    Deliver,
    /// [`Stage::Held`](crate::Stage::Held)
    Held,
    /// [`Stage::Quarantined`](crate::Stage::Quarantined)
    Quarantined,
    /// Set aside because something of it is damaged.
    Damaged,
}

/// Which messages are listed: those that fit everything that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// At this stage.
    pub stage: Option<StageKind>,
    /// From this sender, as it was given; the empty one is the null path.
    pub sender: Option<String>,
    /// With recipients that wait for this destination after an attempt.
    pub destination: Option<String>,
    /// Received before this time.
    pub received_before: Option<SystemTime>,
    /// Waiting for the sink of one of these bindings, see [`Stage::waits_for`](crate::Stage::waits_for). Empty: any
    /// message.
    pub waits_for: Vec<String>,
}

/// Which part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// After this message; `None`: from the first on.
    pub after: Option<MessageId>,
    /// At most so many, and never more than [`MOST_ON_A_PAGE`].
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
        }
    }
}

/// A message in the list. The order is that of their ids, which is that of their arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub id: MessageId,
    /// Where it stands.
    pub stage: StageKind,
    /// When it is looked at next; `None`: not by itself.
    pub due: Option<SystemTime>,
    /// The virtual server that accepted it.
    pub server: String,
    /// The sender's address; empty for the null path.
    pub sender: String,
    /// Octets of the content.
    pub size: u64,
    /// When it was received.
    pub received: SystemTime,
    /// Recipients, those that are done included.
    pub recipients: u32,
    /// The most attempts that any recipient has behind it.
    pub attempts: u32,
    /// Why it is still here, in the words of the last attempt, of the binding that keeps it, or of
    /// the damage; `None` before the first attempt.
    pub reason: Option<String>,
    /// The destinations that it waits for after an attempt.
    pub waiting: Vec<Waiting>,
}

/// What waits for one destination after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The destination, as the configuration writes it.
    pub destination: String,
    /// Messages.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// When the first of them is tried again.
    pub next: SystemTime,
}

/// Recipients of one message that wait for one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The destination, as the configuration writes it.
    pub destination: String,
    /// When they are tried again.
    pub due: SystemTime,
    /// How many they are.
    pub recipients: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// The words of the last one.
    pub reason: String,
}
