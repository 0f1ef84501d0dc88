//! Sinks that break HTTP/2 and gRPC: each costs its own question, on record, and nothing else.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use postern_e2e::hostile::Hostile;
use postern_e2e::raw_sink::{
    Asked, Manners, RawSink, Wire, code, flag, frame, header_block, kind, message, proceed, setting,
};
use rustix::net::sockopt::set_socket_linger;

type Trick = fn(&mut Wire, &Asked) -> io::Result<()>;

fn hang_up() -> io::Result<()> {
    Err(io::Error::other("as the test says"))
}

/// What is done in place of an answer, and the kinds of failure that it may be.
const TRICKS: [(&str, &[&str], Trick); 24] = [
    ("hangs-up", &["unreachable"], |_, _| hang_up()),
    ("reset-of-tcp", &["unreachable"], |wire, _| {
        set_socket_linger(wire.tcp(), Some(Duration::ZERO))?;
        hang_up()
    }),
    ("reset-cancel", &["unreachable"], |wire, asked| {
        wire.reset(asked.stream, code::CANCEL)
    }),
    ("reset-internal", &["unreachable"], |wire, asked| {
        wire.reset(asked.stream, code::INTERNAL_ERROR)
    }),
    (
        "reset-refused",
        &["unreachable", "overload"],
        |wire, asked| wire.reset(asked.stream, code::REFUSED_STREAM),
    ),
    ("goes-away", &["unreachable"], |wire, _| {
        wire.go_away(0, code::NO_ERROR)?;
        hang_up()
    }),
    ("goes-away-angrily", &["unreachable"], |wire, asked| {
        wire.headers(asked.stream)?;
        wire.go_away(asked.stream, code::ENHANCE_YOUR_CALM)?;
        hang_up()
    }),
    ("no-grpc-status", &["fault"], |wire, asked| {
        wire.headers(asked.stream)?;
        wire.send(&frame(kind::DATA, flag::END_STREAM, asked.stream, &[]))
    }),
    ("http-404", &["fault"], |wire, asked| {
        wire.end(
            asked.stream,
            &[(":status", "404"), ("content-type", "text/html")],
        )
    }),
    ("http-503", &["unreachable"], |wire, asked| {
        wire.end(
            asked.stream,
            &[(":status", "503"), ("content-type", "text/html")],
        )
    }),
    ("a-web-page", &["fault", "protocol"], |wire, asked| {
        let block = header_block(&[(":status", "200"), ("content-type", "text/html")]);
        wire.send(&frame(
            kind::HEADERS,
            flag::END_HEADERS,
            asked.stream,
            &block,
        ))?;
        wire.data(asked.stream, b"<html><body>It works!</body></html>")
    }),
    ("unknown-coding", &["fault", "protocol"], |wire, asked| {
        wire.headers_with(asked.stream, &[("grpc-encoding", "zstd")])?;
        wire.data(asked.stream, &message(1, b"squeezed"))
    }),
    (
        "coded-without-a-word",
        &["fault", "protocol"],
        |wire, asked| {
            wire.headers(asked.stream)?;
            wire.data(asked.stream, &message(1, b"squeezed"))
        },
    ),
    ("prefix-of-4-gib", &["protocol"], |wire, asked| {
        wire.headers(asked.stream)?;
        wire.data(asked.stream, &[0, 0xff, 0xff, 0xff, 0xff])
    }),
    ("message-above-1-mib", &["protocol"], |wire, asked| {
        wire.headers(asked.stream)?;
        wire.data(asked.stream, &message(0, &vec![0; 3 << 19]))
    }),
    ("message-above-2-mib", &["protocol"], |wire, asked| {
        wire.headers(asked.stream)?;
        wire.data(asked.stream, &message(0, &vec![0; 5 << 19]))
    }),
    ("octets-that-do-not-decode", &["protocol"], |wire, asked| {
        wire.headers(asked.stream)?;
        wire.data(asked.stream, &message(0, &[0xff; 100]))
    }),
    ("data-on-stream-0", &["unreachable"], |wire, _| {
        wire.send(&frame(kind::DATA, 0, 0, b"for nobody"))?;
        wire.until_closed()
    }),
    ("frame-of-16-mib", &["unreachable"], |wire, asked| {
        let mut octets = frame(kind::DATA, 0, asked.stream, b"and so on");
        octets.splice(..3, [0xff, 0xff, 0xff]);
        wire.headers(asked.stream)?;
        wire.send(&octets)?;
        wire.until_closed()
    }),
    (
        "headers-that-do-not-decode",
        &["unreachable"],
        |wire, asked| {
            wire.send(&frame(
                kind::HEADERS,
                flag::END_HEADERS,
                asked.stream,
                &[0xff; 64],
            ))?;
            wire.until_closed()
        },
    ),
    ("promises", &["unreachable"], |wire, asked| {
        let mut octets = 2_u32.to_be_bytes().to_vec();
        octets.extend(header_block(&[(":method", "GET"), (":path", "/")]));
        wire.send(&frame(
            kind::PUSH_PROMISE,
            flag::END_HEADERS,
            asked.stream,
            &octets,
        ))?;
        wire.until_closed()
    }),
    ("window-beyond-31-bits", &["unreachable"], |wire, _| {
        wire.send(&frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]))?;
        wire.until_closed()
    }),
    (
        "stream-window-beyond-31-bits",
        &["unreachable"],
        |wire, asked| {
            wire.send(&frame(
                kind::WINDOW_UPDATE,
                0,
                asked.stream,
                &[0x7f, 0xff, 0xff, 0xff],
            ))
        },
    ),
    (
        "headers-of-64-kib",
        &["unreachable", "fault"],
        |wire, asked| {
            let long = "x".repeat(64 << 10);
            let block = header_block(&[(":status", "200"), ("x-long", &long)]);
            let mut pieces = block.chunks(16 << 10).peekable();
            let mut kind = kind::HEADERS;
            while let Some(piece) = pieces.next() {
                let flags = if pieces.peek().is_none() {
                    flag::END_HEADERS
                } else {
                    0
                };
                wire.send(&frame(kind, flags, asked.stream, piece))?;
                kind = kind::CONTINUATION;
            }
            wire.until_closed()
        },
    ),
];

