//! The service's own handling of a recipient: who may send to whom.

mod ways_out;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use postern_events::recipient_kind::RecipientKind;
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

impl Hosted {
    /// The recipient exists, as far as there is a list.
    fn lists(&self, mailbox: &Mailbox) -> bool {
        match &self.recipients {
            Recipients::Any => true,
            Recipients::File(file) => is_postmaster(mailbox) || file.contains(mailbox),
        }
    }
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

/// What a sink says of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// One of this service's own, somebody else's to whom the client may send, or as the service would say.
    pub kind: RecipientKind,
    /// The sink says where it goes, too.
    pub routed: bool,
}

/// Why a recipient is refused that a sink has spoken for.
#[derive(Debug)]
pub enum Unclaimed {
    /// The service would refuse it, and the sink leaves that to it; or nothing leads there.
    Refused(Reply),
    /// It counts as one of ours, and nothing delivers it: no `[[domain]]`, no next hop.
    NoWay,
}

impl Unclaimed {
    /// The reply that refuses it.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        match self {
            Self::Refused(reply) => reply,
            Self::NoWay => replies::misconfigured(),
        }
    }
}

impl From<Reply> for Unclaimed {
    fn from(reply: Reply) -> Self {
        Self::Refused(reply)
    }
}

/// The policy of one virtual server.
#[derive(Debug)]
pub struct Policy {
    /// Networks that may relay anywhere.
    pub relay_from: Vec<IpNet>,
    /// Networks that may set priorities.
    pub priority_from: Vec<IpNet>,
    /// Whose headers of the PROXY protocol are believed.
    pub proxy_from: Vec<IpNet>,
    /// Domains accepted from anybody.
    pub domains: Arc<Domains>,
    /// Other names of their recipients.
    pub names: Arc<KnownNames>,
    /// Where mail of other domains may go.
    pub ways_out: WaysOut,
}

impl Policy {
    /// Whether whoever connects from here may speak for clients. On a Unix socket, whoever may connect may.
    #[must_use]
    pub fn is_proxy(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_none_or(|peer| is_in(Some(peer.ip().to_canonical()), &self.proxy_from))
    }

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
        self.judge_routed(path, may_relay, false)
    }

    /// Judges a recipient. `routed`: where it goes is known, and is neither a mailbox here nor a way out.
    fn judge_routed(&self, path: &ForwardPath, may_relay: bool, routed: bool) -> Result<(), Reply> {
        let Some(named) = self.resolve(path) else {
            return Ok(());
        };
        match &*named {
            // RFC 5321 4.5.1: always there.
            ForwardPath::Postmaster => Ok(()),
            ForwardPath::Mailbox(mailbox) => self.judge_mailbox(&named, mailbox, may_relay, routed),
        }
    }

    /// Whom a recipient stands for. `None`: for others, who are judged by themselves.
    fn resolve<'a>(&self, path: &'a ForwardPath) -> Option<Cow<'a, ForwardPath>> {
        let mut named = Cow::Borrowed(path);
        // Each name is looked up, and bounded: what leads in a circle is judged as it is, and fails when it is resolved.
        for _ in 0..MOST_NAMES {
            match self.names.look_up(&named) {
                Some(Entry::Members { .. }) => return None,
                Some(Entry::Other(other)) => named = Cow::Owned(other),
                None => break,
            }
        }
        Some(named)
    }

    /// Judges a recipient that a sink has spoken for: its word stands in for domain, relay permission and list of recipients,
    /// and for nothing else. What it leaves open the service decides.
    ///
    /// # Errors
    /// [`Unclaimed`]
    pub fn judge_claimed(
        &self,
        path: &ForwardPath,
        may_relay: bool,
        claim: Claim,
    ) -> Result<(), Unclaimed> {
        let ForwardPath::Mailbox(mailbox) = path else {
            return Ok(());
        };
        let is_ours = self.hosted(mailbox).is_some();
        match claim.kind {
            RecipientKind::Hosted | RecipientKind::Relayed if claim.routed => Ok(()),
            RecipientKind::Hosted | RecipientKind::Relayed if is_ours => self.judge_stored(path),
            RecipientKind::Hosted => Err(Unclaimed::NoWay),
            RecipientKind::Relayed => match self.ways_out.lead_to(mailbox.domain()) {
                true => Ok(()),
                false => Err(replies::no_route().into()),
            },
            RecipientKind::Unspecified | RecipientKind::Forbidden | RecipientKind::Unknown => {
                Ok(self.judge_routed(path, may_relay, claim.routed)?)
            }
        }
    }

    /// Judges a recipient of ours by what stores its mail, and by nothing else.
    fn judge_stored(&self, path: &ForwardPath) -> Result<(), Unclaimed> {
        let Some(named) = self.resolve(path) else {
            return Ok(());
        };
        let hosted = named.mailbox().and_then(|mailbox| self.hosted(mailbox));
        match hosted.and_then(|hosted| hosted.mailboxes.as_ref()) {
            Some(mailboxes) => Ok(mailboxes.judge(&named)?),
            None => Ok(()),
        }
    }

    fn judge_mailbox(
        &self,
        path: &ForwardPath,
        mailbox: &Mailbox,
        may_relay: bool,
        routed: bool,
    ) -> Result<(), Reply> {
        let Some(hosted) = self.hosted(mailbox) else {
            let leads = routed || self.ways_out.lead_to(mailbox.domain());
            return match (may_relay, leads) {
                (false, _) => Err(replies::relay_denied()),
                (true, false) => Err(replies::no_route()),
                (true, true) => Ok(()),
            };
        };
        if !hosted.lists(mailbox) {
            return Err(replies::unknown_recipient());
        }
        match &hosted.mailboxes {
            Some(mailboxes) if !routed => mailboxes.judge(path),
            _ => Ok(()),
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
