//! Delivery into Maildirs.
//!
//! A message is written to `tmp`, synced, renamed into `new`, and the folder synced: a reader sees it whole or not at all,
//! and once it is reported as delivered it survives a crash. The file's name follows from message and recipient, so that a
//! delivery whose record was lost with the process is recognised and not made again. Octets are those of the message, line ends included; before
//! them stand `Return-Path` and `Delivered-To`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use postern_message::{MessageId, RecipientId};
use postern_smtp::address::{DomainOrLiteral, ForwardPath, ReversePath};
use tokio::sync::mpsc;

use super::content::ContentReader;
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
    template: PathBuf,
    /// Components of the template before the first placeholder.
    own: usize,
    hostname: Arc<str>,
}

/// Why a message is not in its Maildir.
#[derive(Debug, thiserror::Error)]
pub enum MaildirError {
    /// The address cannot be a part of a path.
    #[error("there is no mailbox for this address")]
    Address,
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
        matches!(self, Self::Address)
    }

    /// Subject and detail of the enhanced status code.
    pub fn status(&self) -> (u16, u16) {
        match self {
            Self::Address => (1, 1),
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
            template,
            hostname: hostname.into(),
        }
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
        mut content: ContentReader,
    ) -> Result<String, MaildirError> {
        let folder = self.folder(recipient).ok_or(MaildirError::Address)?;
        let place = Place::new(&folder, self.own).ok_or(MaildirError::Address)?;
        let head = format!(
            "Return-Path: {sender}\r\nDelivered-To: {}\r\n",
            bare(recipient)
        );
        let name = self.file_name(&occasion);
        if occasion.again && is_there(&place, &name).await? {
            return Ok(name);
        }
        let (pieces, receiver) = mpsc::channel(PIECES);
        let file = name.clone();
        let writer =
            tokio::task::spawn_blocking(move || write(&place, &file, head.into(), receiver));
        let read = feed(&mut content, pieces).await;
        let written = writer
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        // A reader that failed is why the writer did not finish.
        read.map_err(MaildirError::Content)?;
        if let Err(error) = &written {
            // The path itself has the address in it, which the log may not show. Who it was is told with the result.
            let maildir = self.template.display();
            tracing::error!(id = %occasion.message, %maildir, %error, "maildir cannot be written");
        }
        written?;
        Ok(name)
    }

    /// The Maildir of a recipient; `None` if its address cannot be part of a path.
    pub fn folder(&self, recipient: &ForwardPath) -> Option<PathBuf> {
        let (user, domain) = match recipient {
            ForwardPath::Postmaster => ("postmaster".into(), None),
            ForwardPath::Mailbox(mailbox) => {
                let domain = match mailbox.domain() {
                    DomainOrLiteral::Domain(domain) => Some(domain.key()),
                    DomainOrLiteral::Literal(_) => None,
                };
                (mailbox.unquoted_local_part(), domain)
            }
        };
        // Local parts of a domain that is hosted here differ in more than case.
        let user = user.to_ascii_lowercase();
        let user = safe_name(&user)?;
        let template = self.template.to_str()?;
        let path = if template.contains("{domain}") {
            template.replace("{domain}", safe_name(domain?)?)
        } else {
            template.to_owned()
        };
        Some(path.replace("{user}", user).into())
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

/// One component of a path, and not one that leads elsewhere.
fn safe_name(name: &str) -> Option<&str> {
    let leads_elsewhere = name.contains(['/', '\0', '{', '}']) || matches!(name, "" | "." | "..");
    (!leads_elsewhere && !name.chars().any(char::is_control)).then_some(name)
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
) -> io::Result<()> {
    let folder = place.make()?;
    let [temporary, new, _] = ["tmp", "new", "cur"].map(|part| folder.make_inner(part));
    let (temporary, new) = (temporary?, new?);
    let result = write_file(&temporary, name, head, &mut pieces).and_then(|()| {
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
    head: Bytes,
    pieces: &mut mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut file = folder.create(name)?;
    let mut small = io::BufWriter::with_capacity(64 * 1024, &mut file);
    small.write_all(&head)?;
    loop {
        match pieces.blocking_recv() {
            Some(end) if end.is_empty() => break,
            Some(piece) => small.write_all(&piece)?,
            None => return Err(io::ErrorKind::Interrupted.into()),
        }
    }
    small.flush()?;
    drop(small);
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn folder(template: &str, address: &str) -> Option<String> {
        let recipient = ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap();
        let maildir = Maildir::new(template.into(), "mx.test");
        maildir
            .folder(&recipient)
            .map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn addresses_become_folders() {
        for (address, path) in [
            ("joe@example.test", "/m/joe"),
            ("Joe@example.test", "/m/joe"),
            ("\"joe doe\"@example.test", "/m/joe doe"),
            ("Postmaster", "/m/postmaster"),
            ("..x@example.test", ""),
        ] {
            let path = (!path.is_empty()).then(|| path.to_owned());
            let parsed = ForwardPath::parse(format!("<{address}>").as_bytes(), true).is_ok();
            assert_eq!(
                if parsed {
                    folder("/m/{user}", address)
                } else {
                    None
                },
                path,
                "{address}"
            );
        }
        let both = folder("/m/{domain}/{user}", "joe@EXAMPLE.test");
        assert_eq!(both.as_deref(), Some("/m/example.test/joe"));
    }

    #[test]
    fn addresses_that_lead_elsewhere_have_no_folder() {
        for address in [
            "\"..\"@example.test",
            "\".\"@example.test",
            "\"../joe\"@example.test",
            "\"a/b\"@example.test",
            "a/b@example.test",
            "\"{domain}\"@example.test",
        ] {
            assert_eq!(folder("/m/{user}", address), None, "{address}");
        }
        assert_eq!(folder("/m/{domain}/{user}", "joe@[192.0.2.1]"), None);
    }
}
