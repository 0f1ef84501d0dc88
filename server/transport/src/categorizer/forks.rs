//! Messages that branch off, because what goes to some recipients has another sender.

use std::sync::Arc;

use postern_message::{Message, MessageId};
use postern_spool::{
    Due, NewMessage, Point, Purpose, ReadAt, SpoolError, Stage, StoredBody, StoredMessage,
};

use super::super::core::Core;
use super::tree::Fork;

/// Octets of a content that are copied in one go.
const PIECE: usize = 256 * 1024;

/// Why a message cannot branch off.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForkError {
    #[error("the content cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A branch that is to be committed.
pub(super) struct Branch {
    message: Arc<Message>,
    body: StoredBody,
    due: Due,
}

impl Branch {
    pub(super) fn new_message(&self) -> NewMessage {
        NewMessage {
            message: Arc::clone(&self.message),
            body: self.body.clone(),
            stage: Stage::at(Point::Expand),
            due: self.due,
        }
    }

    /// The branch as the store has it once it is committed.
    pub(super) fn stored(&self) -> StoredMessage {
        StoredMessage {
            message: Arc::clone(&self.message),
            stage: Stage::at(Point::Expand),
            due: self.due,
            content: self.body.reader(),
        }
    }
}

/// Makes branches of a message. Its content is copied once for all of them.
pub(super) async fn branches(
    core: &Core,
    message: &Message,
    content: &Arc<dyn ReadAt>,
    forks: Vec<Fork>,
) -> Result<Vec<Branch>, ForkError> {
    if forks.is_empty() {
        return Ok(Vec::new());
    }
    let body = copy(core, content).await?;
    let due = Due::At(core.now());
    let branch = |fork: Fork| {
        let mut envelope = message.envelope.clone();
        envelope.sender = fork.sender;
        envelope.given = None;
        // What its sender asked for is between it and that sender (RFC 3461, 5.2.7).
        envelope.envid = None;
        envelope.ret = None;
        let message = Message {
            id: MessageId::new(),
            envelope,
            recipients: fork.recipients,
            passed: Vec::new(),
            ..message.clone()
        };
        Branch {
            message: Arc::new(message),
            body: body.clone(),
            due,
        }
    };
    Ok(forks.into_iter().map(branch).collect())
}

/// The same content once more. It may use what is kept free of new mail: the message is here already.
async fn copy(core: &Core, content: &Arc<dyn ReadAt>) -> Result<StoredBody, ForkError> {
    let mut copy = core.store.receive(Purpose::Notification)?;
    let size = content.available();
    let mut at = 0;
    while at < size {
        let piece = content.read_at(at, PIECE).await?;
        if piece.is_empty() {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        at += piece.len() as u64;
        copy.write(piece).await?;
    }
    Ok(copy.finish().await?)
}
