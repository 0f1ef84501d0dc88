//! Addresses and parameters from sinks.

use bytes::Bytes;
use postern_message::{Duplicates, Lifetime, NewRecipient, Notify, ParameterEdit, Return, Value};
use postern_proto::v1 as pb;
use postern_smtp::address::{AddressSyntax, ForwardPath, Mailbox, ReversePath};

use super::bounds::{MAX_PROPERTY_EDITS, MAX_PROPERTY_OCTETS};
use super::value::{is_key, limit, recipient_id};
use crate::fault::Fault;

/// Parameters that the gateway makes itself, of what it sends.
const OWN: [&[u8]; 5] = [b"SIZE", b"BODY", b"SMTPUTF8", b"AUTH", b"RRVS"];

pub(crate) fn reverse_path(octets: &[u8], utf8: bool) -> Result<ReversePath, Fault> {
    if octets.is_empty() {
        Ok(ReversePath::Null)
    } else {
        mailbox(octets, utf8).map(ReversePath::Mailbox)
    }
}

pub(crate) fn forward_path(octets: &[u8], utf8: bool) -> Result<ForwardPath, Fault> {
    if octets.eq_ignore_ascii_case(b"postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    mailbox(octets, utf8).map(ForwardPath::Mailbox)
}

fn mailbox(octets: &[u8], utf8: bool) -> Result<Mailbox, Fault> {
    // A sink may write what clients may: it gives back addresses that it was shown.
    Mailbox::parse_with(octets, utf8, AddressSyntax::Lenient)
        .map_err(|error| Fault::protocol(format!("address {}: {error}", octets.escape_ascii())))
}

pub(crate) fn new_recipient(add: &pb::AddRecipient, utf8: bool) -> Result<NewRecipient, Fault> {
    let optional = |octets: &Bytes| {
        let id = (!octets.is_empty()).then(|| recipient_id(octets));
        id.transpose()
    };
    let mut recipient = NewRecipient {
        parent: optional(&add.parent_recipient_id)?,
        copy_from: optional(&add.copy_from_recipient_id)?,
        duplicates: match pb::DuplicateHandling::try_from(add.duplicates) {
            Ok(pb::DuplicateHandling::Unspecified) => Duplicates::Skip,
            Ok(pb::DuplicateHandling::Replace) => Duplicates::Replace,
            Ok(pb::DuplicateHandling::Refuse) => Duplicates::Refuse,
            Err(_) => return Err(Fault::protocol("the handling of duplicates is unknown")),
        },
        ..NewRecipient::new(forward_path(&add.address, utf8)?)
    };
    limit("parameters of a recipient", add.parameters.len(), 64)?;
    for own in &add.parameters {
        let value = own.value.clone();
        match parameter(&own.keyword, Some(value))? {
            ParameterEdit::Orcpt(orcpt) if recipient.orcpt.is_none() => recipient.orcpt = orcpt,
            ParameterEdit::Notify(notify) if recipient.notify.is_none() => {
                recipient.notify = notify;
            }
            ParameterEdit::Other { keyword, value } => {
                let twice = recipient.parameters.iter().any(|(own, _)| *own == keyword);
                if twice {
                    return Err(twice_given(&keyword));
                }
                recipient.parameters.push((keyword, value.flatten()));
            }
            ParameterEdit::Orcpt(_) | ParameterEdit::Notify(_) => {
                return Err(twice_given(&own.keyword));
            }
            ParameterEdit::Ret(_) | ParameterEdit::Envid(_) => {
                return Err(Fault::protocol("RET and ENVID are parameters of MAIL"));
            }
        }
    }
    limit(
        "properties of a recipient",
        add.properties.len(),
        MAX_PROPERTY_EDITS,
    )?;
    for own in &add.properties {
        let scope = pb::PropertyScope::try_from(own.scope);
        let of_recipient = matches!(
            scope,
            Ok(pb::PropertyScope::Unspecified | pb::PropertyScope::Recipient)
        );
        if !of_recipient || !own.recipient_id.is_empty() {
            return Err(Fault::protocol(
                "the properties of a new recipient are its own",
            ));
        }
        let given = own.value.clone();
        let given =
            given.ok_or_else(|| Fault::protocol("a new recipient has no properties yet"))?;
        recipient
            .properties
            .push((key(&own.key)?, property(given)?, lifetime(own.lifetime)?));
    }
    Ok(recipient)
}

fn twice_given(keyword: &[u8]) -> Fault {
    Fault::protocol(format!(
        "the parameter {} is given twice",
        keyword.escape_ascii()
    ))
}

/// A parameter of MAIL or RCPT; `None` removes it.
pub(crate) fn parameter(
    keyword: &[u8],
    value: Option<Option<Bytes>>,
) -> Result<ParameterEdit, Fault> {
    let upper = keyword.to_ascii_uppercase();
    let is_keyword = (1..=64).contains(&upper.len())
        && upper.first().is_some_and(u8::is_ascii_alphanumeric)
        && upper
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if !is_keyword {
        return Err(Fault::protocol("a keyword is not that of a parameter"));
    }
    if OWN.contains(&&upper[..]) {
        return Err(Fault::protocol(format!(
            "the gateway itself says {}",
            upper.escape_ascii()
        )));
    }
    let text = || value.clone().map(Option::unwrap_or_default);
    Ok(match &upper[..] {
        b"NOTIFY" => ParameterEdit::Notify(text().as_deref().map(notify).transpose()?),
        b"ORCPT" => ParameterEdit::Orcpt(text().as_deref().map(orcpt).transpose()?),
        b"RET" => ParameterEdit::Ret(text().as_deref().map(ret).transpose()?),
        b"ENVID" => ParameterEdit::Envid(text().as_deref().map(envid).transpose()?),
        _ => {
            if let Some(Some(octets)) = &value {
                let is_value = !octets.is_empty()
                    && octets.len() <= 500
                    && octets.iter().all(|b| b.is_ascii_graphic() && *b != b'=');
                if !is_value {
                    return Err(Fault::protocol(format!(
                        "the value of {} is not 1 to 500 printable octets without '='",
                        upper.escape_ascii()
                    )));
                }
            }
            ParameterEdit::Other {
                keyword: Bytes::from(upper),
                value,
            }
        }
    })
}

/// `addr-type ";" xtext` (RFC 3461, section 4.2).
fn orcpt(value: &[u8]) -> Result<Bytes, Fault> {
    let mut parts = value.splitn(2, |octet| *octet == b';');
    let (kind, address) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let is_atom = !kind.is_empty() && kind.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if is_atom && is_xtext(address) && value.len() <= 500 {
        Ok(Bytes::copy_from_slice(value))
    } else {
        Err(Fault::protocol(
            "ORCPT is not type;xtext of at most 500 octets",
        ))
    }
}

fn is_xtext(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_graphic() && *b != b'=')
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

fn ret(value: &[u8]) -> Result<Return, Fault> {
    match value.to_ascii_uppercase().as_slice() {
        b"FULL" => Ok(Return::Full),
        b"HDRS" => Ok(Return::Headers),
        _ => Err(Fault::protocol("RET is neither FULL nor HDRS")),
    }
}

fn envid(value: &[u8]) -> Result<Bytes, Fault> {
    if is_xtext(value) && value.len() <= 100 {
        Ok(Bytes::copy_from_slice(value))
    } else {
        Err(Fault::protocol("ENVID is not xtext of at most 100 octets"))
    }
}

pub(crate) fn key(key: &str) -> Result<String, Fault> {
    if is_key(key) {
        Ok(key.to_owned())
    } else {
        Err(Fault::protocol(
            "the key of a property is not [a-z0-9][a-z0-9._-]{0,62}",
        ))
    }
}

pub(crate) fn lifetime(lifetime: i32) -> Result<Lifetime, Fault> {
    match pb::PropertyLifetime::try_from(lifetime) {
        Ok(pb::PropertyLifetime::Unspecified) => Ok(Lifetime::Kept),
        Ok(pb::PropertyLifetime::Stage) => Ok(Lifetime::Stage),
        Err(_) => Err(Fault::protocol("the lifetime of a property is unknown")),
    }
}

pub(crate) fn property(value: pb::Value) -> Result<Value, Fault> {
    use pb::value::Kind;
    let checked = |octets: usize| limit("octets of a property", octets, MAX_PROPERTY_OCTETS);
    match value.kind {
        Some(Kind::Text(text)) => checked(text.len()).map(|()| Value::String(text)),
        Some(Kind::Octets(octets)) => checked(octets.len()).map(|()| Value::Bytes(octets)),
        Some(Kind::Integer(number)) => Ok(Value::Int(number)),
        Some(Kind::Number(number)) => Ok(Value::Number(number.into())),
        Some(Kind::Flag(flag)) => Ok(Value::Bool(flag)),
        Some(Kind::Texts(list)) => {
            // Each takes some room, also an empty one.
            checked(list.items.iter().map(|text| text.len() + 1).sum())?;
            Ok(Value::Texts(list.items))
        }
        None => Err(Fault::protocol(
            "the value of a property is unset or unknown",
        )),
    }
}

#[cfg(test)]
mod tests;
