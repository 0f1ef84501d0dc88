//! Edits and properties of a verdict.

use bytes::Bytes;
use postern_message::{
    Edit, HeaderField, HeaderId, HeaderName, HeaderPlace, HeaderValue, NewRecipient, Notify,
    PropertyScope, RecipientId, Value,
};
use postern_proto::v1 as wire;
use postern_smtp::address::{AddressSyntax, ForwardPath, Mailbox, ReversePath};

use crate::event::EventKind;
use crate::fault::Fault;
use crate::table::{self, EditKind};

use super::{
    MAX_EDITS, MAX_INLINE_OCTETS, MAX_PROPERTY_EDITS, MAX_PROPERTY_OCTETS, Question, Uploads,
    is_key, limit, not_granted,
};

/// Fields that carry the trace of the message; a grant must name them in full.
const TRACE_FIELDS: [&[u8]; 2] = [b"received", b"return-path"];

/// Everything that the verdict changes, edits first, then properties.
pub(super) fn edits(
    edits: Vec<wire::Edit>,
    properties: Vec<wire::PropertyEdit>,
    question: &Question<'_>,
    uploads: &mut dyn Uploads,
) -> Result<Vec<Edit>, Fault> {
    limit("edits", edits.len(), MAX_EDITS)?;
    limit("property edits", properties.len(), MAX_PROPERTY_EDITS)?;
    let mut checker = Checker {
        question,
        uploads,
        inline: 0,
        splice_end: 0,
    };
    let mut checked = Vec::with_capacity(edits.len() + properties.len());
    for edit in edits {
        checked.push(checker.edit(edit)?);
    }
    for property in properties {
        checked.push(checker.property(property)?);
    }
    Ok(checked)
}

struct Checker<'a, 'q> {
    question: &'a Question<'q>,
    uploads: &'a mut dyn Uploads,
    inline: usize,
    splice_end: u64,
}

impl Checker<'_, '_> {
    fn edit(&mut self, edit: wire::Edit) -> Result<Edit, Fault> {
        use wire::edit::Kind;
        let kind = edit
            .kind
            .ok_or_else(|| Fault::protocol("an edit is unset or unknown"))?;
        match kind {
            Kind::InsertHeader(insert) => self.insert_header(insert),
            Kind::ReplaceHeader(replace) => self.replace_header(replace),
            Kind::RemoveHeader(remove) => {
                let field = self.field(remove.header_id)?;
                self.may_header(field.name())?;
                Ok(Edit::RemoveHeader { id: field.id() })
            }
            Kind::SpliceBody(splice) => self.splice(splice),
            Kind::SetSender(set) => {
                self.may(EditKind::Sender, self.question.binding.grants.sender)?;
                Ok(Edit::SetSender {
                    sender: self.reverse_path(&set.reverse_path)?,
                })
            }
            Kind::AddRecipient(add) => {
                self.may_recipients(EditKind::Recipients)?;
                Ok(Edit::AddRecipient(self.new_recipient(&add)?))
            }
            Kind::RemoveRecipient(remove) => {
                self.may_recipients(EditKind::Recipients)?;
                Ok(Edit::RemoveRecipient {
                    id: recipient_id(&remove.recipient_id)?,
                })
            }
            Kind::RewriteRecipient(rewrite) => {
                self.may_recipients(EditKind::RewriteRecipient)?;
                let id = self.recipient_of_event(&rewrite.recipient_id)?;
                Ok(Edit::RewriteRecipient {
                    id,
                    address: self.forward_path(&rewrite.address)?,
                })
            }
            Kind::ReplaceRecipients(replace) => {
                self.may_recipients(EditKind::Recipients)?;
                if replace.recipients.is_empty() {
                    return Err(Fault::protocol(
                        "the new list of recipients is empty; to drop a message is a decision",
                    ));
                }
                limit(
                    "recipients in the new list",
                    replace.recipients.len(),
                    100_000,
                )?;
                let recipients = replace
                    .recipients
                    .iter()
                    .map(|add| self.new_recipient(add))
                    .collect::<Result<_, _>>()?;
                Ok(Edit::ReplaceRecipients { recipients })
            }
            Kind::ReplaceBody(_) => Err(later("another body as a whole")),
            Kind::SetParameter(_) => Err(later("edits of ESMTP parameters")),
            Kind::Redirect(_) => Err(later("redirect")),
            Kind::SetExpiry(_) => Err(later("edits of the expiry")),
            Kind::Inject(_) => Err(later("inject")),
            Kind::SetAuthenticated(_) => Err(later("authenticated")),
            Kind::SetRelay(_) => Err(later("relay")),
        }
    }

