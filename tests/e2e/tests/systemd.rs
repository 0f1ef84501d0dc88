//! Under a service manager: what it is told, the sockets that it hands over, and the units in `deploy/systemd`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use postern_e2e::client::Client;
use postern_e2e::gateway::{free_address, terminate, wait_for_listener};
use postern_e2e::peer::{self, Peer, SOCKET_ACTIVATE, SYSTEMD_ANALYZE};
use postern_e2e::programs::{program, root};

const LIMIT: Duration = Duration::from_secs(60);

/// Name, peers that it needs, test.
type Case = (&'static str, &'static [Peer], fn() -> Result<(), Failed>);

fn main() {
    let tests: [Case; 5] = [
        (
            "it_is_told_of_start_life_and_end",
            &[],
            it_is_told_of_start_life_and_end,
        ),
        (
            "sockets_are_taken_over",
            &[SOCKET_ACTIVATE],
            sockets_are_taken_over,
        ),
        (
            "clients_wait_while_it_is_replaced",
            &[SOCKET_ACTIVATE],
            clients_wait_while_it_is_replaced,
        ),
        (
            "a_socket_that_is_not_handed_over_is_named",
            &[],
            a_socket_that_is_not_handed_over_is_named,
        ),
        (
            "the_units_are_tight",
            &[SYSTEMD_ANALYZE],
            the_units_are_tight,
        ),
    ];
    peer::run(tests);
}

fn configure(folder: &Path, listen: &str, drain: &str) {
    let text = format!(
        "[spool]\npath = \"state\"\n[process]\ndrain = \"{drain}\"\n[[server]]\nname = \"inbound\"\nhostname = \"mx.example.test\"\n\
         listen = [\"{listen}\"]\n[[domain]]\nname = \"example.test\"\nrecipients = \"any\"\ndeliver = \"smtp://127.0.0.1:9\"\n"
    );
    fs::write(folder.join("postern.toml"), text).unwrap();
}

fn serve(folder: &Path, before: &[&str]) -> Command {
    let postern = program("postern");
    let mut command = match before.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(postern);
            command
        }
        None => Command::new(postern),
    };
    command
        .args(["serve", "--config"])
        .arg(folder.join("postern.toml"))
        .stdin(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap());
    command
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What the service manager hears next.
fn hear(socket: &UnixDatagram) -> Result<String, Failed> {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn it_is_told_of_start_life_and_end() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    configure(folder.path(), "127.0.0.1:0", "7s");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(LIMIT))?;
    let child = serve(folder.path(), &[])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "600000")
        .spawn()?;
    let running = Running(child);
    // The first turn of the watchdog may come before or after.
    let mut said = vec![hear(&manager)?, hear(&manager)?, hear(&manager)?];
    let ready = said.iter().filter(|text| text.contains("READY=1")).count();
    assert_eq!(ready, 1, "{said:?}");
    let alive = said.iter().filter(|text| text.contains("WATCHDOG=1"));
    assert_eq!(alive.count(), 2, "{said:?}");
    terminate(running.0.id());
    let until = Instant::now() + LIMIT;
    while !said.iter().any(|text| text.contains("STOPPING=1")) {
        assert!(Instant::now() < until, "{said:?}");
        said = vec![hear(&manager)?];
    }
    // Seven seconds, and what comes after them.
    assert!(said[0].contains("EXTEND_TIMEOUT_USEC=2"), "{said:?}");
    Ok(())
}

fn activated(folder: &Path, address: SocketAddr) -> Result<Running, Failed> {
    configure(folder, "fd:smtp", "25s");
    let listen = address.to_string();
    let before = [
        "systemd-socket-activate",
        "--fdname=smtp",
        "--listen",
        listen.as_str(),
    ];
    let running = Running(serve(folder, &before).spawn()?);
    wait_for_listener(address)?;
    Ok(running)
}

fn sockets_are_taken_over() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let address = free_address();
    let _running = activated(folder.path(), address)?;
    let (mut client, _) = Client::connect(address);
    client.expect("EHLO client.test", 250);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("QUIT", 221);
    let log = fs::read_to_string(folder.path().join("log"))?;
    assert!(log.contains(&address.to_string()), "{log}");
    Ok(())
}

/// A connection that is made while no gateway runs is greeted by the next one: the socket is the service manager's.
fn clients_wait_while_it_is_replaced() -> Result<(), Failed> {
    const MANAGER: &str =
        "serve() { exec sh -c 'export LISTEN_PID=$$; exec \"$0\" serve --config \"$1\"' \"$@\"; }
        (serve \"$@\") & read go; kill $!; wait $!; echo gone; read go; serve \"$@\"";
    let folder = tempfile::tempdir()?;
    let address = free_address();
    configure(folder.path(), "fd:smtp", "25s");
    let child = Command::new("systemd-socket-activate")
        .args(["--fdname=smtp", "--listen", &address.to_string()])
        .args(["sh", "-c", MANAGER, "manager"])
        .arg(program("postern"))
        .arg(folder.path().join("postern.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(folder.path().join("log"))?)
        .spawn()?;
    let mut manager = Running(child);
    let mut orders = manager.0.stdin.take().ok_or("no standard input")?;
    let said = manager.0.stdout.take().ok_or("no standard output")?;
    wait_for_listener(address)?;
    let (mut first, _) = Client::connect(address);
    first.expect("EHLO client.test", 250);
    orders.write_all(b"\n")?;
    assert_eq!(first.reply().code, 421);
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    assert_eq!(line, "gone\n");
    // Nobody accepts it, and it is not refused.
    let waiting = TcpStream::connect(address)?;
    waiting.set_read_timeout(Some(LIMIT))?;
    orders.write_all(b"\n")?;
    let mut greeting = String::new();
    BufReader::new(waiting).read_line(&mut greeting)?;
    assert!(greeting.starts_with("220 mx.example.test "), "{greeting}");
    Ok(())
}

fn a_socket_that_is_not_handed_over_is_named() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    configure(folder.path(), "fd:smtp", "25s");
    let status = serve(folder.path(), &[]).status()?;
    let said = fs::read_to_string(folder.path().join("log"))?;
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(
        said.contains(
            "cannot listen on fd:smtp: the service manager hands over no socket of that name"
        ),
        "{said}"
    );
    Ok(())
}

fn the_units_are_tight() -> Result<(), Failed> {
    let units = root().join("deploy/systemd");
    for unit in ["postern.service", "postern-sink@.service"] {
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--threshold=20"])
            .arg(units.join(unit))
            .output()?;
        assert!(judged.status.success(), "{unit}:\n{}", shown(&judged));
    }
    // The programs are where the units look for them.
    let folder = tempfile::tempdir()?;
    let mut all = Vec::new();
    for entry in fs::read_dir(&units)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .replace("sink@", "sink@disclaimer");
        if !name.ends_with(".service") && !name.ends_with(".socket") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let text = text
            .replace(
                "/usr/bin/postern-%i",
                &program("postern-disclaimer").display().to_string(),
            )
            .replace(
                "/usr/bin/postern ",
                &format!("{} ", program("postern").display()),
            );
        let copy = folder.path().join(name);
        fs::write(&copy, text)?;
        all.push(copy);
    }
    assert_eq!(all.len(), 5);
    let judged = Command::new("systemd-analyze")
        .arg("verify")
        .args(&all)
        .output()?;
    assert!(
        judged.status.success() && judged.stderr.is_empty(),
        "{}",
        shown(&judged)
    );
    Ok(())
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
