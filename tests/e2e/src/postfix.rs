//! Postfix as a peer: an instance of its own in a temporary folder.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::gateway::{free_address, wait_for_greeting};

/// A running instance; stopped when dropped.
#[derive(Debug)]
pub struct Postfix {
    folder: tempfile::TempDir,
    address: SocketAddr,
    master: u32,
}

impl Postfix {
    /// Starts an instance on loopback that relays to nobody and looks nothing up in DNS. `settings`
    /// are further lines of its main.cf.
    ///
    /// # Errors
    /// When it does not start, with what it said. Needs root and the Debian package `postfix`.
    pub fn start(settings: &str) -> io::Result<Self> {
        // Its daemons run as another user, who must be able to walk to the queue.
        let folder = tempfile::Builder::new()
            .prefix("postern-postfix-")
            .tempdir_in("/var/tmp")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let address = free_address();
        write_configuration(folder.path(), address, settings)?;
        postfix(folder.path(), "start")?;
        let pid = fs::read_to_string(folder.path().join("queue/pid/master.pid"))?;
        let instance = Self {
            folder,
            address,
            master: pid.trim().parse().map_err(io::Error::other)?,
        };
        wait_for_greeting(address)?;
        Ok(instance)
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its master process: the parent of all others.
    pub fn master(&self) -> u32 {
        self.master
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("mail.log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if let Err(error) = postfix(self.folder.path(), "stop") {
            eprintln!("postfix does not stop: {error}");
        }
    }
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

fn write_configuration(folder: &Path, address: SocketAddr, settings: &str) -> io::Result<()> {
    let etc = folder.join("etc");
    fs::create_dir(&etc)?;
    for (name, owner) in [("queue", "root"), ("data", "postfix")] {
        let path = folder.join(name);
        fs::create_dir(&path)?;
        Command::new("chown").arg(owner).arg(&path).status()?;
    }
    // Defaults, but for what a peer on loopback needs: no DNS, no limits by client.
    let main = format!(
        "compatibility_level = 3.6\n\
         queue_directory = {folder}/queue\n\
         data_directory = {folder}/data\n\
         maillog_file = {folder}/mail.log\n\
         maillog_file_prefixes = {folder}\n\
         myhostname = postfix.test\n\
         mydestination =\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         mynetworks = 127.0.0.0/8\n\
         disable_dns_lookups = yes\n\
         smtpd_peername_lookup = no\n\
         smtpd_client_connection_count_limit = 0\n\
         smtpd_client_connection_rate_limit = 0\n\
         message_size_limit = 52428800\n\
         {settings}\n",
        folder = folder.display(),
    );
    fs::write(etc.join("main.cf"), main)?;
    fs::write(
        etc.join("master.cf"),
        MASTER.replace("PORT", &address.port().to_string()),
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
