//! Edits applied to a message the plain way. What [`check`](crate::check) has let pass is not checked again.

use std::collections::HashMap;

use bytes::Bytes;

use super::mail::{Mail, new_id};
use crate::v1::{self, data, edit, header_place};

impl Mail {
    /// Applies a verdict's edits and properties. An error is what the gateway would refuse.
    pub(super) fn apply(
        &mut self,
        verdict: &v1::Verdict,
        namespace: &str,
        uploads: &HashMap<u64, Vec<u8>>,
    ) -> Result<(), String> {
        let shown = self.body.clone();
        let mut fields = Fields::of(self);
        let mut body = Vec::new();
        let mut copied = 0_usize;
        for edit in &verdict.edits {
            match edit.kind.as_ref().ok_or("an edit without kind")? {
                edit::Kind::SpliceBody(splice) => {
                    let offset = usize::try_from(splice.offset).map_err(|_| "no such offset")?;
                    let removed =
                        usize::try_from(splice.remove_bytes).map_err(|_| "no such length")?;
                    let kept = shown
                        .get(copied..offset)
                        .ok_or("a splice is out of order or range")?;
                    body.extend_from_slice(kept);
                    body.extend_from_slice(&octets(splice.insert.as_ref(), uploads)?);
                    copied = offset
                        .checked_add(removed)
                        .filter(|end| *end <= shown.len())
                        .ok_or("a splice is out of range")?;
                }
                edit::Kind::ReplaceBody(replace) => {
                    body = octets(replace.body.as_ref(), uploads)?;
                    copied = shown.len();
                }
                edit::Kind::InsertHeader(insert) => fields.insert(insert)?,
                edit::Kind::SetHeader(set) => fields.set(set)?,
                edit::Kind::RemoveHeaders(remove) => fields.remove_all(&remove.name),
                edit::Kind::ReplaceHeader(replace) => fields.replace(replace)?,
                edit::Kind::RemoveHeader(remove) => fields.anchor(remove.header_id)?.field = None,
                other => self.apply_to_envelope(other),
            }
        }
        body.extend_from_slice(shown.get(copied..).unwrap_or_default());
        self.body = body;
        self.fields = fields.into_fields();
        self.set_properties(&verdict.properties, namespace);
        Ok(())
    }

    fn apply_to_envelope(&mut self, edit: &edit::Kind) {
        match edit {
            edit::Kind::SetSender(set) => self.sender = set.reverse_path.clone(),
            edit::Kind::AddRecipient(add) => {
                let known = self
                    .recipients
                    .iter()
                    .any(|known| known.address == add.address);
                self.recipients.extend((!known).then(|| recipient(add)));
            }
            edit::Kind::RemoveRecipient(remove) => {
                self.recipients
                    .retain(|known| known.recipient_id != remove.recipient_id);
            }
            edit::Kind::RetainRecipients(retain) => {
                self.recipients
                    .retain(|known| retain.recipient_ids.contains(&known.recipient_id));
            }
            edit::Kind::RewriteRecipient(rewrite) => {
                let id = &rewrite.recipient_id;
                for known in self
                    .recipients
                    .iter_mut()
                    .filter(|known| known.recipient_id == *id)
                {
                    rewritten(known, &rewrite.address);
                }
            }
            edit::Kind::SetParameter(set) if set.recipient_id.is_empty() => {
                self.parameters
                    .retain(|known| !known.keyword.eq_ignore_ascii_case(&set.keyword));
                if !set.remove {
                    self.parameters.push(v1::Parameter {
                        keyword: set.keyword.clone(),
                        value: set.value.clone(),
                    });
                }
            }
            edit::Kind::Inject(inject) => self.injected.push((**inject).clone()),
            // Nothing of what the others change is shown by the kit.
            _ => {}
        }
    }

