//! No name is one that a generator has to escape, in any language that sinks are likely to be written in: the same
//! field would then have another name there than in this protocol's documents.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use prost_types::{DescriptorProto, EnumDescriptorProto};

/// Words that cannot name a field as it stands, or as `lowerCamelCase`.
const FIELDS: &[(&str, &str)] = &[
    (
        "C++",
        "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const \
         const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern \
         false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or \
         or_eq private protected public register reinterpret_cast requires return short signed sizeof static \
         static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename \
         union unsigned using virtual void volatile wchar_t while xor xor_eq",
    ),
    (
        "Python",
        "False None True and as assert async await break class continue def del elif else except finally for from \
         global if import in is lambda nonlocal not or pass raise return try while with yield",
    ),
    (
        "Ruby",
        "alias and begin break case class def defined do else elsif end ensure false for if in module next nil not or \
         redo rescue retry return self super then true undef unless until when while yield",
    ),
    (
        "Rust",
        "abstract as async await become box break const continue crate do dyn else enum extern false final fn for if \
         impl in let loop macro match mod move mut override priv pub ref return self static struct super trait true \
         try type typeof unsafe unsized use virtual where while yield",
    ),
    (
        "Swift",
        "as associatedtype break case catch class continue debugDescription default defer deinit description do else \
         enum extension fallthrough false fileprivate for func guard hashValue if import in init inout internal is let \
         nil open operator private protocol public repeat rethrows return self static struct subscript super switch \
         throw throws true try typealias var where while",
    ),
    (
        "TypeScript",
        "break case catch class const constructor continue debugger default delete do else enum export extends false \
         finally for function hasOwnProperty if implements import in instanceof interface let new null package private \
         protected public return static super switch this throw toJSON toString true try typeof valueOf var void while \
         with yield",
    ),
    (
        "Objective-C",
        "class copy description hash id init release retain self superclass",
    ),
];

/// Words that cannot name a message, or hide a type that everybody uses.
const MESSAGES: &[(&str, &str)] = &[
    (
        "C#",
        "Action Activator Array Attribute Buffer Console Convert Delegate Enum Environment Exception File Index Lazy \
         Math Object Path Random Range Stream String Task Thread Timer Tuple Type Uri Version",
    ),
    (
        "Java",
        "Boolean Class Double Enum Error Exception Integer Iterable Long Math Module Number Object Override Package \
         Process Record Runtime String System Thread Void",
    ),
    ("Kotlin", "Any Array List Map Nothing Pair Result Set Unit"),
    ("PHP", "Array Class Default Empty List"),
    (
        "Rust",
        "Box Clone Copy Default Drop Err None Ok Option Result Self Send Some String Sync Vec",
    ),
    ("Swift", "Protocol Type"),
];

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &capital(part))
}

fn capital(part: &str) -> String {
    let (first, rest) = part.split_at(part.len().min(1));
    first.to_uppercase() + rest
}

fn has(words: &str, name: &str) -> bool {
    words.split_whitespace().any(|word| word == name)
}

fn message(message: &DescriptorProto, clashes: &mut Vec<String>) {
    let name = message.name();
    for (language, words) in MESSAGES {
        if has(words, name) {
            clashes.push(format!("{name} ({language})"));
        }
    }
    let fields = message.field.iter().map(|field| field.name());
    for field in fields.chain(message.oneof_decl.iter().map(|oneof| oneof.name())) {
        for (language, words) in FIELDS {
            if has(words, field) || has(words, &camel(field)) {
                clashes.push(format!("{name}.{field} ({language})"));
            }
        }
        if camel(&format!("_{field}")) == name {
            clashes.push(format!("{name}.{field} (C#: a member like its type)"));
        }
    }
    for nested in &message.nested_type {
        if !nested
            .options
            .as_ref()
            .is_some_and(|options| options.map_entry())
        {
            self::message(nested, clashes);
        }
    }
}

fn enumeration(found: &EnumDescriptorProto, clashes: &mut Vec<String>) {
    let prefix: String = found
        .name()
        .char_indices()
        .flat_map(|(at, letter)| {
            let bar = (at > 0 && letter.is_uppercase()).then_some('_');
            bar.into_iter().chain(letter.to_uppercase())
        })
        .collect();
    for value in &found.value {
        let Some(word) = value.name().strip_prefix(&format!("{prefix}_")) else {
            clashes.push(format!("{} lacks {prefix}_", value.name()));
            continue;
        };
        let word = camel(&word.to_lowercase());
        // Swift drops the prefix, and writes a case in small letters.
        if FIELDS
            .iter()
            .any(|(language, words)| *language == "Swift" && has(words, &word))
        {
            clashes.push(format!("{} (Swift)", value.name()));
        }
    }
}

#[test]
fn no_name_has_to_be_escaped() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let set = protox::compile(["postern/v1/sink.proto"], [&proto]).unwrap();
    let mut clashes = Vec::new();
    for file in set
        .file
        .iter()
        .filter(|file| file.package() == "postern.v1")
    {
        for found in &file.message_type {
            message(found, &mut clashes);
        }
        for found in &file.enum_type {
            enumeration(found, &mut clashes);
        }
    }
    assert!(clashes.is_empty(), "{clashes:#?}");
}
