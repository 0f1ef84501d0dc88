//! Functions as handlers.

use std::future::ready;

use futures_util::future::BoxFuture;

use crate::call::{Answer, Call, IntoAnswer, Needs};
use crate::extract::FromEvent;

/// A function that handles the event with the body `B`.
///
/// It is implemented for `async` functions and closures whose arguments are extractors ([`FromEvent`]) and whose result
/// fits `M`: a [`Verdict`](crate::Verdict) or a `Result<Verdict, Fault>` where it is asked, nothing where it is told.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of this event",
    note = "a handler is an async fn or closure; its arguments are what this event brings, its result is a `Verdict` or a `Result<Verdict, Fault>`, or nothing where the event is told"
)]
pub trait Handler<B, M, Arguments>: Send + Sync + 'static {
    /// Notes what the arguments need.
    fn needs(needs: &mut Needs);

    /// Calls the function.
    fn call(&self, call: Call) -> BoxFuture<'static, Answer>;
}

macro_rules! handler {
    ($($argument:ident)*) => {
        impl<F, Made, B, M, $($argument),*> Handler<B, M, ($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Made + Send + Sync + 'static,
            Made: Future + Send + 'static,
            Made::Output: IntoAnswer<M>,
            $($argument: FromEvent<B>,)*
        {
            #[allow(unused_variables)]
            fn needs(needs: &mut Needs) {
                needs.once.clear();
                $($argument::needs(needs);)*
            }

            #[allow(non_snake_case, unused_mut, unused_variables)]
            fn call(&self, mut call: Call) -> BoxFuture<'static, Answer> {
                $(let $argument = match $argument::from_event(&mut call) {
                    Ok(argument) => argument,
                    Err(fault) => return Box::pin(ready(Answer::Verdict(Err(fault)))),
                };)*
                let made = self($($argument),*);
                Box::pin(async move { made.await.into_answer() })
            }
        }
    };
}

handler!();
handler!(A1);
handler!(A1 A2);
handler!(A1 A2 A3);
handler!(A1 A2 A3 A4);
handler!(A1 A2 A3 A4 A5);
handler!(A1 A2 A3 A4 A5 A6);
handler!(A1 A2 A3 A4 A5 A6 A7);
handler!(A1 A2 A3 A4 A5 A6 A7 A8);
