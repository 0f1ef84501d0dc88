//! Changes made ready on the caller's thread, so that the writer only has to bind them.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::encoding::{Writer, to_millis};
use postern_message::{Message, MessageId, RecipientId, RecipientState, Status};

use crate::arrival::Arrival;
use crate::body::Place;
use crate::files::FileGuard;
use crate::stage::Kind;
use crate::sums::seal;
use crate::{
    Batch, ContentFacts, DestinationChange, Due, MessageUpdate, NewMessage, RecipientChange,
    SpoolError, Stage, UsedKey, weight_in_hand,
};

/// Contents up to this size are kept in the database.
pub(super) const INLINE: usize = 32 * 1024;

/// Changes that are committed together, in this order.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) inserts: Vec<Insert>,
    pub(super) updates: Vec<Update>,
    pub(super) removes: Vec<MessageId>,
    pub(super) keys: Vec<UsedKey>,
    pub(super) damages: Vec<Damaged>,
}

pub(super) struct Insert {
    pub(super) id: MessageId,
    pub(super) stage: SealedStage,
    pub(super) due: Option<i64>,
    pub(super) record: Record,
    pub(super) size: u64,
    pub(super) sum: u32,
    pub(super) blocks: Arc<[u32]>,
    pub(super) facts: ContentFacts,
    pub(super) content: Content,
}

/// A message as it is kept, and what of it has columns of its own.
pub(super) struct Record {
    pub(super) sealed: Vec<u8>,
    pub(super) columns: Columns,
}

pub(super) struct Columns {
    pub(super) server: String,
    pub(super) sender: String,
    pub(super) received: i64,
    pub(super) recipients: i64,
    /// About how many octets it takes in memory.
    pub(super) weight: i64,
    pub(super) attempts: u32,
}

/// Where the content goes: into the database, into an extent, or into a file, where it is already.
pub(super) enum Content {
    Inline(Bytes),
    Lump(Lump),
    File(Arc<FileGuard>),
}

/// A content that the writer puts into an extent.
pub(super) struct Lump {
    pub(super) octets: Bytes,
    pub(super) content: Arc<Arrival>,
}

impl Insert {
    pub(super) fn lump(&self) -> Option<&Lump> {
        match &self.content {
            Content::Lump(lump) => Some(lump),
            Content::Inline(_) | Content::File(_) => None,
        }
    }
}

pub(super) struct Update {
    pub(super) id: MessageId,
    pub(super) stage: Option<SealedStage>,
    pub(super) due: Option<Option<i64>>,
    pub(super) record: Option<Record>,
    pub(super) recipients: Vec<Progress>,
    pub(super) destinations: Vec<DestinationChange>,
    /// The most attempts of the recipients that changed, and why they are still here.
    pub(super) attempts: u32,
    pub(super) reason: Option<String>,
}

pub(super) struct SealedStage {
    pub(super) kind: Kind,
    pub(super) record: Vec<u8>,
    /// Why the message is kept.
    pub(super) reason: Option<String>,
    /// The binding whose sink it waits for.
    pub(super) waits: Option<String>,
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
            keys: batch.keys,
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

    fn update(&mut self, update: MessageUpdate) -> Result<(), SpoolError> {
        let id = update.id;
        let record = update.message.map(|message| record(&message)).transpose()?;
        let recipients = update.recipients.iter();
        let last = update
            .recipients
            .iter()
            .filter_map(|change| pending(&change.state));
        let attempts = last.clone().map(|(attempts, _)| attempts).max();
        let reason = last.filter_map(|(_, status)| status).next_back();
        self.updates.push(Update {
            id,
            stage: update.stage.map(|stage| seal_stage(id, &stage)),
            due: update.due.map(due),
            record,
            recipients: recipients.map(|change| progress(id, change)).collect(),
            destinations: update.destinations,
            attempts: attempts.unwrap_or(0),
            reason: reason.map(|status| short(&status.text)),
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
        blocks: new.body.blocks,
        facts: new.body.facts,
        content: match new.body.place {
            Place::Memory(bytes) if bytes.len() <= INLINE => Content::Inline(bytes),
            Place::Memory(octets) => Content::Lump(Lump {
                octets,
                content: new.body.content,
            }),
            Place::Spilled(place) => {
                Content::File(Arc::downcast(place).map_err(|_| SpoolError::Foreign(id))?)
            }
        },
    })
}

fn record(message: &Message) -> Result<Record, SpoolError> {
    if message.version.is_open() {
        return Err(SpoolError::Incomplete(message.id));
    }
    let sealed = seal(message.id.as_bytes(), message.encode());
    Ok(Record {
        columns: columns(message, sealed.len()),
        sealed,
    })
}

/// What of a message has columns of its own; its record has `length` octets.
pub(super) fn columns(message: &Message, length: usize) -> Columns {
    let states = message.recipients.iter().map(|recipient| &recipient.state);
    let attempts = states.filter_map(pending).map(|(attempts, _)| attempts);
    Columns {
        server: message.server.clone(),
        sender: message
            .envelope
            .sender
            .mailbox()
            .map_or_else(String::new, |mailbox| mailbox.as_str().to_owned()),
        received: to_millis(message.received_at),
        recipients: message.recipients.len() as i64,
        weight: weight(message.recipients.len(), length),
        attempts: attempts.max().unwrap_or(0),
    }
}

/// A message with its recipients' states, as a delivery holds it, without its content.
fn weight(recipients: usize, record: usize) -> i64 {
    (weight_in_hand(recipients) + 2 * record as u64) as i64
}

fn pending(state: &RecipientState) -> Option<(u32, Option<&Status>)> {
    match state {
        RecipientState::Pending { attempts, last, .. } => Some((*attempts, last.as_ref())),
        _ => None,
    }
}

/// Characters of a reason that a list shows.
const REASON: usize = 300;

pub(super) fn short(text: &str) -> String {
    text.chars().take(REASON).collect()
}

fn seal_stage(id: MessageId, stage: &Stage) -> SealedStage {
    SealedStage {
        kind: stage.kind(),
        record: seal(id.as_bytes(), stage.encode()),
        reason: reason(stage),
        waits: stage.waits_for().map(str::to_owned),
    }
}

/// Why a message is kept that is at this stage.
pub(super) fn reason(stage: &Stage) -> Option<String> {
    match stage {
        Stage::Held { event, .. } => {
            let (binding, _) = stage.kept_by()?;
            Some(format!("held by {binding} at {event}"))
        }
        Stage::Quarantined { by, why, .. } => Some(short(&format!("{by}: {why}"))),
        Stage::OnHold { by, why, .. } if why.is_empty() => Some(short(&format!("on hold by {by}"))),
        Stage::OnHold { by, why, .. } => Some(short(&format!("on hold by {by}: {why}"))),
        Stage::At { .. } | Stage::Deliver => None,
    }
}

/// Octets of a recipient's state, without what a reply says.
const STATE: usize = 64;

fn progress(message: MessageId, change: &RecipientChange) -> Progress {
    let reply = change.state.status().map_or(0, |status| status.text.len());
    let mut out = Writer::with_capacity(STATE + reply);
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
