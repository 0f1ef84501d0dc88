//! The content that goes with an event: pushed under credit, or read.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::mail::Mail;
use crate::v1::{self, body_depth};

/// Octets of one frame that answers a read.
const READ_FRAME: usize = 64 * 1024;

pub(super) struct Push {
    depth: body_depth::Kind,
    whole: Bytes,
    body: Bytes,
    offset: usize,
    pub(super) credit: u64,
    pub(super) stopped: bool,
    ended: bool,
    /// The client goes away after so many octets of the body.
    cut: Option<usize>,
    digests: bool,
}

impl Push {
    pub(super) fn new(
        mail: &Mail,
        depth: body_depth::Kind,
        credit: u32,
        cut: Option<usize>,
        digests: bool,
    ) -> Self {
        Self {
            depth,
            whole: mail.raw().into(),
            body: Bytes::copy_from_slice(mail.body()),
            offset: 0,
            credit: credit.into(),
            stopped: false,
            ended: false,
            cut,
            digests,
        }
    }

    pub(super) fn depth(&self) -> body_depth::Kind {
        self.depth
    }

    /// Octets of the whole content.
    pub(super) fn size_bytes(&self) -> u64 {
        self.whole.len() as u64
    }

    /// Whether the client is gone and nothing more comes.
    pub(super) fn is_cut(&self) -> bool {
        let pushed = matches!(
            self.depth,
            body_depth::Kind::Full(_) | body_depth::Kind::Prefix(_)
        );
        self.cut.is_some_and(|after| {
            !pushed || self.stopped || self.offset >= after.min(self.body.len())
        })
    }

    /// The next frame that may be sent now.
    pub(super) fn next(&mut self, event_id: u64, chunk: usize) -> Option<v1::Content> {
        if self.ended || matches!(self.depth, body_depth::Kind::Nothing(_)) || self.is_cut() {
            return None;
        }
        let shown = match self.depth {
            body_depth::Kind::Full(_) => self.body.len(),
            body_depth::Kind::Prefix(prefix) => self.body.len().min(prefix.size_bytes as usize),
            _ => 0,
        };
        let shown = self.cut.map_or(shown, |after| shown.min(after));
        let mut content = v1::Content {
            event_id,
            offset: self.offset as u64,
            ..Default::default()
        };
        if !self.stopped && self.offset < shown {
            let length = chunk.min(shown - self.offset).min(self.credit as usize);
            if length == 0 {
                return None;
            }
            content.octets = self.body.slice(self.offset..self.offset + length);
            self.offset += length;
            self.credit -= length as u64;
        }
        if self.cut.is_none() && (self.stopped || self.offset >= shown) {
            self.ended = true;
            content.ended = Some(Box::new(self.end(v1::ContentState::Complete)));
        }
        Some(content)
    }

    fn end(&self, state: v1::ContentState) -> v1::ContentEnd {
        let digest = |octets: &[u8]| match self.digests {
            true => Bytes::copy_from_slice(&Sha256::digest(octets)),
            false => Bytes::new(),
        };
        v1::ContentEnd {
            state: state.into(),
            body_size_bytes: self.body.len() as u64,
            size_bytes: self.whole.len() as u64,
            sha256: digest(&self.whole),
            body_sha256: digest(&self.body),
        }
    }

    pub(super) fn read(&self, read: &v1::ReadContent) -> Vec<v1::Content> {
        let source = match read.part() {
            v1::ContentPart::Whole => &self.whole,
            _ => &self.body,
        };
        let from = source.len().min(read.offset as usize);
        let to = source.len().min(from + read.length_bytes as usize);
        let state = match from < source.len() || source.is_empty() {
            true => v1::ContentState::Complete,
            false => v1::ContentState::OutOfRange,
        };
        let mut frames = Vec::new();
        let mut offset = from;
        loop {
            let end = to.min(offset + READ_FRAME);
            frames.push(v1::Content {
                event_id: read.event_id,
                read_id: read.read_id,
                offset: offset as u64,
                octets: source.slice(offset..end),
                ended: (end == to).then(|| Box::new(self.end(state))),
            });
            offset = end;
            if end == to {
                return frames;
            }
        }
    }
}
