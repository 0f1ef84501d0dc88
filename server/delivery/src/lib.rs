//! Handing messages to where they go: peers that speak SMTP or LMTP, the hosts that DNS names for a domain among them, and
//! Maildirs.
//!
//! Nothing here knows of the queue, of retries or of the spool's records. A delivery takes a message, some of its
//! recipients and a way to read the content, and says what became of each recipient ([`Attempted`]). The protocol is
//! `postern_smtp::client`; this module gives it sockets, TLS and a clock.

mod attempt;
mod connection;
mod content;
mod destination;
mod fitting;
mod folders;
mod hooks;
mod link;
mod mail_hosts;
mod maildir;
pub mod mx;
mod own;
mod resolver;
mod terms;
mod tls;

pub use attempt::{Attempted, Fate, PeerFacts, is_trouble, is_without_bdat};
pub use connection::{Connection, OpenError, Peer};
pub use content::{ContentReader, is_damage};
pub use destination::{Destination, Hop, HopAddress, Host, Hosts, LineEnds};
pub use fitting::{Fitted, Unfit, fit, fit_as_it_is};
pub use hooks::{CommandReply, Hooks, RemoteEnd, Revised, Secured, Sending, SessionHooks};
pub use link::{BoxFuture, ConnectError, Connected, Connector, Link, SystemConnector};
pub use mail_hosts::{MailHosts, MailPolicy};
pub use maildir::{Maildir, MaildirError, Occasion};
pub use own::OwnListeners;
pub use resolver::{LookedUp, OnLookup, RecordKind, Resolver, ResolverError};
pub use terms::{Terms, TlsPolicy};
pub use tls::{TlsSetupError, opportunistic, verified};

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod tests;