    fn set_properties(&mut self, edits: &[v1::PropertyEdit], namespace: &str) {
        for edit in edits {
            match edit.scope() {
                v1::PropertyScope::Message => set_property(&mut self.properties, edit, namespace),
                v1::PropertyScope::Recipient => {
                    let id = &edit.recipient_id;
                    for known in self
                        .recipients
                        .iter_mut()
                        .filter(|known| known.recipient_id == *id)
                    {
                        set_property(&mut known.properties, edit, namespace);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Gives a recipient another address; the one that was given is kept.
pub(super) fn rewritten(recipient: &mut v1::Recipient, address: &Bytes) {
    if recipient.given_address.is_empty() {
        recipient.given_address = recipient.address.clone();
    }
    recipient.address = address.clone();
}

/// Sets or removes a property of a namespace.
pub(super) fn set_property(list: &mut Vec<v1::Property>, edit: &v1::PropertyEdit, namespace: &str) {
    list.retain(|known| known.namespace_name != namespace || known.key != edit.key);
    if let Some(value) = &edit.value {
        list.push(v1::Property {
            namespace_name: namespace.to_owned(),
            key: edit.key.clone(),
            value: Some(value.clone()),
            lifetime: edit.lifetime,
        });
    }
}

/// The header list while edits are applied: each field that was shown, with what goes around it.
struct Fields {
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

impl Fields {
    fn of(mail: &Mail) -> Self {
        let anchor = |field: &v1::HeaderField| Anchor {
            id: field.header_id,
            before: Vec::new(),
            field: Some(field.clone()),
            after: Vec::new(),
        };
        let last_id = mail.fields.iter().map(|field| field.header_id).max();
        Self {
            first: Vec::new(),
            shown: mail.fields.iter().map(anchor).collect(),
            last: Vec::new(),
            next_id: last_id.unwrap_or(0) + 1,
        }
    }

    fn insert(&mut self, insert: &v1::InsertHeader) -> Result<(), String> {
        let field = v1::HeaderField {
            header_id: self.next_id,
            name: insert.name.clone(),
            value: behind_colon(&insert.value),
        };
        self.next_id += 1;
        let place = insert.place.as_ref().and_then(|place| place.kind);
        match place.ok_or("a place is missing")? {
            header_place::Kind::First(_) => self.first.push(field),
            header_place::Kind::Last(_) => self.last.push(field),
            header_place::Kind::BeforeHeaderId(id) => self.anchor(id)?.before.push(field),
            header_place::Kind::AfterHeaderId(id) => self.anchor(id)?.after.push(field),
        }
        Ok(())
    }

    fn set(&mut self, set: &v1::SetHeader) -> Result<(), String> {
        let mut same = self
            .shown
            .iter_mut()
            .filter(|anchor| is_named(anchor, &set.name));
        let Some(first) = same.next() else {
            let last = header_place::Kind::Last(v1::LastPlace {});
            let place = set.place.unwrap_or(v1::HeaderPlace { kind: Some(last) });
            return self.insert(&v1::InsertHeader {
                place: Some(place),
                name: set.name.clone(),
                value: set.value.clone(),
            });
        };
        if set.only_if_missing {
            return Ok(());
        }
        if let Some(field) = &mut first.field {
            field.value = behind_colon(&set.value);
        }
        for further in same {
            further.field = None;
        }
        Ok(())
    }

    fn remove_all(&mut self, name: &[u8]) {
        for anchor in &mut self.shown {
            let own = anchor
                .field
                .as_ref()
                .map(|field| field.name.trim_ascii_end());
            let hit = match (own, name.strip_suffix(b"*")) {
                (Some(own), Some(prefix)) => {
                    let start = own.get(..prefix.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                }
                (Some(own), None) => own.eq_ignore_ascii_case(name),
                (None, _) => false,
            };
            if hit {
                anchor.field = None;
            }
        }
    }

    fn replace(&mut self, replace: &v1::ReplaceHeader) -> Result<(), String> {
        let field = self.anchor(replace.header_id)?.field.as_mut();
        let field = field.ok_or("the field was removed")?;
        field.value = behind_colon(&replace.value);
        if !replace.name.is_empty() {
            field.name = replace.name.clone();
        }
        Ok(())
    }

    fn anchor(&mut self, id: u32) -> Result<&mut Anchor, String> {
        let found = self.shown.iter_mut().find(|anchor| anchor.id == id);
        found.ok_or_else(|| format!("no header field {id}"))
    }

    fn into_fields(self) -> Vec<v1::HeaderField> {
        let shown = self.shown.into_iter();
        let shown = shown.flat_map(|a| a.before.into_iter().chain(a.field).chain(a.after));
        self.first
            .into_iter()
            .chain(shown)
            .chain(self.last)
            .collect()
    }
}

fn is_named(anchor: &Anchor, name: &[u8]) -> bool {
    let own = anchor
        .field
        .as_ref()
        .map(|field| field.name.trim_ascii_end());
    own.is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// What stands behind the colon: a raw value as it is, text with a blank in front.
fn behind_colon(value: &Bytes) -> Bytes {
    let raw = value
        .first()
        .is_some_and(|octet| matches!(octet, b' ' | b'\t'))
        || value.contains(&b'\n');
    match raw {
        true => value.clone(),
        false => [b" ", value.as_ref()].concat().into(),
    }
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
        Some(Some(data::Kind::Literal(octets))) => Ok(octets.to_vec()),
        Some(Some(data::Kind::UploadId(id))) => {
            let upload = uploads.get(id).cloned();
            upload.ok_or_else(|| format!("no finished upload {id}"))
        }
        Some(None) => Err("data without kind".to_owned()),
    }
}
