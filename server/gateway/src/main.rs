//! The `postern` program.

use std::process::ExitCode;

/// Many small allocations on many threads: measured faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postern::cli::main()
}
