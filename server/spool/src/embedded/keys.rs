//! Keys of what is done already.
//!
//! A key is kept for a day, and for as long as one of its messages is here. Each new one looks after a few old ones, so there
//! is never more of them than a day brings, and nobody has to sweep.

use std::time::Duration;

use postern_message::MessageId;
use postern_message::encoding::{from_millis, to_millis};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use crate::{SpoolError, UsedKey};

/// How long a key is kept whatever becomes of its messages.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// When an old key is looked at again whose messages are still here.
const AGAIN: Duration = Duration::from_secs(3600);
/// Old keys that a new one looks after.
const LOOKED_AFTER: u32 = 8;

/// Uses a key up.
pub(super) fn use_up(connection: &Connection, used: &UsedKey) -> Result<(), SpoolError> {
    let messages = used.messages.iter().flat_map(|id| *id.as_bytes());
    let messages: Vec<u8> = messages.collect();
    let done = connection
        .prepare_cached("INSERT INTO used_key (owner, key, at, messages) VALUES (?1, ?2, ?3, ?4)")?
        .execute((&used.owner, &used.key, to_millis(used.at), messages));
    match done {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Err(SpoolError::KeyUsed(used.owner.clone()));
        }
        other => other?,
    };
    forget_old_ones(connection, to_millis(used.at))
}

/// What was done under a key.
pub(super) fn read(
    connection: &Connection,
    owner: &str,
    key: &[u8],
) -> Result<Option<UsedKey>, SpoolError> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT at, messages FROM used_key WHERE owner = ?1 AND key = ?2")?
        .query_row((owner, key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.and_then(|(at, messages)| {
        Some(UsedKey {
            owner: owner.to_owned(),
            key: key.to_vec(),
            messages: ids(&messages).collect(),
            at: from_millis(at)?,
        })
    }))
}

fn ids(messages: &[u8]) -> impl Iterator<Item = MessageId> {
    let ids = messages.chunks_exact(16);
    ids.filter_map(|id| Some(MessageId::from_bytes(id.try_into().ok()?)))
}

fn forget_old_ones(connection: &Connection, now: i64) -> Result<(), SpoolError> {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let old = now.saturating_sub(millis(KEPT));
    let mut statement = connection.prepare_cached(
        "SELECT owner, key, messages FROM used_key WHERE at < ?1 ORDER BY at LIMIT ?2",
    )?;
    let rows = statement.query_map((old, LOOKED_AFTER), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    let rows: Vec<(String, Vec<u8>, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
    for (owner, key, messages) in rows {
        let mut is_here = false;
        for id in ids(&messages) {
            is_here |= connection
                .prepare_cached("SELECT 1 FROM message WHERE id = ?1")?
                .exists([id.as_bytes()])?;
        }
        if is_here {
            connection
                .prepare_cached("UPDATE used_key SET at = ?3 WHERE owner = ?1 AND key = ?2")?
                .execute((owner, key, old.saturating_add(millis(AGAIN))))?;
        } else {
            connection
                .prepare_cached("DELETE FROM used_key WHERE owner = ?1 AND key = ?2")?
                .execute((owner, key))?;
        }
    }
    Ok(())
}
