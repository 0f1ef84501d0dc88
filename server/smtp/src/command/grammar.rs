//! How command lines are read (RFC 5321 4.1).

use bytes::Bytes;

use super::{Auth, Chunk, Command, Hello, HelloKind, HelloName, Mail, Rcpt, Verb};
use crate::address::{
    AddressError, AddressLiteral, AddressSyntax, Domain, ForwardPath, ReversePath,
};
use crate::parameters::{MailParameters, ParameterError, RcptParameters, size_value};

/// Why a line is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// NUL, bare CR or another control character.
    #[error("control character in a command")]
    Control,
    /// Not well-formed UTF-8.
    #[error("ill-formed UTF-8 in a command")]
    Utf8,
    /// A verb that does not exist here.
    #[error("command not recognized")]
    UnknownVerb,
    /// Arguments that do not fit; the right form.
    #[error("syntax: {0}")]
    Syntax(&'static str),
    /// The reverse path.
    #[error("sender: {0}")]
    Sender(AddressError),
    /// The forward path.
    #[error("recipient: {0}")]
    Recipient(AddressError),
    /// An ESMTP parameter.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// What the grammar depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// The client greeted with EHLO or LHLO: parameters exist.
    pub offered: bool,
    /// The transaction has SMTPUTF8: RCPT may hold UTF-8.
    pub smtp_utf8: bool,
    /// The client may set priorities: MAIL may have MT-PRIORITY (RFC 6710).
    pub priorities: bool,
    /// AUTH is there: MAIL may have AUTH= (RFC 4954 5).
    pub auth: bool,
    /// Which names of clients are taken.
    pub hello_names: HelloNames,
    /// How closely paths keep to the grammar. If not strictly, blanks before them and missing brackets are taken too.
    pub addresses: AddressSyntax,
}

/// Which names HELO, EHLO and LHLO may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HelloNames {
    /// Domains and address literals (RFC 5321 4.1.1.1).
    #[default]
    Valid,
    /// Any: the name proves nothing, and is no ground to refuse the client's mail (RFC 5321 4.1.4).
    Any,
}

const VERBS: [(&str, Verb); 15] = [
    ("HELO", Verb::Helo),
    ("EHLO", Verb::Ehlo),
    ("LHLO", Verb::Lhlo),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("BDAT", Verb::Bdat),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("QUIT", Verb::Quit),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
    ("STARTTLS", Verb::StartTls),
    ("AUTH", Verb::Auth),
];

impl Verb {
    /// The verb of a line: what stands before the first blank, in any case.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let word = Self::word(line);
        VERBS
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
            .map_or(Self::Other, |&(_, verb)| verb)
    }

    /// What stands where a command line has its verb: everything up to the first blank.
    #[must_use]
    pub fn word(line: &[u8]) -> &[u8] {
        line.split(|&b| b == b' ').next().unwrap_or_default()
    }

    /// The verb in capitals; nothing for [`Verb::Other`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        VERBS
            .iter()
            .find(|&&(_, verb)| verb == self)
            .map_or("", |&(name, _)| name)
    }

    /// Whether it must be the last command of a pipelined group (RFC 2920 3.1).
    #[must_use]
    pub const fn ends_group(self) -> bool {
        matches!(
            self,
            Self::Helo
                | Self::Ehlo
                | Self::Lhlo
                | Self::Data
                | Self::Vrfy
                | Self::Expn
                | Self::Noop
                | Self::Quit
                | Self::StartTls
                | Self::Auth
        )
    }
}

