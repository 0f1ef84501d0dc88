//! Which destination a recipient's mail goes to.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox};

use super::schedule::Schedule;
use postern_delivery::{Destination, Hop, HopAddress, Terms};

/// Where mail goes, as the routing table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// There.
    To(Destination),
    /// To the hosts that DNS names for the recipient's domain: a destination for each domain.
    Mx,
}

impl Route {
    /// The destination of mail for a domain.
    fn to(&self, domain: String) -> Destination {
        match self {
            Self::To(destination) => destination.clone(),
            Self::Mx => Destination::Hop(Hop::new(false, HopAddress::Mx(domain))),
        }
    }
}

impl From<Destination> for Route {
    fn from(destination: Destination) -> Self {
        Self::To(destination)
    }
}

/// What a `[[route]]` says of the domains that it matches.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Where their mail goes, if they are none of ours; `None`: as `[outbound]` says.
    pub route: Option<Route>,
    /// On which terms peers are spoken to.
    pub terms: Arc<Terms>,
    /// When it is tried again, where that is not as usual.
    pub schedule: Option<Schedule>,
}

/// A rule, and its terms for hosts that it was not written for: without the password.
#[derive(Debug, Clone)]
struct Known {
    rule: Rule,
    without_login: Arc<Terms>,
}

impl Known {
    fn new(rule: Rule) -> Self {
        let without_login = match &rule.terms.login {
            None => Arc::clone(&rule.terms),
            Some(_) => Arc::new(Terms {
                login: None,
                ..Terms::clone(&rule.terms)
            }),
        };
        Self {
            rule,
            without_login,
        }
    }
}

/// The routing table: where mail goes by `[[domain]]` first, then by the most specific `[[route]]`, then by `[outbound]`; how it
/// goes by that `[[route]]`. A rule for all is one for strangers, and says nothing of domains of ours.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    own: Matches<Route>,
    rules: Matches<Known>,
    /// For `<Postmaster>`, which has no domain: the first `[[domain]]`.
    first: Option<String>,
    outbound: Option<Route>,
    /// The sinks that keep the mailboxes of some recipients.
    stores: Arc<[Arc<str>]>,
}

/// What is known by domain.
#[derive(Debug, Clone)]
struct Matches<T> {
    exact: HashMap<String, T>,
    /// By the part after `*.`.
    below: HashMap<String, T>,
    all: Option<T>,
}

impl<T> Default for Matches<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            below: HashMap::new(),
            all: None,
        }
    }
}

impl<T> Matches<T> {
    /// `pattern`: a lower-case A-label, `*.` and one, or `*`.
    fn add(&mut self, pattern: &str, value: T) {
        match pattern.strip_prefix("*.") {
            Some(name) => drop(self.below.insert(name.to_owned(), value)),
            None if pattern == "*" => self.all = Some(value),
            None => drop(self.exact.insert(pattern.to_owned(), value)),
        }
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        let named = self.exact.values().chain(self.below.values());
        named.chain(&self.all)
    }

    /// The most specific one.
    fn find(&self, domain: &str) -> Option<&T> {
        self.find_by_name(domain).or(self.all.as_ref())
    }

    /// The most specific one but for that of all.
    fn find_by_name(&self, domain: &str) -> Option<&T> {
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
}

impl Routes {
    /// A table with `outbound` for whatever is in no domain of ours; without it such mail has no route.
    pub fn new(outbound: Option<Route>) -> Self {
        let mut routes = Self::default();
        routes.name_store(outbound.as_ref());
        Self { outbound, ..routes }
    }

    /// A sink that a route names is a store.
    fn name_store(&mut self, route: Option<&Route>) {
        if let Some(Route::To(Destination::Sink(name))) = route
            && !self.stores.contains(name)
        {
            let known = self.stores.iter().chain([name]);
            self.stores = known.map(Arc::clone).collect();
        }
    }

    /// The sinks that keep the mailboxes of some recipients.
    pub(crate) fn stores(&self) -> Arc<[Arc<str>]> {
        Arc::clone(&self.stores)
    }

    /// Adds a domain: its name as a lower-case A-label, or `*.name` for all below it and not itself.
    pub fn add(&mut self, domain: &str, route: impl Into<Route>) {
        let name = domain.strip_prefix("*.").unwrap_or(domain);
        self.first.get_or_insert_with(|| name.to_owned());
        let route = route.into();
        self.name_store(Some(&route));
        self.own.add(domain, route);
    }

    /// Adds what a `[[route]]` says: of a lower-case A-label, of `*.name` for all below it and not itself, or of `*` for all.
    pub fn add_rule(&mut self, pattern: &str, rule: Rule) {
        self.name_store(rule.route.as_ref());
        self.rules.add(pattern, Known::new(rule));
    }

