//! Where a virtual server listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Kind, Maybe, paths};
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::{Section, choice, section};

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP. Port 0 stands for a free port.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One listening socket of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: ListenAddress,
    /// TLS from the first octet (RFC 8314) instead of STARTTLS.
    pub implicit_tls: bool,
}

choice! {
    /// How a listener does TLS.
    ListenTls {
        /// From the first octet.
        Implicit = "implicit";
    }
}

section! {
    /// A listening socket with settings of its own.
    ListenTable at "server.listen" {
        /// `"address:port"` or `"unix:/path"`.
        address: ListenAddress as ListenAddress;
        /// Left out: STARTTLS is offered, if the server has a certificate.
        tls: Option<ListenTls> as Maybe<ListenTls>;
    }
    later {
        "proxy" => 3;
    }
}

impl Kind for Listener {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![
            ListenAddress::shape(),
            Shape::Table(ListenTable::describe),
        ])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_none() {
            let address = <ListenAddress as Kind>::read(field, reader)?;
            return Some(Self {
                address,
                implicit_tls: false,
            });
        }
        let table = ListenTable::read(field, reader)?;
        Some(Self {
            address: table.address,
            implicit_tls: table.tls.is_some(),
        })
    }
}

impl Kind for ListenAddress {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Text {
            what: "an IP address with a port, or \"unix:/path\"",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(field, "an address in quotes, such as \"127.0.0.1:2525\"")?;
        if let Some(path) = text.strip_prefix("unix:") {
            return paths::path(path, field, reader).map(Self::Unix);
        }
        if text.starts_with("fd:") {
            reader.refuse(
                field,
                "\"fd:\" is not in this version",
                "write an address and a port",
            );
            return None;
        }
        let address = text.parse().ok().map(Self::Tcp);
        if address.is_none() {
            reader.refuse(
                field,
                format!("\"{text}\" is not an address"),
                "write IP address and port, such as \"127.0.0.1:2525\" or \"[::]:25\"",
            );
        }
        address
    }
}
