//! Messages and stubs, by prost and tonic, each in a file of its own.

use std::{cell::RefCell, error::Error, fs, rc::Rc};

use prost_build::{Service, ServiceGenerator};
use prost_types::FileDescriptorSet;

/// Rust for package `postern.v1`.
pub(crate) struct Code {
    /// The messages.
    pub(crate) messages: String,
    /// Client and server of the service. Needs tonic, and the messages around it.
    pub(crate) stubs: String,
}

/// Large and rare fields, kept on the heap: frames pass through queues, and an enum is as large as its largest arm.
const BOXED: &[&str] = &[
    "AttachRequest.kind.event",
    "AttachRequest.kind.event_part",
    "AttachRequest.kind.open_instance",
    "AttachRequest.kind.snapshot_part",
    "AttachRequest.kind.action_result",
    "AttachResponse.kind.verdict",
    "AttachResponse.kind.verdict_part",
    "AttachResponse.kind.action",
    "Event.session",
    "Event.transaction",
    "Event.message",
    "Event.kind.delivery_result",
    "Event.kind.delivery_track",
    "Event.kind.inbound_mail",
    "Event.kind.inbound_rcpt",
    "Event.kind.inbound_response",
    "Event.kind.inbound_outcome",
    "Event.kind.outbound_session_start",
    "Event.kind.outbound_message_start",
    "Event.kind.outbound_response",
    "Event.kind.outbound_tls",
    "Event.kind.transport_route",
    "Event.kind.transport_dsn",
    "Content.ended",
    "Open.binding",
    "Open.limits",
    "Open.snapshot",
    "Verdict.answer",
    "Edit.kind.add_recipient",
    "Edit.kind.inject",
    "ActionResult.found.snapshot",
    "ActionResult.found.binding",
    "ActionResult.found.link",
    "LocalDeliveryStatus.reply",
];

pub(crate) fn generate(descriptors: FileDescriptorSet) -> Result<Code, Box<dyn Error>> {
    let stubs = Rc::new(RefCell::new(String::new()));
    let out = tempfile::tempdir()?;
    let mut config = prost_build::Config::new();
    // Content is sliced out of the receive buffer, not copied.
    config.bytes(["."]).out_dir(out.path());
    for field in BOXED {
        config.boxed(format!(".postern.v1.{field}"));
    }
    config.service_generator(Box::new(Apart {
        // Channels and listeners are the caller's own.
        inner: tonic_prost_build::configure()
            .build_transport(false)
            .service_generator(),
        stubs: Rc::clone(&stubs),
    }));
    config.compile_fds(descriptors)?;

    let messages = fs::read_to_string(out.path().join("postern.v1.rs"))?;
    let parsed = syn::parse_file(&stubs.borrow())?;
    Ok(Code {
        messages,
        stubs: format!("// @generated\n{}", prettyplease::unparse(&parsed)),
    })
}

/// Collects what the inner generator writes apart from the messages.
struct Apart {
    inner: Box<dyn ServiceGenerator>,
    stubs: Rc<RefCell<String>>,
}

impl ServiceGenerator for Apart {
    fn generate(&mut self, service: Service, _: &mut String) {
        self.inner.generate(service, &mut self.stubs.borrow_mut());
    }

    fn finalize(&mut self, _: &mut String) {
        self.inner.finalize(&mut self.stubs.borrow_mut());
    }
}