    /// The destination of a recipient. `None`: nothing is configured for it.
    pub fn find(&self, recipient: &ForwardPath) -> Option<Cow<'_, Destination>> {
        let key = self.key(recipient);
        let own = key
            .as_deref()
            .and_then(|domain| self.own_route(recipient, domain));
        let known = key
            .as_deref()
            .and_then(|domain| self.rule(domain, own.is_some()));
        let route = own
            .or(known.and_then(|known| known.rule.route.as_ref()))
            .or(self.outbound.as_ref())?;
        let destination = match (route, key) {
            (Route::To(destination), _) => Cow::Borrowed(destination),
            (Route::Mx, Some(domain)) => Cow::Owned(Route::Mx.to(domain.into_owned())),
            (Route::Mx, None) => return None,
        };
        match (known, destination.as_ref()) {
            (Some(known), Destination::Hop(hop)) => {
                // A password is for the host that the operator named with it.
                let named = own.is_none() && !matches!(hop.address, HopAddress::Mx(_));
                let terms = match named {
                    true => &known.rule.terms,
                    false => &known.without_login,
                };
                Some(Cow::Owned(Destination::Hop(Hop {
                    terms: Arc::clone(terms),
                    ..hop.clone()
                })))
            }
            _ => Some(destination),
        }
    }

    /// Where a `[[domain]]` has the mail for a recipient go.
    fn own_route(&self, recipient: &ForwardPath, domain: &str) -> Option<&Route> {
        match recipient.mailbox() {
            Some(_) => self.own.find(domain),
            None => self.own.exact.get(domain).or(self.own.below.get(domain)),
        }
    }

    /// The rule for a domain, which is `own` or not.
    fn rule(&self, domain: &str, own: bool) -> Option<&Known> {
        match own {
            true => self.rules.find_by_name(domain),
            false => self.rules.find(domain),
        }
    }

    /// When mail to a recipient is tried again, where that is not as usual.
    pub fn schedule(&self, recipient: &ForwardPath) -> Option<&Schedule> {
        let domain = self.key(recipient)?;
        let own = self.own_route(recipient, &domain).is_some();
        self.rule(&domain, own)?.rule.schedule.as_ref()
    }

    /// The domain of a recipient, by which its mail is routed.
    pub(crate) fn domain(&self, recipient: &ForwardPath) -> Option<String> {
        self.key(recipient).map(Cow::into_owned)
    }

    /// The Maildirs of a domain of ours with this template.
    pub(crate) fn maildir(&self, wanted: &Path) -> Option<&Destination> {
        let mut routes = self.own.all();
        routes.find_map(|route| match route {
            Route::To(own @ Destination::Maildir { template, .. }) if template == wanted => {
                Some(own)
            }
            _ => None,
        })
    }

    /// The terms of the `[[route]]` of this name, and where it leads.
    pub(crate) fn named(&self, name: &str) -> Option<(&Terms, Option<&Route>)> {
        let mut rules = self.rules.all();
        let known = rules.find(|known| known.rule.terms.name == name)?;
        let route = known.rule.route.as_ref().or(self.outbound.as_ref());
        Some((&known.rule.terms, route))
    }

    /// The domain of a recipient, or its address literal with brackets.
    fn key<'a>(&'a self, recipient: &'a ForwardPath) -> Option<Cow<'a, str>> {
        match recipient.mailbox().map(Mailbox::domain) {
            None => self.first.as_deref().map(Cow::Borrowed),
            Some(DomainOrLiteral::Domain(domain)) => Some(Cow::Borrowed(domain.key())),
            Some(DomainOrLiteral::Literal(literal)) => Some(Cow::Owned(literal.to_string())),
        }
    }

