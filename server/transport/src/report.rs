//! Delivery status notifications: what the sender is told when mail cannot be delivered, or not yet (RFC 3464, RFC 6522).
//!
//! A report is made in memory, so all that goes into it is bounded. Everything that strangers said (replies of next
//! hops, header fields of the message) is escaped or encoded before it stands in a report.

use std::collections::HashSet;
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use postern_message::{Message, MessageId, Recipient, Status};
use postern_smtp::address::ForwardPath;

use super::encoding::{decode_xtext, quoted_printable, shown, utf8_xtext};

/// Most octets of the header section that are returned.
pub(crate) const RETURNED_HEADERS: usize = 16 * 1024;
/// Messages up to this size are returned whole where `RET=FULL` asks for it; of others the header section.
pub(crate) const RETURNED_MESSAGE: u64 = 64 * 1024;

/// Recipients that a report names, and octets that it says about them. A message with many recipients must not make a report
/// many times its size to whoever is named as its sender.
const NAMED: usize = 100;
const SAID: usize = 32 * 1024;

/// What a report says.
pub(crate) struct Report<'a> {
    /// The id of the report as a message.
    pub(crate) id: MessageId,
    /// The host that reports.
    pub(crate) hostname: &'a str,
    /// The message that could not be delivered.
    pub(crate) message: &'a Message,
    /// What became of it.
    pub(crate) kind: Kind,
    /// Whom it did not reach. Not empty.
    pub(crate) recipients: Vec<Told<'a>>,
    /// What of it is returned.
    pub(crate) returned: Returned,
    /// When the report is made.
    pub(crate) now: SystemTime,
}

/// What became of a message for all recipients of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is given up.
    Failed,
    /// It still waits.
    Delayed,
}

/// A recipient that the message did not reach.
pub(crate) struct Told<'a> {
    pub(crate) recipient: &'a Recipient,
    pub(crate) status: &'a Status,
    /// Its time was over, where otherwise it was refused.
    pub(crate) expired: bool,
    /// Until when it is tried again, if it is.
    pub(crate) until: Option<SystemTime>,
}

/// What of the message goes back with the report.
pub(crate) enum Returned {
    /// Its header section, or the beginning of it.
    Headers(Bytes),
    /// All of it: lines with CRLF, none of them binary.
    Message(Bytes),
}

/// A report as a message.
pub(crate) struct Built {
    pub(crate) content: Bytes,
    /// It has octets above 127.
    pub(crate) eight_bit: bool,
    /// It has addresses that only SMTPUTF8 can carry (RFC 6533).
    pub(crate) smtp_utf8: bool,
}

