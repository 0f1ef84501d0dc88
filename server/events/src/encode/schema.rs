//! Which fields of the protocol's messages are lists, and which are messages: read from the descriptors.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::read);

/// The messages of the protocol.
pub(super) struct Schema {
    messages: HashMap<String, HashMap<u32, FieldShape>>,
}

/// What a field is, as far as splitting asks.
pub(super) struct FieldShape {
    /// A list, or a map.
    pub(super) repeated: bool,
    /// The message that it holds.
    pub(super) message: Option<String>,
}

impl Schema {
    /// The schema of this version. Read at the first event that does not fit into one frame.
    pub(super) fn get() -> &'static Self {
        &SCHEMA
    }

    /// A field of a message, by its number.
    pub(super) fn field(&self, message: &str, number: u32) -> Option<&FieldShape> {
        self.messages.get(message)?.get(&number)
    }

    fn read() -> Self {
        let mut schema = Self {
            messages: HashMap::new(),
        };
        // It is part of this program; a test reads it.
        let files = FileDescriptorSet::decode(postern_proto::FILE_DESCRIPTOR_SET);
        for file in files.unwrap_or_default().file {
            let package = file.package().to_owned();
            for message in &file.message_type {
                schema.add(&package, message);
            }
        }
        schema
    }

    fn add(&mut self, within: &str, message: &DescriptorProto) {
        let name = format!("{within}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        let fields = message.field.iter().map(|field| {
            let shape = FieldShape {
                repeated: field.label() == Label::Repeated,
                message: (field.r#type() == Type::Message)
                    .then(|| field.type_name().trim_start_matches('.').to_owned()),
            };
            (field.number().unsigned_abs(), shape)
        });
        self.messages.insert(name, fields.collect());
    }
}
