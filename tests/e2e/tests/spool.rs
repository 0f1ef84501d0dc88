//! The spool as operators meet it: formats, full disks; and what the metrics listener answers.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::programs::program;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

#[test]
fn a_spool_of_a_later_format_is_refused_and_left_as_it_is() {
    let setup = Setup::default();
    let state = setup.folder().join("state");
    fs::create_dir(&state).unwrap();
    let format = state.join("spool.format");
    fs::write(&format, "99 read by postern 9.8.7\n").unwrap();
    let file = setup.write();
    let output = Command::new(program("postern"))
        .args(["serve", "--config"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{text}");
    let line = text
        .lines()
        .find(|l| l.contains("99") && l.contains("9.8.7"));
    assert!(line.is_some(), "says what can read it: {text}");
    assert_eq!(
        fs::read_to_string(format).unwrap(),
        "99 read by postern 9.8.7\n"
    );
    assert!(!state.join("spool.db").exists());
}

#[test]
fn a_full_disk_takes_nothing_loses_nothing_and_still_delivers() {
    let next_hop = NextHop::with(Manners {
        recipients: vec![("@", "450 4.2.0 not now")],
        ..Manners::default()
    });
    let mut gateway = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    for _ in 0..5 {
        let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250);
    }
    drop(client);
    assert!(gateway.stop(LIMIT).success());
    gateway.set_variable("POSTERN__SPOOL__MIN_FREE", "1000000 GiB");
    gateway.start();

    let mut client = Client::ready(gateway.smtp());
    let refused = [
        "MAIL FROM:<a@example.org>",
        "RCPT TO:<b@example.test>",
        "DATA",
    ]
    .into_iter()
    .map(|command| client.command(command))
    .find(|reply| reply.code >= 400);
    let refused = refused.unwrap_or_else(|| {
        client.send("Subject: x\r\n\r\nx\r\n.\r\n");
        client.reply()
    });
    assert_eq!(refused.code, 452, "{refused:?}");
    assert!(refused.text().starts_with("4.3.1"), "{refused:?}");
    client.expect("RSET", 250);

    next_hop.behave(Manners::default());
    let received = next_hop.wait_for(5, LIMIT);
    for message in received {
        assert_eq!(message.from_line("From:").unwrap(), CONTENT);
    }
    assert_eq!(next_hop.count(), 5, "the refused one is not among them");
}

#[test]
fn the_metrics_listener_answers_three_paths_and_nothing_else() {
    let gateway = Setup::default().start();
    Client::ready(gateway.smtp()).expect("QUIT", 221);
    let (code, metrics) = gateway.http("/metrics");
    assert_eq!(code, 200);
    for name in ["postern_spool_messages{", "postern_replies_total{"] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    assert_eq!(gateway.http("/livez").0, 200);
    assert_eq!(gateway.http("/readyz").0, 200);
    for path in ["/", "/metrics/", "/config", "/../etc/passwd"] {
        assert_eq!(gateway.http(path).0, 404, "{path}");
    }
}
