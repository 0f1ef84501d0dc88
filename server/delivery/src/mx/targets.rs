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

/// Addresses of one kind of one host that are looked at.
pub const MOST_LOOKED_AT: usize = 16;

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
/// are left out. Of each kind the first [`MOST_LOOKED_AT`] are judged, once each. IPv6 and IPv4 take turns; among addresses of one kind chance decides (`draw` gives random numbers).
///
/// # Errors
/// There is none. If a host could not be looked up that might have been tried, or not all of it, that is why.
pub fn targets(
    domain: &str,
    exchangers: &Exchangers,
    answers: Vec<Answer<IpAddr>>,
    judge: &dyn Fn(IpAddr) -> Judged,
    draw: &mut dyn FnMut() -> u32,
) -> Result<Vec<Target>, NoTarget> {
    let hosts = exchangers.hosts.iter().zip(answers);
    let hosts: Vec<_> = hosts
        .map(|(host, answer)| (host, Looked::at(answer, judge)))
        .collect();
    let at_ours = hosts.iter().find(|(_, looked)| looked.own);
    let own = at_ours.map(|(host, _)| (*host).clone());
    let own = own.or_else(|| exchangers.own.clone());
    let preferred = |host: &Exchanger| {
        own.as_ref()
            .is_none_or(|own| host.preference < own.preference)
    };
    let mut found: Vec<Target> = Vec::new();
    let mut why: Option<NoTarget> = None;
    for (exchanger, looked) in hosts {
        if !preferred(exchanger) {
            continue;
        }
        let host = exchanger.host.clone();
        let seen = |one: &IpAddr| found.iter().any(|known| known.addresses.contains(one));
        let fine = looked.fine.into_iter().filter(|one| !seen(one)).collect();
        let addresses = in_turns(fine, draw);
        if !addresses.is_empty() {
            found.push(Target { host, addresses });
            continue;
        }
        let domain = domain.to_owned();
        let other = match (looked.failed, looked.forbidden) {
            (Some(why), _) => NoTarget::Lookup { name: host, why },
            (None, Some((address, network))) => NoTarget::Forbidden {
                domain,
                host,
                address,
                network,
            },
            (None, None) if looked.any => continue,
            (None, None) => NoTarget::NoAddress {
                domain,
                host,
                beyond: exchangers.cut,
            },
        };
        worse(&mut why, other);
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

/// What the addresses of one host are.
#[derive(Default)]
struct Looked {
    /// There is an address.
    any: bool,
    /// Those that may be connected to.
    fine: Vec<IpAddr>,
    /// One of them is ours.
    own: bool,
    /// The first that may not be connected to.
    forbidden: Option<(IpAddr, Network)>,
    /// Why there may be more.
    failed: Option<String>,
}

impl Looked {
    fn at(answer: Answer<IpAddr>, judge: &dyn Fn(IpAddr) -> Judged) -> Self {
        let (all, failed) = answer.into_parts();
        let mut looked = Self {
            any: !all.is_empty(),
            failed,
            ..Self::default()
        };
        let mut judged: Vec<IpAddr> = Vec::new();
        for address in all {
            let of_kind = judged
                .iter()
                .filter(|one| one.is_ipv6() == address.is_ipv6());
            if of_kind.count() == MOST_LOOKED_AT || judged.contains(&address) {
                continue;
            }
            judged.push(address);
            match judge(address) {
                Judged::Fine => looked.fine.push(address),
                Judged::Own => looked.own = true,
                Judged::Forbidden(network) => {
                    looked.forbidden.get_or_insert((address, network));
                }
            }
        }
        looked
    }
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
