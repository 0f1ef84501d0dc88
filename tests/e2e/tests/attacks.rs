//! Attacks of `docs/attacks.md` on the front end, over real sockets, that no other file has.

#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn gateway(next_hop: &NextHop) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start()
}

/// Whatever a stranger writes, nothing leaves for another domain than ours, and our own name in front of another domain, or
/// behind one, is not ours.
#[test]
fn b23_no_spelling_makes_a_relay() {
    let next_hop = NextHop::start();
    let outside = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[outbound]\ndeliver = \"smtp://{}\"",
            outside.address()
        ))
        .with("[queue]\nretry = [\"1h\"]")
        .start();
    let senders = [
        "<>",
        "<a@example.test>",
        "<postmaster@example.test>",
        "<a@example.org>",
    ];
    let recipients = [
        "<v@victim.test>",
        "<v%victim.test@example.org>",
        "<v@victim.test@example.test>",
        "<\"v@victim.test\"@other.test>",
        "<v@[127.0.0.1]>",
        "<v@[IPv6:::1]>",
        "<@example.test:v@victim.test>",
        "<@example.test,@victim.test:v@victim.test>",
        "<v@example.test.>",
        "<v@sub.example.test>",
        "<v@notexample.test>",
        "<v@example.test.victim.test>",
        "<v@example.tes>",
        "<v>",
        "<victim.test!v>",
        "v@victim.test",
        "<v@victim.test",
        "v@victim.test>",
        "<v@EXAMPLE.TEST@victim.test>",
        "<v@example.test;v@victim.test>",
        "<v@example.test,v@victim.test>",
        "<v@example.test\t>",
    ];
    for sender in senders {
        for recipient in recipients {
            let mut client = Client::ready(gateway.smtp());
            client.expect(&format!("MAIL FROM:{sender}"), 250);
            let reply = client.command(&format!("RCPT TO:{recipient}"));
            assert!((500..560).contains(&reply.code), "{recipient}: {reply:?}");
            client.expect("DATA", 554);
        }
    }
    // What names another way within our own domain is taken as it stands, and goes nowhere but to our own next hop.
    let kept = [
        "<v%victim.test@example.test>",
        "<victim.test!v@example.test>",
        "<\"v@victim.test\"@example.test>",
        "<@victim.test:v@example.test>",
    ];
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    for recipient in kept {
        client.expect(&format!("RCPT TO:{recipient}"), 250);
    }
    client.expect("DATA", 354);
    client.send([CONTENT, b".\r\n"].concat());
    assert_eq!(client.reply().code, 250);
    let received = next_hop.wait_for(1, LIMIT);
    let recipients = &received.first().unwrap().recipients;
    assert_eq!(recipients.len(), kept.len());
    assert!(
        recipients.iter().all(|one| one.ends_with("@example.test>")),
        "{recipients:?}"
    );
    assert_eq!(outside.count(), 0);
}

/// Names that look like ours are not ours.
#[test]
fn b24_domains_are_compared_by_what_they_are() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain(
            "xn--bcher-kva.test",
            &format!("smtp://{}", next_hop.address()),
        )
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    for (recipient, code) in [
        ("<v@b\u{fc}cher.test>", 553),
        ("<v@example\u{ff0e}test>", 553),
    ] {
        let reply = client.expect(&format!("RCPT TO:{recipient}"), code);
        assert!(reply.text().starts_with("5.6.7"), "{reply:?}");
    }
    client.expect("RCPT TO:<v@xn--bcher-kva.test>", 250);
    client.expect("RSET", 250);
    client.expect("MAIL FROM:<a@example.org> SMTPUTF8", 250);
    for recipient in [
        "<v@b\u{fc}cher.test>",
        "<v@B\u{dc}CHER.test>",
        "<v@bu\u{308}cher.test>",
    ] {
        client.expect(&format!("RCPT TO:{recipient}"), 250);
    }
    for recipient in [
        "<v@\u{435}xample.test>",
        "<v@example\u{ff0e}test>",
        "<v@example\u{3002}test>",
        "<v@ex\u{ff41}mple.test>",
        "<v@exam\u{200b}ple.test>",
    ] {
        let reply = client.command(&format!("RCPT TO:{recipient}"));
        assert!((500..560).contains(&reply.code), "{recipient}: {reply:?}");
    }
    client.send(b"RCPT TO:<v\xff@example.test>\r\n");
    assert!((500..560).contains(&client.reply().code));
}

