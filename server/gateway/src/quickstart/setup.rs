//! The files and processes of the demonstration.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::mail::RECIPIENT;
use super::sinks::{SinkProcess, free_address};
use super::{QuickstartError, io_error, newest};

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
        let start = |program: &str, log: &str| {
            SinkProcess::start(program, &folder.path().join(log))
                .map_err(io_error("starting a sink"))
        };
        let (stamp, disclaimer) = (
            start("postern-stamp", "stamp.log")?,
            start("postern-disclaimer", "disclaimer.log")?,
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
        Ok(setup)
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

    /// How to start the sinks again.
    pub(crate) fn sink_commands(&self) -> String {
        format!(
            "  {} --listen {} &\n  {} --listen {} &",
            sibling("postern-stamp"),
            self.stamp.endpoint().trim_start_matches("http://"),
            sibling("postern-disclaimer"),
            self.disclaimer.endpoint().trim_start_matches("http://"),
        )
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

# Shows every event in its log and puts trace headers in front of what is accepted.
[[sink]]
name = "stamp"
endpoint = "{stamp}"

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
endpoint = "{disclaimer}"

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
            stamp = self.stamp.endpoint(),
            disclaimer = self.disclaimer.endpoint(),
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
    fs::create_dir_all(path).map_err(io_error("making the folder"))?;
    let mut entries = fs::read_dir(path).map_err(io_error("reading the folder"))?;
    if entries.next().is_some() {
        return Err(QuickstartError::NotEmpty(path.to_path_buf()));
    }
    // Relative paths in the configuration are relative to it.
    let path = fs::canonicalize(path).map_err(io_error("making the folder"))?;
    Ok(Folder::Kept(path))
}

/// A program beside this one, by its path: it need not be on the search path.
pub(crate) fn sibling(name: &str) -> String {
    std::env::current_exe()
        .map(|program| program.with_file_name(name))
        .map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}
