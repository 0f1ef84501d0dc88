//! Numbers, sizes, durations and flags.

use std::time::Duration;

use super::Kind;
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::tree::Value;

/// The longest duration: longer ones are slips, and would overflow clocks.
const LONGEST_DAYS: u64 = 3650;

/// True or false.
pub(crate) struct Flag;

impl Kind for Flag {
    type Out = bool;

    fn shape() -> Shape {
        Shape::Flag
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<bool> {
        match field.node.value {
            Value::Flag(flag) => Some(flag),
            _ => {
                reader.wrong_type(field, "true or false without quotes");
                None
            }
        }
    }
}

/// How many of something, at least one.
pub(crate) struct Count;

impl Kind for Count {
    type Out = u32;

    fn shape() -> Shape {
        Shape::Integer {
            min: 1,
            max: u32::MAX.into(),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<u32> {
        integer(field, reader, 1, u32::MAX.into())?.try_into().ok()
    }
}

/// The place of a binding in the order.
pub(crate) struct Place;

impl Kind for Place {
    type Out = u16;

    fn shape() -> Shape {
        Shape::Integer { min: 0, max: 32767 }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<u16> {
        integer(field, reader, 0, 32767)?.try_into().ok()
    }
}

/// A port.
pub(crate) struct Port;

impl Kind for Port {
    type Out = u16;

    fn shape() -> Shape {
        Shape::Integer { min: 1, max: 65535 }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<u16> {
        integer(field, reader, 1, 65535)?.try_into().ok()
    }
}

/// Who may do what with a file, as `chmod` takes it in octal digits.
pub(crate) struct Permissions;

impl Kind for Permissions {
    type Out = u32;

    fn shape() -> Shape {
        Shape::Text {
            what: "a mode in octal digits, such as \"0660\"",
            pattern: Some("^0?[0-7]{3}$"),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<u32> {
        const ADVICE: &str = "write three or four octal digits in quotes, such as \"0660\"";
        let text = reader.text(field, "octal digits in quotes, such as \"0660\"")?;
        let digits = match text.len() {
            4 => text.strip_prefix('0'),
            3 => Some(text),
            _ => None,
        };
        let octal = digits.filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'7')));
        let mode = octal.and_then(|digits| u32::from_str_radix(digits, 8).ok());
        if mode.is_none() {
            reader.refuse(field, format!("\"{text}\" is not a mode"), ADVICE);
        }
        mode
    }
}

fn integer(field: Field<'_>, reader: &mut Reader, min: i64, max: i64) -> Option<i64> {
    match field.node.value {
        Value::Integer(number) if (min..=max).contains(&number) => Some(number),
        Value::Integer(number) => {
            reader.refuse(
                field,
                format!("{number} is out of range"),
                format!("write {min} to {max}"),
            );
            None
        }
        _ => {
            reader.wrong_type(field, "a whole number without quotes");
            None
        }
    }
}

/// A size in octets.
pub(crate) struct Size;

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Kind for Size {
    type Out = u64;

    fn shape() -> Shape {
        Shape::Text {
            what: "a size such as \"25 MiB\" (B, KiB, MiB, GiB)",
            pattern: Some("^[0-9]+ ?(B|KiB|MiB|GiB)$"),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<u64> {
        const ADVICE: &str = "write a number and B, KiB, MiB or GiB, such as \"25 MiB\"";
        let text = measured(field, reader, ADVICE)?;
        let octets = split(text, SIZES).and_then(|(number, unit)| number.checked_mul(unit));
        // What cannot be a file's length cannot be meant.
        let octets = octets.filter(|octets| i64::try_from(*octets).is_ok());
        if octets.is_none() {
            reader.refuse(field, format!("\"{text}\" is not a size"), ADVICE);
        }
        octets
    }
}

/// A duration longer than nothing.
pub(crate) struct Span;

const SPANS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl Kind for Span {
    type Out = Duration;

    fn shape() -> Shape {
        Shape::Text {
            what: "a duration such as \"30s\" (ms, s, m, h, d)",
            pattern: Some("^[0-9]+ ?(ms|s|m|h|d)$"),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Duration> {
        const ADVICE: &str = "write a number and ms, s, m, h or d, such as \"30s\"";
        let text = measured(field, reader, ADVICE)?;
        let Some((number, unit)) = split(text, SPANS) else {
            reader.refuse(field, format!("\"{text}\" is not a duration"), ADVICE);
            return None;
        };
        let milliseconds = number
            .checked_mul(unit)
            .filter(|ms| *ms <= LONGEST_DAYS * 86_400_000);
        match milliseconds {
            Some(0) => {
                reader.refuse(field, "is no time at all", "write more than 0");
                None
            }
            Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
            None => {
                reader.refuse(
                    field,
                    format!("\"{text}\" is too long"),
                    format!("write {LONGEST_DAYS}d or less"),
                );
                None
            }
        }
    }
}

/// The text of a value with a unit. A bare number gets an error of its own.
fn measured<'a>(field: Field<'a>, reader: &mut Reader, advice: &str) -> Option<&'a str> {
    match &field.node.value {
        Value::Text(text) => Some(text),
        Value::Integer(_) | Value::Float(_) => {
            reader.refuse(field, "has no unit", advice);
            None
        }
        _ => {
            reader.refuse(field, format!("is {}", field.node.type_name()), advice);
            None
        }
    }
}

/// Number and factor of `12 unit` or `12unit`.
fn split(text: &str, units: &[(&str, u64)]) -> Option<(u64, u64)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    Some((number.parse().ok()?, factor))
}
