//! What no single value can show: references, contradictions, clashes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::nearest::nearest;
use crate::origin::KeyPath;
use crate::reader::Reader;
use crate::settings::Config;
use crate::settings::binding::Binding;
use crate::settings::delivery::{Deliver, Domain, DomainAlias, LineEnds, Recipients};
use crate::settings::route::{Route, TlsPolicy};
use crate::settings::server::{AuthInClear, ListenAddress, Listener, Protocol, Server};
use crate::settings::sink::{Endpoint, Sink};
use crate::tree::Node;

/// Looks at the whole. Elements that could not be read are not in `config`, but their names are in `root`.
pub(crate) fn config(config: &Config, root: &Node, reader: &mut Reader) {
    for server in &config.servers {
        check_server(server, reader);
    }
    check_listeners(config, reader);
    for server in &config.servers {
        check_proxies(server, reader);
    }
    check_memory(config, reader);
    for sink in &config.sinks {
        check_sink(sink, reader);
    }
    let names = |section| {
        let table = root
            .as_table()
            .and_then(|table| table.get(section))
            .and_then(Node::as_table);
        table
            .into_iter()
            .flat_map(|table| &table.entries)
            .map(|entry| entry.key.as_str())
            .collect::<Vec<_>>()
    };
    for binding in &config.bindings {
        check_binding(binding, &names("sink"), &names("server"), reader);
    }
    check_delivery(config, reader);
    check_stores(config, &names("sink"), reader);
    for route in &config.routes {
        check_route(route, config, reader);
    }
    for domain in &config.domains {
        check_domain(domain, reader);
    }
    for alias in &config.domain_aliases {
        check_domain_alias(alias, config, reader);
    }
}

/// What may stand between a user and a tag.
const SEPARATORS: [&str; 6] = ["+", "-", "_", "=", ".", "#"];

fn check_names(domain: &Domain, reader: &mut Reader) {
    let key = |last| ["domain", domain.name.as_str(), last];
    let separator = domain.subaddress.as_deref();
    if separator.is_some_and(|separator| !SEPARATORS.contains(&separator)) {
        fail(
            reader,
            &key("subaddress"),
            "separates no user from a tag",
            format!("write one of {}", SEPARATORS.join(" ")),
        );
    }
    let who_exists_is_known = matches!(domain.recipients, Recipients::File(_))
        || (matches!(domain.deliver, Deliver::Maildir(_)) && !domain.create);
    if domain.catch_all.is_some() && !who_exists_is_known {
        fail(
            reader,
            &key("catch_all"),
            "has no effect here: every recipient exists",
            "say who does, with recipients = { file = \"…\" }",
        );
    }
}

/// Another name of a domain that is none, or that is one itself.
fn check_domain_alias(alias: &DomainAlias, config: &Config, reader: &mut Reader) {
    let names = || config.domains.iter().map(|domain| domain.name.as_str());
    if !names().any(|name| name == alias.of) {
        let near = nearest(&alias.of, names());
        let advice = near.map_or("name a [[domain]]".to_owned(), |near| {
            format!("did you mean \"{near}\"?")
        });
        let key = ["domain_alias", alias.name.as_str(), "of"];
        let what = format!("there is no [[domain]] \"{}\"", alias.of);
        fail(reader, &key, what, advice);
    } else if alias.of.starts_with("*.") {
        let key = ["domain_alias", alias.name.as_str(), "of"];
        fail(reader, &key, "is no domain but many", "name one of them");
    }
    if names().any(|name| name == alias.name) {
        let key = ["domain_alias", alias.name.as_str(), "name"];
        let what = "is a [[domain]] itself";
        fail(reader, &key, what, "leave one of the two out");
    }
}

/// Each sink that is named as a store is there.
fn check_stores(config: &Config, sinks: &[&str], reader: &mut Reader) {
    let domains = config.domains.iter().map(|own| {
        let key = vec!["domain", own.name.as_str(), "deliver"];
        (key, Some(&own.deliver))
    });
    let routes = config.routes.iter().map(|own| {
        let key = vec!["route", own.name.as_str(), "deliver"];
        (key, own.deliver.as_ref())
    });
    let outbound = (
        vec!["outbound", "deliver"],
        config.outbound.deliver.as_ref(),
    );
    for (key, deliver) in domains.chain(routes).chain([outbound]) {
        if let Some(Deliver::Sink(name)) = deliver
            && !sinks.contains(&name.as_str())
        {
            let (what, advice) = missing("sink", name, sinks);
            fail(reader, &key, what, advice);
        }
    }
}

