#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn wire(reply: &Reply, utf8: bool) -> String {
    let mut out = BytesMut::new();
    reply.encode(utf8, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn every_line_has_both_codes() {
    let reply = Reply::parse(550, Some("5.7.1"), "No\nreally\r\nno").unwrap();
    assert_eq!(
        wire(&reply, false),
        "550-5.7.1 No\r\n550-5.7.1 really\r\n550 5.7.1 no\r\n"
    );
    let bare = Reply::new(Code::new(354).unwrap(), None, Vec::new()).unwrap();
    assert_eq!(wire(&bare, false), "354 \r\n");
    assert_eq!(wire(&bare.with_some_enhanced(), false), "354 \r\n");
}

#[test]
fn utf8_only_where_negotiated() {
    let reply = Reply::parse(250, Some("2.0.0"), "grün").unwrap();
    assert_eq!(wire(&reply, true), "250 2.0.0 grün\r\n");
    assert_eq!(wire(&reply, false), "250 2.0.0 gr?n\r\n");
}

#[test]
fn contradictions_are_refused() {
    assert!(matches!(
        Reply::parse(550, Some("4.7.1"), "x"),
        Err(ReplyError::ClassMismatch { .. })
    ));
    assert!(matches!(
        Reply::parse(354, Some("2.0.0"), "x"),
        Err(ReplyError::ClassMismatch { .. })
    ));
    for code in [0, 99, 100, 199, 260, 299, 600, 999] {
        assert_eq!(Code::new(code), Err(ReplyError::Code(code)));
    }
    for enhanced in [
        "", "5", "5.7", "5.7.1.1", "3.0.0", "5.07.1", "5.7.1000", "+5.7.1", "5..1", "5.7.1 ",
    ] {
        assert_eq!(
            EnhancedCode::parse(enhanced),
            Err(ReplyError::EnhancedCode),
            "{enhanced:?}"
        );
    }
    assert_eq!(
        EnhancedCode::parse("5.7.999").unwrap().to_string(),
        "5.7.999"
    );
    for text in ["a\rb", "a\0b", "a\u{7f}b", "a\u{85}b", "a\u{2028}b"] {
        assert!(
            matches!(Reply::parse(250, None, text), Err(ReplyError::Control(_))),
            "{text:?}"
        );
    }
    assert_eq!(
        ReplyText::new("x".repeat(497)),
        Err(ReplyError::LineTooLong(497))
    );
    assert_eq!(
        Reply::parse(250, None, &"\n".repeat(100)),
        Err(ReplyError::TooManyLines(101))
    );
}

proptest! {
    #[test]
    fn lines_stay_in_their_bounds(
        code in 200u16..600,
        parts in (2u8..6, 0u16..1000, 0u16..1000),
        text in proptest::collection::vec("\\PC{0,600}", 0..4),
        utf8 in any::<bool>(),
    ) {
        let enhanced = EnhancedCode::new(parts.0, parts.1, parts.2).ok();
        let text = text.iter().map(|line| ReplyText::lossy(line)).collect();
        if let Ok(reply) = Code::new(code).and_then(|code| Reply::new(code, enhanced, text)) {
            let out = wire(&reply, utf8);
            prop_assert!(out.ends_with("\r\n"));
            prop_assert!(utf8 || out.is_ascii());
            for line in out.split_terminator("\r\n") {
                prop_assert!(line.len() <= 510 && !line.contains(['\r', '\n', '\0']));
            }
        }
    }
}
