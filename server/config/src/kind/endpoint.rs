//! Where a sink is.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::deliver::host_and_port;
use super::{Kind, paths};
use crate::reader::{Field, Reader, without_user_info};
use crate::registry::Shape;

/// Where one replica of a sink is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// HTTP/2 over TCP.
    Tcp {
        /// Over TLS.
        tls: bool,
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// HTTP/2 over a Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Whether nothing on a network between here and there could read along.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { tls: true, .. } => true,
            Self::Tcp { host, .. } => {
                host == "localhost"
                    || host
                        .parse::<IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls, host, port } => {
                let scheme = if *tls { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

const ADVICE: &str = "write \"http://host:port\", \"https://host:port\" or \"unix:/path\"";

impl Kind for Endpoint {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Text {
            what: "a URL (`http://`, `https://`) or \"unix:/path\"",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(field, "a URL in quotes, such as \"http://127.0.0.1:7001\"")?;
        if let Some(path) = text.strip_prefix("unix:") {
            return paths::path(path, field, reader).map(Self::Unix);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            reader.refuse(
                field,
                format!("\"{}\" is not an endpoint", without_user_info(text)),
                ADVICE,
            );
            return None;
        };
        let tls = match scheme {
            "http" => false,
            "https" => true,
            "dns" | "dns+https" => {
                reader.refuse(
                    field,
                    format!("\"{scheme}://\" is not in this version"),
                    "list the replicas one by one",
                );
                return None;
            }
            _ => {
                reader.refuse(field, format!("\"{scheme}://\" is unknown"), ADVICE);
                return None;
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let Some((host, port)) = host_and_port(rest, if tls { 443 } else { 80 }) else {
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
        Some(Self::Tcp { tls, host, port })
    }
}
