//! From the next hops that a sink names to where mail goes.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use postern_delivery::{Destination, Hop, HopAddress, Terms, TlsPolicy, verified};
use postern_events::route::{NextHop, TlsPolicy as Ordered};
use rustls::ClientConfig;

use super::routes::{Route, Routes};

/// Where next hops lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Led {
    /// There, and nowhere before a time if one is given.
    To(Destination, Option<SystemTime>),
    /// To where the configuration says.
    AsConfigured,
    /// Nowhere, for now or for good.
    Nowhere {
        /// It may pass.
        later: bool,
    },
}

/// The next hops cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// A way to deliver that is not in this version, or a word that is none.
    #[error("\"{0}\" is no way to deliver in this version")]
    Deliver(String),
    /// Something that a next hop asks for is not in this version.
    #[error("{0} of a next hop is not in this version")]
    NotYet(&'static str),
    /// A Maildir that no `[[domain]]` has.
    #[error("no [[domain]] has {0}")]
    Maildir(String),
    /// A sink that is in no plan.
    #[error("there is no route with the credentials \"{0}\" for this host")]
    Credentials(String),
    /// Certificates cannot be verified on this host.
    #[error("certificates cannot be verified: {0}")]
    Tls(String),
    /// It has no host or no port.
    #[error("\"{0}\" has no usable host and port")]
    Address(String),
    /// The name to greet with is no text.
    #[error("the name to greet with is no text")]
    Greeting,
}

/// What certificates are verified with where a sink says so: made at first use.
#[derive(Default)]
pub(crate) struct Verifier(OnceLock<Result<Arc<ClientConfig>, String>>);

impl Verifier {
    fn get(&self) -> Result<Arc<ClientConfig>, Unusable> {
        let made = self
            .0
            .get_or_init(|| verified(None).map_err(|error| error.to_string()));
        made.clone().map_err(Unusable::Tls)
    }
}

/// Where mail of a domain goes by these hops, in whose order they are tried. A store, and `unreachable`, end the list.
///
/// # Errors
/// [`Unusable`]
pub(crate) fn lead(
    hops: &[NextHop],
    domain: &str,
    configured: Option<&Destination>,
    routes: &Routes,
    verifier: &Verifier,
) -> Result<Led, Unusable> {
    let Some((first, others)) = hops.split_first() else {
        return Ok(Led::AsConfigured);
    };
    let mut led = one(first, domain, configured, routes, verifier)?;
    if let Led::To(Destination::Hop(own), _) = &mut led {
        for other in others {
            match one(other, domain, configured, routes, verifier)? {
                Led::To(Destination::Hop(next), _) => own.then.push(next),
                _ => break,
            }
        }
    }
    Ok(led)
}

fn one(
    hop: &NextHop,
    domain: &str,
    configured: Option<&Destination>,
    routes: &Routes,
    verifier: &Verifier,
) -> Result<Led, Unusable> {
    if hop.use_helo {
        return Err(Unusable::NotYet("use_helo"));
    }
    if !hop.disabled_extensions.is_empty() {
        return Err(Unusable::NotYet("disabled_extensions"));
    }
    if hop.max_connections.is_some() {
        return Err(Unusable::NotYet("max_connections"));
    }
    let unknown = || Unusable::Deliver(hop.deliver.clone());
    let (lmtp, address) = match hop.deliver.as_str() {
        "unreachable" => return Ok(Led::Nowhere { later: false }),
        "unreachable:later" => return Ok(Led::Nowhere { later: true }),
        "local" => return Ok(Led::AsConfigured),
        "mx" => (false, HopAddress::Mx(domain.to_owned())),
        other => {
            if let Some(name) = other.strip_prefix("sink:") {
                return Ok(Led::To(Destination::Sink(name.into()), hop.not_before));
            }
            if let Some(path) = other.strip_prefix("maildir:") {
                let known = routes.maildir(path.as_ref());
                let known = known.ok_or_else(|| Unusable::Maildir(other.to_owned()))?;
                return Ok(Led::To(known.clone(), hop.not_before));
            }
            if let Some(path) = other.strip_prefix("lmtp+unix:") {
                (true, HopAddress::Unix(path.into()))
            } else if let Some(rest) = other.strip_prefix("smtp://") {
                (
                    false,
                    tcp(rest, 25).ok_or_else(|| Unusable::Address(other.to_owned()))?,
                )
            } else if let Some(rest) = other.strip_prefix("lmtp://") {
                (
                    true,
                    tcp(rest, 24).ok_or_else(|| Unusable::Address(other.to_owned()))?,
                )
            } else {
                return Err(unknown());
            }
        }
    };
    let terms = terms(hop, &address, configured, routes, verifier)?;
    let hop_to = Hop {
        lmtp,
        address,
        terms: Arc::new(terms),
        then: Vec::new(),
        asked_for: None,
    };
    Ok(Led::To(Destination::Hop(hop_to), hop.not_before))
}

