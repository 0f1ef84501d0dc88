//! A sink in 15 lines, this one included: it adds a header field to what was accepted.
use postern_sdk::{Fault, Message, Sink, Verdict, sink, transport};

async fn add(mut message: Message) -> Result<Verdict, Fault> {
    message.headers.append("X-Seen-By", "a sink in 15 lines")?;
    Ok(Verdict::proceed())
}

pub(crate) fn add_header() -> Sink {
    sink!().may("headers:X-*").on(transport::SUBMIT, add)
}

fn main() -> std::process::ExitCode {
    add_header().run()
}
