//! Sinks that pour out frames without end, or take none: memory stays, and other sessions go on.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::Setup;
use postern_e2e::hostile::Hostile;
use postern_e2e::raw_sink::{
    Asked, Manners, RawSink, Wire, code, description, frame, header_block, kind, proceed,
};
use postern_proto::v1;
use postern_proto::v1::attach_response::Kind as FromSink;

const LIMIT: Duration = Duration::from_secs(20);

/// What a flood may cost the gateway, in KiB: far less than what is poured in.
const FLOOD_KIB: u64 = 16 << 10;

/// What bodies of 20 MiB each may cost of which a sink takes little, in KiB: what each upload takes, and no whole one; and
/// the 16 MiB that may hold contents for their first delivery.
const BODY_KIB: u64 = (40 + 16) << 10;

type Trick = fn(&mut Wire, &Asked) -> io::Result<()>;

/// Octets without end in place of an answer; the connection ends, or the answer comes behind them.
fn flood(name: &'static str, trick: Trick) {
    let sink = RawSink::with(
        Manners {
            description: Some(description(100)),
            ..Manners::default()
        },
        move |wire, asked| match asked.question() {
            Some(_) => trick(wire, asked),
            None => Ok(()),
        },
    );
    let hostile = Hostile::start(
        "inbound.rcpt",
        &[(name, sink.table(name), "timeout = \"20s\"")],
    );
    hostile.stands();
    let before = hostile.gateway.peak_memory_kib();
    thread::scope(|scope| {
        let flooded = scope.spawn(|| hostile.rcpt(name));
        sink.wait(LIMIT, |frames| {
            frames.iter().any(|f| f.instance_id > 0).then_some(())
        });
        // While it pours.
        hostile.stands();
        let code = flooded.join().unwrap().code;
        assert!([250, 451].contains(&code), "{name}: {code}");
        if code == 451 {
            hostile.failed(name, &["unreachable", "protocol", "fault", "timeout"]);
        }
    });
    hostile.stands();
    let more = hostile.gateway.peak_memory_kib() - before;
    assert!(more < FLOOD_KIB, "{name}: {more} KiB more");
}

/// So many octets are poured in.
const POURED: usize = 64 << 20;

fn pour(wire: &mut Wire, asked: &Asked, frame: &[u8]) -> io::Result<()> {
    wire.drain()?;
    let many = frame.repeat((64 << 10) / frame.len());
    for _ in 0..POURED / 16 / many.len() {
        wire.send(&many)?;
    }
    proceed(wire, asked)
}

#[test]
fn a_header_section_without_end_is_not_kept() {
    flood("continues", |wire, asked| {
        let block = header_block(&[(":status", "200")]);
        wire.send(&frame(kind::HEADERS, 0, asked.stream, &block))?;
        let piece = header_block(&[("x-more", &"y".repeat(15 << 10))]);
        let more = frame(kind::CONTINUATION, 0, asked.stream, &piece);
        for _ in 0..POURED / more.len() {
            wire.send(&more)?;
        }
        Err(io::Error::other("it was taken to the end"))
    });
}

#[test]
fn a_header_section_of_empty_frames_without_end_is_given_up() {
    flood("continues-with-nothing", |wire, asked| {
        let block = header_block(&[(":status", "200")]);
        wire.send(&frame(kind::HEADERS, 0, asked.stream, &block))?;
        let more = frame(kind::CONTINUATION, 0, asked.stream, &[]).repeat(1000);
        loop {
            wire.send(&more)?;
        }
    });
}

#[test]
fn a_flood_of_pings_is_answered_or_ended() {
    flood("pings", |wire, asked| {
        pour(wire, asked, &frame(kind::PING, 0, 0, b"abcdefgh"))
    });
}

#[test]
fn pings_whose_answers_nobody_reads_are_not_kept() {
    flood("pings-and-reads-nothing", |wire, _| {
        let pings = frame(kind::PING, 0, 0, b"abcdefgh").repeat(1000);
        // Ends when the gateway reads no more of them.
        loop {
            wire.send(&pings)?;
        }
    });
}

#[test]
fn a_flood_of_settings_is_answered_or_ended() {
    flood("settings", |wire, asked| {
        pour(wire, asked, &frame(kind::SETTINGS, 0, 0, &[]))
    });
}

#[test]
fn a_flood_of_empty_data_costs_nothing() {
    flood("empty-data", |wire, asked| {
        wire.headers(asked.stream)?;
        pour(wire, asked, &frame(kind::DATA, 0, asked.stream, &[]))
    });
}

