//! A message as the kit holds it, and edits applied to it the plain way.

use std::collections::HashMap;

use bytes::Bytes;
use uuid::Uuid;

use crate::v1::{self, data, edit, header_place};

/// A message with its envelope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mail {
    pub(crate) id: Bytes,
    sender: Bytes,
    recipients: Vec<v1::Recipient>,
    fields: Vec<v1::HeaderField>,
    separator_missing: bool,
    body: Vec<u8>,
    /// Messages that verdicts injected beside this one.
    injected: Vec<v1::Inject>,
}

impl Mail {
    /// The whole content.
    pub fn raw(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        for field in &self.fields {
            raw.extend_from_slice(&field.name);
            raw.push(b':');
            raw.extend_from_slice(&field.value);
            raw.extend_from_slice(b"\r\n");
        }
        if !self.separator_missing {
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(&self.body);
        raw
    }

    /// The whole content as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw()).into_owned()
    }

    /// The values of all header fields of this name, trimmed.
    pub fn header(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|field| {
                field
                    .name
                    .trim_ascii_end()
                    .eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|field| String::from_utf8_lossy(field.value.trim_ascii()).into_owned())
            .collect()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The sender without angle brackets.
    pub fn sender(&self) -> String {
        String::from_utf8_lossy(&self.sender).into_owned()
    }

    /// The recipients' addresses.
    pub fn recipients(&self) -> Vec<String> {
        self.recipients
            .iter()
            .map(|recipient| String::from_utf8_lossy(&recipient.address).into_owned())
            .collect()
    }

    /// Messages that were injected beside this one.
    pub fn injected(&self) -> &[v1::Inject] {
        &self.injected
    }

    pub(super) fn begin(id: Bytes, sender: Bytes) -> Self {
        Self {
            id,
            sender,
            ..Default::default()
        }
    }

    pub(super) fn add_recipient(&mut self, recipient: v1::Recipient) {
        self.recipients.push(recipient);
    }

    /// Takes the content in. The header section ends at the first empty line, or at one that is no field.
    pub(super) fn set_content(&mut self, raw: &[u8]) {
        let mut rest = raw;
        let mut next_id = 1;
        self.separator_missing = false;
        loop {
            if let Some(body) = rest.strip_prefix(b"\r\n") {
                self.body = body.to_vec();
                return;
            }
            let end = field_end(rest);
            let (line, behind) = rest.split_at(end);
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            let Some(colon) = line
                .iter()
                .position(|octet| *octet == b':')
                .filter(|_| end > 0)
            else {
                self.separator_missing = true;
                self.body = rest.to_vec();
                return;
            };
            self.fields.push(v1::HeaderField {
                header_id: next_id,
                name: Bytes::copy_from_slice(&line[..colon]),
                value: Bytes::copy_from_slice(&line[colon + 1..]),
            });
            next_id += 1;
            rest = behind;
        }
    }

    pub(super) fn headers(&self) -> v1::Headers {
        v1::Headers {
            fields: self.fields.clone(),
            size_bytes: (self.raw().len() - self.body.len()) as u64,
            separator_missing: self.separator_missing,
            paged: false,
        }
    }

    pub(super) fn envelope(&self) -> v1::Envelope {
        v1::Envelope {
            reverse_path: self.sender.clone(),
            body: v1::BodyKind::SevenBit.into(),
            ..Default::default()
        }
    }

    pub(super) fn recipient_list(&self) -> Vec<v1::Recipient> {
        self.recipients.clone()
    }

    /// Applies a verdict's edits. An error is what the gateway would refuse.
    pub(super) fn apply(
        &mut self,
        edits: &[v1::Edit],
        uploads: &HashMap<u64, Vec<u8>>,
    ) -> Result<(), String> {
        let shown = self.clone();
        let mut at = Anchors::of(&shown);
        let mut body = Vec::new();
        let mut copied = 0_usize;
        for edit in edits {
            match edit.kind.as_ref().ok_or("an edit without kind")? {
                edit::Kind::SpliceBody(splice) => {
                    let offset = usize::try_from(splice.offset).map_err(|_| "no such offset")?;
                    let removed =
                        usize::try_from(splice.remove_bytes).map_err(|_| "no such length")?;
                    body.extend_from_slice(
                        shown
                            .body
                            .get(copied..offset)
                            .ok_or("a splice out of order or range")?,
                    );
                    body.extend_from_slice(&octets(splice.insert.as_ref(), uploads)?);
                    copied = offset
                        .checked_add(removed)
                        .filter(|end| *end <= shown.body.len())
                        .ok_or("out of range")?;
                }
                edit::Kind::ReplaceBody(replace) => {
                    body = octets(replace.body.as_ref(), uploads)?;
                    copied = shown.body.len();
                }
                edit::Kind::InsertHeader(insert) => at.insert(insert)?,
                edit::Kind::ReplaceHeader(replace) => at.replace(replace)?,
                edit::Kind::RemoveHeader(remove) => at.remove(remove.header_id)?,
                other => self.apply_to_envelope(other)?,
            }
        }
        body.extend_from_slice(shown.body.get(copied..).unwrap_or_default());
        self.body = body;
        self.fields = at.into_fields();
        Ok(())
    }

    fn apply_to_envelope(&mut self, edit: &edit::Kind) -> Result<(), String> {
        match edit {
            edit::Kind::SetSender(set) => self.sender = set.reverse_path.clone(),
            edit::Kind::AddRecipient(add) => self.recipients.push(recipient(add)),
            edit::Kind::RemoveRecipient(remove) => {
                self.recipients
                    .retain(|known| known.recipient_id != remove.recipient_id);
            }
            edit::Kind::RewriteRecipient(rewrite) => {
                let known = self
                    .recipients
                    .iter_mut()
                    .find(|known| known.recipient_id == rewrite.recipient_id);
                known.ok_or("no such recipient")?.address = rewrite.address.clone();
            }
            edit::Kind::ReplaceRecipients(list) => {
                self.recipients = list.recipients.iter().map(recipient).collect()
            }
            edit::Kind::Inject(inject) => self.injected.push(inject.clone()),
            // Nothing of what these change is shown by the kit.
            edit::Kind::SetParameter(_)
            | edit::Kind::Redirect(_)
            | edit::Kind::SetExpiry(_)
            | edit::Kind::SetAuthenticated(_)
            | edit::Kind::SetRelay(_) => {}
            _ => return Err("an edit of content in the envelope".to_owned()),
        }
        Ok(())
    }
}

/// The header list while edits are applied: each field that was shown, with what goes around it.
struct Anchors {
    first: Vec<v1::HeaderField>,
    shown: Vec<Anchor>,
    last: Vec<v1::HeaderField>,
    next_id: u32,
}

struct Anchor {
    id: u32,
    before: Vec<v1::HeaderField>,
    field: Option<v1::HeaderField>,
    after: Vec<v1::HeaderField>,
}

impl Anchors {
    fn of(mail: &Mail) -> Self {
        let anchor = |field: &v1::HeaderField| Anchor {
            id: field.header_id,
            before: Vec::new(),
            field: Some(field.clone()),
            after: Vec::new(),
        };
        let next_id = mail
            .fields
            .iter()
            .map(|field| field.header_id)
            .max()
            .unwrap_or(0)
            + 1;
        Self {
            first: Vec::new(),
            shown: mail.fields.iter().map(anchor).collect(),
            last: Vec::new(),
            next_id,
        }
    }

