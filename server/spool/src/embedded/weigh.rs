//! How much a change costs: in memory while it waits, and the writer while it commits it.

use crate::Purpose;
use crate::body::Place;
use crate::store::{Batch, MessageUpdate, NewMessage};

/// A row that is written, whatever is in it.
const ROW: usize = 512;

/// About how many octets the log grows by, and the memory while it waits.
pub(super) fn weigh(batch: &Batch) -> usize {
    let inserts: usize = batch.insert.iter().map(insert).sum();
    let updates: usize = batch.update.iter().map(update).sum();
    inserts + updates + 8 * ROW * batch.remove.len() + ROW * batch.keys.len()
}

fn insert(new: &NewMessage) -> usize {
    let content = match &new.body.place {
        Place::Memory(bytes) => bytes.len(),
        Place::Spilled(_) => 0,
    };
    content + 8 * ROW + ROW / 4 * new.message.recipients.len()
}

fn update(update: &MessageUpdate) -> usize {
    let message = update.message.as_ref();
    let record = message.map_or(0, |message| ROW / 4 * message.recipients.len());
    let rows = update.recipients.len() + update.destinations.len();
    8 * ROW + record + ROW * rows + update.insert.iter().map(insert).sum::<usize>()
}

/// New mail is in it. It comes first, since a client waits for it.
pub(super) fn is_mail(batch: &Batch) -> bool {
    let mut inserts = batch.insert.iter();
    inserts.any(|new| new.body.purpose == Purpose::Mail)
}
