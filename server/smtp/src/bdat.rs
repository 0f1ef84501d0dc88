//! BDAT: chunks.
