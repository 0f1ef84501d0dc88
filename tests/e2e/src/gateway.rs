//! A running `postern serve` with a configuration of its own in a temporary folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::programs::program;

/// What a test configures. Text is appended to the file as it is; `{dir}` in it stands for the
/// temporary folder.
#[derive(Debug)]
pub struct Setup {
    folder: tempfile::TempDir,
    server: String,
    rest: String,
    smtp: SocketAddr,
    metrics: SocketAddr,
}

impl Default for Setup {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        let (smtp, metrics) = free_pair();
        Self {
            folder,
            server: String::new(),
            rest: String::new(),
            smtp,
            metrics,
        }
    }
}

impl Setup {
    /// Adds keys to the `[[server]]`; tables of the server may follow them.
    pub fn server(mut self, keys: &str) -> Self {
        self.server.push_str(keys);
        self.server.push('\n');
        self
    }

    /// Adds anything else: domains, sinks, bindings.
    pub fn with(mut self, text: &str) -> Self {
        self.rest.push_str(text);
        self.rest.push('\n');
        self
    }

    /// Accepts mail for `domain` and hands it to `target`, such as `smtp://127.0.0.1:2526`. Mailboxes are made of all names.
    pub fn domain(self, domain: &str, target: &str) -> Self {
        let create = match target.starts_with("maildir:") {
            true => "create = true\n",
            false => "",
        };
        self.with(&format!(
            "[[domain]]\nname = \"{domain}\"\nrecipients = \"any\"\n{create}deliver = \"{target}\""
        ))
    }

    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it is going to take mail.
    pub fn smtp(&self) -> SocketAddr {
        self.smtp
    }

    /// Writes the configuration without starting anything.
    pub fn write(&self) -> PathBuf {
        let file = self.folder.path().join("postern.toml");
        let text = format!(
            "[spool]\npath = \"{{dir}}/state\"\n\n[metrics]\nlisten = \"{}\"\n\n{}\n\
             [[server]]\nname = \"inbound\"\nhostname = \"mx.example.test\"\nlisten = [\"{}\"]\n{}\n",
            self.metrics, self.rest, self.smtp, self.server,
        );
        let text = text.replace("{dir}", &self.folder.path().display().to_string());
        fs::write(&file, text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        file
    }

    /// Writes the configuration, starts the gateway, waits until it greets.
    pub fn start(self) -> Gateway {
        self.write();
        let mut gateway = Gateway {
            setup: self,
            child: None,
            environment: Vec::new(),
        };
        gateway.start();
        gateway
    }
}

/// A running gateway; killed when dropped, its log shown if the test fails.
#[derive(Debug)]
pub struct Gateway {
    setup: Setup,
    child: Option<Child>,
    environment: Vec<(String, String)>,
}

impl Gateway {
    /// Where it takes mail.
    pub fn smtp(&self) -> SocketAddr {
        self.setup.smtp
    }

    /// Where metrics and health are.
    pub fn metrics(&self) -> SocketAddr {
        self.setup.metrics
    }

    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        self.setup.folder.path()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child
            .as_ref()
            .map(Child::id)
            .unwrap_or_else(|| panic!("it does not run"))
    }

    /// Starts it again after `kill` or `stop`, with the same state folder.
    pub fn start(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap_or_else(|e| panic!("log: {e}"));
        self.spawn(log.into());
    }

