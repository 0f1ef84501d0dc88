//! The service's own handling of a recipient: who may send to whom.

mod ways_out;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox};
use postern_smtp::reply::Reply;
use postern_transport::{Directory as _, Entry};

pub use self::ways_out::WaysOut;
use super::directory::KnownNames;
use super::mailboxes::Mailboxes;
use super::recipients::RecipientFile;
use super::replies;

/// Names that one recipient may have one after the other.
const MOST_NAMES: usize = 10;

/// Which recipients of one `[[domain]]` exist.
#[derive(Clone, Debug)]
pub enum Recipients {
    /// All.
    Any,
    /// Those in a file.
    File(Arc<RecipientFile>),
}

/// One `[[domain]]`.
#[derive(Clone, Debug)]
struct Hosted {
    recipients: Recipients,
    /// Where its mail is stored here.
    mailboxes: Option<Arc<Mailboxes>>,
}

/// The domains that are accepted from anybody.
#[derive(Debug, Default)]
pub struct Domains {
    exact: HashMap<String, Hosted>,
    /// `example.test` for `*.example.test`.
    below: HashMap<String, Hosted>,
}

impl Domains {
    /// Adds a domain as the configuration names it: `example.test`, or `*.example.test` for its subdomains.
    /// `mailboxes`: where its mail is stored here.
    pub fn insert(
        &mut self,
        name: &str,
        recipients: Recipients,
        mailboxes: Option<Arc<Mailboxes>>,
    ) {
        let name = name.to_ascii_lowercase();
        let hosted = Hosted {
            recipients,
            mailboxes,
        };
        match name.strip_prefix("*.") {
            Some(parent) => self.below.insert(parent.to_owned(), hosted),
            None => self.exact.insert(name, hosted),
        };
    }

    /// The domain with this A-label key: by its own name, else by the nearest parent with a wildcard.
    fn find(&self, key: &str) -> Option<&Hosted> {
        self.exact.get(key).or_else(|| {
            let mut rest = key;
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(hosted) = self.below.get(parent) {
                    return Some(hosted);
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
    /// Other names of their recipients.
    pub names: Arc<KnownNames>,
    /// Where mail of other domains may go.
    pub ways_out: WaysOut,
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
            ForwardPath::Mailbox(mailbox) => self.hosted(mailbox).is_some(),
        }
    }

    fn hosted(&self, mailbox: &Mailbox) -> Option<&Hosted> {
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
        let mut named = Cow::Borrowed(path);
        // Each name is looked up, and bounded: what leads in a circle is judged as it is, and fails when it is resolved.
        for _ in 0..MOST_NAMES {
            match self.names.look_up(&named) {
                Some(Entry::Members { .. }) => return Ok(()),
                Some(Entry::Other(other)) => named = Cow::Owned(other),
                None => break,
            }
        }
        match &*named {
            // RFC 5321 4.5.1: always there.
            ForwardPath::Postmaster => Ok(()),
            ForwardPath::Mailbox(mailbox) => self.judge_mailbox(&named, mailbox, may_relay),
        }
    }

    fn judge_mailbox(
        &self,
        path: &ForwardPath,
        mailbox: &Mailbox,
        may_relay: bool,
    ) -> Result<(), Reply> {
        let Some(hosted) = self.hosted(mailbox) else {
            return match (may_relay, self.ways_out.lead_to(mailbox.domain())) {
                (false, _) => Err(replies::relay_denied()),
                (true, false) => Err(replies::no_route()),
                (true, true) => Ok(()),
            };
        };
        if let Recipients::File(file) = &hosted.recipients
            && !is_postmaster(mailbox)
            && !file.contains(mailbox)
        {
            return Err(replies::unknown_recipient());
        }
        match &hosted.mailboxes {
            Some(mailboxes) => mailboxes.judge(path),
            None => Ok(()),
        }
    }
}

fn is_postmaster(mailbox: &Mailbox) -> bool {
    mailbox.key(true).local() == "postmaster"
}

fn is_in(client: Option<IpAddr>, networks: &[IpNet]) -> bool {
    client.is_some_and(|addr| {
        let addr = addr.to_canonical();
        networks.iter().any(|net| net.contains(&addr))
    })
}

#[cfg(test)]
mod tests;
