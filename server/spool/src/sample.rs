//! Messages and contents for tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{
    Envelope, HeaderLimits, HeaderParser, Message, MessageId, Origin, Properties, Recipient,
    Version,
};
use postern_smtp::address::{ForwardPath, ReversePath};

use crate::{Disk, Due, Embedded, NewMessage, Options, Purpose, ReadAt, Stage, Store, StoredBody};

/// A moment, `seconds` after a fixed one.
pub(crate) fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

/// A header and a body, `size` octets, different for each seed.
pub(crate) fn content(size: usize, seed: u64) -> Bytes {
    let mut out = format!("Subject: {seed}\r\nTo: x\r\n\r\n").into_bytes();
    let mut state = seed | 1;
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out.into()
}

/// A message over this content, to as many recipients.
pub(crate) fn message(content: &[u8], recipients: usize) -> Message {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = match parser.feed(content).unwrap() {
        Some(section) => section,
        None => parser.finish().unwrap(),
    };
    let recipients = (0..recipients).map(|n| {
        let path = format!("<user{n}@example.test>");
        Recipient::new(ForwardPath::parse(path.as_bytes(), false).unwrap())
    });
    Message {
        id: MessageId::new(),
        session: None,
        server: "inbound".to_owned(),
        origin: Origin::Smtp,
        received_at: time(0),
        context: Bytes::new(),
        envelope: Envelope::new(ReversePath::Null),
        recipients: recipients.collect(),
        skipped: Vec::new(),
        passed: Vec::new(),
        properties: Properties::new(),
        version: Version::original(&section, Some(content.len() as u64)),
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
    }
}

pub(crate) fn options(path: &Path) -> Options {
    Options {
        path: path.to_owned(),
        min_free: 0,
        memory: 0,
    }
}

pub(crate) fn open(path: &Path) -> Embedded {
    Embedded::open(&options(path), time(0)).unwrap()
}

pub(crate) fn open_on(path: &Path, disk: Arc<dyn Disk>) -> Embedded {
    Embedded::open_on(&options(path), time(0), disk).unwrap()
}

/// Messages that can be claimed at a time, in order. They are given back.
pub(crate) async fn due(spool: &dyn Store, now: SystemTime, limit: usize) -> Vec<MessageId> {
    let claimed = spool.claim(now, limit, "test").await.unwrap();
    for claimed in &claimed {
        spool.release(claimed.lease, None);
    }
    claimed
        .iter()
        .map(|claimed| claimed.lease.message)
        .collect()
}

/// Receives a content in pieces.
pub(crate) async fn receive(spool: &dyn Store, content: &Bytes) -> StoredBody {
    let mut incoming = spool.receive(Purpose::Mail).unwrap();
    for piece in content.chunks(10_000) {
        incoming.write(content.slice_ref(piece)).await.unwrap();
    }
    incoming.finish().await.unwrap()
}

/// A new message, due at once.
pub(crate) async fn new(spool: &dyn Store, content: &Bytes) -> NewMessage {
    NewMessage {
        message: Arc::new(message(content, 2)),
        body: receive(spool, content).await,
        stage: Stage::submit(),
        due: Due::At(time(0)),
    }
}

/// Commits a new message.
pub(crate) async fn commit(spool: &dyn Store, content: &Bytes) -> MessageId {
    let new = new(spool, content).await;
    let id = new.message.id;
    spool.insert(new).await.unwrap();
    id
}

/// All octets that a reader has.
pub(crate) async fn read(reader: &dyn ReadAt) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let piece = reader.read_at(out.len() as u64, 50_000).await.unwrap();
        if piece.is_empty() {
            return out;
        }
        out.extend_from_slice(&piece);
    }
}

/// The content files that are there.
pub(crate) fn files(path: &Path) -> Vec<std::path::PathBuf> {
    files_in(&path.join("content"))
}

/// The content files in a folder of them.
pub(crate) fn files_in(content: &Path) -> Vec<std::path::PathBuf> {
    let shards = std::fs::read_dir(content).unwrap();
    shards
        .map(|shard| shard.unwrap().path())
        .filter(|shard| shard.is_dir())
        .flat_map(|shard| std::fs::read_dir(shard).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}
