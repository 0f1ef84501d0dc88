//! Which destinations are down, for who is told of it.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use postern_delivery::{Attempted, Destination};
use postern_events::delivery::Link;

use super::results::reply;

/// Destinations that are known to be down. Those beyond are told of as if each failure were the first.
const MOST: usize = 10_000;

/// The destinations of one worker that cannot be reached.
#[derive(Default)]
pub(crate) struct Links {
    down: HashMap<Destination, Down>,
}

struct Down {
    failures: u32,
    last: Attempted,
    /// The virtual servers whose sinks were told.
    told: BTreeSet<String>,
}

impl Links {
    /// A connection could not be had.
    pub(crate) fn failed(&mut self, destination: &Destination, why: &Attempted) {
        if let Some(down) = self.down.get_mut(destination) {
            down.failures = down.failures.saturating_add(1);
            down.last = why.clone();
        } else if self.down.len() < MOST {
            let down = Down {
                failures: 1,
                last: why.clone(),
                told: BTreeSet::new(),
            };
            self.down.insert(destination.clone(), down);
        }
    }

    /// Mail of a virtual server is put off because of it. What its sinks are to be told, if they were not.
    pub(crate) fn put_off(&mut self, destination: &Destination, server: &str) -> Option<Link> {
        let down = self.down.get_mut(destination)?;
        down.told.insert(server.to_owned()).then(|| Link {
            destination: name(destination),
            routing_class: String::new(),
            is_up: false,
            failures: down.failures,
            last_reply: reply(&down.last.status),
        })
    }

    /// A connection was made: whom to tell what.
    pub(crate) fn reached(
        &mut self,
        destination: &Destination,
    ) -> Option<(BTreeSet<String>, Link)> {
        let down = self.down.remove(destination)?;
        let link = Link {
            destination: name(destination),
            routing_class: String::new(),
            is_up: true,
            failures: down.failures,
            last_reply: reply(&down.last.status),
        };
        Some((down.told, link))
    }

    /// Nothing is down.
    pub(crate) fn is_empty(&self) -> bool {
        self.down.is_empty()
    }
}

fn name(destination: &Destination) -> Bytes {
    destination.to_string().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use postern_delivery::Fate;

    use super::*;

    #[test]
    fn each_server_hears_once_that_it_went_down_and_once_that_it_came_back() {
        let mut links = Links::default();
        let destination = Destination::Sink("store".into());
        let at = SystemTime::UNIX_EPOCH;
        let why = Attempted::own(Fate::Deferred, 4, 1, "no connection".to_owned(), at);
        assert!(links.put_off(&destination, "a").is_none(), "it is not down");
        links.failed(&destination, &why);
        let down = links.put_off(&destination, "a").unwrap();
        assert!(!down.is_up && down.failures == 1);
        assert_eq!(&down.destination[..], b"sink:store");
        links.failed(&destination, &why);
        assert!(links.put_off(&destination, "a").is_none());
        assert_eq!(links.put_off(&destination, "b").unwrap().failures, 2);
        let (told, up) = links.reached(&destination).unwrap();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(up.is_up && up.failures == 2);
        assert!(links.reached(&destination).is_none() && links.is_empty());
    }
}
