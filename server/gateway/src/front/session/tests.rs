#![allow(clippy::unwrap_used)]
mod harness;

use std::time::Duration;

use postern_events::context::SessionContext;
use postern_message::Origin;
use postern_smtp::server::Expects;
use postern_spool::Stage;

use self::harness::{Client, Setting};
use crate::front::Standing;

const GREETING: &str = "220 mx.example.test ";

#[tokio::test]
async fn a_message_is_accepted_stored_and_handed_on() {
    let setting = Setting::new("");
    let mut client = setting.connect().await;
    client.say("EHLO client.example.org").await;
    let extensions = client.reply().await;
    assert!(extensions.contains("250-PIPELINING\r\n"), "{extensions}");
    client
        .expect("MAIL FROM:<anna@example.org>", "250 2.1.0")
        .await;
    client
        .expect("RCPT TO:<carl@example.test>", "250 2.1.5")
        .await;
    client.expect("DATA", "354 ").await;
    client
        .send(b"Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\n")
        .await;
    let reply = client.reply().await;
    let id = reply
        .strip_prefix("250 2.0.0 Ok: queued as ")
        .unwrap()
        .trim_end()
        .to_owned();
    client.expect("QUIT", "221 2.0.0").await;
    client.end().await;

    let stored = setting.accepted().remove(0);
    assert_eq!(stored.message.id.to_string(), id);
    assert_eq!(stored.stage, Stage::submit());
    assert_eq!(stored.message.origin, Origin::Smtp);
    let session = SessionContext::decode(&stored.message.context).unwrap();
    assert_eq!(stored.message.session, Some(session.id));
    assert_eq!(session.client.address, Some([192, 0, 2, 7].into()));
    assert_eq!(session.helo.unwrap().name, "client.example.org");
    let text = setting.text(&stored).await;
    let (trace, rest) = text.split_once("Subject: x\r\n").unwrap();
    assert!(
        trace.starts_with("Received: from client.example.org\r\n\t([192.0.2.7])\r\n"),
        "{trace}"
    );
    assert!(
        trace.contains(&format!(
            "with ESMTP\r\n\tid {id}\r\n\tfor <carl@example.test>;"
        )),
        "{trace}"
    );
    assert_eq!(rest, "\r\n.dot\r\nbody\r\n");
    assert_eq!(setting.spool.counts().await.unwrap().submit, 1);
}

#[tokio::test]
async fn a_pipelined_group_is_answered_in_one_write() {
    let setting = Setting::new("");
    let mut client = setting.connect().await;
    client.expect("EHLO client.example.org", "250-").await;
    let before = client.writes();
    client
        .send(b"MAIL FROM:<>\r\nRCPT TO:<a@example.test>\r\nRCPT TO:<b@other.test>\r\nRCPT TO:<c@example.test>\r\nDATA\r\n")
        .await;
    let starts = ["250 2.1.0", "250 2.1.5", "550 5.7.1", "250 2.1.5", "354 "];
    for start in starts {
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{reply} is not {start}");
    }
    assert_eq!(client.writes() - before, 1);
    // The next transaction follows the dot in one segment.
    client
        .send(b"\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<d@example.test>\r\nRSET\r\n")
        .await;
    for start in [
        "250 2.0.0 Ok: queued",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0",
    ] {
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{reply} is not {start}");
    }
    assert_eq!(setting.accepted().remove(0).message.recipients.len(), 2);
}

#[tokio::test]
async fn strangers_do_not_relay_and_friends_do() {
    let setting = Setting::new("relay_from = [\"192.0.2.0/24\"]");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.expect("MAIL FROM:<>", "250").await;
    client.expect("RCPT TO:<a@other.test>", "550 5.4.4").await;
    let setting = Setting::new("relay_from = [\"198.51.100.0/24\"]");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.expect("MAIL FROM:<a@example.test>", "250").await;
    client
        .expect("RCPT TO:<a@other.test>", "550 5.7.1 Relaying denied")
        .await;
    client
        .expect("RCPT TO:<nobody@file.test>", "550 5.1.1")
        .await;
    client.expect("RCPT TO:<anna@file.test>", "250").await;
    client.expect("RCPT TO:<Postmaster>", "250").await;
}

