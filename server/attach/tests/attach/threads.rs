//! What both machines are built of: they are moved between threads, and hold no lock.

use postern_attach::{Fleet, Link, LinkEvent, News, Opening, Question, Tried};

const fn is_send<T: Send>() {}

#[test]
fn machines_and_what_they_take_can_be_sent() {
    is_send::<Link>();
    is_send::<Fleet>();
    is_send::<Opening>();
    is_send::<Question>();
    is_send::<News>();
    is_send::<LinkEvent>();
    is_send::<Tried>();
}
