//! The folder of a recipient's mail.

use std::path::{Path, PathBuf};

use postern_smtp::address::{DomainOrLiteral, ForwardPath};

/// Folders by a path in which `{user}` and `{domain}` stand for those of the recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    template: PathBuf,
}

impl Folders {
    /// The folders of a template.
    #[must_use]
    pub fn new(template: PathBuf) -> Self {
        Self { template }
    }

    /// The template.
    #[must_use]
    pub fn template(&self) -> &Path {
        &self.template
    }

    /// The folder of a recipient; `None` if its address cannot be part of a path. Spellings of one address have one folder:
    /// whose mail is stored here, its domain is one of ours.
    #[must_use]
    pub fn of(&self, recipient: &ForwardPath) -> Option<PathBuf> {
        let domain = match recipient
            .mailbox()
            .map(postern_smtp::address::Mailbox::domain)
        {
            Some(DomainOrLiteral::Domain(domain)) => Some(domain.key()),
            _ => None,
        };
        let key = recipient.key(true);
        let user = safe_name(key.local())?;
        let template = self.template.to_str()?;
        let path = if template.contains("{domain}") {
            template.replace("{domain}", safe_name(domain?)?)
        } else {
            template.to_owned()
        };
        Some(path.replace("{user}", user).into())
    }
}

/// One component of a path, and not one that leads elsewhere.
fn safe_name(name: &str) -> Option<&str> {
    let leads_elsewhere = name.contains(['/', '\0', '{', '}']) || matches!(name, "" | "." | "..");
    (!leads_elsewhere && !name.chars().any(char::is_control)).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn folder(template: &str, address: &str) -> Option<String> {
        let recipient = ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap();
        Folders::new(template.into())
            .of(&recipient)
            .map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn addresses_become_folders() {
        for (address, path) in [
            ("joe@example.test", "/m/joe"),
            ("Joe@example.test", "/m/joe"),
            ("J\u{d6}@example.test", "/m/j\u{d6}"),
            ("\"joe doe\"@example.test", "/m/joe doe"),
            ("Postmaster", "/m/postmaster"),
            ("..x@example.test", ""),
        ] {
            let path = (!path.is_empty()).then(|| path.to_owned());
            let parsed = ForwardPath::parse(format!("<{address}>").as_bytes(), true).is_ok();
            assert_eq!(
                if parsed {
                    folder("/m/{user}", address)
                } else {
                    None
                },
                path,
                "{address}"
            );
        }
        let both = folder("/m/{domain}/{user}", "joe@EXAMPLE.test");
        assert_eq!(both.as_deref(), Some("/m/example.test/joe"));
    }

    #[test]
    fn addresses_that_lead_elsewhere_have_no_folder() {
        for address in [
            "\"..\"@example.test",
            "\".\"@example.test",
            "\"../joe\"@example.test",
            "\"a/b\"@example.test",
            "a/b@example.test",
            "\"{domain}\"@example.test",
        ] {
            assert_eq!(folder("/m/{user}", address), None, "{address}");
        }
        assert_eq!(folder("/m/{domain}/{user}", "joe@[192.0.2.1]"), None);
    }
}
