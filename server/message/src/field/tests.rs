#![allow(clippy::unwrap_used)]
use super::*;
use crate::{HeaderLimits, HeaderParser};
use proptest::prelude::*;

fn write(name: &str, value: &str) -> Result<String, FieldError> {
    let name = HeaderName::parse(name.as_bytes())?;
    let value = HeaderValue::parse(value.as_bytes(), true)?;
    let raw = write_field(name.as_bytes(), &value)?;
    Ok(String::from_utf8(raw.to_vec()).unwrap())
}

#[test]
fn a_short_field_is_one_line() {
    assert_eq!(write("X-A", "b  c ").unwrap(), "X-A: b  c\r\n");
    assert_eq!(write("X-A", "").unwrap(), "X-A: \r\n");
}

#[test]
fn a_long_field_is_folded_before_white_space() {
    let words = "0123456789 ".repeat(15);
    let field = write("Subject", &words).unwrap();
    assert!(field.lines().count() > 1);
    assert!(field.lines().all(|line| line.len() <= 78), "{field}");
    assert_eq!(
        field.replace("\r\n", ""),
        format!("Subject: {}", words.trim())
    );
}

#[test]
fn a_word_may_be_long_but_not_longer_than_a_line() {
    assert!(write("X", &format!("a {}", "x".repeat(997))).is_ok());
    assert_eq!(
        write("X", &format!("a {}", "x".repeat(998))),
        Err(FieldError::Unfoldable)
    );
}

#[test]
fn what_a_value_may_not_hold() {
    for (value, at) in [("a\nb", 1), ("\ra", 0), ("ab\0", 2), (" a\r\n b\rc", 6)] {
        let parsed = HeaderValue::parse(value.as_bytes(), true);
        assert_eq!(parsed, Err(FieldError::Forbidden { at }), "{value:?}");
    }
    for (value, at) in [
        ("a\r\nB: c", 1),
        ("a\r\n", 1),
        (" a\r\n \r\n b", 2),
        ("a\r\n\t", 1),
    ] {
        let parsed = HeaderValue::parse(value.as_bytes(), true);
        assert_eq!(parsed, Err(FieldError::Folding { at }), "{value:?}");
    }
    assert!(HeaderValue::parse("é".as_bytes(), true).is_ok());
    assert_eq!(
        HeaderValue::parse("é".as_bytes(), false),
        Err(FieldError::NotAscii { at: 0 })
    );
    assert_eq!(
        HeaderValue::parse(b"a\xff", true),
        Err(FieldError::NotAscii { at: 1 })
    );
    assert!(matches!(
        HeaderValue::parse(&vec![b'a'; MAX_VALUE + 1], true),
        Err(FieldError::TooLong { .. })
    ));
}

#[test]
fn a_raw_value_is_taken_byte_for_byte() {
    let value = b" b  c \r\n\tfolded \xff\xfe";
    let raw = HeaderValue::parse(value, false).unwrap();
    let field = write_field(b"X-A", &raw).unwrap();
    assert_eq!(&field[..], b"X-A: b  c \r\n\tfolded \xff\xfe\r\n");
    // As HeaderField.value shows it: what was read is written again as it was.
    let mut parser = HeaderParser::new(HeaderLimits::default());
    assert!(parser.feed(&field).unwrap().is_none());
    let section = parser.finish().unwrap();
    assert_eq!(&section.fields()[0].value()[..], value);
    let long =
        |octets: usize| HeaderValue::parse(format!(" {}", "x".repeat(octets)).as_bytes(), false);
    assert!(write_field(b"X-A", &long(993).unwrap()).is_ok());
    assert_eq!(
        write_field(b"X-A", &long(994).unwrap()),
        Err(FieldError::Unfoldable)
    );
    assert_eq!(long(998), Err(FieldError::Unfoldable));
}

#[test]
fn what_a_name_may_not_be() {
    for name in [
        "",
        "a b",
        "a:",
        "a\r",
        "é",
        "a\0",
        &"x".repeat(MAX_NAME + 1),
    ] {
        assert_eq!(
            HeaderName::parse(name.as_bytes()),
            Err(FieldError::Name),
            "{name:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_written_field_is_read_as_one(
        name in "[!-9;-~]{1,76}",
        value in "([a-zé:][a-zé \t:]{0,400})?",
    ) {
        let field = write(&name, &value).unwrap();
        let mut parser = HeaderParser::new(HeaderLimits::default());
        prop_assert!(parser.feed(field.as_bytes()).unwrap().is_none());
        let section = parser.finish().unwrap();
        prop_assert_eq!(section.fields().len(), 1);
        prop_assert_eq!(section.body_offset() as usize, field.len());
        prop_assert!(field.split("\r\n").all(|line| line.len() <= 998));
        prop_assert_eq!(field.replace("\r\n", ""), format!("{name}: {}", value.trim_matches([' ', '\t'])));
    }
}