impl Report<'_> {
    /// Writes the report.
    pub(crate) fn build(&self) -> Built {
        let utf8 = self.needs_utf8();
        let boundary = format!("=_{}", self.id);
        let mut text = self.header(&boundary);
        let (named, more) = self.named(utf8);
        for part in [
            self.explanation(&named, more, utf8),
            self.statuses(&named, more, utf8),
        ] {
            text += &format!("--{boundary}\r\n{part}\r\n");
        }
        text += &format!("--{boundary}\r\n");
        let mut content = text.into_bytes();
        self.append_returned(utf8, &mut content);
        content.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Built {
            eight_bit: !content.is_ascii(),
            smtp_utf8: utf8,
            content: content.into(),
        }
    }

    /// Whether its own way has to be one with SMTPUTF8: the address that it goes to needs it. To everybody else it goes in
    /// seven bits, whatever it tells of, since nobody knows what its way takes (RFC 6533 3, 4).
    fn needs_utf8(&self) -> bool {
        !self.message.envelope.sender.is_ascii()
    }

    /// What is said of each recipient that is named, each once, and how many more there are.
    fn named(&self, utf8: bool) -> (Vec<Said>, usize) {
        let mut seen = HashSet::new();
        let mut told = Vec::with_capacity(self.recipients.len());
        for one in &self.recipients {
            if seen.insert(one.name()) {
                told.push(one);
            }
        }
        let mut named: Vec<Said> = Vec::new();
        let mut octets = 0;
        for one in told.iter().take(NAMED) {
            let said = one.said(self.kind, utf8);
            octets += said.text.len() + said.fields.len();
            if octets > SAID && !named.is_empty() {
                break;
            }
            named.push(said);
        }
        let more = told.len() - named.len();
        (named, more)
    }

    fn header(&self, boundary: &str) -> String {
        let Self {
            hostname,
            id,
            message,
            ..
        } = self;
        let subject = match self.kind {
            Kind::Failed => "Mail could not be delivered",
            Kind::Delayed => "Mail is delayed",
        };
        let sender = message.envelope.sender.to_string();
        let date = date(self.now);
        format!(
            "Date: {date}\r\n\
             From: Mail Delivery System <MAILER-DAEMON@{hostname}>\r\n\
             To: {sender}\r\n\
             Subject: {subject}\r\n\
             Message-ID: <{id}@{hostname}>\r\n\
             Auto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\
             \r\n\
             This is a delivery status notification in MIME format.\r\n"
        )
    }

    /// The part for people.
    fn explanation(&self, named: &[Said], more: usize, utf8: bool) -> String {
        let received = date(self.message.received_at);
        let mut text = match self.kind {
            Kind::Failed => format!(
                "The mail system at {} could not deliver your message of\r\n\
                 {received} to these recipients:\r\n",
                self.hostname,
            ),
            Kind::Delayed => format!(
                "This is only a warning. You need not send your message again.\r\n\r\n\
                 The mail system at {} could not yet deliver your message of\r\n\
                 {received} to these recipients:\r\n",
                self.hostname,
            ),
        };
        named.iter().for_each(|said| text.push_str(&said.text));
        if more > 0 {
            text += &format!("\r\nand to {more} more.\r\n");
        }
        text += &match self.kind {
            Kind::Failed => "\r\nNo further attempt will be made.".to_owned(),
            Kind::Delayed => {
                let ends = self.recipients.iter().filter_map(|one| one.until);
                let until = ends.max().map(date).unwrap_or_default();
                format!(
                    "\r\nIt will be tried again until {until}.\r\n\
                     If that does not help you will be told."
                )
            }
        };
        text += &format!(
            " The message has the id\r\n{} at {}.\r\n",
            self.message.id, self.hostname
        );
        let (charset, encoding) = match (utf8, text.is_ascii()) {
            (true, _) => ("utf-8", "8bit"),
            (false, true) => ("us-ascii", "7bit"),
            (false, false) => ("utf-8", "quoted-printable"),
        };
        if encoding == "quoted-printable" {
            text = String::from_utf8_lossy(&quoted_printable(text.as_bytes())).into_owned();
        }
        format!(
            "Content-Type: text/plain; charset={charset}\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\
             Content-Description: Notification\r\n\r\n{text}"
        )
    }

    /// The part for programs.
    fn statuses(&self, named: &[Said], more: usize, utf8: bool) -> String {
        let kind = if utf8 {
            "global-delivery-status"
        } else {
            "delivery-status"
        };
        let mut text = format!("Content-Type: message/{kind}\r\n");
        if utf8 {
            text.push_str("Content-Transfer-Encoding: 8bit\r\n");
        }
        text += &format!(
            "Content-Description: Delivery report\r\n\r\nReporting-MTA: dns; {}\r\n",
            self.hostname
        );
        let envid = self
            .message
            .envelope
            .envid
            .as_deref()
            .and_then(decode_xtext);
        if let Some(envid) = envid.filter(|envid| envid.is_ascii()) {
            text += &format!("Original-Envelope-Id: {envid}\r\n");
        }
        text += &format!("Arrival-Date: {}\r\n", date(self.message.received_at));
        if more > 0 {
            text += &format!("X-Postern-More-Recipients: {more}\r\n");
        }
        for said in named {
            text.push_str("\r\n");
            text.push_str(&said.fields);
        }
        text
    }

    fn append_returned(&self, utf8: bool, content: &mut Vec<u8>) {
        let (kind, encoding, body): (_, _, Vec<u8>) = match &self.returned {
            Returned::Message(message) => {
                let kind = if utf8 {
                    "message/global"
                } else {
                    "message/rfc822"
                };
                let encoding = if message.is_ascii() { "7bit" } else { "8bit" };
                (kind, encoding, message.to_vec())
            }
            Returned::Headers(headers) if utf8 && is_plain(headers) => {
                ("message/global-headers", "8bit", headers.to_vec())
            }
            Returned::Headers(headers) if headers.is_ascii() && is_plain(headers) => {
                ("text/rfc822-headers", "7bit", headers.to_vec())
            }
            Returned::Headers(headers) => (
                "text/rfc822-headers",
                "quoted-printable",
                quoted_printable(headers),
            ),
        };
        let what = match self.kind {
            Kind::Failed => "Undelivered message",
            Kind::Delayed => "Delayed message",
        };
        let head = format!(
            "Content-Type: {kind}\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\
             Content-Description: {what}\r\n\r\n"
        );
        content.extend_from_slice(head.as_bytes());
        content.extend_from_slice(&body);
    }
}

