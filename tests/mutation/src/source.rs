//! The source files of a crate that are not its tests.

use std::path::PathBuf;

use syn::{Attribute, Item, Meta};

/// One file of a crate.
pub struct File {
    /// From the root.
    pub path: String,
    pub text: String,
    pub parsed: syn::File,
}

/// The files of the library in `folder`, following its modules.
pub fn files(folder: &str) -> Result<Vec<File>, String> {
    let mut found = Vec::new();
    let root = PathBuf::from(folder).join("src");
    load(root.join("lib.rs"), &root, &mut found)?;
    Ok(found)
}

fn load(path: PathBuf, inside: &std::path::Path, found: &mut Vec<File>) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let parsed = syn::parse_file(&text).map_err(|error| failed(&error))?;
    let mut children = Vec::new();
    for item in &parsed.items {
        if let Item::Mod(own) = item
            && own.content.is_none()
            && !is_test(&own.attrs)
        {
            let name = own.ident.to_string();
            let name = name.trim_start_matches("r#");
            children.push((inside.join(format!("{name}.rs")), inside.join(name)));
        }
    }
    found.push(File {
        path: path.display().to_string(),
        text,
        parsed,
    });
    for (path, inside) in children {
        load(path, &inside, found)?;
    }
    Ok(())
}

/// Whether an item is of the tests alone.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::NameValue(_) => false,
    })
}
