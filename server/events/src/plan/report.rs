//! What is found wrong with a configuration, and where.

use super::error::{Place, PlanError, PlanWarning, Problem};

/// Everything that was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<PlanError>,
    pub(super) warnings: Vec<PlanWarning>,
}

/// Where findings about one element go.
pub(super) struct Report<'a> {
    findings: &'a mut Findings,
    place: Place,
}

impl<'a> Report<'a> {
    pub(super) fn new(findings: &'a mut Findings, place: Place) -> Self {
        Self { findings, place }
    }

    pub(super) fn error(&mut self, key: &'static str, problem: impl Into<Problem>) {
        let (place, problem) = (self.place.clone(), problem.into());
        self.findings.errors.push(PlanError {
            place,
            key,
            problem,
        });
    }

    pub(super) fn warn(&mut self, key: &'static str, text: String) {
        let place = self.place.clone();
        self.findings
            .warnings
            .push(PlanWarning { place, key, text });
    }

    pub(super) fn name(&mut self, name: &str) {
        if !is_name(name) {
            self.error(
                "name",
                Problem::Name {
                    name: name.to_owned(),
                },
            );
        }
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    starts
        && name.len() <= 63
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

pub(super) fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Problem {
    Problem::Unknown {
        what,
        name: name.to_owned(),
        nearest: nearest(name, known),
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}
