//! How the end of a call reads: what the sink said, or what broke.

use std::error::Error;

use postern_attach::{Code, StreamEnd};
use postern_events::fault::{Fault, FaultKind};
use tonic::Status;

/// What the end of a stream means.
pub(crate) fn stream_end(status: &Status) -> StreamEnd {
    if let Some(reason) = h2_reason(status) {
        let detail = cause(status);
        return match reason {
            h2::Reason::REFUSED_STREAM => StreamEnd::Refused { detail },
            _ => StreamEnd::Broken { detail },
        };
    }
    if status.code() == tonic::Code::OutOfRange && status.message().contains("too large") {
        // Ours too: tonic reads no frame of that size.
        return StreamEnd::GivenUp {
            detail: "a frame of more than 2 MiB".to_owned(),
        };
    }
    // A status with a source was made on this side: the transport failed.
    if status.source().is_some() {
        return StreamEnd::Broken {
            detail: cause(status),
        };
    }
    StreamEnd::Status {
        code: Code::from_number(status.code() as i32),
        detail: status.message().to_owned(),
    }
}

/// What the failure of a short call means.
pub(crate) fn call_fault(status: &Status) -> Fault {
    if status.source().is_some() {
        Fault::new(FaultKind::Unreachable, cause(status))
    } else {
        let text = format!("{:?}: {}", status.code(), status.message());
        let kind = match Code::from_number(status.code() as i32).fault_kind() {
            // What answers a call that has no other side effects than none is no sink.
            FaultKind::Fault => FaultKind::Protocol,
            kind => kind,
        };
        Fault::new(kind, text)
    }
}

fn h2_reason(status: &Status) -> Option<h2::Reason> {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason();
        }
        source = error.source();
    }
    None
}

/// What stood in the way, without the layers that only pass it on.
pub(crate) fn cause(status: &Status) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut source = status.source();
    while let Some(error) = source {
        let text = error.to_string();
        if text != "transport error" && !texts.contains(&text) {
            texts.push(text);
        }
        source = error.source();
    }
    if texts.is_empty() {
        status.message().to_owned()
    } else {
        texts.join(": ")
    }
}

/// An error with what caused it, in one line: the outermost alone says little.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
