//! The sink: asked about `transport.local_delivery` alone.

use std::collections::HashMap;
use std::io;

use postern_sdk::v1::{self, answer};
use postern_sdk::{
    Event, Fault, Id, Message, Picture, Properties, Recipients, Sink, Verdict, sink, transport,
};
use tracing::{error, info};

use crate::settings::Settings;
use crate::store::{Draft, Kept, Terms};

/// The sink that keeps mailboxes.
pub fn mailbox() -> Sink {
    sink!()
        .name("mailbox")
        .summary("Keeps mail in files, one for each message of each recipient.")
        .reads("sender")
        .reads("recipients")
        .reads("headers")
        .reads("body")
        .side_effects()
        // What was kept by one replica is found by another: they share the folder.
        .repeatable()
        .on(transport::LOCAL_DELIVERY.full(), keep)
}

async fn keep(
    event: Event<v1::TransportLocalDelivery>,
    settings: Properties<Settings>,
    recipients: Recipients,
    picture: Picture,
    mut message: Message,
) -> Result<Verdict, Fault> {
    let attempt = Id::from(event.attempt_id.clone()).to_string();
    let failed = |error: io::Error| {
        error!(%error, "mail cannot be kept");
        Fault::unavailable(format!("mail cannot be kept: {error}"))
    };
    let mut draft = Draft::begin(&settings.folder, &attempt).map_err(failed)?;
    let head = format!("Return-Path: <{}>\r\n", message.sender());
    draft.write(head.as_bytes()).map_err(failed)?;
    for field in picture.headers().iter().flat_map(|headers| &headers.fields) {
        for part in [&field.name[..], b":", &field.value[..], b"\r\n"] {
            draft.write(part).map_err(failed)?;
        }
    }
    draft.write(b"\r\n").map_err(failed)?;
    while let Some(octets) = message.next_chunk().await? {
        draft.write(&octets).map_err(failed)?;
    }
    let addresses: HashMap<Id, String> = recipients
        .iter()
        .map(|own| (own.id(), own.address().to_string()))
        .collect();
    let asked: Vec<Id> = event.recipient_ids.iter().cloned().map(Id::from).collect();
    // Disks are slow, and others are served meanwhile.
    let stored = tokio::task::spawn_blocking(move || {
        draft.finish()?;
        asked
            .into_iter()
            .map(|id| {
                let Some(address) = addresses.get(&id) else {
                    return Ok((id, Kept::NoMailbox));
                };
                let terms = Terms {
                    create: settings.create,
                    most: settings.most,
                };
                let kept = draft.keep(&settings.folder, address, &id.to_string(), terms)?;
                Ok((id, kept))
            })
            .collect::<io::Result<Vec<_>>>()
    });
    let stored = stored
        .await
        .map_err(|error| Fault::error(error.to_string()))?
        .map_err(failed)?;
    let statuses = stored
        .into_iter()
        .map(|(id, kept)| v1::LocalDeliveryStatus {
            recipient_id: id.as_bytes().clone(),
            reply: Some(Box::new(reply(&id, &kept))),
        })
        .collect();
    Ok(
        Verdict::proceed().answer(answer::Kind::LocalDelivery(v1::LocalDeliveryAnswer {
            statuses,
        })),
    )
}

fn reply(id: &Id, kept: &Kept) -> v1::Reply {
    let (code, enhanced, text) = match kept {
        Kept::Now(path) => {
            info!(recipient = %id, path = %path.display(), "kept");
            (250, "2.0.0", format!("Kept as {id}"))
        }
        Kept::Before(path) => {
            info!(recipient = %id, path = %path.display(), "kept before");
            (250, "2.0.0", format!("Kept as {id} before"))
        }
        Kept::NoMailbox => (550, "5.1.1", "No such mailbox".to_owned()),
        Kept::Full => (452, "4.2.2", "The mailbox is full".to_owned()),
    };
    v1::Reply {
        code,
        enhanced_code: enhanced.into(),
        lines: vec![text.into()],
        ..Default::default()
    }
}
