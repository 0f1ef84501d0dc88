//! The message as a handler sees and edits it.

mod body;
mod diff;
mod headers;

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

pub use body::ContentError;
pub(crate) use body::{Feed, Pipe};
pub use headers::{HeaderList, HeaderView};

use crate::event::text;
use crate::instance::Known;
use crate::v1::{self, edit};

/// A message, or what of it the binding is shown. Edits made here go with a verdict that keeps the message.
pub struct Message {
    /// The header fields. Empty where the binding's body depth is `none`; fields can be added all the same.
    pub headers: HeaderList,
    known: Known,
    pipe: Pipe,
    body: BodyEdit,
    edits: Vec<edit::Kind>,
}

/// What is to become of the body.
enum BodyEdit {
    Untouched,
    Replaced(Bytes),
    /// Offsets in the body as it was shown.
    Spliced(Vec<Splice>),
}

struct Splice {
    offset: u64,
    remove: u64,
    insert: Bytes,
}

impl Message {
    pub(crate) fn new(headers: v1::Headers, known: Known, pipe: Pipe) -> Self {
        Self {
            headers: HeaderList::new(headers),
            known,
            pipe,
            body: BodyEdit::Untouched,
            edits: Vec::new(),
        }
    }

    /// Its id: 16 octets, UUIDv7.
    pub fn id(&self) -> Bytes {
        match (&self.known.message, &self.known.transaction) {
            (Some(message), _) => message.message_id.clone(),
            (None, Some(transaction)) => transaction.transaction_id.clone(),
            (None, None) => Bytes::new(),
        }
    }

    /// The envelope.
    pub fn envelope(&self) -> Option<&v1::Envelope> {
        match (&self.known.message, &self.known.transaction) {
            (Some(message), _) => message.envelope.as_ref(),
            (None, Some(transaction)) => transaction.envelope.as_ref(),
            (None, None) => None,
        }
    }

