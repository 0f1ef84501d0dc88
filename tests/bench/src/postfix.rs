//! Postfix as the peer, with 0, 1 or 5 null milters.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use postern_e2e::gateway::free_address;

use crate::gateway::{Filters, Gateway};

/// The Debian packages that this needs.
const PACKAGES: &str = "postfix libmilter-dev gcc";

/// A running instance and its milters.
pub(crate) struct Postfix {
    instance: postern_e2e::postfix::Postfix,
    milters: Filters,
}

/// Builds the null milter beside the benchmark's other files.
///
/// # Errors
/// When there is no C compiler or no libmilter, with the packages to install.
pub(crate) fn build_milter(into: &Path) -> io::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("milter/null.c");
    let program = into.join("null-milter");
    let status = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(source)
        .args(["-lmilter", "-lpthread"])
        .status()?;
    if status.success() {
        Ok(program)
    } else {
        Err(io::Error::other(format!(
            "the null milter does not compile: install {PACKAGES}"
        )))
    }
}

impl Postfix {
    /// Starts an instance that relays everything to `next_hop`, asking `filters` milters.
    pub(crate) fn start(milter: &Path, filters: usize, next_hop: SocketAddr) -> io::Result<Self> {
        let milters = start_milters(milter, filters)?;
        let addresses: Vec<String> = milters
            .addresses()
            .iter()
            .map(|a| format!("inet:{a}"))
            .collect();
        let settings = format!(
            "relayhost = [127.0.0.1]:{}\nsmtpd_milters = {}\nmilter_default_action = tempfail\n\
             smtpd_tls_security_level = none\nsmtp_tls_security_level = none\n",
            next_hop.port(),
            addresses.join(" "),
        );
        let instance = postern_e2e::postfix::Postfix::start(&settings)?;
        Ok(Self { instance, milters })
    }
}

impl Gateway for Postfix {
    fn address(&self) -> SocketAddr {
        self.instance.address()
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.instance.master()]
    }

    fn filters(&self) -> &Filters {
        &self.milters
    }
}

fn start_milters(program: &Path, count: usize) -> io::Result<Filters> {
    let mut filters = Filters::default();
    for _ in 0..count {
        let address = free_address();
        let child = Command::new(program)
            .arg(format!("inet:{}@127.0.0.1", address.port()))
            .stdin(Stdio::null())
            .spawn()?;
        filters.push(child, address)?;
    }
    Ok(filters)
}
