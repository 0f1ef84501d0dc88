#![allow(clippy::unwrap_used)]

mod model;

use super::*;
use crate::encoding::{Reader, Writer};
use crate::{
    Edit, EditError, EditLimits, HeaderLimits, HeaderName, HeaderParser, HeaderPlace, HeaderValue,
};

fn original(content: &[u8]) -> Version {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = match parser.feed(content).unwrap() {
        Some(section) => section,
        None => parser.finish().unwrap(),
    };
    Version::original(&section, Some(content.len() as u64))
}

fn read(segments: &[Segment], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for segment in segments {
        match segment {
            Segment::Original(range) => {
                out.extend_from_slice(&content[range.start as usize..range.end as usize]);
            }
            Segment::Inserted(bytes) => out.extend_from_slice(bytes),
        }
    }
    out
}

fn render(version: &Version, content: &[u8]) -> String {
    String::from_utf8_lossy(&read(&version.segments(), content)).into_owned()
}

fn apply(version: &Version, edits: &[Edit]) -> Result<Version, EditError> {
    version.apply(edits, &EditLimits::default())
}

fn insert(at: HeaderPlace, name: &str, value: &str) -> Edit {
    Edit::InsertHeader {
        at,
        name: HeaderName::parse(name.as_bytes()).unwrap(),
        value: HeaderValue::parse(value.as_bytes(), true).unwrap(),
    }
}

fn replace(id: u32, value: &str) -> Edit {
    Edit::ReplaceHeader {
        id: HeaderId(id),
        name: None,
        value: HeaderValue::parse(value.as_bytes(), true).unwrap(),
    }
}

fn splice(offset: u64, remove: u64, insert: &'static str) -> Edit {
    Edit::SpliceBody {
        offset,
        remove,
        insert: Bytes::from_static(insert.as_bytes()),
    }
}

const MAIL: &[u8] = b"A: 1\r\nB: 2\r\nA: 3\r\n\r\nHello world\r\n";

#[test]
fn an_unedited_version_is_one_range() {
    let version = original(MAIL);
    let all = Segment::Original(0..MAIL.len() as u64);
    assert_eq!(version.segments(), [all]);
    assert_eq!(version.size(), Some(MAIL.len() as u64));
    assert!(!version.is_edited());
}

#[test]
fn header_edits_refer_to_what_the_sink_saw() {
    let version = apply(
        &original(MAIL),
        &[
            insert(HeaderPlace::Last, "Z", "1"),
            insert(HeaderPlace::First, "X", "1"),
            insert(HeaderPlace::First, "X", "2"),
            insert(HeaderPlace::Before(HeaderId(2)), "Y", "b"),
            insert(HeaderPlace::After(HeaderId(2)), "Y", "a"),
            Edit::RemoveHeader { id: HeaderId(2) },
            replace(3, "three"),
        ],
    )
    .unwrap();
    assert_eq!(
        render(&version, MAIL),
        "X: 1\r\nX: 2\r\nA: 1\r\nY: b\r\nY: a\r\nA: three\r\nZ: 1\r\n\r\nHello world\r\n"
    );
    // Ids stay, and new ones are not those of the removed.
    let ids: Vec<_> = version.headers().iter().map(|field| field.id().0).collect();
    assert_eq!(ids, [5, 6, 1, 7, 8, 3, 4]);
}

#[test]
fn splices_are_offsets_in_the_body_that_the_sink_saw() {
    let edits = [
        splice(0, 0, "> "),
        splice(0, 5, "Goodbye"),
        splice(6, 0, "cruel "),
        splice(13, 0, "-- \r\n"),
    ];
    let version = apply(&original(MAIL), &edits).unwrap();
    let body = read(&version.body_segments(0..u64::MAX), MAIL);
    assert_eq!(body, b"> Goodbye cruel world\r\n-- \r\n");
    // A second sink sees the first one's version.
    let version = apply(&version, &[splice(2, 8, "")]).unwrap();
    let body = read(&version.body_segments(0..u64::MAX), MAIL);
    assert_eq!(body, b"> cruel world\r\n-- \r\n");
    let replaced = Edit::ReplaceBody {
        body: Bytes::from_static(b"new"),
    };
    let version = apply(&version, &[replaced]).unwrap();
    assert_eq!(read(&version.body_segments(1..9), MAIL), b"ew");
}

