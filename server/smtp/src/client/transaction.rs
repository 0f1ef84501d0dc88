//! One message for one next hop: its envelope as this hop gets it, and the command lines made from it.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::capabilities::Capabilities;

/// The envelope of a transaction, and what is known of the content before it is sent.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The reverse path without angle brackets; empty for the null path.
    pub sender: Bytes,
    /// In the order of their RCPT commands. Not empty.
    pub recipients: Vec<Recipient>,
    /// Octets of the content, exactly.
    pub size: u64,
    /// What the content may hold.
    pub body: Body,
    /// The message is internationalized: it goes only to a peer with SMTPUTF8 (RFC 6531 3.6).
    pub smtp_utf8: bool,
    /// RET, sent if the peer offers DSN.
    pub ret: Option<Ret>,
    /// ENVID as xtext, sent if the peer offers DSN.
    pub envelope_id: Option<Bytes>,
    /// -9 to 9, 0 is normal: MT-PRIORITY, said where the peer offers it.
    pub priority: i8,
}

/// A recipient of a transaction.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The forward path without angle brackets.
    pub address: Bytes,
    /// The value of NOTIFY, sent if the peer offers DSN.
    pub notify: Option<Bytes>,
    /// The value of ORCPT, `type;xtext`, sent if the peer offers DSN.
    pub original: Option<Bytes>,
}

impl Recipient {
    /// A recipient without DSN parameters.
    pub fn new(address: impl Into<Bytes>) -> Self {
        Self {
            address: address.into(),
            notify: None,
            original: None,
        }
    }
}

/// What octets the content may hold: `BODY=` of RFC 6152 and RFC 3030.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing was declared.
    SevenBit,
    /// Octets above 127 in lines.
    EightBitMime,
    /// Any octet, lines or not.
    BinaryMime,
}

/// How much of the message a report should return (RFC 3461 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header section.
    Headers,
}

/// Why a message cannot go to this peer at all. Nothing of it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Obstacle {
    /// Internationalized, and the peer does not offer SMTPUTF8 (5.6.7).
    #[error("the message needs SMTPUTF8, which the next hop does not offer")]
    NeedsSmtpUtf8,
    /// 8-bit content, and the peer does not offer 8BITMIME (5.6.3).
    #[error("the message needs 8BITMIME, which the next hop does not offer")]
    NeedsEightBitMime,
    /// Binary content, and the peer does not offer BINARYMIME and CHUNKING (5.6.3).
    #[error("the message needs BINARYMIME, which the next hop does not offer")]
    NeedsBinaryMime,
    /// Larger than the peer's SIZE (5.3.4).
    #[error("the message has {size} octets, and the next hop takes {limit}")]
    TooLarge {
        /// Octets of the message.
        size: u64,
        /// What the peer said.
        limit: u64,
    },
    /// The envelope holds an octet that must not be in a command, or a line that would be too long (5.1.3). Parsers let
    /// nothing of the kind in; this is the last guard against injection.
    #[error("an address or parameter of the envelope cannot be sent in a command")]
    Unsendable,
}

impl Obstacle {
    /// The enhanced status code for a report: subject and detail; the class is 5.
    pub fn status(&self) -> (u16, u16) {
        match self {
            Self::NeedsSmtpUtf8 => (6, 7),
            Self::NeedsEightBitMime | Self::NeedsBinaryMime => (6, 3),
            Self::TooLarge { .. } => (3, 4),
            Self::Unsendable => (1, 3),
        }
    }
}

/// The longest command line that is sent, with its CRLF: 512 and what SIZE, BODY, SMTPUTF8 and DSN add, rounded up for
/// long addresses.
const LINE_MAX: usize = 2048;

impl Transaction {
    /// Declares the content as what the peer takes: one that takes any octets takes lines of text with octets above 127 too,
    /// whether or not it offers 8BITMIME.
    pub(super) fn suit(&mut self, peer: &Capabilities) {
        let binary = peer.binary_mime && peer.chunking;
        if self.body == Body::EightBitMime && !peer.eight_bit_mime && binary {
            self.body = Body::BinaryMime;
        }
    }

    /// What stands between this message and a peer.
    pub(super) fn obstacle(&self, peer: &Capabilities) -> Option<Obstacle> {
        if self.smtp_utf8 && !peer.smtp_utf8 {
            return Some(Obstacle::NeedsSmtpUtf8);
        }
        match self.body {
            Body::EightBitMime if !peer.eight_bit_mime => return Some(Obstacle::NeedsEightBitMime),
            Body::BinaryMime if !(peer.binary_mime && peer.chunking) => {
                return Some(Obstacle::NeedsBinaryMime);
            }
            _ => {}
        }
        match peer.size_limit {
            Some(limit) if self.size > limit => Some(Obstacle::TooLarge {
                size: self.size,
                limit,
            }),
            _ => None,
        }
    }

    /// MAIL with the parameters that the peer knows.
    pub(super) fn mail_line(&self, peer: &Capabilities) -> Result<Bytes, Obstacle> {
        let mut line = path_command(b"MAIL FROM:<", &self.sender, self.smtp_utf8)?;
        if peer.size {
            line.put_slice(format!(" SIZE={}", self.size).as_bytes());
        }
        match self.body {
            Body::SevenBit => {}
            Body::EightBitMime => line.put_slice(b" BODY=8BITMIME"),
            Body::BinaryMime => line.put_slice(b" BODY=BINARYMIME"),
        }
        if self.smtp_utf8 {
            line.put_slice(b" SMTPUTF8");
        }
        // What is normal needs no word.
        if peer.mt_priority && self.priority != 0 {
            line.put_slice(format!(" MT-PRIORITY={}", self.priority).as_bytes());
        }
        if peer.dsn {
            match self.ret {
                Some(Ret::Full) => line.put_slice(b" RET=FULL"),
                Some(Ret::Headers) => line.put_slice(b" RET=HDRS"),
                None => {}
            }
            parameter(&mut line, b" ENVID=", self.envelope_id.as_ref(), false)?;
        }
        end_line(line)
    }

