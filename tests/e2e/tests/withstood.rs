//! The pages of what is withstood name tests that exist.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use postern_e2e::programs::root;

/// Each page, and how many tests it names at least.
const PAGES: [(&str, usize); 2] = [("docs/withstood.md", 100), ("docs/attacks.md", 100)];

/// A test on a page: where it is, and its name.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    file: &'a str,
    test: &'a str,
}

/// What stands in front of a file's name, and the folder that it means, as the page says itself.
fn folders(page: &str) -> HashMap<&str, &str> {
    page.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('`');
            let (short, folder) = (cells.next()?, cells.nth(1)?);
            short.ends_with('/').then_some((short, folder))
        })
        .collect()
}

/// Everything of the form `file.rs::test`.
fn named(text: &str) -> Vec<Named<'_>> {
    text.split('`')
        .filter_map(|word| word.split_once("::"))
        .filter(|(file, _)| file.ends_with(".rs"))
        .map(|(file, test)| Named { file, test })
        .collect()
}

fn path(folders: &HashMap<&str, &str>, file: &str) -> PathBuf {
    let short = folders.iter().find(|(short, _)| file.starts_with(**short));
    match short {
        Some((short, folder)) => root().join(folder).join(&file[short.len()..]),
        None => root().join("tests/e2e/tests").join(file),
    }
}

fn pages() -> impl Iterator<Item = (&'static str, usize, String)> {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    PAGES
        .into_iter()
        .map(move |(name, least)| (name, least, read(name)))
}

#[test]
fn every_test_on_the_pages_exists() {
    let mut missing = Vec::new();
    for (name, _, page) in pages() {
        let folders = folders(&page);
        for test in named(&page) {
            let source = fs::read_to_string(path(&folders, test.file)).unwrap_or_default();
            let function = format!("fn {}(", test.test);
            // Tests without harness have their names as text.
            let text = format!("\"{}\"", test.test);
            if !source.contains(&function) && !source.contains(&text) {
                missing.push(format!("{name}: {}::{}", test.file, test.test));
            }
        }
    }
    assert!(missing.is_empty(), "tests that are not there: {missing:#?}");
}

#[test]
fn every_row_of_the_pages_names_a_test() {
    for (name, least, page) in pages() {
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
        // Not the heads of the tables, nor the table that says where the tests are.
        let about = |row: &&str| row.matches('|').count() == 4 && !row.contains("| tests |");
        let without: Vec<&str> = rows
            .filter(about)
            .filter(|row| named(row).is_empty())
            .collect();
        assert!(without.is_empty(), "{name}: {without:#?}");
        let count = named(&page).len();
        assert!(count > least, "{name}: {count}");
    }
}
