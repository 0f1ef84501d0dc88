//! `[[binding]]`: which events go to which sink, under which condition, and what follows from its verdicts.

use std::time::Duration;

pub use crate::kind::ask::{AskMode, AskModes};
pub use crate::kind::body::BodyDepth;
pub use crate::kind::failure::{ByFault, EventGroup, FaultKind, OnFailure, Policy};
use crate::kind::{Flag, Free, Kind, List, Map, Maybe, Name, Place, Span, Text};
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::{Section, choice, section};

/// Properties that a binding hands to its sink, as the file has them.
pub type Properties = serde_json::Map<String, serde_json::Value>;

section! {
    /// Events, rule, priority, sink and what the sink may read and do.
    Binding at "binding" {
        /// The name by which logs, metrics and accepted descriptions call it.
        name: String as Name;
        /// What it is for, in words.
        description: Option<String> as Maybe<Text>;
        /// The virtual servers it belongs to. Left out: all.
        servers: Vec<String> as List<Text> = "[]";
        /// The sink that is asked.
        sink: String as Text;
        /// Events that are asked about, by their dotted names. Left out: what the sink asked for when it was accepted with
        /// `postern check --accept`.
        events: Option<Vec<String>> as Maybe<List<Text>>;
        /// When it is asked: a word for all of its events that can be asked then, or a table by the name of the event. Left
        /// out: as the sink described it when it was accepted. What the sink only wants to be told of stays told.
        ask: Option<AskModes> as Maybe<AskModes>;
        /// A condition on the commands of the session, such as `MAIL FROM=*@example.test`: conditions joined by semicolons,
        /// all of which have to hold. Left out: always.
        rule: Option<String> as Maybe<Text>;
        /// A CEL condition over the attributes of the event. With `rule` too, both have to hold.
        when: Option<String> as Maybe<Text>;
        /// Place in the order, 0 to 32767, lower first. Bindings of one priority run in the order of the files.
        priority: u16 as Place = "24575";
        /// Time for one answer: one for all stages, or a table by stage.
        timeout: Timeouts as Timeouts = "{}";
        /// What happens when the sink fails: a word, or a table by event group (`command`, `message`, `transport`,
        /// `outgoing`, and `default` for those not named), each a word or a table by kind of fault (`unreachable`, `timeout`,
        /// `overload`, `protocol`, `fault`, `budget`, `size`, and `default`).
        on_failure: OnFailure as OnFailure = "tempfail";
        /// What a refusal means for a message that was accepted and held because the sink had failed.
        held_refusal: HeldRefusal as HeldRefusal = "quarantine";
        /// How much of the content the sink gets. Left out: what the sink asked for when it was accepted.
        body: Option<BodyDepth> as Maybe<BodyDepth>;
        /// What the sink reads. Left out: as for `events`.
        reads: Option<Vec<String>> as Maybe<List<Text>>;
        /// What its verdicts may do beyond refusing: edits, and the decisions `finish`, `respond`, `discard`, `quarantine`, `hold`, `postpone`. Left out: as for `events`.
        may: Option<Vec<String>> as Maybe<List<Text>>;
        /// Asking it has effects outside, such as a counter: it is asked in its turn, never ahead of it, and not again on
        /// another replica. Left out: as the sink described it. What a sink says of itself is not taken back by `false`.
        side_effects: Option<bool> as Maybe<Flag>;
        /// Whether the sink is asked in transport about messages that it put in itself. Whoever says `ask` sees to it that no
        /// such message leads to the next. Whom names stand for and whose mail it keeps it is asked in any case
        /// (`transport.categorize`, `transport.expand`, `transport.local_delivery`).
        own_messages: OwnMessages as OwnMessages = "skip";
        /// Whether its verdicts are applied.
        mode: Mode as Mode = "enforce";
        /// A binding that is not enabled is never asked.
        enabled: bool as Flag = "true";
        /// Attributes that the sink is shown with each event: a name, and a CEL expression over the attributes of the event.
        attributes: Vec<(String, String)> as Map<Text> = "{}";
        /// Configuration of the sink, handed to it when an instance opens.
        properties: Properties as Free = "{}";
    }
    later {
        "sample" => 4;
        "expires" => 4;
        "max_firings" => 4;
        "guaranteed" => 4;
    }
}

section! {
    /// Time for one answer, by stage.
    Timeouts at "binding.timeout" {
        /// For events of connection and commands.
        command: Duration as Span = "5s";
        /// For `inbound.headers`.
        headers: Duration as Span = "10s";
        /// For `inbound.message`, counted from the end of the message.
        message: Duration as Span = "60s";
        /// For transport events.
        transport: Duration as Span = "60s";
        /// For events of outgoing sessions.
        outgoing: Duration as Span = "10s";
    }
}

impl Kind for Timeouts {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![Span::shape(), Shape::Table(Self::describe)])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_some() {
            return <Self as Section>::read(field, reader);
        }
        let each = Span::read(field, reader)?;
        Some(Self {
            command: each,
            headers: each,
            message: each,
            transport: each,
            outgoing: each,
        })
    }
}

choice! {
    /// What a refusal means for a message that was accepted and held.
    HeldRefusal {
        /// Kept until a person acts.
        Quarantine = "quarantine";
        /// Dropped, on record.
        Discard = "discard";
    }
    later {
        "bounce" => 3;
    }
}

choice! {
    /// Whether a sink is asked about messages that it put in itself.
    OwnMessages {
        /// It is not.
        Skip = "skip";
        /// It is, as about all others.
        Ask = "ask";
    }
}

choice! {
    /// Whether verdicts are applied.
    Mode {
        /// They are.
        Enforce = "enforce";
    }
    later {
        "shadow" => 4;
        "observe" => 4;
    }
}
