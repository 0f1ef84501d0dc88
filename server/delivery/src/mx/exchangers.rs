//! The hosts that take mail for a domain, in the order in which they are tried.

use super::no_target::NoTarget;

/// Hosts of one domain that are looked up and tried in one attempt.
pub const MOST_EXCHANGERS: usize = 10;

/// What DNS says of a name and a type of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// These records.
    Found(Vec<T>),
    /// These records, and perhaps others, which could not be looked up for this reason.
    Partly(Vec<T>, String),
    /// The name exists, and has no such record.
    Nothing,
    /// The name does not exist.
    NoSuchName,
    /// Nothing that could be relied on, for this reason: the servers failed, refused or did not answer.
    Failed(String),
}

impl<T> Answer<T> {
    /// What two questions about one name come to, those for its IPv6 and its IPv4 addresses: all that was found, and the
    /// failure if one of them failed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.is_no_such_name() && other.is_no_such_name() {
            return Self::NoSuchName;
        }
        let (mut all, failed) = self.into_parts();
        let (more, also_failed) = other.into_parts();
        all.extend(more);
        match (all.is_empty(), failed.or(also_failed)) {
            (true, None) => Self::Nothing,
            (true, Some(why)) => Self::Failed(why),
            (false, None) => Self::Found(all),
            (false, Some(why)) => Self::Partly(all, why),
        }
    }

    fn is_no_such_name(&self) -> bool {
        matches!(self, Self::NoSuchName)
    }

    /// What was found, and why there may be more.
    pub(super) fn into_parts(self) -> (Vec<T>, Option<String>) {
        match self {
            Self::Found(all) => (all, None),
            Self::Partly(all, why) => (all, Some(why)),
            Self::Failed(why) => (Vec::new(), Some(why)),
            Self::Nothing | Self::NoSuchName => (Vec::new(), None),
        }
    }
}

/// An MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Lower ones are tried first.
    pub preference: u16,
    /// The host in lower case without the dot at its end; empty: the root, which stands for no host.
    pub host: String,
}

/// A host that takes mail for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanger {
    /// Lower ones are tried first.
    pub preference: u16,
    /// Its name.
    pub host: String,
}

/// The hosts of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchangers {
    /// In the order in which they are tried; at most [`MOST_EXCHANGERS`]. Empty only where `own` is one of the best.
    pub hosts: Vec<Exchanger>,
    /// The host among them that is this gateway, by its name, if there is one. What is not preferred to it is left out.
    pub own: Option<Exchanger>,
    /// There are more than [`MOST_EXCHANGERS`]: what holds for all in the list need not hold for the others.
    pub cut: bool,
}

/// Sorts the MX records of `domain`: the lowest preference first, equal ones at random (`draw` gives random numbers). Without
/// MX records the domain itself is the host. `own` are the names of this gateway: mail is only handed to hosts that are
/// preferred to it.
///
/// # Errors
/// The domain takes no mail, does not exist, names no host, or could not be looked up.
pub fn exchangers(
    domain: &str,
    answer: Answer<Record>,
    own: &[String],
    draw: &mut dyn FnMut() -> u32,
) -> Result<Exchangers, NoTarget> {
    let domain = domain.to_owned();
    let mut records = match answer {
        Answer::Found(records) | Answer::Partly(records, _) => records,
        // RFC 5321 5.1: an implicit MX.
        Answer::Nothing => vec![Record {
            preference: 0,
            host: domain.clone(),
        }],
        Answer::NoSuchName => return Err(NoTarget::NoSuchDomain { domain }),
        Answer::Failed(why) => return Err(NoTarget::Lookup { name: domain, why }),
    };
    // RFC 7505: "." is alone, or it is a mistake and counts for nothing.
    if !records.is_empty() && records.iter().all(|record| record.host.is_empty()) {
        return Err(NoTarget::NullMx { domain });
    }
    records.retain(|record| is_host(&record.host));
    if records.is_empty() {
        return Err(NoTarget::NoHost { domain });
    }
    let mut drawn: Vec<_> = records.into_iter().map(|one| (draw(), one)).collect();
    drawn.sort_by_key(|(drawn, record)| (record.preference, *drawn));
    let own_names = |host: &str| own.iter().any(|name| name.eq_ignore_ascii_case(host));
    let own = drawn.iter().find(|(_, one)| own_names(&one.host));
    let own = own.map(|(_, one)| Exchanger {
        preference: one.preference,
        host: one.host.clone(),
    });
    let mut hosts: Vec<Exchanger> = Vec::new();
    let mut cut = false;
    for (_, Record { preference, host }) in drawn {
        let preferred = own.as_ref().is_none_or(|own| preference < own.preference);
        if !preferred {
            break;
        }
        if hosts.iter().any(|known| known.host == host) {
            continue;
        }
        if hosts.len() == MOST_EXCHANGERS {
            cut = true;
            break;
        }
        hosts.push(Exchanger { preference, host });
    }
    Ok(Exchangers { hosts, own, cut })
}

/// Whether an MX record may name it: a domain name, and not an address (RFC 5321 5.1, RFC 2181 10.3).
fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    !host.is_empty() && !last.is_empty() && !last.bytes().all(|octet| octet.is_ascii_digit())
}
