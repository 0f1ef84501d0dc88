//! What sinks are shown: the content to those alone that are configured for it, the session with the message, long lists
//! within a frame.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::raw_sink::{Manners, RawSink, description, proceed};
use postern_proto::v1::attach_request::Kind as FromGateway;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn send(gateway: &Gateway) -> u16 {
    let mut client = Client::ready(gateway.smtp());
    client
        .deliver("a@example.org", &["b@good.test"], CONTENT)
        .code
}

/// Many sessions on each stream.
fn shared() -> RawSink {
    let manners = Manners {
        description: Some(description(100)),
        ..Manners::default()
    };
    RawSink::with(manners, proceed)
}

#[test]
fn sinks_that_are_configured_for_another_server_see_nothing() {
    const SECRET: &str = "the-secret-of-the-other-server";
    let ours = shared();
    let theirs = RawSink::start(proceed);
    let shallow = RawSink::start(proceed);
    let next_hop = NextHop::start();
    let other = free_address();
    let gateway = Setup::default()
        .domain("good.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[server]]\nname = \"other\"\nhostname = \"other.example.test\"\nlisten = [\"{other}\"]"
        ))
        .with(&ours.table("ours"))
        .with(&theirs.table("theirs"))
        .with(&shallow.table("shallow"))
        .with(
            "[[binding]]\nname = \"ours\"\nsink = \"ours\"\nservers = [\"inbound\"]\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.rcpt\", \"inbound.message\", \"transport.submit\", \"delivery.result\"]\n\
             [[binding]]\nname = \"theirs\"\nsink = \"theirs\"\nservers = [\"other\"]\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.rcpt\", \"inbound.message\", \"transport.submit\", \"delivery.result\"]\n\
             [[binding]]\nname = \"shallow\"\nsink = \"shallow\"\nmay = []\nbody = \"headers\"\n\
             reads = [\"headers:Subject\"]\nevents = [\"inbound.message\"]",
        )
        .start();
    let content = format!("From: a@example.org\r\nSubject: x\r\nX-{SECRET}: x\r\n\r\n{SECRET}\r\n");
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("a@example.org", &["b@good.test"], content.as_bytes());
    assert_eq!(reply.code, 250);
    next_hop.wait_for(1, LIMIT);
    let holds = |sink: &RawSink| {
        sink.frames()
            .iter()
            .any(|frame| format!("{frame:?}").contains(SECRET))
    };
    ours.wait(LIMIT, |frames| {
        frames
            .iter()
            .any(|frame| format!("{frame:?}").contains(SECRET))
            .then_some(())
    });
    assert!(theirs.frames().is_empty(), "{:?}", theirs.frames());
    assert!(
        shallow.asked() > 0 && !holds(&shallow),
        "{:?}",
        shallow.frames()
    );
}

/// The client's address, its greeting and the listener travel with the message to whoever is asked in transport.
#[test]
fn a_sink_in_transport_is_shown_the_session_that_brought_the_message() {
    let sink = RawSink::start(proceed);
    let blind = RawSink::start(proceed);
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("good.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("sees"))
        .with(&blind.table("blind"))
        .with(
            "[[binding]]\nname = \"sees\"\nsink = \"sees\"\nevents = [\"transport.submit\"]\nmay = []\n\
             reads = [\"session\"]\nbody = \"none\"\n\
             [[binding]]\nname = \"blind\"\nsink = \"blind\"\nevents = [\"transport.submit\"]\nmay = []\n\
             reads = [\"headers:Subject\"]\nbody = \"headers\"",
        )
        .start();
    assert_eq!(send(&gateway), 250);
    let session = |sink: &RawSink| {
        sink.wait(LIMIT, |frames| {
            frames.iter().find_map(|frame| match &frame.kind {
                Some(FromGateway::OpenInstance(open)) => Some(open.snapshot.clone()?.session),
                _ => None,
            })
        })
    };
    let seen = session(&sink).unwrap();
    assert_eq!(seen.client.unwrap().address, "127.0.0.1");
    assert_eq!(&seen.helo.unwrap().name[..], b"client.example.test");
    assert_eq!(seen.listener, gateway.smtp().to_string());
    assert_eq!(seen.server, "inbound");
    let unseen = session(&blind).unwrap_or_default();
    assert!(
        unseen.client.is_none() && unseen.helo.is_none(),
        "{unseen:?}"
    );
    next_hop.wait_for(1, LIMIT);
}

/// One client that makes an event too long for a frame has that one event refused, and no other session notices.
#[test]
fn an_event_too_long_for_a_frame_fails_alone() {
    let sink = shared();
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .server("limits = { recipients = 2000 }")
        .domain("good.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("shared"))
        .with(
            "[[binding]]\nname = \"shared\"\nsink = \"shared\"\nmay = []\nbody = \"headers\"\n\
             events = [\"inbound.mail\", \"inbound.message\"]",
        )
        .start();
    let mut others: Vec<Client> = (0..8).map(|_| Client::ready(gateway.smtp())).collect();
    for other in &mut others {
        other.expect("MAIL FROM:<a@example.org>", 250);
        other.expect("RCPT TO:<b@good.test>", 250);
    }
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    let original = "x".repeat(450);
    for hundred in 0..20 {
        let group: String = (0..100)
            .map(|n| {
                let user = format!("{hundred}-{n}-{}", "u".repeat(50));
                format!("RCPT TO:<{user}@good.test> ORCPT=rfc822;{original}\r\n")
            })
            .collect();
        client.send(group);
        for _ in 0..100 {
            assert_eq!(client.reply().code, 250);
        }
    }
    client.expect("DATA", 354);
    client.send("Subject: x\r\n\r\nx\r\n.\r\n");
    let reply = client.reply();
    assert_eq!(reply.code, 451, "{reply:?}");
    let metrics = gateway.http("/metrics").1;
    assert!(
        metrics.contains("sink=\"shared\",event=\"inbound.message\",kind=\"size\"} 1"),
        "{metrics}"
    );
    client.expect("NOOP", 250);
    for other in &mut others {
        other.expect("DATA", 354);
        other.send("Subject: x\r\n\r\nx\r\n.\r\n");
        assert_eq!(other.reply().code, 250);
    }
    next_hop.wait_for(8, LIMIT);
}
