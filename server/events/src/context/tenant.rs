//! Whose a message is.

use postern_message::Recipient;

use super::SessionContext;

/// The tenant of a message: that of the session that brought it, else the one that all its recipients belong to. Empty
/// where there is none, or where they belong to several.
#[must_use]
pub fn tenant_of<'a>(session: Option<&'a SessionContext>, recipients: &'a [Recipient]) -> &'a str {
    match session.map(|session| session.tenant.as_str()) {
        Some(own) if !own.is_empty() => own,
        _ => {
            let first = recipients.first().map_or("", |one| one.tenant.as_str());
            let is_one = recipients.iter().all(|one| one.tenant == first);
            if is_one { first } else { "" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_message_is_the_sessions_or_that_of_all_its_recipients() {
        let of = |tenants: &[&str]| -> Vec<Recipient> {
            let one = |tenant: &&str| {
                let mut recipient = Recipient::new(samples::path("to@example.test"));
                recipient.tenant = (*tenant).to_owned();
                recipient
            };
            tenants.iter().map(one).collect()
        };
        let mut session = samples::inbound().session().clone();
        for (own, tenants, found) in [
            ("", &[][..], ""),
            ("", &["a", "a"], "a"),
            ("", &["a", "b"], ""),
            ("", &["a", ""], ""),
            ("c", &["a", "b"], "c"),
        ] {
            own.clone_into(&mut session.tenant);
            let recipients = of(tenants);
            assert_eq!(tenant_of(Some(&session), &recipients), found, "{tenants:?}");
        }
        assert_eq!(tenant_of(None, &of(&["a"])), "a");
    }
}
