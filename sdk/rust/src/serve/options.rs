//! How a sink is served: environment and flags.

use std::path::PathBuf;
use std::time::Duration;

use super::{Address, LogFormat, TlsFiles};
use crate::Sink;

/// How a sink is served. Each is an environment variable, and with the feature `cli` a flag: `POSTERN_SINK_LISTEN` is
/// `--listen`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen. 127.0.0.1:7001 unless said.
    pub listen: Address,
    /// Permissions of the Unix socket that is listened on. Left out: what the umask of the process leaves.
    pub listen_mode: Option<u32>,
    /// Certificate chain, PEM. With the key it makes the sink speak TLS only.
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Authorities, PEM: only gateways with a certificate from them are let in.
    pub tls_client_ca: Option<PathBuf>,
    /// What to log: a level, or targets with levels as in `info,my_sink=debug`.
    pub log: String,
    /// How to log.
    pub log_format: LogFormat,
    /// How long running work may go on after SIGTERM or SIGINT.
    pub drain: Duration,
}

/// A flag or variable that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct OptionsError {
    name: String,
    problem: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Address::Tcp("127.0.0.1:7001".to_owned()),
            listen_mode: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            drain: Duration::from_secs(10),
        }
    }
}

/// One option: its flag, what its value is called, and what it does.
struct Flag {
    name: &'static str,
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    value: &'static str,
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    help: &'static str,
}

const FLAGS: [Flag; 8] = [
    Flag {
        name: "listen",
        value: "ADDRESS",
        help: "where to listen: HOST:PORT, or unix:/path; port 0 takes a free one [127.0.0.1:7001]",
    },
    Flag {
        name: "listen-mode",
        value: "MODE",
        help: "permissions of the Unix socket, octal: 0660 [as the umask leaves them]",
    },
    Flag {
        name: "tls-cert",
        value: "FILE",
        help: "certificate chain, PEM; with --tls-key it makes the sink speak TLS only",
    },
    Flag {
        name: "tls-key",
        value: "FILE",
        help: "private key of the certificate, PEM",
    },
    Flag {
        name: "tls-client-ca",
        value: "FILE",
        help: "authorities, PEM: only gateways with a certificate from them are let in",
    },
    Flag {
        name: "log",
        value: "FILTER",
        help: "what to log: a level, or targets with levels as in info,my_sink=debug [info]",
    },
    Flag {
        name: "log-format",
        value: "FORMAT",
        help: "how to log: text or json [text]",
    },
    Flag {
        name: "drain",
        value: "TIME",
        help: "how long running work may go on after SIGTERM: 500ms, 10s, 2m [10s]",
    },
];

impl Flag {
    fn variable(&self) -> String {
        format!(
            "POSTERN_SINK_{}",
            self.name.to_ascii_uppercase().replace('-', "_")
        )
    }
}

impl Options {
    /// The options that the environment gives.
    ///
    /// # Errors
    /// The variable that is wrong.
    pub fn from_env() -> Result<Self, OptionsError> {
        let mut options = Self::default();
        options.read_env(|name| std::env::var(name).ok())?;
        options.checked()
    }

    /// The options that the environment gives, and flags above it.
    ///
    /// # Errors
    /// The flag or variable that is wrong.
    #[cfg(feature = "cli")]
    pub fn from_args<I>(arguments: I) -> Result<Self, OptionsError>
    where
        I: IntoIterator,
        I::Item: Into<std::ffi::OsString>,
    {
        match parsed(arguments)? {
            Parsed::Options(options) => Ok(*options),
            Parsed::Help | Parsed::Version => Err(error("--help", "is for programs")),
        }
    }