/// The terms of the configuration for where mail of the domain goes, with what the sink says otherwise. A password is for
/// the host that the operator named with it.
fn terms(
    hop: &NextHop,
    address: &HopAddress,
    configured: Option<&Destination>,
    routes: &Routes,
    verifier: &Verifier,
) -> Result<Terms, Unusable> {
    let mut terms = match configured {
        Some(Destination::Hop(own)) if own.address == *address => Terms::clone(&own.terms),
        Some(Destination::Hop(own)) => Terms {
            login: None,
            ..Terms::clone(&own.terms)
        },
        _ => Terms::default(),
    };
    let mut given = Vec::new();
    match hop.tls {
        Ordered::Configured => {}
        Ordered::None => terms.tls = TlsPolicy::Off,
        Ordered::Opportunistic => terms.tls = TlsPolicy::Opportunistic,
        Ordered::Encrypt => terms.tls = TlsPolicy::Required,
        Ordered::Verify => terms.tls = TlsPolicy::Verified(verifier.get()?),
        Ordered::Dane => return Err(Unusable::NotYet("DANE")),
        Ordered::Implicit => return Err(Unusable::NotYet("TLS from the first octet")),
    }
    if hop.tls != Ordered::Configured {
        given.push(format!("tls={}", hop.tls.name()));
    }
    if let Ok(source) = hop.source_address.parse() {
        terms.source = vec![source];
        given.push(format!("from={source}"));
    }
    if !hop.helo_name.is_empty() {
        let name = std::str::from_utf8(&hop.helo_name).map_err(|_| Unusable::Greeting)?;
        terms.ehlo = Some(name.to_owned());
        given.push(format!("as={name}"));
    }
    if let Some(timeout) = hop.connect_timeout {
        terms.connect_timeout = Some(timeout);
        given.push(format!("within={}ms", timeout.as_millis()));
    }
    if !hop.credentials.is_empty() {
        let wrong = || Unusable::Credentials(hop.credentials.clone());
        let (own, route) = routes.named(&hop.credentials).ok_or_else(wrong)?;
        let is_for =
            matches!(route, Some(Route::To(Destination::Hop(to))) if to.address == *address);
        if !is_for || own.login.is_none() {
            return Err(wrong());
        }
        terms.login.clone_from(&own.login);
        given.push(format!("login={}", hop.credentials));
    }
    if !hop.name.is_empty() {
        given.push(format!("name={}", hop.name));
    }
    // What a sink says makes other terms than those of the route that they come from.
    terms.given = given.join(" ");
    Ok(terms)
}

fn tcp(text: &str, port: u16) -> Option<HopAddress> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => port,
        None => return None,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let valid = !host.is_empty() && host.chars().all(is_name);
    valid.then(|| HopAddress::Tcp(host.to_ascii_lowercase(), port))
}

