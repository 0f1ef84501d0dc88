//! Messages and stubs, by prost and tonic, each in a file of its own.

use std::{cell::RefCell, error::Error, fs, rc::Rc};

use prost_build::{Service, ServiceGenerator};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::rules;

/// Rust for one package.
pub(crate) struct Code {
    /// The messages.
    pub(crate) messages: String,
    /// Client and server of the service. Needs tonic, and the messages around it.
    pub(crate) stubs: String,
}

/// Large and rare fields, kept on the heap: frames pass through queues, and an enum is as large as its largest arm. The
/// bodies of events are not listed, but for one: those over [`LARGE_BODY`] are boxed too.
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
    // Not large, but rare.
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

/// Octets that the struct of an event's body may have in the enum of all bodies; larger ones are boxed.
const LARGE_BODY: usize = 150;

/// Package `postern.v1`.
pub(crate) fn generate(descriptors: FileDescriptorSet) -> Result<Code, Box<dyn Error>> {
    let mut config = prost_build::Config::new();
    let large = large_bodies(&descriptors)?;
    for field in BOXED
        .iter()
        .copied()
        .chain(large.iter().map(String::as_str))
    {
        config.boxed(format!(".postern.v1.{field}"));
    }
    package(config, descriptors, "postern.v1.rs")
}

/// Package `postern.admin.v1`.
pub(crate) fn generate_admin(descriptors: FileDescriptorSet) -> Result<Code, Box<dyn Error>> {
    package(
        prost_build::Config::new(),
        descriptors,
        "postern.admin.v1.rs",
    )
}

fn package(
    mut config: prost_build::Config,
    descriptors: FileDescriptorSet,
    file: &str,
) -> Result<Code, Box<dyn Error>> {
    let stubs = Rc::new(RefCell::new(String::new()));
    let out = tempfile::tempdir()?;
    // Content is sliced out of the receive buffer, not copied.
    config.bytes(["."]).out_dir(out.path());
    config.service_generator(Box::new(Apart {
        // Channels and listeners are the caller's own.
        inner: tonic_prost_build::configure()
            .build_transport(false)
            .service_generator(),
        stubs: Rc::clone(&stubs),
    }));
    config.compile_fds(descriptors)?;

    let messages = fs::read_to_string(out.path().join(file))?;
    let parsed = syn::parse_file(&stubs.borrow())?;
    Ok(Code {
        messages,
        stubs: format!("// @generated\n{}", prettyplease::unparse(&parsed)),
    })
}

/// The arms of `Event.kind` whose messages are large.
fn large_bodies(descriptors: &FileDescriptorSet) -> Result<Vec<String>, Box<dyn Error>> {
    let mut large = Vec::new();
    for (arm, _) in rules::arms(descriptors, "Event")? {
        let body = rules::message_named(descriptors, &rules::camel(&arm))?;
        if octets(descriptors, body)? > LARGE_BODY {
            large.push(format!("Event.kind.{arm}"));
        }
    }
    Ok(large)
}

/// The octets of a message's struct, nearly: how prost and the compiler lay it out.
fn octets(
    descriptors: &FileDescriptorSet,
    message: &DescriptorProto,
) -> Result<usize, Box<dyn Error>> {
    let mut alone = 0;
    let mut oneofs = vec![0; message.oneof_decl.len()];
    for field in &message.field {
        let one = match field.r#type() {
            _ if field.label() == Label::Repeated => 24,
            Type::Bytes => 32,
            Type::String => 24,
            Type::Message if field.type_name().starts_with(".postern.v1.") => {
                let name = field.type_name().trim_start_matches(".postern.v1.");
                octets(descriptors, rules::message_named(descriptors, name)?)?
            }
            // A time or a span.
            Type::Message => 24,
            Type::Bool => 1,
            Type::Double | Type::Int64 | Type::Uint64 => 8,
            _ => 4,
        };
        let place = field.oneof_index.filter(|_| !field.proto3_optional());
        let place = place.and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| oneofs.get_mut(place)) {
            Some(largest) => *largest = one.max(*largest),
            None if field.proto3_optional() && one <= 8 => alone += 2 * one,
            None => alone += one,
        }
    }
    let oneofs = oneofs.into_iter().filter(|largest| *largest > 0);
    Ok((alone + oneofs.map(|largest| largest + 8).sum::<usize>()).next_multiple_of(8))
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
