//! Changes as statements. Whoever calls has a transaction open.

use postern_message::MessageId;
use postern_message::encoding::to_millis;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::Counts;
use super::extents::{self, Lent, Place};
use super::keys;
use super::prepare::{Content, Damaged, Insert, Prepared, Update, short};
use crate::stage::Kind;
use crate::store::DestinationChange;
use crate::{ContentFacts, SpoolError};

/// Recipients wait for a destination, and would if the message were not on hold. The numbers are part of the format.
const WAITING: i64 = 1;
const STOPPED: i64 = 2;

/// What follows from changes once they are committed.
#[derive(Default)]
pub(super) struct Effects {
    /// Content files that no row names any more.
    pub(super) files: Vec<String>,
    /// Places in the file of extents that no row names any more.
    pub(super) places: Vec<Place>,
    /// Messages that came to or left a stage.
    counts: Vec<(Kind, i64)>,
    /// Messages with their due times now; and those that are gone.
    pub(super) due: Vec<(MessageId, Option<i64>)>,
    pub(super) gone: Vec<MessageId>,
}

impl Effects {
    pub(super) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.places.extend(other.places);
        self.counts.extend(other.counts);
        self.due.extend(other.due);
        self.gone.extend(other.gone);
    }

    pub(super) fn count(&mut self, counts: &Counts) {
        for (kind, by) in self.counts.drain(..) {
            counts.add(kind, by);
        }
    }
}

/// Makes all changes of one request. Contents for extents are in the places that were lent to them.
pub(super) fn apply(
    connection: &Connection,
    prepared: &Prepared,
    lent: &Lent,
) -> Result<Effects, SpoolError> {
    let mut effects = Effects::default();
    for key in &prepared.keys {
        keys::use_up(connection, key)?;
    }
    for new in &prepared.inserts {
        insert(connection, new, lent, &mut effects)?;
    }
    for change in &prepared.updates {
        update(connection, change, &mut effects)?;
    }
    for id in &prepared.removes {
        remove(connection, *id, &mut effects)?;
    }
    for damaged in &prepared.damages {
        damage(connection, damaged, &mut effects)?;
    }
    Ok(effects)
}

fn insert(
    connection: &Connection,
    new: &Insert,
    lent: &Lent,
    effects: &mut Effects,
) -> Result<(), SpoolError> {
    let (file, start, content) = match &new.content {
        Content::Inline(bytes) => (None, 0, Some(bytes.as_ref())),
        Content::Lump(lump) => {
            let place = lent.place_of(lump).ok_or(SpoolError::Foreign(new.id))?;
            (Some(extents::NAME), place.start(), None)
        }
        Content::File(guard) => (Some(guard.name()), 0, None),
    };
    let body = Body {
        size: number(new.size),
        sum: new.sum,
        facts: Some(new.facts),
        file,
        start: number(start),
        blocks: file.is_some().then(|| encode_blocks(&new.blocks)),
        content,
    };
    let body = insert_body(connection, &body)?;
    let columns = &new.record.columns;
    let done = connection
        .prepare_cached(
            "INSERT INTO message (id, kind, due, body, server, sender, size, received, recipients,
                 weight, attempts, reason, stage, record, waits)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(rusqlite::params![
            new.id.as_bytes(),
            new.stage.kind as i64,
            new.due,
            body,
            columns.server,
            columns.sender,
            number(new.size),
            columns.received,
            columns.recipients,
            columns.weight,
            columns.attempts,
            new.stage.reason,
            new.stage.record,
            new.record.sealed,
            new.stage.waits,
        ]);
    match done {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Err(SpoolError::Duplicate(new.id));
        }
        other => other?,
    };
    effects.counts.push((new.stage.kind, 1));
    effects.due.push((new.id, new.due));
    Ok(())
}

/// A body's row.
pub(super) struct Body<'a> {
    pub(super) size: i64,
    pub(super) sum: u32,
    pub(super) facts: Option<ContentFacts>,
    pub(super) file: Option<&'a str>,
    pub(super) start: i64,
    pub(super) blocks: Option<Vec<u8>>,
    pub(super) content: Option<&'a [u8]>,
}

