//! The two sinks of the demonstration, each a process of its own.

use std::env;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A sink's process; killed when dropped.
#[derive(Debug)]
pub(crate) struct SinkProcess {
    child: Child,
    address: SocketAddr,
}

impl SinkProcess {
    /// Starts `program`, which lies beside this one or in the PATH. Its log goes to a file.
    ///
    /// # Errors
    /// When it is nowhere, or does not start.
    pub(crate) fn start(program: &str, log: &Path) -> io::Result<Self> {
        let path = find(program).ok_or_else(|| {
            io::Error::other(format!(
                "{program} is neither beside this program nor in the PATH; from the source: cargo build --release"
            ))
        })?;
        let address = free_address()?;
        let log = File::create(log)?;
        let child = Command::new(path)
            .args(["--listen", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, address })
    }

    /// What to write as `endpoint`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do with a failure here.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// A port of the loopback address that nobody has just now.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn find(program: &str) -> Option<PathBuf> {
    let beside = env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.to_path_buf()));
    let path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
