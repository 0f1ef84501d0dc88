//! Postfix as the peer: an instance of its own in a temporary folder, with 0, 1 or 5 null milters.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::gateway::{Filters, Gateway, free_port, wait_for_banner};

/// The Debian packages that this needs.
pub(crate) const PACKAGES: &str = "postfix libmilter-dev gcc";

/// A running instance; stopped when dropped.
pub(crate) struct Postfix {
    folder: tempfile::TempDir,
    address: SocketAddr,
    master: u32,
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
        // Its daemons run as another user, who must be able to walk to the queue.
        let folder = tempfile::Builder::new()
            .prefix("postern-bench-")
            .tempdir_in("/var/tmp")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let milters = start_milters(milter, filters)?;
        let port = free_port()?;
        write_configuration(folder.path(), port, next_hop, milters.ports())?;
        postfix(folder.path(), "start")?;
        let pid = fs::read_to_string(folder.path().join("queue/pid/master.pid"))?;
        let master = pid.trim().parse().map_err(io::Error::other)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for_banner(address)?;
        Ok(Self {
            folder,
            address,
            master,
            milters,
        })
    }
}

impl Gateway for Postfix {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.master]
    }

    fn filters(&self) -> &Filters {
        &self.milters
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if let Err(error) = postfix(self.folder.path(), "stop") {
            eprintln!("postfix does not stop: {error}");
        }
    }
}

fn start_milters(program: &Path, count: usize) -> io::Result<Filters> {
    let mut filters = Filters::default();
    for _ in 0..count {
        let port = free_port()?;
        let child: Child = Command::new(program)
            .arg(format!("inet:{port}@127.0.0.1"))
            .stdin(Stdio::null())
            .spawn()?;
        filters.push(child, port)?;
    }
    Ok(filters)
}

fn postfix(folder: &Path, verb: &str) -> io::Result<()> {
    let output = Command::new("postfix")
        .arg("-c")
        .arg(folder.join("etc"))
        .arg(verb)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "postfix {verb}: {}",
        String::from_utf8_lossy(&output.stderr)
    )))
}

fn write_configuration(
    folder: &Path,
    port: u16,
    next_hop: SocketAddr,
    milters: &[u16],
) -> io::Result<()> {
    let etc = folder.join("etc");
    let log = folder.join("mail.log");
    fs::create_dir(&etc)?;
    for (name, owner) in [("queue", "root"), ("data", "postfix")] {
        let path = folder.join(name);
        fs::create_dir(&path)?;
        Command::new("chown").arg(owner).arg(&path).status()?;
    }
    let milters: Vec<String> = milters
        .iter()
        .map(|port| format!("inet:127.0.0.1:{port}"))
        .collect();
    // Defaults, but for what a benchmark on loopback needs: no DNS, no limits by client.
    let main = format!(
        "compatibility_level = 3.6\n\
         queue_directory = {folder}/queue\n\
         data_directory = {folder}/data\n\
         maillog_file = {log}\n\
         maillog_file_prefixes = {folder}\n\
         myhostname = postfix.test\n\
         mydestination =\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         mynetworks = 127.0.0.0/8\n\
         relayhost = [127.0.0.1]:{next}\n\
         disable_dns_lookups = yes\n\
         smtpd_peername_lookup = no\n\
         smtpd_client_connection_count_limit = 0\n\
         smtpd_client_connection_rate_limit = 0\n\
         smtpd_tls_security_level = none\n\
         smtp_tls_security_level = none\n\
         message_size_limit = 52428800\n\
         smtpd_milters = {milters}\n\
         milter_default_action = tempfail\n",
        folder = folder.display(),
        log = log.display(),
        next = next_hop.port(),
        milters = milters.join(" "),
    );
    fs::write(etc.join("main.cf"), main)?;
    fs::write(
        etc.join("master.cf"),
        MASTER.replace("PORT", &port.to_string()),
    )
}

const MASTER: &str = "\
127.0.0.1:PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