/// That there is no such element, and what to do.
fn missing(kind: &str, wanted: &str, names: &[&str]) -> (String, String) {
    let near = nearest(wanted, names.iter().copied());
    let advice = near.map_or("add it, or name one that is there".to_owned(), |near| {
        format!("did you mean \"{near}\"?")
    });
    (format!("there is no [[{kind}]] named \"{wanted}\""), advice)
}

fn check_domain(domain: &Domain, reader: &mut Reader) {
    check_names(domain, reader);
    if domain.line_ends == LineEnds::Lf && !matches!(domain.deliver, Deliver::Maildir(_)) {
        fail(
            reader,
            &["domain", &domain.name, "line_ends"],
            "has no effect here",
            "leave it out, or use it with deliver = \"maildir:…\"",
        );
    }
    if domain.create && !matches!(domain.deliver, Deliver::Maildir(_)) {
        fail(
            reader,
            &["domain", &domain.name, "create"],
            "has no effect here",
            "leave it out, or use it with deliver = \"maildir:…\"",
        );
    }
}

fn fail(reader: &mut Reader, key: &[&str], what: impl Into<String>, advice: impl Into<String>) {
    let origin = crate::load::origin_in(&reader.places, key);
    reader.fail(&origin, &KeyPath::of(key), what, advice);
}

fn check_server(server: &Server, reader: &mut Reader) {
    let name = server.name.as_str();
    if server.listen.is_empty() {
        fail(
            reader,
            &["server", name, "listen"],
            "is empty",
            "name at least one address",
        );
    }
    if server.tls.is_empty() && server.listen.iter().any(|listener| listener.implicit_tls) {
        fail(
            reader,
            &["server", name, "listen"],
            "has tls = \"implicit\", but the server has no certificate",
            "set tls = { cert = \"…\", key = \"…\" } in this [[server]]",
        );
    }
    check_submission(server, reader);
    if server.max_message_size == 0 {
        fail(
            reader,
            &["server", name, "max_message_size"],
            "takes no message at all",
            "write more than 0",
        );
    }
    let limits = &server.limits;
    // RFC 5321 section 4.5.3.1.6: text lines of 1000 octets have to be taken.
    if limits.line_length < 1000 {
        let advice = "write \"1000 B\" or more";
        fail(
            reader,
            &["server", name, "limits", "line_length"],
            "is shorter than RFC 5321 allows",
            advice,
        );
    }
    if limits.header_size < 1000 {
        let advice = "write \"1000 B\" or more";
        fail(
            reader,
            &["server", name, "limits", "header_size"],
            "leaves no room for headers",
            advice,
        );
    }
    if limits.recipients < 100 {
        let advice = "write 100 or more (RFC 5321 section 4.5.3.1.8)";
        fail(
            reader,
            &["server", name, "limits", "recipients"],
            "is less than a server has to take",
            advice,
        );
    }
}

/// Submission needs users, and TLS wherever a password may come from.
fn check_submission(server: &Server, reader: &mut Reader) {
    let name = server.name.as_str();
    let Some(submission) = &server.submission else {
        if server.protocol == Protocol::Submission {
            fail(
                reader,
                &["server", name, "protocol"],
                "is \"submission\", and nothing says who may submit",
                "add [server.submission] with users = \"…\", and make the file with \"postern user add\"",
            );
        }
        return;
    };
    if server.protocol != Protocol::Submission {
        fail(
            reader,
            &["server", name, "submission"],
            "has no effect here",
            "write protocol = \"submission\", or remove it",
        );
        return;
    }
    if server.tls.is_empty() && submission.auth_in_clear == AuthInClear::Never {
        fail(
            reader,
            &["server", name, "protocol"],
            "is \"submission\", and without TLS nobody could authenticate",
            "set tls = { cert = \"…\", key = \"…\" }, or for this machine alone auth_in_clear = \"loopback\"",
        );
    }
    if !server.relay_from.is_empty() {
        fail(
            reader,
            &["server", name, "relay_from"],
            "has no effect here: whoever has authenticated may relay, and nobody else sends anything",
            "remove it",
        );
    }
}

