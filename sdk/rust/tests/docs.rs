//! The examples in the book are the files that are run.

#![allow(missing_docs)]

const BOOK: &str = include_str!("../../../docs/sinks.md");

#[test]
fn the_book_shows_the_examples_as_they_are() {
    for example in [
        include_str!("../examples/add_header.rs"),
        include_str!("../../../tests/peers/python/one_at_a_time.py"),
    ] {
        assert!(
            BOOK.contains(example.trim_end()),
            "docs/sinks.md differs from {}",
            &example[..60]
        );
    }
}
