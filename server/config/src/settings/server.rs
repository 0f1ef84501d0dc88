//! `[[server]]`: a virtual server is listeners with one identity, one policy and their own bindings.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use crate::kind::listen::{ListenAddress, Listener, SocketAccess};
use crate::kind::{Count, File, HostName, List, Maybe, Name, Network, OneOrMany, Size, Span, Sub};
use crate::section::{choice, section};

section! {
    /// A virtual server: listeners with one identity and one policy.
    Server at "server" {
        /// The name by which bindings, logs and metrics call it.
        name: String as Name;
        /// The name that the greeting, EHLO replies and Received headers give.
        hostname: String as HostName;
        /// What is spoken on the listeners.
        protocol: Protocol as Protocol = "smtp";
        /// Where it listens: `"address:port"`, `"unix:/path"`, or `{ address = "…", tls = "implicit" }`. Port 0 takes
        /// a free port and logs it.
        listen: Vec<Listener> as OneOrMany<Listener>;
        /// Which names clients may give in HELO, EHLO and LHLO.
        hello: HelloNames as HelloNames = "any" => "501 5.5.4 after HELO, EHLO or LHLO";
        /// How closely the addresses of MAIL and RCPT have to keep to the grammar.
        address_syntax: AddressSyntax as AddressSyntax = "lenient" => "501 5.5.4, 5.1.7 or 5.1.3 after MAIL or RCPT";
        /// The largest message that is taken, in octets as they arrive.
        max_message_size: u64 as Size = "25 MiB" => "552 5.3.4 after MAIL when SIZE says so, else after the content";
        /// Networks whose clients may send to any domain. Others reach only the `[[domain]]`s.
        relay_from: Vec<IpNet> as List<Network> = "[]" => "550 5.7.1 after RCPT for a domain that is not ours";
        /// Networks of the proxies that connect to listeners with `proxy = true`. What their headers say is believed: the client's
        /// address counts everywhere, in `relay_from` too.
        proxy_from: Vec<IpNet> as List<Network> = "[]" => "554 5.7.1 in place of the greeting, for others";
        /// Networks whose clients may give their messages a priority (MT-PRIORITY, RFC 6710). To others it is not offered.
        priority_from: Vec<IpNet> as List<Network> = "[]" => "555 5.5.4 after MAIL with MT-PRIORITY from others";
        /// What one client is told when verdicts differ between the recipients of a message.
        mixed_verdicts: MixedVerdicts as MixedVerdicts = "reject";
        /// What happens to the rest of an upload that was refused while it still arrives by DATA.
        early_refusal: EarlyRefusal as EarlyRefusal = "drain";
        /// Certificate and key for STARTTLS and implicit TLS. A list of them is chosen from by SNI; the first one serves
        /// clients that name no host, or an unknown one. Left out: no TLS. The files are read again when they change.
        tls: Vec<Certificate> as OneOrMany<Sub<Certificate>> = "[]";
        /// Who may submit mail here, and how: with `protocol = "submission"`, and only with that.
        submission: Option<Submission> as Maybe<Sub<Submission>>;
        /// What one client, one session and one message may use.
        limits: Limits as Sub<Limits>;
        /// The time in which a client gets its reply, whatever the sinks do.
        budgets: Budgets as Sub<Budgets>;
    }
    later {
        "xclient_from" => 3;
    }
}

choice! {
    /// What is spoken on a listener.
    Protocol {
        /// SMTP between mail servers (RFC 5321).
        Smtp = "smtp";
        /// Submission by users (RFC 6409): SMTP after AUTH, over TLS. Port 587 with STARTTLS, port 465 with
        /// `tls = "implicit"`.
        Submission = "submission";
        /// LMTP (RFC 2033): one reply for each recipient after the content.
        Lmtp = "lmtp";
    }
    later {
        "milter" => 6;
    }
}

choice! {
    /// Which names clients may give.
    HelloNames {
        /// Any: printers and telephones often have no valid one. A condition can ask `session.helo_valid`.
        Any = "any";
        /// Domains and address literals alone (RFC 5321).
        Strict = "strict";
    }
}

choice! {
    /// How closely addresses have to keep to the grammar.
    AddressSyntax {
        /// Also with blanks before them or without angle brackets, with dots in a row or at the ends of the local part,
        /// and with an underscore in the domain.
        Lenient = "lenient";
        /// As RFC 5321 has it.
        Strict = "strict";
    }
}

choice! {
    /// What one client is told when verdicts differ between recipients.
    MixedVerdicts {
        /// The message is refused for all: 4xx if any verdict is temporary, else 5xx.
        Reject = "reject";
    }
    later {
        "split" => 2;
        "bounce" => 2;
        "drop" => 2;
    }
}

choice! {
    /// What happens to the rest of an upload that was refused early.
    EarlyRefusal {
        /// It is read and thrown away up to its real end, then the reply is sent and the session goes on.
        Drain = "drain";
        /// The connection is closed after the reply.
        Close = "close";
    }
}

section! {
    /// A certificate chain with its private key, both in PEM.
    Certificate at "server.tls" {
        /// The certificate, followed by its intermediates.
        cert: PathBuf as File;
        /// The private key that belongs to the certificate.
        key: PathBuf as File;
    }
}

