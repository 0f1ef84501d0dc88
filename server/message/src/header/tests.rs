#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const WIDE: HeaderLimits = HeaderLimits {
    octets: 1 << 20,
    count: 1000,
};

/// Feeds the content in pieces that end at these places.
fn parse(
    content: &[u8],
    cuts: &[usize],
    limits: HeaderLimits,
) -> Result<HeaderSection, HeaderError> {
    let mut parser = HeaderParser::new(limits);
    let mut from = 0;
    for &cut in cuts.iter().chain([&content.len()]) {
        if let Some(section) = parser.feed(&content[from..cut])? {
            return Ok(section);
        }
        from = cut;
    }
    parser.finish()
}

fn names(section: &HeaderSection) -> Vec<String> {
    let fields = section.fields().iter();
    fields
        .map(|field| String::from_utf8_lossy(field.name()).into_owned())
        .collect()
}

#[test]
fn an_ordinary_message() {
    let content = b"Subject: a\r\n b\r\nX-Odd \t: \xff\r\n\r\nbody: x\r\n";
    let section = parse(content, &[], WIDE).unwrap();
    assert_eq!(names(&section), ["Subject", "X-Odd"]);
    let [subject, odd] = section.fields() else {
        panic!("two fields")
    };
    assert_eq!(subject.id(), HeaderId(1));
    assert_eq!(subject.value().as_ref(), b" a\r\n b");
    assert_eq!(subject.raw().as_ref(), b"Subject: a\r\n b\r\n");
    assert_eq!(odd.origin(), Some(16));
    assert_eq!(odd.value().as_ref(), b" \xff");
    assert!(odd.is("x-odd"));
    assert_eq!(section.body_offset() as usize, content.len() - 9);
    assert_eq!(section.separator_octets(), 2);
}

#[test]
fn where_the_header_ends() {
    // Content, fields, body offset, octets of the empty line.
    let cases: [(&[u8], usize, u64, u64); 14] = [
        (b"", 0, 0, 0),
        (b"\r\nbody", 0, 2, 2),
        (b"no header\r\n\r\nA: b", 0, 0, 0),
        (b" folded: first\r\n", 0, 0, 0),
        (b"A: b\r\nno header\r\nC: d\r\n\r\n", 1, 6, 0),
        (b"A: b\r\n: no name\r\n", 1, 6, 0),
        (b"A: b\r\n\nbare LF\r\n", 1, 6, 0),
        (b"A: b\r\n\rC: d\r\n", 1, 6, 0),
        (b"A: b\nC: d\rE: f\r\n\r\nbody", 1, 18, 2),
        (b"A: b\r\r\nC: d\r\n\r\n", 2, 15, 2),
        (b"A: b\r\n", 1, 6, 0),
        (b"A: b", 1, 4, 0),
        (b"A: b\r\nC", 1, 6, 0),
        (b"A: b\r\n\r", 1, 6, 0),
    ];
    for (content, fields, body, separator) in cases {
        let section = parse(content, &[], WIDE).unwrap();
        let shown = String::from_utf8_lossy(content);
        assert_eq!(section.fields().len(), fields, "{shown:?}");
        assert_eq!(section.body_offset(), body, "{shown:?}");
        assert_eq!(section.separator_octets(), separator, "{shown:?}");
    }
}

#[test]
fn the_section_is_known_as_early_as_it_can_be() {
    let mut parser = HeaderParser::new(WIDE);
    assert_eq!(parser.feed(b"A: b\r\n\r").unwrap(), None);
    assert!(parser.feed(b"\nbody").unwrap().is_some());
    assert_eq!(parser.feed(b"more").unwrap(), None);
}

#[test]
fn limits_are_errors() {
    let limits = HeaderLimits {
        octets: 12,
        count: 2,
    };
    assert!(parse(b"A: b\r\nC: d\r\n\r\n", &[], limits).is_ok());
    assert_eq!(
        parse(b"A: b\r\nC: dd\r\n\r\n", &[], limits),
        Err(HeaderError::TooLarge { limit: 12 })
    );
    assert_eq!(
        parse(b"A: xxxxxxxxxxxxxxxxxxxxxxxx", &[], limits),
        Err(HeaderError::TooLarge { limit: 12 })
    );
    assert_eq!(
        parse(b"A:\r\nC:\r\nE:\r\n", &[], limits),
        Err(HeaderError::TooMany { limit: 2 })
    );
}

/// Contents in which header lines, near misses and line ends are frequent.
pub(crate) fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        3 => "[A-Z][a-z-]{0,5}: [a-z ]{0,9}".prop_map(String::into_bytes),
        2 => Just(b"\r\n folded".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b": ".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        content in content(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        octets in 0_usize..64,
        count in 0_usize..5,
    ) {
        let limits = HeaderLimits { octets, count };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(content.len() + 1)).collect();
        cuts.sort_unstable();
        let every: Vec<_> = (0..content.len()).collect();
        let whole = parse(&content, &[], limits);
        prop_assert_eq!(&whole, &parse(&content, &cuts, limits));
        prop_assert_eq!(&whole, &parse(&content, &every, limits));
    }

    #[test]
    fn fields_and_empty_line_are_the_start_of_the_content(content in content()) {
        let section = parse(&content, &[], WIDE).unwrap();
        let mut rebuilt: Vec<u8> = section.fields().iter().flat_map(|f| f.raw().to_vec()).collect();
        if section.separator_octets() > 0 {
            rebuilt.extend_from_slice(b"\r\n");
        }
        prop_assert_eq!(&rebuilt, &content[..section.body_offset() as usize]);
        for field in section.fields() {
            prop_assert!(!field.name().is_empty());
            prop_assert!(field.name().iter().all(|&octet| is_ftext(octet)));
        }
    }
}

#[test]
fn fuzz_the_parser() {
    bolero::check!()
        .with_type::<(Vec<u8>, u8, u8)>()
        .with_iterations(20_000)
        .for_each(|(content, cut, octets)| {
            let limits = HeaderLimits {
                octets: usize::from(*octets),
                count: 8,
            };
            let cut = usize::from(*cut).min(content.len());
            assert_eq!(parse(content, &[], limits), parse(content, &[cut], limits));
        });
}
