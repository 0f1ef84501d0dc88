//! Finds what a condition names, and refuses what could cost without bound.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, SelectExpr};

use super::ConditionError;
use crate::attributes::Attribute;

/// Functions and methods of CEL that are there; operators and what the parser makes begin with other characters.
const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "type",
    "dyn",
];

/// The attributes that an expression names, each once.
pub(super) fn attributes(expression: &Expr) -> Result<Vec<Attribute>, ConditionError> {
    let mut inspector = Inspector {
        found: Vec::new(),
        variables: Vec::new(),
        in_loop: false,
    };
    inspector.expression(expression)?;
    Ok(inspector.found)
}

struct Inspector<'a> {
    found: Vec<Attribute>,
    /// Names that loops have bound.
    variables: Vec<&'a str>,
    in_loop: bool,
}

impl<'a> Inspector<'a> {
    fn expression(&mut self, expression: &'a Expr) -> Result<(), ConditionError> {
        match expression {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|element| self.expression(&element.expr)),
            Expr::Map(map) => map
                .entries
                .iter()
                .try_for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(made) => Err(ConditionError::UnknownFunction {
                name: made.type_name.clone(),
            }),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Result<(), ConditionError> {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key.expr)?;
                self.expression(&entry.value.expr)
            }
            EntryExpr::StructField(field) => self.expression(&field.value.expr),
        }
    }

    fn name(&mut self, name: &str) -> Result<(), ConditionError> {
        if self.variables.contains(&name) {
            return Ok(());
        }
        Err(ConditionError::UnknownAttribute {
            name: name.to_owned(),
            nearest: nearest(name, |_| true),
        })
    }

    fn select(&mut self, select: &'a SelectExpr) -> Result<(), ConditionError> {
        let Expr::Ident(root) = &select.operand.expr else {
            return self.expression(&select.operand.expr);
        };
        if self.variables.contains(&root.as_str()) {
            return Ok(());
        }
        let path = format!("{root}.{}", select.field);
        let Some(attribute) = Attribute::find(&path) else {
            return Err(ConditionError::UnknownAttribute {
                nearest: nearest(&path, |_| true),
                name: path,
            });
        };
        if self.in_loop && attribute.is_collection() {
            return Err(ConditionError::Unbounded { what: path });
        }
        if !self.found.contains(&attribute) {
            self.found.push(attribute);
        }
        Ok(())
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<(), ConditionError> {
        let is_word = call
            .func_name
            .starts_with(|c: char| c.is_ascii_alphabetic());
        if is_word && !FUNCTIONS.contains(&call.func_name.as_str()) {
            return Err(ConditionError::UnknownFunction {
                name: call.func_name.clone(),
            });
        }
        if let Some(target) = &call.target {
            self.expression(&target.expr)?;
        }
        call.args
            .iter()
            .try_for_each(|argument| self.expression(&argument.expr))
    }

    fn comprehension(
        &mut self,
        comprehension: &'a ComprehensionExpr,
    ) -> Result<(), ConditionError> {
        if self.in_loop {
            return Err(ConditionError::Unbounded {
                what: "another loop".to_owned(),
            });
        }
        self.expression(&comprehension.iter_range.expr)?;
        self.expression(&comprehension.accu_init.expr)?;
        let depth = self.variables.len();
        self.variables.push(&comprehension.iter_var);
        self.variables.extend(comprehension.iter_var2.as_deref());
        self.variables.push(&comprehension.accu_var);
        self.in_loop = true;
        for part in [
            &comprehension.loop_cond,
            &comprehension.loop_step,
            &comprehension.result,
        ] {
            self.expression(&part.expr)?;
        }
        self.in_loop = false;
        self.variables.truncate(depth);
        Ok(())
    }
}

/// The attribute that was probably meant, among those that are allowed.
pub(super) fn nearest(name: &str, allowed: impl Fn(Attribute) -> bool) -> Option<&'static str> {
    Attribute::ALL
        .iter()
        .filter(|attribute| allowed(**attribute))
        .map(|attribute| {
            (
                strsim::damerau_levenshtein(name, attribute.path()),
                attribute.path(),
            )
        })
        .filter(|(distance, path)| *distance <= 1 + path.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, path)| path)
}
