//! Listening sockets that the service manager has bound and hands over (systemd's socket activation): connections wait in them
//! while the gateway is replaced, and it needs no privilege for ports below 1024.

use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Socket;

/// Descriptors can be owned once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The name of a socket that comes without one, as sd_listen_fds_with_names(3) has it.
const NAMELESS: &str = "unknown";

/// Sockets that were handed over, by name, as far as nobody has taken them.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, Socket)>,
}

impl Inherited {
    /// Takes them from the environment; later calls find none.
    ///
    /// # Errors
    /// The variables of the environment are not what systemd writes.
    pub fn from_environment() -> Result<Self, sd_listen_fds::Error> {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Self::default());
        }
        let sockets = sd_listen_fds::get()?.into_iter().map(|(name, descriptor)| {
            let name = name.unwrap_or_else(|| NAMELESS.to_owned());
            (name, Socket::from(descriptor.into_std()))
        });
        Ok(Self {
            sockets: sockets.collect(),
        })
    }

    /// All sockets of a name.
    pub(super) fn take(&mut self, name: &str) -> Vec<Socket> {
        let own = self.sockets.extract_if(.., |(of, _)| of == name);
        own.map(|(_, socket)| socket).collect()
    }

    /// The names of those that nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.sockets.iter().map(|(name, _)| name.as_str())
    }
}
