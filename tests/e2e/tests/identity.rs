//! Who answers in a sink's place: strangers are asked nothing, and what stands between gateway and sink is said in words
//! that an operator can act on.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::programs::{program, program_of_tests};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);

fn check(setup: &Setup, arguments: &[&str]) -> Output {
    let file = setup.write();
    Command::new(program("postern"))
        .arg("check")
        .args(arguments)
        .arg("--config")
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A binding of this sink that is asked at MAIL.
fn asked_at_mail(endpoint: &str) -> Setup {
    Setup::default()
        .domain("example.test", "smtp://127.0.0.1:9")
        .with(&format!(
            "[[sink]]\nname = \"scan\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"scan\"\nsink = \"scan\"\nevents = [\"inbound.mail\"]\nmay = []\non_failure = \"tempfail\""
        ))
}

fn accept(setup: &Setup) {
    let output = check(setup, &["--accept", "scan"]);
    assert!(output.status.success(), "{}", said(&output));
}

fn mail(gateway: &Gateway, code: u16) {
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", code);
}

#[test]
fn x3_another_program_on_the_port_is_not_asked_and_its_verdicts_do_not_count() {
    let mut sink = Sink::start(&[]);
    let setup = asked_at_mail(&sink.endpoint());
    accept(&setup);
    let gateway = setup.start();
    mail(&gateway, 250);
    sink.kill();
    let impostor = Sink::at_with(&sink.endpoint(), &["mail=reject"], &["--name", "impostor"]);
    gateway.wait_for_log("\"impostor\" answers", LIMIT);
    let log = gateway.log();
    let line = log
        .lines()
        .find(|line| line.contains("\"impostor\" answers"))
        .unwrap();
    assert!(
        line.contains("WARN")
            && line.contains("\"test-sink\" was accepted")
            && line.contains(&sink.endpoint()),
        "{line}"
    );
    for _ in 0..3 {
        mail(&gateway, 451);
    }
    assert_eq!(impostor.seen(), []);
    drop(impostor);
    // The one that was accepted is taken back by itself.
    let _sink = Sink::at(&sink.endpoint(), &[]);
    let until = std::time::Instant::now() + LIMIT;
    let mut client = Client::ready(gateway.smtp());
    while client.command("MAIL FROM:<a@example.org>").code != 250 {
        assert!(std::time::Instant::now() < until, "{}", gateway.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn x3_another_user_on_the_socket_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("stamp.sock");
    let endpoint = format!("unix:{}", socket.display());
    let _sink = unix_sink(&socket);
    let setup = asked_at_mail(&endpoint);
    accept(&setup);
    let pin = setup.folder().join("state/accepted/scan.json");
    let text = fs::read_to_string(&pin).unwrap();
    let own = rustix::process::geteuid().as_raw();
    assert!(
        text.contains(&format!("\"users\": [\n    {own}\n  ]")),
        "{text}"
    );
    let mut gateway = setup.start();
    gateway.wait_for_log("sink is reachable", LIMIT);
    gateway.kill();
    // As if it had been accepted from a process of somebody else's.
    fs::write(&pin, text.replace(&format!("    {own}\n"), "    54321\n")).unwrap();
    gateway.start();
    let expected = format!(
        "\"stamp\" was accepted as a process of user 54321, and one of user {own} answers; it is not asked"
    );
    gateway.wait_for_log(&expected, LIMIT);
    let output = Command::new(program("postern"))
        .args(["check", "--config"])
        .arg(gateway.folder().join("postern.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains(&expected), "{}", said(&output));
}

struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).ok();
    }
}

fn unix_sink(socket: &Path) -> Process {
    let child = Command::new(program("postern-stamp"))
        .arg("--listen")
        .arg(format!("unix:{}", socket.display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sink = Process(child);
    let until = std::time::Instant::now() + LIMIT;
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        assert!(
            std::time::Instant::now() < until,
            "the sink does not listen"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    sink
}

#[test]
fn x3_a_loopback_port_without_tls_is_a_warning_and_a_socket_is_none() {
    let sink = Sink::start(&[]);
    let warning = "any user of this machine can answer in its place";
    let setup = asked_at_mail(&sink.endpoint());
    let output = check(&setup, &[]);
    assert!(said(&output).contains(warning), "{}", said(&output));
    let gateway = setup.start();
    assert!(gateway.log().contains(warning));
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("stamp.sock");
    let _sink = unix_sink(&socket);
    let output = check(&asked_at_mail(&format!("unix:{}", socket.display())), &[]);
    assert!(
        output.status.success() && !said(&output).contains(warning),
        "{}",
        said(&output)
    );
}

/// A sink over TLS, with a certificate for `host`.
fn tls_sink(folder: &Path, authority: &Authority, host: &str, valid: Valid) -> Sink {
    let issued = match valid {
        Valid::Now => authority.issue(folder, "sink", host),
        Valid::Past => authority.issue_expired(folder, "sink", host),
    };
    let mut command = Command::new(program_of_tests("test-sink"));
    command
        .arg("--certificate")
        .arg(&issued.files.certificate)
        .arg("--key")
        .arg(&issued.files.key);
    Sink::spawn(command, &["--listen"])
}

#[derive(Clone, Copy)]
enum Valid {
    Now,
    Past,
}

/// Both say it: the check, and the log of a gateway that runs.
fn said_of(endpoint: &str, tls: &str, advice: &str) {
    let setup = asked_at_mail(endpoint);
    let setup = match tls {
        "" => setup,
        tls => setup.with(&format!("[sink.tls]\n{tls}")),
    };
    let output = check(&setup, &[]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    let line = said(&output);
    let line = line
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap();
    assert!(line.contains(endpoint) && line.contains(advice), "{line}");
    let gateway = setup.start();
    mail(&gateway, 451);
    gateway.wait_for_log(advice, LIMIT);
    let log = gateway.log();
    assert!(
        log.lines()
            .any(|line| line.contains(endpoint) && line.contains(advice)),
        "{advice} is not in\n{log}"
    );
}

#[test]
fn f3_tls_and_plain_text_that_meet_are_told_apart() {
    let plain = Sink::start(&[]);
    let endpoint = plain.endpoint().replace("http://", "https://");
    said_of(&endpoint, "", "speaks no TLS");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let tls = tls_sink(folder.path(), &authority, "localhost", Valid::Now);
    said_of(&tls.endpoint(), "", "write https://");
}

#[test]
fn f3_what_is_wrong_with_a_sinks_certificate_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let ca = folder.path().join("ca.pem");
    authority.write(&ca);
    let ca = format!("ca = \"{}\"", ca.display());
    let of = |sink: &Sink| sink.endpoint().replace("http://", "https://");
    let sink = tls_sink(
        folder.path(),
        &Authority::named("another"),
        "127.0.0.1",
        Valid::Now,
    );
    said_of(
        &of(&sink),
        &ca,
        "leads to none of the authorities in tls.ca",
    );
    let sink = tls_sink(folder.path(), &authority, "other.example.test", Valid::Now);
    said_of(&of(&sink), &ca, "set tls.server_name");
    let sink = tls_sink(folder.path(), &authority, "127.0.0.1", Valid::Past);
    said_of(&of(&sink), &ca, "has expired; renew it");
}

#[test]
fn a_sink_that_is_not_there_is_said_by_its_endpoint() {
    let endpoint = format!("http://{}", free_address());
    let setup = asked_at_mail(&endpoint);
    let output = check(&setup, &[]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains("start the sink or correct the endpoint"));
}
