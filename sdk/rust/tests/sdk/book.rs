//! The smallest sink, and the book.

use postern_sdk::testing::Session;

#[allow(dead_code)]
#[path = "../../examples/add_header.rs"]
mod add_header;

const BOOK: &str = include_str!("../../../../docs/sinks.md");
const README: &str = include_str!("../../../../README.md");

#[test]
fn the_smallest_sink_fits_in_15_lines_with_main() {
    let source = include_str!("../../examples/add_header.rs");
    assert!(source.contains("fn main()"));
    assert!(source.lines().count() <= 15);
    assert!(
        source.lines().all(|line| line.len() <= 100),
        "and no line is stretched"
    );
}

#[test]
fn it_adds_its_header_behind_all_others() {
    let transcript = Session::connect(add_header::add_header(), "192.0.2.1")
        .ehlo("client.example.test")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("Subject: hello\r\n\r\nHello.\r\n")
        .play();
    assert_eq!(
        transcript.mail().text(),
        "Subject: hello\r\nX-Seen-By: a sink in 15 lines\r\n\r\nHello.\r\n"
    );
}

#[test]
fn the_readme_shows_the_smallest_sink_as_it_is() {
    let example = include_str!("../../examples/add_header.rs");
    assert!(README.contains(example.trim_end()));
}

#[test]
fn the_book_shows_the_examples_as_they_are() {
    for example in [
        include_str!("../../examples/add_header.rs"),
        include_str!("../../../../tests/peers/python/one_at_a_time.py"),
    ] {
        assert!(
            BOOK.contains(example.trim_end()),
            "docs/sinks.md differs from {}",
            &example[..60]
        );
    }
}