    fn insert_header(&self, insert: wire::InsertHeader) -> Result<Edit, Fault> {
        use wire::header_place::Kind;
        self.may_header(&insert.name)?;
        let place = insert
            .place
            .and_then(|place| place.kind)
            .ok_or_else(|| Fault::protocol("the place of a header field is unset or unknown"))?;
        let at = match place {
            Kind::First(_) => HeaderPlace::First,
            Kind::Last(_) => HeaderPlace::Last,
            Kind::BeforeHeaderId(id) => HeaderPlace::Before(self.field(id)?.id()),
            Kind::AfterHeaderId(id) => self.after(self.field(id)?.id()),
        };
        let (name, value) = self.header(&insert.name, &insert.value)?;
        Ok(Edit::InsertHeader { at, name, value })
    }

    fn replace_header(&self, replace: wire::ReplaceHeader) -> Result<Edit, Fault> {
        let field = self.field(replace.header_id)?;
        self.may_header(field.name())?;
        if replace.name.is_empty() {
            let (_, value) = self.header(field.name(), &replace.value)?;
            return Ok(Edit::ReplaceHeader {
                id: field.id(),
                name: None,
                value,
            });
        }
        self.may_header(&replace.name)?;
        let (name, value) = self.header(&replace.name, &replace.value)?;
        Ok(Edit::ReplaceHeader {
            id: field.id(),
            name: Some(name),
            value,
        })
    }

    fn header(&self, name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), Fault> {
        let name = HeaderName::parse(name).map_err(|error| Fault::protocol(error.to_string()))?;
        let value = HeaderValue::parse(value, self.question.utf8)
            .map_err(|error| Fault::protocol(error.to_string()))?;
        Ok((name, value))
    }

    /// The field of this id, if the binding was shown it.
    fn field(&self, id: u32) -> Result<&HeaderField, Fault> {
        let binding = self.question.binding;
        self.question
            .version
            .and_then(|version| version.header(HeaderId(id)))
            .filter(|field| {
                binding.depth(self.question.event).shows_headers()
                    && binding.reads.headers.contains(field.name())
            })
            .ok_or_else(|| {
                Fault::protocol(format!(
                    "no header field that the binding was shown has the id {id}"
                ))
            })
    }

    /// The place behind a field: before the next one of the version that was shown, or the end.
    fn after(&self, id: HeaderId) -> HeaderPlace {
        let fields = self
            .question
            .version
            .map_or(&[][..], |version| version.headers());
        let mut behind = fields.iter().skip_while(|field| field.id() != id).skip(1);
        behind
            .next()
            .map_or(HeaderPlace::Last, |field| HeaderPlace::Before(field.id()))
    }