    /// The sender without angle brackets; empty for the null reverse-path.
    pub fn sender(&self) -> Cow<'_, str> {
        self.envelope()
            .map_or(Cow::Borrowed(""), |envelope| text(&envelope.reverse_path))
    }

    /// The recipients.
    pub fn recipients(&self) -> &[v1::Recipient] {
        match (&self.known.message, &self.known.transaction) {
            (Some(message), _) => &message.recipients,
            (None, Some(transaction)) => &transaction.recipients,
            (None, None) => &[],
        }
    }

    /// The next octets of the body as they arrive; none at its end. Memory holds only what was not taken yet.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, ContentError> {
        self.pipe.next_chunk().await
    }

    /// The whole body, at most `limit` octets of it in memory. It can be asked for again, but not after
    /// [`next_chunk`](Self::next_chunk).
    pub async fn body(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        self.pipe.collect(limit).await
    }

    /// The whole body as text, if it is UTF-8. It is the body as it travels: MIME parts are not decoded.
    pub async fn text(&mut self, limit: u64) -> Result<String, ContentError> {
        let body = self.body(limit).await?;
        String::from_utf8(body.into()).map_err(|_| ContentError::NotText)
    }

    /// Header section and body as they were shown, at most `limit` octets of body. Where the binding's `reads`
    /// leave fields out, they are missing here.
    pub async fn raw(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        let body = self.body(limit).await?;
        let mut raw = BytesMut::with_capacity(body.len() + 4096);
        self.headers.write_original(&mut raw);
        raw.put(body);
        Ok(raw.freeze())
    }

    /// A range of the body, read from the gateway. Only where the binding's body depth is `on-demand` or more.
    /// Fewer octets than asked for come at the end of the body. At most 1 MiB at a time.
    pub async fn read(&mut self, offset: u64, length: u64) -> Result<Bytes, ContentError> {
        self.pipe.read(offset, length).await
    }

    /// Waits for the end of the content: its sizes and digests. What of the body has not been sent by then is
    /// not sent any more, so read the body before, if it is wanted.
    pub async fn ended(&mut self) -> Result<v1::ContentEnd, ContentError> {
        self.pipe.ended().await
    }

    /// Puts another body in place of the old one. If the old one was read by [`body`](Self::body), only what
    /// differs is sent.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = BodyEdit::Replaced(body.into());
    }

    /// Puts octets behind the body. Waits for its end.
    pub async fn append_to_body(&mut self, insert: impl Into<Bytes>) -> Result<(), ContentError> {
        let insert = insert.into();
        if let BodyEdit::Replaced(body) = &mut self.body {
            let mut longer = BytesMut::from(body.as_ref());
            longer.put(insert);
            *body = longer.freeze();
            return Ok(());
        }
        let offset = self.ended().await?.body_size_bytes;
        self.splice_body(offset, 0, insert);
        Ok(())
    }

    /// Removes `remove` octets at `offset` of the body as it was shown, and puts `insert` there. Splices that
    /// overlap are refused by the gateway. It does nothing after [`set_body`](Self::set_body), which has the
    /// whole say.
    pub fn splice_body(&mut self, offset: u64, remove: u64, insert: impl Into<Bytes>) {
        let splice = Splice {
            offset,
            remove,
            insert: insert.into(),
        };
        match &mut self.body {
            BodyEdit::Untouched => self.body = BodyEdit::Spliced(vec![splice]),
            BodyEdit::Spliced(splices) => splices.push(splice),
            BodyEdit::Replaced(_) => {}
        }
    }

    /// Another sender; empty for the null reverse-path. Needs the grant `sender`.
    pub fn set_sender(&mut self, address: &str) {
        self.edits.push(edit::Kind::SetSender(v1::SetSender {
            reverse_path: octets(address),
        }));
    }

    /// One recipient more. Needs the grant `recipients`, as the two that follow.
    pub fn add_recipient(&mut self, address: &str) {
        let added = v1::AddRecipient {
            address: octets(address),
            ..Default::default()
        };
        self.edits.push(edit::Kind::AddRecipient(added));
    }

    /// One recipient less; no notification is made of it.
    pub fn remove_recipient(&mut self, recipient_id: Bytes) {
        self.edits
            .push(edit::Kind::RemoveRecipient(v1::RemoveRecipient {
                recipient_id,
            }));
    }

    /// Another address for a recipient.
    pub fn rewrite_recipient(&mut self, recipient_id: Bytes, address: &str) {
        let rewritten = v1::RewriteRecipient {
            recipient_id,
            address: octets(address),
        };
        self.edits.push(edit::Kind::RewriteRecipient(rewritten));
    }

    /// Another next hop for all recipients, as in the configuration's `deliver`. Needs the grant `redirect`.
    pub fn redirect(&mut self, deliver: &str) {
        let redirect = v1::Redirect {
            recipient_ids: Vec::new(),
            deliver: deliver.to_owned(),
        };
        self.edits.push(edit::Kind::Redirect(redirect));
    }

    /// A new message, committed together with the verdict. Needs the grant `inject`.
    pub fn inject(&mut self, inject: v1::Inject) {
        self.edits.push(edit::Kind::Inject(inject));
    }

    /// All that was changed, as the protocol's edits.
    pub(crate) fn into_edits(self) -> Vec<edit::Kind> {
        let mut edits = self.headers.into_edits();
        match self.body {
            BodyEdit::Untouched => {}
            BodyEdit::Replaced(body) => edits.extend(replacement(self.pipe.collected(), body)),
            BodyEdit::Spliced(mut splices) => {
                // Stable: several insertions at one place keep their order.
                splices.sort_by_key(|splice| splice.offset);
                edits.extend(splices.into_iter().map(Splice::into_edit));
            }
        }
        edits.extend(self.edits);
        edits
    }
}

impl Splice {
    fn into_edit(self) -> edit::Kind {
        let insert = (!self.insert.is_empty()).then(|| inline(self.insert));
        edit::Kind::SpliceBody(v1::SpliceBody {
            offset: self.offset,
            remove_bytes: self.remove,
            insert,
        })
    }
}

/// The edits that make `new` of the body that was shown.
fn replacement(shown: Option<&Bytes>, new: Bytes) -> Vec<edit::Kind> {
    match shown {
        Some(old) => diff::differences(old, &new)
            .into_iter()
            .map(
                |diff::Difference {
                     offset,
                     removed,
                     inserted,
                 }| {
                    Splice {
                        offset: offset as u64,
                        remove: removed as u64,
                        insert: inserted,
                    }
                    .into_edit()
                },
            )
            .collect(),
        None => {
            let body = Some(inline(new));
            vec![edit::Kind::ReplaceBody(v1::ReplaceBody { body })]
        }
    }
}

fn inline(octets: Bytes) -> v1::Data {
    v1::Data {
        kind: Some(v1::data::Kind::Inline(octets)),
    }
}

fn octets(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
