//! The trait that a sink implements.

use std::future::{Future, ready};

use serde::de::DeserializeOwned;

use crate::{
    Command, Connect, Data, DeliveryResult, Description, Disconnect, Headers, Helo, Instance, Mail,
    Message, Outcome, Rcpt, Reset, Response, Result, Tls, Verdict, v1,
};

/// A sink that takes no properties. What it is given all the same is ignored.
pub type NoProperties = serde::de::IgnoredAny;

/// A sink that keeps nothing between the events of an instance.
pub type NoState = ();

/// A sink: it says what it is, and judges the events that it asked for.
///
/// Every handler has a default that proceeds, so only those that are wanted are written, as `async fn`. One
/// value serves all instances; what belongs to one session or message is kept in `State`.
///
/// `Properties` are what the operator gives the binding, read from JSON when they are first seen and shared by
/// all instances of the binding. What does not fit is a fault that names the reason. Costly preparation (a
/// compiled expression, a loaded key) belongs there, by `#[serde(try_from)]`.
///
/// `State` is kept for an instance from event to event, and begins as the default.
pub trait Sink<Properties = NoProperties, State = NoState>: Sized + Send + Sync + 'static
where
    Properties: DeserializeOwned + Send + Sync + 'static,
    State: Default + Send + 'static,
{
    /// What the sink is and wants.
    fn describe(&self) -> Description;

    /// Every event, before its handler. For logs and counts; nothing is answered.
    fn on_any(&self, instance: &Instance<Properties, State>, event: &v1::Event) {
        let _ = (instance, event);
    }

    /// `inbound.connect`.
    fn on_connect(
        &self,
        instance: &Instance<Properties, State>,
        event: &Connect,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.helo`.
    fn on_helo(
        &self,
        instance: &Instance<Properties, State>,
        event: &Helo,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.tls`.
    fn on_tls(
        &self,
        instance: &Instance<Properties, State>,
        event: &Tls,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.mail`.
    fn on_mail(
        &self,
        instance: &Instance<Properties, State>,
        event: &Mail,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.rcpt`. Those of a pipelined group are handled at the same time.
    fn on_rcpt(
        &self,
        instance: &Instance<Properties, State>,
        event: &Rcpt,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.data`.
    fn on_data(
        &self,
        instance: &Instance<Properties, State>,
        event: &Data,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.headers`: the header section is complete, the body is still arriving.
    fn on_headers(
        &self,
        instance: &Instance<Properties, State>,
        event: &Headers,
        message: &mut Message,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event, message);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.message`: called when the header section is complete; the body is awaited where it is read.
    /// A refusal before its end stops the client's upload.
    fn on_message(
        &self,
        instance: &Instance<Properties, State>,
        message: &mut Message,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, message);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.command`: any verb, before its own event.
    fn on_command(
        &self,
        instance: &Instance<Properties, State>,
        event: &Command,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.response`: a reply is about to be sent.
    fn on_response(
        &self,
        instance: &Instance<Properties, State>,
        event: &Response,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// `inbound.outcome`: one-way.
    fn on_outcome(
        &self,
        instance: &Instance<Properties, State>,
        event: &Outcome,
    ) -> impl Future<Output = ()> + Send {
        let _ = (instance, event);
        ready(())
    }

    /// `inbound.reset`: one-way.
    fn on_reset(
        &self,
        instance: &Instance<Properties, State>,
        event: &Reset,
    ) -> impl Future<Output = ()> + Send {
        let _ = (instance, event);
        ready(())
    }

    /// `inbound.disconnect`: one-way.
    fn on_disconnect(
        &self,
        instance: &Instance<Properties, State>,
        event: &Disconnect,
    ) -> impl Future<Output = ()> + Send {
        let _ = (instance, event);
        ready(())
    }

    /// `transport.submit`: the message was accepted and is durable.
    fn on_submit(
        &self,
        instance: &Instance<Properties, State>,
        message: &mut Message,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, message);
        ready(Ok(Verdict::proceed()))
    }

    /// `delivery.result`: one-way.
    fn on_delivery(
        &self,
        instance: &Instance<Properties, State>,
        event: &DeliveryResult,
    ) -> impl Future<Output = ()> + Send {
        let _ = (instance, event);
        ready(())
    }

    /// Every event that has no handler of its own here, as the protocol has it.
    fn on_other(
        &self,
        instance: &Instance<Properties, State>,
        event: &v1::Event,
    ) -> impl Future<Output = Result> + Send {
        let _ = (instance, event);
        ready(Ok(Verdict::proceed()))
    }

    /// What became of a verdict, if the description says `wants_settled`.
    fn on_settled(&self, instance: &Instance<Properties, State>, settled: &v1::Settled) {
        let _ = (instance, settled);
    }
}