    fn spawn(&mut self, log: Stdio) {
        let child = Command::new(program("postern"))
            .args(["serve", "--config"])
            .arg(self.folder().join("postern.toml"))
            .env("POSTERN_LOG", "info")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("postern does not start: {e}"));
        self.child = Some(child);
        self.wait_for_greeting();
    }

    /// Sets a variable of the environment, from the next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it with `log` in place of the file that its log goes to otherwise.
    pub fn start_logging_to(&mut self, log: Stdio) {
        self.spawn(log);
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child
                .kill()
                .and_then(|()| child.wait())
                .unwrap_or_else(|e| panic!("kill: {e}"));
        }
    }

    /// SIGTERM, then waits for the end.
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        terminate(self.pid());
        self.wait(limit)
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self
            .child
            .take()
            .unwrap_or_else(|| panic!("it does not run"));
        let until = Instant::now() + limit;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
                other => {
                    child.kill().ok();
                    panic!("no end within {limit:?}: {other:?}\n{}", self.log());
                }
            }
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Waits until the log says `part`.
    pub fn wait_for_log(&self, part: &str, limit: Duration) {
        let until = Instant::now() + limit;
        while !self.log().contains(part) {
            assert!(Instant::now() < until, "the log does not say {part:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the log has a line that fits.
    pub fn wait_for_line(&self, limit: Duration, fits: impl Fn(&str) -> bool) {
        let until = Instant::now() + limit;
        while !self.log().lines().any(&fits) {
            assert!(Instant::now() < until, "no such line:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many messages the spool holds in `state`: `submit`, `deliver`, `held`, `quarantined`.
    pub fn spooled(&self, state: &str) -> u64 {
        let metrics = self.http("/metrics").1;
        let line = metrics
            .lines()
            .find(|l| l.starts_with("postern_spool_messages{") && l.contains(state));
        line.and_then(|l| l.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {state} in {metrics}"))
    }

    /// The highest resident memory so far, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// The resident memory now, in KiB.
    pub fn memory_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    fn status_kib(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix(key)?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .unwrap_or_else(|| panic!("no {key} in {status}"))
    }

    /// Descriptors that it has open now.
    pub fn descriptors(&self) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        entries.map_or(0, Iterator::count)
    }

    /// The value of a line of `/metrics`: its name, with labels if it has some. 0 where it is not there.
    pub fn metric(&self, line: &str) -> u64 {
        let metrics = self.http("/metrics").1;
        let value = metrics.lines().find_map(|own| {
            let (name, value) = own.rsplit_once(' ')?;
            (name == line).then_some(value)
        });
        value.map_or(0, |value| {
            value
                .parse()
                .unwrap_or_else(|e| panic!("{line} {value}: {e}"))
        })
    }

    /// The text that `path` of the metrics listener answers, with the status code before it.
    pub fn http(&self, path: &str) -> (u16, String) {
        let until = Instant::now() + Duration::from_secs(10);
        let answer = loop {
            match self.ask_metrics(path) {
                Ok(answer) => break answer,
                // The longest waiting connection makes room where many threads of a test ask at a time.
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionReset && Instant::now() < until => {
                }
                Err(error) => panic!("metrics: {error}"),
            }
        };
        let code = answer.get(9..12).and_then(|c| c.parse().ok());
        let body = answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned());
        (code.unwrap_or_default(), body.unwrap_or_default())
    }

    fn ask_metrics(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.setup.metrics)?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn log_file(&self) -> PathBuf {
        self.folder().join("postern.log")
    }

    fn wait_for_greeting(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if greets(self.setup.smtp) {
                return;
            }
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "postern ended: {ended:?}\n{}", self.log());
            assert!(
                Instant::now() < until,
                "postern does not greet\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).ok();
        }
        if thread::panicking() {
            eprintln!("--- the gateway's log ---\n{}", self.log());
        }
    }
}

/// Two addresses of the loopback network whose ports nobody has just now: not the same one twice.
fn free_pair() -> (SocketAddr, SocketAddr) {
    let bind = || {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|e| panic!("no free port: {e}"))
    };
    let address = |listener: &TcpListener| {
        let address = listener.local_addr();
        address.unwrap_or_else(|e| panic!("no address: {e}"))
    };
    let (one, other) = (bind(), bind());
    (address(&one), address(&other))
}

/// An address of the loopback network whose port nobody has just now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .unwrap_or_else(|e| panic!("no free port: {e}"))
}

/// Waits until somebody listens at `address`.
///
/// # Errors
/// When nobody does within half a minute.
pub fn wait_for_listener(address: SocketAddr) -> io::Result<()> {
    wait_until(address, || TcpStream::connect(address).is_ok())
}

/// Waits until an SMTP server greets at `address`.
///
/// # Errors
/// When none does within half a minute.
pub fn wait_for_greeting(address: SocketAddr) -> io::Result<()> {
    wait_until(address, || greets(address))
}

fn wait_until(address: SocketAddr, serves: impl Fn() -> bool) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while !serves() {
        if Instant::now() > until {
            return Err(io::Error::other(format!("nobody serves at {address}")));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Asks a process to end (SIGTERM).
pub fn terminate(pid: u32) {
    let sent = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .map(|pid| kill_process(pid, Signal::TERM));
    assert!(matches!(sent, Some(Ok(()))), "SIGTERM to {pid}: {sent:?}");
}

fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let mut first = [0; 3];
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .is_ok()
        && stream.read_exact(&mut first).is_ok()
        && first == *b"220"
}