    /// Whether a recipient is in a domain of ours.
    pub fn is_own(&self, recipient: &ForwardPath) -> bool {
        match recipient.mailbox().map(Mailbox::domain) {
            None => true,
            Some(DomainOrLiteral::Domain(domain)) => self.own.find(domain.key()).is_some(),
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
                Some(destination) => match groups.get_mut(destination.as_ref()) {
                    Some(group) => group.push(index),
                    None => {
                        groups.insert(destination.into_owned(), vec![index]);
                    }
                },
                None => lost.push(index),
            }
        }
        (groups, lost)
    }

    /// The destination of a recipient in a domain of ours; `None`: it is in none.
    pub fn own(&self, recipient: &ForwardPath) -> Option<Cow<'_, Destination>> {
        self.is_own(recipient)
            .then(|| self.find(recipient))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use postern_smtp::client::Login;

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
        let mut routes = Routes::new(Some(to("/out").into()));
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
            let routes = routes();
            let destination = routes.find(&path(address));
            assert_eq!(destination.as_deref(), Some(&to(found)), "{address}");
        }
    }

    #[test]
    fn by_mx_each_domain_is_a_destination_of_its_own() {
        let mut routes = Routes::new(Some(Route::Mx));
        routes.add("example.test", Route::Mx);
        routes.add("kept.test", to("/kept"));
        for (address, found) in [
            ("a@example.test", Some("example.test")),
            ("a@Other.TEST", Some("other.test")),
            ("a@b\u{fc}cher.test", Some("xn--bcher-kva.test")),
            ("a@kept.test", Some("maildir:/kept")),
            ("a@[192.0.2.1]", Some("[192.0.2.1]")),
            ("a@[IPv6:2001:db8::1]", Some("[IPv6:2001:db8::1]")),
            ("Postmaster", Some("example.test")),
        ] {
            let destination = routes.find(&path(address)).map(|one| one.to_string());
            assert_eq!(destination.as_deref(), found, "{address}");
        }
        let routes = Routes::new(Some(Route::Mx));
        assert_eq!(routes.find(&path("Postmaster")), None, "of no domain");
    }

    #[test]
    fn the_most_specific_route_counts_and_our_domains_know_where_they_go() {
        let hop =
            |host: &str| Destination::Hop(Hop::new(false, HopAddress::Tcp(host.to_owned(), 25)));
        let rule = |name: &str, to: Option<&str>| Rule {
            route: to.map(|host| hop(host).into()),
            terms: Arc::new(Terms {
                name: name.to_owned(),
                ..Terms::default()
            }),
            schedule: (name == "all").then(|| Schedule::new(Vec::new(), Duration::ZERO)),
        };
        let mut routes = Routes::new(Some(Route::Mx));
        routes.add("ours.test", hop("inside.test"));
        routes.add("*.kept.test", to("/kept"));
        routes.add_rule("*", rule("all", None));
        routes.add_rule("*.partner.test", rule("below", Some("relay.test")));
        routes.add_rule("partner.test", rule("exact", None));
        routes.add_rule("ours.test", rule("own", None));
        for (address, found) in [
            ("a@x.test", "x.test"),
            ("a@x.partner.test", "smtp://relay.test:25 (below)"),
            ("a@partner.test", "partner.test"),
            ("a@ours.test", "smtp://inside.test:25 (own)"),
            ("a@x.kept.test", "maildir:/kept"),
            ("a@[192.0.2.1]", "[192.0.2.1]"),
            ("Postmaster", "smtp://inside.test:25 (own)"),
        ] {
            let path = path(address);
            let destination = routes.find(&path).map(|one| one.to_string());
            assert_eq!(destination.as_deref(), Some(found), "{address}");
        }
        let own_time = |address| routes.schedule(&path(address)).is_some();
        assert!(own_time("a@x.test") && !own_time("a@partner.test"));
        // What differs in its route differs in its connections.
        let one = routes.find(&path("a@x.test")).unwrap().into_owned();
        let other = Destination::Hop(Hop::new(false, HopAddress::Mx("x.test".to_owned())));
        assert_ne!(one, other);
    }

    #[test]
    fn a_rule_for_all_leaves_our_domains_alone_and_a_password_is_for_the_host_it_was_written_for() {
        let hop =
            |host: &str| Destination::Hop(Hop::new(false, HopAddress::Tcp(host.to_owned(), 25)));
        let rule = |name: &str, to: Option<Route>| Rule {
            route: to,
            terms: Arc::new(Terms {
                name: name.to_owned(),
                login: Some(Login::new("me", "sesame").unwrap()),
                ..Terms::default()
            }),
            schedule: Some(Schedule::new(Vec::new(), Duration::ZERO)),
        };
        let mut routes = Routes::new(Some(hop("relay.test").into()));
        routes.add("plain.test", hop("inside.test"));
        routes.add("a.named.test", hop("relay.test"));
        routes.add_rule("*", rule("all", None));
        routes.add_rule("*.named.test", rule("named", None));
        routes.add_rule("far.test", rule("far", Some(Route::Mx)));
        routes.add_rule("smart.test", rule("smart", Some(hop("smart.test").into())));
        // The rule that counts, whether it says who we are, and whether it says when.
        for (address, found, login, times) in [
            ("a@plain.test", "smtp://inside.test:25", false, false),
            ("Postmaster", "smtp://inside.test:25", false, false),
            (
                "a@a.named.test",
                "smtp://relay.test:25 (named)",
                false,
                true,
            ),
            ("a@b.named.test", "smtp://relay.test:25 (named)", true, true),
            ("a@far.test", "far.test", false, true),
            ("a@smart.test", "smtp://smart.test:25 (smart)", true, true),
            ("a@x.test", "smtp://relay.test:25 (all)", true, true),
        ] {
            let path = path(address);
            let destination = routes.find(&path).unwrap().into_owned();
            assert_eq!(destination.to_string(), found, "{address}");
            let Destination::Hop(hop) = destination else {
                panic!("{address}")
            };
            assert_eq!(hop.terms.login.is_some(), login, "{address}");
            assert_eq!(routes.schedule(&path).is_some(), times, "{address}");
        }
        // One host with a password and without is not one destination.
        let find = |address| routes.find(&path(address)).unwrap().into_owned();
        assert_ne!(find("a@a.named.test"), find("a@b.named.test"));
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

    #[test]
    fn only_our_own_domains_are_local() {
        let mut routes = Routes::new(Some(to("/out").into()));
        routes.add("a.test", to("/a"));
        let own = |address| routes.own(&path(address)).map(Cow::into_owned);
        assert_eq!(own("x@A.test"), Some(to("/a")));
        assert_eq!(own("x@c.test"), None);
        assert_eq!(routes.domain(&path("x@C.test")).as_deref(), Some("c.test"));
    }
}