impl Command {
    /// Reads a line without its CRLF. Blanks at its end are tolerated (RFC 5321 4.1.1).
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &Bytes, extensions: Extensions) -> Result<Self, CommandError> {
        if line.iter().any(|&b| b < 0x20 || b == 0x7f) {
            return Err(CommandError::Control);
        }
        // Devices say their name in whatever character set they have.
        let any_octets = extensions.hello_names == HelloNames::Any
            && matches!(Verb::of(line), Verb::Helo | Verb::Ehlo | Verb::Lhlo);
        if !any_octets && std::str::from_utf8(line).is_err() {
            return Err(CommandError::Utf8);
        }
        let length = line.iter().rposition(|&b| b != b' ').map_or(0, |at| at + 1);
        let line = line.slice(..length);
        let word = memchr::memchr(b' ', &line).unwrap_or(line.len());
        let argument = line.slice((word + 1).min(line.len())..);
        match Verb::of(&line) {
            Verb::Helo => hello(HelloKind::Helo, &argument, extensions),
            Verb::Ehlo => hello(HelloKind::Ehlo, &argument, extensions),
            Verb::Lhlo => hello(HelloKind::Lhlo, &argument, extensions),
            Verb::Mail => mail(&argument, extensions).map(Command::Mail),
            Verb::Rcpt => rcpt(&argument, extensions).map(Command::Rcpt),
            Verb::Data => bare(&argument, Command::Data, "DATA"),
            Verb::Bdat => chunk(&argument).map(Command::Bdat),
            Verb::Rset => bare(&argument, Command::Rset, "RSET"),
            Verb::Noop => Ok(Command::Noop(argument)),
            Verb::Quit => bare(&argument, Command::Quit, "QUIT"),
            Verb::Vrfy if argument.is_empty() => Err(CommandError::Syntax("VRFY string")),
            Verb::Vrfy => Ok(Command::Vrfy(argument)),
            Verb::Expn if argument.is_empty() => Err(CommandError::Syntax("EXPN string")),
            Verb::Expn => Ok(Command::Expn(argument)),
            Verb::Help => Ok(Command::Help(argument)),
            Verb::StartTls => bare(&argument, Command::StartTls, "STARTTLS"),
            Verb::Auth => auth(&argument).map(Command::Auth),
            Verb::Other => Err(CommandError::UnknownVerb),
        }
    }
}

/// Longest name of a mechanism (RFC 4422 3.1).
const MAX_MECHANISM: usize = 20;

/// `AUTH mechanism [initial-response]`. Whether the response is base64 is looked at when it is its turn.
fn auth(argument: &Bytes) -> Result<Auth, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("AUTH mechanism [initial-response]");
    let length = memchr::memchr(b' ', argument).unwrap_or(argument.len());
    let name = argument.slice(..length);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || name.len() > MAX_MECHANISM || !name.iter().all(is_name) {
        return Err(SYNTAX);
    }
    let initial = argument.slice((length + 1).min(argument.len())..);
    if initial.contains(&b' ') {
        return Err(SYNTAX);
    }
    Ok(Auth {
        mechanism: Bytes::from(name.to_ascii_uppercase()),
        initial: (!initial.is_empty()).then_some(initial),
    })
}

fn bare(argument: &[u8], command: Command, syntax: &'static str) -> Result<Command, CommandError> {
    if argument.is_empty() {
        Ok(command)
    } else {
        Err(CommandError::Syntax(syntax))
    }
}

fn hello(
    kind: HelloKind,
    argument: &Bytes,
    extensions: Extensions,
) -> Result<Command, CommandError> {
    let syntax = CommandError::Syntax(match kind {
        HelloKind::Helo => "HELO hostname",
        HelloKind::Ehlo => "EHLO hostname",
        HelloKind::Lhlo => "LHLO hostname",
    });
    if argument.is_empty() {
        return Err(syntax);
    }
    let name = match (HelloName::parse(argument), extensions.hello_names) {
        (Some(name), _) => name,
        (None, HelloNames::Any) => HelloName::Other(argument.clone()),
        (None, HelloNames::Valid) => return Err(syntax),
    };
    Ok(Command::Hello(Hello { kind, name }))
}

impl HelloName {
    /// Reads a domain or an address literal; `None` for anything else.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Option<Self> {
        if raw.first() == Some(&b'[') {
            return AddressLiteral::parse(raw).ok().map(Self::Literal);
        }
        Domain::parse(raw, false).ok().map(Self::Domain)
    }
}