    /// RCPT of one recipient.
    pub(super) fn rcpt_line(
        &self,
        recipient: &Recipient,
        peer: &Capabilities,
    ) -> Result<Bytes, Obstacle> {
        let mut line = path_command(b"RCPT TO:<", &recipient.address, self.smtp_utf8)?;
        if recipient.address.is_empty() {
            return Err(Obstacle::Unsendable);
        }
        if peer.dsn {
            parameter(&mut line, b" NOTIFY=", recipient.notify.as_ref(), false)?;
            let utf8 = self.smtp_utf8;
            parameter(&mut line, b" ORCPT=", recipient.original.as_ref(), utf8)?;
        }
        end_line(line)
    }
}

fn path_command(start: &[u8], path: &[u8], utf8: bool) -> Result<BytesMut, Obstacle> {
    // Angle brackets can stand in a quoted local part, blanks too; line ends and other controls nowhere.
    let sendable = |&octet: &u8| matches!(octet, b' '..=b'~') || (utf8 && octet >= 0x80);
    if !path.iter().all(sendable) || (utf8 && std::str::from_utf8(path).is_err()) {
        return Err(Obstacle::Unsendable);
    }
    let mut line = BytesMut::with_capacity(start.len() + path.len() + 64);
    line.put_slice(start);
    line.put_slice(path);
    line.put_u8(b'>');
    Ok(line)
}

fn parameter(
    line: &mut BytesMut,
    keyword: &[u8],
    value: Option<&Bytes>,
    utf8: bool,
) -> Result<(), Obstacle> {
    let Some(value) = value else { return Ok(()) };
    let sendable = |&octet: &u8| matches!(octet, b'!'..=b'~') || (utf8 && octet >= 0x80);
    if value.is_empty() || !value.iter().all(sendable) {
        return Err(Obstacle::Unsendable);
    }
    line.put_slice(keyword);
    line.put_slice(value);
    Ok(())
}

fn end_line(mut line: BytesMut) -> Result<Bytes, Obstacle> {
    line.put_slice(b"\r\n");
    if line.len() > LINE_MAX {
        return Err(Obstacle::Unsendable);
    }
    Ok(line.freeze())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message() -> Transaction {
        Transaction {
            sender: Bytes::from_static(b"a@example.test"),
            recipients: vec![],
            size: 42,
            body: Body::EightBitMime,
            smtp_utf8: false,
            ret: Some(Ret::Headers),
            envelope_id: Some(Bytes::from_static(b"id+2B1")),
            priority: -4,
        }
    }

    #[test]
    fn only_offered_parameters_are_sent() {
        let plain = Capabilities {
            eight_bit_mime: true,
            ..Capabilities::default()
        };
        assert_eq!(
            message().mail_line(&plain).unwrap(),
            "MAIL FROM:<a@example.test> BODY=8BITMIME\r\n"
        );
        let all = Capabilities {
            size: true,
            dsn: true,
            ..plain
        };
        assert_eq!(
            message().mail_line(&all).unwrap(),
            "MAIL FROM:<a@example.test> SIZE=42 BODY=8BITMIME RET=HDRS ENVID=id+2B1\r\n"
        );
        let urgent = Capabilities {
            mt_priority: true,
            ..Capabilities::default()
        };
        for (priority, said) in [(-9, " MT-PRIORITY=-9"), (0, ""), (9, " MT-PRIORITY=9")] {
            let message = Transaction {
                priority,
                body: Body::SevenBit,
                ..message()
            };
            assert_eq!(
                message.mail_line(&urgent).unwrap(),
                format!("MAIL FROM:<a@example.test>{said}\r\n")
            );
        }
    }

    #[test]
    fn injection_is_refused_by_the_encoder() {
        let peer = Capabilities {
            dsn: true,
            ..Capabilities::default()
        };
        for bad in ["a@b\r\nRCPT TO:<c@d>", "a\n@b", "a\0@b", "\u{e9}@b", ""] {
            let recipient = Recipient::new(bad.to_owned());
            let line = message().rcpt_line(&recipient, &peer);
            assert_eq!(line.unwrap_err(), Obstacle::Unsendable, "{bad:?}");
        }
        let mut recipient = Recipient::new("a@b");
        recipient.original = Some(Bytes::from_static(b"rfc822;a b"));
        assert!(message().rcpt_line(&recipient, &peer).is_err());
    }

    #[test]
    fn obstacles_have_their_status() {
        let mut message = message();
        let mut peer = Capabilities::default();
        assert_eq!(message.obstacle(&peer), Some(Obstacle::NeedsEightBitMime));
        message.body = Body::BinaryMime;
        peer.binary_mime = true;
        assert_eq!(message.obstacle(&peer), Some(Obstacle::NeedsBinaryMime));
        peer.chunking = true;
        peer.size_limit = Some(41);
        assert_eq!(message.obstacle(&peer).unwrap().status(), (3, 4));
        message.smtp_utf8 = true;
        assert_eq!(message.obstacle(&peer).unwrap().status(), (6, 7));
    }
}
