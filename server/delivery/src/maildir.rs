//! Delivery into Maildirs.
//!
//! A message is written to `tmp`, synced, renamed into `new`, and the folder synced: a reader sees it whole or not at all,
//! and once it is reported as delivered it survives a crash. The file's name follows from message and recipient, so that a
//! delivery whose record was lost with the process is recognised and not made again. Lines end with LF or, as
//! they came, with CRLF; otherwise octets are those of the message. Before them stand `Return-Path` and `Delivered-To`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use postern_message::folder::Folders;
use postern_message::{MessageId, RecipientId};
use postern_smtp::address::{ForwardPath, ReversePath};
use tokio::sync::mpsc;

use super::content::ContentReader;
use super::destination::LineEnds;
use super::folders::{Folder, Place};

/// Pieces of content between the reader and the writing thread.
const PIECES: usize = 4;

/// What a delivery is told apart by. Two with the same are the same delivery: the second finds what the first left.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    /// The message.
    pub message: MessageId,
    /// The recipient.
    pub recipient: RecipientId,
    /// When the message was received.
    pub received_at: SystemTime,
    /// The delivery may have been made before, and its record lost with the process.
    pub again: bool,
}

/// Maildirs by a path in which `{user}` and `{domain}` stand for those of the recipient.
#[derive(Debug, Clone)]
pub struct Maildir {
    folders: Folders,
    /// Components of the template before the first placeholder.
    own: usize,
    hostname: Arc<str>,
    create: bool,
    line_ends: LineEnds,
}

/// Why a message is not in its Maildir.
#[derive(Debug, thiserror::Error)]
pub enum MaildirError {
    /// The address cannot be a part of a path.
    #[error("there is no mailbox for this address")]
    Address,
    /// There is none, and none is made.
    #[error("there is no mailbox for this address")]
    Absent,
    /// The content could not be read from the spool.
    #[error("the message could not be read: {0}")]
    Content(io::Error),
    /// No room in the mailbox or on its disk.
    #[error("no room in the mailbox")]
    Full,
    /// Another failure of the file system. The path stays in the log, since the text may reach the sender.
    #[error("the mailbox could not be written: {}", .0.kind())]
    Write(io::Error),
}

impl MaildirError {
    /// Another attempt would end the same way.
    pub fn is_permanent(&self) -> bool {
        // One that is absent was there when its mail was accepted: what holds it may be back in a moment.
        matches!(self, Self::Address)
    }

    /// Whoever looks after the mailboxes has to do something about it.
    fn is_of_the_mailbox(&self) -> bool {
        matches!(self, Self::Absent | Self::Full | Self::Write(_))
    }

    /// Subject and detail of the enhanced status code.
    pub fn status(&self) -> (u16, u16) {
        match self {
            Self::Address | Self::Absent => (1, 1),
            Self::Content(_) => (3, 0),
            Self::Full => (2, 2),
            Self::Write(_) => (3, 0),
        }
    }
}

impl From<io::Error> for MaildirError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Write(error),
        }
    }
}

impl Maildir {
    /// Maildirs at `template`. `hostname` becomes part of file names.
    pub fn new(template: PathBuf, hostname: &str) -> Self {
        // As the Maildir convention has it: these two would be read as a path and as a flag.
        let hostname = hostname.replace('/', "\\057").replace(':', "\\072");
        Self {
            own: own_components(&template),
            folders: Folders::new(template),
            hostname: hostname.into(),
            create: true,
            line_ends: LineEnds::default(),
        }
    }

