//! Where mail of other domains than ours may go.

use std::collections::HashSet;

use postern_config::Config;
use postern_smtp::address::DomainOrLiteral;

/// The domains that `[outbound]` and the `[[route]]`s lead to.
#[derive(Debug, Clone, Default)]
pub struct WaysOut {
    all: bool,
    exact: HashSet<String>,
    /// All below these.
    below: HashSet<String>,
}

impl WaysOut {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut ways = Self {
            all: config.outbound.deliver.is_some(),
            ..Self::default()
        };
        for route in config.routes.iter().filter(|own| own.deliver.is_some()) {
            match route.domains.strip_prefix("*.") {
                Some(name) => drop(ways.below.insert(name.to_owned())),
                None if route.domains == "*" => ways.all = true,
                None => drop(ways.exact.insert(route.domains.clone())),
            }
        }
        ways
    }

    /// Whether something leads to this domain, a lower-case A-label, or to this literal.
    #[must_use]
    pub fn lead_to(&self, domain: &DomainOrLiteral) -> bool {
        let DomainOrLiteral::Domain(domain) = domain else {
            return self.all;
        };
        let name = domain.key();
        let parents = name
            .match_indices('.')
            .filter_map(|(dot, _)| name.get(dot + 1..));
        self.all
            || self.exact.contains(name)
            || parents.into_iter().any(|one| self.below.contains(one))
    }
}