#[test]
fn a_flood_of_window_updates_and_resets_costs_nothing() {
    flood("windows", |wire, asked| {
        let update = frame(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
        // Of streams that nobody has opened any more.
        let reset = frame(kind::RST_STREAM, 0, 1, &code::CANCEL.to_be_bytes());
        pour(wire, asked, &[update, reset].concat())
    });
}

/// What has to be answered, from a sink that reads no answer.
#[test]
fn actions_and_uploads_whose_answers_nobody_reads_are_not_kept() {
    flood("acts-and-reads-nothing", |wire, asked| {
        wire.stingy = true;
        for n in 1.. {
            let action = v1::SinkAction {
                action_id: n,
                ..Default::default()
            };
            wire.say(asked, FromSink::Action(Box::new(action)))?;
            let upload = v1::Upload {
                upload_id: n,
                event_id: asked.event_id(),
                octets: vec![b'x'; 1000].into(),
                ..Default::default()
            };
            wire.say(asked, FromSink::Upload(upload))?;
            if n > 40_000 {
                break;
            }
        }
        proceed(wire, asked)
    });
}

/// Frames that the connection's window has no room for.
#[test]
fn data_beyond_the_window_ends_the_connection() {
    flood("no-window", |wire, asked| {
        wire.headers(asked.stream)?;
        let prefix = [0, 0, 0x0f, 0xff, 0xff];
        wire.send(&frame(kind::DATA, 0, asked.stream, &prefix))?;
        let data = frame(kind::DATA, 0, asked.stream, &[0; 16 << 10]);
        for _ in 0..POURED / data.len() {
            wire.send(&data)?;
        }
        wire.until_closed()
    });
}

/// Sends a large message about which the sink is asked, and calls `meanwhile` before its end.
fn large_message(hostile: &Hostile, meanwhile: impl FnOnce()) -> Reply {
    let mut client = hostile.session("stalls");
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@good.test>", 250);
    client.expect("DATA", 354);
    client.send("Subject: large\r\n\r\n");
    let block = [&[b'x'; 62], b"\r\n".as_slice()].concat().repeat(1 << 10);
    for _ in 0..20 << 4 {
        client.send(&block);
    }
    meanwhile();
    client.send("\r\n.\r\n");
    let reply = client.reply();
    client.expect("NOOP", 250);
    reply
}

/// The window of a whole connection is used up by one body: that message fails by its deadline, and the sink is asked again
/// by another connection.
#[test]
fn a_sink_that_takes_no_more_of_a_body_costs_that_message_and_is_asked_again() {
    let manners = Manners {
        description: Some(description(100)),
        ..Manners::default()
    };
    let sink = RawSink::with(manners, |wire, asked| {
        if asked.is_message() {
            wire.stingy = true;
            return Ok(());
        }
        proceed(wire, asked)
    });
    let setup = Setup::default().with(
        "[[binding]]\nname = \"beside\"\nsink = \"stalls\"\nevents = [\"inbound.rcpt\"]\nmay = []\n\
         timeout = \"500ms\"",
    );
    let keys = "body = \"full\"\ntimeout = \"2s\"";
    let tables = [("stalls", sink.table("stalls"), keys)];
    let hostile = Hostile::with(setup, "inbound.message", &tables);
    hostile.stands();
    let before = hostile.gateway.peak_memory_kib();
    let reply = large_message(&hostile, || {
        sink.wait(LIMIT, |frames| frames.iter().any(is_message).then_some(()));
    });
    assert_eq!(reply.code, 451, "{reply:?}");
    hostile.failed("stalls", &["timeout"]);
    let more = hostile.gateway.peak_memory_kib() - before;
    assert!(more < BODY_KIB, "{more} KiB more");
    // Sessions of every thread of the gateway, at the same time.
    let mut others: Vec<Client> = (0..8)
        .map(|_| Client::ready(hostile.gateway.smtp()))
        .collect();
    let until = Instant::now() + LIMIT;
    for other in &mut others {
        other.expect("MAIL FROM:<a@example.org>", 250);
        while other.command("RCPT TO:<c@good.test>").code != 250 {
            assert!(Instant::now() < until, "{}", hostile.gateway.log());
        }
    }
}

/// A sink that reads nothing at all any more, one session after the other.
#[test]
fn a_sink_that_reads_nothing_of_a_body_costs_its_deadline_and_little_memory() {
    let sink = RawSink::start(|_, asked| {
        while asked.is_message() {
            thread::park();
        }
        Ok(())
    });
    let keys = "body = \"full\"\ntimeout = \"1s\"";
    let hostile = Hostile::start("inbound.message", &[("stalls", sink.table("stalls"), keys)]);
    hostile.stands();
    let before = hostile.gateway.peak_memory_kib();
    for _ in 0..4 {
        let reply = large_message(&hostile, || hostile.stands());
        assert_eq!(reply.code, 451, "{reply:?}");
    }
    hostile.failed("stalls", &["timeout"]);
    hostile.stands();
    let more = hostile.gateway.peak_memory_kib() - before;
    assert!(more < BODY_KIB, "{more} KiB more");
}

fn is_message(frame: &v1::AttachRequest) -> bool {
    let frame = frame.clone();
    Asked { stream: 0, frame }.is_message()
}
