//! What may come of an event's content, and in which order.

use std::collections::HashMap;

use crate::v1;

/// Reads of one event that may wait for their answers.
const READS_MAX: usize = 64;

/// The content of one event, as far as it has come.
#[derive(Debug)]
pub(super) struct Incoming {
    received: u64,
    granted: u64,
    ended: bool,
    /// What is left of each read.
    reads: HashMap<u64, u64>,
}

impl Incoming {
    pub(super) fn new(granted: u64) -> Self {
        Self {
            received: 0,
            granted,
            ended: false,
            reads: HashMap::new(),
        }
    }

    pub(super) fn grant(&mut self, credit: u64) {
        self.granted = self.granted.saturating_add(credit);
    }

    pub(super) fn read(&mut self, read_id: u64, length: u64) {
        if self.reads.len() < READS_MAX {
            self.reads.insert(read_id, length);
        }
    }

    /// Whether a frame is to be handed on. An error is a breach of the protocol.
    pub(super) fn take(&mut self, content: &v1::Content) -> Result<bool, &'static str> {
        let length = content.octets.len() as u64;
        if content.read_id != 0 {
            let Some(left) = self.reads.get_mut(&content.read_id) else {
                // A read that was never asked is nothing to a handler.
                return Ok(false);
            };
            *left = left
                .checked_sub(length)
                .ok_or("more content than was read")?;
            if content.ended.is_some() {
                self.reads.remove(&content.read_id);
            }
            return Ok(true);
        }
        if self.ended {
            return Err("content behind its end");
        }
        if length > 0 && content.offset != self.received {
            return Err("content with a gap");
        }
        self.received += length;
        if self.received > self.granted {
            return Err("content beyond the credit");
        }
        self.ended = content.ended.is_some();
        Ok(true)
    }
}
