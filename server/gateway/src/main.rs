//! The `postern` program.

use std::process::ExitCode;

/// Many small allocations on many threads, and bursts whose memory is to be given back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    postern::cli::main()
}
