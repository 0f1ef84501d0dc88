//! `deliver = "sink:NAME"`: a sink is the mailbox store. `transport.local_delivery` is asked about each recipient with the
//! content, by a key that is the same whatever happens in between, and before the gateway's own Maildirs.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::programs::program;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(60);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// A setup with a store for example.test at `endpoint`; `keys` go to its binding.
fn setup(endpoint: &str, keys: &str) -> Setup {
    Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", "sink:store")
        .with(&format!(
            "[[sink]]\nname = \"store\"\nendpoint = \"{endpoint}\"\n\
             [[binding]]\nname = \"keep\"\nsink = \"store\"\nevents = [\"transport.local_delivery\"]\nmay = []\n\
             body = \"full\"\n{keys}"
        ))
}

fn send(gateway: &Gateway, recipients: &[&str], content: &[u8]) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, content);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// The ready-made store, and what its binding needs.
fn files(folder: &Path, more: &str) -> (Sink, String) {
    let store = Sink::spawn(Command::new(program("postern-mailbox")), &["--listen"]);
    let keys = format!(
        "[binding.properties]\nfolder = \"{}\"\n{more}",
        folder.display()
    );
    (store, keys)
}

/// All messages of a mailbox, by the names of their files.
fn mailbox(folder: &Path, address: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder.join(address)).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Waits until nothing is left in the spool.
fn wait_done(gateway: &Gateway) {
    let until = Instant::now() + LIMIT;
    let left = || gateway.spooled("submit") + gateway.spooled("deliver");
    while left() > 0 {
        assert!(Instant::now() < until, "{}", gateway.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_store_takes_is_in_its_files_and_the_gateway_is_done_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, keys) = files(folder.path(), "");
    let told = Sink::start(&[]);
    let gateway = setup(&store.endpoint(), &keys)
        .with(&told.table("told"))
        .with("[[binding]]\nname = \"told\"\nsink = \"told\"\nevents = [\"delivery.result\"]\nmay = []")
        .start();
    let body: String = (0..4000).map(|line| format!("line {line}\r\n")).collect();
    let content = format!("Subject: long\r\nX-Folded: a\r\n b\r\n\r\n{body}");
    send(
        &gateway,
        &["a@example.test", "B@Example.test"],
        content.as_bytes(),
    );
    let result = told.wait_seen("result", "a@example.test=", LIMIT);
    for address in ["a@example.test", "b@example.test"] {
        let kept = mailbox(folder.path(), address);
        assert_eq!(kept.len(), 1, "{address}");
        let (path, text) = &kept[0];
        assert!(
            text.starts_with("Return-Path: <me@sender.test>\r\nReceived: "),
            "{text}"
        );
        assert!(text.ends_with(&content), "{address}");
        // Where it was put is logged, and told.
        let id = path.file_stem().unwrap().to_str().unwrap();
        gateway.wait_for_line(LIMIT, |line| {
            line.contains("delivered")
                && line.contains("sink:store")
                && line.contains(&format!("Kept as {id}"))
        });
        assert!(
            result.detail.contains(&format!("Kept_as_{id}")),
            "{result:?}"
        );
    }
    assert!(result.detail.contains("DELIVERED"), "{result:?}");
    wait_done(&gateway);
}

#[test]
fn what_a_store_refuses_for_good_comes_back_in_its_words() {
    let senders = NextHop::start();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("there@example.test")).unwrap();
    let (store, keys) = files(folder.path(), "create = false\nmost = 1");
    let gateway = setup(&store.endpoint(), &keys)
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    send(
        &gateway,
        &["nobody@example.test", "there@example.test"],
        CONTENT,
    );
    let report = senders.wait_for(1, LIMIT)[0].text();
    assert!(
        report.contains("Final-Recipient: rfc822; nobody@example.test"),
        "{report}"
    );
    assert!(
        report.contains("5.1.1") && report.contains("No such mailbox"),
        "{report}"
    );
    assert!(!report.contains("there@example.test"), "{report}");
    assert_eq!(mailbox(folder.path(), "there@example.test").len(), 1);
    // A full mailbox is full for now.
    send(&gateway, &["there@example.test"], CONTENT);
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("452 The mailbox is full")
    });
    let (path, _) = mailbox(folder.path(), "there@example.test").remove(0);
    fs::remove_file(path).unwrap();
    wait_done(&gateway);
    assert_eq!(mailbox(folder.path(), "there@example.test").len(), 1);
    assert_eq!(senders.count(), 1);
}

