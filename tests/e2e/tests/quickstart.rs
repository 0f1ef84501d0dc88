//! `postern quickstart --once`: a real message through the gateway and two sink processes.

#![allow(clippy::unwrap_used, missing_docs)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{terminate, wait_for_greeting};
use postern_e2e::mime::from_base64;
use postern_e2e::programs::{program, root};

const LIMIT: Duration = Duration::from_secs(20);

const MESSAGE: &[u8] =
    b"From: ada@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello.\r\n";

fn quickstart(folder: &Path) -> Output {
    program("postern-stamp");
    Command::new(program("postern"))
        .args(["quickstart", "--once", "--keep"])
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The process ids that it names.
fn processes(shown: &str) -> Vec<u32> {
    let lines = shown.lines().filter(|line| line.contains("process"));
    lines
        .filter_map(|line| line.split(['(', ')']).nth(1)?.parse().ok())
        .collect()
}

#[test]
fn a_message_is_judged_by_two_sinks_altered_and_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("kept");
    let output = quickstart(&folder);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{errors}");

    for event in [
        "inbound.connect",
        "inbound.helo",
        "inbound.mail",
        "inbound.rcpt",
        "inbound.data",
        "inbound.headers",
        "inbound.message",
        "inbound.outcome",
        "inbound.disconnect",
        "transport.submit",
        "delivery.result",
    ] {
        let found = shown
            .lines()
            .any(|line| line.contains(event) && line.contains(" ms  "));
        assert!(found, "no {event} with its time in\n{shown}");
    }
    let verdict = |sink: &str, event: &str| {
        let fits = |l: &&str| l.contains(event) && l.contains(sink) && l.contains("proceed");
        shown.lines().any(|line| fits(&line))
    };
    assert!(verdict("stamp", "inbound.rcpt"), "{shown}");
    assert!(verdict("disclaimer", "transport.submit"), "{shown}");
    assert!(shown.contains("+ X-Postern-Trace:"), "{shown}");
    assert!(shown.contains("~ body at "), "{shown}");
    // Texts are shown decoded, with what came in on the way.
    for line in [
        "  - <html><body><p>Schöne <b>Grüße</b></p></body></html>",
        "    An attachment stays as it is.",
    ] {
        assert!(
            shown.lines().any(|own| own == line),
            "{line} is not in\n{shown}"
        );
    }
    let added = |part: &str| {
        let mut lines = shown.lines().filter(|line| line.starts_with("  + "));
        lines.any(|line| line.contains(part))
    };
    assert!(
        added("Schöne <b>Grüße</b>") && added("Nur für den Empfänger"),
        "{shown}"
    );
    assert!(
        !shown.contains('\u{1b}'),
        "colour is for terminals: {shown}"
    );
    let summary = shown.lines().find(|line| line.starts_with("It works: "));
    let summary = summary.unwrap_or_else(|| panic!("no summary in\n{shown}"));
    assert!(
        summary.contains("2 sinks") && summary.ends_with(", 0 failures."),
        "{summary}"
    );

    // The gateway and two sinks, three processes, and none is left.
    let mut ids = processes(&shown);
    assert_eq!(ids.len(), 3, "{shown}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{shown}");
    for id in ids {
        let command = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        assert!(!command.contains("postern"), "{id} still runs: {command}");
    }
    delivered(&folder);
    goes_on(&folder, &shown);
}

/// What was kept works: it is started as the last lines say, and takes mail.
fn goes_on(folder: &Path, shown: &str) {
    let start = folder.join("start").display().to_string();
    assert!(
        shown.lines().any(|line| line.trim() == start),
        "{start} is not named in\n{shown}"
    );
    let config = fs::read_to_string(folder.join("postern.toml")).unwrap();
    let address = config.split("listen = [\"").nth(1).unwrap();
    let address = address.split('"').next().unwrap().parse().unwrap();
    let log = fs::File::create(folder.join("gateway.log")).unwrap();
    let mut child = Command::new(&start)
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    wait_for_greeting(address).unwrap();
    let mut client = Client::ready(address);
    let reply = client.deliver("ada@example.test", &["alan@example.test"], MESSAGE);
    let mail = folder.join("mail/alan/new");
    let until = Instant::now() + LIMIT;
    while fs::read_dir(&mail).map_or(0, Iterator::count) == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    terminate(child.id());
    let status = child.wait().unwrap();
    let log = fs::read_to_string(folder.join("gateway.log")).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}\n{log}");
    let files: Vec<_> = fs::read_dir(&mail).unwrap().collect();
    let text = fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
    assert!(
        text.contains("X-Postern-Trace: ") && text.contains("Nur f"),
        "{text}"
    );
    assert!(!log.contains("can answer in its place"), "{log}");
    assert!(status.code().is_some(), "{status}");
    for name in ["stamp.sock", "disclaimer.sock"] {
        let answers = std::os::unix::net::UnixStream::connect(folder.join(name)).is_ok();
        assert!(!answers, "{name} is still listened on");
    }
}

/// The message in the Maildir: both alternatives altered, the attachment not.
fn delivered(folder: &Path) {
    let mut files = fs::read_dir(folder.join("mail/grace/new")).unwrap();
    let text = fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap();
    assert!(files.next().is_none(), "one message, once");
    let text = text.replace("\r\n", "\n");
    assert!(text.contains("X-Postern-Trace: "), "{text}");

    let parts: Vec<&str> = text.split("--inner").collect();
    let plain = parts.iter().find(|p| p.contains("text/plain")).unwrap();
    let unfolded = plain.replace("=\n", "");
    assert!(unfolded.contains("Sch=C3=B6ne Gr=C3=BC=C3=9Fe"), "{plain}");
    assert!(
        unfolded.contains("Nur f=C3=BCr den Empf=C3=A4nger bestimmt"),
        "{plain}"
    );
    let html = parts.iter().find(|p| p.contains("text/html")).unwrap();
    let encoded = html.split("\n\n").nth(1).unwrap();
    let html = String::from_utf8(from_base64(encoded)).unwrap();
    assert!(
        html.contains("<b>Grüße</b>") && html.contains("Nur für den Empfänger"),
        "{html}"
    );
    assert!(html.trim_end().ends_with("</body></html>"), "{html}");
    let attachment = text.split("--outer").nth(2).unwrap();
    assert!(
        attachment.ends_with("filename=\"note.txt\"\n\nAn attachment stays as it is.\n"),
        "{attachment}"
    );
}

#[test]
fn a_folder_that_has_something_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    let output = quickstart(folder.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(73), "{errors}");
    assert!(errors.contains("is not empty"), "{errors}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A program of one line of shell.
fn script(path: PathBuf, line: &str) {
    fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The command of the book, with a cargo that builds nothing: what counts is where it looks for the programs.
#[test]
fn the_command_of_the_book_finds_its_programs_wherever_cargo_puts_them() {
    let folder = tempfile::tempdir().unwrap();
    let (bin, target) = (folder.path().join("bin"), folder.path().join("elsewhere"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(target.join("release")).unwrap();
    let cargo = env!("CARGO");
    let no_build = format!("[ \"$1\" = build ] || exec '{cargo}' \"$@\"");
    script(bin.join("cargo"), &no_build);
    script(target.join("release/postern"), "echo \"here: $*\"");
    let path = env::var("PATH").unwrap();
    let output = Command::new(root().join("deploy/quickstart"))
        .args(["--once", "--keep", "kept"])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("POSTERN_PROFILE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(shown, "here: quickstart --once --keep kept\n", "{errors}");
}
