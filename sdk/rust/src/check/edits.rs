//! Edits and properties of a verdict.

use bytes::Bytes;
use postern_proto::rules::{EditKind, EventRule, NEVER_BY_PREFIX, bounds};

use super::{Question, Refusal, is_key, limit};
use crate::v1::{self, data, edit, event, header_place};

const VALUE_OCTETS: usize = 64 << 10;
const NAME_OCTETS: usize = 76;
const LINE_OCTETS: usize = 998;
const PROPERTY_OCTETS: usize = 4 << 10;
const EDITS: usize = 10_000;

pub(super) fn check(
    edits: &[v1::Edit],
    rule: &EventRule,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    let most = match question.limits.verdict_edits {
        0 => EDITS,
        most => most as usize,
    };
    limit("edits", edits.len(), most)?;
    let mut sum = Sum {
        recipients: question.picture.recipients().len(),
        ..Sum::default()
    };
    for edit in edits {
        let kind = edit
            .kind
            .as_ref()
            .ok_or_else(|| Refusal::new("an edit is unset or unknown"))?;
        let made = EditKind::from(kind);
        if !rule.allows_edit(made) {
            return Err(Refusal::new(format!(
                "{} cannot be made at {}",
                made.name(),
                rule.name
            )));
        }
        if made.rule().grant != "headers:NAME" {
            question.grants.expect(made.rule().grant)?;
        }
        one(kind, &mut sum, rule, question)?;
    }
    sum.check(edits, question)
}

/// What the edits of a verdict come to.
#[derive(Default)]
struct Sum {
    splice_end: u64,
    spliced: bool,
    replaced: bool,
    literal: usize,
    added: u64,
    removed: u64,
    header_fields: usize,
    header_octets: usize,
    recipients: usize,
    recipients_edited: bool,
}

fn one(
    kind: &edit::Kind,
    sum: &mut Sum,
    rule: &EventRule,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    use edit::Kind;
    match kind {
        Kind::InsertHeader(insert) => {
            let place = insert.place.as_ref().and_then(|place| place.kind.as_ref());
            let place = place
                .ok_or_else(|| Refusal::new("the place of a header field is unset or unknown"))?;
            placed(place, question)?;
            header(&insert.name, &insert.value, sum, question)
        }
        Kind::SetHeader(set) => {
            if let Some(place) = set.place.as_ref().and_then(|place| place.kind.as_ref()) {
                placed(place, question)?;
            }
            header(&set.name, &set.value, sum, question)
        }
        Kind::ReplaceHeader(replace) => {
            let field = shown(replace.header_id, question)?;
            question.grants.expect_header(field.name.trim_ascii_end())?;
            let name = match replace.name.is_empty() {
                true => Bytes::copy_from_slice(field.name.trim_ascii_end()),
                false => replace.name.clone(),
            };
            header(&name, &replace.value, sum, question)
        }
        Kind::RemoveHeader(remove) => {
            let field = shown(remove.header_id, question)?;
            question.grants.expect_header(field.name.trim_ascii_end())
        }
        Kind::RemoveHeaders(remove) => {
            let name = remove.name.as_ref();
            question.grants.expect_header(name)?;
            if let Some(prefix) = name.strip_suffix(b"*") {
                let prefix = prefix.to_ascii_lowercase();
                let trace = NEVER_BY_PREFIX
                    .iter()
                    .any(|trace| trace.to_ascii_lowercase().as_bytes() == prefix);
                if trace {
                    return Err(Refusal::new("trace fields cannot be removed by prefix"));
                }
                return Ok(());
            }
            field_name(name)
        }
        Kind::SpliceBody(splice) => {
            let end = splice.offset.checked_add(splice.remove_bytes);
            let end = end.ok_or_else(|| Refusal::new("a splice is out of range"))?;
            if splice.offset < sum.splice_end {
                return Err(Refusal::new(
                    "splices are not in ascending order, or they overlap",
                ));
            }
            sum.splice_end = end;
            sum.spliced = true;
            sum.removed += splice.remove_bytes;
            content(splice.insert.as_ref(), true, sum, question)
        }
        Kind::ReplaceBody(replace) => {
            if replace.body.is_none() {
                return Err(Refusal::new("replace_body needs a body"));
            }
            sum.replaced = true;
            content(replace.body.as_ref(), true, sum, question)
        }
        Kind::AddRecipient(add) => {
            sum.recipients += 1;
            sum.recipients_edited = true;
            address(&add.address, false, question)
        }
        Kind::RemoveRecipient(remove) => {
            known_recipient(&remove.recipient_id, question)?;
            sum.recipients = sum.recipients.saturating_sub(1);
            sum.recipients_edited = true;
            Ok(())
        }
        Kind::RetainRecipients(retain) => {
            for id in &retain.recipient_ids {
                known_recipient(id, question)?;
            }
            sum.recipients = retain.recipient_ids.len();
            sum.recipients_edited = true;
            Ok(())
        }
        Kind::RewriteRecipient(rewrite) => {
            asked_about(&rewrite.recipient_id, rule, question)?;
            address(&rewrite.address, false, question)
        }
        Kind::SetParameter(set) if !set.recipient_id.is_empty() => {
            asked_about(&set.recipient_id, rule, question)
        }
        Kind::SetSender(set) => address(&set.reverse_path, true, question),
        Kind::SetPriority(set) if !(-9..=9).contains(&set.priority) => Err(Refusal::new(format!(
            "priority {} is not between -9 and 9",
            set.priority
        ))),
        Kind::Inject(inject) => {
            if inject.recipients.is_empty() {
                return Err(Refusal::new("an injected message has no recipients"));
            }
            content(inject.content.as_ref(), false, sum, question)
        }
        _ => Ok(()),
    }
}

