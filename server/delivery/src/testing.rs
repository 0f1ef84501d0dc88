//! A peer, a message and a content for tests, those of other crates too.
#![allow(clippy::unwrap_used)]

pub mod peer;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::{
    Envelope, HeaderLimits, HeaderParser, Message, MessageId, Origin, Properties, Recipient,
    Version,
};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_spool::ReadAt;

/// A content in memory.
pub struct InMemory(pub Bytes);

#[async_trait::async_trait]
impl ReadAt for InMemory {
    async fn read_at(&self, offset: u64, max: usize) -> std::io::Result<Bytes> {
        let start = usize::try_from(offset).unwrap().min(self.0.len());
        Ok(self.0.slice(start..(start + max).min(self.0.len())))
    }

    fn available(&self) -> u64 {
        self.0.len() as u64
    }

    fn is_complete(&self) -> bool {
        true
    }

    async fn wait_beyond(&self, offset: u64) -> bool {
        offset < self.available()
    }

    fn in_memory(&self) -> u64 {
        self.available()
    }
}

/// A message of `<from@sender.test>` to these recipients.
pub fn message(content: &Bytes, recipients: &[&str], received_at: SystemTime) -> Message {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(content).unwrap().unwrap();
    let recipients = recipients.iter().map(|address| {
        Recipient::new(ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap())
    });
    Message {
        id: MessageId::new(),
        session: None,
        server: "inbound".to_owned(),
        origin: Origin::Smtp,
        received_at,
        context: Bytes::new(),
        envelope: Envelope::new(ReversePath::parse(b"<from@sender.test>", true).unwrap()),
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

/// A content in memory.
pub fn in_memory(content: &Bytes) -> Arc<dyn ReadAt> {
    Arc::new(InMemory(content.clone()))
}
