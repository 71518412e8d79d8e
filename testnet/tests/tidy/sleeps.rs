//! Tests wait for a condition or own the clock; none sleeps for a fixed time.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::source::{expect_none, rust};

#[test]
fn no_test_sleeps() {
    let complaints: Vec<String> = rust().iter().flat_map(|(path, text)| against(path, text)).collect();
    expect_none(&complaints);
}

#[test]
fn a_sleep_in_a_test_is_found_and_one_elsewhere_is_not() {
    let nap = concat!("sle", "ep(d)");
    let module = format!("fn f() {{ {nap}; }}\n#[cfg(test)]\nmod tests {{\n  fn g() {{ m!(tokio::time::{nap}); }}\n}}");
    assert_eq!(against("node/src/a.rs", &module), ["node/src/a.rs:4"]);
    let function = format!("#[tokio::test]\nasync fn f() {{\n  self.{nap}.await;\n}}\nfn sleep(d: u8) {{}}");
    assert_eq!(against("node/src/a.rs", &function), ["node/src/a.rs:3"]);
    for path in ["node/tests/join.rs", "node/src/a_tests.rs"] {
        assert_eq!(against(path, &format!("fn f() {{ {nap} }}")), [format!("{path}:1")]);
    }
}

fn against(path: &str, text: &str) -> Vec<String> {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut sleeps = Vec::new();
    calls(tokens, &mut sleeps);
    let in_test: Box<dyn Fn(usize) -> bool> = if path.contains("/tests/") || path.ends_with("_tests.rs") {
        Box::new(|_line| true)
    } else {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut tests = TestCode(Vec::new());
        tests.visit_file(&file);
        Box::new(move |line| tests.0.iter().any(|range| range.contains(&line)))
    };
    sleeps.into_iter().filter(|&line| in_test(line)).map(|line| format!("{path}:{line}")).collect()
}

/// The lines on which something named `sleep` is called, also inside the arguments of macros.
fn calls(tokens: TokenStream, lines: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match (token, tokens.get(index + 1)) {
            (TokenTree::Ident(name), Some(TokenTree::Group(arguments)))
                if name == "sleep" && arguments.delimiter() == Delimiter::Parenthesis =>
            {
                let before = index.checked_sub(1).and_then(|index| tokens.get(index));
                if !matches!(before, Some(TokenTree::Ident(word)) if word == "fn") {
                    lines.push(name.span().start().line);
                }
            }
            (TokenTree::Group(group), _) => calls(group.stream(), lines),
            (TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_), _) => {}
        }
    }
}

/// Line ranges of `#[cfg(test)]` modules and of functions with a test attribute.
struct TestCode(Vec<RangeInclusive<usize>>);

impl TestCode {
    fn add(&mut self, item: &impl syn::spanned::Spanned) {
        self.0.push(item.span().start().line..=item.span().end().line);
    }
}

impl<'ast> Visit<'ast> for TestCode {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.attrs.iter().any(is_cfg_test) {
            self.add(module);
        }
        visit::visit_item_mod(self, module);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let is_test = |attribute: &syn::Attribute| {
            is_cfg_test(attribute) || attribute.path().segments.last().is_some_and(|last| last.ident == "test")
        };
        if function.attrs.iter().any(is_test) {
            self.add(function);
        }
        visit::visit_item_fn(self, function);
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}
