//! The service's own handling of a recipient: who may send to whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox};
use postern_smtp::reply::Reply;

use super::recipients::RecipientFile;
use super::replies;

/// Which recipients of one `[[domain]]` exist.
#[derive(Clone, Debug)]
pub enum Recipients {
    /// All.
    Any,
    /// Those in a file.
    File(Arc<RecipientFile>),
}

/// The domains that are accepted from anybody.
#[derive(Debug, Default)]
pub struct Domains {
    exact: HashMap<String, Recipients>,
    /// `example.test` for `*.example.test`.
    below: HashMap<String, Recipients>,
}

impl Domains {
    /// Adds a domain as the configuration names it: `example.test`, or `*.example.test` for its subdomains.
    pub fn insert(&mut self, name: &str, recipients: Recipients) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(parent) => self.below.insert(parent.to_owned(), recipients),
            None => self.exact.insert(name, recipients),
        };
    }

    /// The domain with this A-label key: by its own name, else by the nearest parent with a wildcard.
    fn find(&self, key: &str) -> Option<&Recipients> {
        self.exact.get(key).or_else(|| {
            let mut rest = key;
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(recipients) = self.below.get(parent) {
                    return Some(recipients);
                }
                rest = parent;
            }
            None
        })
    }
}

/// The policy of one virtual server.
#[derive(Debug)]
pub struct Policy {
    /// Networks that may relay anywhere.
    pub relay_from: Vec<IpNet>,
    /// Networks that may set priorities.
    pub priority_from: Vec<IpNet>,
    /// Domains accepted from anybody.
    pub domains: Arc<Domains>,
    /// There is a way out for other domains.
    pub has_outbound: bool,
}

impl Policy {
    /// Whether a client at this address may send anywhere. Clients on a Unix socket have no address and may not.
    #[must_use]
    pub fn may_relay(&self, client: Option<IpAddr>) -> bool {
        is_in(client, &self.relay_from)
    }

    /// Whether a client at this address may give its messages priorities. Clients on a Unix socket have no address and may not.
    #[must_use]
    pub fn may_set_priorities(&self, client: Option<IpAddr>) -> bool {
        is_in(client, &self.priority_from)
    }

    /// The recipient is in a domain of ours.
    #[must_use]
    pub fn is_ours(&self, path: &ForwardPath) -> bool {
        match path {
            ForwardPath::Postmaster => true,
            ForwardPath::Mailbox(mailbox) => self.recipients_of(mailbox).is_some(),
        }
    }

    fn recipients_of(&self, mailbox: &Mailbox) -> Option<&Recipients> {
        match mailbox.domain() {
            DomainOrLiteral::Domain(domain) => self.domains.find(domain.key()),
            DomainOrLiteral::Literal(_) => None,
        }
    }

    /// Judges a recipient.
    ///
    /// # Errors
    /// The reply that refuses it.
    pub fn judge(&self, path: &ForwardPath, may_relay: bool) -> Result<(), Reply> {
        match path {
            // RFC 5321 4.5.1: always there.
            ForwardPath::Postmaster => Ok(()),
            ForwardPath::Mailbox(mailbox) => self.judge_mailbox(mailbox, may_relay),
        }
    }

    fn judge_mailbox(&self, mailbox: &Mailbox, may_relay: bool) -> Result<(), Reply> {
        match self.recipients_of(mailbox) {
            Some(Recipients::Any) => Ok(()),
            Some(Recipients::File(file)) if is_postmaster(mailbox) || file.contains(mailbox) => {
                Ok(())
            }
            Some(Recipients::File(_)) => Err(replies::unknown_recipient()),
            None if !may_relay => Err(replies::relay_denied()),
            None if !self.has_outbound => Err(replies::no_route()),
            None => Ok(()),
        }
    }
}

fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox
        .unquoted_local_part()
        .eq_ignore_ascii_case("postmaster")
}

fn is_in(client: Option<IpAddr>, networks: &[IpNet]) -> bool {
    client.is_some_and(|addr| {
        let addr = addr.to_canonical();
        networks.iter().any(|net| net.contains(&addr))
    })
}

#[cfg(test)]
mod tests;
