//! Writes the pages of `docs/` that are made from the tables in the code.

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(
        docs.join("decisions-table.md"),
        postern_events::table::render(),
    )?;
    std::fs::write(
        docs.join("attributes.md"),
        postern_events::attributes::render(),
    )
}
