//! A sink in Python on bare generated stubs, which serves one instance at a time on a stream; and dkimpy, which signs
//! and verifies what the disclaimer leaves alone.
//!
//! Where the packages for Python are missing (`tests/run` installs them into target/python) the
//! tests are listed as ignored; with `CI=true` they fail.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::programs::{program, root};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const NEEDED: &str = "python3-venv, then tests/run once";

/// Name and test.
type Case = (&'static str, fn() -> Result<(), Failed>);

fn main() {
    let arguments = Arguments::from_args();
    let tests: [Case; 4] = [
        ("many_sessions_at_once_are_judged_rightly", many_sessions),
        ("a_fault_is_answered_by_the_policy", fault),
        (
            "w11_a_forgotten_instance_is_told_where_the_sink_runs",
            forgotten_instance,
        ),
        ("dkim_verifies_on_what_the_disclaimer_leaves_alone", dkim),
    ];
    let ready = python().is_file() && root().join("target/python/.ready").exists();
    let must = std::env::var_os("CI").is_some();
    let trials = tests.into_iter().map(|(name, run)| match (ready, must) {
        (true, _) => Trial::test(name, run),
        (false, true) => Trial::test(name, || Err(format!("install {NEEDED}").into())),
        (false, false) => {
            Trial::test(format!("{name} (skipped: install {NEEDED})"), run).with_ignored_flag(true)
        }
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn python() -> PathBuf {
    root().join("target/python/bin/python3")
}

/// The stubs' folder, the sink on them, the gateway, the next hop.
fn set_up() -> (tempfile::TempDir, Sink, Gateway, NextHop) {
    let text = fs::read_to_string(root().join("tests/peers/python/one_at_a_time.py")).unwrap();
    set_up_with(&text)
}

/// The same with a sink of this text.
fn set_up_with(text: &str) -> (tempfile::TempDir, Sink, Gateway, NextHop) {
    let stubs = tempfile::tempdir().unwrap();
    let peers = root().join("tests/peers/python");
    // The interpreter is named as the book names it: relative to where one is.
    let status = Command::new(peers.join("stubs.sh"))
        .arg(stubs.path())
        .current_dir(root())
        .env("PYTHON", "target/python/bin/python3")
        .status()
        .unwrap();
    assert!(status.success(), "stubs.sh: {status}");
    let program = stubs.path().join("sink.py");
    fs::write(&program, text).unwrap();
    let mut command = Command::new(python());
    command
        .arg(program)
        .env("PYTHONPATH", stubs.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(File::create(stubs.path().join("sink.log")).unwrap());
    let sink = Sink::spawn(command, &[]);
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("python"))
        .with(
            "[[binding]]\nname = \"python\"\nsink = \"python\"\nmay = [\"headers:X-*\"]\nbody = \"full\"\n\
             events = [\"inbound.mail\", \"inbound.message\"]\non_failure = \"tempfail\"",
        )
        .start();
    (stubs, sink, gateway, next_hop)
}

/// Twenty sessions at once, each with a message of its own size, each with a refused sender between.
fn many_sessions() -> Result<(), Failed> {
    let (_stubs, _sink, gateway, next_hop) = set_up();
    let to = gateway.smtp();
    let sessions: Vec<_> = (0..20)
        .map(|n: usize| thread::spawn(move || session(to, n)))
        .collect();
    for session in sessions {
        session.join().map_err(|_| "a session went wrong")?;
    }
    let received = next_hop.wait_for(40, LIMIT);
    for message in &received {
        let text = message.text();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let said = format!("X-Body-Size: {}", body.len());
        assert!(head.lines().any(|line| line == said), "{said} in\n{head}");
    }
    assert_eq!(received.len(), 40);
    Ok(())
}

fn session(to: std::net::SocketAddr, n: usize) {
    let mut client = Client::ready(to);
    for round in 0..2 {
        client.expect("MAIL FROM:<robot@example.org>", 550);
        let body = "0123456789\r\n".repeat(1 + 700 * n + round);
        let content = format!("From: a@example.org\r\nSubject: {n}\r\n\r\n{body}");
        let reply = client.deliver("a@example.org", &["b@example.test"], content.as_bytes());
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    client.expect("QUIT", 221);
}

/// The handler raises an exception at one sender: its stream breaks. Later the process is gone.
fn fault() -> Result<(), Failed> {
    let (stubs, mut sink, gateway, next_hop) = set_up();
    let mut client = Client::ready(gateway.smtp());
    let content = b"From: a@example.org\r\n\r\nbody\r\n";
    let reply = client.deliver("a@example.org", &["b@example.test"], content);
    assert_eq!(reply.code, 250, "{reply:?}");
    next_hop.wait_for(1, LIMIT);

    client.expect("MAIL FROM:<fault@example.org>", 451);
    // Its author reads why where the sink runs.
    let until = Instant::now() + LIMIT;
    while !fs::read_to_string(stubs.path().join("sink.log"))?.contains("as the test wants it") {
        if Instant::now() > until {
            return Err("the exception is not in the sink's log".into());
        }
        thread::yield_now();
    }
    // The others go on, and so does this session.
    let reply = client.deliver("a@example.org", &["b@example.test"], content);
    assert_eq!(reply.code, 250, "{reply:?}");
    sink.kill();
    client.expect("MAIL FROM:<a@example.org>", 451);
    Ok(())
}

/// The author hears at once what is wrong, at the sink and in the gateway's log, and no question waits for its deadline.
fn forgotten_instance() -> Result<(), Failed> {
    let text = fs::read_to_string(root().join("tests/peers/python/one_at_a_time.py"))?;
    let whole = "instance_id=frame.instance_id, verdict=verdict";
    assert!(text.contains(whole));
    let (stubs, _sink, gateway, _next_hop) = set_up_with(&text.replace(whole, "verdict=verdict"));
    let mut client = Client::ready(gateway.smtp());
    let asked = Instant::now();
    client.expect("MAIL FROM:<a@example.org>", 451);
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    let said = "a frame with instance_id 0";
    gateway.wait_for_log(said, LIMIT);
    let until = Instant::now() + LIMIT;
    while !fs::read_to_string(stubs.path().join("sink.log"))?.contains(said) {
        if Instant::now() > until {
            return Err("the sink is not told".into());
        }
        thread::yield_now();
    }
    Ok(())
}

/// Every message is signed. Those that the disclaimer leaves alone, for whatever reason, still verify; one that it is
/// told to edit does not, so that the verifier is seen to say no.
fn dkim() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)?;
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem())?;
    std::fs::write(folder.path().join("public.pem"), key.public_key_pem())?;
    let text = "Content-Type: text/plain; charset=us-ascii\r\n\r\nHello\r\n";
    let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nHello\r\n--s--\r\n";
    let label = "Content-Type: text/plain; charset=us-ascii\r\n\r\nGr\u{fc}\u{df}e\r\n";
    let structure = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n";
    let calendar = "Content-Type: text/calendar; charset=us-ascii\r\n\r\nBEGIN:VCALENDAR\r\n";
    for (policy, bodies) in [
        ("leave-alone", &[text][..]),
        ("keep", &[signed, label, structure, calendar, text]),
    ] {
        let next_hop = NextHop::start();
        let sink = Sink::spawn(Command::new(program("postern-disclaimer")), &["--listen"]);
        let gateway = Setup::default()
            .domain("example.test", &format!("smtp://{}", next_hop.address()))
            .with(&sink.table("disclaimer"))
            .with(&format!(
                "[[binding]]\nname = \"disclaimer\"\nsink = \"disclaimer\"\nevents = [\"transport.submit\"]\n\
                 body = \"full\"\nmay = [\"body\", \"headers\"]\nproperties = {{ text = \"Footer\", dkim = \"{policy}\" }}",
            ))
            .start();
        for (n, body) in bodies.iter().enumerate() {
            let message = format!("From: a@example.org\r\nMIME-Version: 1.0\r\n{body}");
            let sent = dkimpy("sign", folder.path(), message.as_bytes())?.ok_or("no signature")?;
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org> BODY=8BITMIME", 250);
            client.expect("RCPT TO:<b@example.test>", 250);
            client.expect("DATA", 354);
            client.send(postern_e2e::client::stuffed(&sent));
            assert_eq!(client.reply().code, 250);
            let received = next_hop.wait_for(n + 1, LIMIT);
            let arrived = &received.get(n).ok_or("not arrived")?.content;
            let verifies = dkimpy("verify", folder.path(), arrived)?.is_some();
            let is_edited = policy == "keep" && *body == text;
            assert_eq!(
                verifies,
                !is_edited,
                "{policy}: {}",
                String::from_utf8_lossy(arrived)
            );
        }
    }
    Ok(())
}

/// What dkimpy writes, if it says yes.
fn dkimpy(what: &str, folder: &Path, message: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
    let mut child = Command::new(python())
        .arg(root().join("tests/peers/python/dkim_peer.py"))
        .arg(what)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("no standard input")?
        .write_all(message)?;
    let output = child.wait_with_output()?;
    match output.status.code() {
        Some(0) => Ok(Some(output.stdout)),
        Some(1) => Ok(None),
        _ => Err("dkim_peer.py failed".into()),
    }
}
