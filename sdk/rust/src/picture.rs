//! What an instance has been told: its snapshot, brought up to date by each event.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::v1;

/// The state of the world as an instance knows it at one event.
///
/// Cloning is cheap: handlers keep the picture of their event while later events change the instance's own.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub(crate) session: Option<Arc<v1::Session>>,
    pub(crate) conduct: Option<Arc<v1::Conduct>>,
    pub(crate) transaction: Option<Arc<v1::Transaction>>,
    pub(crate) message: Option<Arc<v1::Message>>,
    pub(crate) headers: Option<Arc<v1::Headers>>,
    pub(crate) recipients: Arc<Vec<v1::Recipient>>,
}

impl Picture {
    /// The session. None: there is none, or the binding is shown none.
    pub fn session(&self) -> Option<&v1::Session> {
        self.session.as_deref()
    }

    /// The client's conduct. None: there is no session.
    pub fn conduct(&self) -> Option<&v1::Conduct> {
        self.conduct.as_deref()
    }

    /// The running transaction. None: there is none.
    pub fn transaction(&self) -> Option<&v1::Transaction> {
        self.transaction.as_deref()
    }

    /// The message, in transport and in outgoing sessions. None: there is none.
    pub fn message(&self) -> Option<&v1::Message> {
        self.message.as_deref()
    }

    /// The header section. None: not shown, or not there yet.
    pub fn headers(&self) -> Option<&v1::Headers> {
        self.headers.as_deref()
    }

    /// The recipients of the transaction or message, in the order in which they came.
    pub fn recipients(&self) -> &[v1::Recipient] {
        &self.recipients
    }

    /// The id of the transaction or message that the instance is at. Empty: none.
    pub fn message_id(&self) -> Bytes {
        match (&self.message, &self.transaction) {
            (Some(message), _) => message.message_id.clone(),
            (None, Some(transaction)) => transaction.transaction_id.clone(),
            (None, None) => Bytes::new(),
        }
    }

    /// The envelope of the message or the transaction.
    pub fn envelope(&self) -> Option<&v1::Envelope> {
        match (&self.message, &self.transaction) {
            (Some(message), _) => message.envelope.as_ref(),
            (None, Some(transaction)) => transaction.envelope.as_ref(),
            (None, None) => None,
        }
    }
}

/// Keeps a [`Picture`] up to date.
#[derive(Debug)]
pub(crate) struct Told {
    picture: Picture,
    /// Where each recipient is in the list. A client may give a thousand, one at a time.
    places: HashMap<Bytes, usize>,
    outgoing: bool,
}

impl Told {
    /// The picture of an instance that opens. In an outgoing session the session belongs to the message.
    pub(crate) fn open(snapshot: v1::Snapshot, outgoing: bool) -> Self {
        let mut told = Self {
            picture: Picture {
                session: snapshot.session.map(Arc::new),
                conduct: snapshot.conduct.map(Arc::new),
                transaction: snapshot.transaction.map(Arc::new),
                message: snapshot.message.map(Arc::new),
                headers: None,
                recipients: Arc::new(snapshot.recipients),
            },
            places: HashMap::new(),
            outgoing,
        };
        told.index();
        told
    }

    pub(crate) fn picture(&self) -> Picture {
        self.picture.clone()
    }

    /// Moves what an event says has changed into the picture. Each message that is set replaces the one before; the list
    /// of recipients is updated one by one.
    pub(crate) fn update(&mut self, event: &mut v1::Event) {
        if event.message_ended {
            self.picture.transaction = None;
            self.picture.message = None;
            self.picture.headers = None;
            self.picture.recipients = Arc::default();
            self.places.clear();
            if self.outgoing {
                self.picture.session = None;
            }
        }
        let picture = &mut self.picture;
        if let Some(session) = event.session.take() {
            picture.session = Some(Arc::from(session));
        }
        if let Some(conduct) = event.conduct.take() {
            picture.conduct = Some(Arc::new(conduct));
        }
        if let Some(transaction) = event.transaction.take() {
            picture.transaction = Some(Arc::from(transaction));
        }
        if let Some(message) = event.message.take() {
            picture.message = Some(Arc::from(message));
        }
        if let Some(headers) = event.headers.take() {
            picture.headers = Some(Arc::new(headers));
        }
        if let Some(update) = event.recipients.take() {
            self.update_recipients(update);
        }
    }

