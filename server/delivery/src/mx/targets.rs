//! The addresses that may be connected to.

use std::net::IpAddr;

use super::exchangers::{Answer, Exchanger, Exchangers};
use super::network::Network;
use super::no_target::NoTarget;

/// Addresses of one host that are tried in one attempt.
pub const MOST_ADDRESSES: usize = 4;

/// A host, and where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name; for an address literal the address.
    pub host: String,
    /// In the order in which they are tried; at least one, at most [`MOST_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
}

/// What an address is to this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Mail may go there.
    Fine,
    /// This gateway listens there.
    Own,
    /// It is in a network that is not delivered to.
    Forbidden(Network),
}

/// The addresses of the hosts of `domain` that may be connected to. `answers` has what DNS said of each host, in the order of
/// [`Exchangers::hosts`]; `judge` what an address is. A host at one of our own listeners, and all that are not preferred to it,
/// are left out. IPv6 and IPv4 take turns; among addresses of one kind chance decides (`draw` gives random numbers).
///
/// # Errors
/// There is none. If a host could not be looked up that might have been tried, that is why.
pub fn targets(
    domain: &str,
    exchangers: &Exchangers,
    answers: Vec<Answer<IpAddr>>,
    judge: &dyn Fn(IpAddr) -> Judged,
    draw: &mut dyn FnMut() -> u32,
) -> Result<Vec<Target>, NoTarget> {
    let hosts: Vec<_> = exchangers.hosts.iter().zip(answers).collect();
    let at_ours = hosts.iter().find(|(_, answer)| {
        matches!(answer, Answer::Found(all) if all.iter().any(|one| judge(*one) == Judged::Own))
    });
    let own = at_ours.map(|(host, _)| (*host).clone());
    let own = own.or_else(|| exchangers.own.clone());
    let preferred = |host: &Exchanger| {
        own.as_ref()
            .is_none_or(|own| host.preference < own.preference)
    };
    let mut found: Vec<Target> = Vec::new();
    let mut why: Option<NoTarget> = None;
    for (exchanger, answer) in hosts {
        if !preferred(exchanger) {
            continue;
        }
        let host = exchanger.host.clone();
        match answer {
            Answer::Found(all) => {
                let seen = |one: &IpAddr| found.iter().any(|known| known.addresses.contains(one));
                let (fine, forbidden) = sorted(all, judge);
                let fine = fine.into_iter().filter(|one| !seen(one)).collect();
                let addresses = in_turns(fine, draw);
                if !addresses.is_empty() {
                    found.push(Target { host, addresses });
                } else if let Some((address, network)) = forbidden {
                    worse(
                        &mut why,
                        NoTarget::Forbidden {
                            domain: domain.to_owned(),
                            host,
                            address,
                            network,
                        },
                    );
                }
            }
            Answer::Nothing | Answer::NoSuchName => worse(
                &mut why,
                NoTarget::NoAddress {
                    domain: domain.to_owned(),
                    host,
                },
            ),
            Answer::Failed(reason) => worse(
                &mut why,
                NoTarget::Lookup {
                    name: host,
                    why: reason,
                },
            ),
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let domain = domain.to_owned();
    Err(match (why, own) {
        (Some(why), _) => why,
        (None, Some(own)) => NoTarget::Own {
            domain,
            host: own.host,
        },
        (None, None) => NoTarget::NoHost { domain },
    })
}

/// Keeps the first reason, but for a failed look-up, which is the better one: with it nothing is certain.
fn worse(why: &mut Option<NoTarget>, other: NoTarget) {
    let certain = why.as_ref().is_some_and(NoTarget::is_permanent);
    if why.is_none() || (certain && !other.is_permanent()) {
        *why = Some(other);
    }
}

/// The host that an address literal is for, written as `written`.
///
/// # Errors
/// It is this gateway, or in a network that is not delivered to.
pub fn literal(
    written: &str,
    address: IpAddr,
    judge: &dyn Fn(IpAddr) -> Judged,
) -> Result<Target, NoTarget> {
    let (domain, host) = (written.to_owned(), address.to_string());
    match judge(address) {
        Judged::Fine => Ok(Target {
            host,
            addresses: vec![address],
        }),
        Judged::Own => Err(NoTarget::Own { domain, host }),
        Judged::Forbidden(network) => Err(NoTarget::Forbidden {
            domain,
            host,
            address,
            network,
        }),
    }
}

/// The addresses that may be connected to, and the first that may not.
fn sorted(
    all: Vec<IpAddr>,
    judge: &dyn Fn(IpAddr) -> Judged,
) -> (Vec<IpAddr>, Option<(IpAddr, Network)>) {
    let mut fine = Vec::new();
    let mut forbidden = None;
    for address in all {
        match judge(address) {
            Judged::Fine if !fine.contains(&address) => fine.push(address),
            Judged::Fine | Judged::Own => {}
            Judged::Forbidden(network) => {
                forbidden.get_or_insert((address, network));
            }
        }
    }
    (fine, forbidden)
}

/// IPv6 and IPv4 in turns, so that a host whose IPv6 does not work from here costs one try at a time.
fn in_turns(all: Vec<IpAddr>, draw: &mut dyn FnMut() -> u32) -> Vec<IpAddr> {
    let mut drawn: Vec<_> = all.into_iter().map(|one| (draw(), one)).collect();
    drawn.sort_by_key(|(drawn, _)| *drawn);
    let kind = |v6: bool| {
        let of_kind = drawn.iter().filter(move |(_, one)| one.is_ipv6() == v6);
        of_kind
            .enumerate()
            .map(move |(turn, (_, one))| (turn, !v6, *one))
    };
    let mut turns: Vec<_> = kind(true).chain(kind(false)).collect();
    turns.sort_by_key(|(turn, later, _)| (*turn, *later));
    turns
        .into_iter()
        .map(|(_, _, one)| one)
        .take(MOST_ADDRESSES)
        .collect()
}
