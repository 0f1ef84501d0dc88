//! The configuration, in the terms of the transport core.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postern_config::Config;
use postern_config::settings::binding::HeldRefusal as Refusal;
use postern_config::settings::delivery::{self, Deliver, Recipients};
use postern_config::settings::server::ListenAddress;
use postern_delivery::{Destination, Hop, HopAddress, LineEnds, OwnListeners};
use postern_transport::{HeldRefusal, Route, Routes, Rule, Schedule, Settings};

use crate::front::directory::KnownNames;
use crate::front::listener::Bound;
use crate::observe::addresses::AddressLog;
use crate::terms::{self, TermsError};

/// Time for all bindings of one stage of transport together. Nobody waits for a reply.
const SUBMIT_BUDGET: Duration = Duration::from_secs(3600);

/// Messages in memory at the same time. Others wait in the spool.
const MESSAGES_IN_MEMORY: usize = 2000;

/// What the transport core needs to know.
///
/// # Errors
/// Files that a `[[route]]` names cannot be used.
pub(super) fn transport(
    config: &Config,
    names: Arc<KnownNames>,
    addresses: AddressLog,
) -> Result<Settings, TermsError> {
    let hostname = |server: &postern_config::settings::server::Server| server.hostname.clone();
    Ok(Settings {
        hostname: config
            .servers
            .first()
            .map(hostname)
            .unwrap_or_else(|| "localhost".to_owned()),
        hostnames: config
            .servers
            .iter()
            .map(|server| (server.name.clone(), hostname(server)))
            .collect(),
        routes: routes(config)?,
        schedule: schedule(config),
        command_timeout: config.outbound.command_timeout,
        data_timeout: config.outbound.data_timeout,
        directory: names,
        convert: config.outbound.convert,
        connections_per_destination: usize::try_from(config.outbound.connections_per_destination)
            .unwrap_or(usize::MAX),
        submit_budget: SUBMIT_BUDGET,
        held_refusals: held_refusals(config),
        messages_in_memory: MESSAGES_IN_MEMORY,
        shown: Arc::new(move |address| addresses.show(address)),
    })
}

/// The waits between attempts.
pub(super) fn schedule(config: &Config) -> Schedule {
    Schedule::new(config.queue.retry.clone(), config.queue.expire)
        .warning_after(config.queue.warn_after)
}

fn routes(config: &Config) -> Result<Routes, TermsError> {
    let mut routes = Routes::new(config.outbound.deliver.as_ref().map(route));
    for domain in &config.domains {
        let mut to = route(&domain.deliver);
        if let Route::To(Destination::Maildir {
            create, line_ends, ..
        }) = &mut to
        {
            *line_ends = match domain.line_ends {
                delivery::LineEnds::Crlf => LineEnds::Crlf,
                delivery::LineEnds::Lf => LineEnds::Lf,
            };
            // Whoever is in a list is known.
            *create = domain.create || matches!(domain.recipients, Recipients::File(_));
        }
        let others = config.domain_aliases.iter();
        for other in others.filter(|other| other.of == domain.name) {
            routes.add(&other.name, to.clone());
        }
        routes.add(&domain.name, to);
    }
    for own in &config.routes {
        let retry = own.retry.as_ref().unwrap_or(&config.queue.retry);
        let expire = own.expire.unwrap_or(config.queue.expire);
        let times = own.retry.is_some() || own.expire.is_some();
        let rule = Rule {
            route: own.deliver.as_ref().map(route),
            terms: Arc::new(terms::of(own)?),
            schedule: times.then(|| {
                Schedule::new(retry.clone(), expire).warning_after(config.queue.warn_after)
            }),
        };
        routes.add_rule(&own.domains, rule);
    }
    Ok(routes)
}

fn route(deliver: &Deliver) -> Route {
    let hop = |lmtp, address| Destination::Hop(Hop::new(lmtp, address));
    let destination = match deliver {
        Deliver::Mx => return Route::Mx,
        Deliver::Smtp { host, port } => hop(false, HopAddress::Tcp(host.clone(), *port)),
        Deliver::Lmtp { host, port } => hop(true, HopAddress::Tcp(host.clone(), *port)),
        Deliver::LmtpUnix(path) => hop(true, HopAddress::Unix(path.clone())),
        Deliver::Maildir(template) => Destination::Maildir {
            template: template.clone(),
            create: true,
            line_ends: LineEnds::Crlf,
        },
        Deliver::Sink(name) => Destination::Sink(name.as_str().into()),
    };
    Route::To(destination)
}

fn held_refusals(config: &Config) -> HashMap<String, HeldRefusal> {
    let one = |refusal: &Refusal| match refusal {
        Refusal::Quarantine => HeldRefusal::Quarantine,
        Refusal::Discard => HeldRefusal::Discard,
    };
    config
        .bindings
        .iter()
        .map(|binding| (binding.name.clone(), one(&binding.held_refusal)))
        .collect()
}

/// Our own listeners, so that no delivery goes round to them.
pub(super) fn own_listeners<'a>(listeners: impl IntoIterator<Item = &'a Bound>) -> OwnListeners {
    let own = OwnListeners::default();
    for bound in listeners {
        match bound.address() {
            ListenAddress::Tcp(address) => own.add_tcp(*address),
            ListenAddress::Unix(path) => own.add_unix(path.clone()),
            // What was bound has an address.
            ListenAddress::Inherited(_) => {}
        }
    }
    own
}
