//! What is sent decodes to what came, and is lines of text.
#![allow(clippy::unwrap_used)]

mod decoded;
mod samples;

use super::{Analysis, Converter, Obstacle};
use crate::needs::Way;

const SEVEN: Way = Way::offered(false, false);
const EIGHT: Way = Way::offered(true, false);

/// What is sent of a content that comes in pieces of this size.
fn convert(content: &[u8], way: Way, size: usize) -> Result<Vec<u8>, Obstacle> {
    let mut analysis = Analysis::new(way);
    for piece in content.chunks(size) {
        analysis.feed(piece)?;
    }
    let plan = analysis.finish()?;
    let (mut converter, mut out) = (Converter::new(&plan), Vec::new());
    for piece in content.chunks(size) {
        converter.feed(piece, &mut out);
    }
    converter.finish(&mut out);
    assert_eq!(
        out.len() as u64,
        plan.size(),
        "{}",
        String::from_utf8_lossy(&out)
    );
    assert!(!plan.is_empty() || out == content);
    Ok(out)
}

/// As [`convert`], for a content of text. How it is cut makes no difference.
fn text(content: &str, way: Way) -> Result<String, Obstacle> {
    octets(content.as_bytes(), way)
}

fn octets(content: &[u8], way: Way) -> Result<String, Obstacle> {
    let sent = convert(content, way, content.len().max(1));
    for size in [1, 2, 3, 7, 1024] {
        assert_eq!(convert(content, way, size), sent, "in pieces of {size}");
    }
    sent.map(|sent| {
        assert_fits(&sent, way);
        String::from_utf8(sent).unwrap()
    })
}

fn assert_fits(sent: &[u8], way: Way) {
    assert!(way.eight_bit || sent.is_ascii());
    let shown = String::from_utf8_lossy(sent).replace("\r\n", "");
    assert!(!shown.contains(['\r', '\n', '\0']), "{shown:?}");
    let longest = sent.split(|&octet| octet == b'\n').map(<[u8]>::len).max();
    assert!(longest.unwrap_or(0) <= 999, "{longest:?}");
}
