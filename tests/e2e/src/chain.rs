//! A gateway with a chain of sinks.

use crate::gateway::{Gateway, Setup};
use crate::next_hop::NextHop;
use crate::sink::Sink;

/// Starts a gateway for the domains `example.test` and `other.test` with these bindings in their order:
/// name, sink, events as in the file, further keys.
pub fn set_up(next_hop: &NextHop, bindings: &[(&str, &Sink, &str, &str)]) -> Gateway {
    let mut setup = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .domain("other.test", &format!("smtp://{}", next_hop.address()));
    for (name, sink, events, keys) in bindings {
        setup = setup.with(&sink.table(name)).with(&format!(
            "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [{events}]\n{keys}"
        ));
    }
    setup.start()
}
