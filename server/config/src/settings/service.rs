//! What belongs to the gateway as a whole: `[process]`, `[spool]`, `[memory]`, `[admin]`, `[metrics]`, `[log]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::kind::{Account, File, Maybe, Size, Socket, Span};
use crate::section::{choice, section};

section! {
    /// As whom the gateway runs.
    Process at "process" {
        /// The user that the gateway becomes once it listens and has read its keys, where root starts it: a name or a
        /// number, with the groups that the system knows for it. `"root"`: it stays root and is not warned of. Left out: it
        /// stays whoever starts it.
        user: Option<String> as Maybe<Account>;
        /// Time for what runs to end, once the gateway is told to stop: sessions that are in a transaction, questions to
        /// sinks, deliveries. A service manager must give more (`TimeoutStopSec`, `terminationGracePeriodSeconds`).
        drain: Duration as Span = "25s";
    }
}

section! {
    /// Where messages persist until they leave.
    Spool at "spool" {
        /// The store driver.
        driver: SpoolDriver as SpoolDriver = "embedded";
        /// The state folder. Messages, accepted descriptions of sinks and the lock are in it. It has to be on a
        /// local disk, and one gateway owns it.
        path: PathBuf as File = "/var/lib/postern";
        /// Free space below which no further message is taken, so that the results of those already taken can still
        /// be recorded.
        min_free: u64 as Size = "512 MiB" => "452 4.3.1 after MAIL or the content";
    }
}

choice! {
    /// A store driver.
    SpoolDriver {
        /// SQLite and files in the state folder.
        Embedded = "embedded";
    }
    later {
        "postgres" => 8;
    }
}

section! {
    /// What sessions of clients may hold in memory: lines, addresses, header sections, content that is not on the disk
    /// yet, replies. Content for which there is no room goes to the disk at once; everything else is refused for now.
    Memory at "memory" {
        /// All clients of all virtual servers together.
        clients: u64 as Size = "256 MiB" => "421 4.3.1 in place of the greeting; 452 4.3.1 after MAIL, RCPT or the content; 454 4.3.1 after STARTTLS";
        /// One client: an IPv4 address, an IPv6 /64, or a user on Unix sockets. Never more than half of what is still
        /// free.
        per_client: u64 as Size = "64 MiB" => "the same replies";
        /// Beside what sessions hold: contents above 32 KiB that are on the disk already and stay in memory, so that
        /// their first delivery need not read them back. One content holds an eighth of it at most. What finds no
        /// room is read from the disk.
        contents: u64 as Size = "16 MiB";
    }
}

section! {
    /// Where the operator's commands reach the running gateway: `postern queue`, `postern status`, `postern drain`.
    Admin at "admin" {
        /// The Unix socket. Only root and the user that the gateway runs as are listened to. Left out: `admin.sock` in the
        /// state folder, which is there and is that user's alone, so that the commands work with nothing configured.
        socket: Option<PathBuf> as Maybe<File>;
    }
    later {
        "listen" => 7;
        "token_file" => 7;
    }
}

section! {
    /// The metrics and health listener.
    Metrics at "metrics" {
        /// Address and port for `/metrics`, `/livez` and `/readyz`, and nothing else. Left out: nothing listens.
        listen: Option<SocketAddr> as Maybe<Socket>;
    }
}

section! {
    /// What the log may hold.
    Log at "log" {
        /// How mail addresses appear in the log.
        addresses: LogAddresses as LogAddresses = "full";
    }
}

choice! {
    /// How mail addresses appear in the log.
    LogAddresses {
        /// As they are.
        Full = "full";
        /// A keyed digest in place of the address: the same address reads the same until the gateway restarts.
        Hashed = "hashed";
        /// The domain only.
        Domain = "domain";
    }
}
