//! Pages of what is in the store, read from the columns that repeat the records.

use std::time::SystemTime;

use postern_message::MessageId;
use postern_message::encoding::{from_millis, to_millis};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::SpoolError;
use crate::listing::{Backlog, Entry, Filter, MOST_ON_A_PAGE, Page, StageKind, Waiting};
use crate::stage::Kind;

pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Entry>, SpoolError> {
    let (conditions, mut values) = conditions(filter, page);
    let limit = page.limit.min(MOST_ON_A_PAGE);
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(0)));
    let query = format!(
        "SELECT id, kind, due, server, sender, size, received, recipients, attempts, reason
         FROM message WHERE {conditions} ORDER BY id LIMIT ?"
    );
    // One transaction: a message and what it waits for are those of one moment.
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare_cached(&query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
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
    if let Some(stage) = filter.stage {
        conditions.push("kind = ?");
        values.push(Value::Integer(kind(stage) as i64));
    }
    if let Some(sender) = &filter.sender {
        conditions.push("sender = ?");
        values.push(Value::Text(sender.clone()));
    }
    if let Some(destination) = &filter.destination {
        conditions.push("id IN (SELECT message FROM delivery WHERE destination = ?)");
        values.push(Value::Text(destination.clone()));
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

pub(super) fn backlogs(connection: &Connection, limit: usize) -> Result<Vec<Backlog>, SpoolError> {
    let mut statement = connection.prepare_cached(
        "SELECT destination, count(*), sum(recipients), min(due) FROM delivery
         GROUP BY destination ORDER BY 2 DESC, 1 LIMIT ?1",
    )?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let number = |place| row.get(place).map(|n: i64| u64::try_from(n).unwrap_or(0));
        Ok(Backlog {
            destination: row.get(0)?,
            messages: number(1)?,
            recipients: number(2)?,
            next: time(row.get(3)?),
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
        StageKind::Deliver => Kind::Deliver,
        StageKind::Held => Kind::Held,
        StageKind::Quarantined => Kind::Quarantined,
        StageKind::Damaged => Kind::Damaged,
    }
}

fn stage(kind: Kind) -> StageKind {
    match kind {
        Kind::Submit => StageKind::Submit,
        Kind::Deliver => StageKind::Deliver,
        Kind::Held => StageKind::Held,
        Kind::Quarantined => StageKind::Quarantined,
        Kind::Damaged => StageKind::Damaged,
    }
}
