//! The session: who the client is, what it said, how it behaved.

use bytes::Bytes;
use postern_message::Properties;
use postern_proto::v1 as pb;

use super::{View, id, moment, span};
use crate::session::{Conduct, Greeting, HeloFacts, ReverseName, SessionContext, TlsInfo};

/// The whole session, for a snapshot.
pub(crate) fn session(
    server: &str,
    session: &SessionContext,
    properties: &Properties,
    view: View<'_>,
) -> pb::Session {
    pb::Session {
        server: server.to_owned(),
        hostname: session.hostname.to_string(),
        protocol: session.protocol.name().to_owned(),
        client: Some(client(session)),
        may_relay: Some(session.may_relay),
        started_at: Some(moment(session.connected_at)),
        listener: session.listener.to_string(),
        ..session_change(session, properties, view)
    }
}

/// What may have changed in a session since it began.
pub(crate) fn session_change(
    session: &SessionContext,
    properties: &Properties,
    view: View<'_>,
) -> pb::Session {
    pb::Session {
        session_id: id(session.id.as_bytes()),
        helo: session.greeting.as_ref().map(said),
        tls: session.tls.as_ref().map(handshake),
        properties: view.properties(properties),
        ..pb::Session::default()
    }
}

fn client(session: &SessionContext) -> pb::Client {
    let (names, state) = match &session.reverse_name {
        ReverseName::NotAsked => (Vec::new(), pb::ReverseName::Unspecified),
        ReverseName::None => (Vec::new(), pb::ReverseName::None),
        ReverseName::Confirmed(name) => (vec![name], pb::ReverseName::Confirmed),
        ReverseName::Unconfirmed(name) => (vec![name], pb::ReverseName::Unconfirmed),
        ReverseName::Failed => (Vec::new(), pb::ReverseName::Failed),
    };
    pb::Client {
        address: session
            .peer
            .map(|peer| peer.ip().to_string())
            .unwrap_or_default(),
        port: session.peer.map_or(0, |peer| u32::from(peer.port())),
        local_address: session
            .local
            .map(|local| local.ip().to_string())
            .unwrap_or_default(),
        local_port: session.local.map_or(0, |local| u32::from(local.port())),
        address_source: pb::AddressSource::Connection.into(),
        reverse_names: names
            .into_iter()
            .map(|name| Bytes::copy_from_slice(name.as_bytes()))
            .collect(),
        reverse_name: state.into(),
        implicit_tls: session.implicit_tls,
        ..pb::Client::default()
    }
}

fn said(greeting: &Greeting) -> pb::Helo {
    pb::Helo {
        verb: greeting.verb.clone(),
        name: greeting.name.clone(),
    }
}

/// A greeting that is asked about.
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