#[tokio::test]
async fn priorities_are_for_those_who_may_set_them() {
    let setting = Setting::new("priority_from = [\"192.0.2.0/24\"]");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    for (parameter, start) in [
        ("MT-PRIORITY", "501 5.5.4"),
        ("MT-PRIORITY=10", "501 5.5.4"),
        ("MT-PRIORITY=-0", "501 5.5.4"),
        ("MT-PRIORITY=+4", "501 5.5.4"),
        ("MT-PRIORITY=4 mt-priority=4", "501 5.5.4"),
        ("mt-priority=-9", "250"),
    ] {
        let mail = format!("MAIL FROM:<a@example.test> {parameter}");
        client.expect(&mail, start).await;
    }
    client.expect("RCPT TO:<anna@file.test>", "250").await;
    client.expect("DATA", "354").await;
    client.expect("Subject: x\r\n\r\nx\r\n.", "250").await;
    assert_eq!(setting.accepted().remove(0).message.envelope.priority, -9);
    let setting = Setting::new("priority_from = [\"198.51.100.0/24\"]");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client
        .expect("MAIL FROM:<a@example.test> MT-PRIORITY=4", "555 5.5.4")
        .await;
}

#[tokio::test]
async fn a_loop_and_header_bombs_are_refused_and_the_session_goes_on() {
    let setting = Setting::new("[server.limits]\nheader_size = \"16 KiB\"\nheader_count = 200");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    let bombs = [
        ("Received: by x\r\n".repeat(101), "554 5.4.6"),
        (
            "X: y\r\n".repeat(201),
            "552 5.3.4 More than 200 header fields",
        ),
        (
            format!("X: {}\r\n", ("y".repeat(60) + "\r\n ").repeat(300)),
            "552 5.3.4 Header section larger",
        ),
    ];
    for (bomb, start) in bombs {
        client.expect("MAIL FROM:<>", "250").await;
        client.expect("RCPT TO:<a@example.test>", "250").await;
        client.expect("DATA", "354").await;
        client.send(bomb.as_bytes()).await;
        client.send(b"\r\nQUIT\r\nbody\r\n.\r\n").await;
        let reply = client.reply().await;
        assert!(reply.starts_with(start), "{reply} is not {start}");
    }
    client
        .message("Received: by x\r\n".repeat(100).as_bytes())
        .await;
    assert_eq!(setting.accepted().len(), 1);
    let text = setting.metrics.render().unwrap();
    assert!(
        text.contains("postern_limits_total{server=\"inbound\",limit=\"header_size\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("postern_messages_total{server=\"inbound\",end=\"rejected\"} 3"),
        "{text}"
    );
}

#[tokio::test]
async fn a_large_message_by_bdat_comes_out_as_it_went_in() {
    let setting = Setting::new("");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.expect("MAIL FROM:<> BODY=BINARYMIME", "250").await;
    client.expect("RCPT TO:<a@example.test>", "250").await;
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    client.send(b"BDAT 5\r\nA: b\r").await;
    assert!(client.reply().await.starts_with("250"));
    client
        .send(format!("BDAT {}\r\n\n\r\n", body.len() + 3).as_bytes())
        .await;
    client.send(&body).await;
    assert!(client.reply().await.starts_with("250"));
    client.expect("BDAT 0 LAST", "250 2.0.0 Ok: queued").await;
    let stored = setting.accepted().remove(0);
    let octets = setting.octets(&stored).await;
    let expected = [b"A: b\r\n\r\n".as_slice(), &body].concat();
    assert!(octets.ends_with(&expected));
}

#[tokio::test]
async fn lmtp_has_a_reply_for_each_recipient() {
    let setting = Setting::new("protocol = \"lmtp\"");
    let mut client = setting.connect().await;
    client.expect("LHLO c", "250-").await;
    client.expect("MAIL FROM:<>", "250").await;
    client.expect("RCPT TO:<a@example.test>", "250").await;
    client.expect("RCPT TO:<b@other.test>", "550").await;
    client.expect("RCPT TO:<c@example.test>", "250").await;
    client.expect("DATA", "354").await;
    client.send(b"\r\nx\r\n.\r\n").await;
    assert!(client.reply().await.starts_with("250 2.0.0"));
    assert!(client.reply().await.starts_with("250 2.0.0"));
    client.expect("NOOP", "250").await;
    let stored = setting.accepted().remove(0);
    assert_eq!(stored.message.origin, Origin::Lmtp);
    assert!(setting.text(&stored).await.contains(" with LMTP\r\n"));
}

#[tokio::test]
async fn what_a_client_leaves_behind_is_no_message() {
    let setting = Setting::new("");
    for end in [
        "Subject: x\r\n\r\nhalf a mess",
        "Subject: x\r\n\r\nall but the dot\r\n",
    ] {
        let mut client = setting.connect().await;
        client.expect("EHLO c", "250-").await;
        client.expect("MAIL FROM:<>", "250").await;
        client.expect("RCPT TO:<a@example.test>", "250").await;
        client.expect("DATA", "354").await;
        client.send(end.as_bytes()).await;
        client.leave().await;
    }
    assert!(setting.accepted().is_empty());
    assert_eq!(setting.spool.counts().await.unwrap().submit, 0);
    let text = setting.metrics.render().unwrap();
    assert!(text.contains("end=\"client_gone\"} 2"), "{text}");
}

#[tokio::test]
async fn a_full_disk_is_said_before_the_content_comes() {
    let setting = Setting::with_spool("", u64::MAX / 2);
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.expect("MAIL FROM:<>", "452 4.3.1").await;
    client.expect("QUIT", "221").await;
    let text = setting.metrics.render().unwrap();
    assert!(text.contains("limit=\"min_free\"} 1"), "{text}");
}

#[tokio::test]
async fn the_end_finds_idle_sessions_and_spares_a_body() {
    let setting = Setting::new("");
    let mut idle = setting.connect().await;
    let mut busy = setting.connect().await;
    busy.expect("EHLO c", "250-").await;
    busy.expect("MAIL FROM:<>", "250").await;
    busy.expect("RCPT TO:<a@example.test>", "250").await;
    busy.expect("DATA", "354").await;
    busy.send(b"Subject: x\r\n").await;
    setting.shutdown.drain(Duration::from_secs(30));
    assert!(idle.reply().await.starts_with("421 4.3.2"));
    idle.end().await;
    busy.send(b"\r\nthe rest\r\n.\r\n").await;
    assert!(busy.reply().await.starts_with("250 2.0.0"));
    assert!(busy.reply().await.starts_with("421 4.3.2"));
    busy.end().await;
    assert_eq!(setting.accepted().len(), 1);
}

#[tokio::test]
async fn at_the_deadline_a_body_is_abandoned_without_a_250() {
    let setting = Setting::new("");
    let mut busy = setting.connect().await;
    busy.expect("EHLO c", "250-").await;
    busy.expect("MAIL FROM:<>", "250").await;
    busy.expect("RCPT TO:<a@example.test>", "250").await;
    busy.expect("DATA", "354").await;
    busy.send(b"Subject: x\r\n").await;
    setting.shutdown.now();
    assert_eq!(busy.rest().await, "");
    assert!(setting.accepted().is_empty());
}

#[tokio::test]
async fn starttls_protects_the_rest_and_is_in_the_trace() {
    let setting = Setting::with_tls();
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.expect("STARTTLS", "220 2.0.0").await;
    let mut client = client.start_tls().await;
    client.expect("MAIL FROM:<>", "503").await;
    client.say("EHLO c").await;
    assert!(!client.reply().await.contains("STARTTLS"));
    client.message(b"Subject: x\r\n").await;
    let stored = setting.accepted().remove(0);
    let text = setting.text(&stored).await;
    assert!(
        text.contains(" with ESMTPS\r\n") && text.contains("\r\n\ttls TLS_"),
        "{text}"
    );
    let session = SessionContext::decode(&stored.message.context).unwrap();
    assert_eq!(session.tls.unwrap().version, "TLSv1.3");
    let text = setting.metrics.render().unwrap();
    assert!(
        text.contains("mode=\"starttls\",result=\"tls1.3\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn nothing_said_before_the_handshake_is_heard_after_it() {
    let setting = Setting::with_tls();
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client
        .send(b"STARTTLS\r\nRSET\r\nMAIL FROM:<evil@example.org>\r\n")
        .await;
    let said = client.rest().await;
    assert!(said.starts_with("554") || said.starts_with("220"), "{said}");
    assert!(!said.contains("250"), "{said}");
}

#[tokio::test]
async fn who_speaks_before_the_banner_is_not_served() {
    let setting = Setting::new("");
    let mut client = setting.connect_early(b"EHLO early\r\n").await;
    let said = client.rest().await;
    assert!(said.starts_with("554"), "{said}");
    let mut client: Client<_> = setting.connect_silent();
    assert!(client.reply().await.starts_with(GREETING));
}

#[tokio::test]
async fn limits_end_sessions_and_are_counted() {
    let setting = Setting::new("[server.limits]\nerrors = 3\njunk_commands = 3");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.send(b"FOO\r\nFOO\r\nFOO\r\nFOO\r\nFOO\r\n").await;
    assert!(client.rest().await.contains("\r\n421 4.7.0"));
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.send(&b"NOOP\r\n".repeat(6)).await;
    assert!(client.rest().await.contains("\r\n421 4.7.0"));
    let text = setting.metrics.render().unwrap();
    assert!(
        text.contains("limit=\"errors\"} 1") && text.contains("limit=\"junk_commands\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("postern_sessions_open{server=\"inbound\"} 0"),
        "{text}"
    );
}

/// The disk takes longer for what has come than the client may be silent: that is not the client's silence.
#[test]
fn what_the_disk_takes_is_no_silence_of_the_client() {
    const SILENCE: Duration = Duration::from_secs(3);
    // One thread writes to the disk, and something else has it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let setting = Setting::new("[server.limits]\ndata_timeout = \"3s\"");
        let mut client = setting.connect().await;
        client.expect("EHLO client.example.org", "250-").await;
        client
            .expect("MAIL FROM:<anna@example.org>", "250 2.1.0")
            .await;
        client
            .expect("RCPT TO:<carl@example.test>", "250 2.1.5")
            .await;
        client.expect("DATA", "354 ").await;
        let (done, busy) = std::sync::mpsc::channel::<()>();
        let disk = tokio::task::spawn_blocking(move || busy.recv());
        let line = "x".repeat(62) + "\r\n";
        let content = format!("Subject: large\r\n\r\n{}", line.repeat(9000));
        // All but little of what the spool keeps while the disk is behind, then more than that.
        let (most, last) = content[..(512 << 10) + 300].split_at((512 << 10) - 300);
        client.send(most.as_bytes()).await;
        let taken =
            setting
                .metrics
                .received_bytes
                .get_or_create_owned(&crate::metrics::labels::OfServer {
                    server: "inbound".into(),
                });
        while (taken.get() as usize) < most.len() - 100 {
            tokio::task::yield_now().await;
        }
        client.send(last.as_bytes()).await;
        tokio::time::sleep(SILENCE + SILENCE / 4).await;
        done.send(()).unwrap();
        disk.await.unwrap().unwrap();
        tokio::time::sleep(SILENCE / 6).await;
        client.send(b"\r\n.\r\n").await;
        let reply = client.reply().await;
        assert!(reply.starts_with("250 2.0.0"), "{reply}");
        client.expect("QUIT", "221 2.0.0").await;
        client.end().await;
    });
}

/// What belongs to a sink's verb is no command, also where it comes when the verb has its reply.
#[tokio::test]
async fn what_follows_a_verb_that_nobody_has_answered_is_no_command() {
    let unasked = "rule = \"MAIL FROM=*\"";
    for (keys, code) in [
        ("", "451"),
        ("on_failure = \"continue\"", "500 5.5.1"),
        (unasked, "500 5.5.1"),
    ] {
        for together in [true, false] {
            let setting = Setting::with_verb(&format!(
                "[[sink]]\nname = \"talker\"\nendpoint = \"http://127.0.0.1:9\"\n\
                 [[binding]]\nname = \"talker\"\nsink = \"talker\"\nevents = [\"inbound.command\"]\n\
                 may = [\"respond\", \"ehlo\"]\ntimeout = \"200ms\"\n{keys}"
            ));
            let mut client = setting.connect().await;
            let payload = "MAIL FROM:<evil@example.org>\r\n";
            let line = "XPUT 4096\r\n";
            if together {
                client.send(format!("{line}{payload}").as_bytes()).await;
            } else {
                client.send(line.as_bytes()).await;
            }
            let reply = client.reply().await;
            assert!(reply.starts_with(code), "{keys}: {reply}");
            if !together {
                client.send(payload.as_bytes()).await;
            }
            assert_eq!(client.rest().await, "", "{keys} {together}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_names_nobody_has_no_rights_by_its_address() {
    let setting =
        Setting::new("relay_from = [\"192.0.2.0/24\"]\npriority_from = [\"192.0.2.0/24\"]");
    let mut client = setting.connect().await;
    client.expect("EHLO c", "250-").await;
    client.expect("MAIL FROM:<> MT-PRIORITY=4", "250").await;
    // There is no way out, but leave.
    client.expect("RCPT TO:<a@other.test>", "550 5.4.4").await;
    let mut proxy = setting.connect_proxy();
    assert!(proxy.reply().await.starts_with(GREETING));
    proxy.expect("EHLO c", "250-").await;
    proxy.expect("MAIL FROM:<> MT-PRIORITY=4", "555").await;
    proxy.expect("MAIL FROM:<>", "250").await;
    proxy.expect("RCPT TO:<a@other.test>", "550 5.7.1").await;
    proxy.expect("RCPT TO:<a@example.test>", "250").await;
}

#[test]
fn only_who_is_known_to_be_here_is_local() {
    let at = |address: &str| Standing::At(Some(address.parse().unwrap()));
    assert!(at("127.0.0.1").is_local() && at("::ffff:127.0.0.1").is_local());
    assert!(Standing::At(None).is_local());
    assert!(!at("192.0.2.7").is_local() && !Standing::Unknown.is_local());
}

#[tokio::test]
async fn what_a_dialogue_waits_for_is_set_aside_until_it_is_answered() {
    let setting = Setting::new("");
    let (mut session, memory) = setting.idle_session(256 << 10);
    session
        .reserve_for_dialogue(Expects::Octets(100_000))
        .unwrap();
    assert!(memory.used() > 100_000, "{}", memory.used());
    // The client sends it, and it is being asked about.
    session.follow_memory();
    assert!(memory.used() > 100_000, "{}", memory.used());
    session.end_dialogue();
    session.follow_memory();
    assert!(memory.used() < 50_000, "{}", memory.used());
    let refused = session.reserve_for_dialogue(Expects::Octets(512 << 10));
    assert_eq!(refused.unwrap_err().code().value(), 452);
    session.reserve_for_dialogue(Expects::Line(0)).unwrap();
    assert!(memory.used() < 50_000, "{}", memory.used());
}
