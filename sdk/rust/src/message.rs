//! The message as a handler sees and edits it.

mod body;
mod diff;
mod headers;
#[cfg(feature = "mime")]
mod mime;
mod slot;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

pub use body::ContentError;
pub(crate) use body::{Feed, INITIAL_CREDIT, Pipe};
pub use headers::{HeaderList, HeaderValue, HeaderView};
#[cfg(feature = "mime")]
pub use mime::TextPart;
pub(crate) use slot::Slot;

use crate::address::{Address, Id, ReversePath};
use crate::check::{Grants, Refusal};
use crate::people::Recipient;
use crate::picture::Picture;
use crate::v1::{self, edit};
use crate::{Fault, data};

/// A message, or what of it the binding is shown.
///
/// Edits that are made here go with the verdict if it keeps the message, and are dropped with one that does not. An edit
/// that the binding's `may` does not grant is an error at once.
pub struct Message {
    /// The header fields. Empty where the event brings none; edits by name can be made all the same.
    pub headers: HeaderList,
    grants: Arc<Grants>,
    picture: Picture,
    pipe: Pipe,
    body: BodyEdit,
    edits: Vec<edit::Kind>,
    slot: Arc<Slot>,
}

/// What is to become of the body.
#[derive(Default)]
enum BodyEdit {
    #[default]
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
    pub(crate) fn new(picture: Picture, grants: Arc<Grants>, pipe: Pipe, slot: Arc<Slot>) -> Self {
        slot.hand_out();
        Self {
            headers: HeaderList::new(picture.headers(), Arc::clone(&grants)),
            grants,
            picture,
            pipe,
            body: BodyEdit::Untouched,
            edits: Vec::new(),
            slot,
        }
    }

    /// Its id.
    pub fn id(&self) -> Id {
        Id::from(self.picture.message_id())
    }

    /// The envelope.
    pub fn envelope(&self) -> Option<&v1::Envelope> {
        self.picture.envelope()
    }

    /// The message as transport has it: how it came, when it expires, its class. None: it is not in transport yet.
    pub fn in_transport(&self) -> Option<&v1::Message> {
        self.picture.message()
    }

    /// The sender, as the bindings before this one left it.
    pub fn sender(&self) -> ReversePath {
        let envelope = self.envelope();
        envelope.map_or(ReversePath::Null, |envelope| {
            ReversePath::of_wire(&envelope.reverse_path)
        })
    }

