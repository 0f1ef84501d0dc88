//! Changes made ready on the caller's thread, so that the writer only has to bind them.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::encoding::{Writer, to_millis};
use postern_message::{Message, MessageId, RecipientId};

use crate::body::Place;
use crate::files::FileGuard;
use crate::stage::Kind;
use crate::sums::seal;
use crate::{Batch, Due, MessageUpdate, NewMessage, RecipientChange, SpoolError, Stage};

/// Changes that are committed together, in this order.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) inserts: Vec<Insert>,
    pub(super) updates: Vec<Update>,
    pub(super) removes: Vec<MessageId>,
    pub(super) damages: Vec<Damaged>,
}

pub(super) struct Insert {
    pub(super) id: MessageId,
    pub(super) stage: SealedStage,
    pub(super) due: Option<i64>,
    pub(super) record: Vec<u8>,
    pub(super) size: u64,
    pub(super) sum: u32,
    pub(super) content: Content,
}

/// Content in the database, or the file that holds it.
pub(super) enum Content {
    Inline(Bytes),
    File(Arc<FileGuard>),
}

pub(super) struct Update {
    pub(super) id: MessageId,
    pub(super) stage: Option<SealedStage>,
    pub(super) due: Option<Option<i64>>,
    pub(super) record: Option<Vec<u8>>,
    pub(super) recipients: Vec<Progress>,
}

pub(super) struct SealedStage {
    pub(super) kind: Kind,
    pub(super) record: Vec<u8>,
}

pub(super) struct Progress {
    pub(super) id: RecipientId,
    pub(super) state: Vec<u8>,
}

pub(super) struct Damaged {
    pub(super) id: MessageId,
    pub(super) why: String,
    pub(super) found: i64,
}

impl Prepared {
    pub(super) fn of(batch: Batch) -> Result<Self, SpoolError> {
        let mut prepared = Self {
            removes: batch.remove,
            ..Self::default()
        };
        for new in batch.insert {
            prepared.inserts.push(insert(new)?);
        }
        for update in batch.update {
            prepared.update(update)?;
        }
        Ok(prepared)
    }

    pub(super) fn damage(id: MessageId, why: String, found: SystemTime) -> Self {
        Self {
            damages: vec![Damaged {
                id,
                why,
                found: to_millis(found),
            }],
            ..Self::default()
        }
    }

    /// About how many octets the WAL grows by.
    pub(super) fn weight(&self) -> usize {
        let inserts = self.inserts.iter().map(|insert| {
            let content = match &insert.content {
                Content::Inline(bytes) => bytes.len(),
                Content::File(_) => 0,
            };
            insert.record.len() + content
        });
        let changes = self.updates.len() + self.removes.len() + self.inserts.len();
        inserts.sum::<usize>() + 8192 * changes
    }

    fn update(&mut self, update: MessageUpdate) -> Result<(), SpoolError> {
        let id = update.id;
        let record = update.message.map(|message| record(&message)).transpose()?;
        let recipients = update.recipients.iter();
        self.updates.push(Update {
            id,
            stage: update.stage.map(|stage| seal_stage(id, &stage)),
            due: update.due.map(due),
            record,
            recipients: recipients.map(|change| progress(id, change)).collect(),
        });
        for new in update.insert {
            self.inserts.push(insert(new)?);
        }
        Ok(())
    }
}

fn insert(new: NewMessage) -> Result<Insert, SpoolError> {
    let id = new.message.id;
    Ok(Insert {
        id,
        stage: seal_stage(id, &new.stage),
        due: due(new.due),
        record: record(&new.message)?,
        size: new.body.size,
        sum: new.body.sum,
        content: match new.body.place {
            Place::Inline(bytes) => Content::Inline(bytes),
            Place::File(guard) => Content::File(guard),
        },
    })
}

fn record(message: &Message) -> Result<Vec<u8>, SpoolError> {
    if message.version.is_open() {
        return Err(SpoolError::Incomplete(message.id));
    }
    Ok(seal(message.id.as_bytes(), message.encode()))
}

fn seal_stage(id: MessageId, stage: &Stage) -> SealedStage {
    SealedStage {
        kind: stage.kind(),
        record: seal(id.as_bytes(), stage.encode()),
    }
}

fn progress(message: MessageId, change: &RecipientChange) -> Progress {
    let mut out = Writer::new();
    change.state.encode(&mut out);
    Progress {
        id: change.id,
        state: seal(&progress_key(message, change.id), out.into_bytes()),
    }
}

/// What the checksum of a recipient's progress is over, beside the progress itself.
pub(super) fn progress_key(message: MessageId, recipient: RecipientId) -> Vec<u8> {
    [*message.as_bytes(), *recipient.as_bytes()].concat()
}

fn due(due: Due) -> Option<i64> {
    match due {
        Due::At(time) => Some(to_millis(time)),
        Due::Never => None,
    }
}
