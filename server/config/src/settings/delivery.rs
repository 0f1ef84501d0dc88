//! Where accepted messages go: `[[domain]]`, `[outbound]`, `[queue]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use crate::kind::deliver::Deliver;
pub use crate::kind::recipients::Recipients;
use crate::kind::{Count, DomainName, File, Flag, List, Maybe, Network, Port, Socket, Span, Text};
use crate::section::{choice, section};

section! {
    /// A domain that is accepted from anybody.
    Domain at "domain" {
        /// The domain in its ASCII form, lower case; `*.example.test` for all its subdomains and not itself.
        name: String as DomainName;
        /// Which recipients exist. It has to be said: accepting what cannot be delivered makes bounces to strangers.
        recipients: Recipients as Recipients => "550 5.1.1 after RCPT for one that is not in the file";
        /// Where its mail goes: `smtp://host:port`, `lmtp://host:port`, `lmtp+unix:/path`, `maildir:/path/{user}`, `sink:name`:
        /// to the sink that keeps the mailboxes, or `mx`: to the hosts that DNS names for it and that are preferred to this
        /// gateway.
        deliver: Deliver as Deliver;
        /// With `maildir:` and `recipients = "any"`: a mailbox is made of an unknown name, up to 10000 of them. Without it who
        /// has no mailbox is refused.
        create: bool as Flag = "false" => "550 5.1.1 after RCPT for one without a mailbox; 452 4.2.2 for one too many";
        /// How lines end in the files of `maildir:`.
        line_ends: LineEnds as LineEnds = "crlf";
        /// A text file of aliases and lists, `name: address, address` on each line, as aliases(5) has it: a name is a local
        /// part or a whole address; `:include:FILE` stands for the addresses in that file. An alias is a recipient,
        /// whatever `recipients` says. Of a list with an alias `owner-NAME` that is the sender of what goes to its members.
        aliases: Option<PathBuf> as Maybe<File>;
        /// What stands between the name of a user and a tag of the user's own, as the `+` of `anna+lists@example.test`: one of
        /// `+ - _ = . #`. Mail goes to the user, unless there is a recipient or an alias with the whole name.
        subaddress: Option<String> as Maybe<Text>;
        /// Who gets mail for recipients that do not exist, in place of a refusal: a local part of the domain, or an address.
        /// It has to be known who exists: by `recipients = { file = "…" }`, or by mailboxes with `create = false`.
        catch_all: Option<String> as Maybe<Text>;
    }
}

section! {
    /// Another name of a `[[domain]]`: mail for it is mail for that one.
    DomainAlias at "domain_alias" {
        /// The domain in its ASCII form, lower case; `*.example.test` for all its subdomains and not itself.
        name: String as DomainName;
        /// The `[[domain]]` that it is another name of.
        of: String as DomainName;
    }
}

choice! {
    /// How lines end in the files of a Maildir.
    LineEnds {
        /// With CRLF, as they came: what is stored is what was judged, octet by octet.
        Crlf = "crlf";
        /// With LF, as tools that take the files for text want it.
        Lf = "lf";
    }
}

section! {
    /// Delivery of everything that is for no `[[domain]]`, and the times of every delivery.
    Outbound at "outbound" {
        /// The next hop, or `mx`: for each recipient the hosts that DNS names for its domain. Left out: nothing leaves but
        /// what is for a `[[domain]]`.
        deliver: Option<Deliver> as Maybe<Deliver>;
        /// The port of the hosts that `mx` finds.
        mx_port: u16 as Port = "25";
        /// Networks that `mx` may lead to although no host of the Internet is in them: loopback, private and link-local
        /// ones, `127.0.0.0/8` and `10.0.0.0/8` among them. Without it a stranger's MX records lead to none of them. What
        /// `smtp://host:port` names may be anywhere.
        allow_private: Vec<IpNet> as List<Network> = "[]";
        /// Time to connect to a next hop; with `mx`, to each of its hosts.
        connect_timeout: Duration as Span = "30s";
        /// Time for the next hop's reply to a command.
        command_timeout: Duration as Span = "5m";
        /// Time for the next hop's reply to the final dot; if it is less than 3 minutes, for each piece of the content too.
        data_timeout: Duration as Span = "10m";
        /// Whether what a next hop does not take is converted for it: 8-bit content without 8BITMIME, lines longer than 998
        /// octets. A conversion breaks signatures that were made of the content before (DKIM). Without it such mail comes back
        /// to its sender.
        convert: bool as Flag = "true";
        /// Connections open to one destination at the same time.
        connections_per_destination: u32 as Count = "20";
    }
}

section! {
    /// How `mx` looks names up.
    Dns at "dns" {
        /// Name servers that are asked, each with its port, such as `127.0.0.1:53`. They have to resolve names of the whole
        /// Internet. Left out: those of `/etc/resolv.conf`, as they are at the start.
        servers: Vec<SocketAddr> as List<Socket> = "[]";
    }
}

section! {
    /// How long and how often delivery is tried.
    Queue at "queue" {
        /// Waits between attempts, each with some jitter. The last one repeats.
        retry: Vec<Duration> as List<Span> = "[\"5m\", \"15m\", \"30m\", \"1h\", \"4h\"]";
        /// Age at which the sender of a message that still waits for some recipients is told so, once for each of them, unless
        /// `NOTIFY` says otherwise. One more attempt is made then. From the value of `expire` on nobody is told.
        warn_after: Duration as Span = "4h";
        /// Age at which a message that is still not delivered is given back with a delivery status notification.
        expire: Duration as Span = "5d";
    }
}
