//! Messages of any shape: a reader that has nothing to do with us finds in what is sent the parts that came.

use mail_parser::{Message, MessageParser, PartType};
use proptest::prelude::*;

// Delimiters in the middle of lines are left to the samples: this reader takes them for delimiters.
use super::{EIGHT, SEVEN, assert_fits, convert};
use crate::convert::Analysis;
use crate::needs::Way;

/// A part: its fields and its octets.
#[derive(Debug, Clone)]
enum Part {
    Leaf {
        kind: &'static str,
        encoding: Option<&'static str>,
        octets: Vec<u8>,
    },
    Many(Vec<Part>),
    Message(Box<Part>),
}

impl Part {
    /// The part with its fields, its delimiters named after their level.
    fn write(&self, level: usize, of_message: bool, out: &mut Vec<u8>) {
        if of_message {
            out.extend_from_slice(
                format!("Subject: level {level}\r\nMIME-Version: 1.0\r\n").as_bytes(),
            );
        }
        match self {
            Self::Leaf {
                kind,
                encoding,
                octets,
            } => {
                out.extend_from_slice(format!("Content-Type: {kind}\r\n").as_bytes());
                if let Some(encoding) = encoding {
                    out.extend_from_slice(
                        format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes(),
                    );
                }
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(octets);
            }
            Self::Many(parts) => {
                let boundary = format!("=_{level}");
                out.extend_from_slice(format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\nContent-Transfer-Encoding: binary\r\n\r\n").as_bytes());
                for part in parts {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    part.write(level + 1, false, out);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
            Self::Message(part) => {
                out.extend_from_slice(
                    b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                );
                part.write(level + 1, true, out);
            }
        }
    }
}

fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("a"),
        Just("\u{e9}"),
        Just(" "),
        Just("="),
        Just("-"),
        Just("."),
        Just("\t"),
        Just("xyz")
    ];
    let short = proptest::collection::vec(word, 0..40).prop_map(|words| words.concat());
    prop_oneof![4 => short.clone(), 1 => (short, 1usize..40).prop_map(|(line, n)| line.repeat(n))]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let no_delimiter = |line: &String| !line.trim_end().starts_with("--=_");
    let lines = proptest::collection::vec(line().prop_filter("a delimiter", no_delimiter), 0..6);
    lines.prop_map(|lines| lines.join("\r\n").into_bytes())
}

fn quoted() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("a"),
        Just("=C3=A9"),
        Just(" "),
        Just("=3D"),
        Just("-"),
        Just("=\r\n"),
        Just("\r\n")
    ];
    proptest::collection::vec(word, 0..2000).prop_map(|words| words.concat().into_bytes())
}

fn leaf() -> impl Strategy<Value = Part> {
    let identity = prop_oneof![
        Just(None),
        Just(Some("8bit")),
        Just(Some("7bit")),
        Just(Some("binary"))
    ];
    prop_oneof![
        3 => (text(), identity).prop_map(|(octets, encoding)| Part::Leaf { kind: "text/plain; charset=utf-8", encoding, octets }),
        1 => quoted().prop_map(|octets| Part::Leaf { kind: "text/plain; charset=utf-8", encoding: Some("quoted-printable"), octets }),
        1 => (0usize..900).prop_map(|n| Part::Leaf { kind: "image/png", encoding: Some("base64"), octets: "QUJD".repeat(n).into_bytes() }),
        2 => proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'x')], 0..300)
            .prop_map(|octets| Part::Leaf { kind: "application/octet-stream", encoding: Some("binary"), octets }),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 1..4).prop_map(Part::Many),
            1 => inner.prop_map(|part| Part::Message(Box::new(part))),
        ]
    })
}

/// What a reader finds in each part.
fn found(content: &[u8]) -> Vec<Vec<u8>> {
    let message = MessageParser::default().parse(content).unwrap();
    let mut parts = Vec::new();
    walk(&message, &mut parts);
    parts
}

fn walk(message: &Message<'_>, parts: &mut Vec<Vec<u8>>) {
    for part in &message.parts {
        match &part.body {
            PartType::Message(inner) => walk(inner, parts),
            PartType::Multipart(inner) => parts.push(format!("{} parts", inner.len()).into_bytes()),
            PartType::Text(text) | PartType::Html(text) => parts.push(text.as_bytes().to_vec()),
            PartType::Binary(octets) | PartType::InlineBinary(octets) => {
                parts.push(octets.to_vec())
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_decodes_to_what_came(part in part(), size in 1usize..200, eight_bit in any::<bool>()) {
        let way = if eight_bit { EIGHT } else { SEVEN };
        let mut came = Vec::new();
        part.write(0, true, &mut came);
        let sent = convert(&came, way, size).unwrap();
        assert_fits(&sent, way);
        let (before, after) = (found(&came), found(&sent));
        prop_assert_eq!(before, after, "{}\n----\n{}", String::from_utf8_lossy(&came), String::from_utf8_lossy(&sent));
        // Nothing is left to be done, and cutting makes no difference.
        prop_assert_eq!(&convert(&sent, way, 64).unwrap(), &sent);
        prop_assert_eq!(&convert(&came, way, came.len()).unwrap(), &sent);
    }
}

/// Fuzz target: content of any kind is converted to lines of text, or refused.
///
/// As a test it runs on random and known input; `cargo bolero test -p postern-message content_of_any_kind` fuzzes it.
#[test]
fn content_of_any_kind() {
    const START: &[u8] =
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
    bolero::check!()
        .with_type()
        .for_each(|(eight_bit, cuts, content): &(bool, u8, Vec<u8>)| {
            let way = Way::offered(*eight_bit, false);
            for came in [content.clone(), [START, content].concat()] {
                let Ok(sent) = convert(&came, way, usize::from(*cuts).max(1)) else {
                    continue;
                };
                assert_fits(&sent, way);
                let mut again = Analysis::new(way);
                again.feed(&sent).unwrap();
                assert!(again.finish().unwrap().is_empty());
            }
        });
}