/// A proxy has to be named where it may connect, and has to have somewhere to connect to.
fn check_proxies(server: &Server, reader: &mut Reader) {
    let name = server.name.as_str();
    let over_tcp = |listener: &&Listener| !matches!(listener.address, ListenAddress::Unix(_));
    let mut listeners = server.listen.iter().filter(|listener| listener.proxy);
    let any = server.listen.iter().any(|listener| listener.proxy);
    if server.proxy_from.is_empty() && listeners.any(|listener| over_tcp(&listener)) {
        fail(
            reader,
            &["server", name, "listen"],
            "has proxy = true, and nothing says whose headers are believed",
            "set proxy_from to the networks of the proxies",
        );
    }
    if !server.proxy_from.is_empty() && !any {
        fail(
            reader,
            &["server", name, "proxy_from"],
            "has no effect: no listener takes the PROXY protocol",
            "write listen = { address = \"…\", proxy = true }, or remove it",
        );
    }
}

/// Two listeners on one address: the second would fail when the gateway starts.
fn check_listeners(config: &Config, reader: &mut Reader) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    if let Some(address) = config.metrics.listen.filter(|address| address.port() != 0) {
        taken.insert(address.to_string(), "metrics.listen".to_owned());
    }
    for server in &config.servers {
        for listener in &server.listen {
            if matches!(listener.address, ListenAddress::Tcp(address) if address.port() == 0) {
                continue;
            }
            let key = KeyPath::of(&["server", &server.name, "listen"]).to_string();
            if let Some(other) = taken.insert(listener.address.to_string(), key) {
                let what = format!("{} is taken by {other}", listener.address);
                fail(
                    reader,
                    &["server", &server.name, "listen"],
                    what,
                    "choose another address or port",
                );
            }
        }
    }
}

/// What less than would serve nobody.
const LEAST_MEMORY: u64 = 1 << 20;

fn check_memory(config: &Config, reader: &mut Reader) {
    let memory = &config.memory;
    for (key, octets) in [
        ("clients", memory.clients),
        ("per_client", memory.per_client),
    ] {
        if octets < LEAST_MEMORY {
            fail(
                reader,
                &["memory", key],
                "is too little to take mail with",
                "write \"1 MiB\" or more",
            );
        }
    }
    if memory.per_client > memory.clients {
        fail(
            reader,
            &["memory", "per_client"],
            "is more than memory.clients, what all of them may hold",
            "write less, or more there",
        );
    }
}

fn check_sink(sink: &Sink, reader: &mut Reader) {
    let name = sink.name.as_str();
    if sink.endpoints.is_empty() {
        fail(
            reader,
            &["sink", name, "endpoint"],
            "is empty",
            "name at least one endpoint",
        );
    }
    if let Some(open) = sink
        .endpoints
        .iter()
        .find(|endpoint| !endpoint.is_private())
        .filter(|_| !sink.plaintext)
    {
        fail(
            reader,
            &["sink", name, "endpoint"],
            format!("{open} is neither loopback nor TLS"),
            "write https://, or allow it with plaintext = true",
        );
    }
    let Some(tls) = &sink.tls else { return };
    if !sink
        .endpoints
        .iter()
        .any(|endpoint| matches!(endpoint, Endpoint::Tcp { tls: true, .. }))
    {
        fail(
            reader,
            &["sink", name, "tls"],
            "is set, but no endpoint is https://",
            "write https:// or remove it",
        );
    }
    match (&tls.cert, &tls.key) {
        (Some(_), None) => fail(
            reader,
            &["sink", name, "tls", "cert"],
            "has no key",
            "set tls.key too",
        ),
        (None, Some(_)) => fail(
            reader,
            &["sink", name, "tls", "key"],
            "has no certificate",
            "set tls.cert too",
        ),
        _ => {}
    }
}

fn check_binding(binding: &Binding, sinks: &[&str], servers: &[&str], reader: &mut Reader) {
    let name = binding.name.as_str();
    if !sinks.contains(&binding.sink.as_str()) {
        let (what, advice) = missing("sink", &binding.sink, sinks);
        fail(reader, &["binding", name, "sink"], what, advice);
    }
    for server in binding
        .servers
        .iter()
        .filter(|server| !servers.contains(&server.as_str()))
    {
        let (what, advice) = missing("server", server, servers);
        fail(reader, &["binding", name, "servers"], what, advice);
    }
    if binding.events.as_ref().is_some_and(Vec::is_empty) {
        fail(
            reader,
            &["binding", name, "events"],
            "is empty",
            "name an event, or set enabled = false",
        );
    }
}

