//! What a store does, whatever it is made of.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use postern_message::{Message, MessageId, RecipientId, RecipientState};

use crate::claim::{Claimed, Lease, Seized};
use crate::listing::{Backlog, Entry, Filter, FromSender, Page, Waiting};
use crate::{Health, ReadAt, Receiving, SpoolError, Stage, StoredBody};

/// When a message is to be looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this time. Kept to the millisecond.
    At(SystemTime),
    /// Not by itself.
    Never,
}

/// A message to be committed for the first time.
pub struct NewMessage {
    /// The message. Its version must be closed.
    pub message: Arc<Message>,
    /// Its content, as it came from [`Receiving::finish`].
    pub body: StoredBody,
    /// Where it stands.
    pub stage: Stage,
    /// When it is to be looked at; with [`Due::At`] a time gone by, at once.
    pub due: Due,
}

/// What is to become of a message that is in the spool. What is `None` stays as it is.
pub struct MessageUpdate {
    /// Which.
    pub id: MessageId,
    /// Its new stage.
    pub stage: Option<Stage>,
    /// When it is to be looked at next: the least due time of its recipients, as a rule.
    pub due: Option<Due>,
    /// The message as edited: envelope, recipients with their states, properties, version. It
    /// replaces all of the old record; the content stays.
    pub message: Option<Arc<Message>>,
    /// Recipients whose state changed. Applied after `message`.
    pub recipients: Vec<RecipientChange>,
    /// Destinations that recipients wait for now, or wait for no more.
    pub destinations: Vec<DestinationChange>,
    /// New messages that are committed with the change or not at all, as a notification is.
    pub insert: Vec<NewMessage>,
}

impl MessageUpdate {
    /// An update that changes nothing yet.
    #[must_use]
    pub fn new(id: MessageId) -> Self {
        Self {
            id,
            stage: None,
            due: None,
            message: None,
            recipients: Vec::new(),
            destinations: Vec::new(),
            insert: Vec::new(),
        }
    }
}

/// What is known of a message's recipients for one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationChange {
    /// They wait, after an attempt.
    Waits(Waiting),
    /// None of them waits for it any more.
    Done(String),
}

/// What a content is received for, and so which part of the disk it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// New mail: refused while less is free than `min_free`.
    #[default]
    Mail,
    /// A notification about mail that is here: it may use what is kept free of new mail, since with
    /// it a message leaves.
    Notification,
}

/// The new state of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientChange {
    /// Which.
    pub id: RecipientId,
    /// Its state now.
    pub state: RecipientState,
}

/// A key under which something was done for somebody, so that it is not done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedKey {
    /// For whom: the name of a sink. Others have keys of their own.
    pub owner: String,
    /// The key, at most 255 octets.
    pub key: Vec<u8>,
    /// The messages that were made or changed.
    pub messages: Vec<MessageId>,
    /// When. Kept to the millisecond.
    pub at: SystemTime,
}

/// Changes that are committed together or not at all, in the order insert, update, remove.
#[derive(Default)]
pub struct Batch {
    /// New messages.
    pub insert: Vec<NewMessage>,
    /// Changes of messages that are there.
    pub update: Vec<MessageUpdate>,
    /// Messages to be removed. One that is not there is no error.
    pub remove: Vec<MessageId>,
    /// Keys that are used up by the changes.
    pub keys: Vec<UsedKey>,
}

/// Proof that something is on stable storage. Only the spool makes it; the 250 needs it.
#[derive(Debug)]
pub struct Durable(pub(crate) ());

/// A message read from the spool.
#[derive(Clone)]
pub struct StoredMessage {
    /// The message.
    pub message: Arc<Message>,
    /// Where it stands.
    pub stage: Stage,
    /// When it is due.
    pub due: Due,
    /// Its content. `message.version` says which parts of it are to be read.
    pub content: Arc<dyn ReadAt>,
}

/// How many messages stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageCounts {
    /// [`Stage::At`] the point of the submission.
    pub submit: u64,
    /// [`Stage::At`] any other point.
    pub categorize: u64,
    /// [`Stage::Deliver`]
    pub deliver: u64,
    /// [`Stage::Held`]
    pub held: u64,
    /// [`Stage::Quarantined`]
    pub quarantined: u64,
    /// [`Stage::OnHold`]
    pub on_hold: u64,
    /// Set aside because their record or content is damaged.
    pub damaged: u64,
}

