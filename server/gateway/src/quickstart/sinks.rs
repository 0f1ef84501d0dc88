//! The two sinks of the demonstration, each a process of its own on a Unix socket.

use std::env;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a sink may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is tried.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// A sink's process; killed when dropped.
#[derive(Debug)]
pub(crate) struct SinkProcess {
    child: Child,
}

impl SinkProcess {
    /// Starts `program`, which lies beside this one or in the PATH, and waits until it listens on `socket`. Its log goes
    /// to a file.
    ///
    /// # Errors
    /// When it is nowhere, or does not start.
    pub(crate) fn start(program: &str, socket: &Path, log: &Path) -> io::Result<Self> {
        let path = find(program).ok_or_else(|| {
            io::Error::other(format!(
                "{program} is neither beside this program nor in the PATH; from the source: cargo build --release"
            ))
        })?;
        let file = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(log)?;
        let child = Command::new(path)
            .arg("--listen")
            .arg(format!("unix:{}", socket.display()))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let mut sink = Self { child };
        sink.wait(socket).map_err(|error| {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("nothing");
            io::Error::other(format!("{program}: {error}; it said: {last}"))
        })?;
        Ok(sink)
    }

    fn wait(&mut self, socket: &Path) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let error = match UnixStream::connect(socket) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
            if Instant::now() > until {
                return Err(error);
            }
            thread::sleep(TRY_EVERY);
        }
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
