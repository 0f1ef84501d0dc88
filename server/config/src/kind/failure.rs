//! What happens when a sink fails, by event group and kind of fault.

use super::{Kind, Maybe};
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::{Section, choice, section};

choice! {
    /// What happens to a session or message whose sink failed.
    Policy {
        /// As if the binding were not there; later sinks and headers can show it.
        Continue = "continue";
        /// 451 to the client (421 at connect); in transport the message stays queued, in an outgoing session the attempt is put
        /// off.
        Tempfail = "tempfail";
        /// 550 to the client; in transport the recipients fail with a notification.
        Reject = "reject";
        /// The message is accepted, kept, and asked about again by itself. Not for events of commands and outgoing sessions.
        Hold = "hold";
        /// The message is accepted and kept for a person. Not for events of commands and outgoing sessions.
        Quarantine = "quarantine";
        /// 421 and the connection ends. Not for transport events.
        Disconnect = "disconnect";
    }
}

/// A group of events that one policy speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventGroup {
    /// Connection and commands.
    Command,
    /// `inbound.headers` and `inbound.message`.
    Message,
    /// Transport events.
    Transport,
    /// Events of outgoing sessions.
    Outgoing,
}

/// A kind of fault of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// No replica could be reached.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Too many questions were open.
    Overload,
    /// The answer was not allowed, or the stream broke.
    Protocol,
    /// The sink said that it failed.
    Fault,
    /// The budget of the reply was used up before.
    Budget,
    /// The question does not fit into what the sink takes.
    Size,
}

/// The policy for each kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByFault {
    /// No replica could be reached.
    pub unreachable: Policy,
    /// No answer in time.
    pub timeout: Policy,
    /// Too many questions were open.
    pub overload: Policy,
    /// The answer was not allowed, or the stream broke.
    pub protocol: Policy,
    /// The sink said that it failed.
    pub fault: Policy,
    /// The budget of the reply was used up before.
    pub budget: Policy,
    /// The question does not fit into what the sink takes.
    pub size: Policy,
}

impl From<Policy> for ByFault {
    fn from(policy: Policy) -> Self {
        Self {
            unreachable: policy,
            timeout: policy,
            overload: policy,
            protocol: policy,
            fault: policy,
            budget: policy,
            size: policy,
        }
    }
}

/// What happens when a sink fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnFailure {
    /// For connection and commands.
    pub command: ByFault,
    /// For `inbound.headers` and `inbound.message`.
    pub message: ByFault,
    /// For transport events.
    pub transport: ByFault,
    /// For events of outgoing sessions.
    pub outgoing: ByFault,
}

impl OnFailure {
    /// The policies of a group.
    pub fn group(&self, group: EventGroup) -> &ByFault {
        match group {
            EventGroup::Command => &self.command,
            EventGroup::Message => &self.message,
            EventGroup::Transport => &self.transport,
            EventGroup::Outgoing => &self.outgoing,
        }
    }

    /// The policy for a fault at an event of a group.
    pub fn policy(&self, group: EventGroup, fault: FaultKind) -> Policy {
        let by_fault = self.group(group);
        match fault {
            FaultKind::Unreachable => by_fault.unreachable,
            FaultKind::Timeout => by_fault.timeout,
            FaultKind::Overload => by_fault.overload,
            FaultKind::Protocol => by_fault.protocol,
            FaultKind::Fault => by_fault.fault,
            FaultKind::Budget => by_fault.budget,
            FaultKind::Size => by_fault.size,
        }
    }
}

section! {
    /// The policy by kind of fault.
    FaultTable at "binding.on_failure.command" {
        /// No replica could be reached.
        unreachable: Option<Policy> as Maybe<Policy>;
        /// No answer in time.
        timeout: Option<Policy> as Maybe<Policy>;
        /// Too many questions were open.
        overload: Option<Policy> as Maybe<Policy>;
        /// The answer was not allowed, or the stream broke.
        protocol: Option<Policy> as Maybe<Policy>;
        /// The sink said that it failed.
        fault: Option<Policy> as Maybe<Policy>;
        /// The budget of the reply was used up before.
        budget: Option<Policy> as Maybe<Policy>;
        /// The question does not fit into what the sink takes.
        size: Option<Policy> as Maybe<Policy>;
        /// For the kinds that are not named.
        otherwise named "default": Policy as Policy = "tempfail";
    }
}

section! {
    /// The policy by event group.
    GroupTable at "binding.on_failure" {
        /// For connection and commands.
        command: Option<ByFault> as Maybe<ByFault>;
        /// For `inbound.headers` and `inbound.message`.
        message: Option<ByFault> as Maybe<ByFault>;
        /// For transport events.
        transport: Option<ByFault> as Maybe<ByFault>;
        /// For events of outgoing sessions.
        outgoing: Option<ByFault> as Maybe<ByFault>;
        /// For the groups that are not named.
        otherwise named "default": Policy as Policy = "tempfail";
    }
}

impl Kind for ByFault {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![Policy::shape(), Shape::Table(FaultTable::describe)])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_none() {
            return <Policy as Kind>::read(field, reader).map(Self::from);
        }
        let table = FaultTable::read(field, reader)?;
        Some(Self {
            unreachable: table.unreachable.unwrap_or(table.otherwise),
            timeout: table.timeout.unwrap_or(table.otherwise),
            overload: table.overload.unwrap_or(table.otherwise),
            protocol: table.protocol.unwrap_or(table.otherwise),
            fault: table.fault.unwrap_or(table.otherwise),
            budget: table.budget.unwrap_or(table.otherwise),
            size: table.size.unwrap_or(table.otherwise),
        })
    }
}

impl Kind for OnFailure {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![Policy::shape(), Shape::Table(GroupTable::describe)])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_none() {
            let policies = ByFault::from(<Policy as Kind>::read(field, reader)?);
            return Some(Self {
                command: policies,
                message: policies,
                transport: policies,
                outgoing: policies,
            });
        }
        let table = GroupTable::read(field, reader)?;
        let otherwise = ByFault::from(table.otherwise);
        Some(Self {
            command: table.command.unwrap_or(otherwise),
            message: table.message.unwrap_or(otherwise),
            transport: table.transport.unwrap_or(otherwise),
            outgoing: table.outgoing.unwrap_or(otherwise),
        })
    }
}