impl Sum {
    fn check(&self, edits: &[v1::Edit], question: &Question<'_>) -> Result<(), Refusal> {
        let limits = question.limits;
        if self.spliced && self.replaced {
            return Err(Refusal::new("another body and splices in one verdict"));
        }
        let literal = match limits.literal_bytes {
            0 => bounds::LITERAL_BYTES,
            most => most as usize,
        };
        limit("octets of literal data", self.literal, literal)?;
        if self.recipients_edited && self.recipients == 0 {
            return Err(Refusal::new(
                "no recipient is left; to drop a message is a decision",
            ));
        }
        if self.recipients_edited && limits.recipient_count > 0 {
            limit(
                "recipients",
                self.recipients,
                limits.recipient_count as usize,
            )?;
        }
        if let Some(headers) = question.picture.headers()
            && !edits.is_empty()
        {
            let octets = headers.size_bytes as usize + self.header_octets;
            if limits.header_bytes > 0 && self.header_octets > 0 {
                limit(
                    "octets of the header section",
                    octets,
                    limits.header_bytes as usize,
                )?;
            }
            if limits.header_count > 0 && self.header_fields > 0 {
                let fields = headers.fields.len() + self.header_fields;
                limit("header fields", fields, limits.header_count as usize)?;
            }
        }
        if let Some(shown) = question.content_bytes
            && limits.message_bytes > 0
        {
            let grown = self.added + self.header_octets as u64;
            let octets = match self.replaced {
                true => grown,
                false => (shown + grown).saturating_sub(self.removed),
            };
            if grown > 0 && octets > limits.message_bytes {
                return Err(Refusal::new(format!(
                    "{octets} octets of a message, the limit is {}",
                    limits.message_bytes
                )));
            }
        }
        Ok(())
    }
}

fn placed(place: &header_place::Kind, question: &Question<'_>) -> Result<(), Refusal> {
    match place {
        header_place::Kind::BeforeHeaderId(id) | header_place::Kind::AfterHeaderId(id) => {
            shown(*id, question).map(|_| ())
        }
        header_place::Kind::First(_) | header_place::Kind::Last(_) => Ok(()),
    }
}

fn shown<'a>(id: u32, question: &Question<'a>) -> Result<&'a v1::HeaderField, Refusal> {
    let fields = question
        .picture
        .headers()
        .map_or(&[][..], |headers| &headers.fields);
    fields
        .iter()
        .find(|field| field.header_id == id)
        .ok_or_else(|| {
            Refusal::new(format!(
                "no header field that the binding was shown has the id {id}"
            ))
        })
}

fn header(
    name: &[u8],
    value: &[u8],
    sum: &mut Sum,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    question.grants.expect_header(name)?;
    field_name(name)?;
    let utf8 = question
        .picture
        .envelope()
        .is_none_or(|envelope| envelope.smtp_utf8);
    field_value(value, utf8)?;
    sum.header_fields += 1;
    sum.header_octets += name.len() + value.len() + 4;
    Ok(())
}

fn field_name(name: &[u8]) -> Result<(), Refusal> {
    let fits = (1..=NAME_OCTETS).contains(&name.len())
        && name
            .iter()
            .all(|octet| octet.is_ascii_graphic() && *octet != b':');
    match fits {
        true => Ok(()),
        false => Err(Refusal::new(format!(
            "{:?} is no name of a header field",
            String::from_utf8_lossy(name)
        ))),
    }
}

