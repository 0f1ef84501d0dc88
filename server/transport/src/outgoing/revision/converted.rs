//! A converted content that is read like a stored one.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use postern_delivery::{ContentReader, Sending};
use postern_message::{HeaderLimits, HeaderParser, HeaderSection, Version};
use postern_spool::ReadAt;
use tokio::sync::Mutex;

/// The content of a message as it is converted for its way. It is converted anew for whoever reads it: one who reads on from
/// where the last one stopped has the next octets at once, and one who goes back starts from the beginning. No more than a
/// piece of it is in memory.
pub(super) struct Converted {
    sending: Sending,
    cursor: Mutex<Option<Cursor>>,
}

/// Where the last reader stopped.
struct Cursor {
    reader: ContentReader,
    /// The first octet of `piece`.
    at: u64,
    /// Octets that were converted and not read.
    piece: Bytes,
}

impl Converted {
    pub(super) fn new(sending: Sending) -> Self {
        Self {
            sending,
            cursor: Mutex::new(None),
        }
    }

    /// The content as a version of its own.
    ///
    /// # Errors
    /// The store's; [`io::ErrorKind::InvalidData`] for a header section larger than any that is accepted.
    pub(super) async fn version(&self) -> io::Result<Version> {
        let section = self.section().await?;
        Ok(Version::original(&section, Some(self.sending.fitted.size)))
    }

    async fn section(&self) -> io::Result<HeaderSection> {
        let too_large = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        // What was accepted is within limits of its own, and is no more than three times as long.
        let mut parser = HeaderParser::new(HeaderLimits {
            octets: usize::try_from(self.sending.fitted.size).unwrap_or(usize::MAX),
            count: usize::MAX,
        });
        let mut reader = self.reader();
        while let Some(piece) = reader.next().await? {
            if let Some(section) = parser.feed(&piece).map_err(too_large)? {
                return Ok(section);
            }
        }
        parser.finish().map_err(too_large)
    }

    fn reader(&self) -> ContentReader {
        let Sending {
            message,
            source,
            fitted,
            ..
        } = &self.sending;
        fitted.content(message, source)
    }

    async fn read(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let mut held = self.cursor.lock().await;
        let mut cursor = match held.take() {
            Some(cursor) if cursor.at <= offset => cursor,
            _ => Cursor {
                reader: self.reader(),
                at: 0,
                piece: Bytes::new(),
            },
        };
        let found = cursor.read(offset, most).await?;
        *held = Some(cursor);
        Ok(found)
    }
}

impl Cursor {
    /// The octets from `offset` on that are there in one piece; nothing at the end. It never goes back.
    async fn read(&mut self, offset: u64, most: usize) -> io::Result<Bytes> {
        loop {
            let skip = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
            self.take(skip);
            if !self.piece.is_empty() {
                return Ok(self.take(most));
            }
            match self.reader.next().await? {
                Some(piece) => self.piece = piece,
                None => return Ok(Bytes::new()),
            }
        }
    }

    fn take(&mut self, most: usize) -> Bytes {
        let taken = self.piece.split_to(most.min(self.piece.len()));
        self.at += taken.len() as u64;
        taken
    }
}

#[async_trait]
impl ReadAt for Converted {
    async fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        self.read(offset, max).await
    }

    fn available(&self) -> u64 {
        self.sending.fitted.size
    }

    fn is_complete(&self) -> bool {
        true
    }

    async fn wait_beyond(&self, offset: u64) -> bool {
        offset < self.available()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::SystemTime;

    use postern_delivery::fit;
    use postern_delivery::testing::{InMemory, message};
    use postern_message::{AttemptId, Way};

    use super::*;

    #[tokio::test]
    async fn a_converted_content_reads_like_a_stored_one() {
        let head = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Transfer-Encoding: 8bit\r\n\r\n";
        let content = Bytes::from(head.to_owned() + &"gr\u{fc}n und r\u{f6}tlich\r\n".repeat(40));
        let message = Arc::new(message(&content, &["a@b.test"], SystemTime::UNIX_EPOCH));
        let source: Arc<dyn ReadAt> = Arc::new(InMemory(content));
        let way = Way::default();
        let fitted = fit(&message, &source, way, true).await.unwrap().unwrap();
        assert!(fitted.is_converted());
        let reader = fitted.content(&message, &source);
        let whole = reader.read_to_end().await.unwrap();
        let converted = Converted::new(Sending {
            message,
            source,
            recipients: vec![0],
            fitted,
            way,
            attempt: AttemptId::new(),
        });
        assert_eq!(converted.available(), whole.len() as u64);
        let end = whole.len();
        for (offset, most) in [
            (0, 7),
            (7, 5),
            (12, 900),
            (3, 4),
            (end - 2, 9),
            (end, 1),
            (0, 1),
        ] {
            let read = converted.read_at(offset as u64, most).await.unwrap();
            assert!(whole[offset..].starts_with(&read), "{offset}: {read:?}");
            assert!(read.len() <= most && read.is_empty() == (offset == end));
        }
        let version = converted.version().await.unwrap();
        assert_eq!(version.size(), Some(end as u64));
        let again = ContentReader::new(&version, Arc::new(converted));
        assert_eq!(again.read_to_end().await.unwrap(), whole);
    }
}
