//! Pages of what is in the store, read from the columns that repeat the records.

use std::time::SystemTime;

use bytes::Bytes;
use postern_message::encoding::{from_millis, to_millis};
use postern_message::{Message, MessageId};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::listing::{
    Backlog, Entry, Filter, FromSender, MOST_ON_A_PAGE, Page, StageKind, Waiting,
};
use crate::stage::Kind;
use crate::sums;
use crate::{SpoolError, Stage};

pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Entry>, SpoolError> {
    let (conditions, values) = conditions(filter, page);
    let limit = page.limit.min(MOST_ON_A_PAGE);
    // They are most of a row, and are read only where something is looked for in them.
    let stage = filter.kept_by.as_ref().map_or("NULL", |_| "stage");
    let record = filter.recipient.as_ref().map_or("NULL", |_| "record");
    let query = format!(
        "SELECT id, kind, due, server, sender, size, received, recipients, attempts, reason,
             {stage}, {record}
         FROM message WHERE {conditions} ORDER BY id"
    );
    // One transaction: a message and what it waits for are those of one moment.
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached(&query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some(row) = rows.next()?
    {
        if !stage_fits(filter, row)? || !record_fits(filter, row)? {
            continue;
        }
        if let Some(mut entry) = entry(row)? {
            entry.waiting = waiting(&transaction, entry.id)?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn conditions(filter: &Filter, page: Page) -> (String, Vec<Value>) {
    let mut conditions = vec!["id > ?"];
    let after = page
        .after
        .map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let mut values = vec![Value::Blob(after)];
    if let Some(id) = filter.id {
        conditions.push("id = ?");
        values.push(Value::Blob(id.as_bytes().to_vec()));
    }
    if let Some(stage) = filter.stage {
        conditions.push("kind = ?");
        values.push(Value::Integer(kind(stage) as i64));
    }
    if let Some(sender) = &filter.sender {
        conditions.push("sender LIKE ? ESCAPE '\\'");
        values.push(Value::Text(sender.as_like()));
    }
    if let Some(destination) = &filter.destination {
        conditions.push(
            "EXISTS (SELECT 1 FROM delivery
                 WHERE message = message.id AND destination LIKE ? ESCAPE '\\')",
        );
        values.push(Value::Text(destination.as_like()));
    }
    if let Some(reason) = &filter.reason {
        conditions.push("reason LIKE ? ESCAPE '\\'");
        values.push(Value::Text(reason.as_like()));
    }
    if let Some(octets) = filter.larger_than {
        conditions.push("size > ?");
        values.push(Value::Integer(i64::try_from(octets).unwrap_or(i64::MAX)));
    }
    if let Some(attempts) = filter.attempts {
        conditions.push("attempts >= ?");
        values.push(Value::Integer(i64::from(attempts)));
    }
    if filter.kept_by.is_some() {
        // Nobody keeps the others.
        conditions.push("kind IN (1, 3, 4, 5, 6)");
    }
    if let Some(before) = filter.received_before {
        conditions.push("received < ?");
        values.push(Value::Integer(to_millis(before)));
    }
    let asked = format!(
        "waits IN ({})",
        vec!["?"; filter.waits_for.len()].join(", ")
    );
    if !filter.waits_for.is_empty() {
        conditions.push(&asked);
        values.extend(filter.waits_for.iter().cloned().map(Value::Text));
    }
    (conditions.join(" AND "), values)
}

/// Whether the binding that keeps the message is the one that is asked for. A stage that cannot be read fits nothing.
fn stage_fits(filter: &Filter, row: &Row<'_>) -> rusqlite::Result<bool> {
    let Some(binding) = &filter.kept_by else {
        return Ok(true);
    };
    let (id, sealed): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(10)?);
    let stage = sums::open(&id, &sealed)
        .and_then(|record| Stage::decode(Bytes::copy_from_slice(record)).ok());
    Ok(stage.is_some_and(|stage| stage.kept_by().is_some_and(|(by, _)| by == binding)))
}

/// Whether a recipient fits. A record that cannot be read fits nothing.
fn record_fits(filter: &Filter, row: &Row<'_>) -> rusqlite::Result<bool> {
    let Some(pattern) = &filter.recipient else {
        return Ok(true);
    };
    let (id, sealed): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(11)?);
    let recipients = sums::open(&id, &sealed)
        .and_then(|record| Message::decode_recipients(&Bytes::copy_from_slice(record)).ok());
    let mut fits = false;
    for recipient in recipients.iter().flatten() {
        let paths = [Some(&recipient.address), recipient.given.as_ref()];
        for path in paths.into_iter().flatten() {
            let address = path.mailbox().map_or("Postmaster", |own| own.as_str());
            fits |= pattern.fits(address);
        }
    }
    Ok(fits)
}

pub(super) fn senders(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<FromSender>, SpoolError> {
    let mut statement = connection.prepare_cached(
        "SELECT sender, count(*), sum(size), min(received) FROM message
         GROUP BY sender ORDER BY 2 DESC, 1 LIMIT ?1",
    )?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let number = |place| row.get(place).map(|n: i64| u64::try_from(n).unwrap_or(0));
        Ok(FromSender {
            sender: row.get(0)?,
            messages: number(1)?,
            octets: number(2)?,
            oldest: time(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn backlogs(connection: &Connection, limit: usize) -> Result<Vec<Backlog>, SpoolError> {
    // The reason is that of the row with the least due time: SQLite takes bare columns from there.
    let mut statement = connection.prepare_cached(
        "SELECT destination, count(*), sum(recipients), min(due), reason FROM delivery
         WHERE state = 1 GROUP BY destination ORDER BY 2 DESC, 1 LIMIT ?1",
    )?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let number = |place| row.get(place).map(|n: i64| u64::try_from(n).unwrap_or(0));
        Ok(Backlog {
            destination: row.get(0)?,
            messages: number(1)?,
            recipients: number(2)?,
            next: time(row.get(3)?),
            reason: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let Some(kind) = Kind::of(row.get(1)?) else {
        return Ok(None);
    };
    let due: Option<i64> = row.get(2)?;
    let size: i64 = row.get(5)?;
    Ok(Some(Entry {
        id: MessageId::from_bytes(row.get(0)?),
        stage: stage(kind),
        due: due.and_then(from_millis),
        server: row.get(3)?,
        sender: row.get(4)?,
        size: u64::try_from(size).unwrap_or(0),
        received: time(row.get(6)?),
        recipients: row.get(7)?,
        attempts: row.get(8)?,
        reason: row.get(9)?,
        waiting: Vec::new(),
    }))
}

fn waiting(connection: &Connection, id: MessageId) -> rusqlite::Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(
        "SELECT destination, due, recipients, attempts, reason FROM delivery
         WHERE message = ?1 ORDER BY destination",
    )?;
    let rows = statement.query_map([id.as_bytes()], |row| {
        Ok(Waiting {
            destination: row.get(0)?,
            due: time(row.get(1)?),
            recipients: row.get(2)?,
            attempts: row.get(3)?,
            reason: row.get(4)?,
        })
    })?;
    rows.collect()
}

fn time(millis: i64) -> SystemTime {
    from_millis(millis).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn kind(stage: StageKind) -> Kind {
    match stage {
        StageKind::Submit => Kind::Submit,
        StageKind::Categorize => Kind::Categorize,
        StageKind::Deliver => Kind::Deliver,
        StageKind::Held => Kind::Held,
        StageKind::Quarantined => Kind::Quarantined,
        StageKind::OnHold => Kind::OnHold,
        StageKind::Damaged => Kind::Damaged,
    }
}

fn stage(kind: Kind) -> StageKind {
    match kind {
        Kind::Submit => StageKind::Submit,
        Kind::Categorize => StageKind::Categorize,
        Kind::Deliver => StageKind::Deliver,
        Kind::Held => StageKind::Held,
        Kind::Quarantined => StageKind::Quarantined,
        Kind::OnHold => StageKind::OnHold,
        Kind::Damaged => StageKind::Damaged,
    }
}
