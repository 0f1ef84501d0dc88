//! What counts as one client.

use std::net::{IpAddr, Ipv4Addr};

/// Whoever has a share of connections, handshakes and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 /64, since that is what one customer usually has.
    V6([u16; 4]),
    /// A user of this machine, on Unix sockets. `None`: the system does not say which.
    User(Option<u32>),
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}
