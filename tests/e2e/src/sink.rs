//! Sinks for tests: the misbehaving `test-sink` as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::gateway::{free_address, wait_for_listener};
use crate::programs::program_of_tests;

/// A running sink; killed when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    child: Child,
    log: Arc<Log>,
}

/// What the sink wrote to its standard output.
#[derive(Debug, Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    changed: Condvar,
}

impl Log {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, output: impl Read) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            self.seen().extend(seen(&line));
            self.changed.notify_all();
        }
    }
}

/// A line of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Microseconds since 1970.
    pub at_us: u64,
    /// `asked`, `told` (one-way), `answered` or `cancelled`; with `--verbose` also `described`, `attached` or `shed`.
    pub what: String,
    /// The instance's id.
    pub instance: u64,
    /// The event's id.
    pub event: u64,
    /// The event's name without its group.
    pub name: String,
    /// What it is about, and what else the sink was shown.
    pub detail: String,
}

impl Seen {
    /// What it says of `key`, with `--facts`.
    ///
    /// # Panics
    /// When it says nothing of it.
    pub fn fact(&self, key: &str) -> &str {
        let mut words = self.detail.split(' ');
        let fact = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        fact.unwrap_or_else(|| panic!("no {key}: {self:?}"))
    }

    /// The same as a number.
    ///
    /// # Panics
    /// When it is none.
    pub fn count(&self, key: &str) -> u64 {
        let fact = self.fact(key);
        fact.parse().unwrap_or_else(|e| panic!("{key}={fact}: {e}"))
    }
}

impl Sink {
    /// Starts `test-sink` with `--on` rules such as `message=hang`.
    pub fn start(rules: &[&str]) -> Self {
        Self::with(rules, &[])
    }

    /// The same with further arguments.
    pub fn with(rules: &[&str], arguments: &[&str]) -> Self {
        let mut command = Command::new(program_of_tests("test-sink"));
        for rule in rules {
            command.args(["--on", rule]);
        }
        command.args(arguments);
        Self::spawn(command, &["--listen"])
    }

    /// Starts `test-sink` where another one was: `endpoint` as that one gave it.
    pub fn at(endpoint: &str, rules: &[&str]) -> Self {
        Self::at_with(endpoint, rules, &[])
    }

    /// The same with further arguments.
    pub fn at_with(endpoint: &str, rules: &[&str], arguments: &[&str]) -> Self {
        let address = endpoint.trim_start_matches("http://").parse();
        let address = address.unwrap_or_else(|e| panic!("{endpoint}: {e}"));
        let mut command = Command::new(program_of_tests("test-sink"));
        for rule in rules {
            command.args(["--on", rule]);
        }
        command.args(arguments);
        Self::spawn_at(address, command, &["--listen"])
    }

    /// Starts any sink program; its address follows the arguments `listen`.
    pub fn spawn(command: Command, listen: &[&str]) -> Self {
        Self::spawn_at(free_address(), command, listen)
    }

    fn spawn_at(address: SocketAddr, mut command: Command, listen: &[&str]) -> Self {
        let mut child = command
            .args(listen)
            .arg(address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let log = Arc::new(Log::default());
        if let Some(output) = child.stdout.take() {
            let log = Arc::clone(&log);
            thread::spawn(move || log.follow(output));
        }
        let sink = Self {
            address,
            child,
            log,
        };
        wait_for_listener(address).unwrap_or_else(|e| panic!("{e}"));
        sink
    }

    /// What to write as `endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `[[sink]]` of this name.
    pub fn table(&self, name: &str) -> String {
        format!(
            "[[sink]]\nname = \"{name}\"\nendpoint = \"{}\"\n",
            self.endpoint()
        )
    }

    /// What it has seen so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.log.seen().clone()
    }

    /// How often it was asked about `name`.
    pub fn asked(&self, name: &str) -> usize {
        count(&self.log.seen(), name)
    }

    /// Waits until it was asked about `name` so often.
    pub fn wait_asked(&self, name: &str, times: usize, limit: Duration) {
        self.wait(limit, |seen| (count(seen, name) >= times).then_some(()));
    }

    /// Waits until it was asked about, or told of, `name` with `part` in its detail.
    pub fn wait_seen(&self, name: &str, part: &str, limit: Duration) -> Seen {
        let fits = |s: &&Seen| s.what != "answered" && s.name == name && s.detail.contains(part);
        self.wait(limit, |seen| seen.iter().find(fits).cloned())
    }

    /// What it was asked about and told of, as `NAME DETAIL`, in order.
    pub fn history(&self) -> Vec<String> {
        let mut seen = self.seen();
        seen.retain(|s| s.what == "asked" || s.what == "told");
        let lines = seen.iter().map(|s| format!("{} {}", s.name, s.detail));
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    fn wait<T>(&self, limit: Duration, found: impl Fn(&[Seen]) -> Option<T>) -> T {
        let until = Instant::now() + limit;
        let mut seen = self.log.seen();
        loop {
            if let Some(found) = found(&seen) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {limit:?}: {seen:#?}");
            seen = self
                .log
                .changed
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sends it a signal: SIGSTOP and SIGCONT, or what it makes of its own.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map(|pid| kill_process(pid, signal));
        assert!(matches!(sent, Some(Ok(()))), "{signal:?}: {sent:?}");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.kill();
    }
}

fn count(seen: &[Seen], name: &str) -> usize {
    seen.iter()
        .filter(|s| s.what == "asked" && s.name == name)
        .count()
}

fn seen(line: &str) -> Option<Seen> {
    let mut words = line.splitn(6, ' ');
    Some(Seen {
        at_us: words.next()?.parse().ok()?,
        what: words.next()?.to_owned(),
        instance: words.next()?.parse().ok()?,
        event: words.next()?.parse().ok()?,
        name: words.next()?.to_owned(),
        detail: words.next().unwrap_or_default().to_owned(),
    })
}
