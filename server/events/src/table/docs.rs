//! The table as a page of the documentation.
/// The text of `docs/decisions-table.md`.
#[must_use]
pub fn render() -> String {
    String::new()
}
