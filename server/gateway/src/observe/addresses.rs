//! How mail addresses appear in the log.

use std::fmt::Write as _;

use postern_config::settings::service::LogAddresses;
use sha2::{Digest, Sha256};

/// Writes addresses as the operator wants them.
#[derive(Clone, Debug)]
pub struct AddressLog {
    how: LogAddresses,
    /// Makes digests of this run differ from those of others, so that nobody can look addresses up in a table.
    key: [u8; 16],
}

impl AddressLog {
    /// With a key of its own.
    #[must_use]
    pub fn new(how: LogAddresses) -> Self {
        Self {
            how,
            key: *uuid::Uuid::now_v7().as_bytes(),
        }
    }

    /// The address as it may stand in the log. The null sender and the bare postmaster are no secret.
    #[must_use]
    pub fn show(&self, address: &str) -> String {
        match (&self.how, address.rsplit_once('@')) {
            (LogAddresses::Full, _) | (_, None) => address.to_owned(),
            (LogAddresses::Domain, Some((_, domain))) => format!("@{domain}"),
            (LogAddresses::Hashed, Some(_)) => self.digest(address),
        }
    }

    /// The name of a user, often an address, as it may stand in the log.
    #[must_use]
    pub fn show_name(&self, name: &str) -> String {
        match self.how {
            LogAddresses::Full => name.to_owned(),
            LogAddresses::Domain if name.contains('@') => self.show(name),
            LogAddresses::Domain | LogAddresses::Hashed => self.digest(name),
        }
    }

    fn digest(&self, address: &str) -> String {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update(address.to_lowercase())
            .finalize();
        let mut text = String::from("#");
        for octet in digest.iter().take(8) {
            // A string takes whatever is written to it.
            let _written = write!(text, "{octet:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_asked_for() {
        let full = AddressLog::new(LogAddresses::Full);
        assert_eq!(full.show("Anna@example.test"), "Anna@example.test");
        let domain = AddressLog::new(LogAddresses::Domain);
        assert_eq!(domain.show("\"a@b\"@example.test"), "@example.test");
        assert_eq!(domain.show("<>"), "<>");
        let hashed = AddressLog::new(LogAddresses::Hashed);
        let shown = hashed.show("Anna@example.test");
        assert!(!shown.contains("nna") && !shown.contains("example"));
        assert_eq!(shown, hashed.show("anna@Example.test"));
        assert_ne!(shown, hashed.show("carl@example.test"));
    }
}
