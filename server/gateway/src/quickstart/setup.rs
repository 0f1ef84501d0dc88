//! The files and processes of the demonstration.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::mail::RECIPIENT;
use super::sinks::{SinkProcess, free_address};
use super::{QuickstartError, io_error, newest};

/// Longest path of a folder, in octets: sockets in it have to keep within what the system takes, 108.
const FOLDER_MAX: usize = 80;

/// Everything that was set up. Dropping it ends the sinks and removes a temporary folder.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) stamp: SinkProcess,
    pub(crate) disclaimer: SinkProcess,
    /// Where metrics and health are.
    pub(crate) metrics: SocketAddr,
    folder: Folder,
}

#[derive(Debug)]
enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

impl Setup {
    /// Makes the folder, starts the sinks, writes the configuration.
    pub(crate) fn prepare(keep: Option<&Path>) -> Result<Self, QuickstartError> {
        let folder = folder(keep)?;
        let start = |program: &str, name: &str| {
            let socket = folder.path().join(format!("{name}.sock"));
            let log = folder.path().join(format!("{name}.log"));
            SinkProcess::start(program, &socket, &log).map_err(io_error("starting a sink"))
        };
        let (stamp, disclaimer) = (
            start("postern-stamp", "stamp")?,
            start("postern-disclaimer", "disclaimer")?,
        );
        let setup = Self {
            stamp,
            disclaimer,
            metrics: free_address().map_err(io_error("finding a free port"))?,
            folder,
        };
        let listen = free_address().map_err(io_error("finding a free port"))?;
        fs::write(setup.config_file(), setup.configuration(listen))
            .map_err(io_error("writing the configuration"))?;
        if keep.is_some() {
            setup.write_start()?;
        }
        Ok(setup)
    }

    /// Writes a script that starts all three programs again.
    fn write_start(&self) -> Result<(), QuickstartError> {
        let quoted = |program: &str| format!("'{}'", sibling(program).replace('\'', "'\\''"));
        let script = format!(
            r#"#!/bin/sh
# Starts the two sinks and the gateway. Ctrl-C ends all three.
cd "$(dirname "$0")" || exit
rm -f stamp.sock disclaimer.sock
{stamp} --listen "unix:$PWD/stamp.sock" >>stamp.log 2>&1 &
stamp=$!
{disclaimer} --listen "unix:$PWD/disclaimer.sock" >>disclaimer.log 2>&1 &
disclaimer=$!
for sink in stamp disclaimer; do
    tries=100
    until [ -S "$sink.sock" ] || [ "$tries" = 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
done
{postern} serve --config postern.toml &
gateway=$!
trap : INT
trap 'kill "$gateway"' TERM
trap 'kill "$stamp" "$disclaimer"; wait' EXIT
while kill -0 "$gateway" 2>/dev/null; do wait "$gateway"; done
"#,
            stamp = quoted("postern-stamp"),
            disclaimer = quoted("postern-disclaimer"),
            postern = quoted("postern"),
        );
        let mut file = fs::File::options();
        file.write(true).create_new(true).mode(0o755);
        file.open(self.start_file())
            .and_then(|mut file| file.write_all(script.as_bytes()))
            .map_err(io_error("writing the script that starts it again"))
    }

    /// The script that starts all three programs again, where the folder is kept.
    pub(crate) fn start_file(&self) -> PathBuf {
        self.folder().join("start")
    }

    /// Where everything lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration that was written.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder().join("postern.toml")
    }

    /// The message in the recipient's Maildir.
    pub(crate) fn delivered(&self) -> io::Result<Option<PathBuf>> {
        let user = RECIPIENT.split('@').next().unwrap_or_default();
        newest(&self.folder().join("mail").join(user).join("new"))
    }

    fn configuration(&self, listen: SocketAddr) -> String {
        format!(
            r#"# Written by `postern quickstart`. `postern config explain KEY` tells what a key means.

[spool]
path = "state"
min_free = "16 MiB"

[metrics]
listen = "{metrics}"

[[server]]
name = "inbound"
hostname = "mx.example.test"
listen = ["{listen}"]

[[domain]]
name = "example.test"
recipients = "any"
deliver = "maildir:mail/{{user}}"
create = true

# Shows every event in its log and puts trace headers in front of what is accepted.
[[sink]]
name = "stamp"
endpoint = "unix:stamp.sock"

[[binding]]
name = "stamp"
sink = "stamp"
priority = 1000
events = [
  "inbound.connect", "inbound.helo", "inbound.tls", "inbound.mail", "inbound.rcpt", "inbound.data",
  "inbound.headers", "inbound.message", "inbound.outcome", "inbound.reset", "inbound.disconnect",
  "transport.submit", "delivery.result",
]
body = "headers"
may = ["headers:X-*"]

# Appends a text to what was accepted, in the charset and encoding of each part.
[[sink]]
name = "disclaimer"
endpoint = "unix:disclaimer.sock"

[[binding]]
name = "disclaimer"
sink = "disclaimer"
events = ["transport.submit"]
when = 'message.size < 10485760'
body = "full"
may = ["body", "headers:Content-Type", "headers:Content-Transfer-Encoding", "headers:MIME-Version"]
[binding.properties]
text = "Nur für den Empfänger bestimmt – for the addressee only."
"#,
            metrics = self.metrics,
        )
    }
}

fn folder(keep: Option<&Path>) -> Result<Folder, QuickstartError> {
    let Some(path) = keep else {
        let folder = tempfile::Builder::new()
            .prefix("postern-quickstart-")
            .tempdir();
        return Ok(Folder::Temporary(
            folder.map_err(io_error("making a temporary folder"))?,
        ));
    };
    let mut made = fs::DirBuilder::new();
    made.recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("making the folder"))?;
    let mut entries = fs::read_dir(path).map_err(io_error("reading the folder"))?;
    if entries.next().is_some() {
        return Err(QuickstartError::NotEmpty(path.to_path_buf()));
    }
    // Relative paths in the configuration are relative to it.
    let path = fs::canonicalize(path).map_err(io_error("making the folder"))?;
    if path.as_os_str().len() > FOLDER_MAX {
        return Err(QuickstartError::TooLong(path));
    }
    Ok(Folder::Kept(path))
}

/// A program beside this one, by its path: it need not be on the search path.
pub(crate) fn sibling(name: &str) -> String {
    std::env::current_exe()
        .map(|program| program.with_file_name(name))
        .map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}