#[test]
fn who_is_put_off_or_left_out_is_asked_about_again_by_the_schedule() {
    let store = Sink::start(&[
        "local_delivery:attempt=store:250 now",
        "local_delivery=store-only:a@",
    ]);
    let gateway = setup(&store.endpoint(), "").start();
    send(&gateway, &["a@example.test", "b@example.test"], CONTENT);
    store.wait_asked("local_delivery", 2, LIMIT);
    wait_done(&gateway);
    let asked = store.seen();
    let asked: Vec<_> = asked.iter().filter(|one| one.what == "asked").collect();
    let ids = |place: usize| -> Vec<&str> {
        let words = asked[place].detail.split(' ');
        words.filter(|word| word.starts_with("id=")).collect()
    };
    assert_eq!((ids(0).len(), ids(1).len()), (2, 1), "{asked:?}");
    assert!(ids(0).contains(&ids(1)[0]), "the same key: {asked:?}");
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("the store store said nothing of it")
    });
}

#[test]
fn a_kill_before_the_record_has_the_store_asked_again_with_the_same_key() {
    // What it had stored by then the gateway never learns.
    let mut store = Sink::start(&["local_delivery=hang"]);
    let endpoint = store.endpoint();
    let mut gateway = setup(&endpoint, "").start();
    send(&gateway, &["a@example.test"], CONTENT);
    store.wait_asked("local_delivery", 1, LIMIT);
    let key = |seen: &str| {
        seen.split(' ')
            .find(|word| word.starts_with("id="))
            .map(str::to_owned)
    };
    let first = store.wait_seen("local_delivery", "id=", LIMIT);
    assert!(!first.detail.contains("attempt="), "{first:?}");
    gateway.kill();
    store.kill();
    let store = Sink::at(&endpoint, &["local_delivery=store:250 kept"]);
    gateway.start();
    let again = store.wait_seen("local_delivery", "id=", LIMIT);
    assert_eq!(key(&first.detail), key(&again.detail));
    assert!(
        again.detail.contains("attempt="),
        "it may have been asked before: {again:?}"
    );
    wait_done(&gateway);
    assert_eq!(store.asked("local_delivery"), 1);
}

#[test]
fn whatever_is_killed_each_message_is_in_its_mailbox_once() {
    const MESSAGES: usize = 120;
    const KILLS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let (store, keys) = files(folder.path(), "");
    let mut gateway = setup(&store.endpoint(), &keys).start();
    let kept = || mailbox(folder.path(), "a@example.test").len();
    for number in 0..MESSAGES {
        let content = format!("Subject: {number}\r\n\r\nbody\r\n");
        send(&gateway, &["a@example.test"], content.as_bytes());
        if number % (MESSAGES / KILLS) == MESSAGES / KILLS - 1 {
            // In the midst of what is being delivered.
            let until = Instant::now() + LIMIT;
            while kept() + 4 < number {
                assert!(Instant::now() < until, "{}", gateway.log());
                thread::yield_now();
            }
            gateway.kill();
            gateway.start();
        }
    }
    wait_done(&gateway);
    let mut times: HashMap<String, usize> = HashMap::new();
    for (_, text) in mailbox(folder.path(), "a@example.test") {
        let subject = text.lines().find(|line| line.starts_with("Subject: "));
        *times.entry(subject.unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), MESSAGES);
    assert!(times.values().all(|&times| times == 1), "{times:?}");
}

#[test]
fn while_a_store_is_away_mail_waits_and_others_go_on() {
    let endpoint = format!("http://{}", free_address());
    let hop = NextHop::start();
    let gateway = setup(&endpoint, "")
        .domain("other.test", &format!("smtp://{}", hop.address()))
        .start();
    send(&gateway, &["a@example.test", "b@other.test"], CONTENT);
    hop.wait_for(1, LIMIT);
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("the store store could not be reached")
    });
    assert_eq!(gateway.spooled("deliver"), 1);
    let store = Sink::at(&endpoint, &["local_delivery=store:250 kept"]);
    store.wait_asked("local_delivery", 1, LIMIT);
    wait_done(&gateway);
    assert_eq!((store.asked("local_delivery"), hop.count()), (1, 1));
}

