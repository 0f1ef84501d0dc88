//! Settings that are each in order, and together leave something without effect.

use super::{Direction, DomainPattern, Settings, SettingsError, Text};

/// Looks for a text that no message can get.
///
/// # Errors
/// [`SettingsError::Contradiction`]
pub(super) fn check(settings: &Settings) -> Result<(), SettingsError> {
    let contradiction = |what: String| Err(SettingsError::Contradiction(what));
    let exempt = &settings.exempt;
    for (key, patterns) in [
        ("exempt.senders", &exempt.senders),
        ("exempt.recipients", &exempt.recipients),
    ] {
        if patterns.iter().any(|pattern| pattern.fits_all()) {
            return contradiction(format!(
                "\"{key}\" exempts everybody, so that no message gets a text; name those who are to get none"
            ));
        }
    }
    let has_languages = settings.texts.iter().any(|text| !text.languages.is_empty());
    if settings.language_from.is_some() && !has_languages {
        return contradiction(
            "\"language_from\" is set, but no text has \"languages\"; set them, or remove it"
                .to_owned(),
        );
    }
    for (number, text) in settings.texts.iter().enumerate() {
        if let Some(what) = against_own_domains(text, &settings.own_domains) {
            return contradiction(what);
        }
        let earlier = settings.texts.iter().take(number);
        if let Some(first) = earlier
            .into_iter()
            .find(|first| takes_all_of(first, text, &settings.own_domains))
        {
            return contradiction(format!(
                "the text \"{}\" is never added: every message that it is for gets \"{}\", which stands before it; \
                 change their order or conditions",
                text.name, first.name
            ));
        }
    }
    Ok(())
}

/// There are domains, and none of them is one of the operator's.
fn none_is_own(domains: &[DomainPattern], own: &[DomainPattern]) -> bool {
    let is_own = |domain: &DomainPattern| own.iter().any(|own| own.overlaps(domain));
    !domains.is_empty() && !domains.iter().any(is_own)
}

fn against_own_domains(text: &Text, own: &[DomainPattern]) -> Option<String> {
    let (senders, recipients) = (&text.sender_domains, &text.recipient_domains);
    let none_is_own = |domains: &[DomainPattern]| none_is_own(domains, own);
    let all_are_own = |domains: &[DomainPattern]| {
        let is_own = |domain: &DomainPattern| own.iter().any(|own| own.covers(domain));
        !domains.is_empty() && domains.iter().all(is_own)
    };
    let what = match text.direction? {
        Direction::Incoming if all_are_own(senders) => {
            "\"direction\" is \"incoming\", but all its \"sender_domains\" are among \"own_domains\""
        }
        Direction::Incoming if own.iter().any(DomainPattern::is_any) => {
            "\"direction\" is \"incoming\", but \"own_domains\" has \"*\": nothing comes from elsewhere"
        }
        Direction::Outgoing | Direction::Internal if none_is_own(senders) => {
            "\"direction\" is that of mail from own domains, but none of its \"sender_domains\" is among \"own_domains\""
        }
        Direction::Internal if none_is_own(recipients) => {
            "\"direction\" is \"internal\", but none of its \"recipient_domains\" is among \"own_domains\""
        }
        Direction::Outgoing if own.iter().any(DomainPattern::is_any) => {
            "\"direction\" is \"outgoing\", but \"own_domains\" has \"*\": nothing goes elsewhere"
        }
        Direction::Outgoing | Direction::Incoming | Direction::Internal => return None,
    };
    Some(format!(
        "the text \"{}\" is never added: {what}; change one of them",
        text.name
    ))
}

/// Whether every message that fits `later` fits `first`.
fn takes_all_of(first: &Text, later: &Text, own: &[DomainPattern]) -> bool {
    let domains = |first: &[DomainPattern], later: &[DomainPattern]| {
        let is_covered = |domain: &DomainPattern| first.iter().any(|own| own.covers(domain));
        first.is_empty() || !later.is_empty() && later.iter().all(is_covered)
    };
    let is_spoken = |language: &String| {
        let speaks = |range: &String| {
            language
                .strip_prefix(range.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        first.languages.iter().any(speaks)
    };
    let languages = first.languages.is_empty()
        || !later.languages.is_empty() && later.languages.iter().all(is_spoken);
    // Who sends from elsewhere sends what comes in, whether a text says so or not.
    let from_elsewhere = none_is_own(&later.sender_domains, own).then_some(Direction::Incoming);
    let direction =
        first.direction.is_none() || first.direction == later.direction.or(from_elsewhere);
    direction
        && languages
        && domains(&first.sender_domains, &later.sender_domains)
        && domains(&first.recipient_domains, &later.recipient_domains)
}
