//! What is wrong is said in one clear line each, with an exit code of sysexits, and nothing starts.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use postern_e2e::certificate::Authority;
use postern_e2e::gateway::Setup;
use postern_e2e::programs::program;

const USAGE: i32 = 64;
const UNAVAILABLE: i32 = 69;
const CONFIG: i32 = 78;

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    let file = setup.write();
    Command::new(program("postern"))
        .args(arguments)
        .arg("--config")
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Both commands refuse it alike: the same exit code, a line with each of `parts`.
fn refused(setup: &Setup, code: i32, parts: &[&str]) {
    for arguments in [&["serve"][..], &["check", "--offline"]] {
        let output = run(setup, arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
        let line = text
            .lines()
            .find(|line| parts.iter().all(|part| line.contains(part)));
        assert!(
            line.is_some(),
            "{arguments:?}: no line with {parts:?} in\n{text}"
        );
    }
    assert!(
        !setup.folder().join("state/spool.db-wal").exists(),
        "a store was begun"
    );
}

#[test]
fn an_unknown_key_names_file_line_and_the_nearest_key() {
    let setup = Setup::default().server("max_mesage_size = \"1 MiB\"");
    refused(
        &setup,
        CONFIG,
        &["postern.toml:", "max_mesage_size", "max_message_size"],
    );
}

#[test]
fn a_bare_number_is_refused() {
    let setup = Setup::default().server("max_message_size = 1000000");
    refused(
        &setup,
        CONFIG,
        &["postern.toml:", "max_message_size", "MiB"],
    );
}

#[test]
fn what_is_not_in_this_version_is_refused_by_name() {
    let setup = Setup::default().with("[trace]\nkeep = \"3d\"");
    refused(&setup, CONFIG, &["trace", "not in this version"]);
}

#[test]
fn all_errors_are_shown_at_once() {
    let setup = Setup::default().server("hostnam = \"x\"\nlimit = 3");
    refused(&setup, CONFIG, &["hostnam"]);
    refused(&setup, CONFIG, &["limit"]);
}

#[test]
fn a_configuration_without_a_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postern.toml");
    fs::write(&file, "[spool]\npath = \"state\"\n").unwrap();
    for arguments in [&["serve"][..], &["check", "--offline"]] {
        let output = Command::new(program("postern"))
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(CONFIG), "{text}");
        assert!(
            text.lines().any(|line| line.contains("[[server]]")),
            "{text}"
        );
    }
}

#[test]
fn a_missing_certificate_names_the_file() {
    let setup = Setup::default().server("tls = { cert = \"no.pem\", key = \"no.key\" }");
    refused(&setup, CONFIG, &["no.pem"]);
}

#[test]
fn a_key_that_does_not_fit_its_certificate_is_refused() {
    let setup = Setup::default().server("tls = { cert = \"a.pem\", key = \"b.key\" }");
    for name in ["a", "b"] {
        Authority::default().issue(setup.folder(), name, "mx.example.test");
    }
    refused(&setup, CONFIG, &["a.pem", "b.key"]);
}

#[test]
fn a_rule_that_does_not_parse_is_shown_with_its_place() {
    let setup = Setup::default().with(
        "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:9\"\n\
         [[binding]]\nname = \"b\"\nsink = \"s\"\nevents = [\"inbound.rcpt\"]\nmay = []\nrule = \"RCPT TO\"\n\
         when = \"session.helo ==\"",
    );
    refused(&setup, CONFIG, &["binding", "when"]);
}

#[test]
fn a_grant_that_was_not_accepted_is_refused_by_name() {
    let setup = Setup::default().with(
        "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:9\"\n\
         [[binding]]\nname = \"unpinned\"\nsink = \"s\"",
    );
    refused(&setup, CONFIG, &["unpinned", "check --accept"]);
}

#[test]
fn a_port_in_use_stops_the_start_before_anything_else() {
    let setup = Setup::default();
    let file = setup.write();
    let text = fs::read_to_string(&file).unwrap();
    let address = text
        .split("listen = [\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let _taken = TcpListener::bind(address).unwrap();
    let output = run(&setup, &["serve"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(UNAVAILABLE), "{text}");
    assert!(text.lines().any(|line| line.contains(address)), "{text}");
}

#[test]
fn a_spool_that_another_process_holds_is_refused() {
    let gateway = Setup::default().start();
    let other = Setup::default();
    let file = other.write();
    let state = gateway.folder().join("state").display().to_string();
    let own = other.folder().join("state").display().to_string();
    fs::write(
        &file,
        fs::read_to_string(&file).unwrap().replace(&own, &state),
    )
    .unwrap();
    let output = Command::new(program("postern"))
        .args(["serve", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(
        text.contains(&gateway.pid().to_string()),
        "names the holder: {text}"
    );
}

#[test]
fn a_sink_whose_name_does_not_resolve_fails_the_check_but_not_the_start() {
    let with_sink = |setup: Setup| {
        setup.with(
            "[[sink]]\nname = \"lost\"\nendpoint = \"http://no-such-host.invalid:7001\"\nplaintext = true\n\
             [[binding]]\nname = \"lost\"\nsink = \"lost\"\nevents = [\"inbound.rcpt\"]\nmay = []\n\
             on_failure = \"reject\"",
        )
    };
    let setup = with_sink(Setup::default());
    let output = run(&setup, &["check"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(UNAVAILABLE), "{text}");
    assert!(text.contains("no-such-host.invalid"), "{text}");

    let gateway = with_sink(Setup::default().domain("example.test", "smtp://127.0.0.1:9")).start();
    let mut client = postern_e2e::client::Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 550);
    client.expect("RCPT TO:<c@example.test>", 550);
    // Once of the sink, once of its only replica, however many threads notice.
    for what in ["sink is not reachable", "replica is not reachable"] {
        let log = gateway.log();
        let said = log
            .lines()
            .filter(|line| line.contains(what) && line.contains("no-such-host.invalid"));
        assert_eq!(said.count(), 1, "{what}: {log}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let output = Command::new(program("postern"))
        .arg("serv")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(String::from_utf8_lossy(&output.stderr).contains("serve"));
}