/// What is said of a recipient, to people and to programs.
struct Said {
    text: String,
    fields: String,
}

impl Told<'_> {
    /// The address that the sender used. What a sink has made of it is nobody's business out there.
    fn name(&self) -> &str {
        match self.recipient.given_address() {
            ForwardPath::Postmaster => "Postmaster",
            ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
        }
    }

    fn said(&self, kind: Kind, utf8: bool) -> Said {
        let why = match (&self.status.remote, self.expired) {
            (_, true) => {
                "It could not be delivered in time. The last attempt ended with:".to_owned()
            }
            (Some(host), false) => format!("{} said:", shown(host, 255)),
            (None, false) if kind == Kind::Failed => "It was refused:".to_owned(),
            (None, false) => "The last attempt ended with:".to_owned(),
        };
        let name = match self.recipient.given_address() {
            ForwardPath::Postmaster => "<Postmaster>".to_owned(),
            ForwardPath::Mailbox(mailbox) => format!("<{mailbox}>"),
        };
        let said = fold(&self.diagnostic(), "    ");
        Said {
            text: format!("\r\n{name}\r\n{}\r\n{said}\r\n", fold(&why, "  ")),
            fields: self.fields(kind, utf8),
        }
    }

    /// Reply code and text on one line, escaped and bounded. A text that names what the address was rewritten to is left out.
    fn diagnostic(&self) -> String {
        let text = match self.names_another() {
            false => shown(&self.status.text, 1000),
            true => "the text of this reply is left out".to_owned(),
        };
        match self.status.code {
            Some(code) => format!("{code} {text}"),
            None => text,
        }
    }

    fn names_another(&self) -> bool {
        let Self {
            recipient, status, ..
        } = self;
        let rewritten = recipient.given_address() != &recipient.address;
        let local = recipient
            .address
            .mailbox()
            .map(|mailbox| mailbox.unquoted_local_part().to_ascii_lowercase());
        let text = status.text.to_ascii_lowercase();
        rewritten && local.is_some_and(|local| text.contains(&local))
    }

    /// The fields of one recipient (RFC 3464 2.3).
    fn fields(&self, became: Kind, utf8: bool) -> String {
        let mut text = String::new();
        let Self {
            recipient, status, ..
        } = self;
        if let Some(original) = recipient.orcpt.as_deref().and_then(original_recipient) {
            text += &format!(
                "{}\r\n",
                fold(&format!("Original-Recipient: {original}"), "")
            );
        }
        let name = self.name();
        let (kind, address) = match (name.is_ascii(), utf8) {
            (true, _) => ("rfc822", name.to_owned()),
            (false, true) => ("utf-8", name.to_owned()),
            (false, false) => ("utf-8", utf8_xtext(name)),
        };
        let action = match became {
            Kind::Failed => "failed",
            Kind::Delayed => "delayed",
        };
        text += &format!("Final-Recipient: {kind}; {address}\r\nAction: {action}\r\n");
        text += &format!("Status: {}\r\n", self.status_code(became));
        if let Some(host) = &status.remote {
            text += &format!("Remote-MTA: dns; {}\r\n", shown(host, 255));
        }
        let kind = if status.code.is_some() && status.remote.is_some() {
            "smtp"
        } else {
            "x-postern"
        };
        let line = format!("Diagnostic-Code: {kind}; {}", self.diagnostic());
        text += &format!("{}\r\n", fold(&line, ""));
        text += &format!("Last-Attempt-Date: {}\r\n", date(status.at));
        if let Some(until) = self.until {
            text += &format!("Will-Retry-Until: {}\r\n", date(until));
        }
        text
    }

    /// Of class 5 where `Action: failed` says that this is final, and of class 4 where it is not.
    fn status_code(&self, became: Kind) -> String {
        match (became, self.status.enhanced) {
            (Kind::Delayed, Some((_, subject, detail))) => format!("4.{subject}.{detail}"),
            (Kind::Delayed, None) => "4.0.0".to_owned(),
            (Kind::Failed, Some((5, subject, detail))) if !self.expired => {
                format!("5.{subject}.{detail}")
            }
            (Kind::Failed, _) if self.expired => "5.4.7".to_owned(),
            (Kind::Failed, _) => "5.0.0".to_owned(),
        }
    }
}

