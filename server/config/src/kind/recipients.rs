//! Which recipients of a domain exist.

use std::path::PathBuf;

use super::{File, Kind};
use crate::reader::{Field, Reader};
use crate::registry::Shape;
use crate::section::{Section, choice, section};

/// Which recipients of a domain exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipients {
    /// All.
    Any,
    /// Those in this file.
    File(PathBuf),
}

choice! {
    /// What can be said in a word.
    Word {
        /// All.
        Any = "any";
    }
    later {
        "verify" => 3;
    }
}

section! {
    /// Those in a file.
    RecipientFile at "domain.recipients" {
        /// A text file with one recipient on each line: a local part, or a whole address. Empty lines and lines that
        /// begin with `#` do not count.
        file: PathBuf as File;
    }
}

impl Kind for Recipients {
    type Out = Self;

    fn shape() -> Shape {
        Shape::Either(vec![Word::shape(), Shape::Table(RecipientFile::describe)])
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<Self> {
        if field.node.as_table().is_some() {
            return RecipientFile::read(field, reader).map(|table| Self::File(table.file));
        }
        <Word as Kind>::read(field, reader).map(|Word::Any| Self::Any)
    }
}