/// Makes a body's row; its number.
pub(super) fn insert_body(connection: &Connection, body: &Body<'_>) -> Result<i64, SpoolError> {
    let facts = body.facts.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO body (size, sum, longest_line, last_eight_bit, flags, file, start, blocks,
                 content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(rusqlite::params![
            body.size,
            body.sum,
            facts.map(|facts| number(facts.longest_line)),
            facts.and_then(|facts| facts.last_eight_bit).map(number),
            facts.map(ContentFacts::flags),
            body.file,
            body.start,
            body.blocks,
            body.content,
        ])?;
    Ok(connection.last_insert_rowid())
}

fn encode_blocks(blocks: &[u32]) -> Vec<u8> {
    blocks.iter().flat_map(|sum| sum.to_le_bytes()).collect()
}

fn number(octets: u64) -> i64 {
    i64::try_from(octets).unwrap_or(i64::MAX)
}

fn update(
    connection: &Connection,
    change: &Update,
    effects: &mut Effects,
) -> Result<(), SpoolError> {
    let id = change.id.as_bytes();
    let before = kind(connection, change.id)?.ok_or(SpoolError::Unknown(change.id))?;
    // What was set aside stays so, whatever those find out who had it in hand.
    let aside = before == Kind::Damaged;
    if let Some(stage) = change.stage.as_ref().filter(|_| !aside) {
        connection
            .prepare_cached(
                "UPDATE message SET kind = ?2, stage = ?3, reason = ?4, waits = ?5 WHERE id = ?1",
            )?
            .execute((
                id,
                stage.kind as i64,
                &stage.record,
                &stage.reason,
                &stage.waits,
            ))?;
        if stage.kind != before {
            effects.counts.push((before, -1));
            effects.counts.push((stage.kind, 1));
        }
        if (stage.kind == Kind::OnHold) != (before == Kind::OnHold) {
            let state = match stage.kind {
                Kind::OnHold => STOPPED,
                _ => WAITING,
            };
            connection
                .prepare_cached("UPDATE delivery SET state = ?2 WHERE message = ?1")?
                .execute((id, state))?;
        }
    }
    if let Some(due) = change.due.filter(|_| !aside) {
        connection
            .prepare_cached("UPDATE message SET due = ?2 WHERE id = ?1")?
            .execute((id, due))?;
        effects.due.push((change.id, due));
    }
    if let Some(record) = &change.record {
        let columns = &record.columns;
        connection
            .prepare_cached(
                "UPDATE message SET record = ?2, server = ?3, sender = ?4, recipients = ?5,
                     weight = ?6, attempts = ?7 WHERE id = ?1",
            )?
            .execute(rusqlite::params![
                id,
                record.sealed,
                columns.server,
                columns.sender,
                columns.recipients,
                columns.weight,
                columns.attempts,
            ])?;
        forget_progress(connection, change.id)?;
    }
    for progress in &change.recipients {
        connection
            .prepare_cached(
                "INSERT INTO recipient (message, id, state) VALUES (?1, ?2, ?3)
                 ON CONFLICT (message, id) DO UPDATE SET state = ?3",
            )?
            .execute((id, progress.id.as_bytes(), &progress.state))?;
    }
    if change.attempts > 0 {
        connection
            .prepare_cached(
                "UPDATE message SET attempts = max(attempts, ?2), reason = coalesce(?3, reason)
                 WHERE id = ?1",
            )?
            .execute((id, change.attempts, &change.reason))?;
    }
    for destination in &change.destinations {
        wait_for(connection, change.id, destination)?;
    }
    Ok(())
}

fn wait_for(
    connection: &Connection,
    id: MessageId,
    change: &DestinationChange,
) -> Result<(), SpoolError> {
    match change {
        DestinationChange::Waits(waiting) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO delivery
                     (message, destination, due, state, recipients, attempts, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                id.as_bytes(),
                &waiting.destination,
                to_millis(waiting.due),
                WAITING,
                waiting.recipients,
                waiting.attempts,
                short(&waiting.reason),
            ))?,
        DestinationChange::Done(destination) => connection
            .prepare_cached("DELETE FROM delivery WHERE message = ?1 AND destination = ?2")?
            .execute((id.as_bytes(), destination))?,
    };
    Ok(())
}

fn remove(connection: &Connection, id: MessageId, effects: &mut Effects) -> Result<(), SpoolError> {
    let gone: Option<(i64, i64)> = connection
        .prepare_cached("DELETE FROM message WHERE id = ?1 RETURNING kind, body")?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((kind, body)) = gone else {
        return Ok(());
    };
    if let Some(kind) = Kind::of(kind) {
        effects.counts.push((kind, -1));
        if kind == Kind::Damaged {
            connection
                .prepare_cached("DELETE FROM damaged WHERE message = ?1")?
                .execute([id.as_bytes()])?;
        }
    }
    effects.gone.push(id);
    forget_progress(connection, id)?;
    let body: Option<(Option<String>, i64, i64)> = connection
        .prepare_cached("DELETE FROM body WHERE seq = ?1 RETURNING file, start, size")?
        .query_row([body], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((Some(file), start, size)) = body {
        // Messages that were forked share one.
        let shared = connection
            .prepare_cached("SELECT 1 FROM body WHERE file = ?1 AND start = ?2")?
            .exists((&file, start))?;
        if shared {
            return Ok(());
        }
        match file.as_str() {
            extents::NAME => effects.places.extend(Place::of_row(start, size)),
            _ => effects.files.push(file),
        }
    }
    Ok(())
}

/// Takes a message out of the queue. Its rows and its content stay, for a person to look at.
fn damage(
    connection: &Connection,
    damaged: &Damaged,
    effects: &mut Effects,
) -> Result<(), SpoolError> {
    let Some(before) = kind(connection, damaged.id)? else {
        return Ok(());
    };
    let id = damaged.id.as_bytes();
    effects.due.push((damaged.id, None));
    connection
        .prepare_cached(
            "UPDATE message SET kind = ?2, due = NULL, reason = ?3, waits = NULL WHERE id = ?1",
        )?
        .execute((id, Kind::Damaged as i64, short(&damaged.why)))?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO damaged (message, why, found) VALUES (?1, ?2, ?3)")?
        .execute((id, &damaged.why, damaged.found))?;
    if before != Kind::Damaged {
        effects.counts.push((before, -1));
        effects.counts.push((Kind::Damaged, 1));
    }
    Ok(())
}

fn forget_progress(connection: &Connection, id: MessageId) -> Result<(), SpoolError> {
    connection
        .prepare_cached("DELETE FROM recipient WHERE message = ?1")?
        .execute([id.as_bytes()])?;
    connection
        .prepare_cached("DELETE FROM delivery WHERE message = ?1")?
        .execute([id.as_bytes()])?;
    Ok(())
}

/// The stage of a message, if it is there. A number that does not exist counts as damaged.
fn kind(connection: &Connection, id: MessageId) -> Result<Option<Kind>, SpoolError> {
    let number: Option<i64> = connection
        .prepare_cached("SELECT kind FROM message WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(number.map(|number| Kind::of(number).unwrap_or(Kind::Damaged)))
}
