//! A look at bindings before anything runs: whether the sink can work with their properties.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use crate::call::Needs;
use crate::v1;

/// What the sink's author has to say of a binding, beyond what reading its properties shows.
#[derive(Clone)]
pub(crate) struct Check {
    type_id: TypeId,
    name: &'static str,
    run: Run,
}

type Run =
    Arc<dyn Fn(&(dyn Any + Send + Sync), &v1::ConfiguredBinding) -> Vec<String> + Send + Sync>;

impl Check {
    pub(super) fn of<P: Send + Sync + 'static>(
        check: impl Fn(&P, &v1::ConfiguredBinding) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            type_id: TypeId::of::<P>(),
            name: type_name::<P>(),
            run: Arc::new(move |properties, binding| {
                let properties = properties.downcast_ref::<P>();
                properties.map_or_else(Vec::new, |properties| check(properties, binding))
            }),
        }
    }

    /// Why it cannot be used with what the handlers take.
    pub(super) fn problem(&self, needs: &Needs) -> Option<String> {
        let taken = needs.properties.as_ref();
        match taken {
            Some(taken) if taken.type_id == self.type_id => None,
            Some(taken) => Some(format!(
                "`check` takes the properties as {}, a handler as {}: there is one type for all",
                self.name, taken.name
            )),
            None => Some(format!(
                "`check` takes the properties as {}, and no handler takes any",
                self.name
            )),
        }
    }
}

/// Everything that is wrong with a binding.
pub(super) fn problems(
    needs: &Needs,
    check: Option<&Check>,
    binding: &v1::ConfiguredBinding,
) -> Vec<String> {
    match needs.read_properties(&binding.properties_json) {
        Ok(properties) => check.map_or_else(Vec::new, |check| (check.run)(&*properties, binding)),
        Err(problem) => vec![problem],
    }
}
