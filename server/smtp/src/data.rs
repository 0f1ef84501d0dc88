//! DATA: dot-unstuffing.