    /// The recipients.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient> {
        self.picture
            .recipients()
            .iter()
            .cloned()
            .map(Recipient::from)
    }

    /// The next octets of the body as they arrive; none at its end. Memory holds only what was not taken yet.
    ///
    /// # Errors
    /// [`ContentError::NotShown`] unless the event is registered with `prefix` or `full`.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, ContentError> {
        self.pipe.next_chunk().await
    }

    /// The whole body, at most `limit` octets of it in memory. It can be asked for again, but not after
    /// [`next_chunk`](Self::next_chunk).
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn body(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        self.pipe.collect(limit).await
    }

    /// Header section and body as they were shown, at most `limit` octets of body. Where the binding's `reads` leave
    /// fields out, they are missing here.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn raw(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        let body = self.body(limit).await?;
        let mut raw = BytesMut::with_capacity(body.len() + 4096);
        self.headers.write_original(&mut raw);
        raw.put(body);
        Ok(raw.freeze())
    }

    /// A range of the body, read from the gateway. Fewer octets than asked for come at the end of the body. At most 1 MiB
    /// at a time.
    ///
    /// # Errors
    /// [`ContentError::NotShown`] unless the event is registered with `on_demand` or `full`.
    pub async fn read(&mut self, offset: u64, length: u64) -> Result<Bytes, ContentError> {
        self.pipe.read(offset, length).await
    }

    /// Waits for the end of the content: its sizes, and digests where the binding reads them. What of the body has not
    /// been sent by then is not sent any more, so read the body before, if it is wanted.
    ///
    /// # Errors
    /// [`ContentError::NotShown`] if the event brings no content at all.
    pub async fn ended(&mut self) -> Result<v1::ContentEnd, ContentError> {
        self.pipe.ended().await
    }

    /// Puts another body in place of the old one. If the old one was read by [`body`](Self::body), only what differs is
    /// sent.
    ///
    /// # Errors
    /// The grant `body` is missing.
    pub fn set_body(&mut self, body: impl Into<Bytes>) -> Result<(), Refusal> {
        self.grants.expect("body")?;
        self.body = BodyEdit::Replaced(body.into());
        Ok(())
    }

    /// Puts octets behind the body. Waits for its end.
    ///
    /// # Errors
    /// The grant `body` is missing, or the event brings no content.
    pub async fn append_to_body(&mut self, insert: impl Into<Bytes>) -> Result<(), Fault> {
        self.grants.expect("body")?;
        let insert = insert.into();
        if let BodyEdit::Replaced(body) = &mut self.body {
            let mut longer = BytesMut::from(body.as_ref());
            longer.put(insert);
            *body = longer.freeze();
            return Ok(());
        }
        let offset = self.ended().await?.body_size_bytes;
        self.splice_body(offset, 0, insert)?;
        Ok(())
    }

    /// Removes `remove` octets at `offset` of the body as it was shown, and puts `insert` there. It does nothing after
    /// [`set_body`](Self::set_body), which has the whole say.
    ///
    /// # Errors
    /// The grant `body` is missing.
    pub fn splice_body(
        &mut self,
        offset: u64,
        remove: u64,
        insert: impl Into<Bytes>,
    ) -> Result<(), Refusal> {
        self.grants.expect("body")?;
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
        Ok(())
    }

    /// Sets another sender; none is the null reverse-path.
    ///
    /// # Errors
    /// The grant `sender` is missing.
    pub fn set_sender(&mut self, sender: Option<&Address>) -> Result<(), Refusal> {
        let reverse_path = sender.map(octets).unwrap_or_default();
        self.edit(edit::Kind::SetSender(v1::SetSender { reverse_path }))
    }

    /// Adds a recipient. One that is there already stays as it is.
    ///
    /// # Errors
    /// The grant `recipients` is missing.
    pub fn add_recipient(&mut self, address: &Address) -> Result<(), Refusal> {
        let added = v1::AddRecipient {
            address: octets(address),
            ..Default::default()
        };
        self.edit(edit::Kind::AddRecipient(Box::new(added)))
    }

    /// Removes a recipient; no notification is made of it.
    ///
    /// # Errors
    /// The grant `recipients` is missing.
    pub fn remove_recipient(&mut self, recipient: &Id) -> Result<(), Refusal> {
        let recipient_id = recipient.as_bytes().clone();
        self.edit(edit::Kind::RemoveRecipient(v1::RemoveRecipient {
            recipient_id,
        }))
    }

    /// Removes all recipients except these.
    ///
    /// # Errors
    /// The grant `recipients` is missing.
    pub fn retain_recipients(
        &mut self,
        recipients: impl IntoIterator<Item = Id>,
    ) -> Result<(), Refusal> {
        let recipient_ids = recipients.into_iter().map(Bytes::from).collect();
        self.edit(edit::Kind::RetainRecipients(v1::RetainRecipients {
            recipient_ids,
        }))
    }

    /// Gives a recipient another address. It keeps its id and its given address.
    ///
    /// # Errors
    /// The grant `recipients` is missing.
    pub fn rewrite_recipient(&mut self, recipient: &Id, address: &Address) -> Result<(), Refusal> {
        let rewritten = v1::RewriteRecipient {
            recipient_id: recipient.as_bytes().clone(),
            address: octets(address),
        };
        self.edit(edit::Kind::RewriteRecipient(rewritten))
    }

    /// Sends all recipients another way, as in the configuration's `deliver`.
    ///
    /// # Errors
    /// The grant `redirect` is missing.
    pub fn redirect(&mut self, deliver: &str) -> Result<(), Refusal> {
        let hop = v1::NextHop {
            deliver: deliver.to_owned(),
            ..Default::default()
        };
        self.edit(edit::Kind::Redirect(v1::Redirect {
            recipient_ids: Vec::new(),
            next_hops: vec![hop],
        }))
    }

    /// Other times for its expiry and for the warning of its sender, both from its acceptance. `None`: unchanged.
    ///
    /// # Errors
    /// The grant `expiry` is missing.
    pub fn set_expiry(
        &mut self,
        lifetime: Option<Duration>,
        warn_after: Option<Duration>,
    ) -> Result<(), Refusal> {
        let span = |span: Duration| prost_types::Duration {
            seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            nanos: span.subsec_nanos().cast_signed(),
        };
        self.edit(edit::Kind::SetExpiry(v1::SetExpiry {
            lifetime: lifetime.map(span),
            warn_after: warn_after.map(span),
        }))
    }

    /// Another priority, -9 to 9: higher ones leave the queue first.
    ///
    /// # Errors
    /// The grant `priority` is missing.
    pub fn set_priority(&mut self, priority: i8) -> Result<(), Refusal> {
        let priority = i32::from(priority);
        self.edit(edit::Kind::SetPriority(v1::SetPriority { priority }))
    }

    /// Another routing class; empty: the default class.
    ///
    /// # Errors
    /// The grant `redirect` is missing.
    pub fn set_routing_class(&mut self, class: &str) -> Result<(), Refusal> {
        let routing_class = class.to_owned();
        self.edit(edit::Kind::SetRoutingClass(v1::SetRoutingClass {
            routing_class,
        }))
    }

    /// Puts a message in beside this one: once for this message and its key.
    ///
    /// # Errors
    /// The grant `inject` is missing.
    pub fn inject(&mut self, inject: v1::Inject) -> Result<(), Refusal> {
        self.edit(edit::Kind::Inject(Box::new(inject)))
    }

    /// Makes any other edit of the protocol.
    ///
    /// # Errors
    /// The grant that it needs is missing.
    pub fn edit(&mut self, edit: edit::Kind) -> Result<(), Refusal> {
        let grant = postern_proto::rules::EditKind::from(&edit).rule().grant;
        if grant != "headers:NAME" {
            self.grants.expect(grant)?;
        }
        self.edits.push(edit);
        Ok(())
    }

    /// All that was changed, as the protocol's edits.
    fn take_edits(&mut self) -> Vec<edit::Kind> {
        let mut edits = self.headers.take_edits();
        match std::mem::take(&mut self.body) {
            BodyEdit::Untouched => {}
            BodyEdit::Replaced(body) => edits.extend(replacement(self.pipe.collected(), body)),
            BodyEdit::Spliced(mut splices) => {
                // Stable: several insertions at one place keep their order.
                splices.sort_by_key(|splice| splice.offset);
                edits.extend(splices.into_iter().map(Splice::into_edit));
            }
        }
        edits.append(&mut self.edits);
        edits
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let edits = self.take_edits();
        self.slot.take_back(edits, self.pipe.size_bytes());
    }
}

impl Splice {
    fn into_edit(self) -> edit::Kind {
        let insert = (!self.insert.is_empty()).then(|| data(self.insert));
        edit::Kind::SpliceBody(v1::SpliceBody {
            offset: self.offset,
            remove_bytes: self.remove,
            insert,
        })
    }
}

/// The edits that make `new` of the body that was shown.
fn replacement(shown: Option<&Bytes>, new: Bytes) -> Vec<edit::Kind> {
    let Some(old) = shown else {
        let body = Some(data(new));
        return vec![edit::Kind::ReplaceBody(v1::ReplaceBody { body })];
    };
    let differences = diff::differences(old, &new).into_iter();
    let splice = |difference: diff::Difference| {
        Splice {
            offset: difference.offset as u64,
            remove: difference.removed as u64,
            insert: difference.inserted,
        }
        .into_edit()
    };
    differences.map(splice).collect()
}

fn octets(address: &Address) -> Bytes {
    Bytes::from(address.to_string())
}