    fn insert(&mut self, insert: &v1::InsertHeader) -> Result<(), String> {
        let field = v1::HeaderField {
            header_id: self.next_id,
            name: insert.name.clone(),
            value: value(&insert.value)?,
        };
        self.next_id += 1;
        let place = insert
            .place
            .as_ref()
            .and_then(|place| place.kind)
            .ok_or("a place is missing")?;
        match place {
            header_place::Kind::First(_) => self.first.push(field),
            header_place::Kind::Last(_) => self.last.push(field),
            header_place::Kind::BeforeHeaderId(id) => self.anchor(id)?.before.push(field),
            header_place::Kind::AfterHeaderId(id) => self.anchor(id)?.after.push(field),
        }
        Ok(())
    }

    fn replace(&mut self, replace: &v1::ReplaceHeader) -> Result<(), String> {
        let new = value(&replace.value)?;
        let field = self
            .anchor(replace.header_id)?
            .field
            .as_mut()
            .ok_or("the field was removed")?;
        field.value = new;
        if !replace.name.is_empty() {
            field.name = replace.name.clone();
        }
        Ok(())
    }

    fn remove(&mut self, id: u32) -> Result<(), String> {
        self.anchor(id)?.field = None;
        Ok(())
    }

    fn anchor(&mut self, id: u32) -> Result<&mut Anchor, String> {
        self.shown
            .iter_mut()
            .find(|anchor| anchor.id == id)
            .ok_or_else(|| format!("no header field {id}"))
    }

    fn into_fields(self) -> Vec<v1::HeaderField> {
        let shown = self
            .shown
            .into_iter()
            .flat_map(|a| a.before.into_iter().chain(a.field).chain(a.after));
        self.first
            .into_iter()
            .chain(shown)
            .chain(self.last)
            .collect()
    }
}

fn value(value: &Bytes) -> Result<Bytes, String> {
    if value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return Err("a header value with CR, LF or NUL".to_owned());
    }
    Ok([b" ", value.as_ref()].concat().into())
}

fn recipient(add: &v1::AddRecipient) -> v1::Recipient {
    v1::Recipient {
        recipient_id: new_id(),
        address: add.address.clone(),
        state: v1::RecipientState::Accepted.into(),
        parameters: add.parameters.clone(),
        parent_recipient_id: add.parent_recipient_id.clone(),
        ..Default::default()
    }
}

fn octets(data: Option<&v1::Data>, uploads: &HashMap<u64, Vec<u8>>) -> Result<Vec<u8>, String> {
    match data.map(|data| data.kind.as_ref()) {
        None => Ok(Vec::new()),
        Some(Some(data::Kind::Inline(octets))) => Ok(octets.to_vec()),
        Some(Some(data::Kind::UploadId(id))) => uploads
            .get(id)
            .cloned()
            .ok_or_else(|| format!("no upload {id}")),
        Some(None) => Err("data without kind".to_owned()),
    }
}

/// Where the field at the start of `rest` ends, with its folded lines and CRLF.
fn field_end(rest: &[u8]) -> usize {
    let mut end = 0;
    loop {
        let Some(line) = rest[end..].windows(2).position(|pair| pair == b"\r\n") else {
            return rest.len();
        };
        end += line + 2;
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

pub(super) fn new_id() -> Bytes {
    Bytes::copy_from_slice(Uuid::now_v7().as_bytes())
}
