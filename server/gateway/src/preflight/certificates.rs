//! Certificates that have expired or soon will, and private keys that are not private.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postern_config::Effective;
use x509_parser::parse_x509_certificate;

use super::Concern;

/// A certificate that ends within this time, or within the last third of its own, is told of.
const SOON: i64 = 14 * DAY;

/// Seconds.
const DAY: i64 = 24 * 3600;

/// Everything that is to be known of the certificates and keys that the configuration names. Files that cannot be used
/// at all are said by [`files`](super::files).
pub(super) fn concerns(effective: &Effective, now: SystemTime) -> Vec<Concern> {
    let now = seconds(now);
    let mut found = Vec::new();
    for pair in pairs(effective) {
        let key: Vec<&str> = pair.key.iter().map(String::as_str).collect();
        if let Some((what, advice, severe)) = pair.certificate.and_then(|path| ending(&path, now)) {
            found.push(Concern {
                error: effective.error_at(&key, what, advice),
                severe,
            });
        }
        if let Some(what) = pair.private.and_then(|path| readable(&path)) {
            let advice = "chmod it to 0600, or to 0640 with a group of its own";
            found.push(Concern {
                error: effective.error_at(&key, what, advice),
                severe: false,
            });
        }
    }
    found
}

/// A certificate, its private key, and the key of the configuration that names them.
struct Pair {
    key: Vec<String>,
    certificate: Option<PathBuf>,
    private: Option<PathBuf>,
}

fn pairs(effective: &Effective) -> Vec<Pair> {
    let config = &effective.config;
    let mut pairs = Vec::new();
    for server in &config.servers {
        pairs.extend(server.tls.iter().map(|tls| Pair {
            key: vec!["server".into(), server.name.clone(), "tls".into()],
            certificate: Some(tls.cert.clone()),
            private: Some(tls.key.clone()),
        }));
    }
    for server in &config.servers {
        pairs.extend(server.submission.iter().map(|submission| {
            Pair {
                key: ["server", &server.name, "submission", "users"]
                    .map(str::to_owned)
                    .into(),
                certificate: None,
                private: Some(submission.users.clone()),
            }
        }));
    }
    for sink in &config.sinks {
        let Some(tls) = &sink.tls else { continue };
        let at = |leaf: &str| vec!["sink".into(), sink.name.clone(), "tls".into(), leaf.into()];
        pairs.push(Pair {
            key: at("cert"),
            certificate: tls.cert.clone(),
            private: tls.key.clone(),
        });
        pairs.push(Pair {
            key: at("ca"),
            certificate: tls.ca.clone(),
            private: None,
        });
    }
    for route in &config.routes {
        let at = |leaf: &str| vec!["route".into(), route.name.clone(), leaf.into()];
        pairs.push(Pair {
            key: at("ca"),
            certificate: route.ca.clone(),
            private: None,
        });
        let auth = route.auth.as_ref();
        pairs.push(Pair {
            key: at("auth"),
            certificate: None,
            private: auth.and_then(|auth| auth.password_file.clone()),
        });
    }
    pairs
}

/// What is wrong with the time in which a file's certificates are valid: the first that is.
fn ending(path: &Path, now: i64) -> Option<(String, &'static str, bool)> {
    let chain = super::certificates(path).ok()?;
    let shown = path.display();
    chain.iter().enumerate().find_map(|(place, der)| {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        let (begin, end) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let which = match place {
            0 => String::new(),
            place => format!("certificate {} in it, ", place + 1),
        };
        if now > end {
            let what = format!("{shown}: {which}expired on {}", date(end));
            return Some((what, "renew it; clients that look refuse it", true));
        }
        if now < begin {
            let what = format!("{shown}: {which}is valid only from {}", date(begin));
            return Some((what, "see whether this machine's clock is right", true));
        }
        if end - now < SOON.min((end - begin) / 3) {
            let days = (end - now) / DAY;
            let what = format!(
                "{shown}: {which}expires on {}, in {days} day{}",
                date(end),
                if days == 1 { "" } else { "s" }
            );
            return Some((what, "renew it", false));
        }
        None
    })
}

/// What is wrong with the mode of a private key.
fn readable(path: &Path) -> Option<String> {
    // Through a link: the mode of what is read counts.
    let mode = fs::metadata(path).ok()?.mode() & 0o7777;
    let verb = match (mode & 0o004 != 0, mode & 0o022 != 0) {
        (true, _) => "any user of this machine can read it",
        (false, true) => "others than its owner can replace it",
        (false, false) => return None,
    };
    Some(format!(
        "{}: its mode is {mode:04o}: {verb}",
        path.display()
    ))
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `2026-11-26`
fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "a date that no calendar has".to_owned(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Valid from 2026-01-01 to 2026-07-01.
    fn issued(folder: &Path) -> PathBuf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 7, 1);
        let path = folder.join("mx.pem");
        fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        path
    }

    fn at(date: &str) -> i64 {
        let text = format!("{date}T12:00:00Z");
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    #[test]
    fn an_end_is_told_before_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = issued(folder.path());
        let said = |date: &str| ending(&path, at(date));
        assert_eq!(said("2026-03-01"), None);
        assert_eq!(said("2026-06-10"), None);
        let (what, _, severe) = said("2026-06-20").unwrap();
        assert!(
            what.ends_with("mx.pem: expires on 2026-07-01, in 10 days"),
            "{what}"
        );
        assert!(!severe);
        let (what, _, severe) = said("2026-07-02").unwrap();
        assert!(what.ends_with("mx.pem: expired on 2026-07-01"), "{what}");
        assert!(severe);
        let (what, _, severe) = said("2025-12-01").unwrap();
        assert!(
            what.ends_with("mx.pem: is valid only from 2026-01-01"),
            "{what}"
        );
        assert!(severe);
    }

    #[test]
    fn a_key_that_any_user_reads_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mx.key");
        fs::write(&path, "").unwrap();
        for (mode, part) in [
            (0o600, None),
            (0o640, None),
            (0o644, Some("read")),
            (0o660, Some("replace")),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let said = readable(&path);
            assert_eq!(said.is_some(), part.is_some(), "{mode:o}: {said:?}");
            assert!(said.unwrap_or_default().contains(part.unwrap_or_default()));
        }
    }
}