#[test]
fn b37_nul_is_refused_in_commands_and_passes_unchanged_in_content() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let mut client = Client::ready(gateway.smtp());
    for line in [
        "NOOP \0\r\n",
        "MAIL FROM:<a\0@example.org>\r\n",
        "MAIL FROM:<a@example.org>\0<b@example.org>\r\n",
        "\0NOOP\r\n",
    ] {
        client.send(line);
        let reply = client.reply();
        assert!((500..560).contains(&reply.code), "{line:?}: {reply:?}");
    }
    let content = b"Subject: a\0b\r\n\r\nbefore\0after\r\n\0\r\n";
    let reply = client.deliver("a@example.org", &["b@example.test"], content);
    if reply.code == 250 {
        let received = next_hop.wait_for(1, LIMIT);
        let arrived = received.first().unwrap().from_line("Subject: ").unwrap();
        assert_eq!(arrived, content);
    } else {
        // Refused whole is fine as well; cut at the NUL is not.
        assert!((500..560).contains(&reply.code), "{reply:?}");
        assert_eq!(next_hop.count(), 0);
    }
}

#[test]
fn b7_replies_are_one_line_each_whatever_they_quote() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let (mut client, _) = Client::connect(gateway.smtp());
    for line in [
        b"EHLO a\rb 250 forged".as_slice(),
        b"EHLO \x1b[2Jname",
        b"VRFY a\r250 forged",
        b"HELP \xe2\x80\xae\xff",
        b"MAIL FROM:<a@b\x00>",
        b"RCPT TO:<\x7f@example.test>",
        b"NONSENSE\x0b250 forged",
    ] {
        client.send([line, b"\r\n"].concat());
        let reply = client.reply();
        for text in &reply.lines {
            assert!(text.len() <= 512 - 6, "{line:?}: {reply:?}");
            assert!(
                text.bytes().all(|b| (b' '..=b'~').contains(&b)),
                "{line:?}: {reply:?}"
            );
        }
    }
    // As many replies as commands: what follows is the answer to this one.
    assert_eq!(client.command("NOOP").code, 250);
}

/// What strangers write is on one line of the log each, and shows.
#[test]
fn b40_what_a_stranger_writes_hides_nothing_in_the_log() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("away.test", "smtp://127.0.0.1:1")
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a\u{202e}gro@example.org> SMTPUTF8", 250);
    client.expect("RCPT TO:<\u{2066}v\u{200b}\u{feff}@victim.test>", 550);
    client.expect("RCPT TO:<b\u{200f}@example.test>", 250);
    client.expect("DATA", 354);
    client.send([CONTENT, b".\r\n"].concat());
    assert_eq!(client.reply().code, 250);
    gateway.wait_for_log("recipient refused", LIMIT);
    gateway.wait_for_log("message accepted", LIMIT);
    let log = gateway.log();
    assert!(log.contains("\\u{202e}gro@example.org"), "{log}");
    assert!(
        log.contains("\\u{2066}v\\u{200b}\\u{feff}@victim.test"),
        "{log}"
    );
    let unseen = "\u{202e}\u{2066}\u{200b}\u{feff}\u{200f}\u{1b}\r";
    assert!(!log.contains(|c| unseen.contains(c)), "{log}");
    let begins = |line: &&str| line.starts_with("20") && line.contains('T');
    assert!(log.lines().all(|line| begins(&line)), "{log}");
    assert!(log.lines().all(|line| line.len() < 33 << 10));
}

#[test]
fn b22_tls_of_another_protocol_gets_no_session() {
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let gateway = setup
        .server("tls = { cert = \"mx.pem\", key = \"mx.key\" }")
        .start();
    let handshake = |protocols: &[&str]| {
        let mut client = Client::ready(gateway.smtp());
        client.expect("STARTTLS", 220);
        client.try_into_tls("mx.example.test", protocols)
    };
    for other in [&["http/1.1"][..], &["h2", "http/1.1"], &["ftp"], &["imap"]] {
        assert!(handshake(other).is_err(), "{other:?}");
    }
    for ours in [&[][..], &["smtp"], &["h2", "smtp"]] {
        let mut client = handshake(ours).unwrap();
        client.expect("EHLO client.example.test", 250);
    }
}

#[test]
fn b22_what_is_no_smtp_gets_one_refusal() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    for said in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nMAIL FROM:<a@example.org>\r\n",
        b"\r\nEHLO x\r\n",
        b"\0\0\0\0",
        b"{\"jsonrpc\": 1}\r\n",
    ] {
        let (mut client, _) = Client::connect(gateway.smtp());
        client.send(said);
        let reply = client.reply();
        assert!([221, 421, 554].contains(&reply.code), "{said:?}: {reply:?}");
        client.expect_closed();
    }
}

