//! What sessions may hold in memory: each client has its share, all of them together theirs, and what is beyond it waits at
//! the client or goes to the disk.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use postern_e2e::certificate::Authority;
use postern_e2e::client::{Client, Reply, stuffed};
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const LIMIT: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 10;

fn gateway(next_hop: &NextHop, keys: &str, limits: &str) -> Gateway {
    Setup::default()
        .with(keys)
        .server(&format!("[server.limits]\n{limits}"))
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start()
}

fn is_short(reply: &Reply, code: u16) -> bool {
    if reply.code == code {
        assert!(reply.text().starts_with("4.3.1"), "{reply:?}");
    }
    reply.code == code
}

fn refused(gateway: &Gateway, limit: &str) -> u64 {
    gateway.metric(&format!(
        "postern_limits_total{{server=\"inbound\",limit=\"{limit}\"}}"
    ))
}

/// More descriptors than the usual soft limit.
fn many_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn x9_long_recipients_and_large_headers_of_one_client_stay_within_its_share() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop, "", "");
    let before = gateway.memory_kib();
    let mut clients = Vec::new();
    for session in 0..20 {
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        let mut accepted = 0;
        for number in 0..1000 {
            let user = format!("{session:02}{number:04}{}", "x".repeat(58));
            let orcpt = format!("rfc822;{user}{}@example.test", "y".repeat(400));
            let line = format!("RCPT TO:<{user}@example.test> ORCPT={orcpt} NOTIFY=FAILURE");
            let reply = client.command(&line);
            assert!(reply.code == 250 || is_short(&reply, 452), "{reply:?}");
            accepted += u32::from(reply.code == 250);
        }
        if accepted > 0 && client.command("DATA").code == 354 {
            client.send("X: ".to_owned() + &("y".repeat(70) + "\r\n ").repeat(3470));
        }
        clients.push(client);
    }
    // The last of it has been read once a command of another session is answered.
    Client::ready(gateway.smtp()).expect("NOOP", 250);
    let growth = gateway.memory_kib().saturating_sub(before);
    println!("{} MiB for 20 sessions", growth / MIB);
    assert!(growth < 64 * MIB, "{} MiB", growth / MIB);
    drop(clients);
}

#[test]
fn x9_two_thousand_bodies_that_have_begun_stay_under_150_mib() {
    many_descriptors();
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop, "", "connections_per_client = 3000");
    let begin = "Subject: begun\r\n\r\n".to_owned() + &("z".repeat(78) + "\r\n").repeat(410);
    let mut clients: Vec<Client> = (0..2000)
        .map(|_| {
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org>", 250);
            client.expect("RCPT TO:<b@example.test>", 250);
            client.expect("DATA", 354);
            client.send(&begin);
            client
        })
        .collect();
    let peak = gateway.peak_memory_kib();
    println!("{} MiB for 2,000 sessions", peak / MIB);
    assert!(peak < 150 * MIB, "{} MiB", peak / MIB);
    // Nothing of it was lost.
    for client in clients.iter_mut().step_by(100) {
        client.send(".\r\n");
        assert_eq!(client.reply().code, 250);
    }
    let content = next_hop.wait_for(20, LIMIT);
    let begin = begin.as_bytes();
    assert!(
        content
            .iter()
            .all(|message| message.from_line("Subject: begun").unwrap() == begin)
    );
}