#[test]
fn a_failure_policy_of_reject_gives_mail_back_and_names_the_store() {
    let senders = NextHop::start();
    let store = Sink::start(&["local_delivery=fault"]);
    let gateway = setup(&store.endpoint(), "on_failure = \"reject\"")
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    send(&gateway, &["a@example.test"], CONTENT);
    let report = senders.wait_for(1, LIMIT)[0].text();
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        report.contains("the store store reported a failure of its own"),
        "{report}"
    );
    wait_done(&gateway);
}

#[test]
fn a_slow_store_is_asked_no_more_than_there_may_be_connections() {
    let store = Sink::with(&["local_delivery=hang"], &["--instances", "100"]);
    let hop = NextHop::start();
    let gateway = setup(&store.endpoint(), "")
        .with("[outbound]\nconnections_per_destination = 2")
        .domain("other.test", &format!("smtp://{}", hop.address()))
        .start();
    for _ in 0..6 {
        send(&gateway, &["a@example.test"], CONTENT);
    }
    store.wait_asked("local_delivery", 2, LIMIT);
    // What came later and goes elsewhere has gone, so all before it were looked at.
    send(&gateway, &["b@other.test"], CONTENT);
    hop.wait_for(1, LIMIT);
    assert_eq!(store.asked("local_delivery"), 2);
}

#[test]
fn before_a_maildir_a_sink_takes_whom_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = folder.path().join("{user}").display().to_string();
    let first = Sink::start(&["local_delivery=store-only:a@"]);
    let second = Sink::start(&["local_delivery=store-only:b@"]);
    let named = Sink::start(&["local_delivery=store:250 kept"]);
    let gateway = setup(&named.endpoint(), "")
        .domain("local.test", &format!("maildir:{maildir}"))
        .with(&first.table("first"))
        .with(&second.table("second"))
        .with(
            "[[binding]]\nname = \"first\"\nsink = \"first\"\nevents = [\"transport.local_delivery\"]\nmay = []\n\
             rule = \"RCPT TO=a@local.test\"\npriority = 1\n\
             [[binding]]\nname = \"second\"\nsink = \"second\"\nevents = [\"transport.local_delivery\"]\nmay = []",
        )
        .start();
    let recipients = ["a@local.test", "b@local.test", "long@local.test"];
    send(&gateway, &recipients, CONTENT);
    wait_done(&gateway);
    let ids = |sink: &Sink| {
        let seen = sink.wait_seen("local_delivery", "id=", LIMIT);
        seen.detail.matches("id=").count()
    };
    assert_eq!(ids(&first), 1, "whom its rule is for");
    assert_eq!(ids(&second), 2, "whom the first one left");
    let of = |user: &str| {
        let new = fs::read_dir(folder.path().join(user).join("new"));
        new.map_or(0, |entries| entries.count())
    };
    assert_eq!((of("a"), of("b"), of("long")), (0, 0, 1));
    assert_eq!(named.asked("local_delivery"), 0, "it keeps what names it");
}

#[test]
fn a_store_that_is_not_there_or_never_asked_is_refused_by_name() {
    let check = |setup: Setup| {
        let file = setup.write();
        let checked = Command::new(program("postern"))
            .args(["check", "--offline", "--config"])
            .arg(file)
            .output()
            .unwrap();
        let said = [checked.stdout, checked.stderr].concat();
        (checked.status.code(), String::from_utf8(said).unwrap())
    };
    let away = "http://127.0.0.1:1";
    let (code, said) = check(setup(away, "").domain("other.test", "sink:stoer"));
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("there is no [[sink]] named \"stoer\"; did you mean \"store\"?"),
        "{said}"
    );
    let (code, said) = check(setup(away, "enabled = false"));
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("no binding of the sink \"store\" has the event transport.local_delivery"),
        "{said}"
    );
    let (code, said) = check(setup(away, "on_failure = \"continue\""));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("transport.local_delivery"), "{said}");
}
