//! Files, sockets and networks.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::Kind;
use crate::reader::{Field, Reader};
use crate::registry::Shape;

/// A path; a relative one is relative to the configuration file.
pub(crate) struct File;

impl Kind for File {
    type Out = PathBuf;

    fn shape() -> Shape {
        Shape::Text {
            what: "a path",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<PathBuf> {
        let text = reader.text(field, "a path in quotes")?;
        path(text, field, reader)
    }
}

/// Resolves a path that is part of a value.
pub(crate) fn path(text: &str, field: Field<'_>, reader: &mut Reader) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        reader.refuse(
            field,
            "has no usable path",
            "write the path of a file or folder",
        );
        return None;
    }
    Some(reader.resolve(text))
}

/// An IP address with a port.
pub(crate) struct Socket;

impl Kind for Socket {
    type Out = SocketAddr;

    fn shape() -> Shape {
        Shape::Text {
            what: "an IP address with a port",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<SocketAddr> {
        let text = reader.text(field, "an address in quotes, such as \"127.0.0.1:8726\"")?;
        let address = text.parse().ok();
        if address.is_none() {
            reader.refuse(
                field,
                format!("\"{text}\" is not an address"),
                "write IP address and port, such as \"127.0.0.1:8726\" or \"[::1]:8726\"",
            );
        }
        address
    }
}

/// An IP address.
pub(crate) struct Host;

impl Kind for Host {
    type Out = IpAddr;

    fn shape() -> Shape {
        Shape::Text {
            what: "an IP address",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<IpAddr> {
        let text = reader.text(field, "an address in quotes, such as \"192.0.2.1\"")?;
        let address = text.parse().ok();
        if address.is_none() {
            reader.refuse(
                field,
                format!("\"{text}\" is not an IP address"),
                "write it as \"192.0.2.1\" or \"2001:db8::1\"",
            );
        }
        address
    }
}

/// A network, or one address.
pub(crate) struct Network;

impl Kind for Network {
    type Out = IpNet;

    fn shape() -> Shape {
        Shape::Text {
            what: "a network such as \"10.0.0.0/8\", or one address",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<IpNet> {
        const ADVICE: &str = "write it as \"10.0.0.0/8\", \"2001:db8::/32\" or one address";
        let text = reader.text(field, "a network in quotes")?;
        let network = text
            .parse::<IpNet>()
            .or_else(|_| {
                text.parse()
                    .map(|address: std::net::IpAddr| IpNet::from(address))
            })
            .ok();
        let Some(network) = network else {
            reader.refuse(field, format!("\"{text}\" is not a network"), ADVICE);
            return None;
        };
        if network.trunc() != network {
            let meant = network.trunc();
            reader.refuse(
                field,
                format!("\"{text}\" has bits beyond its prefix"),
                format!(
                    "write \"{meant}\" for the network or \"{}\" for the one address",
                    network.addr()
                ),
            );
            return None;
        }
        Some(network)
    }
}
