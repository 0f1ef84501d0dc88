//! Submission by users over real sockets: who gets in, what they may send, and what becomes of attacks.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::{Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::NextHop;
use postern_e2e::programs::program;
use postern_e2e::submission::{PASSWORD, Submission, USER, add, user};

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] =
    b"From: a@example.org\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\nMessage-ID: <x@example.org>\r\n\r\nbody\r\n";

fn plain(name: &str, password: &str) -> String {
    let response = format!("\0{name}\0{password}");
    format!("AUTH PLAIN {}", STANDARD.encode(response))
}

/// Over STARTTLS, past EHLO, with the keywords of that.
fn over_starttls(submission: &Submission) -> (Client, Reply) {
    Client::ready(submission.starttls).start_tls("mx.example.test")
}

/// Over TLS from the first octet, past EHLO.
fn over_implicit(to: SocketAddr) -> (Client, Reply) {
    let mut client = Client::open(to).into_tls("mx.example.test");
    assert_eq!(client.reply().code, 220);
    let ehlo = client.expect("EHLO client.example.test", 250);
    (client, ehlo)
}

/// Authenticated as the first user.
fn authenticated(submission: &Submission) -> Client {
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect(&plain(USER, PASSWORD), 235);
    client
}

fn offers_auth(ehlo: &Reply) -> bool {
    ehlo.lines
        .iter()
        .any(|line| line == "AUTH SCRAM-SHA-256 PLAIN LOGIN")
}

#[test]
fn a_user_sends_anywhere_over_587_and_465() {
    let next_hop = NextHop::start();
    let submission = Submission::start("", next_hop.address());
    let (mut client, ehlo) = over_starttls(&submission);
    assert!(offers_auth(&ehlo), "{ehlo:?}");
    client.expect(&plain("A@Example.Org", PASSWORD), 235);
    assert_eq!(
        client.deliver(USER, &["b@elsewhere.test"], CONTENT).code,
        250
    );
    let (mut client, ehlo) = over_implicit(submission.implicit);
    assert!(offers_auth(&ehlo), "{ehlo:?}");
    client.expect("AUTH LOGIN", 334);
    client.expect(&STANDARD.encode(USER), 334);
    client.expect(&STANDARD.encode(PASSWORD), 235);
    assert_eq!(
        client.deliver(USER, &["b@elsewhere.test"], CONTENT).code,
        250
    );
    for message in next_hop.wait_for(2, LIMIT) {
        let text = message.text();
        assert!(text.contains("with ESMTPSA"), "{text}");
        assert_eq!(message.from_line("From: a@").unwrap(), CONTENT);
    }
    let log = submission.gateway.log();
    assert!(log.contains("authenticated"), "{log}");
    let ok = |mechanism| {
        format!(
            "postern_authentications_total{{server=\"submission\",mechanism=\"{mechanism}\",result=\"ok\"}}"
        )
    };
    assert_eq!(submission.gateway.metric(&ok("plain")), 1);
    assert_eq!(submission.gateway.metric(&ok("login")), 1);
}

