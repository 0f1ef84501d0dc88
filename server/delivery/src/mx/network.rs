//! Addresses that no host of the Internet has.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network that strangers cannot mean when they name a host (RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// `0.0.0.0/8` and `::`: this host, or none.
    Unspecified,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// Networks of a site: RFC 1918, `fc00::/7`, `fec0::/10`, and `100.64.0.0/10` behind a provider's translation.
    Private,
    /// `169.254.0.0/16` and `fe80::/10`.
    LinkLocal,
    /// Multicast, broadcast, and what is reserved.
    Reserved,
}

impl Network {
    /// The network that an address is in; `None`: the Internet. An IPv6 address that stands for an IPv4 one is taken for
    /// that.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(address) => Self::of_v4(address),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Option<Self> {
        match address.octets() {
            [0, ..] => Some(Self::Unspecified),
            [127, ..] => Some(Self::Loopback),
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
                Some(Self::Private)
            }
            [169, 254, ..] => Some(Self::LinkLocal),
            // IETF protocols, and benchmarks.
            [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..] => Some(Self::Reserved),
            _ => None,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Option<Self> {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Some(Self::Unspecified),
            [0, 0, 0, 0, 0, 0, 0, 1] => Some(Self::Loopback),
            [0xfe80..=0xfebf, ..] => Some(Self::LinkLocal),
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some(Self::Private),
            // A site's own translator (RFC 8215), what is thrown away (RFC 6666), and Teredo (RFC 4380): each leads elsewhere
            // than it says.
            [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] | [0x2001, 0, ..] => Some(Self::Reserved),
            [0xff00..=0xffff, ..] => Some(Self::Reserved),
            _ => None,
        }
    }
}

/// The IPv4 address behind one of IPv6: mapped, compatible, translated (RFC 2765), of a translator (RFC 6052), or of a 6to4
/// relay (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "an address of a private network",
            Self::LinkLocal => "a link-local address",
            Self::Reserved => "a reserved address",
        })
    }
}
