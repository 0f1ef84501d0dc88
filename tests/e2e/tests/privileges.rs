//! Started by root: the gateway becomes the user of its configuration, and delivers into mailboxes as their owners. The tests
//! do nothing where root does not run them.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use rustix::process::geteuid;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// A user and a group of whom the system need not know.
const USER: u32 = 54321;
const GROUP: u32 = 54322;

fn is_root() -> bool {
    geteuid().is_root()
}

fn set_up() -> Setup {
    let setup = Setup::default().domain("example.test", "maildir:{dir}/mail/{user}");
    // Users other than root have to come by.
    fs::set_permissions(setup.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(setup.folder().join("mail")).unwrap();
    setup
}

fn folder(path: &Path, user: u32, group: u32) -> PathBuf {
    fs::create_dir_all(path).unwrap();
    chown(path, Some(user), Some(group)).unwrap();
    path.to_owned()
}

fn send(gateway: &Gateway, to: &str) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &[to], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn wait_for_file(folder: &Path) -> PathBuf {
    let until = Instant::now() + LIMIT;
    loop {
        let first = fs::read_dir(folder).ok().and_then(|mut all| all.next());
        if let Some(entry) = first {
            return entry.unwrap().path();
        }
        assert!(Instant::now() < until, "nothing in {}", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

#[test]
fn x8_root_becomes_the_user_of_the_configuration_with_all_threads() {
    if !is_root() {
        return;
    }
    let setup = set_up().with(&format!("[process]\nuser = \"{USER}\""));
    let mail = folder(&setup.folder().join("mail"), USER, USER);
    let gateway = setup.start();
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let of = |key: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let numbers = line.unwrap().split_whitespace();
            numbers.map(|number| number.parse().unwrap()).collect()
        };
        assert_eq!(of("Uid:"), [USER; 4], "{status}");
        assert_eq!(of("Gid:"), [USER; 4], "{status}");
        assert_eq!(of("Groups:"), [USER], "{status}");
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = effective.unwrap().trim();
        assert!(effective.bytes().all(|digit| digit == b'0'), "{effective}");
        threads += 1;
    }
    assert!(threads > 1);
    // What it makes is that user's, the state folder first of all.
    assert_eq!(owner(&gateway.folder().join("state")), (USER, USER));
    send(&gateway, "joe@example.test");
    let file = wait_for_file(&mail.join("joe/new"));
    assert_eq!(owner(&file), (USER, USER));
    assert!(!gateway.log().contains("runs as root"), "{}", gateway.log());
}

#[test]
fn x8_as_root_mail_belongs_to_the_owner_of_its_mailbox() {
    if !is_root() {
        return;
    }
    let setup = set_up();
    let joe = folder(&setup.folder().join("mail/joe"), USER, GROUP);
    let gateway = setup.start();
    gateway.wait_for_log("runs as root", LIMIT);
    send(&gateway, "joe@example.test");
    let file = wait_for_file(&joe.join("new"));
    assert_eq!(owner(&file), (USER, GROUP));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    for part in ["tmp", "new", "cur"] {
        assert_eq!(owner(&joe.join(part)), (USER, GROUP), "{part}");
        let mode = fs::metadata(joe.join(part)).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{part}");
    }
}

#[test]
fn x8_who_wants_it_to_stay_root_says_so() {
    if !is_root() {
        return;
    }
    let gateway = set_up().with("[process]\nuser = \"root\"").start();
    send(&gateway, "joe@example.test");
    wait_for_file(&gateway.folder().join("mail/joe/new"));
    assert!(!gateway.log().contains("runs as root"), "{}", gateway.log());
}

/// A link in a mailbox, or in its place, could lead anywhere, and the gateway may write where its owner may not.
#[test]
fn x8_links_below_the_operators_part_of_the_path_are_not_followed() {
    let setup = Setup::default().with("[queue]\nretry = [\"1h\"]");
    let dir = setup.folder().to_path_buf();
    let elsewhere = dir.join("elsewhere");
    for part in ["", "tmp", "new", "cur"] {
        fs::create_dir_all(elsewhere.join(part)).unwrap();
    }
    fs::create_dir_all(dir.join("real/kim")).unwrap();
    // The operator's own link is followed.
    symlink(dir.join("real"), dir.join("mail")).unwrap();
    symlink(&elsewhere, dir.join("real/joe")).unwrap();
    symlink(elsewhere.join("new"), dir.join("real/kim/new")).unwrap();
    let gateway = setup
        .with("[log]\naddresses = \"hashed\"")
        .domain("example.test", "maildir:{dir}/mail/{user}")
        .start();
    for to in ["joe@example.test", "kim@example.test", "ann@example.test"] {
        send(&gateway, to);
    }
    wait_for_file(&dir.join("real/ann/new"));
    gateway.wait_for_log("not followed there", LIMIT);
    let told = || gateway.log().matches("not followed there").count();
    let until = Instant::now() + LIMIT;
    while told() < 2 {
        assert!(Instant::now() < until, "{}", gateway.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    for part in ["tmp", "new", "cur"] {
        let count = fs::read_dir(elsewhere.join(part)).unwrap().count();
        assert_eq!(count, 0, "{part}");
    }
    // X14: where addresses are hidden, the paths that are made of them are too.
    let log = gateway.log();
    assert!(log.contains("maildir cannot be written"), "{log}");
    assert!(log.contains("/mail/{user}"), "{log}");
    assert!(!log.contains("joe") && !log.contains("kim"), "{log}");
}