    fn may_header(&self, name: &[u8]) -> Result<(), Fault> {
        let grants = &self.question.binding.grants.headers;
        let is_trace = TRACE_FIELDS
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name));
        let granted = if is_trace {
            grants.names(name)
        } else {
            grants.contains(name)
        };
        self.may_at_event(EditKind::Headers)?;
        if granted {
            return Ok(());
        }
        Err(not_granted(&format!("headers:{}", name.escape_ascii())))
    }

    fn splice(&mut self, splice: wire::SpliceBody) -> Result<Edit, Fault> {
        self.may(EditKind::Body, self.question.binding.grants.body)?;
        if splice.offset < self.splice_end {
            return Err(Fault::protocol("splices overlap or do not ascend"));
        }
        let end = splice
            .offset
            .checked_add(splice.remove_bytes)
            .ok_or_else(|| Fault::protocol("a splice ends beyond all numbers"))?;
        let size = self
            .question
            .version
            .and_then(|version| version.body_size());
        if size.is_some_and(|size| end > size) {
            return Err(Fault::protocol(format!(
                "a splice ends at {end}, behind the end of the body"
            )));
        }
        self.splice_end = end;
        let insert = match splice.insert {
            Some(data) => self.data(data)?,
            None => Bytes::new(),
        };
        Ok(Edit::SpliceBody {
            offset: splice.offset,
            remove: splice.remove_bytes,
            insert,
        })
    }

    fn data(&mut self, data: wire::Data) -> Result<Bytes, Fault> {
        match data.kind {
            Some(wire::data::Kind::Inline(octets)) => {
                self.inline = self.inline.saturating_add(octets.len());
                limit("octets of inline data", self.inline, MAX_INLINE_OCTETS)?;
                Ok(octets)
            }
            Some(wire::data::Kind::UploadId(id)) => self
                .uploads
                .take(id)
                .ok_or_else(|| Fault::protocol(format!("there is no finished upload {id}"))),
            None => Err(Fault::protocol(
                "the octets of a splice are unset or unknown",
            )),
        }
    }

    fn may(&self, kind: EditKind, granted: bool) -> Result<(), Fault> {
        self.may_at_event(kind)?;
        if granted {
            Ok(())
        } else {
            Err(not_granted(kind.grant().unwrap_or_else(|| kind.name())))
        }
    }

    fn may_recipients(&self, kind: EditKind) -> Result<(), Fault> {
        self.may(kind, self.question.binding.grants.recipients)
    }

    fn may_at_event(&self, kind: EditKind) -> Result<(), Fault> {
        let event = self.question.event;
        if table::edit_allowed(event, kind) {
            Ok(())
        } else {
            Err(Fault::protocol(format!(
                "{} cannot be changed at {event}",
                kind.name()
            )))
        }
    }

    fn reverse_path(&self, octets: &[u8]) -> Result<ReversePath, Fault> {
        if octets.is_empty() {
            Ok(ReversePath::Null)
        } else {
            self.mailbox(octets).map(ReversePath::Mailbox)
        }
    }

    fn forward_path(&self, octets: &[u8]) -> Result<ForwardPath, Fault> {
        if octets.eq_ignore_ascii_case(b"postmaster") {
            return Ok(ForwardPath::Postmaster);
        }
        self.mailbox(octets).map(ForwardPath::Mailbox)
    }

    fn mailbox(&self, octets: &[u8]) -> Result<Mailbox, Fault> {
        // A sink may write what clients may: it gives back addresses that it was shown.
        Mailbox::parse_with(octets, self.question.utf8, AddressSyntax::Lenient)
            .map_err(|error| Fault::protocol(format!("address {}: {error}", octets.escape_ascii())))
    }

    fn new_recipient(&self, add: &wire::AddRecipient) -> Result<NewRecipient, Fault> {
        if !add.parent_recipient_id.is_empty() {
            return Err(later("recipients that take the place of others"));
        }
        let mut recipient = NewRecipient {
            address: self.forward_path(&add.address)?,
            orcpt: None,
            notify: None,
        };
        for parameter in &add.parameters {
            let value = parameter.value.as_deref().unwrap_or_default();
            if parameter.keyword.eq_ignore_ascii_case(b"ORCPT") && recipient.orcpt.is_none() {
                recipient.orcpt = Some(orcpt(value)?);
            } else if parameter.keyword.eq_ignore_ascii_case(b"NOTIFY")
                && recipient.notify.is_none()
            {
                recipient.notify = Some(notify(value)?);
            } else {
                let keyword = parameter.keyword.escape_ascii();
                return Err(Fault::protocol(format!(
                    "a new recipient takes ORCPT and NOTIFY once each, not {keyword}"
                )));
            }
        }
        Ok(recipient)
    }

    /// At `inbound.rcpt` only the recipient that is asked about; elsewhere any.
    fn recipient_of_event(&self, octets: &[u8]) -> Result<RecipientId, Fault> {
        let id = recipient_id(octets)?;
        let other = self.question.recipient.is_some_and(|own| own != id);
        if self.question.event == EventKind::InboundRcpt
            && (other || self.question.recipient.is_none())
        {
            return Err(Fault::protocol(
                "only the recipient that is asked about can be changed here",
            ));
        }
        Ok(id)
    }

    fn property(&self, property: wire::PropertyEdit) -> Result<Edit, Fault> {
        let scope = match wire::PropertyScope::try_from(property.scope) {
            Ok(wire::PropertyScope::Session) => {
                self.may_at_event(EditKind::SessionProperties)?;
                PropertyScope::Session
            }
            Ok(wire::PropertyScope::Message) => {
                self.may_at_event(EditKind::MessageProperties)?;
                PropertyScope::Message
            }
            Ok(wire::PropertyScope::Recipient) => {
                self.may_at_event(EditKind::RecipientProperties)?;
                PropertyScope::Recipient(self.recipient_of_event(&property.recipient_id)?)
            }
            Ok(wire::PropertyScope::Unspecified) | Err(_) => {
                return Err(Fault::protocol(
                    "the scope of a property is unset or unknown",
                ));
            }
        };
        if !is_key(&property.key) {
            return Err(Fault::protocol(
                "the key of a property is not [a-z0-9][a-z0-9._-]{0,62}",
            ));
        }
        let value = property.value.map(value).transpose()?;
        Ok(Edit::SetProperty {
            scope,
            key: property.key,
            value,
        })
    }
}