#[test]
fn whatever_breaks_http2_or_grpc_costs_its_own_question_and_is_on_record() {
    let sinks: Vec<RawSink> = TRICKS
        .iter()
        .map(|(_, _, trick)| RawSink::answering(*trick))
        .collect();
    let tables: Vec<_> = TRICKS
        .iter()
        .zip(&sinks)
        .map(|((name, _, _), sink)| (*name, sink.table(name), "timeout = \"10s\""))
        .collect();
    let hostile = Hostile::start("inbound.rcpt", &tables);
    thread::scope(|scope| {
        for (name, kinds, _) in &TRICKS {
            let hostile = &hostile;
            scope.spawn(move || hostile.is_failure(&hostile.rcpt(name), name, kinds));
        }
    });
    for ((name, _, _), sink) in TRICKS.iter().zip(&sinks) {
        assert!(sink.asked() > 0, "{name} was never asked");
        assert!(sink.asked() <= 2, "{name} was asked {} times", sink.asked());
    }
    hostile.stands();
}

/// The failure that each status of gRPC is, from 0 to 16.
const STATUSES: [&str; 17] = [
    "fault",
    "fault",
    "fault",
    "fault",
    "timeout",
    "fault",
    "fault",
    "unreachable",
    "overload",
    "fault",
    "fault",
    "fault",
    "fault",
    "fault",
    "unreachable",
    "fault",
    "unreachable",
];

