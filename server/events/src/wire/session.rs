//! The session: who the client is, what it said, how it behaved.

use bytes::Bytes;
use postern_proto::v1 as pb;

use super::{View, id, moment, span};
use crate::context::{
    AddressSource, Authentication, Client, Conduct, Helo, RawParameter, ReverseName,
    SessionContext, Tls,
};

/// Octets of certificates; above it only the peer's own is shown.
const MAX_CERTIFICATES: usize = 64 << 10;

/// The session, whole. Without `session` in the binding's `reads` only its id, server and protocol, and properties.
pub(crate) fn session(session: &SessionContext, view: &View<'_>) -> pb::Session {
    let least = pb::Session {
        session_id: id(session.id.as_bytes()),
        server: session.server.to_string(),
        protocol_name: session.protocol.name().to_owned(),
        properties: view.properties(&session.properties),
        ..pb::Session::default()
    };
    if !view.reads.session {
        return least;
    }
    pb::Session {
        client: Some(client(&session.client)),
        helo: session.helo.as_ref().map(helo),
        tls: session.tls.as_ref().map(tls),
        authentication: session.authentication.as_ref().map(authentication),
        may_relay: session.may_relay,
        started_at: Some(moment(session.started_at)),
        listener: session.listener.to_string(),
        hostname: session.hostname.to_string(),
        tenant: session.tenant.clone(),
        skipped_bindings: session.skipped.clone(),
        ..least
    }
}

fn client(client: &Client) -> pb::Client {
    let none: &[String] = &[];
    let (names, state) = match &client.reverse_name {
        ReverseName::NotAsked => (none, pb::ReverseName::Unspecified),
        ReverseName::None => (none, pb::ReverseName::None),
        ReverseName::Confirmed(names) => (&names[..], pb::ReverseName::Confirmed),
        ReverseName::Unconfirmed(names) => (&names[..], pb::ReverseName::Unconfirmed),
        ReverseName::Failed => (none, pb::ReverseName::Failed),
    };
    let source = match client.address_source {
        AddressSource::Connection => pb::AddressSource::Connection,
        AddressSource::Proxy => pb::AddressSource::Proxy,
        AddressSource::Xclient => pb::AddressSource::Xclient,
    };
    let text = |address: Option<std::net::IpAddr>| {
        address
            .map(|address| address.to_string())
            .unwrap_or_default()
    };
    pb::Client {
        address: text(client.address),
        port: u32::from(client.port),
        local_address: client.local_address.clone(),
        local_port: u32::from(client.local_port),
        address_source: source.into(),
        proxy_address: text(client.proxy_address),
        reverse_names: names
            .iter()
            .take(10)
            .map(|name| Bytes::copy_from_slice(name.as_bytes()))
            .collect(),
        reverse_name: state.into(),
        implicit_tls: client.implicit_tls,
        xclient_attributes: parameters(&client.xclient),
    }
}

/// Raw parameters, at most 64.
pub(crate) fn parameters(parameters: &[RawParameter]) -> Vec<pb::Parameter> {
    parameters
        .iter()
        .take(64)
        .map(|(keyword, value)| pb::Parameter {
            keyword: keyword.clone(),
            value: value.clone(),
        })
        .collect()
}

/// A greeting.
pub(crate) fn helo(helo: &Helo) -> pb::Helo {
    pb::Helo {
        verb: helo.verb.clone(),
        name: helo.name.clone(),
    }
}

/// A handshake.
pub(crate) fn tls(tls: &Tls) -> pb::Tls {
    let all: usize = tls.peer_certificates.iter().map(Bytes::len).sum();
    let shown = if all <= MAX_CERTIFICATES {
        tls.peer_certificates.len()
    } else {
        1
    };
    pb::Tls {
        version: tls.version.clone(),
        cipher_suite: tls.cipher.clone(),
        server_name: tls
            .server_name
            .as_ref()
            .map(|name| Bytes::copy_from_slice(name.as_bytes()))
            .unwrap_or_default(),
        peer_certificates: tls.peer_certificates.iter().take(shown).cloned().collect(),
        peer_verified: tls.peer_verified,
        failure: tls.failure.clone(),
    }
}

fn authentication(own: &Authentication) -> pb::Authentication {
    pb::Authentication {
        mechanism: own.mechanism.clone(),
        identity: own.identity.clone(),
        authorization_identity: own.authorization_identity.clone(),
    }
}

/// How the client has behaved so far.
pub(crate) fn conduct(conduct: &Conduct) -> pb::Conduct {
    pb::Conduct {
        command_count: conduct.commands,
        error_count: conduct.errors,
        syntax_error_count: conduct.syntax_errors,
        talked_early: conduct.talked_early,
        pipelined_early: conduct.pipelined_early,
        idle: Some(span(conduct.idle)),
        message_count: conduct.messages,
        refused_recipient_count: conduct.refused_recipients,
        junk_command_count: conduct.junk_commands,
        failed_authentication_count: conduct.failed_authentications,
        connection_count: conduct.connections,
    }
}

#[cfg(test)]
mod tests;
