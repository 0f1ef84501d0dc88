//! When a binding is asked about an event.

use super::Kind;
use super::containers::Map;
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::choice;

choice! {
    /// When a binding is asked about an event.
    AskMode {
        /// When it happens.
        AtOnce = "at-once";
        /// Together with the first RCPT after it, as one group: clients that never come to a recipient cost no question.
        /// For `inbound.connect`, `inbound.helo`, `inbound.tls` and `inbound.mail`.
        AtRcpt = "at-rcpt";
    }
}

/// When a binding is asked, where that is not as its sink describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskModes {
    /// At every event that can be asked then.
    Every(AskMode),
    /// At the events of these names.
    ByEvent(Vec<(String, AskMode)>),
}

impl Kind for AskModes {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![AskMode::shape(), Map::<AskMode>::shape()])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_none() {
            return <AskMode as Kind>::read(field, reader).map(Self::Every);
        }
        Map::<AskMode>::read(field, reader).map(Self::ByEvent)
    }
}