/// A destination as a next hop, for who is asked whether it is to be another one.
pub(crate) fn shown(destination: &Destination) -> NextHop {
    let Destination::Hop(hop) = destination else {
        return NextHop::to(destination.to_string());
    };
    let bare = Hop {
        terms: Arc::default(),
        then: Vec::new(),
        ..hop.clone()
    };
    let deliver = match &hop.address {
        HopAddress::Mx(_) => "mx".to_owned(),
        _ => bare.to_string(),
    };
    let terms = &hop.terms;
    NextHop {
        name: terms.name.clone(),
        tls: match &terms.tls {
            TlsPolicy::Opportunistic => Ordered::Opportunistic,
            TlsPolicy::Required => Ordered::Encrypt,
            TlsPolicy::Verified(_) => Ordered::Verify,
            TlsPolicy::Off => Ordered::None,
        },
        source_address: terms
            .source
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        helo_name: terms.ehlo.clone().unwrap_or_default().into(),
        credentials: match terms.login {
            Some(_) => terms.name.clone(),
            None => String::new(),
        },
        ..NextHop::to(deliver)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use postern_smtp::client::Login;

    use super::super::routes::Rule;
    use super::*;

    fn hop(host: &str) -> Destination {
        Destination::Hop(Hop::new(false, HopAddress::Tcp(host.to_owned(), 25)))
    }

    fn routes() -> Routes {
        let mut routes = Routes::new(Some(Route::Mx));
        routes.add(
            "local.test",
            Destination::Maildir {
                template: "/mail/{user}".into(),
                create: true,
                line_ends: Default::default(),
            },
        );
        routes.add_rule(
            "smart.test",
            Rule {
                route: Some(hop("smart.test").into()),
                terms: Arc::new(Terms {
                    name: "smart".to_owned(),
                    login: Some(Login::new("me", "sesame").unwrap()),
                    ..Terms::default()
                }),
                schedule: None,
            },
        );
        routes
    }

    fn led(hops: &[NextHop]) -> Result<Led, Unusable> {
        let configured = Destination::Hop(Hop::new(false, HopAddress::Mx("x.test".to_owned())));
        lead(
            hops,
            "x.test",
            Some(&configured),
            &routes(),
            &Verifier::default(),
        )
    }

    #[test]
    fn words_lead_where_the_configuration_has_them_lead() {
        for (word, to) in [
            ("smtp://a.test", "smtp://a.test:25"),
            ("lmtp://[::1]:2424", "lmtp://[::1]:2424"),
            ("lmtp+unix:/run/x", "lmtp+unix:/run/x"),
            ("maildir:/mail/{user}", "maildir:/mail/{user}"),
            ("sink:store", "sink:store"),
            ("mx", "x.test"),
        ] {
            let Ok(Led::To(destination, None)) = led(&[NextHop::to(word)]) else {
                panic!("{word}")
            };
            assert_eq!(destination.to_string(), to, "{word}");
        }
        assert_eq!(led(&[]), Ok(Led::AsConfigured));
        assert_eq!(led(&[NextHop::to("local")]), Ok(Led::AsConfigured));
        let nowhere = led(&[NextHop::to("unreachable:later")]);
        assert_eq!(nowhere, Ok(Led::Nowhere { later: true }));
    }

    #[test]
    fn hops_are_tried_in_their_order_up_to_a_store() {
        let all = [
            "smtp://a.test",
            "smtp://b.test",
            "sink:store",
            "smtp://c.test",
        ];
        let Ok(Led::To(destination, _)) = led(&all.map(NextHop::to)) else {
            panic!("it leads somewhere")
        };
        assert_eq!(
            destination.to_string(),
            "smtp://a.test:25, smtp://b.test:25"
        );
    }

    #[test]
    fn what_cannot_be_done_is_said_and_a_password_stays_with_its_host() {
        let with = |change: fn(&mut NextHop)| {
            let mut hop = NextHop::to("smtp://a.test");
            change(&mut hop);
            led(&[hop])
        };
        assert_eq!(
            with(|hop| hop.use_helo = true),
            Err(Unusable::NotYet("use_helo"))
        );
        assert_eq!(
            with(|hop| hop.tls = Ordered::Dane),
            Err(Unusable::NotYet("DANE"))
        );
        assert_eq!(
            with(|hop| hop.deliver = "maildir:/etc/{user}".to_owned()),
            Err(Unusable::Maildir("maildir:/etc/{user}".to_owned()))
        );
        assert_eq!(
            with(|hop| hop.deliver = "smtps://a.test".to_owned()),
            Err(Unusable::Deliver("smtps://a.test".to_owned()))
        );
        let login = |host: &str| {
            let hop = NextHop {
                credentials: "smart".to_owned(),
                ..NextHop::to(format!("smtp://{host}"))
            };
            led(&[hop])
        };
        assert_eq!(
            login("a.test"),
            Err(Unusable::Credentials("smart".to_owned()))
        );
        let Ok(Led::To(Destination::Hop(smart), _)) = login("smart.test") else {
            panic!("it is for this host")
        };
        assert!(smart.terms.login.is_some());
    }

    #[test]
    fn other_terms_are_another_destination_and_are_shown_as_they_came() {
        let own = NextHop {
            tls: Ordered::Encrypt,
            source_address: "192.0.2.1".to_owned(),
            helo_name: "out.test".into(),
            connect_timeout: Some(Duration::from_secs(5)),
            ..NextHop::to("smtp://a.test:26")
        };
        let Ok(Led::To(destination, _)) = led(std::slice::from_ref(&own)) else {
            panic!("it leads somewhere")
        };
        let Ok(Led::To(plain, _)) = led(&[NextHop::to("smtp://a.test:26")]) else {
            panic!("it leads somewhere")
        };
        assert_ne!(destination, plain);
        let shown = shown(&destination);
        assert_eq!(shown.deliver, own.deliver);
        assert_eq!(shown.tls, own.tls);
        assert_eq!(shown.source_address, own.source_address);
        assert_eq!(shown.helo_name, own.helo_name);
    }
}
