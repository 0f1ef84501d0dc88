//! What a store driver does, whatever it is made of.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use postern_message::{Message, MessageId, RecipientId, RecipientState};

use crate::{Incoming, ReadAt, SpoolError, Stage, StoredBody};

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
    /// Its content, as it came from [`Incoming::finish`].
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
            insert: Vec::new(),
        }
    }
}

/// The new state of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientChange {
    /// Which.
    pub id: RecipientId,
    /// Its state now.
    pub state: RecipientState,
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
    /// [`Stage::Submit`]
    pub submit: u64,
    /// [`Stage::Deliver`]
    pub deliver: u64,
    /// [`Stage::Held`]
    pub held: u64,
    /// [`Stage::Quarantined`]
    pub quarantined: u64,
    /// Set aside because their record or content is damaged.
    pub damaged: u64,
}

/// A place where messages persist. Every method that changes something returns when the change is
/// on stable storage; concurrent changes share a sync. A future that is dropped before it returns
/// leaves open whether its change was made.
#[async_trait]
pub trait StoreDriver: Send + Sync {
    /// Starts to receive a content.
    ///
    /// # Errors
    /// [`SpoolError::NoSpace`] when less than `min_free` is free.
    fn begin(&self) -> Result<Incoming, SpoolError>;

    /// Commits changes together or not at all.
    ///
    /// # Errors
    /// When one of them cannot be made, or the disk fails. Nothing has changed then.
    async fn commit_many(&self, batch: Batch) -> Result<Durable, SpoolError>;

    /// Commits a new message.
    ///
    /// # Errors
    /// As [`StoreDriver::commit_many`].
    async fn commit(&self, new: NewMessage) -> Result<Durable, SpoolError> {
        self.commit_many(Batch {
            insert: vec![new],
            ..Batch::default()
        })
        .await
    }

    /// Commits a change.
    ///
    /// # Errors
    /// As [`StoreDriver::commit_many`]; [`SpoolError::Unknown`] when the message is not there.
    async fn update(&self, update: MessageUpdate) -> Result<Durable, SpoolError> {
        self.commit_many(Batch {
            update: vec![update],
            ..Batch::default()
        })
        .await
    }

    /// Removes a message and its content.
    ///
    /// # Errors
    /// As [`StoreDriver::commit_many`].
    async fn remove(&self, id: MessageId) -> Result<Durable, SpoolError> {
        self.commit_many(Batch {
            remove: vec![id],
            ..Batch::default()
        })
        .await
    }

    /// Messages that are due at `now`, the longest due first, at most `limit`, without those in
    /// `exclude` (the ones in flight).
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn due(
        &self,
        now: SystemTime,
        limit: usize,
        exclude: &HashSet<MessageId>,
    ) -> Result<Vec<MessageId>, SpoolError>;

    /// When the next message is due, without those in `exclude`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn next_due(
        &self,
        exclude: &HashSet<MessageId>,
    ) -> Result<Option<SystemTime>, SpoolError>;

    /// Reads a message; `None` when it is not there. Its checksums are verified.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`] when they do not fit: the message is set aside and not due again.
    async fn load(&self, id: MessageId) -> Result<Option<StoredMessage>, SpoolError>;

    /// How many messages stand where.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn counts(&self) -> Result<StageCounts, SpoolError>;
}