#[test]
fn b21_nothing_without_tls_and_nothing_without_auth() {
    let next_hop = NextHop::start();
    let submission = Submission::start("", next_hop.address());
    let mut client = Client::open(submission.starttls);
    assert_eq!(client.reply().code, 220);
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(!ehlo.text().contains("AUTH"), "{ehlo:?}");
    client.expect(&plain(USER, PASSWORD), 538);
    client.expect("AUTH LOGIN", 538);
    client.expect("MAIL FROM:<a@example.org>", 530);
    let (mut client, _) = client.start_tls("mx.example.test");
    client.expect("MAIL FROM:<a@example.org>", 530);
    client.expect("RCPT TO:<b@elsewhere.test>", 503);
    // What is said in the clear behind STARTTLS authenticates nobody.
    let mut client = Client::ready(submission.starttls);
    client.send(format!("STARTTLS\r\n{}\r\n", plain(USER, PASSWORD)));
    assert_eq!(client.reply().code, 554);
    // The server for strangers has no AUTH, with TLS or without.
    let mut client = Client::ready(submission.gateway.smtp());
    client.expect(&plain(USER, PASSWORD), 502);
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn an_exchange_can_be_cancelled_and_has_bounds() {
    let submission = Submission::start("", NextHop::start().address());
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect("AUTH PLAIN", 334);
    client.expect("*", 501);
    client.expect("AUTH LOGIN", 334);
    client.expect("not base64", 501);
    client.expect("AUTH CRAM-MD5", 504);
    client.expect("AUTH PLAIN", 334);
    client.expect(&"A".repeat(20_000), 500);
    client.expect("AUTH SCRAM-SHA-256 eCx5", 501);
    // All of 12,288 octets are read, and then are no password.
    client.expect(&format!("AUTH PLAIN {}", "A".repeat(12_264)), 501);
    client.expect(&plain(USER, PASSWORD), 235);
    client.expect(&plain(USER, PASSWORD), 503);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect(&plain(USER, PASSWORD), 503);
    // Commands behind it are taken in their turn, and only if it went well.
    let (mut client, _) = over_implicit(submission.implicit);
    client.send(format!(
        "{}\r\nMAIL FROM:<a@example.org>\r\n",
        plain(USER, "x")
    ));
    assert_eq!(client.reply().code, 535);
    assert_eq!(client.reply().code, 530);
    client.send(format!(
        "{}\r\nMAIL FROM:<a@example.org>\r\n",
        plain(USER, PASSWORD)
    ));
    assert_eq!(client.reply().code, 235);
    assert_eq!(client.reply().code, 250);
}

#[test]
fn b20_guessing_is_slow_bounded_and_tells_nothing_of_users() {
    let submission = Submission::start("failures_per_client = 7", NextHop::start().address());
    let (mut client, _) = over_implicit(submission.implicit);
    let timed = |client: &mut Client, line: &str| {
        let begun = Instant::now();
        (client.command(line), begun.elapsed())
    };
    let (known, known_took) = timed(&mut client, &plain(USER, "wrong"));
    let (unknown, unknown_took) = timed(&mut client, &plain("nobody@example.org", "wrong"));
    assert_eq!(known.code, 535);
    assert_eq!(known, unknown);
    for took in [known_took, unknown_took] {
        assert!(took >= Duration::from_secs(1), "{took:?}");
    }
    client.expect(&plain(USER, "wrong"), 535);
    client.expect(&plain(USER, PASSWORD), 421);
    client.expect_closed();
    let (mut client, _) = over_implicit(submission.implicit);
    for _ in 0..3 {
        client.expect(&plain("nobody@example.org", "wrong"), 535);
    }
    // The seventh failure of this client is its last: then the right password is not looked at either.
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect(&plain(USER, "wrong"), 535);
    let barred = client.expect(&plain(USER, PASSWORD), 454);
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect("AUTH LOGIN", 334);
    client.expect(&STANDARD.encode(USER), 334);
    assert_eq!(client.command(&STANDARD.encode(PASSWORD)), barred);
    let limit = |limit| format!("postern_limits_total{{server=\"submission\",limit=\"{limit}\"}}");
    assert_eq!(submission.gateway.metric(&limit("failures_per_session")), 1);
    assert_eq!(submission.gateway.metric(&limit("failures_per_client")), 2);
    // A name that is no user's may be a password in the wrong place.
    let log = submission.gateway.log();
    assert!(log.contains("authentication failed"), "{log}");
    for hidden in ["nobody@", PASSWORD, "wrong\"", &STANDARD.encode(PASSWORD)] {
        assert!(!log.contains(hidden), "{hidden} in {log}");
    }
}

/// SCRAM up to the reply to the proof, which an unknown user or a wrong password does not have right.
fn prove(client: &mut Client, name: &str, password: &str) -> Reply {
    let first = format!("n={name},r=abc");
    let command = format!(
        "AUTH SCRAM-SHA-256 {}",
        STANDARD.encode(format!("n,,{first}"))
    );
    let challenge = client.expect(&command, 334);
    let challenge =
        String::from_utf8(STANDARD.decode(challenge.lines.first().unwrap()).unwrap()).unwrap();
    let parts: Vec<&str> = challenge.split(',').map(|own| &own[2..]).collect();
    let iterations: NonZeroU32 = parts[2].parse().unwrap();
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        &STANDARD.decode(parts[1]).unwrap(),
        password.as_bytes(),
        &mut salted,
    );
    let mac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let client_key = mac(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let without = format!("c=biws,r={}", parts[0]);
    let said = format!("{first},{challenge},{without}");
    let signature = mac(stored_key.as_ref(), said.as_bytes());
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    let proof: Vec<u8> = pairs.map(|(own, other)| own ^ other).collect();
    let last = format!("{without},p={}", STANDARD.encode(proof));
    client.command(&STANDARD.encode(last))
}

#[test]
fn b20_who_is_barred_does_not_learn_that_a_proof_is_right() {
    let submission = Submission::start("failures_per_client = 1", NextHop::start().address());
    let (mut client, _) = over_implicit(submission.implicit);
    assert_eq!(prove(&mut client, USER, "wrong").code, 535);
    let barred = prove(&mut client, USER, PASSWORD);
    assert_eq!(barred.code, 454, "{barred:?}");
}

#[test]
fn b20_who_is_barred_is_sent_away_and_told_of_once() {
    let submission = Submission::start("failures_per_client = 1", NextHop::start().address());
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect(&plain(USER, "wrong"), 535);
    client.expect(&plain(USER, PASSWORD), 454);
    client.expect(&plain(USER, PASSWORD), 454);
    client.expect(&plain(USER, PASSWORD), 421);
    client.expect_closed();
    let log = submission.gateway.log();
    let told = log.matches("too many failures of this client").count();
    assert_eq!(told, 1, "{log}");
}

#[test]
fn b20_a_right_proof_that_leads_nowhere_counts_as_failed() {
    let submission = Submission::start("failures_per_client = 2", NextHop::start().address());
    for _ in 0..3 {
        let (mut client, _) = over_implicit(submission.implicit);
        assert_eq!(prove(&mut client, USER, PASSWORD).code, 334);
        client.expect("", 235);
    }
    let (mut client, _) = over_implicit(submission.implicit);
    assert_eq!(prove(&mut client, USER, PASSWORD).code, 334);
    drop(client);
    let gateway = &submission.gateway;
    gateway.wait_for_log("given up after a right proof", LIMIT);
    let (mut client, _) = over_implicit(submission.implicit);
    assert_eq!(prove(&mut client, USER, PASSWORD).code, 334);
    client.expect("*", 501);
    client.expect("NOOP", 250);
    assert_eq!(prove(&mut client, USER, PASSWORD).code, 454);
    let result = |result| {
        gateway.metric(&format!(
            "postern_authentications_total{{server=\"submission\",mechanism=\"scram-sha-256\",result=\"{result}\"}}"
        ))
    };
    assert_eq!(result("ok"), 3);
    assert_eq!(result("abandoned"), 2);
}

/// The salt that SCRAM shows for a name.
fn salt(client: &mut Client, name: &str) -> String {
    let first = STANDARD.encode(format!("n,,n={name},r=abc"));
    let challenge = client.expect(&format!("AUTH SCRAM-SHA-256 {first}"), 334);
    let text =
        String::from_utf8(STANDARD.decode(challenge.lines.first().unwrap()).unwrap()).unwrap();
    client.expect("*", 501);
    text.split_once(',').unwrap().1.to_owned()
}

#[test]
fn b20_who_does_not_exist_has_a_salt_that_stays() {
    let mut submission = Submission::start("", NextHop::start().address());
    let salts = |submission: &Submission| {
        let (mut client, _) = over_implicit(submission.implicit);
        [USER, "nobody", "somebody"].map(|name| salt(&mut client, name))
    };
    let before = salts(&submission);
    let [user, nobody, somebody] = &before;
    assert!(user != nobody && nobody != somebody);
    assert_eq!(user.len(), nobody.len());
    assert_eq!(
        user.rsplit_once(',').unwrap().1,
        nobody.rsplit_once(',').unwrap().1
    );
    assert_eq!(salts(&submission), before);
    submission.gateway.stop(LIMIT);
    submission.gateway.start();
    submission.look();
    assert_eq!(salts(&submission), before);
}

#[test]
fn users_come_and_go_while_it_runs() {
    let submission = Submission::start("", NextHop::start().address());
    let folder = submission.gateway.folder().to_owned();
    let mut open = authenticated(&submission);
    open.expect("MAIL FROM:<a@example.org>", 250);
    open.expect("RSET", 250);
    add(&folder, &["new@example.org"], "second");
    submission.gateway.wait_for_line(LIMIT, |line| {
        line.contains("read again") && line.contains("users.toml")
    });
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect(&plain("new@example.org", "second"), 235);
    // One that cannot be used changes nothing.
    let good = fs::read_to_string(folder.join("users.toml")).unwrap();
    fs::write(
        folder.join("users.toml"),
        good.replace("$argon2id$", "$nothing$"),
    )
    .unwrap();
    submission
        .gateway
        .wait_for_log("not taken over, the old one stays in use", LIMIT);
    assert!(!submission.gateway.log().contains("$nothing$"));
    authenticated(&submission);
    fs::write(folder.join("users.toml"), good).unwrap();
    let gone = user(&folder, &["remove", USER], "");
    assert!(gone.status.success(), "{gone:?}");
    let until = Instant::now() + LIMIT;
    loop {
        let (mut client, _) = over_implicit(submission.implicit);
        if client.command(&plain(USER, PASSWORD)).code == 535 {
            break;
        }
        assert!(Instant::now() < until, "still there");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Who was removed sends nothing more, though the session is open.
    open.expect("MAIL FROM:<a@example.org>", 530);
}

#[test]
fn a_user_names_its_own_senders_alone() {
    let next_hop = NextHop::start();
    let submission = Submission::start("", next_hop.address());
    let folder = submission.gateway.folder().to_owned();
    add(
        &folder,
        &[
            "scanner",
            "--sender",
            "@floor.example.org",
            "--sender",
            "Own@example.net",
        ],
        "x",
    );
    submission.gateway.wait_for_log("read again", LIMIT);
    let mut client = authenticated(&submission);
    for (sender, code) in [
        ("a@example.org", 250),
        ("a@EXAMPLE.ORG", 250),
        ("\"a\"@example.org", 250),
        ("A@example.org", 250),
        ("b@example.org", 550),
        ("a@sub.example.org", 550),
        // Reports of a client have it.
        ("", 250),
    ] {
        let reply = client.expect(&format!("MAIL FROM:<{sender}>"), code);
        assert!(code == 250 || reply.text().contains("5.7.1"), "{reply:?}");
        client.expect("RSET", 250);
    }
    let (mut client, _) = over_implicit(submission.implicit);
    client.expect(&plain("SCANNER", "x"), 235);
    for (sender, code) in [
        ("any@floor.example.org", 250),
        ("Own@example.net", 250),
        ("own@example.net", 250),
        ("any@example.org", 550),
        ("scanner@mx.example.test", 550),
    ] {
        client.expect(&format!("MAIL FROM:<{sender}>"), code);
        client.expect("RSET", 250);
    }
}

#[test]
fn missing_fields_are_added_and_without_from_there_is_no_message() {
    let next_hop = NextHop::start();
    let submission = Submission::start("", next_hop.address());
    let mut client = authenticated(&submission);
    let reply = client.deliver(USER, &["b@elsewhere.test"], b"Subject: x\r\n\r\nbody\r\n");
    assert_eq!(reply.code, 554, "{reply:?}");
    assert!(reply.text().contains("5.6.0"), "{reply:?}");
    let reply = client.deliver(
        USER,
        &["b@elsewhere.test"],
        b"From: a@example.org\r\n\r\nbody\r\n",
    );
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = next_hop.wait_for(1, LIMIT);
    let text = received.first().unwrap().text();
    let header = text.split_once("\r\n\r\n").unwrap().0;
    let own = header.split_once("From: a@example.org\r\n").unwrap().1;
    assert!(
        own.starts_with("Date: ") && own.contains(" +0000\r\nMessage-ID: <"),
        "{text}"
    );
    assert!(own.ends_with("@mx.example.test>"), "{text}");

    let next_hop = NextHop::start();
    let submission = Submission::start(
        "missing_fields = \"leave\"\nmissing_from = \"add\"",
        next_hop.address(),
    );
    let mut client = authenticated(&submission);
    let reply = client.deliver(USER, &["b@elsewhere.test"], b"Subject: x\r\n\r\nbody\r\n");
    assert_eq!(reply.code, 250, "{reply:?}");
    let reply = client.deliver("", &["b@elsewhere.test"], b"Subject: x\r\n\r\nbody\r\n");
    assert_eq!(reply.code, 554, "{reply:?}");
    let received = next_hop.wait_for(1, LIMIT);
    let text = received.first().unwrap().text();
    assert!(
        text.contains("Subject: x\r\nFrom: <a@example.org>\r\n\r\nbody"),
        "{text}"
    );
}

#[test]
fn a_user_sends_so_much_within_an_hour() {
    let keys = "messages_per_hour = 2\nrecipients_per_hour = 3";
    let submission = Submission::start(keys, NextHop::start().address());
    add(submission.gateway.folder(), &["b@example.org"], "x");
    submission.gateway.wait_for_log("read again", LIMIT);
    let mut client = authenticated(&submission);
    client.expect("MAIL FROM:<a@example.org>", 250);
    for code in [250, 250, 250, 450] {
        client.expect("RCPT TO:<b@elsewhere.test>", code);
    }
    client.expect("RSET", 250);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RSET", 250);
    client.expect("MAIL FROM:<a@example.org>", 450);
    // In another session too; another user has a rate of its own.
    authenticated(&submission).expect("MAIL FROM:<a@example.org>", 450);
    let (mut other, _) = over_implicit(submission.implicit);
    other.expect(&plain("b@example.org", "x"), 235);
    other.expect("MAIL FROM:<b@example.org>", 250);
    other.expect("RCPT TO:<b@elsewhere.test>", 250);
}

#[test]
fn on_this_machine_it_may_go_without_tls() {
    let next_hop = NextHop::start();
    let address = free_address();
    let setup = Setup::default();
    add(setup.folder(), &[USER], PASSWORD);
    let _gateway = setup
        .with(&format!(
            "[outbound]\ndeliver = \"smtp://{}\"\n\
             [[server]]\nname = \"local\"\nhostname = \"mx.example.test\"\nprotocol = \"submission\"\n\
             listen = \"{address}\"\n[server.submission]\nusers = \"users.toml\"\nauth_in_clear = \"loopback\"",
            next_hop.address()
        ))
        .start();
    wait_for_listener(address).unwrap();
    let mut client = Client::open(address);
    assert_eq!(client.reply().code, 220);
    assert!(offers_auth(&client.expect("EHLO client.example.test", 250)));
    client.expect("MAIL FROM:<a@example.org>", 530);
    client.expect(&plain(USER, PASSWORD), 235);
    assert_eq!(
        client.deliver(USER, &["b@elsewhere.test"], CONTENT).code,
        250
    );
    let received = next_hop.wait_for(1, LIMIT);
    assert!(received.first().unwrap().text().contains("with ESMTPA\r\n"));
}

#[test]
fn the_file_of_users_by_its_tool() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let run = |arguments: &[&str], input: &str| {
        let output = user(folder.path(), arguments, input);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), said)
    };
    assert_eq!(
        run(&["add", "anna@example.test"], "secret\n"),
        (0, String::new())
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains("secret\n"));
    assert_eq!(run(&["add", "ANNA@example.test"], "other\n").0, 1);
    assert_eq!(run(&["add", "scanner"], "x\n").0, 64);
    assert_eq!(run(&["add", "scanner", "--sender", "x"], "x\n").0, 64);
    assert_eq!(
        run(&["add", "scanner", "--sender", "@example.test"], "\n").0,
        64
    );
    assert_eq!(
        run(&["add", "scanner", "--sender", "@example.test"], "x").0,
        0
    );
    // Comments stay, and other senders by hand too.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"@example.test\"", "\"@example.test\", \"*\"") + "# the end\n",
    )
    .unwrap();
    let before = fs::read_to_string(&path).unwrap();
    assert_eq!(run(&["add", "scanner", "--replace"], "y").0, 0);
    let (code, said) = run(&["list"], "");
    assert_eq!(
        (code, said.as_str()),
        (
            0,
            "anna@example.test  anna@example.test\nscanner  @example.test *\n"
        )
    );
    assert_ne!(fs::read_to_string(&path).unwrap(), before);
    assert!(fs::read_to_string(&path).unwrap().contains("# the end"));
    let (_, json) = run(&["list", "--json"], "");
    assert!(json.contains("\"name\": \"scanner\""), "{json}");
    assert_eq!(run(&["remove", "nobody"], "").0, 1);
    assert_eq!(run(&["remove", "Scanner"], ""), (0, String::new()));
    fs::write(&path, "[[user]]\nname = 1\n").unwrap();
    let (code, said) = run(&["add", "bert@example.test"], "x");
    assert_eq!(code, 78);
    assert!(said.contains("users.toml: line 1: "), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "[[user]]\nname = 1\n");
}

