//! Files have at most 400 lines, functions at most 70 between their braces.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::source::{expect_none, rust};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn files_and_functions_stay_small() {
    let complaints: Vec<String> = rust().iter().flat_map(|(path, text)| against(path, text)).collect();
    expect_none(&complaints);
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let body = |lines: usize| "    f();\n".repeat(lines);
    let just_right = format!("fn f() {{\n{}}}\n{}", body(FUNCTION_LINES_MAX), "\n".repeat(328));
    assert_eq!(against("a.rs", &just_right), [""; 0]);

    let long_file = format!("{just_right}\n");
    assert_eq!(against("a.rs", &long_file), ["a.rs: 401 lines, at most 400"]);

    let long_method = format!("impl A {{\n  fn f() {{\n{}}}\n}}\n", body(71));
    assert_eq!(against("a.rs", &long_method), ["a.rs:2: `f` has 71 lines, at most 70"]);
    let long_default = format!("mod m {{ trait A {{\n  fn g() {{\n{}}}\n}} }}\n", body(72));
    assert_eq!(against("a.rs", &long_default), ["a.rs:2: `g` has 72 lines, at most 70"]);
}

fn against(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        complaints.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"));
    }
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut functions = LongFunctions { path, complaints };
    functions.visit_file(&file);
    functions.complaints
}

struct LongFunctions<'a> {
    path: &'a str,
    complaints: Vec<String>,
}

impl LongFunctions<'_> {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let braces = block.brace_token.span;
        let (first, last): (Span, Span) = (braces.open(), braces.close());
        let lines = (last.start().line - first.start().line).saturating_sub(1);
        if lines > FUNCTION_LINES_MAX {
            let line = name.span().start().line;
            let complaint = format!("{}:{line}: `{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}", self.path);
            self.complaints.push(complaint);
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig.ident, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