    /// Whether a mailbox is made that is not there. That of the postmaster always is.
    #[must_use]
    pub fn creating(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How lines end in the files.
    #[must_use]
    pub fn ending_lines_with(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Delivers a message to one recipient, once. Returns the file's name.
    ///
    /// # Errors
    /// [`MaildirError`]; nothing is left behind then, but for what a full disk does not let us remove.
    pub async fn deliver(
        &self,
        sender: &ReversePath,
        recipient: &ForwardPath,
        occasion: Occasion,
        content: ContentReader,
    ) -> Result<String, MaildirError> {
        let delivered = self.put(sender, recipient, &occasion, content).await;
        if let Err(error) = &delivered
            && error.is_of_the_mailbox()
        {
            let cause: &dyn std::fmt::Display = match error {
                MaildirError::Write(cause) => cause,
                error => error,
            };
            // The path itself has the address in it, which the log may not show. Who it was is told with the result.
            let maildir = self.folders.template().display();
            tracing::error!(id = %occasion.message, %maildir, error = %cause, "maildir cannot be written");
        }
        delivered
    }

    async fn put(
        &self,
        sender: &ReversePath,
        recipient: &ForwardPath,
        occasion: &Occasion,
        mut content: ContentReader,
    ) -> Result<String, MaildirError> {
        let folder = self.folder(recipient).ok_or(MaildirError::Address)?;
        let place = Place::new(&folder, self.own).ok_or(MaildirError::Address)?;
        let head = format!(
            "Return-Path: {sender}\r\nDelivered-To: {}\r\n",
            bare(recipient)
        );
        let line_ends = self.line_ends;
        let name = self.file_name(occasion);
        if occasion.again && is_there(&place, &name).await? {
            return Ok(name);
        }
        let create = self.create || recipient.key(true).local() == "postmaster";
        if !create && !is_made(&place).await? {
            return Err(MaildirError::Absent);
        }
        let (pieces, receiver) = mpsc::channel(PIECES);
        let file = name.clone();
        let writer = tokio::task::spawn_blocking(move || {
            write(&place, &file, head.into(), receiver, line_ends)
        });
        let read = feed(&mut content, pieces).await;
        let written = writer
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        // A reader that failed is why the writer did not finish.
        read.map_err(MaildirError::Content)?;
        written?;
        Ok(name)
    }

    /// The Maildir of a recipient; `None` if its address cannot be part of a path.
    pub fn folder(&self, recipient: &ForwardPath) -> Option<PathBuf> {
        self.folders.of(recipient)
    }

    /// Unique on every host and for all time, and the same whenever this delivery is tried: the seconds are for people, the
    /// ids are what counts.
    fn file_name(&self, occasion: &Occasion) -> String {
        let seconds = occasion
            .received_at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        let id = |octets: &[u8; 16]| u128::from_be_bytes(*octets);
        format!(
            "{seconds}.M{:032x}R{:032x}.{}",
            id(occasion.message.as_bytes()),
            id(occasion.recipient.as_bytes()),
            self.hostname
        )
    }
}

async fn is_made(place: &Place) -> Result<bool, MaildirError> {
    let place = place.clone();
    let looked = tokio::task::spawn_blocking(move || place.open().map(|there| there.is_some()));
    let looked = looked.await;
    Ok(looked.unwrap_or_else(|error| Err(io::Error::other(error)))?)
}

/// Whether a delivery of this name was made: the file may still be new, or a reader has taken it into `cur` and put its flags
/// behind the name.
async fn is_there(place: &Place, name: &str) -> Result<bool, MaildirError> {
    let (place, name) = (place.clone(), name.to_owned());
    let look = move || -> io::Result<bool> {
        let Some(folder) = place.open()? else {
            return Ok(false);
        };
        let new = folder.make_inner("new")?;
        if new.has(&name)? {
            // It may have been renamed, and the folder not been synced.
            new.sync()?;
            return Ok(true);
        }
        folder.make_inner("cur")?.has_one(|entry| {
            let rest = entry.strip_prefix(&*name);
            rest.is_some_and(|flags| flags.is_empty() || flags.starts_with(':'))
        })
    };
    let looked = tokio::task::spawn_blocking(look).await;
    Ok(looked.unwrap_or_else(|error| Err(io::Error::other(error)))?)
}

/// How many components of a template stand before the first placeholder.
fn own_components(template: &Path) -> usize {
    let fixed = |component: &std::path::Component<'_>| {
        let text = component.as_os_str().to_string_lossy();
        !text.contains(['{', '}'])
    };
    template.components().take_while(fixed).count()
}

fn bare(recipient: &ForwardPath) -> &str {
    match recipient {
        ForwardPath::Postmaster => "postmaster",
        ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
    }
}

/// Gives the content to the writing thread, and the end as an empty piece: a sender that merely goes away must not leave
/// half a message that looks like a whole one. If the writer has given up, its own error is what counts.
async fn feed(content: &mut ContentReader, pieces: mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let piece = content.next().await?.unwrap_or_default();
        let end = piece.is_empty();
        if pieces.send(piece).await.is_err() || end {
            return Ok(());
        }
    }
}

