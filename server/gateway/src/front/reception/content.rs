//! Content as it arrives: into the spool, past the header parser, and readable for sinks all the while.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postern_dispatch::content::{BoxFuture, Content, ContentEnd};
use postern_message::{HeaderError, HeaderLimits, HeaderParser, HeaderSection};
use postern_spool::{ReadAt, Receiving, SpoolError, StoredBody};
use tokio::sync::watch;

/// Content that is being received.
pub(in crate::front) struct Intake {
    incoming: Receiving,
    /// There until the header section is complete.
    parser: Option<HeaderParser>,
    /// What came while the header section was not complete. Where the body starts has to be told to the spool
    /// before its octets are written.
    held: BytesMut,
    arriving: UntilEnd,
    size: u64,
    /// Octets that the header section takes up in memory.
    header: u64,
}

/// Octets of a field beyond its text.
const FIELD: u64 = 96;

/// Octets of content that are no burden: they are part of what any session holds.
const LITTLE: u64 = 4 * 1024;

/// Octets that the spool takes before it has to know where the body starts.
const BEFORE_BODY: u64 = 256 * 1024 - 1;

/// Why content cannot be taken any further.
#[derive(Debug, thiserror::Error)]
pub(in crate::front) enum IntakeError {
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The header section is over a limit.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl Intake {
    /// Nothing has come yet. `digests`: somebody will want to know them.
    pub(in crate::front) fn new(
        mut incoming: Receiving,
        limits: HeaderLimits,
        digests: bool,
    ) -> Self {
        if digests {
            incoming.want_digests();
        }
        let arriving = UntilEnd(Arc::new(Arriving {
            inner: incoming.reader(),
            end: watch::Sender::new(None),
        }));
        Self {
            incoming,
            parser: Some(HeaderParser::new(limits)),
            held: BytesMut::new(),
            arriving,
            size: 0,
            header: 0,
        }
    }

    /// Octets so far.
    pub(in crate::front) fn size(&self) -> u64 {
        self.size
    }

    /// Octets that it takes up in memory now, but for a little.
    pub(in crate::front) fn in_memory(&self) -> u64 {
        self.header + (self.incoming.in_memory() + self.held.len() as u64).saturating_sub(LITTLE)
    }

    /// Octets of it that stay in memory, whatever goes to the disk.
    pub(in crate::front) fn kept_in_memory(&self) -> u64 {
        match self.parser {
            Some(_) => self.in_memory(),
            None => self.header,
        }
    }

    /// Lets what can go to the disk go there.
    pub(in crate::front) async fn spill(&mut self) -> Result<(), SpoolError> {
        // Not before it is known where the body starts: the digest of the body alone begins there.
        if self.parser.is_none() && self.incoming.in_memory() > LITTLE {
            self.incoming.spill().await?;
        }
        Ok(())
    }

    /// The content as sinks read it.
    pub(in crate::front) fn content(&self) -> Arc<dyn Content> {
        Arc::clone(&self.arriving.0) as Arc<dyn Content>
    }

    /// Takes the next octets. Returns the header section once, when it is complete.
    pub(in crate::front) async fn take(
        &mut self,
        bytes: Bytes,
    ) -> Result<Option<HeaderSection>, IntakeError> {
        self.size += bytes.len() as u64;
        let Some(parser) = &mut self.parser else {
            self.incoming.write(bytes).await?;
            return Ok(None);
        };
        let section = parser.feed(&bytes)?;
        if section.is_none() {
            self.header = self.size + self.size / 4;
            if self.held.is_empty() && self.size <= BEFORE_BODY {
                self.incoming.write(bytes).await?;
            } else {
                self.held.extend_from_slice(&bytes);
            }
            return Ok(None);
        }
        self.parser = None;
        self.write_held(section.as_ref(), bytes).await?;
        Ok(section)
    }

    /// No more will come. Returns the header section if it had no end before; else `None`.
    pub(in crate::front) async fn complete_header(
        &mut self,
    ) -> Result<Option<HeaderSection>, IntakeError> {
        let Some(parser) = self.parser.take() else {
            return Ok(None);
        };
        let section = parser.finish()?;
        self.write_held(Some(&section), Bytes::new()).await?;
        Ok(Some(section))
    }

    async fn write_held(
        &mut self,
        section: Option<&HeaderSection>,
        last: Bytes,
    ) -> Result<(), SpoolError> {
        if let Some(section) = section {
            self.incoming.body_starts_at(section.body_offset());
            self.header = section.body_offset() + FIELD * section.fields().len() as u64;
        }
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held).freeze();
            self.incoming.write(held).await?;
        }
        if !last.is_empty() {
            self.incoming.write(last).await?;
        }
        Ok(())
    }

    /// The content is whole: it is on stable storage when this returns, but not yet part of any message.
    pub(in crate::front) async fn finish(self) -> Result<StoredBody, SpoolError> {
        let Self {
            incoming, arriving, ..
        } = self;
        let body = incoming.finish().await?;
        arriving.0.end.send_replace(Some(end_of(&body)));
        Ok(body)
    }
}

fn end_of(body: &StoredBody) -> ContentEnd {
    let digests = body.digests();
    ContentEnd {
        complete: true,
        size_bytes: body.size(),
        sha256: digests.map(|digests| digests.whole),
        body_sha256: digests.and_then(|digests| digests.body),
    }
}

/// The end of a content that did not come whole.
fn cut(size_bytes: u64) -> ContentEnd {
    ContentEnd {
        complete: false,
        size_bytes,
        sha256: None,
        body_sha256: None,
    }
}

/// The dispatcher's view of content that is in the spool or on its way there.
struct Arriving {
    inner: Arc<dyn ReadAt>,
    end: watch::Sender<Option<ContentEnd>>,
}

impl Content for Arriving {
    fn read_at(&self, offset: u64, max: usize) -> BoxFuture<'_, io::Result<Bytes>> {
        Box::pin(self.inner.read_at(offset, max))
    }

    fn available(&self) -> u64 {
        self.inner.available()
    }

    fn wait_beyond(&self, offset: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut end = self.end.subscribe();
            tokio::select! {
                more = self.inner.wait_beyond(offset) => {
                    if more {
                        return;
                    }
                }
                _ = end.wait_for(Option::is_some) => return,
            }
            // The store has all of it; what it came to is known in a moment.
            let _ended = end.wait_for(Option::is_some).await;
        })
    }

    fn end(&self) -> Option<ContentEnd> {
        *self.end.borrow()
    }
}

/// Wakes those who wait for content that was given up.
struct UntilEnd(Arc<Arriving>);

impl Drop for UntilEnd {
    fn drop(&mut self) {
        let available = self.0.inner.available();
        self.0.end.send_if_modified(|end| {
            let open = end.is_none();
            if open {
                *end = Some(cut(available));
            }
            open
        });
    }
}
