//! What the benchmarks share, and the measurement of faults: `postern-bench-faults`.

pub mod faults;
pub mod load;
pub mod receiver;
