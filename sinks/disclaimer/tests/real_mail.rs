//! Real mail and generated trees, edited, and compared by a second reader: Python's `email`.
//!
//! Real mail is what packages ship, read from where they are installed: the test messages of mail-parser's crate
//! and of Debian's libpython3.11-testsuite. What is missing is listed as skipped; with `CI=true` it fails.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "real_mail/comparison.rs"]
mod comparison;
#[path = "real_mail/corpora.rs"]
mod corpora;
#[path = "real_mail/trees.rs"]
mod trees;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};
use postern_sink_disclaimer::edit::{Addition, Image, Place};

use comparison::Comparison;

fn main() {
    let arguments = Arguments::from_args();
    let python = comparison::python();
    let needs_python = || python.clone().ok_or("python3");
    let trials = vec![
        trial(
            "mail_that_the_crate_mail_parser_ships",
            needs_python().and(corpora::of_mail_parser().ok_or("crate mail-parser")),
            |folders| corpus(&folders, 60),
        ),
        trial(
            "mail_that_pythons_test_suite_ships",
            needs_python().and(corpora::of_python().ok_or("libpython3.11-testsuite")),
            |folders| corpus(&folders, 20),
        ),
        trial("generated_trees", needs_python(), |_| generated()),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test, if what it needs is there.
fn trial<T: Send + 'static>(
    name: &'static str,
    needed: Result<T, &'static str>,
    run: impl FnOnce(T) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let must = std::env::var_os("CI").is_some();
    match needed {
        Ok(needed) => Trial::test(name, || run(needed)),
        Err(package) if must => Trial::test(name, move || Err(format!("install {package}").into())),
        Err(package) => Trial::test(format!("{name} (skipped: install {package})"), || Ok(()))
            .with_ignored_flag(true),
    }
}

/// What is put into every message, once each.
fn additions() -> Vec<Addition> {
    let plain = Addition {
        text: "-- \nThis mail is confidential.".to_owned(),
        html: "<p>This mail is confidential.</p>".to_owned(),
        ..Addition::default()
    };
    vec![
        plain.clone(),
        Addition {
            text: "„Vertraulich“ – 5 €, Müller GmbH".to_owned(),
            html: "<p>„Vertraulich“ – 5 €, <b>Müller GmbH</b></p>".to_owned(),
            ..Addition::default()
        },
        Addition {
            text: "External sender".to_owned(),
            html: "<div>External sender</div>".to_owned(),
            place: Place::Top,
            images: Vec::new(),
        },
        Addition {
            html: "<p>This mail is confidential.<img src=\"cid:logo@own.test\"></p>".to_owned(),
            images: vec![Image {
                cid: "logo@own.test".to_owned(),
                kind: "image/png".to_owned(),
                octets: (0..200).collect(),
            }],
            ..plain
        },
    ]
}

/// Edits every message of the folders in every way. At least `least` messages have to take an addition.
fn corpus(folders: &[PathBuf], least: usize) -> Result<(), Failed> {
    let mut comparison = Comparison::new();
    for (name, message) in corpora::messages(folders) {
        for addition in additions() {
            comparison.edit(&name, &message, &addition);
        }
    }
    let (edited, left_alone) = comparison.figures();
    println!("{edited} edited, left alone: {left_alone}");
    if edited < least * additions().len() {
        return Err(format!("only {edited} edits; left alone: {left_alone}").into());
    }
    comparison.run()
}

fn generated() -> Result<(), Failed> {
    let mut comparison = Comparison::new();
    for (number, message) in trees::messages(300).enumerate() {
        for addition in additions() {
            comparison.edit(&format!("tree {number}"), &message, &addition);
        }
    }
    let (edited, left_alone) = comparison.figures();
    println!("{edited} edited, left alone: {left_alone}");
    if edited < 600 {
        return Err(format!("only {edited} edits; left alone: {left_alone}").into());
    }
    comparison.run()
}
