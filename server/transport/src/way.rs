//! Where a recipient's mail goes: as it was sent by a verdict or an action, else as the routing table has it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use postern_delivery::{Attempted, Destination, Fate, Hop, HopAddress, Terms, TlsPolicy, verified};
use postern_message::next_hop::{NextHop, Target, TlsPolicy as HopTls};
use postern_message::{Message, Recipient, RecipientState};
use rustls::ClientConfig;

use super::core::Core;
use super::settle::Outcome;

/// Recipients by destination, and what becomes at once of those without one.
pub(crate) type Grouped = (BTreeMap<Destination, Vec<usize>>, Vec<(usize, Outcome)>);

/// Sorts recipients by destination.
pub(crate) fn group<'a>(
    core: &Core,
    message: &Message,
    recipients: impl Iterator<Item = (usize, &'a Recipient)>,
    now: SystemTime,
) -> Grouped {
    let mut groups: BTreeMap<Destination, Vec<usize>> = BTreeMap::new();
    let mut lost = Vec::new();
    for (index, recipient) in recipients {
        let found = destination(core, message, recipient);
        let found = found.and_then(|found| match is_halted(core, message, recipient, &found) {
            true => Err(Nowhere::Halted),
            false => Ok(found),
        });
        match found {
            Ok(destination) => match groups.get_mut(destination.as_ref()) {
                Some(group) => group.push(index),
                None => {
                    groups.insert(destination.into_owned(), vec![index]);
                }
            },
            Err(nowhere) => lost.push((index, Outcome::Tried(nowhere.attempted(now)))),
        }
    }
    (groups, lost)
}

/// A sink has halted the way there, under the name of the recipient's domain, of the next hop or of its destination.
fn is_halted(
    core: &Core,
    message: &Message,
    recipient: &Recipient,
    destination: &Destination,
) -> bool {
    let links = &core.links;
    if !links.any() {
        return false;
    }
    let now = Instant::now();
    let is = |name: &str| links.is_halted(name, &message.server, now);
    let hops = message.handling.hops(recipient.id);
    let domain = core.settings.routes.domain(&recipient.address);
    domain.as_deref().is_some_and(is)
        || turn(hops, attempts(recipient)).is_some_and(|hop| is(&hop.name))
        || is(&destination.to_string())
}

/// The destination of a recipient.
pub(crate) fn destination<'a>(
    core: &'a Core,
    message: &Message,
    recipient: &Recipient,
) -> Result<Cow<'a, Destination>, Nowhere> {
    let routes = &core.settings.routes;
    let hops = message.handling.hops(recipient.id);
    let Some(hop) = turn(hops, attempts(recipient)) else {
        return routes.find(&recipient.address).ok_or(Nowhere::NoRoute);
    };
    let address = match hop.target() {
        Some(Target::Mx) => {
            HopAddress::Mx(routes.domain(&recipient.address).ok_or(Nowhere::NoRoute)?)
        }
        Some(Target::Smtp(host, port) | Target::Lmtp(host, port)) => HopAddress::Tcp(host, port),
        Some(Target::LmtpUnix(path)) => HopAddress::Unix(path.into()),
        Some(Target::Local) => return routes.own(&recipient.address).ok_or(Nowhere::NotOurs),
        Some(Target::Unreachable) => return Err(Nowhere::Unreachable),
        Some(Target::UnreachableLater) => return Err(Nowhere::Later),
        Some(Target::Smtps(..) | Target::Maildir(_) | Target::Sink(_)) | None => {
            return Err(Nowhere::Unknown(hop.deliver.clone()));
        }
    };
    let lmtp = hop.deliver.starts_with("lmtp");
    let terms = terms(hop).ok_or_else(|| Nowhere::Unknown(hop.deliver.clone()))?;
    Ok(Cow::Owned(Destination::Hop(Hop {
        terms: Arc::new(terms),
        ..Hop::new(lmtp, address)
    })))
}

/// The hop whose turn it is after so many attempts: one after the other, and then from the first again.
fn turn(hops: &[NextHop], attempts: u32) -> Option<&NextHop> {
    let place = usize::try_from(attempts)
        .unwrap_or(0)
        .checked_rem(hops.len())?;
    hops.get(place)
}

