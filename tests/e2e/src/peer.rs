//! Programs of other projects that tests talk to: where they are, and what installs them.

use std::path::{Path, PathBuf};

/// A program that a test needs, with the Debian package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The program's name.
    pub program: &'static str,
    /// The Debian package that installs it.
    pub package: &'static str,
}

/// Postfix's load generator.
pub const SMTP_SOURCE: Peer = Peer {
    program: "smtp-source",
    package: "postfix",
};
/// Postfix's receiving end.
pub const SMTP_SINK: Peer = Peer {
    program: "smtp-sink",
    package: "postfix",
};
/// The Swiss army knife for SMTP.
pub const SWAKS: Peer = Peer {
    program: "swaks",
    package: "swaks",
};
/// Knot DNS, an authoritative name server.
pub const KNOT: Peer = Peer {
    program: "knotd",
    package: "knot",
};
/// Python, for its smtplib and for sinks on bare stubs.
pub const PYTHON: Peer = Peer {
    program: "python3",
    package: "python3",
};

impl Peer {
    /// Where the program is, if it is installed.
    pub fn path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
            .map(|folder| folder.join(self.program))
            .find(|candidate| Path::is_file(candidate))
    }
}

/// The packages to install for those of `peers` that are missing.
pub fn missing(peers: &[Peer]) -> Vec<&'static str> {
    let mut packages: Vec<_> = peers
        .iter()
        .filter(|peer| peer.path().is_none())
        .map(|peer| peer.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}