section! {
    /// Who may submit mail, and how. Users who have authenticated may send to any domain. Checking passwords takes 160 MiB
    /// of memory at most, for all virtual servers together and beside `[memory]`; one hash that asks for more is checked
    /// alone.
    Submission at "server.submission" {
        /// The file of users, which `postern user` writes: names, hashes of passwords, verifiers for SCRAM, and the senders
        /// that each user may name. It is read again when it changes.
        users: PathBuf as File;
        /// Whether a client may authenticate without TLS.
        auth_in_clear: AuthInClear as AuthInClear = "never" => "538 5.7.11 after AUTH, 530 5.7.0 after MAIL";
        /// Authentications that may fail in one session, by 535 or 454.
        failures_per_session: u32 as Count = "3" => "421 4.7.0, then the connection ends";
        /// Authentications that may fail within an hour from one IPv4 address, one IPv6 /64, or one user on Unix sockets. Then
        /// no password of this client is checked until fewer are left in the hour. Users who have authenticated from there
        /// within 30 days have so many each, apart from the others.
        failures_per_client: u32 as Count = "20" => "454 4.7.0 after AUTH";
        /// Authentications that may fail within an hour for one name, whether there is such a user or not. Clients from which
        /// the user has authenticated within 30 days do not count, and still may.
        failures_per_user: u32 as Count = "50" => "454 4.7.0 after AUTH";
        /// Messages that one user may send within an hour. Left out: as many as they like.
        messages_per_hour: Option<u32> as Maybe<Count> => "450 4.7.1 after MAIL";
        /// Recipients that one user may name within an hour. Left out: as many as they like.
        recipients_per_hour: Option<u32> as Maybe<Count> => "450 4.7.1 after RCPT";
        /// What becomes of a message without a `Date` or a `Message-ID` field.
        missing_fields: MissingFields as MissingFields = "add";
        /// What becomes of a message without a `From` field.
        missing_from: MissingFrom as MissingFrom = "refuse" => "554 5.6.0 after the content";
    }
}

choice! {
    /// Where AUTH may be without TLS.
    AuthInClear {
        /// Nowhere.
        Never = "never";
        /// From this machine: over loopback and Unix sockets.
        Loopback = "loopback";
    }
}

choice! {
    /// What becomes of a message without `Date` or `Message-ID`.
    MissingFields {
        /// They are added: the time of the acceptance, and an id of our own.
        Add = "add";
        /// It goes as it came.
        Leave = "leave";
    }
}

choice! {
    /// What becomes of a message without `From`.
    MissingFrom {
        /// It is refused.
        Refuse = "refuse";
        /// The sender of the envelope is added. From the null sender it is refused.
        Add = "add";
        /// It goes as it came.
        Leave = "leave";
    }
}

section! {
    /// What one client, one session and one message may use.
    Limits at "server.limits" {
        /// Sessions at the same time on this virtual server.
        connections: u32 as Count = "10000" => "421 4.3.2 in place of the greeting";
        /// Sessions at the same time from one IPv4 address, one IPv6 /64, or one user on Unix sockets.
        connections_per_client: u32 as Count = "100" => "421 4.7.0 in place of the greeting";
        /// Messages in one session.
        messages_per_session: u32 as Count = "1000" => "421 4.7.0 after MAIL, then the connection ends";
        /// Recipients of one message. Those already accepted stay.
        recipients: u32 as Count = "1000" => "452 4.5.3 after RCPT";
        /// Refused commands in one session.
        errors: u32 as Count = "20" => "421 4.7.0, then the connection ends";
        /// Commands that move no mail (NOOP, RSET, VRFY, HELP and EHLO again) since the last message.
        junk_commands: u32 as Count = "100" => "421 4.7.0, then the connection ends";
        /// Octets in one line of content. A command line has at most 4096; a longer one is read to its end without
        /// being kept, and one longer than this ends the session.
        line_length: u64 as Size = "64 KiB" => "500 5.5.6 for a command, 554 5.6.0 for content";
        /// Octets in the header section of a message.
        header_size: u64 as Size = "256 KiB" => "552 5.3.4 after the content";
        /// Fields in the header section of a message.
        header_count: u32 as Count = "1000" => "552 5.3.4 after the content";
        /// Time in which the client has to send the next whole command.
        command_timeout: Duration as Span = "5m" => "421 4.4.2, then the connection ends";
        /// Time in which the client has to send the next piece of content.
        data_timeout: Duration as Span = "3m" => "421 4.4.2, then the connection ends";
        /// Octets of content for each second, taken over a minute.
        body_rate_min: u64 as Size = "1 KiB" => "421 4.4.2, then the connection ends";
        /// Time for a TLS handshake.
        tls_handshake_timeout: Duration as Span = "30s" => "none: the connection ends";
    }
}

section! {
    /// The time in which a client gets its reply, all sinks of all chains together.
    Budgets at "server.budgets" {
        /// For the reply to a command.
        command: Duration as Span = "90s" => "451 4.7.1 by the failure policy of the binding that used it up";
        /// For the reply to the end of a message.
        message: Duration as Span = "4m" => "451 4.7.1 by the failure policy of the binding that used it up";
    }
}
