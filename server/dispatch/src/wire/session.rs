//! The session: who the client is, what it said, how it behaved.

use bytes::Bytes;
use postern_message::Properties;
use postern_proto::v1 as pb;

use super::{View, id, moment, span};
use crate::session::{Conduct, HeloFacts, Protocol, ReverseName, SessionInfo, TlsInfo};

/// The whole session, for a snapshot.
pub(crate) fn session(
    server: &str,
    info: &SessionInfo,
    helo: Option<&HeloFacts>,
    tls: Option<&TlsInfo>,
    properties: &Properties,
    view: View<'_>,
) -> pb::Session {
    pb::Session {
        server: server.to_owned(),
        hostname: info.hostname.to_string(),
        protocol: protocol(info.protocol).to_owned(),
        client: Some(client(info)),
        may_relay: Some(info.may_relay),
        started_at: Some(moment(info.connected_at)),
        listener: info.listener.to_string(),
        ..session_change(info, helo, tls, properties, view)
    }
}

/// What may have changed in a session since it began.
pub(crate) fn session_change(
    info: &SessionInfo,
    helo: Option<&HeloFacts>,
    tls: Option<&TlsInfo>,
    properties: &Properties,
    view: View<'_>,
) -> pb::Session {
    pb::Session {
        session_id: id(info.id.as_bytes()),
        helo: helo.map(greeting),
        tls: tls.map(handshake),
        properties: view.properties(properties),
        ..pb::Session::default()
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Smtp => "smtp",
        Protocol::Lmtp => "lmtp",
    }
}

fn client(info: &SessionInfo) -> pb::Client {
    let (names, state) = match &info.reverse_name {
        ReverseName::NotAsked => (Vec::new(), pb::ReverseName::Unspecified),
        ReverseName::None => (Vec::new(), pb::ReverseName::None),
        ReverseName::Confirmed(name) => (vec![name], pb::ReverseName::Confirmed),
        ReverseName::Unconfirmed(name) => (vec![name], pb::ReverseName::Unconfirmed),
        ReverseName::Failed => (Vec::new(), pb::ReverseName::Failed),
    };
    pb::Client {
        address: info
            .client_addr
            .map(|addr| addr.to_string())
            .unwrap_or_default(),
        port: u32::from(info.client_port),
        local_address: info
            .local_addr
            .map(|addr| addr.to_string())
            .unwrap_or_default(),
        local_port: u32::from(info.local_port),
        address_source: pb::AddressSource::Connection.into(),
        reverse_names: names
            .into_iter()
            .map(|name| Bytes::copy_from_slice(name.as_bytes()))
            .collect(),
        reverse_name: state.into(),
        implicit_tls: info.tls.is_some(),
        ..pb::Client::default()
    }
}

/// A greeting.
pub(super) fn greeting(helo: &HeloFacts) -> pb::Helo {
    pb::Helo {
        verb: helo.command.verb.clone(),
        name: helo.name.clone(),
    }
}

/// A handshake.
pub(super) fn handshake(tls: &TlsInfo) -> pb::Tls {
    pb::Tls {
        version: tls.version.clone(),
        cipher_suite: tls.cipher.clone(),
        server_name: tls
            .server_name
            .as_ref()
            .map(|name| Bytes::copy_from_slice(name.as_bytes()))
            .unwrap_or_default(),
        peer_certificates: tls.peer_certificates.clone(),
        peer_verified: tls.peer_verified,
        failure: tls.failure.clone(),
    }
}

/// The client's manners so far.
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
        failed_authentication_count: 0,
    }
}