#[test]
fn each_status_in_place_of_a_verdict_is_the_failure_that_it_is() {
    let names: Vec<String> = (0..STATUSES.len()).map(|n| format!("status-{n}")).collect();
    let sinks: Vec<RawSink> = (0..17)
        .map(|status| RawSink::answering(move |wire, asked| wire.trailers(asked.stream, status)))
        .collect();
    let tables: Vec<_> = names
        .iter()
        .zip(&sinks)
        .map(|(name, sink)| (name.as_str(), sink.table(name), "timeout = \"10s\""))
        .collect();
    let hostile = Hostile::start("inbound.rcpt", &tables);
    thread::scope(|scope| {
        for (name, kind) in names.iter().zip(STATUSES) {
            let hostile = &hostile;
            scope.spawn(move || hostile.is_failure(&hostile.rcpt(name), name, &[kind]));
        }
    });
    hostile.stands();
}

/// A sink that is there and yet never answers costs the deadline, whichever layer it stalls at.
#[test]
fn whatever_stalls_costs_its_deadline() {
    let closed = (setting::INITIAL_WINDOW_SIZE, 0);
    let silent = || Manners {
        description: None,
        ..Manners::default()
    };
    let mut update = setting::INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
    update.extend([0; 4]);
    let closes_window = Manners {
        behind_description: frame(kind::SETTINGS, 0, 0, &update),
        ..Manners::default()
    };
    let takes_no_stream = Manners {
        behind_description: frame(
            kind::SETTINGS,
            0,
            0,
            &[0, setting::MAX_CONCURRENT_STREAMS as u8, 0, 0, 0, 0],
        ),
        ..Manners::default()
    };
    let sinks: [(&str, RawSink); 8] = [
        (
            "says-nothing",
            RawSink::octets(|_stream| {
                loop {
                    thread::park();
                }
            }),
        ),
        (
            "reads-and-says-nothing",
            RawSink::octets(|mut stream| io::copy(&mut stream, &mut io::sink()).map(drop)),
        ),
        (
            "never-describes-itself",
            RawSink::with(silent(), |_, _| Ok(())),
        ),
        (
            "opens-no-window",
            RawSink::with(
                Manners {
                    settings: vec![closed],
                    ..Manners::default()
                },
                |_, _| Ok(()),
            ),
        ),
        ("closes-its-window", RawSink::with(closes_window, proceed)),
        ("takes-no-stream", RawSink::with(takes_no_stream, proceed)),
        ("never-answers", RawSink::start(|_, _| Ok(()))),
        (
            "half-a-message",
            RawSink::answering(|wire, asked| {
                wire.headers(asked.stream)?;
                wire.data(asked.stream, &[0, 0, 0])
            }),
        ),
    ];
    let mut tables: Vec<_> = sinks
        .iter()
        .map(|(name, sink)| (*name, sink.table(name), "timeout = \"1500ms\""))
        .collect();
    // Addresses that are reserved for documentation: nobody is there.
    let away = |name: &str, host: &str| {
        format!(
            "[[sink]]\nname = \"{name}\"\nplaintext = true\nendpoint = \"http://{host}:7001\"\n"
        )
    };
    tables.push((
        "black-hole",
        away("black-hole", "192.0.2.1"),
        "timeout = \"1500ms\"",
    ));
    tables.push((
        "no-such-name",
        away("no-such-name", "sink.invalid"),
        "timeout = \"1500ms\"",
    ));
    let hostile = Hostile::start("inbound.rcpt", &tables);
    thread::scope(|scope| {
        for (name, _, _) in &tables {
            let hostile = &hostile;
            scope.spawn(move || {
                hostile.is_failure(
                    &hostile.rcpt(name),
                    name,
                    &["timeout", "unreachable", "overload"],
                )
            });
        }
    });
    hostile.stands();
}

#[test]
fn an_http_1_server_is_no_sink() {
    let sink = RawSink::octets(|mut stream| {
        let mut some = [0; 24];
        stream.read_exact(&mut some)?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let hostile = Hostile::start("inbound.rcpt", &[("old-web", sink.table("old-web"), "")]);
    hostile.is_failure(&hostile.rcpt("old-web"), "old-web", &["unreachable"]);
    hostile.stands();
}
