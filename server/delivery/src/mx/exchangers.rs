//! The hosts that take mail for a domain, in the order in which they are tried.

use super::no_target::NoTarget;

/// Hosts of one domain that are looked up and tried in one attempt.
pub const MOST_EXCHANGERS: usize = 10;

/// What DNS says of a name and a type of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// These records.
    Found(Vec<T>),
    /// The name exists, and has no such record.
    Nothing,
    /// The name does not exist.
    NoSuchName,
    /// Nothing that could be relied on, for this reason: the servers failed, refused or did not answer.
    Failed(String),
}

impl<T> Answer<T> {
    /// What two questions about one name come to, those for its IPv6 and its IPv4 addresses: all that was found. A failure
    /// counts where nothing was.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Found(mut all), Self::Found(more)) => {
                all.extend(more);
                Self::Found(all)
            }
            (Self::Found(all), _) | (_, Self::Found(all)) => Self::Found(all),
            (Self::Failed(why), _) | (_, Self::Failed(why)) => Self::Failed(why),
            (Self::NoSuchName, Self::NoSuchName) => Self::NoSuchName,
            _ => Self::Nothing,
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
        Answer::Found(records) => records,
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
    for (_, Record { preference, host }) in drawn {
        let preferred = own.as_ref().is_none_or(|own| preference < own.preference);
        if !preferred || hosts.len() == MOST_EXCHANGERS {
            break;
        }
        if hosts.iter().all(|known| known.host != host) {
            hosts.push(Exchanger { preference, host });
        }
    }
    Ok(Exchangers { hosts, own })
}

/// Whether an MX record may name it: a domain name, and not an address (RFC 5321 5.1, RFC 2181 10.3).
fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    !host.is_empty() && !last.is_empty() && !last.bytes().all(|octet| octet.is_ascii_digit())
}