fn check_route(route: &Route, config: &Config, reader: &mut Reader) {
    let name = route.name.as_str();
    let mut wrong = |key: &[&str], what: &str, advice: &str| {
        let key = [&["route", name], key].concat();
        fail(reader, &key, what, advice);
    };
    let mut others = config.routes.iter().take_while(|other| other.name != name);
    if let Some(other) = others.find(|other| other.domains == route.domains) {
        let what = format!("is that of [[route]] \"{}\" too", other.name);
        wrong(&["match"], &what, "leave one of them out");
    }
    let mut domains = config.domains.iter();
    if route.deliver.is_some() && domains.any(|domain| domain.name == route.domains) {
        let what = "is not asked: the [[domain]] of this name says where its mail goes";
        wrong(&["deliver"], what, "leave it out, or set it there");
    }
    if matches!(route.deliver, Some(Deliver::Maildir(_))) {
        let what = "is a store, and other domains than ours have none here";
        wrong(&["deliver"], what, "name a next hop, or add a [[domain]]");
    }
    if route.ca.is_some() && route.tls != TlsPolicy::Verified {
        wrong(&["ca"], "has no effect here", "set tls = \"verified\"");
    }
    let kinds = route
        .source
        .iter()
        .filter(|source| source.is_ipv4())
        .count();
    if kinds > 1 || route.source.len() - kinds > 1 {
        let advice = "name one for IPv4 and one for IPv6";
        wrong(&["source"], "has two addresses of one kind", advice);
    }
    if route.retry.as_ref().is_some_and(Vec::is_empty) {
        wrong(&["retry"], "is empty", "name at least one wait");
    }
    let retry = route.retry.as_ref().unwrap_or(&config.queue.retry);
    let expire = route.expire.unwrap_or(config.queue.expire);
    let too_short = retry.first().is_some_and(|first| *first > expire);
    if too_short && route.expire.is_some() {
        let what = "is shorter than the first wait of retry";
        wrong(&["expire"], what, "write a longer time");
    } else if too_short && route.retry.is_some() {
        let what = "begins with a longer wait than queue.expire";
        wrong(&["retry"], what, "write a shorter one, or set expire here");
    }
    let Some(auth) = &route.auth else { return };
    if auth.password.is_some() == auth.password_file.is_some() {
        let what = "needs password or password_file, and not both";
        wrong(&["auth"], what, "name a file with the password in it");
    }
    if auth.user.contains(['\0', '\r', '\n']) {
        wrong(
            &["auth", "user"],
            "has a line break in it",
            "write the user's name",
        );
    }
    let mut domains = config.domains.iter();
    if domains.any(|domain| domain.name == route.domains) {
        let what = "has no effect here: the [[domain]] of this name says where its mail goes";
        wrong(&["auth"], what, "leave it out");
        return;
    }
    let next_hop = route.deliver.as_ref().or(config.outbound.deliver.as_ref());
    if matches!(next_hop, None | Some(Deliver::Mx)) {
        let what = "would give the password to whatever host DNS names";
        let advice = "name the host that it is for: deliver = \"smtp://host:port\"";
        wrong(&["auth"], what, advice);
        return;
    }
    if matches!(next_hop, Some(Deliver::Sink(_))) {
        let what = "has no effect here: a sink keeps the mailboxes, and no host is spoken to";
        wrong(&["auth"], what, "leave it out");
        return;
    }
    let in_clear = matches!(route.tls, TlsPolicy::Opportunistic | TlsPolicy::Off);
    if in_clear && !is_loopback(next_hop) {
        let what = "would let a password go in clear text";
        wrong(
            &["tls"],
            what,
            "write tls = \"verified\", or \"required\" if its certificate cannot be",
        );
    }
}

/// Whether it is on this host, as it is named.
fn is_loopback(deliver: Option<&Deliver>) -> bool {
    match deliver {
        Some(Deliver::Smtp { host, .. } | Deliver::Lmtp { host, .. }) => {
            host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        Some(Deliver::LmtpUnix(_)) => true,
        Some(Deliver::Maildir(_) | Deliver::Mx | Deliver::Sink(_)) | None => false,
    }
}

fn check_delivery(config: &Config, reader: &mut Reader) {
    if config.queue.retry.is_empty() {
        fail(
            reader,
            &["queue", "retry"],
            "is empty",
            "name at least one wait",
        );
    }
    if config
        .queue
        .retry
        .first()
        .is_some_and(|first| *first > config.queue.expire)
    {
        fail(
            reader,
            &["queue", "expire"],
            "is shorter than the first wait of retry",
            "write a longer time",
        );
    }
}
