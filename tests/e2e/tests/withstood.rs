//! The page of what is withstood names tests that exist.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use postern_e2e::programs::root;

const PAGE: &str = "docs/withstood.md";

/// A test on the page: where it is, and its name.
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

#[test]
fn every_test_on_the_page_exists() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let folders = folders(&page);
    let mut missing = Vec::new();
    for name in named(&page) {
        let source = fs::read_to_string(path(&folders, name.file)).unwrap_or_default();
        let function = format!("fn {}(", name.test);
        // Tests without harness have their names as text.
        let text = format!("\"{}\"", name.test);
        if !source.contains(&function) && !source.contains(&text) {
            missing.push(name);
        }
    }
    assert!(
        missing.is_empty(),
        "{PAGE} names tests that are not there: {missing:#?}"
    );
}

#[test]
fn every_row_of_the_page_names_a_test() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    // Not the heads of the tables, nor the table that says where the tests are.
    let about = |row: &&str| row.matches('|').count() == 4 && !row.contains("| tests |");
    let without: Vec<&str> = rows
        .filter(about)
        .filter(|row| named(row).is_empty())
        .collect();
    assert!(without.is_empty(), "{PAGE}: {without:#?}");
    assert!(named(&page).len() > 100);
}
