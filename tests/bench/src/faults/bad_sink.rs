//! The sinks that misbehave, one kind of fault each.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use postern_e2e::gateway::free_address;
use postern_e2e::peer::PYTHON;
use postern_e2e::programs::root;
use postern_e2e::sink::Sink;

/// What a sink does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Hangs,
    Closes,
    Undecided,
    OtherEvent,
    Absent,
    PythonHangs,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Hangs,
        Self::Closes,
        Self::Undecided,
        Self::OtherEvent,
        Self::Absent,
        Self::PythonHangs,
    ];

    /// As the tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Hangs => "hangs",
            Self::Closes => "closes the stream",
            Self::Undecided => "gives no decision",
            Self::OtherEvent => "answers an event never asked",
            Self::Absent => "is not there",
            Self::PythonHangs => "Python, one at a time, hangs",
        }
    }

    /// A name for configuration and addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hangs => "hang",
            Self::Closes => "close",
            Self::Undecided => "undecided",
            Self::OtherEvent => "other-event",
            Self::Absent => "absent",
            Self::PythonHangs => "python",
        }
    }
}

/// A faulty sink at an address; ends when dropped.
pub(crate) struct BadSink {
    endpoint: String,
    _process: Option<Sink>,
}

impl BadSink {
    /// What to write as `endpoint`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// What starts them.
pub(crate) struct BadSinks {
    python: Option<Python>,
}

struct Python {
    program: PathBuf,
    stubs: tempfile::TempDir,
}

impl BadSinks {
    /// Looks for Python and its gRPC packages, and generates the stubs.
    pub(crate) fn prepare() -> io::Result<Self> {
        let python = Python::prepare()?;
        if python.is_none() {
            eprintln!("no Python with grpcio-tools (tests/run installs it): its rows are left out");
        }
        Ok(Self { python })
    }

    /// The faults that can be shown here.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Fault::ALL.to_vec();
        faults.retain(|fault| *fault != Fault::PythonHangs || self.python.is_some());
        faults
    }

    /// What a report says of the faults that are left out.
    pub(crate) fn note(&self) -> Option<&'static str> {
        self.python.is_none().then_some(
            "The sink in Python is left out: this machine has no Python with grpcio-tools.",
        )
    }

    /// Starts a sink that does this when it is asked about `event`, named without its group.
    pub(crate) fn start(&self, fault: Fault, event: &str) -> BadSink {
        let process = match (fault, &self.python) {
            (Fault::Absent, _) => None,
            (Fault::PythonHangs, Some(python)) => Some(Sink::spawn(python.command(), &[])),
            _ => Some(Sink::start(&[&format!("{event}={}", fault.name())])),
        };
        let endpoint = match &process {
            Some(sink) => sink.endpoint(),
            None => format!("http://{}", free_address()),
        };
        BadSink {
            endpoint,
            _process: process,
        }
    }
}

impl Python {
    fn prepare() -> io::Result<Option<Self>> {
        let ours = root().join("target/python/bin/python");
        let Some(program) = [Some(ours), PYTHON.path()]
            .into_iter()
            .flatten()
            .find(|program| has_grpc(program))
        else {
            return Ok(None);
        };
        let stubs = tempfile::tempdir()?;
        let status = Command::new("sh")
            .arg(root().join("tests/peers/python/stubs.sh"))
            .arg(stubs.path())
            .env("PYTHON", &program)
            .status()?;
        if !status.success() {
            return Err(io::Error::other("the Python stubs cannot be generated"));
        }
        Ok(Some(Self { program, stubs }))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(root().join("tests/peers/python/hangs.py"))
            .env("PYTHONPATH", self.stubs.path());
        command
    }
}

fn has_grpc(program: &Path) -> bool {
    Command::new(program)
        .args(["-c", "import grpc, grpc_tools"])
        .output()
        .is_ok_and(|output| output.status.success())
}
