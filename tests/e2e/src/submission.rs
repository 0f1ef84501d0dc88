//! A gateway with a virtual server for submission beside the usual one, and the users that may use it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificate::Authority;
use crate::gateway::{Gateway, Setup};
use crate::programs::program;

/// A user of [`Submission`], who may send as `a@example.org`.
pub const USER: &str = "a@example.org";
/// Its password.
pub const PASSWORD: &str = "correct horse";

/// A running gateway that users submit to.
#[derive(Debug)]
pub struct Submission {
    /// The gateway.
    pub gateway: Gateway,
    /// Where STARTTLS begins TLS, as on port 587.
    pub starttls: SocketAddr,
    /// Where the connection begins with TLS, as on port 465.
    pub implicit: SocketAddr,
}

impl Submission {
    /// Starts it with one user, with `keys` in `[server.submission]`; everything goes to `next_hop`.
    pub fn start(keys: &str, next_hop: SocketAddr) -> Self {
        let setup = Setup::default();
        Authority::default().issue(setup.folder(), "mx", "mx.example.test");
        add(setup.folder(), &[USER], PASSWORD);
        let mut submission = Self {
            gateway: setup
                .with(&format!(
                    "[outbound]\ndeliver = \"smtp://{next_hop}\"\n\
                     [[server]]\nname = \"submission\"\nhostname = \"mx.example.test\"\nprotocol = \"submission\"\n\
                     listen = [\"127.0.0.1:0\", {{ address = \"127.0.0.1:0\", tls = \"implicit\" }}]\n\
                     tls = {{ cert = \"mx.pem\", key = \"mx.key\" }}\n\
                     [server.submission]\nusers = \"users.toml\"\n{keys}"
                ))
                .start(),
            starttls: SocketAddr::from(([127, 0, 0, 1], 0)),
            implicit: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        submission.look();
        submission
    }

    /// Looks where it listens since its last start: each port is one that was free then. The log is written behind what
    /// it tells of.
    ///
    /// # Panics
    /// When the log does not say it.
    pub fn look(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let log = self.gateway.log();
            if let [starttls, implicit] = listeners(&log)[..] {
                self.starttls = starttls;
                self.implicit = implicit;
                return;
            }
            assert!(Instant::now() < until, "it does not listen:\n{log}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The listeners of the virtual server for submission that the log names since the last start.
fn listeners(log: &str) -> Vec<SocketAddr> {
    let last = log.rfind("postern starts").and_then(|at| log.get(at..));
    let address = |line: &str| {
        let is_ours = line.contains("listening") && line.contains("submission");
        let (_, rest) = line.split_once("127.0.0.1:").filter(|_| is_ours)?;
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
    };
    last.unwrap_or_default()
        .lines()
        .filter_map(address)
        .collect()
}

/// `postern user add` with a password on standard input. Fails unless it does.
pub fn add(folder: &Path, arguments: &[&str], password: &str) {
    let arguments: Vec<&str> = ["add"].iter().chain(arguments).copied().collect();
    let output = user(folder, &arguments, password);
    assert!(output.status.success(), "{output:?}");
}

/// `postern user` on the file `users.toml` of a folder.
pub fn user(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let run = || {
        let mut child = Command::new(program("postern"))
            .arg("user")
            .args(arguments)
            .arg("--users")
            .arg(folder.join("users.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing may have ended already.
            stdin.write_all(input.as_bytes()).ok();
        }
        child.wait_with_output()
    };
    run().unwrap_or_else(|e: std::io::Error| panic!("postern user: {e}"))
}