fn mail(argument: &Bytes, extensions: Extensions) -> Result<Mail, CommandError> {
    const SYNTAX: CommandError =
        CommandError::Syntax("MAIL FROM:<address>, no blank after the colon");
    let (path, parameters) =
        path_and_parameters(argument, b"FROM:", extensions.addresses).ok_or(SYNTAX)?;
    check_offered(&parameters, extensions)?;
    let parameters = MailParameters::parse(&parameters, extensions.priorities, extensions.auth)?;
    let sender = ReversePath::parse_with(&path, parameters.smtp_utf8, extensions.addresses)
        .map_err(CommandError::Sender)?;
    Ok(Mail { sender, parameters })
}

fn rcpt(argument: &Bytes, extensions: Extensions) -> Result<Rcpt, CommandError> {
    const SYNTAX: CommandError =
        CommandError::Syntax("RCPT TO:<address>, no blank after the colon");
    let (path, parameters) =
        path_and_parameters(argument, b"TO:", extensions.addresses).ok_or(SYNTAX)?;
    check_offered(&parameters, extensions)?;
    let parameters = RcptParameters::parse(&parameters, extensions.smtp_utf8)?;
    let recipient = ForwardPath::parse_with(&path, extensions.smtp_utf8, extensions.addresses)
        .map_err(CommandError::Recipient)?;
    Ok(Rcpt {
        recipient,
        parameters,
    })
}

/// After HELO there are no extensions, so no parameters.
fn check_offered(parameters: &[u8], extensions: Extensions) -> Result<(), ParameterError> {
    if extensions.offered || parameters.is_empty() {
        Ok(())
    } else {
        Err(ParameterError::Unknown)
    }
}

/// Parts `FROM:<path> parameters`. The path ends at the first `>` outside of quotes. Leniently there may be blanks before
/// it, and it may stand without brackets, up to the first blank.
fn path_and_parameters(
    argument: &Bytes,
    prefix: &[u8],
    syntax: AddressSyntax,
) -> Option<(Bytes, Bytes)> {
    let has_prefix = argument
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let mut rest = if has_prefix {
        argument.slice(prefix.len()..)
    } else {
        return None;
    };
    if syntax == AddressSyntax::Lenient {
        let blanks = rest.iter().take_while(|&&b| b == b' ').count();
        rest = rest.slice(blanks..);
        if rest.first() != Some(&b'<') {
            return without_brackets(&rest);
        }
    }
    if rest.first() != Some(&b'<') {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    let end = rest.iter().position(|&b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'>' => return !quoted,
            _ => {}
        }
        false
    })?;
    let parameters = rest.slice(end + 1..);
    if !parameters.is_empty() && parameters.first() != Some(&b' ') {
        return None;
    }
    Some((rest.slice(..=end), parameters))
}

/// Parts `mailbox parameters`, and puts the brackets around the mailbox. What would need them to be read, quotes or a
/// bracket in it, is none.
fn without_brackets(rest: &Bytes) -> Option<(Bytes, Bytes)> {
    let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let mailbox = rest.slice(..length);
    if mailbox.is_empty() || mailbox.iter().any(|b| b"<>\"\\".contains(b)) {
        return None;
    }
    let path = [b"<", mailbox.as_ref(), b">"].concat();
    Some((Bytes::from(path), rest.slice(length..)))
}

/// `BDAT 1*20DIGIT [SP "LAST"]`. A size beyond 64 bits cannot be skipped, so it is no size.
fn chunk(argument: &[u8]) -> Result<Chunk, CommandError> {
    const SYNTAX: CommandError = CommandError::Syntax("BDAT size [LAST]");
    let mut words = argument.split(|&b| b == b' ');
    let size = words
        .next()
        .and_then(size_value)
        .filter(|&size| size < u64::MAX)
        .ok_or(SYNTAX)?;
    let last = match (words.next(), words.next()) {
        (None, _) => false,
        (Some(word), None) if word.eq_ignore_ascii_case(b"LAST") => true,
        _ => return Err(SYNTAX),
    };
    Ok(Chunk { size, last })
}
