//! A connection of HTTP/2 by hand, as far as a sink needs it, and as wrong as a test wants it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::TcpStream;

use postern_proto::v1;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::attach_response::Kind as FromSink;
use prost::Message;

use super::Manners;
use super::pieces::{flag, frame, header_block, kind, message, setting};
use super::socket::Socket;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Octets in a DATA frame that every peer takes.
const FRAME: usize = 16 << 10;
const UNIMPLEMENTED: u32 = 12;

/// A frame of the gateway on `Attach`.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The stream of HTTP/2.
    pub stream: u32,
    /// What it says.
    pub frame: v1::AttachRequest,
}

impl Asked {
    /// The event, if it is one that wants an answer.
    pub fn question(&self) -> Option<&v1::Event> {
        question(&self.frame)
    }

    /// The id of the event asked about, 0 for all else.
    pub fn event_id(&self) -> u64 {
        self.question().map_or(0, |event| event.event_id)
    }

    /// Whether it asks about a message on its way in.
    pub fn is_message(&self) -> bool {
        let kind = self.question().and_then(|event| event.kind.as_ref());
        matches!(kind, Some(v1::event::Kind::InboundMessage(_)))
    }
}

/// The event in `frame`, if it is one that wants an answer.
pub(super) fn question(frame: &v1::AttachRequest) -> Option<&v1::Event> {
    match &frame.kind {
        Some(FromGateway::Event(event)) if event.deadline.is_some() => Some(event),
        _ => None,
    }
}

#[derive(Default)]
struct Stream {
    received: Vec<u8>,
    ended: bool,
    attached: bool,
    answered: bool,
    window: i64,
}

/// A connection, seen from the sink.
pub struct Wire {
    socket: Socket,
    streams: HashMap<u32, Stream>,
    asked: VecDeque<Asked>,
    unary: VecDeque<(u32, bool)>,
    window: i64,
    stream_window: i64,
    /// It gives the gateway no more room.
    pub stingy: bool,
    /// It gives this stream no more room, and the connection all that it needs.
    pub stingy_on: Option<u32>,
}

impl Wire {
    pub(super) fn accept(mut socket: Socket, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut preface = [0; 24];
        socket.read_exact(&mut preface)?;
        if preface != *PREFACE {
            return Err(io::Error::other("no HTTP/2"));
        }
        let mut wire = Self {
            socket,
            streams: HashMap::new(),
            asked: VecDeque::new(),
            unary: VecDeque::new(),
            window: 65_535,
            stream_window: 65_535,
            stingy: false,
            stingy_on: None,
        };
        wire.settings(settings)?;
        Ok(wire)
    }

    /// The next frame on `Attach`. What else is asked is answered here: `Describe` as the manners say, health with
    /// UNIMPLEMENTED.
    pub(super) fn next(&mut self, manners: &Manners) -> io::Result<Asked> {
        loop {
            if let Some((stream, describes)) = self.unary.pop_front() {
                if let (true, Some(words)) = (describes, manners.refusal) {
                    let status = [("grpc-status", "14"), ("grpc-message", words)];
                    let first = [(":status", "200"), ("content-type", "application/grpc")];
                    self.end(stream, &[first, status].concat())?;
                    continue;
                }
                match (describes, &manners.description) {
                    (true, Some(description)) => {
                        self.headers(stream)?;
                        let octets = message(0, &description.encode_to_vec());
                        self.data(stream, &octets)?;
                        self.trailers(stream, 0)?;
                        self.send(&manners.behind_description)?;
                    }
                    (true, None) => {}
                    (false, _) => self.trailers(stream, UNIMPLEMENTED)?,
                }
            } else if let Some(asked) = self.asked.pop_front() {
                return Ok(asked);
            } else {
                self.read_frame()?;
            }
        }
    }