#[test]
fn x9_whoever_holds_its_share_is_told_so_and_others_are_served() {
    let next_hop = NextHop::start();
    let keys = "[memory]\nclients = \"8 MiB\"\nper_client = \"1 MiB\"";
    let gateway = gateway(&next_hop, keys, "connections_per_client = 1000");
    let mut held = Vec::new();
    let refusal = loop {
        let (client, greeting) = Client::connect(gateway.smtp());
        if greeting.code != 220 {
            break greeting;
        }
        held.push(client);
        assert!(held.len() < 1000, "no end to it");
    };
    assert!(is_short(&refusal, 421), "{refusal:?}");
    assert!(refused(&gateway, "memory_per_client") > 0);
    assert!(gateway.metric("postern_session_memory_bytes") > 512 << 10);

    let other: IpAddr = "127.0.0.2".parse().unwrap();
    let mut client = Client::open_from(other, gateway.smtp());
    assert_eq!(client.reply().code, 220);
    client.expect("EHLO client.example.test", 250);
    let reply = client.deliver(
        "a@example.org",
        &["b@example.test"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    assert_eq!(reply.code, 250, "{reply:?}");

    // A share that is given up is free again.
    drop(held);
    let until = Instant::now() + LIMIT;
    while Client::connect(gateway.smtp()).1.code != 220 {
        assert!(Instant::now() < until);
    }
}

#[test]
fn x9_recipients_beyond_the_share_wait_and_those_accepted_stay() {
    let next_hop = NextHop::start();
    let keys = "[memory]\nclients = \"8 MiB\"\nper_client = \"1 MiB\"";
    let gateway = gateway(&next_hop, keys, "");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    let mut accepted = 0_usize;
    let refusal = loop {
        let user = format!("{accepted:04}{}", "x".repeat(60));
        let parameter = format!("ORCPT=rfc822;{}", "y".repeat(450));
        let reply = client.command(&format!("RCPT TO:<{user}@example.test> {parameter}"));
        if reply.code != 250 {
            break reply;
        }
        accepted += 1;
        assert!(accepted < 1000, "no end to it");
    };
    assert!(is_short(&refusal, 452), "{refusal:?}");
    assert!(accepted >= 100, "{accepted}");
    client.expect("DATA", 354);
    client.send("Subject: x\r\n\r\nx\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    // A hundred in a transaction, as hops have to take.
    let received = next_hop.wait_for(accepted.div_ceil(100), LIMIT);
    let reached: usize = received.iter().map(|one| one.recipients.len()).sum();
    assert_eq!(reached, accepted);
    // And with the transaction its memory is free.
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    gateway.wait_for_log("no memory left for this client", LIMIT);
}

#[test]
fn x9_a_body_without_memory_goes_to_the_disk_and_arrives_whole() {
    let next_hop = NextHop::start();
    let keys = "[memory]\nclients = \"8 MiB\"\nper_client = \"2 MiB\"";
    let gateway = gateway(&next_hop, keys, "");
    let content = |number: usize| {
        let line = format!("{number:04} {}\r\n", "b".repeat(60));
        format!("Subject: number {number}\r\n\r\n{}", line.repeat(3000))
    };
    let mut clients: Vec<(usize, Client)> = (0..30)
        .map(|number| {
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org>", 250);
            client.expect("RCPT TO:<b@example.test>", 250);
            client.expect("DATA", 354);
            let content = content(number);
            client.send(&content[..content.len() / 2]);
            (number, client)
        })
        .collect();
    for (number, client) in &mut clients {
        let content = content(*number);
        client.send(&content[content.len() / 2..]);
        client.send(".\r\n");
        let reply = client.reply();
        assert_eq!(reply.code, 250, "{number}: {reply:?}");
    }
    let received = next_hop.wait_for(30, LIMIT);
    for number in 0..30 {
        let subject = format!("Subject: number {number}\r\n");
        let found = received.iter().find(|one| one.text().contains(&subject));
        let arrived = found.unwrap().from_line(&subject).unwrap();
        assert!(arrived == content(number).as_bytes(), "{number} is another");
    }
    assert!(refused(&gateway, "memory_per_client") > 0, "it was short");
}

#[test]
fn x9_a_header_section_beyond_the_share_is_refused_for_now() {
    let next_hop = NextHop::start();
    let keys = "[memory]\nclients = \"8 MiB\"\nper_client = \"1 MiB\"";
    let gateway = gateway(&next_hop, keys, "header_size = \"2 MiB\"");
    let mut client = Client::ready(gateway.smtp());
    let large = format!(
        "X: {}\r\n\r\nx\r\n",
        ("y".repeat(70) + "\r\n ").repeat(12_000)
    );
    let reply = client.deliver("a@example.org", &["b@example.test"], large.as_bytes());
    assert!(is_short(&reply, 452), "{reply:?}");
    let small = b"Subject: x\r\n\r\nx\r\n";
    let reply = client.deliver("a@example.org", &["b@example.test"], small);
    assert_eq!(reply.code, 250, "{reply:?}");
    assert_eq!(next_hop.wait_for(1, LIMIT).len(), 1);
}

#[test]
fn x9_tls_has_to_fit_too() {
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let gateway = setup
        .with("[memory]\nclients = \"1 MiB\"\nper_client = \"1 MiB\"")
        .server("tls = { cert = \"mx.pem\", key = \"mx.key\" }")
        .server("[server.limits]\nconnections_per_client = 1000")
        .start();
    let mut last = Client::ready(gateway.smtp());
    let mut held = Vec::new();
    loop {
        let (client, greeting) = Client::connect(gateway.smtp());
        if greeting.code != 220 {
            break;
        }
        held.push(client);
    }
    let reply = last.command("STARTTLS");
    assert!(is_short(&reply, 454), "{reply:?}");
    drop(held);
    let until = Instant::now() + LIMIT;
    while last.command("STARTTLS").code != 220 {
        assert!(Instant::now() < until);
    }
    let mut client = last.into_tls("mx.example.test");
    client.expect("EHLO client.example.test", 250);
}

#[test]
fn b41_memory_and_descriptors_are_back_after_a_flood() {
    many_descriptors();
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop, "", "connections_per_client = 1000");
    let flood = || {
        let mut clients: Vec<Client> = (0..500)
            .map(|_| {
                let mut client = Client::ready(gateway.smtp());
                client.expect("MAIL FROM:<a@example.org>", 250);
                client.expect("RCPT TO:<b@example.test>", 250);
                client.expect("DATA", 354);
                client.send("Subject: x\r\n\r\n".to_owned() + &"x\r\n".repeat(8000));
                client
            })
            .collect();
        for client in clients.iter_mut().take(20) {
            client.send(stuffed(b"x\r\n"));
            assert_eq!(client.reply().code, 250);
        }
        gateway.descriptors()
    };
    let (descriptors, memory) = (gateway.descriptors(), gateway.memory_kib());
    assert!(flood() >= descriptors + 500);
    let settled = |most: usize| {
        let until = Instant::now() + LIMIT;
        while gateway.descriptors() > most || gateway.metric("postern_session_memory_bytes") > 0 {
            assert!(Instant::now() < until, "{}", gateway.descriptors());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // Connections to the next hop, and files of the spool, may stay. What the allocator keeps is as much as there was at
    // a time, which differs from flood to flood.
    settled(descriptors + 60);
    for _ in 0..2 {
        flood();
        settled(descriptors + 60);
    }
    let once = gateway.memory_kib();
    for _ in 0..3 {
        flood();
        settled(descriptors + 60);
    }
    let growth = gateway.memory_kib().saturating_sub(once.max(memory));
    assert!(
        growth < 16 * MIB,
        "each flood leaves something: {growth} KiB"
    );
}
