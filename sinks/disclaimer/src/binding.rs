//! Whether a binding shows and grants what an edit takes. A verdict beyond its grants would be refused, and the
//! message stuck: so it is not given.

use crate::edit::Edits;
use crate::reason::Reason;

/// The first of `needed` that the words of `reads` do not show.
///
/// # Errors
/// [`Reason::NotShown`]
pub(crate) fn shows(reads: &[String], needed: &[String]) -> Result<(), Reason> {
    match needed.iter().find(|word| !covers(reads, word)) {
        Some(word) => Err(Reason::NotShown(word.clone())),
        None => Ok(()),
    }
}

/// Whether the words of `may` grant what the edits do.
///
/// # Errors
/// [`Reason::Grant`]
pub(crate) fn grants(may: &[String], edits: &Edits) -> Result<(), Reason> {
    let fields = edits
        .fields
        .iter()
        .map(|edit| format!("headers:{}", edit.name()));
    let body = (!edits.splices.is_empty()).then(|| "body".to_owned());
    match body
        .into_iter()
        .chain(fields)
        .find(|word| !covers(may, word))
    {
        Some(word) => Err(Reason::Grant(word)),
        None => Ok(()),
    }
}

/// `headers` covers all fields, `headers:X-*` those that begin so; `properties` all sinks.
fn covers(words: &[String], wanted: &str) -> bool {
    let Some((kind, name)) = wanted.split_once(':') else {
        return words.iter().any(|word| word == wanted);
    };
    words.iter().any(|word| match word.split_once(':') {
        None => word == kind,
        Some((own, pattern)) if own == kind => match pattern.strip_suffix('*') {
            Some(prefix) => name
                .get(..prefix.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix)),
            None => pattern.eq_ignore_ascii_case(name),
        },
        Some(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cover_what_they_name() {
        let words = ["body", "headers:Content-*", "properties:directory"].map(str::to_owned);
        for (wanted, is_covered) in [
            ("body", true),
            ("headers:content-md5", true),
            ("headers:Subject", false),
            ("properties:directory", true),
            ("properties:other", false),
            ("sender", false),
        ] {
            assert_eq!(covers(&words, wanted), is_covered, "{wanted}");
        }
        assert!(covers(&["headers".to_owned()], "headers:Subject"));
    }
}
