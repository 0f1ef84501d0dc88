//! What belongs to the gateway as a whole: `[spool]`, `[metrics]`, `[log]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::kind::{File, Maybe, Size, Socket};
use crate::section::{choice, section};

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
        /// Memory for contents above 32 KiB that are on disk already, so that their first delivery need not read
        /// them back. One message has an eighth of it at most. What finds no room here is read from the disk.
        memory: u64 as Size = "16 MiB";
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