#[test]
fn edits_that_are_refused() {
    let cases: Vec<(Vec<Edit>, EditError)> = vec![
        (
            vec![Edit::RemoveHeader { id: HeaderId(4) }],
            EditError::UnknownHeader { id: HeaderId(4) },
        ),
        (
            vec![Edit::RemoveHeader { id: HeaderId(1) }, replace(1, "x")],
            EditError::HeaderTwice { id: HeaderId(1) },
        ),
        (
            vec![splice(4, 2, "x"), splice(5, 1, "y")],
            EditError::SpliceOrder {
                offset: 5,
                after: 6,
            },
        ),
        (
            vec![splice(4, 10, "")],
            EditError::SpliceRange { end: 14, size: 13 },
        ),
        (
            vec![splice(u64::MAX, 1, "")],
            EditError::SpliceRange {
                end: u64::MAX,
                size: 13,
            },
        ),
        (
            vec![Edit::ReplaceBody { body: Bytes::new() }, splice(0, 0, "x")],
            EditError::BodyTwice,
        ),
    ];
    for (edits, expected) in cases {
        assert_eq!(apply(&original(MAIL), &edits), Err(expected));
    }
}

#[test]
fn limits_hold_for_what_comes_in_and_for_the_result() {
    let version = original(MAIL);
    let tight = EditLimits {
        edits: 2,
        inserted: 20,
        message: MAIL.len() as u64 + 5,
        header_count: 3,
        header_octets: 22,
        body_pieces: 3,
        ..EditLimits::default()
    };
    let refused = |edits: &[Edit]| match version.apply(edits, &tight) {
        Err(EditError::OverLimit { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        version.apply(
            &[splice(0, 0, ""), splice(0, 0, ""), splice(0, 0, "")],
            &tight
        ),
        Err(EditError::TooManyEdits { count: 3, limit: 2 })
    ));
    assert_eq!(
        refused(&[insert(HeaderPlace::Last, "X", "")]),
        "header fields"
    );
    assert_eq!(
        refused(&[replace(1, "xxxx")]),
        "octets of the header section"
    );
    assert_eq!(
        refused(&[splice(0, 13, "xxxxxxxxxxxxxxxxxxx")]),
        "octets of the message"
    );
    assert_eq!(
        refused(&[splice(0, 13, "xxxxxxxxxxxxxxxxxxxxx")]),
        "octets brought in"
    );
    assert_eq!(
        refused(&[splice(1, 0, "x"), splice(2, 0, "x")]),
        "pieces of the body"
    );
    assert!(version.apply(&[splice(1, 0, "x")], &tight).is_ok());
}

#[test]
fn a_body_that_still_arrives_is_not_spliced() {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(MAIL).unwrap().unwrap();
    let version = Version::original(&section, None);
    assert_eq!(version.size(), None);
    assert_eq!(
        apply(&version, &[splice(0, 0, "x")]),
        Err(EditError::BodyOpen)
    );
    let version = apply(&version, &[insert(HeaderPlace::First, "X", "1")]).unwrap();
    assert_eq!(
        version.segments_in(8..26),
        [Segment::Original(2..20)],
        "what has arrived can be read"
    );
    let version = version.close(MAIL.len() as u64);
    assert!(render(&version, MAIL).starts_with("X: 1\r\nA: 1\r\n"));
    assert_eq!(version.size(), Some(MAIL.len() as u64 + 6));
    assert_eq!(version.close(5), version);
}

#[test]
fn header_and_body_stay_apart() {
    let trace = Bytes::from_static(b"Received: by us;\r\n now\r\n");
    let cases: [(&[u8], &str); 6] = [
        (b"no header\r\n", "T\r\nno header\r\n"),
        (b" indented\r\n", "T\r\n indented\r\n"),
        (b"A: b\r\nno header\r\n", "TA: b\r\n\r\nno header\r\n"),
        (b"A: b\r\n", "TA: b\r\n"),
        (b"A: b", "TA: b"),
        (b"", "T"),
    ];
    for (content, expected) in cases {
        let version = original(content);
        assert_eq!(render(&version, content).as_bytes(), content);
        let fields = version.headers().len();
        let traced = version.put_trace(trace.clone(), fields).unwrap();
        let expected = expected.replace('T', "Received: by us;\r\n now\r\n");
        assert_eq!(render(&traced, content), expected);
        assert_eq!(traced.size(), Some(expected.len() as u64));
    }
    // A header without its line end gets one when something comes after it.
    let version = apply(&original(b"A: b"), &[splice(0, 0, "body")]).unwrap();
    assert_eq!(render(&version, b"A: b"), "A: b\r\n\r\nbody");
}

#[test]
fn a_trace_field_stands_above_what_came_in_and_below_what_was_put_first() {
    let content = b"A: 1\r\nB: 2\r\n\r\nbody\r\n";
    let version = original(content);
    let ids: Vec<_> = version.headers().iter().map(|field| field.id()).collect();
    let edits = [
        insert(HeaderPlace::First, "Seal", "x"),
        insert(HeaderPlace::After(ids[1]), "Last", "x"),
        replace(ids[0].0, "other"),
    ];
    let edited = apply(&version, &edits).unwrap();
    let again = apply(&edited, &[insert(HeaderPlace::First, "Above", "x")]).unwrap();
    let traced = again
        .put_trace(Bytes::from_static(b"Received: by us\r\n"), 2)
        .unwrap();
    assert_eq!(
        render(&traced, content),
        "Above: x\r\nSeal: x\r\nReceived: by us\r\nA: other\r\nB: 2\r\nLast: x\r\n\r\nbody\r\n"
    );
}

#[test]
fn a_trace_field_is_one_field() {
    let version = original(MAIL);
    for raw in [
        "",
        "\r\n",
        "X",
        "X: 1",
        "X: 1\r\nY: 2\r\n",
        "X: 1\n",
        "X: 1\r\n\r\n",
        "X: \0\r\n",
        " X: 1\r\n",
        "X: a\rb\r\n",
        "X: 1\r\r\n",
    ] {
        assert_eq!(
            version.put_trace(Bytes::from(raw), 2),
            Err(EditError::NotAField),
            "{raw:?}"
        );
    }
}

#[test]
fn fuzz_the_decoder() {
    let head = Bytes::from_static(MAIL);
    let edits = [
        insert(HeaderPlace::First, "X", "1"),
        splice(3, 2, "inserted"),
        splice(9, 0, "more"),
    ];
    let mut out = Writer::new();
    apply(&original(MAIL), &edits).unwrap().encode(&mut out);
    let record = out.into_bytes();
    bolero::check!()
        .with_type::<(Vec<(u8, u8)>, u8, Option<Vec<u8>>)>()
        .with_iterations(30_000)
        .for_each(|(changes, few, other)| {
            let mut damaged = other.clone().unwrap_or_else(|| record.clone());
            // Few enough that something of the record is still understood.
            for (at, octet) in changes.iter().take(usize::from(few % 4)) {
                let at = usize::from(*at) % record.len();
                if let Some(place) = damaged.get_mut(at) {
                    *place = *octet;
                }
            }
            let mut reader = Reader::new(Bytes::from(damaged));
            if let Ok(version) = Version::decode(&mut reader, &head) {
                // Whatever was decoded can be worked with, and is itself again.
                let size = version.size();
                let _ = (version.segments(), version.segments_in(3..9));
                drop(apply(&version, &[splice(size.unwrap_or(0), 1, "x")]));
                let mut out = Writer::new();
                version.encode(&mut out);
                let mut reader = Reader::new(out.into_bytes().into());
                assert_eq!(Version::decode(&mut reader, &head).as_ref(), Ok(&version));
            }
        });
}

#[test]
fn edits_by_name_apply_to_what_is_left() {
    let name = |name: &str| HeaderName::parse(name.as_bytes()).unwrap();
    let set = |field: &str, value: &str, only_if_missing| Edit::SetHeader {
        at: HeaderPlace::Last,
        name: name(field),
        value: HeaderValue::parse(value.as_bytes(), true).unwrap(),
        only_if_missing,
    };
    // The first is replaced where it stands, the further ones go.
    let once = apply(&original(MAIL), &[set("a", "new", false)]).unwrap();
    assert_eq!(render(&once, MAIL), "a: new\r\nB: 2\r\n\r\nHello world\r\n");
    assert_eq!(once.headers()[0].id(), HeaderId(1));
    let kept = apply(&once, &[set("B", "x", true), set("C", "3", true)]).unwrap();
    assert_eq!(
        render(&kept, MAIL),
        "a: new\r\nB: 2\r\nC: 3\r\n\r\nHello world\r\n"
    );
    // What the same verdict has put in counts too, and stands where it was put.
    let both = [
        insert(HeaderPlace::First, "C", "1"),
        insert(HeaderPlace::Last, "C", "2"),
        set("c", "3", false),
    ];
    let both = apply(&original(MAIL), &both).unwrap();
    assert!(render(&both, MAIL).starts_with("c: 3\r\nA: 1\r\n"));
    assert_eq!(both.headers().len(), 4);
    let mail = b"X-A: 1\r\nReceived: r\r\nx-b: 2\r\nReturn-Path: <>\r\n\r\n";
    let all = |names| [Edit::RemoveHeaders { names }];
    let prefix = all(crate::HeaderNames::Prefix(name("X-")));
    assert_eq!(
        render(&apply(&original(mail), &prefix).unwrap(), mail),
        "Received: r\r\nReturn-Path: <>\r\n\r\n"
    );
    let trace = all(crate::HeaderNames::Prefix(name("R")));
    assert_eq!(apply(&original(mail), &trace).unwrap().headers().len(), 4);
    let exact = all(crate::HeaderNames::Exact(name("received")));
    assert_eq!(apply(&original(mail), &exact).unwrap().headers().len(), 3);
    assert!(apply(&original(MAIL), &exact).is_ok(), "none is no error");
}

#[test]
fn a_place_outlives_the_field_that_it_was_named_after() {
    let gone = apply(
        &original(MAIL),
        &[
            Edit::RemoveHeader { id: HeaderId(2) },
            Edit::RemoveHeader { id: HeaderId(3) },
        ],
    )
    .unwrap();
    let places = [
        insert(HeaderPlace::After(HeaderId(1)), "X", "after 1"),
        insert(HeaderPlace::After(HeaderId(2)), "X", "after 2"),
        insert(HeaderPlace::Before(HeaderId(3)), "X", "before 3"),
        Edit::RemoveHeader { id: HeaderId(2) },
    ];
    let next = apply(&gone, &places).unwrap();
    assert_eq!(
        render(&next, MAIL),
        "A: 1\r\nX: after 1\r\nX: after 2\r\nX: before 3\r\n\r\nHello world\r\n"
    );
    // The place is where the field stood, also after others were put around it.
    let first = apply(&original(MAIL), &[Edit::RemoveHeader { id: HeaderId(1) }]).unwrap();
    let next = apply(&first, &[insert(HeaderPlace::After(HeaderId(1)), "X", "1")]).unwrap();
    assert!(render(&next, MAIL).starts_with("X: 1\r\nB: 2\r\n"));
    let mut out = Writer::new();
    gone.encode(&mut out);
    let mut reader = Reader::new(out.into_bytes().into());
    let head = Bytes::from_static(MAIL);
    assert_eq!(Version::decode(&mut reader, &head).unwrap(), gone);
}

#[test]
fn our_received_stands_below_what_was_put_first() {
    let stamped = apply(
        &original(MAIL),
        &[
            insert(HeaderPlace::First, "X", "1"),
            insert(HeaderPlace::Last, "Y", "1"),
        ],
    )
    .unwrap();
    let received = Bytes::from_static(b"Received: r\r\n");
    let taken = stamped.put_trace(received.clone(), 3).unwrap();
    assert!(render(&taken, MAIL).starts_with("X: 1\r\nReceived: r\r\nA: 1\r\n"));
    let plain = original(MAIL).put_trace(received, 3).unwrap();
    assert!(render(&plain, MAIL).starts_with("Received: r\r\nA: 1\r\n"));
}
