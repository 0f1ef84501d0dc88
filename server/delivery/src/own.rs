//! The gateway's own listeners, so that it never delivers to itself.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

/// Where this gateway listens. Cheap to clone; all clones are one list.
#[derive(Debug, Clone, Default)]
pub struct OwnListeners {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    tcp: Vec<SocketAddr>,
    unix: Vec<PathBuf>,
}

impl OwnListeners {
    /// Adds a listener with the address that it is bound to.
    pub fn add_tcp(&self, address: SocketAddr) {
        self.inner.write().tcp.push(address);
    }

    /// Adds a listener on a Unix socket.
    pub fn add_unix(&self, path: PathBuf) {
        self.inner.write().unix.push(path);
    }

    /// Whether a connection to `remote` ends at one of the listeners. `local` is our end of the connection, once there is
    /// one: a listener on all addresses is met if both ends are on this host.
    pub fn has_tcp(&self, remote: SocketAddr, local: Option<SocketAddr>) -> bool {
        let remote_ip = remote.ip().to_canonical();
        let here = remote_ip.is_loopback()
            || remote_ip.is_unspecified()
            || local.is_some_and(|local| local.ip().to_canonical() == remote_ip);
        self.inner.read().tcp.iter().any(|own| {
            let own_ip = own.ip().to_canonical();
            own.port() == remote.port()
                && (own_ip == remote_ip || (here && covers(own_ip, remote_ip)))
        })
    }

    /// Whether one of the listeners is this Unix socket.
    pub fn has_unix(&self, path: &Path) -> bool {
        self.inner.read().unix.iter().any(|own| own == path)
    }
}

/// A connection to `remote` on this host reaches a listener that is bound to `own`.
fn covers(own: IpAddr, remote: IpAddr) -> bool {
    own.is_unspecified() || (remote.is_unspecified() && own.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn own_listeners_are_recognised_whatever_they_are_bound_to() {
        let own = OwnListeners::default();
        own.add_tcp("192.0.2.1:25".parse().unwrap());
        own.add_tcp("0.0.0.0:2525".parse().unwrap());
        own.add_unix("/run/x".into());
        let local = Some("192.0.2.9:40000".parse().unwrap());
        for (remote, met) in [
            ("192.0.2.1:25", true),
            ("192.0.2.1:26", false),
            ("192.0.2.2:25", false),
            ("127.0.0.1:2525", true),
            ("[::ffff:127.0.0.1]:2525", true),
            ("0.0.0.0:2525", true),
            ("192.0.2.9:2525", true),
            ("192.0.2.8:2525", false),
        ] {
            assert_eq!(own.has_tcp(remote.parse().unwrap(), local), met, "{remote}");
        }
        assert!(own.has_unix(Path::new("/run/x")) && !own.has_unix(Path::new("/run/y")));
    }
}
