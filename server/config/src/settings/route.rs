//! `[[route]]`: how mail for some domains goes.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::kind::deliver::Deliver;
pub use crate::kind::secret::Secret;
use crate::kind::{
    DomainPattern, File, Host, HostName, List, Maybe, Name, OneOrMany, Span, Sub, Text,
};
use crate::section::{choice, section};

section! {
    /// How mail for some domains goes. Of all routes that match the domain of a recipient the one with the most specific match
    /// counts, and no other one.
    Route at "route" {
        /// The name by which the log calls it.
        name: String as Name;
        /// The domains: `example.org` itself, `*.example.org` for all below it, or `*` for all but those of a `[[domain]]`.
        domains named "match": String as DomainPattern;
        /// Where their mail goes. Left out: as `[outbound]` says. For a `[[domain]]` it is that which says it.
        deliver: Option<Deliver> as Maybe<Deliver>;
        /// Whether connections are encrypted.
        tls: TlsPolicy as TlsPolicy = "opportunistic";
        /// The authorities that may have issued a host's certificate, in PEM, for `tls = "verified"`. Left out: those that
        /// browsers trust.
        ca: Option<PathBuf> as Maybe<File>;
        /// As whom the gateway authenticates itself (RFC 4954) to the host that `deliver` names, here or in `[outbound]`. Where
        /// the host does not offer it or refuses it, nothing is sent.
        auth: Option<Auth> as Maybe<Sub<Auth>>;
        /// The addresses that connections come from, one for IPv4 and one for IPv6 at most. Hosts that have no address of the
        /// same kind are not reached. Left out: as the system chooses.
        source: Vec<IpAddr> as OneOrMany<Host> = "[]";
        /// The name given after EHLO. Left out: the `hostname` of the first `[[server]]`.
        ehlo: Option<String> as Maybe<HostName>;
        /// Waits between attempts, in place of those of `[queue]`.
        retry: Option<Vec<Duration>> as Maybe<List<Span>>;
        /// Age at which a message is given back, in place of that of `[queue]`.
        expire: Option<Duration> as Maybe<Span>;
    }
}

choice! {
    /// Whether connections are encrypted.
    TlsPolicy {
        /// If the host offers it. Who it is does not matter, and where the handshake fails the mail goes in clear text.
        Opportunistic = "opportunistic";
        /// Always. Who the host is does not matter.
        Required = "required";
        /// Always, to a host whose certificate is valid for its name.
        Verified = "verified";
        /// Never.
        Off = "off";
    }
}

section! {
    /// As whom the gateway authenticates itself to a next hop.
    Auth at "route.auth" {
        /// The user.
        user: String as Text;
        /// The password.
        password: Option<Secret> as Maybe<Secret>;
        /// A file with the password on its first line.
        password_file: Option<PathBuf> as Maybe<File>;
    }
}
