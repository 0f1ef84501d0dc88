//! Writes `proto/src/generated/`: `cargo run -p postern-proto-generate`.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = proto.join("src/generated");
    fs::create_dir_all(&target)?;
    for file in postern_proto_generate::generate(&proto)? {
        fs::write(target.join(file.name), file.content)?;
    }
    Ok(())
}