    fn read_env(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), OptionsError> {
        for flag in &FLAGS {
            let name = flag.variable();
            if let Some(value) = variable(&name) {
                self.set(flag.name, &value)
                    .map_err(|problem| OptionsError { name, problem })?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let path = || Some(PathBuf::from(value));
        match name {
            "listen" => self.listen = value.parse()?,
            "listen-mode" => self.listen_mode = Some(parse_mode(value)?),
            "tls-cert" => self.tls_cert = path(),
            "tls-key" => self.tls_key = path(),
            "tls-client-ca" => self.tls_client_ca = path(),
            "log" => self.log = value.to_owned(),
            "log-format" => self.log_format = value.parse()?,
            "drain" => self.drain = parse_time(value)?,
            _ => return Err("there is no such option".to_owned()),
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, OptionsError> {
        if self.listen_mode.is_some() && matches!(self.listen, Address::Tcp(_)) {
            return Err(error("--listen-mode", "needs --listen unix:/path"));
        }
        match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (Some(_), None, _) => Err(error("--tls-cert", "needs --tls-key")),
            (None, Some(_), _) => Err(error("--tls-key", "needs --tls-cert")),
            (None, None, Some(_)) => {
                Err(error("--tls-client-ca", "needs --tls-cert and --tls-key"))
            }
            _ => Ok(self),
        }
    }

    pub(crate) fn tls_files(&self) -> Option<TlsFiles<'_>> {
        Some(TlsFiles {
            cert: self.tls_cert.as_ref()?,
            key: self.tls_key.as_ref()?,
            client_ca: self.tls_client_ca.as_ref(),
        })
    }
}

fn error(name: &str, problem: &str) -> OptionsError {
    OptionsError {
        name: name.to_owned(),
        problem: problem.to_owned(),
    }
}

/// The options of this program. None: it was asked for help or its version, and has said so.
#[cfg(not(feature = "cli"))]
pub(super) fn of_program(_: &Sink) -> Result<Option<Options>, OptionsError> {
    Options::from_env().map(Some)
}

/// The options of this program. None: it was asked for help or its version, and has said so.
#[cfg(feature = "cli")]
pub(super) fn of_program(sink: &Sink) -> Result<Option<Options>, OptionsError> {
    let (name, version, summary) = sink.introduction();
    match parsed(std::env::args_os().skip(1)) {
        Ok(Parsed::Options(options)) => Ok(Some(*options)),
        Ok(Parsed::Version) => {
            println!("{name} {version}");
            Ok(None)
        }
        Ok(Parsed::Help) => {
            println!("{}", help(name, summary));
            Ok(None)
        }
        Err(mut error) => {
            error.problem.push_str(&format!("\nSee {name} --help."));
            Err(error)
        }
    }
}

#[cfg(feature = "cli")]
enum Parsed {
    Options(Box<Options>),
    Help,
    Version,
}

#[cfg(feature = "cli")]
fn parsed<I>(arguments: I) -> Result<Parsed, OptionsError>
where
    I: IntoIterator,
    I::Item: Into<std::ffi::OsString>,
{
    use lexopt::prelude::*;
    let mut options = Options::default();
    options.read_env(|name| std::env::var(name).ok())?;
    let mut parser = lexopt::Parser::from_args(arguments);
    let failed = |problem: lexopt::Error| error("arguments", &problem.to_string());
    while let Some(argument) = parser.next().map_err(failed)? {
        let name = match argument {
            Long("help") | Short('h') => return Ok(Parsed::Help),
            Long("version") | Short('V') => return Ok(Parsed::Version),
            Long(name) => name.to_owned(),
            other => return Err(failed(other.unexpected())),
        };
        let flag = format!("--{name}");
        if !FLAGS.iter().any(|known| known.name == name) {
            return Err(error(&flag, "there is no such flag"));
        }
        let value = parser
            .value()
            .map_err(|_| error(&flag, "a value must follow"))?;
        let value = value
            .into_string()
            .map_err(|_| error(&flag, "the value is not UTF-8"))?;
        options
            .set(&name, &value)
            .map_err(|problem| error(&flag, &problem))?;
    }
    Ok(Parsed::Options(Box::new(options.checked()?)))
}

#[cfg(feature = "cli")]
fn help(name: &str, summary: &str) -> String {
    let mut text = String::new();
    if !summary.is_empty() {
        text.push_str(&format!("{summary}\n\n"));
    }
    text.push_str(&format!("Usage: {name} [OPTIONS]\n\nOptions:\n"));
    for flag in &FLAGS {
        let left = format!("--{} <{}>", flag.name, flag.value);
        text.push_str(&format!(
            "  {left:<26} {}\n  {:<26} [env: {}]\n",
            flag.help,
            "",
            flag.variable()
        ));
    }
    text.push_str(
        "  -h, --help                 show this\n  -V, --version              show the version",
    );
    text
}

/// Permissions as chmod takes them, without those that mean nothing for a socket.
fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && text.len() <= 4 => Ok(mode),
        _ => Err("an octal number up to 0777, such as 0660".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "a number and a unit: 500ms, 10s, 2m".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "" => Err("a unit is missing: ms, s or m".to_owned()),
        other => Err(format!("no unit {other}: ms, s or m")),
    }
}
