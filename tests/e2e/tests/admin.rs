//! The queue as an operator sees it: listed, shown, printed, summed up, while the gateway runs.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;

use postern_e2e::admin::{self, command, id, list, ran, run, socket, wait_listed, well};
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use rustix::process::geteuid;

const CONTENT: &[u8] = b"From: a@sender.test\r\nSubject: found\r\n\r\nbody\r\n.dot\r\n";

/// A user of whom the system need not know.
const STRANGER: u32 = 54321;

/// A gateway whose next hop is away.
fn with_dead_hop() -> (Gateway, String) {
    let dead = format!("smtp://{}", free_address());
    let gateway = Setup::default().domain("example.test", &dead).start();
    (gateway, dead)
}

fn send(gateway: &Gateway, sender: &str, recipients: &[&str], content: &[u8]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver(sender, recipients, content);
    assert_eq!(reply.code, 250, "{reply:?}");
}

#[test]
fn what_waits_for_a_dead_destination_is_listed_shown_and_summed_up() {
    let (gateway, dead) = with_dead_hop();
    send(&gateway, "one@sender.test", &["b@example.test"], CONTENT);
    let both = ["c@example.test", "d@example.test"];
    send(&gateway, "two@sender.test", &both, CONTENT);
    send(&gateway, "", &["b@example.test"], CONTENT);
    let all = wait_listed(&gateway, &["--attempts", "1"], 3);
    let senders: Vec<_> = all
        .iter()
        .map(|one| one["sender"].as_str().unwrap())
        .collect();
    assert_eq!(senders, ["one@sender.test", "two@sender.test", ""]);
    let two = &all[1];
    assert_eq!(two["state"], "deliver");
    assert_eq!(two["recipients"], 2);
    assert_eq!(two["server"], "inbound");
    assert_eq!(two["waiting"][0]["destination"], dead.as_str());
    assert_eq!(two["waiting"][0]["recipients"], 2);
    assert_eq!(two["reason"], two["waiting"][0]["reason"]);
    assert_ne!(two["reason"], "");
    assert!(two["due"].as_str().unwrap() > two["received"].as_str().unwrap());

    for (filter, expected) in [
        (&["--sender", "two@sender.test"][..], &[1][..]),
        (&["--sender", "*@SENDER.test"], &[0, 1]),
        (&["--sender", "<>"], &[2]),
        (&["--recipient", "b@example.test"], &[0, 2]),
        (&["--recipient", "*@example.test", "--sender", "<>"], &[2]),
        (&["--recipient", "b"], &[]),
        (&["--destination", &dead], &[0, 1, 2]),
        (&["--destination", "*:1"], &[]),
        (&["--older-than", "1h"], &[]),
        (&["--older-than", "0s"], &[0, 1, 2]),
        (&["--state", "quarantined"], &[]),
        (&["--state", "deliver"], &[0, 1, 2]),
        (&["--reason", "refused"], &[0, 1, 2]),
        (&["--reason", "no such words"], &[]),
        (&["--binding", "scan"], &[]),
        (&["--larger-than", "1MiB"], &[]),
        (&["--limit", "2"], &[0, 1]),
    ] {
        let found = list(&gateway, filter);
        let found: Vec<_> = found.iter().map(id).collect();
        let expected: Vec<_> = expected.iter().map(|&at: &usize| id(&all[at])).collect();
        assert_eq!(found, expected, "{filter:?}");
    }

    let text = well(&gateway, &["queue", "list"]).out;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    let place = lines[0].find("SENDER").unwrap();
    assert_eq!(lines[1].find("one@sender.test"), Some(place), "{text}");
    assert_eq!(lines[3].find("<>"), Some(place), "{text}");
    assert_eq!(lines[4], "3 messages");

    let shown = well(&gateway, &["queue", "show", "--json", id(two)]).json();
    assert_eq!(shown["client"], "127.0.0.1");
    assert_eq!(shown["helo"], "client.example.test");
    assert_eq!(shown["origin"], "smtp");
    assert_eq!(shown["kept_by"], serde_json::Value::Null);
    assert_eq!(shown["to"][1]["address"], "d@example.test");
    assert_eq!(shown["to"][1]["state"], "pending");
    assert_eq!(shown["to"][1]["attempts"], 1);
    assert_eq!(shown["to"][1]["destination"], dead.as_str());
    assert!(
        shown["to"][1]["reply"]
            .as_str()
            .unwrap()
            .contains("refused")
    );
    let text = well(&gateway, &["queue", "show", id(two)]).out;
    for part in [
        "two@sender.test",
        "c@example.test: pending after 1 attempts",
        "127.0.0.1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let content = well(&gateway, &["queue", "cat", id(two)]).out;
    assert!(
        content.starts_with("Received: from client.example.test"),
        "{content}"
    );
    assert!(content.ends_with("\r\n\r\nbody\r\n.dot\r\n"), "{content}");
    let headers = well(&gateway, &["queue", "cat", "--headers", id(two)]).out;
    assert!(
        headers.contains("Subject: found\r\n") && !headers.contains("body"),
        "{headers}"
    );

    let stats = well(&gateway, &["queue", "stats", "--json"]).json();
    assert_eq!(stats["states"]["deliver"], 3);
    assert_eq!(stats["states"]["on-hold"], 0);
    assert_eq!(stats["destinations"][0]["destination"], dead.as_str());
    assert_eq!(stats["destinations"][0]["messages"], 3);
    assert_eq!(stats["destinations"][0]["recipients"], 4);
    assert_eq!(stats["senders"].as_array().unwrap().len(), 3);
    let text = well(&gateway, &["queue", "stats"]).out;
    assert!(
        text.contains(&dead) && text.contains("two@sender.test"),
        "{text}"
    );
}

#[test]
fn the_status_says_whether_and_how_the_gateway_runs() {
    let (gateway, _) = with_dead_hop();
    send(&gateway, "one@sender.test", &["b@example.test"], CONTENT);
    wait_listed(&gateway, &["--attempts", "1"], 1);
    let open = Client::ready(gateway.smtp());
    let status = well(&gateway, &["status", "--json"]).json();
    assert_eq!(status["ready"], true);
    assert_eq!(status["process"], gateway.pid());
    assert_eq!(status["listeners"][0]["server"], "inbound");
    assert_eq!(
        status["listeners"][0]["address"],
        gateway.smtp().to_string()
    );
    assert_eq!(status["sessions"]["inbound"], 1);
    assert_eq!(status["queue"]["deliver"], 1);
    assert!(status["spool"]["free"].as_u64().unwrap() > 0);
    drop(open);
    let text = well(&gateway, &["status"]).out;
    let ready = text.lines().find(|line| line.starts_with("ready"));
    assert_eq!(
        ready.map(|line| line.trim_start_matches("ready").trim()),
        Some("yes"),
        "{text}"
    );
    assert!(text.contains("queue      1 deliver"), "{text}");
}

#[test]
fn a_gateway_that_can_accept_nothing_says_why() {
    let away = format!("http://{}", free_address());
    let gateway = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:9")
        .with(&format!(
            "[[sink]]\nname = \"scanner\"\nendpoint = \"{away}\"\n\
             [[binding]]\nname = \"scan\"\nsink = \"scanner\"\nevents = [\"inbound.message\"]\nmay = []\n\
             on_failure = \"tempfail\""
        ))
        .start();
    gateway.wait_for_log("sink is not reachable", std::time::Duration::from_secs(30));
    let ran = run(&gateway, &["status"]);
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(
        ran.out.contains("no: no mail is accepted: binding scan"),
        "{ran:?}"
    );
    assert!(ran.out.contains("scanner down: "), "{ran:?}");
}

#[test]
fn two_thousand_messages_are_listed_and_removed_in_bounded_memory() {
    let (gateway, _) = with_dead_hop();
    let mut client = Client::ready(gateway.smtp());
    for number in 0..2000 {
        let sender = format!("n{number}@sender.test");
        let reply = client.deliver(&sender, &["b@example.test"], CONTENT);
        assert_eq!(reply.code, 250, "{number}: {reply:?}");
        if number % 500 == 499 {
            client = Client::ready(gateway.smtp());
        }
    }
    let before = gateway.peak_memory_kib();
    let all = list(&gateway, &[]);
    assert_eq!(all.len(), 2000);
    let ids: Vec<_> = all.iter().map(id).collect();
    assert!(ids.is_sorted());
    assert_eq!(well(&gateway, &["queue", "list"]).out.lines().count(), 2002);
    let grown = gateway.peak_memory_kib() - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
    let removed = run(
        &gateway,
        &["queue", "remove", "--all", "--because", "a test"],
    );
    assert!(matches!(removed.code, 0 | 75), "{removed:?}");
    // What a connection had at that moment was left alone.
    while !list(&gateway, &[]).is_empty() {
        run(&gateway, &["queue", "remove", "--all"]);
    }
    assert_eq!(gateway.spooled("deliver"), 0);
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let (mut gateway, _) = with_dead_hop();
    let unknown = "019a0000-0000-7000-8000-000000000000";
    for arguments in [
        &["queue", "show", unknown][..],
        &["queue", "cat", unknown],
        &["queue", "remove", unknown],
    ] {
        let ran = run(&gateway, arguments);
        assert_eq!(ran.code, 66, "{ran:?}");
        let said = ran.out + &ran.err;
        assert!(
            said.contains(unknown) && said.contains("not in the queue"),
            "{said}"
        );
    }
    for arguments in [
        &["queue", "show", "17"][..],
        &["queue", "remove"],
        &["queue", "remove", "--all", "--sender", "a"],
        &["queue", "remove", unknown, "--sender", "a"],
        &["queue", "list", "--older-than", "soon"],
        &["queue", "list", "--state", "lost"],
        &["queue", "bounce", unknown, "--because", "two\nlines"],
    ] {
        let ran = run(&gateway, arguments);
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (64, ""),
            "{arguments:?} {ran:?}"
        );
        assert!(!ran.err.is_empty());
    }
    // By the configuration alone.
    let file = gateway.folder().join("postern.toml");
    let mut by_file = std::process::Command::new(postern_e2e::programs::program("postern"));
    by_file.args(["status", "--config"]).arg(&file);
    assert_eq!(ran(&mut by_file).code, 0);
    gateway.stop(std::time::Duration::from_secs(30));
    assert!(!socket(&gateway).exists());
    for arguments in [&["status"][..], &["queue", "list"], &["drain"]] {
        let ran = run(&gateway, arguments);
        assert_eq!(ran.code, 69, "{ran:?}");
        let path = socket(&gateway).display().to_string();
        assert!(ran.err.contains(&path), "{ran:?}");
        assert!(ran.err.contains("the gateway does not run"), "{ran:?}");
    }
    // A killed one leaves its socket, and the next start takes it over.
    gateway.start();
    gateway.kill();
    assert!(socket(&gateway).exists());
    assert_eq!(run(&gateway, &["status"]).code, 69);
    gateway.start();
    well(&gateway, &["status"]);
}