fn value(value: wire::Value) -> Result<Value, Fault> {
    use wire::value::Kind;
    let checked = |octets: usize| limit("octets of a property", octets, MAX_PROPERTY_OCTETS);
    match value.kind {
        Some(Kind::Text(text)) => checked(text.len()).map(|()| Value::String(text)),
        Some(Kind::Octets(octets)) => checked(octets.len()).map(|()| Value::Bytes(octets)),
        Some(Kind::Integer(number)) => Ok(Value::Int(number)),
        Some(Kind::Flag(flag)) => Ok(Value::Bool(flag)),
        None => Err(Fault::protocol(
            "the value of a property is unset or unknown",
        )),
    }
}

fn recipient_id(octets: &[u8]) -> Result<RecipientId, Fault> {
    <[u8; 16]>::try_from(octets)
        .map(RecipientId::from_bytes)
        .map_err(|_| Fault::protocol("a recipient id has not 16 octets"))
}

/// `addr-type ";" xtext` (RFC 3461, section 4.2).
fn orcpt(value: &[u8]) -> Result<Bytes, Fault> {
    let mut parts = value.splitn(2, |octet| *octet == b';');
    let (kind, address) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let is_atom = !kind.is_empty() && kind.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    let is_xtext =
        !address.is_empty() && address.iter().all(|b| b.is_ascii_graphic() && *b != b'=');
    if is_atom && is_xtext && value.len() <= 500 {
        Ok(Bytes::copy_from_slice(value))
    } else {
        Err(Fault::protocol(
            "ORCPT is not type;xtext of at most 500 octets",
        ))
    }
}

/// `NEVER`, or a list of the others (RFC 3461, section 4.1).
fn notify(value: &[u8]) -> Result<Notify, Fault> {
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in value.split(|octet| *octet == b',') {
        let flag = match word.to_ascii_uppercase().as_slice() {
            b"SUCCESS" => &mut notify.success,
            b"FAILURE" => &mut notify.failure,
            b"DELAY" => &mut notify.delay,
            _ => {
                return Err(Fault::protocol(
                    "NOTIFY is not NEVER or a list of SUCCESS, FAILURE, DELAY",
                ));
            }
        };
        *flag = true;
    }
    Ok(notify)
}

fn later(what: &str) -> Fault {
    Fault::protocol(format!("{what} is not in this version"))
}
