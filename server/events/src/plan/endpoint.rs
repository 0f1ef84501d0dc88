//! Where the replicas of a sink are.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// One endpoint of a sink, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// One replica: `http://host:port` or `https://host:port`.
    Url {
        /// TLS.
        tls: bool,
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// All addresses of a name: `dns://host:port` or `dns+https://host:port`.
    Dns {
        /// TLS.
        tls: bool,
        /// The name.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:/path`
    Unix(PathBuf),
}

/// Why an endpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No scheme that is known.
    #[error("{0:?} is not an endpoint; write http://, https://, dns://, dns+https:// or unix:/")]
    Scheme(String),
    /// No host, or characters that no host has.
    #[error("{0:?} has no usable host")]
    Host(String),
    /// A port is missing, or is none.
    #[error("{0:?} needs a port")]
    Port(String),
    /// Something behind the port.
    #[error("{0:?} has a path; a sink has none")]
    Path(String),
    /// A relative path of a Unix socket.
    #[error("{0:?} is not an absolute path")]
    Relative(String),
    /// Plain text to somewhere else.
    #[error(
        "{0:?} would send mail in plain text beyond this machine; use https://, or set plaintext = true"
    )]
    PlainText(String),
}

impl Endpoint {
    /// Parses one endpoint. Plain text is taken for loopback only, unless `plaintext`.
    ///
    /// # Errors
    /// [`EndpointError`]
    pub fn parse(text: &str, plaintext: bool) -> Result<Self, EndpointError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(EndpointError::Relative(text.to_owned()));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| EndpointError::Scheme(text.to_owned()))?;
        let (tls, dns) = match scheme {
            "http" => (false, false),
            "https" => (true, false),
            "dns" => (false, true),
            "dns+https" => (true, true),
            _ => return Err(EndpointError::Scheme(text.to_owned())),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(EndpointError::Path(text.to_owned()));
        }
        let (host, port) =
            split_authority(authority).ok_or_else(|| EndpointError::Host(text.to_owned()))?;
        let default = if tls { 443 } else { 80 };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None if dns => None,
            None => Some(default),
        }
        .ok_or_else(|| EndpointError::Port(text.to_owned()))?;
        if !tls && !plaintext && (dns || !is_loopback(host)) {
            return Err(EndpointError::PlainText(text.to_owned()));
        }
        let host = host.to_owned();
        Ok(if dns {
            Self::Dns { tls, host, port }
        } else {
            Self::Url { tls, host, port }
        })
    }
}

/// Host without brackets, and port.
fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let usable = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    usable.then_some((host, port))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
            Self::Url { tls, host, port } => (if *tls { "https" } else { "http" }, host, port),
            Self::Dns { tls, host, port } => (if *tls { "dns+https" } else { "dns" }, host, port),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_form_leads_back() {
        for text in [
            "http://127.0.0.1:7001",
            "http://[::1]:7001",
            "https://scan.example.test:443",
            "dns+https://scan.example.test:7001",
            "unix:/run/scan.sock",
        ] {
            assert_eq!(Endpoint::parse(text, false).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_without_tls_leads_back_where_plain_text_is_said() {
        let text = "dns://scan.example.test:7001";
        assert_eq!(Endpoint::parse(text, true).unwrap().to_string(), text);
    }

    #[test]
    fn plain_text_stays_on_this_machine_unless_it_is_said() {
        let text = "http://192.0.2.1:7001";
        assert!(matches!(
            Endpoint::parse(text, false),
            Err(EndpointError::PlainText(_))
        ));
        assert!(Endpoint::parse(text, true).is_ok());
        assert!(matches!(
            Endpoint::parse("dns://localhost:1", false),
            Err(EndpointError::PlainText(_))
        ));
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_said() {
        use EndpointError as E;
        type Is = fn(&EndpointError) -> bool;
        let rows: [(&[&str], Is); 5] = [
            (&["", "x", "ftp://x"], |error| matches!(error, E::Scheme(_))),
            (
                &["http://", "http://a b", "http://[::1", "http://[x]"],
                |error| matches!(error, E::Host(_)),
            ),
            (
                &["http://a:0", "http://a:65536", "http://a:", "dns://a"],
                |error| matches!(error, E::Port(_)),
            ),
            (
                &["http://a:1/x", "http://a/x/", "http://a?x", "http://a#x"],
                |error| matches!(error, E::Path(_)),
            ),
            (&["unix:x", "unix:"], |error| {
                matches!(error, E::Relative(_))
            }),
        ];
        for (texts, is) in rows {
            for text in texts {
                let error = Endpoint::parse(text, true).unwrap_err();
                assert!(is(&error), "{text}: {error}");
            }
        }
        // A slash at the end is none.
        assert_eq!(
            Endpoint::parse("http://localhost/", false),
            Endpoint::parse("http://LOCALHOST:80", false).map(|own| match own {
                Endpoint::Url { tls, port, .. } => Endpoint::Url {
                    tls,
                    host: "localhost".to_owned(),
                    port,
                },
                other => other,
            })
        );
        assert!(
            Endpoint::parse("https://a", false).is_ok_and(|own| own.to_string().ends_with(":443"))
        );
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "127.0.0.1:7001",
            "ftp://x",
            "http://",
            "http://127.0.0.1:0",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:7001/x",
            "unix:relative",
            "dns+https://host",
            "http://a@127.0.0.1:1",
            "http://[::1",
        ] {
            assert!(Endpoint::parse(text, true).is_err(), "{text}");
        }
    }
}