#[test]
fn only_root_and_the_user_of_the_gateway_are_heard() {
    let (gateway, _) = with_dead_hop();
    send(&gateway, "one@sender.test", &["b@example.test"], CONTENT);
    let path = socket(&gateway);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    if !geteuid().is_root() {
        return;
    }
    // The socket's mode keeps strangers out; whoever comes in all the same is not listened to.
    let program = gateway.folder().join("postern");
    fs::copy(postern_e2e::programs::program("postern"), &program).unwrap();
    for folder in [gateway.folder(), path.parent().unwrap(), &program] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let stranger = || {
        let mut own = std::process::Command::new(&program);
        own.uid(STRANGER).gid(STRANGER).current_dir("/");
        own.args(["queue", "list", "--socket"]).arg(&path);
        ran(&mut own)
    };
    let refused = stranger();
    assert_eq!(refused.code, 77, "{refused:?}");
    assert!(refused.err.contains("run it as root"), "{refused:?}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = stranger();
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(refused.out, "");
    assert!(
        refused.err.contains("only root and the user"),
        "{refused:?}"
    );
    gateway.wait_for_line(std::time::Duration::from_secs(10), |line| {
        line.contains("refused on the admin socket") && line.contains(&STRANGER.to_string())
    });
    well(&gateway, &["status"]);
}

#[test]
fn draining_ends_the_gateway_and_keeps_the_queue() {
    let (mut gateway, _) = with_dead_hop();
    send(&gateway, "one@sender.test", &["b@example.test"], CONTENT);
    let ran = well(&gateway, &["drain", "--within", "5s"]);
    assert!(
        ran.out.contains("within 5s") && ran.out.ends_with("it has ended\n"),
        "{ran:?}"
    );
    assert!(gateway.wait(std::time::Duration::from_secs(20)).success());
    gateway.start();
    assert_eq!(list(&gateway, &[]).len(), 1);
}

#[test]
fn a_second_drain_says_what_is_left_of_the_first() {
    let (mut gateway, _) = with_dead_hop();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<one@sender.test>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
    let first = well(&gateway, &["drain", "--within", "40s", "--no-wait"]);
    assert!(first.out.contains("within 40s"), "{first:?}");
    let second = well(&gateway, &["drain", "--within", "20m", "--no-wait"]);
    assert!(second.out.contains("within 3"), "{second:?}");
    client.send("Subject: x\r\n\r\nbody\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    assert!(gateway.wait(std::time::Duration::from_secs(60)).success());
}

#[test]
fn a_filter_without_a_value_changes_nothing() {
    let (gateway, _) = with_dead_hop();
    send(&gateway, "one@sender.test", &["b@example.test"], CONTENT);
    for filter in ["--sender", "--recipient", "--reason", "--binding"] {
        let arguments = ["queue", "remove", "--older-than", "0s", filter, ""];
        let ran = run(&gateway, &arguments);
        assert_eq!(ran.code, 64, "{ran:?}");
    }
    assert_eq!(list(&gateway, &[]).len(), 1);
}

#[test]
fn the_socket_is_where_the_configuration_says() {
    let setup = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:9")
        .with("[admin]\nsocket = \"here.sock\"");
    let gateway = setup.start();
    assert!(gateway.folder().join("here.sock").exists());
    assert!(!admin::socket(&gateway).exists());
    let mut by_path = command(&gateway, &["status"]);
    assert_eq!(ran(&mut by_path).code, 69);
    let file = gateway.folder().join("postern.toml");
    let mut by_file = std::process::Command::new(postern_e2e::programs::program("postern"));
    by_file.args(["status", "--config"]).arg(&file);
    assert_eq!(ran(&mut by_file).code, 0);
}

#[test]
fn every_command_of_the_operators_page_is_understood() {
    let page = fs::read_to_string(postern_e2e::programs::root().join("docs/queue.md")).unwrap();
    let (_, examples) = page.split_once("## At three in the morning").unwrap();
    let (gateway, _) = with_dead_hop();
    let folder = postern_e2e::programs::program("postern");
    let path = format!("{}:/usr/bin:/bin", folder.parent().unwrap().display());
    let mut tried = 0;
    for line in examples.lines().filter(|line| line.starts_with("postern ")) {
        send(
            &gateway,
            "one@newsletter.test",
            &["b@example.test"],
            CONTENT,
        );
        let first = id(&list(&gateway, &[])[0]).to_owned();
        let line = line.replace("ID", &first);
        let mut shell = std::process::Command::new("sh");
        shell.env("PATH", &path).arg("-c");
        shell.arg(format!("{line} --socket {}", socket(&gateway).display()));
        let ran = ran(&mut shell);
        assert!(matches!(ran.code, 0 | 65 | 75), "{line}: {ran:?}");
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
    // Those of the text.
    for command in [
        "postern drain --within 5m",
        "postern queue stats",
        "postern status",
    ] {
        assert!(page.contains(command), "{command}");
    }
}
