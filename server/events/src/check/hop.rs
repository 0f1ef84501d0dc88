//! Next hops.

use std::time::{Duration, UNIX_EPOCH};

use postern_proto::v1 as pb;

use super::value::{limit, name_or_empty, wait};
use crate::fault::Fault;
use crate::route::{NextHop, Target, TlsPolicy};

/// Next hops in one list.
const MAX_HOPS: usize = 100;

/// Next hops, in the order in which to try.
pub(crate) fn next_hops(hops: Vec<pb::NextHop>) -> Result<Vec<NextHop>, Fault> {
    limit("next hops", hops.len(), MAX_HOPS)?;
    hops.into_iter().map(next_hop).collect()
}

/// A next hop.
pub(crate) fn next_hop(hop: pb::NextHop) -> Result<NextHop, Fault> {
    if Target::parse(&hop.deliver).is_none() {
        return Err(Fault::protocol(format!(
            "{:?} is no way to deliver",
            hop.deliver
        )));
    }
    let tls = match pb::TlsPolicy::try_from(hop.tls) {
        Ok(pb::TlsPolicy::Unspecified) => TlsPolicy::Configured,
        Ok(pb::TlsPolicy::None) => TlsPolicy::None,
        Ok(pb::TlsPolicy::Opportunistic) => TlsPolicy::Opportunistic,
        Ok(pb::TlsPolicy::Encrypt) => TlsPolicy::Encrypt,
        Ok(pb::TlsPolicy::Verify) => TlsPolicy::Verify,
        Ok(pb::TlsPolicy::Dane) => TlsPolicy::Dane,
        Ok(pb::TlsPolicy::Implicit) => TlsPolicy::Implicit,
        Err(_) => return Err(Fault::protocol("the TLS policy of a next hop is unknown")),
    };
    let source = &hop.source_address;
    if !source.is_empty() && source.parse::<std::net::IpAddr>().is_err() {
        return Err(Fault::protocol(format!("{source:?} is no address")));
    }
    let is_line = |octets: &[u8]| octets.len() <= 255 && octets.iter().all(u8::is_ascii_graphic);
    if !is_line(&hop.helo_name) {
        return Err(Fault::protocol("the name to greet with is no name"));
    }
    let extensions = &hop.disabled_extensions;
    limit("disabled extensions", extensions.len(), 32)?;
    if !extensions.iter().all(|own| is_line(own.as_bytes())) {
        return Err(Fault::protocol("a disabled extension is no keyword"));
    }
    let not_before = match hop.not_before {
        None => None,
        Some(time) => {
            let seconds = u64::try_from(time.seconds).ok();
            let at =
                seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
            Some(at.ok_or_else(|| Fault::protocol("the time of a next hop is out of range"))?)
        }
    };
    let timeout = hop.connect_timeout.as_ref();
    let timeout = timeout.map(|time| wait(time, "the time-out of a next hop"));
    Ok(NextHop {
        name: name_or_empty(hop.name, "the name of a next hop")?,
        credentials: name_or_empty(hop.credentials, "the name of credentials")?,
        connect_timeout: timeout.transpose()?,
        deliver: hop.deliver,
        tls,
        source_address: hop.source_address,
        helo_name: hop.helo_name,
        disabled_extensions: hop.disabled_extensions,
        use_helo: hop.use_helo,
        not_before,
        max_connections: (hop.max_connections > 0).then_some(hop.max_connections),
    })
}

#[cfg(test)]
mod tests;
