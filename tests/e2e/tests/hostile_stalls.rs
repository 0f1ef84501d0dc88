//! Sinks that stop reading: one body that nobody takes holds up no other session, whether it is its own stream that is
//! full or the whole connection.

#![allow(clippy::unwrap_used, missing_docs)]

use std::thread;
use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::hostile::Hostile;
use postern_e2e::raw_sink::{Asked, Manners, RawSink, Wire, description, proceed};

const LIMIT: Duration = Duration::from_secs(20);

/// Sessions beside the one that stalls: some on each thread of the gateway.
const OTHERS: usize = 8;

/// Bodies at a time that stall.
const BODIES: usize = 4;

/// A sink of several instances to a stream that does this about a body, and agrees to all else.
fn sink(about_body: fn(&mut Wire, &Asked)) -> RawSink {
    let manners = Manners {
        description: Some(description(100)),
        ..Manners::default()
    };
    RawSink::with(manners, move |wire, asked| {
        if asked.is_message() {
            about_body(wire, asked);
            return Ok(());
        }
        proceed(wire, asked)
    })
}

/// One body stalls; the sessions that were open at the sink before, and those that come later, are answered in time.
fn holds_up_nobody(about_body: fn(&mut Wire, &Asked)) {
    let sink = sink(about_body);
    let setup = Setup::default().with(
        "[[binding]]\nname = \"beside\"\nsink = \"stalls\"\nevents = [\"inbound.mail\", \"inbound.rcpt\"]\n\
         may = []\ntimeout = \"8s\"",
    );
    let keys = "body = \"full\"\ntimeout = \"6s\"";
    let tables = [("stalls", sink.table("stalls"), keys)];
    let hostile = Hostile::with(setup, "inbound.message", &tables);
    // Their instances are on the stream that the body is going to be on.
    let begun = || {
        let mut client = Client::ready(hostile.gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        client
    };
    let others: Vec<Client> = (0..OTHERS).map(|_| begun()).collect();
    let mut stalls = hostile.session("stalls");
    stalls.expect("MAIL FROM:<a@example.org>", 250);
    stalls.expect("RCPT TO:<b@good.test>", 250);
    stalls.expect("DATA", 354);
    stalls.send("Subject: large\r\n\r\n");
    let block = [&[b'x'; 62], b"\r\n".as_slice()].concat().repeat(1 << 10);
    for _ in 0..16 {
        stalls.send(&block);
    }
    let is_message = |frame: &_| {
        let frame = Clone::clone(frame);
        Asked { stream: 0, frame }.is_message()
    };
    sink.wait(LIMIT, |frames| frames.iter().any(is_message).then_some(()));
    thread::scope(|scope| {
        for mut other in others {
            scope.spawn(move || other.expect("RCPT TO:<b@good.test>", 250));
        }
    });
    let latecomers: Vec<Client> = (0..OTHERS).map(|_| begun()).collect();
    for mut other in latecomers {
        other.expect("RCPT TO:<b@good.test>", 250);
    }
    assert!(hostile.count("postern_sink_stalls_total", "stalls") >= 1);
    hostile
        .gateway
        .wait_for_log("a connection takes nothing more", LIMIT);
    // The body itself costs its own deadline.
    stalls.send("\r\n.\r\n");
    let reply = stalls.reply();
    hostile.is_failure(&reply, "stalls", &["timeout"]);
    hostile.stands();
}

#[test]
fn a_body_that_uses_up_the_window_of_its_connection_holds_up_no_other_session() {
    holds_up_nobody(|wire, _| wire.stingy = true);
}

#[test]
fn a_stream_that_the_sink_stops_reading_holds_up_no_other_session() {
    holds_up_nobody(|wire, asked| wire.stingy_on = Some(asked.stream));
}

/// Bodies one after the other, each of which stalls: after the first they have connections of their own, and nobody else
/// even waits.
#[test]
fn bodies_of_a_sink_that_stalls_keep_apart_from_then_on() {
    let sink = sink(|wire, _| wire.stingy = true);
    let setup = Setup::default().with(
        "[[binding]]\nname = \"beside\"\nsink = \"stalls\"\nevents = [\"inbound.rcpt\"]\n\
         may = []\ntimeout = \"1s\"\nwhen = 'session.helo == \"beside.example.test\"'",
    );
    let keys = "body = \"full\"\ntimeout = \"3s\"";
    let tables = [("stalls", sink.table("stalls"), keys)];
    let hostile = Hostile::with(setup, "inbound.message", &tables);
    let large = || {
        let mut client = hostile.session("stalls");
        let content = ["Subject: x\r\n\r\n", &"x\r\n".repeat(200_000)].concat();
        let reply = client.deliver("a@example.org", &["b@good.test"], content.as_bytes());
        assert_eq!(reply.code, 451, "{reply:?}");
    };
    // On each thread one at least, and not so many that the replica is given up as a whole.
    thread::scope(|scope| {
        for _ in 0..BODIES {
            scope.spawn(large);
        }
    });
    let stalls = hostile.count("postern_sink_stalls_total", "stalls");
    assert!(stalls >= 1);
    thread::scope(|scope| {
        for _ in 0..BODIES {
            scope.spawn(large);
        }
        for _ in 0..OTHERS {
            // Shorter than it takes to find out that a connection is stalled.
            scope.spawn(|| {
                let reply = hostile.rcpt("beside");
                assert_eq!(reply.code, 250, "{reply:?}\n{}", hostile.gateway.log());
            });
        }
    });
    let more = hostile.count("postern_sink_stalls_total", "stalls");
    assert_eq!(more, stalls, "{}", hostile.gateway.log());
}