    /// Answers a question with this decision; leaves alone what is none.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn decide(&mut self, asked: &Asked, kind: v1::decision::Kind) -> io::Result<()> {
        self.verdict(asked, |verdict| {
            verdict.decision = Some(v1::Decision { kind: Some(kind) });
        })
    }

    /// Answers a question with a verdict that `fill` completes: it names the event and proceeds.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn verdict(
        &mut self,
        asked: &Asked,
        fill: impl FnOnce(&mut v1::Verdict),
    ) -> io::Result<()> {
        if asked.question().is_none() {
            return Ok(());
        }
        let mut verdict = v1::Verdict {
            event_id: asked.event_id(),
            decision: Some(v1::Decision {
                kind: Some(v1::decision::Kind::Proceed(v1::Proceed {})),
            }),
            ..Default::default()
        };
        fill(&mut verdict);
        self.say(asked, FromSink::Verdict(Box::new(verdict)))
    }

    /// Says something in the instance of `asked`.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn say(&mut self, asked: &Asked, kind: FromSink) -> io::Result<()> {
        let frame = v1::AttachResponse {
            instance_id: asked.frame.instance_id,
            kind: Some(kind),
        };
        self.headers(asked.stream)?;
        self.data(asked.stream, &message(0, &frame.encode_to_vec()))
    }

    /// Sends the response's headers, unless they were.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn headers(&mut self, stream: u32) -> io::Result<()> {
        self.headers_with(stream, &[])
    }

    /// The same with further fields.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn headers_with(&mut self, stream: u32, further: &[(&str, &str)]) -> io::Result<()> {
        let state = self.streams.entry(stream).or_default();
        if std::mem::replace(&mut state.answered, true) {
            return Ok(());
        }
        let mut fields = vec![(":status", "200"), ("content-type", "application/grpc")];
        fields.extend(further);
        let block = header_block(&fields);
        self.send(&frame(kind::HEADERS, flag::END_HEADERS, stream, &block))
    }

    /// Ends a stream with a status, and with the response's headers too if they were not sent.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn trailers(&mut self, stream: u32, status: u32) -> io::Result<()> {
        let status = status.to_string();
        let mut fields = vec![
            ("grpc-status", status.as_str()),
            ("grpc-message", "so be it"),
        ];
        if !self.streams.get(&stream).is_some_and(|s| s.answered) {
            let first = [(":status", "200"), ("content-type", "application/grpc")];
            fields.splice(0..0, first);
        }
        self.end(stream, &fields)
    }

    /// Ends a stream with these fields.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn end(&mut self, stream: u32, fields: &[(&str, &str)]) -> io::Result<()> {
        let block = header_block(fields);
        self.send(&frame(
            kind::HEADERS,
            flag::END_HEADERS | flag::END_STREAM,
            stream,
            &block,
        ))
    }

    /// Sends octets of a body, as the gateway makes room for them.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn data(&mut self, stream: u32, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            let room = self.window.min(self.room(stream)).min(FRAME as i64);
            let Ok(room @ 1..) = usize::try_from(room) else {
                self.read_frame()?;
                continue;
            };
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.send(&frame(kind::DATA, 0, stream, now))?;
            let sent = now.len() as i64;
            self.window -= sent;
            self.streams.entry(stream).or_default().window -= sent;
            rest = later;
        }
        Ok(())
    }

    /// Announces settings.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn settings(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        let pairs = settings.iter().flat_map(|(id, value)| {
            let mut pair = id.to_be_bytes().to_vec();
            pair.extend(value.to_be_bytes());
            pair
        });
        self.send(&frame(kind::SETTINGS, 0, 0, &pairs.collect::<Vec<u8>>()))
    }

    /// Gives up a stream.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn reset(&mut self, stream: u32, code: u32) -> io::Result<()> {
        self.send(&frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes()))
    }

    /// Gives up the connection; streams above `last` were not looked at.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn go_away(&mut self, last: u32, code: u32) -> io::Result<()> {
        let octets = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(&frame(kind::GOAWAY, 0, 0, &octets))
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.socket.write_all(octets)?;
        self.socket.flush()
    }

    /// The TCP connection.
    pub fn tcp(&self) -> &TcpStream {
        self.socket.tcp()
    }

    /// Reads and forgets what the gateway sends from now on, beside what the script does. Without TLS.
    ///
    /// # Errors
    /// When the socket cannot be shared.
    pub fn drain(&self) -> io::Result<()> {
        let mut socket = self.socket.tcp().try_clone()?;
        std::thread::spawn(move || io::copy(&mut socket, &mut io::sink()));
        Ok(())
    }

    /// Reads what the gateway sends until it closes; an error then.
    ///
    /// # Errors
    /// Always: that the connection has ended.
    pub fn until_closed(&mut self) -> io::Result<()> {
        io::copy(&mut self.socket, &mut io::sink())?;
        Err(io::Error::other("closed by the gateway"))
    }

    fn room(&self, stream: u32) -> i64 {
        let used = self.streams.get(&stream).map_or(0, |s| s.window);
        self.stream_window + used
    }

    fn read_frame(&mut self) -> io::Result<()> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head)?;
        let [a, b, c, kind, flags, s0, s1, s2, s3] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload)?;
        let number = |at: usize| {
            let octets = payload.get(at..at + 4).and_then(|o| o.try_into().ok());
            octets.map_or(0, u32::from_be_bytes)
        };
        match kind {
            kind::DATA => {
                let state = self.streams.entry(stream).or_default();
                state.received.extend(&payload);
                state.ended |= flags & flag::END_STREAM != 0;
                if !self.stingy && length > 0 {
                    let update = u32::try_from(length).unwrap_or_default().to_be_bytes();
                    self.send(&frame(kind::WINDOW_UPDATE, 0, 0, &update))?;
                    if self.stingy_on != Some(stream) {
                        self.send(&frame(kind::WINDOW_UPDATE, 0, stream, &update))?;
                    }
                }
                self.take_messages(stream);
            }
            kind::RST_STREAM => {
                self.streams.remove(&stream);
            }
            kind::SETTINGS if flags & flag::ACK == 0 => {
                for pair in payload.chunks_exact(6) {
                    if let [i0, i1, v0, v1, v2, v3] = *pair
                        && u16::from_be_bytes([i0, i1]) == setting::INITIAL_WINDOW_SIZE
                    {
                        self.stream_window = u32::from_be_bytes([v0, v1, v2, v3]).into();
                    }
                }
                self.send(&frame(kind::SETTINGS, flag::ACK, 0, &[]))?;
            }
            kind::PING if flags & flag::ACK == 0 => {
                self.send(&frame(kind::PING, flag::ACK, 0, &payload))?;
            }
            kind::WINDOW_UPDATE => {
                let more = i64::from(number(0));
                if stream == 0 {
                    self.window += more;
                } else {
                    self.streams.entry(stream).or_default().window += more;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes whole messages off a stream's buffer. What does not open an instance is a call of one message.
    fn take_messages(&mut self, stream: u32) {
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        while let Some(head) = state.received.first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some(octets) = state.received.get(5..5 + length) else {
                return;
            };
            let frame = v1::AttachRequest::decode(octets).ok();
            let opens = |f: &v1::AttachRequest| {
                matches!(
                    f.kind,
                    Some(FromGateway::OpenInstance(_) | FromGateway::SnapshotPart(_))
                )
            };
            state.attached |= frame.as_ref().is_some_and(opens);
            if state.attached {
                self.asked
                    .extend(frame.map(|frame| Asked { stream, frame }));
            } else if state.ended {
                self.unary.push_back((stream, length > 0));
            } else {
                return;
            }
            state.received.drain(..5 + length);
        }
    }
}
