//! The replies that the session makes by itself.

use super::config::{Config, Protocol};
use super::extension::{AddedVerb, Additions};
use crate::address::AddressError;
use crate::command::{CommandError, HelloKind};
use crate::content::ContentFault;
use crate::parameters::ParameterError;
use crate::reply::{MAX_TEXT, Reply, ReplyText};

/// Largest number that a LIMITS keyword can say (RFC 9422 4: one to six digits).
const MAX_ANNOUNCED: u32 = 999_999;

pub(super) fn greeting(config: &Config) -> Reply {
    let protocol = match config.protocol {
        Protocol::Smtp => "ESMTP",
        Protocol::Lmtp => "LMTP",
    };
    Reply::fixed(
        220,
        None,
        format!("{} {protocol} Postern", config.hostname.key()),
    )
}

/// What EHLO offers only as things stand now.
pub(super) struct Offered<'a> {
    pub(super) starttls: bool,
    /// Those that AUTH can use: the configured ones, and others.
    pub(super) mechanisms: [&'a [String]; 2],
}

/// HELO: one line. EHLO and LHLO: the keywords (RFC 5321 4.1.1.1), SIZE and LIMITS with the numbers that hold.
pub(super) fn hello(
    kind: HelloKind,
    config: &Config,
    limits: &super::Limits,
    offered: &Offered<'_>,
) -> Reply {
    let name = config.hostname.key().to_owned();
    if kind == HelloKind::Helo {
        return Reply::fixed(250, None, name);
    }
    let size = format!("SIZE {}", limits.max_message_size);
    let counts = format!(
        "LIMITS RCPTMAX={} MAILMAX={}",
        limits.recipients.min(MAX_ANNOUNCED),
        limits.messages_per_session.min(MAX_ANNOUNCED),
    );
    let keywords = [
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
    ];
    let lines = keywords.map(ReplyText::fixed).into_iter();
    Reply::fixed(250, None, name)
        .and_lines(lines)
        .and_lines([ReplyText::fixed(size), ReplyText::fixed(counts)])
        .and_lines(config.priorities.then(|| ReplyText::fixed("MT-PRIORITY")))
        .and_lines(offered.starttls.then(|| ReplyText::fixed("STARTTLS")))
        .and_lines(auth_line(&offered.mechanisms.concat()).map(ReplyText::fixed))
        .and_lines(config.additions.keywords.iter().cloned())
}

/// `AUTH` with as many mechanisms as a line holds.
fn auth_line(mechanisms: &[String]) -> Option<String> {
    let mut line = String::from("AUTH");
    for mechanism in mechanisms {
        if line.len() + 1 + mechanism.len() > MAX_TEXT {
            break;
        }
        line.push(' ');
        line.push_str(mechanism);
    }
    (!mechanisms.is_empty()).then_some(line)
}

/// AUTH would show the password to whoever listens (RFC 4954 6, RFC 5248).
pub(super) fn encryption_required() -> Reply {
    Reply::fixed(538, Some((7, 11)), "AUTH needs TLS")
}

/// MAIL comes before AUTH (RFC 4954 6), or before the TLS that AUTH needs (RFC 3207 4).
pub(super) fn authentication_required(tls_first: bool) -> Reply {
    let text = if tls_first {
        "Use STARTTLS first, then AUTH"
    } else {
        "Authentication required"
    };
    Reply::fixed(530, Some((7, 0)), text)
}

pub(super) fn command_error(error: CommandError) -> Reply {
    match error {
        CommandError::Control => {
            Reply::fixed(500, Some((5, 2)), "Control character in the command")
        }
        CommandError::Utf8 => Reply::fixed(500, Some((5, 2)), "Ill-formed UTF-8 in the command"),
        CommandError::UnknownVerb => Reply::fixed(500, Some((5, 1)), "Command not recognized"),
        CommandError::Syntax(syntax) => {
            Reply::fixed(501, Some((5, 4)), format!("Syntax: {syntax}"))
        }
        CommandError::Sender(error) => address_error(error, (1, 7), "Sender refused"),
        CommandError::Recipient(error) => address_error(error, (1, 3), "Recipient refused"),
        CommandError::Parameter(error) => parameter_error(error),
    }
}

fn address_error(error: AddressError, status: (u16, u16), what: &str) -> Reply {
    let text = format!("{what}: {error}");
    match error {
        AddressError::NotAscii => Reply::fixed(553, Some((6, 7)), text),
        _ => Reply::fixed(501, Some(status), text),
    }
}

fn parameter_error(error: ParameterError) -> Reply {
    let code = if error == ParameterError::Unknown {
        555
    } else {
        501
    };
    Reply::fixed(code, Some((5, 4)), format!("Parameters refused: {error}"))
}

pub(super) fn content_fault(fault: ContentFault) -> Reply {
    match fault {
        ContentFault::BareCr => Reply::fixed(550, Some((5, 2)), "Message refused: bare CR in it"),
        ContentFault::BareLf => Reply::fixed(550, Some((5, 2)), "Message refused: bare LF in it"),
        ContentFault::LineTooLong => {
            Reply::fixed(554, Some((6, 0)), "Message refused: a line is too long")
        }
        ContentFault::TooLarge => too_large(),
    }
}

pub(super) fn too_large() -> Reply {
    Reply::fixed(552, Some((3, 4)), "Message exceeds the size limit")
}

/// A reply of 421: the session ends with it.
pub(super) fn closing(config: &Config, status: (u16, u16), text: &str) -> Reply {
    Reply::fixed(
        421,
        Some(status),
        format!("{} {text}", config.hostname.key()),
    )
}

pub(super) fn sequence(text: &'static str) -> Reply {
    Reply::fixed(503, Some((5, 1)), text)
}

pub(super) fn not_available(text: &'static str) -> Reply {
    Reply::fixed(502, Some((5, 1)), text)
}

/// A parameter of an extension that this client was not offered.
pub(super) fn not_offered() -> Reply {
    command_error(CommandError::Parameter(ParameterError::Unknown))
}

/// The client has sent what it was to send when it is told to.
pub(super) fn premature() -> Reply {
    Reply::fixed(554, Some((5, 0)), "Input came before it was asked for")
}

/// HELP: with the verbs that others have added, or the one that is asked about.
pub(super) fn help(additions: &Additions, argument: &[u8]) -> Reply {
    let own = Reply::fixed(214, Some((0, 0)), "See RFC 5321; this is Postern");
    let line = |verb: &AddedVerb| ReplyText::lossy(&format!("{} {}", verb.name, verb.help));
    match additions.verb(argument.trim_ascii()) {
        Some(verb) => own.and_lines([line(verb)]),
        None => own.and_lines(additions.verbs.iter().map(line)),
    }
}

/// What the client hears if the caller answered nonsense.
pub(super) fn local_error() -> Reply {
    Reply::fixed(451, Some((3, 0)), "Local error, try again later")
}
