//! How parameters are read: `esmtp-keyword ["=" esmtp-value]` (RFC 5321 4.1.2), then each by its own RFC.

use bytes::Bytes;

use super::{Body, MailParameters, Notify, Orcpt, RawParameter, RcptParameters, Ret, Xtext};

/// Longest ENVID in octets (RFC 3461 4.4).
const MAX_ENVID: usize = 100;
/// Longest ORCPT in octets (RFC 3461 4.2).
const MAX_ORCPT: usize = 500;

/// Longest AUTH= in octets (RFC 4954 5).
const MAX_SUBMITTER: usize = 500;

/// What is wrong with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParameterError {
    /// Not keyword and value.
    #[error("malformed parameter")]
    Syntax,
    /// Not a parameter that is offered for this command.
    #[error("parameter not recognized")]
    Unknown,
    /// Given twice.
    #[error("parameter given twice")]
    Duplicate,
    /// A value that this parameter cannot have.
    #[error("bad value for {0}")]
    Value(&'static str),
}

impl MailParameters {
    /// Reads the parameters of MAIL, parted by blanks; MT-PRIORITY only if the client may set it (`priorities`),
    /// AUTH only where the command is offered (`auth`).
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn parse(raw: &Bytes, priorities: bool, auth: bool) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for parameter in split(raw) {
            let parameter = parameter?;
            let value = parameter.value.as_deref();
            match parameter.keyword.to_ascii_uppercase().as_slice() {
                b"SIZE" => once(&mut parameters.size, size(value))?,
                b"BODY" => once(&mut parameters.body, body(value))?,
                b"RET" => once(&mut parameters.ret, ret(value))?,
                b"ENVID" => once(&mut parameters.envid, envid(value))?,
                b"MT-PRIORITY" if priorities => once(&mut parameters.priority, priority(value))?,
                b"AUTH" if auth => once(&mut parameters.auth, submitter(value))?,
                b"SMTPUTF8" if value.is_some() => return Err(ParameterError::Value("SMTPUTF8")),
                b"SMTPUTF8" if parameters.smtp_utf8 => return Err(ParameterError::Duplicate),
                b"SMTPUTF8" => parameters.smtp_utf8 = true,
                _ => return Err(ParameterError::Unknown),
            }
            parameters.raw.push(parameter);
        }
        Ok(parameters)
    }
}

impl RcptParameters {
    /// Reads the parameters of RCPT, parted by blanks; UTF-8 in ORCPT only if `utf8`.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn parse(raw: &Bytes, utf8: bool) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for parameter in split(raw) {
            let parameter = parameter?;
            let value = parameter.value.as_deref();
            match parameter.keyword.to_ascii_uppercase().as_slice() {
                b"NOTIFY" => once(&mut parameters.notify, notify(value))?,
                b"ORCPT" => {
                    let orcpt = value.and_then(|value| Orcpt::parse(value, utf8));
                    once(
                        &mut parameters.orcpt,
                        orcpt.ok_or(ParameterError::Value("ORCPT")),
                    )?;
                }
                _ => return Err(ParameterError::Unknown),
            }
            parameters.raw.push(parameter);
        }
        Ok(parameters)
    }
}

impl Orcpt {
    /// Reads `type;address`. The address is xtext that stands for printable ASCII; with the type `utf-8` it may have the
    /// forms of RFC 6533: `\x{HEX}`, and if `utf8` UTF-8 itself.
    #[must_use]
    pub fn parse(raw: &[u8], utf8: bool) -> Option<Self> {
        if raw.len() > MAX_ORCPT {
            return None;
        }
        let text = std::str::from_utf8(raw).ok()?;
        let (kind, address) = text.split_once(';')?;
        let kind_fits =
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let address_fits = if kind.eq_ignore_ascii_case("utf-8") {
            is_utf8_address(address, utf8)
        } else {
            Xtext::parse(address.as_bytes()).is_some()
        };
        (kind_fits && address_fits && !address.is_empty()).then(|| Self {
            raw: text.into(),
            semicolon: kind.len(),
        })
    }
}

/// `utf-8-addr-xtext` and `utf-8-addr-unitext` of RFC 6533 3.
fn is_utf8_address(address: &str, utf8: bool) -> bool {
    let mut rest = address;
    while let Some(c) = rest.chars().next() {
        rest = if let Some(embedded) = rest.strip_prefix("\\x{") {
            let Some((hex, tail)) = embedded.split_once('}') else {
                return false;
            };
            let digits =
                !hex.is_empty() && hex.len() <= 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            let code = if digits {
                u32::from_str_radix(hex, 16).ok()
            } else {
                None
            };
            if !code.and_then(char::from_u32).is_some_and(is_plain) {
                return false;
            }
            tail
        } else {
            let fits = match c {
                '+' | '=' | '\\' => false,
                '!'..='~' => true,
                _ => utf8 && !c.is_ascii() && is_plain(c),
            };
            if !fits {
                return false;
            }
            rest.get(c.len_utf8()..).unwrap_or_default()
        };
    }
    true
}

fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

fn split(raw: &Bytes) -> impl Iterator<Item = Result<RawParameter, ParameterError>> {
    let mut rest = raw.clone();
    std::iter::from_fn(move || {
        while rest.first() == Some(&b' ') {
            rest = rest.slice(1..);
        }
        if rest.is_empty() {
            return None;
        }
        let length = memchr::memchr(b' ', &rest).unwrap_or(rest.len());
        Some(raw_parameter(&rest.split_to(length)))
    })
}

fn raw_parameter(raw: &Bytes) -> Result<RawParameter, ParameterError> {
    let equals = memchr::memchr(b'=', raw);
    let keyword = raw.slice(..equals.unwrap_or(raw.len()));
    let value = equals.map(|at| raw.slice(at + 1..));
    let keyword_fits = keyword.first().is_some_and(u8::is_ascii_alphanumeric)
        && keyword
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || b == b'-');
    let value_fits = value.as_ref().is_none_or(|value| {
        !value.is_empty()
            && value
                .iter()
                .all(|&b| matches!(b, 33..=60 | 62..=126) || b >= 0x80)
    });
    if keyword_fits && value_fits {
        Ok(RawParameter { keyword, value })
    } else {
        Err(ParameterError::Syntax)
    }
}

fn once<T>(slot: &mut Option<T>, value: Result<T, ParameterError>) -> Result<(), ParameterError> {
    if slot.is_some() {
        return Err(ParameterError::Duplicate);
    }
    *slot = Some(value?);
    Ok(())
}

/// `1*20DIGIT`. What does not fit 64 bits is larger than anything: it counts as the largest number.
pub(crate) fn size_value(raw: &[u8]) -> Option<u64> {
    if raw.is_empty() || raw.len() > 20 {
        return None;
    }
    raw.iter().try_fold(0u64, |sum, &digit| {
        let digit = u64::from(digit.checked_sub(b'0').filter(|digit| *digit <= 9)?);
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

fn size(value: Option<&[u8]>) -> Result<u64, ParameterError> {
    value
        .and_then(size_value)
        .ok_or(ParameterError::Value("SIZE"))
}

/// A digit but for zero with a minus if need be, or zero (RFC 6710 6).
fn priority(value: Option<&[u8]>) -> Result<i8, ParameterError> {
    let digit = |digit: &u8| i8::try_from(digit - b'0').ok();
    match value {
        Some([own @ b'0'..=b'9']) => digit(own),
        Some([b'-', own @ b'1'..=b'9']) => digit(own).map(|own| -own),
        _ => None,
    }
    .ok_or(ParameterError::Value("MT-PRIORITY"))
}

/// `AUTH=` with a mailbox in xtext, or `<>`.
fn submitter(value: Option<&[u8]>) -> Result<Xtext, ParameterError> {
    value
        .filter(|value| !value.is_empty() && value.len() <= MAX_SUBMITTER)
        .and_then(Xtext::parse)
        .ok_or(ParameterError::Value("AUTH"))
}

fn body(value: Option<&[u8]>) -> Result<Body, ParameterError> {
    [Body::SevenBit, Body::EightBitMime, Body::BinaryMime]
        .into_iter()
        .find(|body| {
            value.is_some_and(|value| value.eq_ignore_ascii_case(body.as_str().as_bytes()))
        })
        .ok_or(ParameterError::Value("BODY"))
}

fn ret(value: Option<&[u8]>) -> Result<Ret, ParameterError> {
    [Ret::Full, Ret::Headers]
        .into_iter()
        .find(|ret| value.is_some_and(|value| value.eq_ignore_ascii_case(ret.as_str().as_bytes())))
        .ok_or(ParameterError::Value("RET"))
}

fn envid(value: Option<&[u8]>) -> Result<Xtext, ParameterError> {
    value
        .filter(|value| value.len() <= MAX_ENVID)
        .and_then(Xtext::parse)
        .ok_or(ParameterError::Value("ENVID"))
}

fn notify(value: Option<&[u8]>) -> Result<Notify, ParameterError> {
    const WRONG: ParameterError = ParameterError::Value("NOTIFY");
    let value = value.ok_or(WRONG)?;
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in value.split(|&b| b == b',') {
        let flag = match word.to_ascii_uppercase().as_slice() {
            b"SUCCESS" => &mut notify.success,
            b"FAILURE" => &mut notify.failure,
            b"DELAY" => &mut notify.delay,
            _ => return Err(WRONG),
        };
        if std::mem::replace(flag, true) {
            return Err(WRONG);
        }
    }
    Ok(notify)
}
