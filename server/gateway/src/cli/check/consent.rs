//! What the operator accepts.

use postern_config::Effective;

/// Stands for all bindings. No binding can have this name.
pub(super) const ALL: &str = "";

/// What the operator accepts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Consent {
    all: bool,
    named: Vec<String>,
}

impl Consent {
    /// By the values of `--accept`.
    ///
    /// # Errors
    /// A line about a name that no binding has, or one that is not enabled.
    pub(super) fn of(values: &[String], effective: &Effective) -> Result<Self, String> {
        let enabled = || {
            let bindings = effective.config.bindings.iter();
            bindings.filter(|binding| binding.enabled)
        };
        let (all, named): (Vec<String>, Vec<String>) =
            values.iter().cloned().partition(|value| value == ALL);
        for name in &named {
            if !enabled().any(|binding| binding.name == *name) {
                let names: Vec<_> = enabled().map(|binding| binding.name.as_str()).collect();
                let there = match names.is_empty() {
                    true => "there is none".to_owned(),
                    false => format!("there are {}", names.join(", ")),
                };
                return Err(format!(
                    "--accept {name}: no enabled [[binding]] has this name; {there}"
                ));
            }
        }
        Ok(Self {
            all: !all.is_empty(),
            named,
        })
    }

    /// It is for this binding.
    pub(super) fn covers(&self, binding: &str) -> bool {
        self.all || self.names(binding)
    }

    /// It is for this binding by name: also if its sink is another one than before.
    pub(super) fn names(&self, binding: &str) -> bool {
        self.named.iter().any(|name| name == binding)
    }
}
