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
    "AttachRequest.event",
    "AttachRequest.event_part",
    "AttachRequest.open_instance",
    "AttachRequest.snapshot_part",
    "AttachRequest.action_result",
    "AttachResponse.verdict",
    "AttachResponse.verdict_part",
    "AttachResponse.action",
    "Event.session",
    "Event.transaction",
    "Event.message",
    "Event.delivery_result",
    "Event.delivery_track",
    "Event.inbound_mail",
    "Event.inbound_rcpt",
    "Event.inbound_response",
    "Event.inbound_outcome",
    "Event.outbound_session_start",
    "Event.outbound_message_start",
    "Event.outbound_response",
    "Event.outbound_tls",
    "Event.transport_route",
    "Event.transport_dsn",
    "Open.binding",
    "Open.limits",
    "Open.snapshot",
    "Verdict.answer",
    "Edit.add_recipient",
    "Edit.inject",
    "ActionResult.snapshot",
    "ActionResult.binding",
    "ActionResult.link",
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
