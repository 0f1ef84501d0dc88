//! Where accepted mail goes.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::{Kind, names, paths};
use crate::reader::{Field, Reader, without_user_info};
use crate::registry::Shape;

/// Where accepted mail goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Deliver {
    /// SMTP, with STARTTLS where the next hop offers it.
    Smtp {
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port, 25 if none was given.
        port: u16,
    },
    /// LMTP over TCP (RFC 2033).
    Lmtp {
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port, 24 if none was given.
        port: u16,
    },
    /// LMTP over a Unix socket.
    LmtpUnix(PathBuf),
    /// A Maildir; `{user}` stands for the local part of the recipient and `{domain}` for its domain.
    Maildir(PathBuf),
    /// The hosts that DNS names for the recipient's domain.
    Mx,
    /// The sink of this name keeps the mailboxes.
    Sink(String),
}

impl fmt::Display for Deliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Smtp { host, port } => ("smtp", host, port),
            Self::Lmtp { host, port } => ("lmtp", host, port),
            Self::LmtpUnix(path) => return write!(f, "lmtp+unix:{}", path.display()),
            Self::Maildir(path) => return write!(f, "maildir:{}", path.display()),
            Self::Mx => return f.write_str("mx"),
            Self::Sink(name) => return write!(f, "sink:{name}"),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

const ADVICE: &str = "write \"smtp://host:port\", \"lmtp://host:port\", \"lmtp+unix:/path\", \"maildir:/path/{user}\", \"sink:name\" or \"mx\"";

impl Kind for Deliver {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Text {
            what: "`smtp://host:port`, `lmtp://host:port`, `lmtp+unix:/path`, `maildir:/path/{user}`, `sink:name` or `mx`",
            pattern: Some(
                "^((smtp://|lmtp://|lmtp\\+unix:|maildir:).+|sink:[a-z0-9][a-z0-9.-]{0,62}|mx)$",
            ),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(field, "it in quotes, such as \"smtp://127.0.0.1:2526\"")?;
        if text == "mx" {
            return Some(Self::Mx);
        }
        if text.starts_with("smtps://") {
            reader.refuse(
                field,
                "\"smtps://\" is not in this version",
                "name the next hop as \"smtp://host:port\"",
            );
            return None;
        }
        if let Some(path) = text.strip_prefix("lmtp+unix:") {
            return paths::path(path, field, reader).map(Self::LmtpUnix);
        }
        if let Some(path) = text.strip_prefix("maildir:") {
            return maildir(path, field, reader);
        }
        if let Some(name) = text.strip_prefix("sink:") {
            if names::is_name(name) {
                return Some(Self::Sink(name.to_owned()));
            }
            reader.refuse(
                field,
                format!("\"{name}\" is not the name of a sink"),
                "write \"sink:\" and the name of a [[sink]]",
            );
            return None;
        }
        let (lmtp, rest) = if let Some(rest) = text.strip_prefix("smtp://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("lmtp://") {
            (true, rest)
        } else {
            reader.refuse(
                field,
                format!("\"{}\" is not a way to deliver", without_user_info(text)),
                ADVICE,
            );
            return None;
        };
        let Some((host, port)) = host_and_port(rest, if lmtp { 24 } else { 25 }) else {
            reader.refuse(
                field,
                format!(
                    "\"{}\" has no usable host and port",
                    without_user_info(text)
                ),
                ADVICE,
            );
            return None;
        };
        Some(if lmtp {
            Self::Lmtp { host, port }
        } else {
            Self::Smtp { host, port }
        })
    }
}

fn maildir(path: &str, field: Field<'_>, reader: &mut Reader) -> Option<Deliver> {
    let rest = path.replace("{user}", "").replace("{domain}", "");
    if rest.contains(['{', '}']) {
        reader.refuse(
            field,
            "has an unknown placeholder",
            "use {user} and {domain} only",
        );
        return None;
    }
    paths::path(path, field, reader).map(Deliver::Maildir)
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, rest) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (host, rest) = text.split_at_checked(end)?;
        if !names::is_host(host) {
            return None;
        }
        (host, rest)
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => default,
        None => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}
