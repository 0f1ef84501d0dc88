//! From the configuration to the hosts that DNS names.

use postern_config::Config;
use postern_config::settings::delivery::Deliver;
use postern_delivery::{MailHosts, MailPolicy, OnLookup, OwnListeners, Resolver, ResolverError};

/// Whether anything goes to the hosts that DNS names.
#[must_use]
pub(crate) fn are_used(config: &Config) -> bool {
    let domains = config.domains.iter().map(|domain| &domain.deliver);
    let routes = config
        .routes
        .iter()
        .filter_map(|route| route.deliver.as_ref());
    let mut all = domains.chain(&config.outbound.deliver).chain(routes);
    all.any(|deliver| *deliver == Deliver::Mx)
}

/// What finds them. `own` are this gateway's listeners, `on_lookup` hears of each look-up.
///
/// # Errors
/// [`ResolverError`].
pub(crate) fn of(
    config: &Config,
    own: OwnListeners,
    on_lookup: OnLookup,
) -> Result<MailHosts, ResolverError> {
    let resolver = Resolver::new(&config.dns.servers, on_lookup)?;
    let names = config.servers.iter().map(|server| server.hostname.clone());
    let policy = MailPolicy {
        port: config.outbound.mx_port,
        own_names: names.collect(),
        own,
        allow_private: config.outbound.allow_private.clone(),
    };
    Ok(MailHosts::new(resolver, policy))
}
