//! The mutants of a crate: small changes that its tests should notice.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, BinOp, Block, Expr, ImplItemFn, ItemFn, Pat, ReturnType, Signature, Stmt, Type, UnOp,
};

use crate::source::{File, is_test};
use crate::text::Wrap;

/// One change, behind a switch.
pub struct Mutant {
    pub number: u32,
    pub file: String,
    pub line: usize,
    /// What the change is, for a reader.
    pub what: String,
    pub wrap: Wrap,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5} {}:{}  {}",
            self.number, self.file, self.line, self.what
        )
    }
}

/// A `const` that is taken away, so that a function can have switches.
pub struct Plain {
    pub file: String,
    pub range: Range<usize>,
}

/// All mutants of these files.
pub fn find(files: &[File]) -> Vec<Mutant> {
    let kept = constant(files);
    let mut finder = Finder {
        found: Vec::new(),
        file: "",
        text: "",
        kept: &kept,
    };
    for file in files {
        finder.file = &file.path;
        finder.text = &file.text;
        finder.visit_file(&file.parsed);
    }
    finder.found
}

/// The `const`s that have to go.
pub fn plain(files: &[File]) -> Vec<Plain> {
    struct Consts<'a> {
        found: Vec<Plain>,
        file: &'a str,
        kept: &'a HashSet<String>,
    }
    impl Visit<'_> for Consts<'_> {
        fn visit_signature(&mut self, own: &Signature) {
            if let Some(word) = &own.constness
                && !self.kept.contains(&own.ident.to_string())
            {
                self.found.push(Plain {
                    file: self.file.to_owned(),
                    range: word.span.byte_range(),
                });
            }
        }
        fn visit_item_mod(&mut self, own: &syn::ItemMod) {
            if !is_test(&own.attrs) {
                visit::visit_item_mod(self, own);
            }
        }
    }
    let kept = constant(files);
    let mut consts = Consts {
        found: Vec::new(),
        file: "",
        kept: &kept,
    };
    for file in files {
        consts.file = &file.path;
        consts.visit_file(&file.parsed);
    }
    consts.found
}

/// Names of functions that constants call, and so on.
fn constant(files: &[File]) -> HashSet<String> {
    #[derive(Default)]
    struct Names {
        inside: usize,
        called: HashSet<String>,
        grown: bool,
    }
    impl Names {
        fn within(&mut self, go: impl FnOnce(&mut Self)) {
            self.inside += 1;
            go(self);
            self.inside -= 1;
        }
    }
    impl Visit<'_> for Names {
        fn visit_item_const(&mut self, own: &syn::ItemConst) {
            self.within(|this| visit::visit_item_const(this, own));
        }
        fn visit_impl_item_const(&mut self, own: &syn::ImplItemConst) {
            self.within(|this| visit::visit_impl_item_const(this, own));
        }
        fn visit_item_static(&mut self, own: &syn::ItemStatic) {
            self.within(|this| visit::visit_item_static(this, own));
        }
        fn visit_type_array(&mut self, own: &syn::TypeArray) {
            self.within(|this| visit::visit_type_array(this, own));
        }
        fn visit_item_fn(&mut self, own: &ItemFn) {
            let keeps =
                own.sig.constness.is_some() && self.called.contains(&own.sig.ident.to_string());
            if keeps {
                self.within(|this| visit::visit_item_fn(this, own));
            } else {
                visit::visit_item_fn(self, own);
            }
        }
        fn visit_impl_item_fn(&mut self, own: &ImplItemFn) {
            let keeps =
                own.sig.constness.is_some() && self.called.contains(&own.sig.ident.to_string());
            if keeps {
                self.within(|this| visit::visit_impl_item_fn(this, own));
            } else {
                visit::visit_impl_item_fn(self, own);
            }
        }
        fn visit_path_segment(&mut self, own: &syn::PathSegment) {
            if self.inside > 0 {
                self.grown |= self.called.insert(own.ident.to_string());
            }
            visit::visit_path_segment(self, own);
        }
        fn visit_expr_method_call(&mut self, own: &syn::ExprMethodCall) {
            if self.inside > 0 {
                self.grown |= self.called.insert(own.method.to_string());
            }
            visit::visit_expr_method_call(self, own);
        }
    }
    let mut names = Names::default();
    loop {
        names.grown = false;
        for file in files {
            names.visit_file(&file.parsed);
        }
        if !names.grown {
            return names.called;
        }
    }
}

struct Finder<'a> {
    found: Vec<Mutant>,
    file: &'a str,
    text: &'a str,
    kept: &'a HashSet<String>,
}