#[test]
fn the_file_of_users_stays_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    let look = || {
        let there = fs::metadata(&path).unwrap();
        let owner = (there.uid(), there.gid());
        (there.permissions().mode() & 0o777, owner)
    };
    add(folder.path(), &[USER], PASSWORD);
    let (mode, mut owner) = look();
    assert_eq!(mode, 0o600);
    if is_root {
        owner = (64_001, 64_002);
        chown(&path, Some(owner.0), Some(owner.1)).unwrap();
    }
    // A group that reads it is left to it, and everybody is not.
    for (given, kept) in [
        (0o640, 0o640),
        (0o644, 0o640),
        (0o400, 0o400),
        (0o600, 0o600),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(given)).unwrap();
        add(folder.path(), &["b@example.org", "--replace"], PASSWORD);
        assert_eq!(look(), (kept, owner), "{given:o}");
        let removed = user(folder.path(), &["remove", "b@example.org"], "");
        assert!(removed.status.success(), "{removed:?}");
        assert_eq!(look(), (kept, owner), "{given:o}");
    }
}

#[test]
fn check_says_what_is_wrong_with_a_submission_server() {
    let setup = Setup::default().with(
        "[[server]]\nname = \"s\"\nhostname = \"mx.example.test\"\nprotocol = \"submission\"\nlisten = \"127.0.0.1:0\"",
    );
    let check = |file: &std::path::Path| {
        let output = Command::new(program("postern"))
            .args(["check", "--offline", "--config"])
            .arg(file)
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = check(&setup.write());
    assert!(said.contains("nothing says who may submit"), "{said}");
    let setup = setup.with("[server.submission]\nusers = \"users.toml\"");
    let said = check(&setup.write());
    assert!(
        said.contains("without TLS nobody could authenticate"),
        "{said}"
    );
    let setup = setup.with("auth_in_clear = \"loopback\"");
    let said = check(&setup.write());
    assert!(
        said.contains("make the file with \"postern user add\""),
        "{said}"
    );
    add(setup.folder(), &[USER], PASSWORD);
    fs::set_permissions(
        setup.folder().join("users.toml"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let said = check(&setup.write());
    assert!(
        said.contains("any user of this machine can read it"),
        "{said}"
    );
}