/// Without descriptors nobody new is served, and those who are in go on; with them everybody is served again.
#[test]
fn b17_the_listener_survives_the_end_of_descriptors() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let mut inside = Client::ready(gateway.smtp());
    let pid = i32::try_from(gateway.pid()).ok().and_then(Pid::from_raw);
    let few = |most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(20_000),
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    few(gateway.descriptors() as u64 + 5);
    let waiting: Vec<Client> = (0..30).map(|_| Client::open(gateway.smtp())).collect();
    gateway.wait_for_log("cannot accept connections", LIMIT);
    inside.expect("NOOP", 250);
    drop(waiting);
    few(10_000);
    let until = Instant::now() + LIMIT;
    loop {
        let (mut client, greeting) = Client::connect(gateway.smtp());
        if greeting.code == 220 {
            client.expect("EHLO client.example.test", 250);
            break;
        }
        assert!(Instant::now() < until, "{greeting:?}");
    }
    assert!(gateway.metric("postern_accept_errors_total") > 0);
    let reply = inside.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Nothing tells a stranger who has a mailbox but what RCPT has to say.
#[test]
fn b42_vrfy_and_expn_tell_nothing_of_mailboxes() {
    let next_hop = NextHop::start();
    let setup = Setup::default();
    std::fs::write(setup.folder().join("people"), "anna\n").unwrap();
    let gateway = setup
        .with(&format!(
            "[[domain]]\nname = \"example.test\"\nrecipients = {{ file = \"people\" }}\n\
             deliver = \"smtp://{}\"",
            next_hop.address()
        ))
        .start();
    let mut client = Client::ready(gateway.smtp());
    let there = client.expect("VRFY anna@example.test", 252);
    let not_there = client.expect("VRFY nobody@example.test", 252);
    assert_eq!(there, not_there);
    assert_eq!(
        client.command("EXPN anna@example.test"),
        client.command("EXPN nobody@example.test")
    );
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<anna@example.test>", 250);
    client.expect("RCPT TO:<nobody@example.test>", 550);
    client.expect("RCPT TO:<nobody@victim.test>", 550);
}

/// A body that is refused halfway holds commands: none of them is obeyed.
#[test]
fn b3_the_rest_of_a_refused_body_is_no_command() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .server("max_message_size = \"2 KiB\"")
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
    let smuggled = "RSET\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n";
    client.send(format!(
        "Subject: x\r\n\r\n{}{smuggled}evil\r\n",
        "z\r\n".repeat(2000)
    ));
    client.send(".\r\n");
    assert_eq!(client.reply().code, 552);
    client.expect("NOOP", 250);
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250);
    let received = next_hop.wait_for(1, LIMIT);
    assert!(received.iter().all(|one| !one.sender.contains("evil")));
}

/// Header sections of many fields, long ones and odd ones take time that grows with their size alone.
#[test]
fn b14_a_header_bomb_takes_no_time_to_speak_of() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let begun = Instant::now();
    let mut client = Client::ready(gateway.smtp());
    for bomb in [
        "X: y\r\n".repeat(1000),
        "Received: x\r\n".repeat(99),
        format!("X: {}\r\n", "\r\n ".repeat(80_000)),
        format!("X: {}\r\n", "y".repeat(900)).repeat(270),
        "X:\r\n".repeat(100_000),
        "\r\n .".repeat(50_000),
    ] {
        let content = format!("{bomb}\r\nbody\r\n");
        let reply = client.deliver("a@example.org", &["b@example.test"], content.as_bytes());
        assert!([250, 552, 554].contains(&reply.code), "{reply:?}");
    }
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

/// A user of another number on the same machine is another client at a Unix socket, and cannot even connect where the mode
/// does not let it.
#[test]
fn x12_users_at_a_unix_socket_are_clients_of_their_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let gateway = setup
        .with(
            "[[server]]\nname = \"local\"\nhostname = \"mx.example.test\"\n\
             listen = [{ address = \"unix:{dir}/all.sock\", mode = \"0666\" }, \
             { address = \"unix:{dir}/few.sock\", group = \"54322\" }]\n\
             limits = { connections_per_client = 1 }",
        )
        .start();
    let ask = |user: u32, group: u32, socket: &str| {
        let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(100).decode())";
        let path = folder.join(socket);
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(path).gid(group).uid(user);
        let output = python.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let all = folder.join("all.sock");
    let until = Instant::now() + LIMIT;
    while !all.exists() {
        assert!(Instant::now() < until, "{}", gateway.log());
    }
    let mut own = Client::open_unix(&all);
    assert_eq!(own.reply().code, 220);
    let mut second = Client::open_unix(&all);
    let refusal = second.reply();
    assert_eq!(refusal.code, 421, "{refusal:?}");
    assert!(refusal.text().starts_with("4.7.0"), "{refusal:?}");
    assert!(
        ask(54321, 54321, "all.sock").starts_with("220"),
        "another user"
    );
    assert!(
        ask(54321, 54322, "few.sock").starts_with("220"),
        "of the group"
    );
    assert_eq!(ask(54321, 54321, "few.sock"), "", "neither owner nor group");
    own.expect("EHLO client.example.test", 250);
}
