//! The header that a proxy sends before anything else, so that the client behind it is known: the PROXY protocol,
//! versions 1 and 2.
//!
//! It is read to its last octet and no further: what follows is the client's, the first octet of TLS perhaps.

use std::io;
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What both versions have at least: the shortest line of version 1 is longer.
const FIRST: usize = v2::PROTOCOL_PREFIX.len();
/// The longest line of version 1, with its CRLF.
const LONGEST_LINE: usize = 107;
/// Octets of a header of version 2 before what its length counts.
const FIXED: usize = 16;
/// The longest header of version 2 that is read: addresses, and room for certificates' names and the like.
const LONGEST: usize = FIXED + 4096;

/// The two ends of a connection, as the proxy saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// The client.
    pub(super) source: SocketAddr,
    /// Where it connected to.
    pub(super) destination: SocketAddr,
}

/// Why a connection has no client that is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The connection ended, or failed.
    #[error("the connection ended before the header did: {0}")]
    Io(#[from] io::Error),
    /// Something else came.
    #[error("what came is no header of the PROXY protocol")]
    Missing,
    /// It has a form that no version has.
    #[error("the header of the PROXY protocol cannot be read: {0}")]
    Malformed(String),
    /// It is of another kind of connection than a client's.
    #[error("the header of the PROXY protocol tells of {0}, not of TCP")]
    Foreign(&'static str),
}

/// Reads the header. `None`: the connection is the proxy's own, such as a check of whether we live.
pub(super) async fn header(io: &mut (impl AsyncRead + Unpin)) -> Result<Option<Ends>, HeaderError> {
    let mut first = [0; FIRST];
    io.read_exact(&mut first).await?;
    if first == v2::PROTOCOL_PREFIX {
        return binary(io, &first).await;
    }
    if !first.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        return Err(HeaderError::Missing);
    }
    line(io, &first).await
}

async fn line(
    io: &mut (impl AsyncRead + Unpin),
    first: &[u8],
) -> Result<Option<Ends>, HeaderError> {
    let mut line = Vec::with_capacity(LONGEST_LINE);
    line.extend_from_slice(first);
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_LINE {
            return Err(HeaderError::Malformed("its line does not end".to_owned()));
        }
        line.push(io.read_u8().await?);
    }
    let header = v1::Header::try_from(line.as_slice())
        .map_err(|error| HeaderError::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(ip) => Some(Ends {
            source: (ip.source_address, ip.source_port).into(),
            destination: (ip.destination_address, ip.destination_port).into(),
        }),
        v1::Addresses::Tcp6(ip) => Some(Ends {
            source: (ip.source_address, ip.source_port).into(),
            destination: (ip.destination_address, ip.destination_port).into(),
        }),
        v1::Addresses::Unknown => None,
    })
}

async fn binary(
    io: &mut (impl AsyncRead + Unpin),
    first: &[u8],
) -> Result<Option<Ends>, HeaderError> {
    let mut whole = Vec::with_capacity(FIXED + 36);
    whole.extend_from_slice(first);
    whole.resize(FIXED, 0);
    io.read_exact(&mut whole[FIRST..]).await?;
    let length = FIXED + usize::from(u16::from_be_bytes([whole[FIXED - 2], whole[FIXED - 1]]));
    if length > LONGEST {
        return Err(HeaderError::Malformed(format!(
            "it has {length} octets, more than {LONGEST}"
        )));
    }
    whole.resize(length, 0);
    io.read_exact(&mut whole[FIXED..]).await?;
    let header = v2::Header::try_from(whole.as_slice())
        .map_err(|error| HeaderError::Malformed(error.to_string()))?;
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    if header.protocol != v2::Protocol::Stream {
        return Err(HeaderError::Foreign("datagrams"));
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => Ok(Some(Ends {
            source: (ip.source_address, ip.source_port).into(),
            destination: (ip.destination_address, ip.destination_port).into(),
        })),
        v2::Addresses::IPv6(ip) => Ok(Some(Ends {
            source: (ip.source_address, ip.source_port).into(),
            destination: (ip.destination_address, ip.destination_port).into(),
        })),
        v2::Addresses::Unix(_) => Err(HeaderError::Foreign("a Unix socket")),
        v2::Addresses::Unspecified => Err(HeaderError::Foreign("an unknown address")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// What it came to, and what is left for the session.
    fn read(mut octets: &[u8]) -> (Result<Option<Ends>, HeaderError>, &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let came_to = runtime.block_on(header(&mut octets));
        (came_to, octets)
    }

    fn ends(source: &str, destination: &str) -> Option<Ends> {
        Some(Ends {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut whole = v2::PROTOCOL_PREFIX.to_vec();
        whole.extend([command, family]);
        whole.extend((rest.len() as u16).to_be_bytes());
        whole.extend(rest);
        whole
    }

    #[test]
    fn b25_each_form_is_read_to_its_end() {
        for (line, expected) in [
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n",
                ends("192.0.2.7:40000", "198.51.100.1:25"),
            ),
            (
                "PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n",
                ends("[2001:db8::7]:40000", "[2001:db8::1]:25"),
            ),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN whatever the proxy says\r\n", None),
        ] {
            let whole = format!("{line}EHLO x\r\n");
            let (came_to, left) = read(whole.as_bytes());
            assert_eq!(came_to.unwrap(), expected, "{line}");
            assert_eq!(left, b"EHLO x\r\n");
        }
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25];
        let mut with_more = four.to_vec();
        // A type, a length, a value, that nobody asked for.
        with_more.extend([4, 0, 1, 42]);
        for rest in [&four[..], &with_more] {
            let mut whole = second(0x21, 0x11, rest);
            whole.extend(b"\x16\x03\x01");
            let (came_to, left) = read(&whole);
            assert_eq!(came_to.unwrap(), ends("192.0.2.7:40000", "198.51.100.1:25"));
            assert_eq!(left, b"\x16\x03\x01");
        }
        let (came_to, _) = read(&second(0x20, 0x00, &[]));
        assert_eq!(came_to.unwrap(), None, "a check of the proxy's own");
    }

    #[test]
    fn b25_what_is_no_header_is_refused() {
        for octets in [
            &b"EHLO client.example.test\r\n"[..],
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n",
            b"PROXY TCP4 192.0.2.300 198.51.100.1 40000 25\r\n",
            b"PROXY TCP4 2001:db8::7 198.51.100.1 40000 25\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 400000 25\r\n",
            b"PROXY",
            &[b"PROXY TCP4 ".as_slice(), &[b'x'; 200]].concat(),
            &second(0x21, 0x11, &[192, 0, 2, 7]),
            &second(0x31, 0x11, &[0; 12]),
            &second(0x21, 0x12, &[0; 12]),
            &second(0x21, 0x31, &[0; 216]),
            &second(0x21, 0x00, &[]),
            &second(0x21, 0x11, &[0; 5000]),
        ] {
            let (came_to, _) = read(octets);
            assert!(came_to.is_err(), "{}", octets.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn b25_anything_is_read_or_refused(mut octets in proptest::collection::vec(any::<u8>(), 0..300), form in 0..3) {
            let mut whole = match form {
                0 => Vec::new(),
                1 => b"PROXY TCP4 ".to_vec(),
                _ => v2::PROTOCOL_PREFIX.to_vec(),
            };
            whole.append(&mut octets);
            let (came_to, left) = read(&whole);
            prop_assert!(came_to.is_err() || left.len() < whole.len());
        }
    }
}
