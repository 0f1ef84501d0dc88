//! What the benchmarks share, and the measurements of faults (`postern-bench-faults`) and of the queue (`postern-bench-queue`).

pub mod faults;
pub mod load;
pub mod queue;
pub mod receiver;
mod report;