    fn update_recipients(&mut self, update: v1::RecipientsUpdate) {
        if update.replaces_all {
            self.picture.recipients = Arc::default();
            self.places.clear();
        }
        // Copied only while a handler still looks at an older picture.
        let list = Arc::make_mut(&mut self.picture.recipients);
        if !update.removed_ids.is_empty() {
            let mut gone = 0;
            for id in &update.removed_ids {
                gone += usize::from(self.places.remove(id).is_some());
            }
            if gone > 0 {
                list.retain(|recipient| self.places.contains_key(&recipient.recipient_id));
                self.index();
            }
        }
        let list = Arc::make_mut(&mut self.picture.recipients);
        for recipient in update.changed {
            match self
                .places
                .get(&recipient.recipient_id)
                .and_then(|place| list.get_mut(*place))
            {
                Some(known) => *known = recipient,
                None => {
                    self.places
                        .insert(recipient.recipient_id.clone(), list.len());
                    list.push(recipient);
                }
            }
        }
    }

    fn index(&mut self) {
        let ids = self.picture.recipients.iter().enumerate();
        self.places = ids
            .map(|(place, recipient)| (recipient.recipient_id.clone(), place))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(id: &'static str, address: &'static str) -> v1::Recipient {
        v1::Recipient {
            recipient_id: id.into(),
            address: address.into(),
            ..Default::default()
        }
    }

    fn ids(told: &Told) -> Vec<String> {
        let recipients = told.picture.recipients.iter();
        recipients
            .map(|r| {
                let id = String::from_utf8_lossy(&r.recipient_id).into_owned();
                format!("{id}={}", String::from_utf8_lossy(&r.address))
            })
            .collect()
    }

    fn update(removed: &[&'static str], changed: Vec<v1::Recipient>) -> v1::Event {
        v1::Event {
            recipients: Some(v1::RecipientsUpdate {
                replaces_all: false,
                removed_ids: removed
                    .iter()
                    .map(|id| Bytes::from_static(id.as_bytes()))
                    .collect(),
                changed,
            }),
            ..Default::default()
        }
    }

    #[test]
    fn recipients_are_changed_appended_and_removed() {
        let snapshot = v1::Snapshot {
            recipients: vec![
                recipient("a", "1"),
                recipient("b", "2"),
                recipient("c", "3"),
            ],
            ..Default::default()
        };
        let mut told = Told::open(snapshot, false);
        let before = told.picture();
        told.update(&mut update(
            &["a", "unknown"],
            vec![recipient("c", "9"), recipient("d", "4")],
        ));
        assert_eq!(ids(&told), ["b=2", "c=9", "d=4"]);
        told.update(&mut update(
            &["b"],
            vec![recipient("d", "5"), recipient("b", "2")],
        ));
        assert_eq!(ids(&told), ["c=9", "d=5", "b=2"]);
        assert_eq!(before.recipients().len(), 3, "a handler keeps its picture");
        let mut all = update(&[], vec![recipient("x", "1")]);
        if let Some(update) = &mut all.recipients {
            update.replaces_all = true;
        }
        told.update(&mut all);
        assert_eq!(ids(&told), ["x=1"]);
    }

    #[test]
    fn what_an_update_leaves_out_does_not_hold() {
        let session = |helo: bool| v1::Session {
            session_id: "s".into(),
            helo: helo.then(v1::Helo::default),
            properties: vec![v1::Property::default(); usize::from(helo)],
            ..Default::default()
        };
        let snapshot = v1::Snapshot {
            session: Some(session(true)),
            transaction: Some(v1::Transaction::default()),
            recipients: vec![recipient("a", "1")],
            ..Default::default()
        };
        let mut told = Told::open(snapshot, false);
        let event = &mut v1::Event {
            message_ended: true,
            ..Default::default()
        };
        event.session = Some(session(false).into());
        told.update(event);
        let picture = told.picture();
        assert_eq!(picture.session(), Some(&session(false)));
        assert!(picture.transaction().is_none() && picture.recipients().is_empty());
    }

    #[test]
    fn an_outgoing_session_forgets_the_session_with_the_message() {
        let snapshot = v1::Snapshot {
            session: Some(v1::Session::default()),
            message: Some(v1::Message::default()),
            ..Default::default()
        };
        let ended = || v1::Event {
            message_ended: true,
            ..Default::default()
        };
        let mut outgoing = Told::open(snapshot.clone(), true);
        outgoing.update(&mut ended());
        assert!(outgoing.picture().session().is_none() && outgoing.picture().message().is_none());
        let mut inbound = Told::open(snapshot, false);
        inbound.update(&mut ended());
        assert!(inbound.picture().session().is_some());
    }
}