fn write(
    place: &Place,
    name: &str,
    head: Bytes,
    mut pieces: mpsc::Receiver<Bytes>,
    line_ends: LineEnds,
) -> io::Result<()> {
    let folder = place.make()?;
    let [temporary, new, _] = ["tmp", "new", "cur"].map(|part| folder.make_inner(part));
    let (temporary, new) = (temporary?, new?);
    let result = write_file(&temporary, name, &head, &mut pieces, line_ends).and_then(|()| {
        temporary.move_to(name, &new)?;
        new.sync()
    });
    if result.is_err()
        && let Err(error) = temporary.remove(name)
    {
        tracing::warn!(file = name, %error, "cannot be removed from tmp");
    }
    result
}

fn write_file(
    folder: &Folder,
    name: &str,
    head: &[u8],
    pieces: &mut mpsc::Receiver<Bytes>,
    line_ends: LineEnds,
) -> io::Result<()> {
    let mut file = folder.create(name)?;
    let mut small = io::BufWriter::with_capacity(64 * 1024, &mut file);
    let mut lines = UnixLines::default();
    let mut put = |piece: &[u8]| match line_ends {
        LineEnds::Crlf => small.write_all(piece),
        LineEnds::Lf => lines.write(piece, &mut small),
    };
    put(head)?;
    loop {
        match pieces.blocking_recv() {
            Some(end) if end.is_empty() => break,
            Some(piece) => put(&piece)?,
            None => return Err(io::ErrorKind::Interrupted.into()),
        }
    }
    lines.finish(&mut small)?;
    small.flush()?;
    drop(small);
    file.sync_all()
}

/// Writes text whose lines end with CRLF as lines that end with LF.
#[derive(Default)]
struct UnixLines {
    /// A CR came last.
    cr: bool,
}

impl UnixLines {
    fn write(&mut self, piece: &[u8], out: &mut impl io::Write) -> io::Result<()> {
        let Some(&first) = piece.first() else {
            return Ok(());
        };
        if std::mem::take(&mut self.cr) && first != b'\n' {
            out.write_all(b"\r")?;
        }
        let mut rest = piece;
        if let Some(before) = rest.strip_suffix(b"\r") {
            self.cr = true;
            rest = before;
        }
        for line in rest.split_inclusive(|&octet| octet == b'\n') {
            match line.strip_suffix(b"\r\n") {
                Some(text) => {
                    out.write_all(text)?;
                    out.write_all(b"\n")?;
                }
                None => out.write_all(line)?,
            }
        }
        Ok(())
    }

    fn finish(self, out: &mut impl io::Write) -> io::Result<()> {
        match self.cr {
            true => out.write_all(b"\r"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn line_ends_are_those_of_unix_however_the_text_is_cut() {
        let text = b"a\r\n\r\nb\rc\r\r\nd\ne\r\n";
        for size in 1..=text.len() {
            let (mut lines, mut out) = (UnixLines::default(), Vec::new());
            text.chunks(size)
                .for_each(|piece| lines.write(piece, &mut out).unwrap());
            lines.finish(&mut out).unwrap();
            assert_eq!(out, b"a\n\nb\rc\r\nd\ne\n", "in pieces of {size}");
        }
    }
}
