//! Types are named after what they are, not after the fact that they do something.

use syn::visit::{self, Visit};

use super::source::{expect_none, rust};

/// Endings that say nothing.
const BANNED: [&str; 7] = ["Manager", "Helper", "Util", "Utils", "Service", "Common", "Base"];

#[test]
fn types_have_the_names_of_things() {
    let complaints: Vec<String> = rust().iter().flat_map(|(path, text)| against(path, text)).collect();
    expect_none(&complaints);
}

#[test]
fn an_empty_name_is_found_wherever_a_type_is_declared() {
    let text = "struct SessionManager; enum PathUtil {} mod m { trait NodeService {} type BlockBase = u8; }\n\
                fn f() { union RingHelper { a: u8 } }\nstruct Database; struct Commons; struct BasePort;";
    assert_eq!(
        against("a.rs", text),
        [
            "a.rs:1: `SessionManager`",
            "a.rs:1: `PathUtil`",
            "a.rs:1: `NodeService`",
            "a.rs:1: `BlockBase`",
            "a.rs:2: `RingHelper`",
        ]
    );
}

fn against(path: &str, text: &str) -> Vec<String> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut names = EmptyNames { path, complaints: Vec::new() };
    names.visit_file(&file);
    names.complaints
}

struct EmptyNames<'a> {
    path: &'a str,
    complaints: Vec<String>,
}

impl EmptyNames<'_> {
    fn judge(&mut self, name: &syn::Ident) {
        if BANNED.iter().any(|ending| name.to_string().ends_with(ending)) {
            self.complaints.push(format!("{}:{}: `{name}`", self.path, name.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for EmptyNames<'_> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.judge(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.judge(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.judge(&item.ident);
        visit::visit_item_union(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.judge(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.judge(&item.ident);
        visit::visit_item_type(self, item);
    }
}
