//! Postern under measurement: `postern serve` with 0, 1 or 5 null sinks, everything else default.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use postern_e2e::gateway::{free_address, wait_for_greeting};
use postern_e2e::programs;

use crate::Ask;
use crate::gateway::{Filters, Gateway};

/// A running gateway; killed when dropped.
pub(crate) struct Postern {
    _folder: tempfile::TempDir,
    address: SocketAddr,
    child: Child,
    sinks: Filters,
}

/// The programs that are measured.
pub(crate) struct Programs {
    pub(crate) postern: PathBuf,
    pub(crate) null_sink: PathBuf,
}

impl Programs {
    /// Builds what is not built yet, with the benchmark's own profile.
    pub(crate) fn build() -> io::Result<Self> {
        let target = programs::prepare(&["postern", "postern-bench"]);
        Ok(Self {
            postern: target.join("postern"),
            null_sink: target.join("null-sink"),
        })
    }
}

impl Postern {
    /// Starts a gateway that relays `bench.test` to `next_hop`, asking `filters` sinks.
    pub(crate) fn start(
        programs: &Programs,
        filters: usize,
        ask: Ask,
        next_hop: SocketAddr,
    ) -> io::Result<Self> {
        // The same file system as Postfix's queue.
        let folder = tempfile::Builder::new()
            .prefix("postern-bench-")
            .tempdir_in("/var/tmp")?;
        let mut sinks = Filters::default();
        for _ in 0..filters {
            let address = free_address();
            let child = Command::new(&programs.null_sink)
                .args(["--listen", &address.to_string()])
                .env("POSTERN_NULL_ASK", ask.word())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?;
            sinks.push(child, address)?;
        }
        let address = free_address();
        let file = folder.path().join("postern.toml");
        fs::write(
            &file,
            configuration(folder.path(), address, next_hop, sinks.addresses()),
        )?;
        // What the sinks describe is what their bindings get: events, and when they are asked.
        let accepted = Command::new(&programs.postern)
            .args(["check", "--accept", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .status()?;
        if !accepted.success() {
            return Err(io::Error::other(format!(
                "postern check --accept: {accepted}"
            )));
        }
        let child = Command::new(&programs.postern)
            .args(["serve", "--config"])
            .arg(&file)
            .env("POSTERN_LOG", "warn")
            .stdin(Stdio::null())
            .stderr(File::create("/var/tmp/postern-bench.log")?)
            .spawn()?;
        let postern = Self {
            _folder: folder,
            address,
            child,
            sinks,
        };
        wait_for_greeting(address)?;
        Ok(postern)
    }
}

impl Gateway for Postern {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.child.id()]
    }

    fn filters(&self) -> &Filters {
        &self.sinks
    }
}

impl Drop for Postern {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("the gateway does not end: {error}");
        }
    }
}

fn configuration(
    state: &Path,
    listen: SocketAddr,
    next_hop: SocketAddr,
    sinks: &[SocketAddr],
) -> String {
    let mut text = format!(
        "[spool]\npath = \"{}/state\"\n\n\
         [[server]]\nname = \"inbound\"\nhostname = \"postern.test\"\nlisten = [\"{listen}\"]\n\
         max_message_size = \"50 MiB\"\n\n\
         [[domain]]\nname = \"bench.test\"\nrecipients = \"any\"\ndeliver = \"smtp://{next_hop}\"\n",
        state.display()
    );
    for (n, address) in sinks.iter().enumerate() {
        text.push_str(&format!(
            "\n[[sink]]\nname = \"null-{n}\"\nendpoint = \"http://{address}\"\n\n\
             [[binding]]\nname = \"null-{n}\"\nsink = \"null-{n}\"\n"
        ));
    }
    text
}
