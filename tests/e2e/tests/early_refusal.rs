//! A refusal while the message is still arriving, by a sink that has seen its headers.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);

fn set_up(next_hop: &NextHop, sink: &Sink) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("strict"))
        .with(
            "[[binding]]\nname = \"strict\"\nsink = \"strict\"\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.message\"]",
        )
        .start()
}

fn begin(client: &mut Client) {
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
}

/// Those in front may only refuse too, and never answer: what the last one says counts all the same.
#[test]
fn a_refusal_by_the_last_of_three_ends_the_upload_while_the_others_think() {
    let next_hop = NextHop::start();
    let thinks = [
        Sink::start(&["message=hang"]),
        Sink::start(&["message=hang"]),
    ];
    let refuses = Sink::start(&["message=reject"]);
    let mut setup =
        Setup::default().domain("example.test", &format!("smtp://{}", next_hop.address()));
    for (name, sink) in [
        ("one", &thinks[0]),
        ("two", &thinks[1]),
        ("three", &refuses),
    ] {
        setup = setup.with(&sink.table(name)).with(&format!(
            "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.message\"]"
        ));
    }
    let gateway = setup.start();
    let mut client = Client::ready(gateway.smtp());
    begin(&mut client);
    let headers = b"Subject: unwanted\r\n\r\n";
    client.send(format!("BDAT {}\r\n", headers.len()));
    client.send(headers);
    assert_eq!(client.reply().code, 250);
    let refused = upload_until_refused(&mut client);
    assert!(refused.text().contains("the sink objects"), "{refused:?}");
    for sink in &thinks {
        sink.wait_asked("message", 1, LIMIT);
    }
    client.expect("RSET", 250);
    assert_eq!(next_hop.count(), 0);
}

/// Chunk after chunk, never the last one, until one is refused. In lines, since one without an end would be refused for
/// its length.
fn upload_until_refused(client: &mut Client) -> Reply {
    let chunk = [&[b'x'; 62], b"\r\n".as_slice()].concat().repeat(1024);
    let refused = (0..200).find_map(|_| {
        client.send(format!("BDAT {}\r\n", chunk.len()));
        client.send(&chunk);
        let reply = client.reply();
        (reply.code != 250).then_some(reply)
    });
    let refused = refused.expect("a refusal before the upload's end");
    assert_eq!(refused.code, 550, "{refused:?}");
    refused
}

#[test]
fn over_bdat_the_chunk_is_answered_and_the_session_goes_on() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=reject"]);
    let gateway = set_up(&next_hop, &sink);
    let mut client = Client::ready(gateway.smtp());
    begin(&mut client);

    let headers = b"Subject: unwanted\r\n\r\n";
    client.send(format!("BDAT {}\r\n", headers.len()));
    client.send(headers);
    assert_eq!(client.reply().code, 250, "the headers alone are taken");
    sink.wait_asked("message", 1, LIMIT);

    let refused = upload_until_refused(&mut client);
    assert!(refused.text().contains("the sink objects"), "{refused:?}");

    client.expect("RSET", 250);
    client.expect("NOOP", 250);
    begin(&mut client);
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn over_data_the_refusal_comes_after_the_dot_and_nothing_more_is_kept() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&["message=reject"]);
    let gateway = set_up(&next_hop, &sink);
    let mut client = Client::ready(gateway.smtp());
    begin(&mut client);
    client.expect("DATA", 354);
    client.send("Subject: unwanted\r\n\r\n");
    sink.wait_asked("message", 1, LIMIT);

    // What looks like a transaction inside the refused body must not become one.
    let smuggled = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n";
    for _ in 0..200 {
        client.send("x".repeat(998) + "\r\n");
        client.send(smuggled);
    }
    client.send("\r\n.\r\n");
    let refused = client.reply();
    assert_eq!(refused.code, 550, "{refused:?}");
    assert!(refused.text().contains("the sink objects"), "{refused:?}");

    client.expect("NOOP", 250);
    client.expect("RCPT TO:<b@example.test>", 503);
    assert_eq!(next_hop.count(), 0);
}