impl Finder<'_> {
    /// The text of something, on one line; `None` where a comment stands in it.
    fn source(&self, range: &Range<usize>) -> Option<String> {
        let text = &self.text[range.clone()];
        (!text.contains("//")).then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn short(&self, range: &Range<usize>) -> String {
        let words = self.text[range.clone()].split_whitespace();
        let text = words.collect::<Vec<_>>().join(" ");
        match text.char_indices().nth(70) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// Adds a mutant. `make` gives what goes before and after, from the switch.
    fn add(
        &mut self,
        range: Range<usize>,
        line: usize,
        what: String,
        make: impl FnOnce(&str) -> (String, String),
    ) {
        let number = u32::try_from(self.found.len() + 1).unwrap_or(u32::MAX);
        let (before, after) = make(&format!("crate::mutation::is({number})"));
        self.found.push(Mutant {
            number,
            file: self.file.to_owned(),
            line,
            what,
            wrap: Wrap {
                range,
                before,
                after,
                instead: false,
            },
        });
    }

    /// Something true or false, that is made one of the two.
    fn truth(&mut self, own: &Expr, may_be_true: bool) {
        match own {
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => {
                self.truth(&binary.left, true);
                self.truth(&binary.right, true);
            }
            Expr::Paren(inner) => self.truth(&inner.expr, may_be_true),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => self.truth(&unary.expr, true),
            Expr::Let(inner) => self.visit_expr(&inner.expr),
            Expr::Lit(_) => {}
            _ => {
                let range = own.span().byte_range();
                let line = own.span().start().line;
                let shown = self.short(&range);
                self.add(range.clone(), line, format!("false for `{shown}`"), |is| {
                    (format!("(!{is} && ("), "))".to_owned())
                });
                if may_be_true {
                    self.add(range, line, format!("true for `{shown}`"), |is| {
                        (format!("({is} || ("), "))".to_owned())
                    });
                }
                match own {
                    Expr::Binary(binary) if compares(&binary.op) => self.within_comparison(binary),
                    other => visit::visit_expr(self, other),
                }
            }
        }
    }

    fn within_comparison(&mut self, binary: &syn::ExprBinary) {
        let other = match binary.op {
            BinOp::Lt(_) => Some("<="),
            BinOp::Le(_) => Some("<"),
            BinOp::Gt(_) => Some(">="),
            BinOp::Ge(_) => Some(">"),
            _ => None,
        };
        if let Some(other) = other {
            self.instead(binary, other);
        }
        self.visit_expr(&binary.left);
        self.visit_expr(&binary.right);
    }

    /// Another operator.
    fn instead(&mut self, binary: &syn::ExprBinary, other: &str) {
        let (left, right) = (
            binary.left.span().byte_range(),
            binary.right.span().byte_range(),
        );
        let (Some(left), Some(right)) = (self.source(&left), self.source(&right)) else {
            return;
        };
        let range = binary.span().byte_range();
        let shown = self.short(&range);
        let line = binary.op.span().start().line;
        self.add(range, line, format!("`{other}` in `{shown}`"), |is| {
            (
                format!("(if {is} {{ ({left}) {other} ({right}) }} else {{ "),
                " })".to_owned(),
            )
        });
    }

    fn function(&mut self, sig: &Signature, block: &Block) {
        if sig.constness.is_some() && self.kept.contains(&sig.ident.to_string()) {
            return;
        }
        let at = block.brace_token.span.open().byte_range().end;
        let line = sig.ident.span().start().line;
        let name = sig.ident.to_string();
        for value in values(&sig.output) {
            let what = match *value {
                "" => format!("{name} does nothing"),
                _ => format!("{name} returns {value}"),
            };
            self.add(at..at, line, what, |is| {
                (format!(" if {is} {{ return {value}; }}"), String::new())
            });
        }
        self.visit_block(block);
    }
}

/// Other values that a function may return.
fn values(output: &ReturnType) -> &'static [&'static str] {
    let ReturnType::Type(_, of) = output else {
        return &[""];
    };
    let Type::Path(path) = &**of else { return &[] };
    let Some(last) = path.path.segments.last() else {
        return &[];
    };
    match last.ident.to_string().as_str() {
        "bool" => &["true", "false"],
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => &["0", "1"],
        "Option" => &["None"],
        "Vec" | "String" | "Bytes" => &["Default::default()"],
        "Duration" => &["std::time::Duration::ZERO"],
        "Result" => match &last.arguments {
            syn::PathArguments::AngleBracketed(of) => match of.args.first() {
                Some(syn::GenericArgument::Type(Type::Tuple(unit))) if unit.elems.is_empty() => {
                    &["Ok(())"]
                }
                Some(syn::GenericArgument::Type(Type::Path(path)))
                    if path.path.is_ident("bool") =>
                {
                    &["Ok(true)", "Ok(false)"]
                }
                _ => &[],
            },
            _ => &[],
        },
        _ => &[],
    }
}

const fn compares(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_)
    )
}