/// A value that begins with a blank or holds CRLF is taken as it is; any other is text.
fn field_value(value: &[u8], utf8: bool) -> Result<(), Refusal> {
    limit("octets of a header value", value.len(), VALUE_OCTETS)?;
    if value.contains(&0) {
        return Err(Refusal::new("a header value holds NUL"));
    }
    if bare_line_end(value) {
        return Err(Refusal::new("a header value holds a bare CR or LF"));
    }
    let raw = value
        .first()
        .is_some_and(|octet| matches!(octet, b' ' | b'\t'))
        || value.contains(&b'\n');
    if !raw {
        return match value.is_ascii() || utf8 {
            true => Ok(()),
            false => Err(Refusal::new(
                "a header value is not ASCII, and the message does not need SMTPUTF8",
            )),
        };
    }
    for (number, line) in value.split(|octet| *octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        limit(
            "octets of a line of a header value",
            line.len(),
            LINE_OCTETS,
        )?;
        let folded = line
            .first()
            .is_some_and(|octet| matches!(octet, b' ' | b'\t'));
        if number > 0 && (!folded || line.trim_ascii().is_empty()) {
            return Err(Refusal::new(
                "a line of a header value is not folded as RFC 5322 says",
            ));
        }
    }
    Ok(())
}

fn content(
    data: Option<&v1::Data>,
    body: bool,
    sum: &mut Sum,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    let Some(data) = data else { return Ok(()) };
    match &data.kind {
        None => Err(Refusal::new("data is unset or unknown")),
        Some(data::Kind::UploadId(_)) => Ok(()),
        Some(data::Kind::Literal(octets)) => {
            sum.literal += octets.len();
            if body {
                sum.added += octets.len() as u64;
            }
            let envelope = question.picture.envelope();
            let binary =
                envelope.is_some_and(|envelope| envelope.body() == v1::BodyKind::BinaryMime);
            match !binary && bare_line_end(octets) {
                true => Err(Refusal::new("content holds a bare CR or LF")),
                false => Ok(()),
            }
        }
    }
}

/// A CR or LF of its own. One at either end may have its other half in what is around it.
fn bare_line_end(octets: &[u8]) -> bool {
    octets
        .windows(2)
        .any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n'))
}

fn address(address: &[u8], null: bool, question: &Question<'_>) -> Result<(), Refusal> {
    if address.is_empty() && null {
        return Ok(());
    }
    let utf8 = question
        .picture
        .envelope()
        .is_some_and(|envelope| envelope.smtp_utf8);
    let text = std::str::from_utf8(address)
        .ok()
        .filter(|text| utf8 || text.is_ascii());
    let fits = text.is_some_and(|text| {
        crate::Address::parse(text).is_ok() && !text.contains(['<', '>']) && text.len() <= 320
    });
    match fits {
        true => Ok(()),
        false => Err(Refusal::new(format!(
            "{:?} is no address",
            String::from_utf8_lossy(address)
        ))),
    }
}

fn known_recipient(id: &Bytes, question: &Question<'_>) -> Result<(), Refusal> {
    let known = question.picture.recipients();
    match known.iter().any(|recipient| recipient.recipient_id == *id) {
        true => Ok(()),
        false => Err(Refusal::new(
            "no recipient that the binding was shown has this id",
        )),
    }
}

/// Where only the recipient that is asked about may be edited, it must be that one.
fn asked_about(id: &Bytes, rule: &EventRule, question: &Question<'_>) -> Result<(), Refusal> {
    if !rule.edits_asked_recipient_only {
        return known_recipient(id, question);
    }
    match question.body {
        Some(event::Kind::InboundRcpt(rcpt))
            if rcpt
                .recipient
                .as_ref()
                .is_none_or(|recipient| recipient.recipient_id != *id) =>
        {
            Err(Refusal::new(format!(
                "only the recipient that is asked about can be edited at {}",
                rule.name
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn properties(
    properties: &[v1::PropertyEdit],
    rule: &EventRule,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    limit("property edits", properties.len(), bounds::PROPERTIES)?;
    let mut octets = 0;
    for property in properties {
        if !rule.properties.contains(&property.scope()) {
            let scope = property
                .scope()
                .as_str_name()
                .trim_start_matches("PROPERTY_SCOPE_");
            let scope = scope.to_ascii_lowercase();
            return Err(Refusal::new(format!(
                "properties of a {scope} cannot be set at {}",
                rule.name
            )));
        }
        if !is_key(&property.key) {
            return Err(Refusal::new(
                "the key of a property is not [a-z0-9][a-z0-9._-]{0,62}",
            ));
        }
        let Some(value) = &property.value else {
            continue;
        };
        let length = value_octets(value)?;
        limit("octets of a property", length, PROPERTY_OCTETS)?;
        octets += length;
    }
    match question.limits.property_bytes {
        0 => Ok(()),
        most => limit("octets of properties", octets, most as usize),
    }
}

fn value_octets(value: &v1::Value) -> Result<usize, Refusal> {
    use v1::value::Kind;
    match &value.kind {
        None => Err(Refusal::new("the value of a property is unset")),
        Some(Kind::Text(text)) => Ok(text.len()),
        Some(Kind::Octets(octets)) => Ok(octets.len()),
        Some(Kind::Texts(texts)) => Ok(texts.items.iter().map(String::len).sum()),
        Some(Kind::Integer(_) | Kind::Number(_) | Kind::Flag(_)) => Ok(8),
    }
}
