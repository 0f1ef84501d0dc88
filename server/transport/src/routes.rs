//! Which destination a recipient's mail goes to.

use std::collections::{BTreeMap, HashMap};

use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox};

use postern_delivery::Destination;

/// The routing table: `[[domain]]` first, then `[outbound]`.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    exact: HashMap<String, Destination>,
    /// By the part after `*.`.
    below: HashMap<String, Destination>,
    /// For `<Postmaster>`, which has no domain: as for the first `[[domain]]`.
    postmaster: Option<Destination>,
    outbound: Option<Destination>,
}

impl Routes {
    /// A table with `outbound` for whatever is in no domain of ours; without it such mail has no route.
    pub fn new(outbound: Option<Destination>) -> Self {
        Self {
            outbound,
            ..Self::default()
        }
    }

    /// Adds a domain: its name as a lower-case A-label, or `*.name` for all below it and not itself.
    pub fn add(&mut self, domain: &str, destination: Destination) {
        self.postmaster.get_or_insert_with(|| destination.clone());
        let (table, name) = match domain.strip_prefix("*.") {
            Some(name) => (&mut self.below, name),
            None => (&mut self.exact, domain),
        };
        table.insert(name.to_owned(), destination);
    }

    /// The destination of a recipient. `None`: nothing is configured for it.
    pub fn find(&self, recipient: &ForwardPath) -> Option<&Destination> {
        let Some(mailbox) = recipient.mailbox() else {
            return self.postmaster.as_ref().or(self.outbound.as_ref());
        };
        let own = match mailbox.domain() {
            DomainOrLiteral::Domain(domain) => self.own(domain.key()),
            DomainOrLiteral::Literal(_) => None,
        };
        own.or(self.outbound.as_ref())
    }

    fn own(&self, domain: &str) -> Option<&Destination> {
        if let Some(exact) = self.exact.get(domain) {
            return Some(exact);
        }
        // The nearest wildcard wins.
        let mut rest = domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(found) = self.below.get(parent) {
                return Some(found);
            }
            rest = parent;
        }
        None
    }

    /// Whether a recipient is in a domain of ours.
    pub fn is_own(&self, recipient: &ForwardPath) -> bool {
        match recipient.mailbox().map(Mailbox::domain) {
            None => true,
            Some(DomainOrLiteral::Domain(domain)) => self.own(domain.key()).is_some(),
            Some(DomainOrLiteral::Literal(_)) => false,
        }
    }

    /// Sorts recipients by destination. The second list has those without one.
    pub fn group<'a>(
        &self,
        recipients: impl Iterator<Item = (usize, &'a ForwardPath)>,
    ) -> (BTreeMap<Destination, Vec<usize>>, Vec<usize>) {
        let mut groups: BTreeMap<Destination, Vec<usize>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (index, address) in recipients {
            match self.find(address) {
                Some(destination) => match groups.get_mut(destination) {
                    Some(group) => group.push(index),
                    None => {
                        groups.insert(destination.clone(), vec![index]);
                    }
                },
                None => lost.push(index),
            }
        }
        (groups, lost)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn to(name: &str) -> Destination {
        Destination::Maildir {
            template: name.into(),
            create: true,
            line_ends: Default::default(),
        }
    }

    fn path(address: &str) -> ForwardPath {
        ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap()
    }

    fn routes() -> Routes {
        let mut routes = Routes::new(Some(to("/out")));
        routes.add("example.test", to("/own"));
        routes.add("*.example.test", to("/below"));
        routes.add("*.deep.example.test", to("/deep"));
        routes
    }

    #[test]
    fn own_domains_match_whole_and_wildcards_below_only() {
        for (address, found) in [
            ("a@example.test", "/own"),
            ("a@EXAMPLE.Test", "/own"),
            ("a@x.example.test", "/below"),
            ("a@y.x.example.test", "/below"),
            ("a@deep.example.test", "/below"),
            ("a@x.deep.example.test", "/deep"),
            ("a@badexample.test", "/out"),
            ("\"a@example.test\"@other.test", "/out"),
            ("a%example.test@other.test", "/out"),
            ("a@[192.0.2.1]", "/out"),
            ("Postmaster", "/own"),
        ] {
            assert_eq!(routes().find(&path(address)), Some(&to(found)), "{address}");
        }
    }

    #[test]
    fn recipients_are_grouped_and_the_lost_told_apart() {
        let mut routes = Routes::new(None);
        routes.add("a.test", to("/a"));
        routes.add("b.test", to("/b"));
        let recipients = ["x@a.test", "x@b.test", "y@a.test", "x@c.test"].map(path);
        let (groups, lost) = routes.group(recipients.iter().enumerate());
        assert_eq!(groups.get(&to("/a")), Some(&vec![0, 2]));
        assert_eq!(groups.get(&to("/b")), Some(&vec![1]));
        assert_eq!(lost, [3]);
    }
}