/// `type;xtext` of ORCPT as a field's value.
fn original_recipient(orcpt: &[u8]) -> Option<String> {
    let at = orcpt.iter().position(|&octet| octet == b';')?;
    let (kind, address) = (orcpt.get(..at)?, orcpt.get(at + 1..)?);
    let kind = std::str::from_utf8(kind).ok()?;
    let address = decode_xtext(address).filter(|address| address.is_ascii())?;
    let atom = !kind.is_empty() && kind.bytes().all(|o| o.is_ascii_alphanumeric() || o == b'-');
    atom.then(|| format!("{kind};{address}"))
}

/// Breaks a line at blanks so that no line is longer than 78 octets where that is possible, and none longer than 900.
/// Every line begins with `indent`; those after the first with a blank more, so that it can be a header field.
fn fold(line: &str, indent: &str) -> String {
    let mut folded = indent.to_owned();
    let mut length = indent.len();
    let mut first = true;
    for word in line.split_ascii_whitespace() {
        for piece in pieces(word) {
            if !first && length + 1 + piece.len() > 78 {
                folded.push_str("\r\n");
                folded.push_str(indent);
                folded.push(' ');
                length = indent.len() + 1;
            } else if !first {
                folded.push(' ');
                length += 1;
            }
            folded.push_str(piece);
            length += piece.len();
            first = false;
        }
    }
    folded
}

/// A word in pieces of at most 900 octets.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut left = Some(word);
    std::iter::from_fn(move || {
        let word = left?;
        let mut end = word.len().min(900);
        while !word.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = word.split_at(end);
        left = (!rest.is_empty()).then_some(rest);
        Some(piece)
    })
}

/// Lines of at most 998 octets that end with CRLF, and no NUL: fit to be sent without an encoding.
pub(crate) fn is_plain(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some(end) = rest
        .iter()
        .position(|&octet| matches!(octet, b'\r' | b'\n'))
    {
        if end > 998
            || !rest
                .get(end..)
                .is_some_and(|tail| tail.starts_with(b"\r\n"))
        {
            return false;
        }
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    rest.len() <= 998 && !octets.contains(&0)
}

pub(crate) fn date(at: SystemTime) -> String {
    let timestamp = Timestamp::try_from(at).unwrap_or_default();
    let zoned = timestamp.to_zoned(jiff::tz::TimeZone::UTC);
    DateTimePrinter::new()
        .zoned_to_string(&zoned)
        .unwrap_or_default()
}
