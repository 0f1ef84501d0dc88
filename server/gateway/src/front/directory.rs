//! What the gateway itself knows of the names of its domains: aliases and lists, sub-addresses, catch-alls, other names of a
//! domain. Asked at RCPT, and by the categorizer.

use std::collections::HashMap;
use std::sync::Arc;

use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox};
use postern_transport::{Directory, Entry};

use super::aliases::AliasFile;
use super::mailboxes::Mailboxes;
use super::policy::Recipients;

/// What is known of the names of one domain.
#[derive(Debug, Default)]
pub struct Names {
    /// Its aliases and lists.
    pub aliases: Option<Arc<AliasFile>>,
    /// What stands between a user and a tag of the user's own.
    pub separator: Option<char>,
    /// Who gets what is for nobody else.
    pub catch_all: Option<ForwardPath>,
    /// Which recipients exist.
    pub recipients: Option<Recipients>,
    /// Where its mail is stored here.
    pub mailboxes: Option<Arc<Mailboxes>>,
    /// It is another name of this domain, and has nothing of its own.
    pub of: Option<String>,
}

/// The names of all domains.
#[derive(Debug, Default)]
pub struct KnownNames {
    exact: HashMap<String, Names>,
    /// `example.test` for `*.example.test`.
    below: HashMap<String, Names>,
    /// What `<Postmaster>`, who has no domain, stands for.
    postmaster: Option<Mailbox>,
}

impl Names {
    /// Nothing is to be looked up.
    fn are_plain(&self) -> bool {
        self.aliases.is_none()
            && self.separator.is_none()
            && self.catch_all.is_none()
            && self.of.is_none()
    }

    /// Whether there is such a recipient. `None`: whoever is named is one.
    fn exists(&self, mailbox: &Mailbox) -> Option<bool> {
        match (&self.recipients, &self.mailboxes) {
            (Some(Recipients::File(file)), _) => Some(file.contains(mailbox)),
            (_, Some(mailboxes)) => mailboxes.exists(&ForwardPath::Mailbox(mailbox.clone())),
            _ => None,
        }
    }

    fn look_up(&self, mailbox: &Mailbox) -> Option<Entry> {
        if let Some(of) = &self.of {
            let other = format!("{}@{of}", mailbox.local_part());
            return another(&other);
        }
        let found = self.aliases.as_ref().and_then(|own| own.look_up(mailbox));
        if found.is_some() {
            return found;
        }
        let exists = self.exists(mailbox);
        if exists != Some(true)
            && let Some(user) = self.user(mailbox)
        {
            let is_alias = self.aliases.as_ref().is_some_and(|own| own.has(&user));
            if is_alias || self.exists(&user) != Some(false) {
                return Some(Entry::Other(ForwardPath::Mailbox(user)));
            }
        }
        let is_postmaster = mailbox.key(true).local() == "postmaster";
        match &self.catch_all {
            Some(address) if exists == Some(false) && !is_postmaster => Some(Entry::Members {
                addresses: vec![address.clone()],
                owner: None,
            }),
            _ => None,
        }
    }

    /// The address without its tag, if it has one.
    fn user(&self, mailbox: &Mailbox) -> Option<Mailbox> {
        let (user, _tag) = mailbox.local_part().split_once(self.separator?)?;
        let user = format!("{user}@{}", mailbox.domain());
        Mailbox::parse(user.as_bytes(), true).ok()
    }
}

fn another(address: &str) -> Option<Entry> {
    let mailbox = Mailbox::parse(address.as_bytes(), true).ok()?;
    Some(Entry::Other(ForwardPath::Mailbox(mailbox)))
}

impl KnownNames {
    /// Adds a domain as the configuration names it: `example.test`, or `*.example.test` for its subdomains. The first one is
    /// that of `<Postmaster>`.
    pub fn insert(&mut self, domain: &str, names: Names) {
        let name = domain.strip_prefix("*.").unwrap_or(domain);
        if self.postmaster.is_none() {
            self.postmaster = Mailbox::parse(format!("postmaster@{name}").as_bytes(), true).ok();
        }
        if names.are_plain() {
            return;
        }
        match domain.strip_prefix("*.") {
            Some(parent) => self.below.insert(parent.to_owned(), names),
            None => self.exact.insert(domain.to_owned(), names),
        };
    }