fn attempts(recipient: &Recipient) -> u32 {
    match &recipient.state {
        RecipientState::Pending { attempts, .. } => *attempts,
        _ => 0,
    }
}

/// The terms on which a hop is spoken to. Hops that differ in them are destinations of their own.
fn terms(hop: &NextHop) -> Option<Terms> {
    let helo = String::from_utf8_lossy(&hop.helo_name);
    // A name like this is none of a route.
    let mut name = Vec::new();
    for (word, value) in [
        ("name", hop.name.as_str()),
        ("tls", hop.tls.name()),
        ("source", hop.source_address.as_str()),
        ("ehlo", &helo),
    ] {
        if !value.is_empty() {
            name.push(format!("{word}={value}"));
        }
    }
    Some(Terms {
        name: name.join(" "),
        tls: match hop.tls {
            HopTls::Configured | HopTls::Opportunistic => TlsPolicy::Opportunistic,
            HopTls::None => TlsPolicy::Off,
            HopTls::Encrypt => TlsPolicy::Required,
            HopTls::Verify => TlsPolicy::Verified(by_the_usual_authorities()?),
            HopTls::Dane | HopTls::Implicit => return None,
        },
        login: None,
        source: match hop.source_address.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => Vec::new(),
        },
        ehlo: (!helo.is_empty()).then(|| helo.into_owned()),
    })
}

/// TLS that checks names by the authorities that browsers trust, made once.
fn by_the_usual_authorities() -> Option<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    CONFIG.get_or_init(|| verified(None).ok()).clone()
}

/// Why a recipient has no destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nowhere {
    /// The configuration has none.
    NoRoute,
    /// It was sent to what delivers our own domains, and is in none of them.
    NotOurs,
    /// A sink said that there is no way.
    Unreachable,
    /// A sink said that there is no way yet.
    Later,
    /// A sink said that nothing is to be sent there now.
    Halted,
    /// A way that this version does not go.
    Unknown(String),
}

impl Nowhere {
    fn attempted(&self, now: SystemTime) -> Attempted {
        let (fate, text) = match self {
            Self::NoRoute => (
                Fate::Failed,
                "no route is configured for this recipient".to_owned(),
            ),
            Self::NotOurs => (
                Fate::Failed,
                "sent to a local delivery that does not have its domain".to_owned(),
            ),
            Self::Unreachable => (Fate::Failed, "the destination is unreachable".to_owned()),
            Self::Later => (
                Fate::Deferred,
                "the destination is unreachable for now".to_owned(),
            ),
            Self::Halted => (
                Fate::Deferred,
                "a sink has halted the way to the destination".to_owned(),
            ),
            Self::Unknown(deliver) => (
                Fate::Deferred,
                format!("{deliver} is no way that this version goes"),
            ),
        };
        Attempted::own(fate, 4, 4, text, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_have_their_turn_one_after_the_other() {
        let hops = ["smtp://a", "smtp://b"].map(NextHop::to);
        let turns = (0..5).filter_map(|attempts| turn(&hops, attempts));
        let turns: Vec<&str> = turns.map(|hop| hop.deliver.as_str()).collect();
        assert_eq!(
            turns,
            ["smtp://a", "smtp://b", "smtp://a", "smtp://b", "smtp://a"]
        );
        assert_eq!(turn(&[], 3), None);
    }

    #[test]
    fn hops_on_other_terms_are_other_destinations() {
        let plain = NextHop::to("smtp://a");
        let mut named = plain.clone();
        named.name = "slow".to_owned();
        let mut in_tls = plain.clone();
        in_tls.tls = HopTls::Encrypt;
        let terms = |hop: &NextHop| terms(hop).unwrap_or_default();
        assert_eq!(terms(&plain), Terms::default());
        assert_ne!(terms(&named), terms(&plain));
        assert_ne!(terms(&in_tls), terms(&named));
        assert_eq!(terms(&in_tls).name, "tls=encrypt");
        let mut dane = plain;
        dane.tls = HopTls::Dane;
        assert!(super::terms(&dane).is_none());
    }
}