impl Visit<'_> for Finder<'_> {
    fn visit_item(&mut self, own: &syn::Item) {
        let attributes = match own {
            syn::Item::Mod(own) => &own.attrs,
            syn::Item::Fn(own) => &own.attrs,
            syn::Item::Impl(own) => &own.attrs,
            syn::Item::Const(_)
            | syn::Item::Static(_)
            | syn::Item::Enum(_)
            | syn::Item::Type(_) => {
                return;
            }
            _ => &Vec::new(),
        };
        if !is_test(attributes) {
            visit::visit_item(self, own);
        }
    }

    fn visit_impl_item_const(&mut self, _: &syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &syn::TraitItemConst) {}
    fn visit_type(&mut self, _: &Type) {}
    fn visit_attribute(&mut self, _: &syn::Attribute) {}
    fn visit_pat(&mut self, _: &Pat) {}
    fn visit_expr_const(&mut self, _: &syn::ExprConst) {}
    fn visit_expr_repeat(&mut self, own: &syn::ExprRepeat) {
        self.visit_expr(&own.expr);
    }

    fn visit_item_fn(&mut self, own: &ItemFn) {
        self.function(&own.sig, &own.block);
    }

    fn visit_impl_item_fn(&mut self, own: &ImplItemFn) {
        if !is_test(&own.attrs) {
            self.function(&own.sig, &own.block);
        }
    }

    fn visit_trait_item_fn(&mut self, own: &syn::TraitItemFn) {
        if let Some(block) = &own.default {
            self.function(&own.sig, block);
        }
    }

    fn visit_stmt(&mut self, own: &Stmt) {
        if let Stmt::Expr(expr, Some(_)) = own {
            let does = match expr {
                Expr::Try(inner) => &*inner.expr,
                other => other,
            };
            let is_step = match does {
                Expr::Call(_) | Expr::MethodCall(_) | Expr::Assign(_) => true,
                Expr::Binary(binary) => is_assignment(&binary.op),
                _ => false,
            };
            if is_step {
                let range = own.span().byte_range();
                let shown = self.short(&range);
                let line = own.span().start().line;
                self.add(range, line, format!("without `{shown}`"), |is| {
                    (format!("if !{is} {{ "), " }".to_owned())
                });
            }
        }
        visit::visit_stmt(self, own);
    }

    fn visit_expr_if(&mut self, own: &syn::ExprIf) {
        self.truth(&own.cond, true);
        self.visit_block(&own.then_branch);
        if let Some((_, other)) = &own.else_branch {
            self.visit_expr(other);
        }
    }

    fn visit_expr_while(&mut self, own: &syn::ExprWhile) {
        // One that is always true would only show that loops end.
        self.truth(&own.cond, false);
        self.visit_block(&own.body);
    }

    fn visit_expr_match(&mut self, own: &syn::ExprMatch) {
        self.visit_expr(&own.expr);
        let catches = |arm: &Arm| {
            arm.guard.is_none()
                && match &arm.pat {
                    Pat::Wild(_) => true,
                    // `None` and its like are names too.
                    Pat::Ident(own) => own.ident.to_string().starts_with(char::is_lowercase),
                    _ => false,
                }
        };
        let rest = own.arms.iter().rposition(catches).unwrap_or(0);
        for (place, arm) in own.arms.iter().enumerate() {
            match &arm.guard {
                Some((_, guard)) => self.truth(guard, true),
                None if place < rest => {
                    let pattern = arm.pat.span().byte_range();
                    let shown = self.short(&pattern);
                    let line = arm.pat.span().start().line;
                    let at = pattern.end;
                    self.add(at..at, line, format!("no arm for `{shown}`"), |is| {
                        (format!(" if !{is}"), String::new())
                    });
                }
                None => {}
            }
            self.visit_expr(&arm.body);
        }
    }

    fn visit_expr_binary(&mut self, own: &syn::ExprBinary) {
        let other = match own.op {
            BinOp::Add(_) => "-",
            BinOp::Sub(_) => "+",
            BinOp::Mul(_) => "+",
            BinOp::Div(_) => "*",
            BinOp::Rem(_) => "/",
            BinOp::AddAssign(_) => "-=",
            BinOp::SubAssign(_) => "+=",
            BinOp::BitOr(_) => "&",
            BinOp::BitAnd(_) => "|",
            BinOp::And(_) | BinOp::Or(_) => {
                self.truth(&own.left, true);
                self.truth(&own.right, true);
                return;
            }
            op if compares(&op) => {
                self.truth(&Expr::Binary(own.clone()), true);
                return;
            }
            _ => "",
        };
        if !other.is_empty() {
            self.instead(own, other);
        }
        visit::visit_expr_binary(self, own);
    }
}

const fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::BitAndAssign(_)
    )
}