    fn find(&self, domain: &str) -> Option<&Names> {
        self.exact.get(domain).or_else(|| {
            let parents = domain.match_indices('.');
            let mut parents = parents.filter_map(|(dot, _)| domain.get(dot + 1..));
            parents.find_map(|parent| self.below.get(parent))
        })
    }

    fn names_of(&self, mailbox: &Mailbox) -> Option<&Names> {
        match mailbox.domain() {
            DomainOrLiteral::Domain(domain) => self.find(domain.key()),
            DomainOrLiteral::Literal(_) => None,
        }
    }
}

impl Directory for KnownNames {
    fn look_up(&self, address: &ForwardPath) -> Option<Entry> {
        if self.exact.is_empty() && self.below.is_empty() {
            return None;
        }
        let mailbox = address.mailbox().or(self.postmaster.as_ref())?;
        self.names_of(mailbox)?.look_up(mailbox)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::recipients::RecipientFile;
    use super::*;

    fn path(text: &str) -> ForwardPath {
        ForwardPath::parse(format!("<{text}>").as_bytes(), true).unwrap()
    }

    /// What an address comes to in one step: `=` for another name, the members otherwise.
    fn shown(names: &KnownNames, address: &str) -> String {
        match names.look_up(&path(address)) {
            None => "-".to_owned(),
            Some(Entry::Other(other)) => format!("={other}"),
            Some(Entry::Members { addresses, owner }) => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                let owner = owner.map(|owner| format!(" by {owner}"));
                addresses.join(",") + &owner.unwrap_or_default()
            }
        }
    }

    #[test]
    fn an_alias_goes_before_a_user_and_a_user_before_what_catches_all() {
        let folder = tempfile::tempdir().unwrap();
        let aliases = folder.path().join("aliases");
        std::fs::write(
            &aliases,
            "staff: anna, b@y.test\nowner-staff: anna\nanna+lists: bert\n",
        )
        .unwrap();
        let recipients = folder.path().join("recipients");
        std::fs::write(&recipients, "anna\nbert\nc+d\n").unwrap();
        let file = RecipientFile::load(recipients).unwrap();
        let mut names = KnownNames::default();
        names.insert("plain.test", Names::default());
        names.insert(
            "*.x.test",
            Names {
                aliases: Some(Arc::new(AliasFile::load(aliases).unwrap())),
                separator: Some('+'),
                catch_all: Some(path("rest@y.test")),
                recipients: Some(Recipients::File(Arc::new(file))),
                ..Names::default()
            },
        );
        names.insert(
            "old.test",
            Names {
                of: Some("a.x.test".to_owned()),
                ..Names::default()
            },
        );
        for (asked, found) in [
            ("anna@a.x.test", "-"),
            ("ANNA@A.X.test", "-"),
            (
                "staff@b.x.test",
                "<anna@b.x.test>,<b@y.test> by <owner-staff@b.x.test>",
            ),
            ("anna+tag@a.x.test", "=<anna@a.x.test>"),
            ("Anna+a+b@a.x.test", "=<Anna@a.x.test>"),
            ("anna+lists@a.x.test", "<bert@a.x.test>"),
            ("staff+tag@a.x.test", "=<staff@a.x.test>"),
            ("c+d@a.x.test", "-"),
            ("c+e@a.x.test", "<rest@y.test>"),
            ("+tag@a.x.test", "<rest@y.test>"),
            ("nobody@a.x.test", "<rest@y.test>"),
            ("postmaster@a.x.test", "-"),
            ("\"o d\"@old.test", "=<\"o d\"@a.x.test>"),
            ("anna@x.test", "-"),
            ("staff@plain.test", "-"),
            ("staff@[192.0.2.1]", "-"),
            ("Postmaster", "-"),
        ] {
            assert_eq!(shown(&names, asked), found, "{asked}");
        }
    }
}
