//! MIME trees by a writer of our own: texts in many charsets and encodings, files, nests, and what looks like
//! delimiters and end tags without being any.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[derive(Clone, Debug)]
enum Tree {
    Text {
        html: bool,
        charset: &'static str,
        encoding: &'static str,
        words: Vec<&'static str>,
        fields: &'static str,
        ends_with_line: bool,
    },
    File(Vec<u8>),
    Many {
        kind: &'static str,
        parts: Vec<Tree>,
        preamble: bool,
    },
}

/// Messages, the same in every run.
pub(crate) fn messages(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count).map(move |_| {
        let tree = tree().new_tree(&mut runner).unwrap().current();
        let mut message =
            b"From: a@own.test\r\nTo: b@other.test\r\nSubject: =?utf-8?q?t=C3=A4st?=\r\nMIME-Version: 1.0\r\n".to_vec();
        let mut boundaries = 0;
        write(&tree, &mut boundaries, &mut message);
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        message
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        6 => text(),
        1 => vec(any::<u8>(), 0..200).prop_map(Tree::File),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let kinds = ["mixed", "alternative", "related", "mixed", "alternative"];
        (
            prop::sample::select(kinds.to_vec()),
            vec(inner, 1..4),
            any::<bool>(),
        )
            .prop_map(|(kind, parts, preamble)| Tree::Many {
                kind,
                parts,
                preamble,
            })
    })
}

fn text() -> impl Strategy<Value = Tree> {
    let charsets = [
        "us-ascii",
        "utf-8",
        "iso-8859-1",
        "iso-8859-15",
        "windows-1252",
        "koi8-r",
        "shift_jis",
        "gb18030",
    ];
    let encodings = ["7bit", "8bit", "quoted-printable", "base64"];
    let words = [
        "Hello",
        "world,",
        "=3D",
        "--=_b0",
        "x--=_b1--",
        ".",
        "From here",
        "</body>",
        "<b>bold</b>",
        "<!-- </body> -->",
        "<script>\"</body>\"</script>",
        "a line that is so long that quoted-printable has to break it somewhere in its middle",
        "\r\n",
        "\r\n\r\n",
        "-- \r\n",
        "> quoted",
        " ",
        "ü",
        "Grüße",
        "€",
        "Привет",
        "日本",
        "中",
        "&amp;",
        "\t",
    ];
    let fields = [
        "",
        "",
        "",
        "Content-Disposition: inline\r\n",
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n",
        "Content-Disposition: attachment; filename=\"a b.txt\"\r\n",
        "Content-Language: de\r\n",
    ];
    (
        any::<bool>(),
        prop::sample::select(charsets.to_vec()),
        prop::sample::select(encodings.to_vec()),
        vec(prop::sample::select(words.to_vec()), 0..20),
        prop::sample::select(fields.to_vec()),
        any::<bool>(),
    )
        .prop_map(
            |(html, charset, encoding, words, fields, ends_with_line)| Tree::Text {
                html,
                charset,
                encoding,
                words,
                fields,
                ends_with_line,
            },
        )
}

fn write(tree: &Tree, boundaries: &mut usize, out: &mut Vec<u8>) {
    match tree {
        Tree::Text {
            html,
            charset,
            encoding,
            words,
            fields,
            ends_with_line,
        } => {
            let kind = if *html { "html" } else { "plain" };
            let mut text = words.join(" ");
            if *html {
                text = format!("<html><head></head><body>{text}</body></html>");
            }
            if *ends_with_line {
                text.push_str("\r\n");
            }
            let octets = encoded(&text, charset, encoding);
            let head = format!(
                "Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n{fields}\r\n"
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(&octets);
        }
        Tree::File(octets) => {
            out.extend_from_slice(
                b"Content-Type: application/octet-stream; name=f\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            );
            out.extend_from_slice(&base64(octets));
        }
        Tree::Many {
            kind,
            parts,
            preamble,
        } => {
            let boundary = format!("=_b{boundaries}");
            *boundaries += 1;
            let head =
                format!("Content-Type: multipart/{kind};\r\n\tboundary=\"{boundary}\"\r\n\r\n");
            out.extend_from_slice(head.as_bytes());
            if *preamble {
                out.extend_from_slice(b"This is MIME, with --=_b0 in it.\r\n");
            }
            for part in parts {
                out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                write(part, boundaries, out);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        }
    }
}

/// The text as the labels say it, as far as they can; characters that the charset has not become `?`.
fn encoded(text: &str, charset: &str, encoding: &str) -> Vec<u8> {
    let ascii = |text: &str| -> Vec<u8> {
        text.chars()
            .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?'))
            .collect()
    };
    let octets = match charset {
        _ if encoding == "7bit" => ascii(text),
        "us-ascii" => ascii(text),
        "iso-8859-1" => text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
            .collect(),
        charset => {
            let encoding = encoding_rs::Encoding::for_label(charset.as_bytes()).unwrap();
            let mut octets = Vec::new();
            for c in text.chars() {
                let letter = c.to_string();
                let (written, _, unmappable) = encoding.encode(&letter);
                octets.extend_from_slice(if unmappable { b"?" } else { &written });
            }
            octets
        }
    };
    match encoding {
        "quoted-printable" => quoted_printable(&octets),
        "base64" => base64(&octets),
        _ => octets,
    }
}

/// Another writer than the one under test: soft breaks after few octets, lower case, blanks at the ends encoded.
fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut column = 0;
    let mut rest = octets.iter().copied().peekable();
    while let Some(octet) = rest.next() {
        if octet == b'\r' && rest.peek() == Some(&b'\n') {
            rest.next();
            out.extend_from_slice(b"\r\n");
            column = 0;
            continue;
        }
        let is_last = matches!(rest.peek(), None | Some(b'\r'));
        let is_plain = matches!(octet, b'!'..=b'<' | b'>'..=b'~') || octet == b' ' && !is_last;
        if column > 50 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if is_plain {
            out.push(octet);
            column += 1;
        } else {
            out.extend_from_slice(format!("={octet:02x}").as_bytes());
            column += 3;
        }
    }
    out
}

/// Lines of 60 letters, the last without an end.
fn base64(octets: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut letters = Vec::new();
    for group in octets.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            letters.push(if place <= group.len() { letter } else { b'=' });
        }
    }
    letters.chunks(60).collect::<Vec<_>>().join(&b"\r\n"[..])
}
