//! What has to be right before anything starts, beyond what the configuration itself can show: the files that it
//! names, accepted descriptions, the plan. `postern check` and `postern serve` ask here, and say the same.

mod certificates;
mod local_sinks;

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use postern_config::settings::delivery::Recipients;
use postern_config::settings::sink::SinkTls;
use postern_config::{ConfigError, Effective};
use postern_events::plan::Plan;
use postern_smtp::address::{AddressSyntax, Domain};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::accepted::{self, AcceptedError};
use crate::accounts::{self, AccountError};
use crate::front;
use crate::front::aliases::AliasFile;
use crate::front::recipients::RecipientFile;
use crate::front::submission::users_file;
use crate::terms::{self, TermsError};
use crate::tls::{CertificateFiles, ServerTls};
use crate::{admin, plan, state_folder};

/// One thing that keeps the gateway from starting, as one line.
#[derive(Debug)]
pub enum Obstacle {
    /// Something that the configuration says.
    Config(ConfigError),
    /// An accepted description.
    Accepted(AcceptedError),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Accepted(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Obstacle {}

/// Something that the operator should know and that keeps nothing from starting.
#[derive(Debug)]
pub struct Concern {
    /// Where it is, what, and what to do.
    pub error: ConfigError,
    /// It fails already: `postern check` counts it as an error.
    pub severe: bool,
}

/// All that the operator should know before it shows: certificates that end, keys that are no secret, sinks whose place
/// others can take. Blocks.
#[must_use]
pub fn concerns(effective: &Effective, now: SystemTime) -> Vec<Concern> {
    let mut found = certificates::concerns(effective, now);
    found.extend(local_sinks::concerns(effective));
    found
}

/// Looks at everything and makes the plan. Asks no sink. Blocks.
///
/// # Errors
/// Everything that is wrong. The exit code for it is that of a wrong configuration.
pub fn run(effective: &Effective) -> Result<Plan, Vec<Obstacle>> {
    let mut obstacles: Vec<_> = files(effective).into_iter().map(Obstacle::Config).collect();
    if let Some(error) = state(effective) {
        obstacles.push(Obstacle::Config(error));
        return Err(obstacles);
    }
    let config = &effective.config;
    let names = config.bindings.iter().map(|binding| binding.name.as_str());
    let plan = match accepted::load(&config.spool.path, names) {
        Ok(pins) => plan::build(effective, &pins)
            .map_err(|errors| obstacles.extend(errors.into_iter().map(Obstacle::Config))),
        Err(errors) => {
            obstacles.extend(errors.into_iter().map(Obstacle::Accepted));
            Err(())
        }
    };
    match plan {
        Ok(plan) if obstacles.is_empty() => Ok(plan),
        _ => Err(obstacles),
    }
}

/// What is wrong with the state folder: this user cannot use it, or others than its owner may write to it, so that
/// nothing in it can be believed.
pub fn state(effective: &Effective) -> Option<ConfigError> {
    let path = &effective.config.spool.path;
    let (what, advice) = match state_folder::place(path) {
        Err(wrong) => wrong,
        Ok(_) => state_folder::exposed(&std::fs::metadata(path).ok()?)?,
    };
    let what = format!("{}: {what}", path.display());
    Some(effective.error_at(&["spool", "path"], what, advice))
}

/// Everything that is wrong with names, certificates, keys and lists of recipients.
pub fn files(effective: &Effective) -> Vec<ConfigError> {
    let mut errors = names(effective);
    errors.extend(accounts(effective));
    let config = &effective.config;
    if let Some(socket) = &config.admin.socket
        && admin::is_too_long(socket)
    {
        let octets = socket.as_os_str().len();
        errors.push(effective.error_at(
            &["admin", "socket"],
            format!(
                "{}: the path has {octets} octets, and that of a socket at most {}",
                socket.display(),
                admin::LONGEST_PATH
            ),
            "name a shorter one",
        ));
    }
    if config.servers.is_empty() {
        errors.push(effective.error_at(
            &["server"],
            "there is no virtual server, so nothing would be listened on",
            "add a [[server]] with name, hostname and listen",
        ));
    }
    for server in &config.servers {
        for pair in &server.tls {
            let files = CertificateFiles {
                cert: pair.cert.clone(),
                key: pair.key.clone(),
            };
            if let Err(error) = ServerTls::load(vec![files]) {
                let key = ["server", &server.name, "tls"];
                errors.push(effective.error_at(
                    &key,
                    error.to_string(),
                    "name files in PEM that belong together",
                ));
            }
        }
    }
    for server in &config.servers {
        let Some(submission) = &server.submission else {
            continue;
        };
        if let Err(error) = users_file::read(&submission.users) {
            errors.push(effective.error_at(
                &["server", &server.name, "submission", "users"],
                error.to_string(),
                "make the file with \"postern user add\"",
            ));
        }
    }
    for sink in &config.sinks {
        let Some(tls) = &sink.tls else { continue };
        if let Err(what) = check_sink_tls(tls) {
            errors.push(effective.error_at(
                &["sink", &sink.name, "tls"],
                what,
                "name files in PEM that belong together",
            ));
        }
    }
    for route in &config.routes {
        if let Err(error) = terms::of(route) {
            let key = match error {
                TermsError::Pem { .. } | TermsError::Tls { .. } => "ca",
                TermsError::File { .. } | TermsError::Login { .. } => "auth",
            };
            let advice = "name files that can be read, see \"postern config explain route\"";
            errors.push(effective.error_at(
                &["route", &route.name, key],
                error.to_string(),
                advice,
            ));
        }
    }
    for domain in &config.domains {
        if let Some(path) = &domain.aliases
            && let Err(error) = AliasFile::load(path.clone())
        {
            errors.push(effective.error_at(
                &["domain", &domain.name, "aliases"],
                error.to_string(),
                "name a file of lines such as \"info: anna, bert@example.org\"",
            ));
        }
        if let Err(error) = front::catch_all(domain) {
            errors.push(effective.error_at(
                &["domain", &domain.name, "catch_all"],
                error.to_string(),
                "name a local part of the domain, or an address",
            ));
        }
    }
    for domain in &config.domains {
        let Recipients::File(path) = &domain.recipients else {
            continue;
        };
        if let Err(error) = RecipientFile::load(path.clone()) {
            let key = ["domain", &domain.name, "recipients"];
            errors.push(effective.error_at(
                &key,
                error.to_string(),
                "name a file with one recipient on each line",
            ));
        }
    }
    errors
}

/// Users and groups that only the system knows.
fn accounts(effective: &Effective) -> Vec<ConfigError> {
    let config = &effective.config;
    let mut errors = Vec::new();
    let mut look = |key: &[&str], found: Result<(), AccountError>| {
        if let Err(error) = found {
            let advice = "name one that the system has, or write its number in quotes";
            errors.push(effective.error_at(key, error.to_string(), advice));
        }
    };
    if let Some(user) = &config.process.user {
        look(&["process", "user"], accounts::user(user).map(|_| ()));
    }
    for server in &config.servers {
        let key = ["server", &server.name, "listen"];
        for listener in &server.listen {
            if let Some(owner) = &listener.access.owner {
                look(&key, accounts::user(owner).map(|_| ()));
            }
            if let Some(group) = &listener.access.group {
                look(&key, accounts::group(group).map(|_| ()));
            }
        }
    }
    errors
}

/// Names that only the SMTP grammar can judge.
fn names(effective: &Effective) -> Vec<ConfigError> {
    let config = &effective.config;
    let hosts = config.servers.iter().map(|server| {
        (
            ["server", &server.name, "hostname"],
            server.hostname.as_str(),
            AddressSyntax::Strict,
        )
    });
    let domains = config.domains.iter().map(|domain| {
        (
            ["domain", &domain.name, "name"],
            domain.name.strip_prefix("*.").unwrap_or(&domain.name),
            // What clients may write as the domain of an address can be one of ours.
            AddressSyntax::Lenient,
        )
    });
    hosts
        .chain(domains)
        .filter_map(|(key, name, syntax)| {
            let error = Domain::parse_with(name.as_bytes(), false, syntax).err()?;
            Some(effective.error_at(
                &key,
                format!("\"{name}\": {error}"),
                "write a name that SMTP allows",
            ))
        })
        .collect()
}

fn check_sink_tls(tls: &SinkTls) -> Result<(), String> {
    if let Some(path) = &tls.ca {
        certificates(path)?;
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        let chain = certificates(cert)?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("{}: {error}", key.display()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::sign::CertifiedKey::from_der(chain, private, &provider).map_err(|error| {
            format!(
                "{} and {} cannot be used together: {error}",
                cert.display(),
                key.display()
            )
        })?;
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("{}: {error}", path.display()))?
        .collect();
    let chain = chain.map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in PEM found", path.display()));
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn said(text: &str, prepare: impl Fn(&Path)) -> Result<Plan, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        std::fs::write(&file, text).unwrap();
        prepare(folder.path());
        let effective = postern_config::load(&file, &[("NONE", "")]).unwrap();
        let place = format!("{}/", folder.path().display());
        run(&effective).map_err(|all| {
            all.iter()
                .map(|own| own.to_string().replace(&place, ""))
                .collect()
        })
    }

    const SERVER: &str =
        "[spool]\npath = \"state\"\n[[server]]\nname = \"a\"\nlisten = \"127.0.0.1:0\"\n";
    const BINDING: &str = "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:1\"\n\
                           [[binding]]\nname = \"b\"\nsink = \"s\"\n";

    #[test]
    fn what_is_in_order_makes_a_plan() {
        let text = format!(
            "{SERVER}hostname = \"mx.test\"\n{BINDING}events = [\"inbound.rcpt\"]\nmay = []\n"
        );
        assert_eq!(said(&text, |_| {}).unwrap().bindings().len(), 1);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let text = format!(
            "{SERVER}hostname = \"mx_1.test\"\ntls = {{ cert = \"no.pem\", key = \"no.key\" }}\n{BINDING}\
             [[domain]]\nname = \"d.test\"\nrecipients = {{ file = \"people\" }}\ndeliver = \"smtp://x\"\n"
        );
        let lines = said(&text, |folder| {
            std::fs::write(folder.join("people"), "a\n@@\n").unwrap();
            std::fs::create_dir_all(folder.join("state/accepted")).unwrap();
            std::fs::write(folder.join("state/accepted/b.json"), "{").unwrap();
        })
        .unwrap_err();
        let starts = [
            "p.toml:6:12: server.a.hostname: \"mx_1.test\": ",
            "p.toml:7:7: server.a.tls: no.pem: ",
            "p.toml:16:14: domain.\"d.test\".recipients: people:2: ",
            "state/accepted/b.json: is no accepted description",
        ];
        assert_eq!(lines.len(), starts.len(), "{lines:#?}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(
                line.starts_with(start),
                "{line} does not start with {start}"
            );
        }
    }
}
