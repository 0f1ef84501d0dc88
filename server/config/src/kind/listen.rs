//! Where a virtual server listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Account, Flag, Kind, Maybe, Permissions, paths};
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
    /// The sockets that the service manager has bound and hands over under this name.
    Inherited(String),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(name) => write!(f, "fd:{name}"),
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
    /// Whoever connects is a proxy, and sends a header of the PROXY protocol first.
    pub proxy: bool,
    /// Who may connect to a Unix socket. Of no meaning for TCP.
    pub access: SocketAccess,
}

/// The mode of a Unix socket that no key gives: its owner and its group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Who may connect to a Unix socket: whoever may write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketAccess {
    /// Permission bits.
    pub mode: u32,
    /// The user that it is given to, by name or number; `None`: whoever makes it.
    pub owner: Option<String>,
    /// The group that it is given to, by name or number; `None`: that of whoever makes it.
    pub group: Option<String>,
}

impl Default for SocketAccess {
    fn default() -> Self {
        Self {
            mode: SOCKET_MODE,
            owner: None,
            group: None,
        }
    }
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
        /// `"address:port"`, `"unix:/path"`, or `"fd:name"`: all sockets that the service manager hands over under this name
        /// (`FileDescriptorName=` of a unit of systemd).
        address: ListenAddress as ListenAddress;
        /// Left out: STARTTLS is offered, if the server has a certificate.
        tls: Option<ListenTls> as Maybe<ListenTls>;
        /// Every connection begins with a header of the PROXY protocol, version 1 or 2, before TLS and within 5 seconds. Over TCP
        /// only the networks of `proxy_from` may connect.
        proxy: bool as Flag = "false";
        /// Permissions of a Unix socket: whoever may write to it may connect. Left out: `"0660"`.
        mode: Option<u32> as Maybe<Permissions>;
        /// The user that a Unix socket is given to, by name or number. Left out: whoever starts the gateway.
        owner: Option<String> as Maybe<Account>;
        /// The group that a Unix socket is given to, by name or number. Left out: that of whoever starts the gateway.
        group: Option<String> as Maybe<Account>;
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
                proxy: false,
                access: SocketAccess::default(),
            });
        }
        let table = ListenTable::read(field, reader)?;
        let has_access = table.mode.is_some() || table.owner.is_some() || table.group.is_some();
        if has_access && !matches!(table.address, ListenAddress::Unix(_)) {
            reader.refuse(
                field,
                format!("{} has mode, owner or group", table.address),
                "remove them: they are for \"unix:/path\"",
            );
            return None;
        }
        Some(Self {
            address: table.address,
            implicit_tls: table.tls.is_some(),
            proxy: table.proxy,
            access: SocketAccess {
                mode: table.mode.unwrap_or(SOCKET_MODE),
                owner: table.owner,
                group: table.group,
            },
        })
    }
}

/// What systemd takes as a name of a descriptor.
fn is_descriptor_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b':')
}

impl Kind for ListenAddress {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Text {
            what: "an IP address with a port, \"unix:/path\", or \"fd:name\"",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(field, "an address in quotes, such as \"127.0.0.1:2525\"")?;
        if let Some(path) = text.strip_prefix("unix:") {
            return paths::path(path, field, reader).map(Self::Unix);
        }
        if let Some(name) = text.strip_prefix("fd:") {
            if is_descriptor_name(name) {
                return Some(Self::Inherited(name.to_owned()));
            }
            reader.refuse(
                field,
                format!("\"{name}\" is not the name of a socket"),
                "write the FileDescriptorName of its unit: up to 255 printable characters of ASCII, without a colon",
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
