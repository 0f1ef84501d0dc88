//! A message as the kit holds it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::v1;

/// A message with its envelope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mail {
    pub(crate) id: Bytes,
    pub(super) sender: Bytes,
    pub(super) recipients: Vec<v1::Recipient>,
    pub(super) fields: Vec<v1::HeaderField>,
    separator_missing: bool,
    pub(super) body: Vec<u8>,
    /// Messages that verdicts injected beside this one.
    pub(super) injected: Vec<v1::Inject>,
    pub(super) properties: Vec<v1::Property>,
    pub(super) parameters: Vec<v1::Parameter>,
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

    /// The properties of the message.
    pub fn properties(&self) -> &[v1::Property] {
        &self.properties
    }

    pub(super) fn begin(id: Bytes, sender: Bytes) -> Self {
        Self {
            id,
            sender,
            ..Default::default()
        }
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
        }
    }

    pub(super) fn envelope(&self) -> v1::Envelope {
        v1::Envelope {
            reverse_path: self.sender.clone(),
            body: v1::BodyKind::SevenBit.into(),
            parameters: self.parameters.clone(),
            ..Default::default()
        }
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

/// An id of the form of UUIDv7, unique in the process.
pub(super) fn new_id() -> Bytes {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut id = [0x01, 0x9a, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
    id[9..].copy_from_slice(&number[1..]);
    Bytes::copy_from_slice(&id)
}
