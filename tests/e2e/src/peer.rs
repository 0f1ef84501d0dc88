//! Programs of other projects that tests talk to: where they are, and what installs them.

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

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

/// A proxy that tells servers of its clients.
pub const HAPROXY: Peer = Peer {
    program: "haproxy",
    package: "haproxy",
};
/// Starts a program as systemd starts one that it hands sockets to.
pub const SOCKET_ACTIVATE: Peer = Peer {
    program: "systemd-socket-activate",
    package: "systemd",
};
/// Judges units.
pub const SYSTEMD_ANALYZE: Peer = Peer {
    program: "systemd-analyze",
    package: "systemd",
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

/// Runs tests that need peers, each with its name: the `main` of a suite without a harness. A test whose peer is missing is
/// listed as ignored, with the Debian package in its name; with `CI` set it fails.
pub fn run<F>(tests: impl IntoIterator<Item = (&'static str, &'static [Peer], F)>) -> !
where
    F: FnOnce() -> Result<(), Failed> + Send + 'static,
{
    let must = std::env::var_os("CI").is_some();
    let trials = tests
        .into_iter()
        .map(|(name, peers, run)| match missing(peers) {
            packages if packages.is_empty() => Trial::test(name, run),
            packages if must => {
                let message = format!("install {}", packages.join(" "));
                Trial::test(name, move || Err(message.into()))
            }
            packages => {
                let name = format!("{name} (skipped: install {})", packages.join(" "));
                Trial::test(name, run).with_ignored_flag(true)
            }
        });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