/// A place where messages persist.
///
/// Every method that changes something returns when the change is on stable storage; concurrent
/// changes share a sync. A future that is dropped before it returns leaves open whether its change
/// was made. Messages that are due are given out by [`Store::claim`], each to one holder at a time.
#[async_trait]
pub trait Store: Send + Sync {
    /// Starts to receive a content.
    ///
    /// # Errors
    /// [`SpoolError::NoSpace`] when the disk has no room for this purpose;
    /// [`SpoolError::Failed`] when the store has failed.
    fn receive(&self, purpose: Purpose) -> Result<Receiving, SpoolError>;

    /// Commits changes together or not at all. `leases` are claims under which they are made: one
    /// that ended meanwhile makes the whole batch fail.
    ///
    /// # Errors
    /// When one of them cannot be made, or the disk fails. Nothing has changed then.
    /// [`SpoolError::LeaseLost`] names the claim that ended; [`SpoolError::KeyUsed`] says that a key was used before.
    async fn commit(&self, batch: Batch, leases: &[Lease]) -> Result<Durable, SpoolError>;

    /// Commits a new message.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn insert(&self, new: NewMessage) -> Result<Durable, SpoolError> {
        let batch = Batch {
            insert: vec![new],
            ..Batch::default()
        };
        self.commit(batch, &[]).await
    }

    /// Commits a change.
    ///
    /// # Errors
    /// As [`Store::commit`]; [`SpoolError::Unknown`] when the message is not there.
    async fn update(&self, update: MessageUpdate) -> Result<Durable, SpoolError> {
        let batch = Batch {
            update: vec![update],
            ..Batch::default()
        };
        self.commit(batch, &[]).await
    }

    /// Removes a message and its content.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn remove(&self, id: MessageId) -> Result<Durable, SpoolError> {
        let batch = Batch {
            remove: vec![id],
            ..Batch::default()
        };
        self.commit(batch, &[]).await
    }

    /// Claims messages that are due at `now`, the longest due first, at most `limit`. `holder` names
    /// who claims them, for people who look at a store that several processes share.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn claim(
        &self,
        now: SystemTime,
        limit: usize,
        holder: &str,
    ) -> Result<Vec<Claimed>, SpoolError>;

    /// Claims a message that this process has committed just now, due at `due`, without a search.
    /// `None`: it was claimed meanwhile; whoever claimed it sees to it.
    fn adopt(&self, id: MessageId, due: SystemTime) -> Option<Lease>;

    /// Claims one message before it is due: what it waited for has come. `None`: somebody has it, or it
    /// is not there, or not due at all.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn take(&self, id: MessageId) -> Result<Option<Claimed>, SpoolError>;

    /// Claims one message whenever it is due, and also if it is not due at all: for who acts on it by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn seize(&self, id: MessageId) -> Result<Seized, SpoolError>;

    /// What was done under a key. It is known for at least a day, and for as long as one of its messages is here.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn used(&self, owner: &str, key: &[u8]) -> Result<Option<UsedKey>, SpoolError>;

    /// Prolongs claims, and says which of them had ended. Who holds claims calls it at least once a
    /// minute.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Lease>, SpoolError>;

    /// Gives a claim back. The message is claimed again when it is due, and not before `not_before`:
    /// a restart may forget that. Never blocks.
    fn release(&self, lease: Lease, not_before: Option<SystemTime>);

    /// When the next message can be claimed.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn next_due(&self) -> Result<Option<SystemTime>, SpoolError>;

    /// Reads a message; `None` when it is not there. What is read of its content is checked when it
    /// is read.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`] when its record or its content cannot be read or do not fit their
    /// checksums: the message is set aside and not due again.
    async fn load(&self, id: MessageId) -> Result<Option<StoredMessage>, SpoolError>;

    /// Sets a message aside that turned out to be damaged: it keeps its place in the store and is
    /// not due any more, until a person removes it.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn put_aside(&self, id: MessageId, why: String) -> Result<Durable, SpoolError>;

    /// A page of what is in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<Entry>, SpoolError>;

    /// What waits for which destination after an attempt, most messages first, at most `limit`
    /// destinations.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn backlogs(&self, limit: usize) -> Result<Vec<Backlog>, SpoolError>;

    /// What is from which sender, most messages first, at most `limit` senders.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn senders(&self, limit: usize) -> Result<Vec<FromSender>, SpoolError>;

    /// How many messages stand where.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn counts(&self) -> Result<StageCounts, SpoolError>;

    /// Whether it can still keep its promises.
    fn health(&self) -> &Health;

    /// Finishes what was asked for and leaves the store tidy. Nothing is taken after that. Blocks.
    fn close(&self);
}
