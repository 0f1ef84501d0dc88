//! A sink in 15 lines, this one included: it adds a header field to what was accepted.
use postern_sdk::{EventKind::*, *};
pub(crate) struct AddHeader;
impl Sink for AddHeader {
    fn describe(&self) -> Description {
        describe!().on(TransportSubmit).may("headers:X-*")
    }
    async fn on_submit(&self, _: &Instance, message: &mut Message) -> Result {
        message.headers.append("X-Seen-By", "a sink in 15 lines");
        Ok(Verdict::proceed())
    }
}
fn main() -> std::process::ExitCode {
    run(AddHeader)
}
