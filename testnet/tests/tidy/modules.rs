//! The modules of the node use one another downwards only: the command line and the demonstration speak to a node
//! through its doors, what serves requests stands on the core, the core on network and stores, and those on nothing.
//! The JSON types in `admin::wire` are plain data, and anybody's. Some commands act where no node runs: they open the
//! data folder, and `join` the network, themselves.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

use super::source::{expect_none, rust};

const OUTSIDE: [&str; 3] = ["cli", "demo", "runner"];
const DOORS: [&str; 2] = ["admin", "api"];
const SERVING: [&str; 3] = ["route", "session", "exec"];
const GROUND: [&str; 2] = ["net", "store"];

/// The commands that act where no node runs, or with keys that no node has.
const WITHOUT_A_NODE: [&str; 9] =
    ["apply.rs", "init.rs", "join.rs", "run.rs", "doctor.rs", "model.rs", "recover.rs", "revoke.rs", "issuer.rs"];

#[test]
fn modules_of_the_node_use_downwards() {
    let files = rust();
    let uses: BTreeSet<Use> = files.iter().flat_map(|(path, text)| uses(path, text)).collect();
    assert!(!uses.is_empty(), "no module uses another: the check looks at nothing");
    expect_none(&against(&uses));
}

#[test]
fn each_use_upwards_is_found() {
    let found = |path: &str, text: &str| against(&uses(path, text));
    assert_eq!(found("node/src/store/log.rs", "use crate::core::View;"), ["node/src/store/log.rs:1: store uses core"]);
    assert_eq!(
        found("node/src/net/mod.rs", "use crate::{config::A,\n route::{B, C}, store};\nfn f() { crate::api::g(); }"),
        ["node/src/net/mod.rs:2: net uses route", "node/src/net/mod.rs:3: net uses api"]
    );
    assert_eq!(found("node/src/core/view.rs", "m!(crate::exec::X);"), ["node/src/core/view.rs:1: core uses exec"]);
    assert_eq!(found("node/src/content/a.rs", "use crate::store::A;"), ["node/src/content/a.rs:1: content uses store"]);
    assert_eq!(found("node/src/store/a.rs", "use crate::content::A;"), [""; 0]);
    assert_eq!(found("node/src/cli/ping.rs", "use crate::net::Net;"), ["node/src/cli/ping.rs:1: cli uses net"]);
    assert_eq!(
        found("node/src/cli/join.rs", "use crate::{net::A, core::B};"),
        ["node/src/cli/join.rs:1: cli uses core"]
    );
    assert_eq!(found("node/src/route/mod.rs", "use crate::admin::A;"), ["node/src/route/mod.rs:1: route uses admin"]);
    assert_eq!(found("node/src/api/rest.rs", "use crate::demo::A;"), ["node/src/api/rest.rs:1: api uses demo"]);
    assert_eq!(found("node/src/api/rest.rs", "use crate::{route::A, core::B, store::C, admin::wire::D};"), [""; 0]);
    assert_eq!(found("node/src/api/rest.rs", "use crate::admin::wire::D;"), [""; 0]);
    assert_eq!(found("protocol/src/store/a.rs", "use crate::core::A;"), [""; 0], "another crate");
}

/// One mention of `crate::TO` in module `from` of the node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    path: String,
    line: usize,
    from: String,
    to: String,
}

fn against(uses: &BTreeSet<Use>) -> Vec<String> {
    let upwards = uses.iter().filter(|used| forbidden(&used.from, &used.path).contains(used.to.as_str()));
    upwards.map(|used| format!("{}:{}: {} uses {}", used.path, used.line, used.from, used.to)).collect()
}

fn forbidden(from: &str, path: &str) -> BTreeSet<&'static str> {
    let may_be_without_a_node = WITHOUT_A_NODE.iter().any(|file| path.ends_with(&format!("/{file}")));
    let layers: &[&[&'static str]] = match from {
        "content" => &[&OUTSIDE, &DOORS, &SERVING, &["core"], &GROUND],
        "net" | "store" => &[&OUTSIDE, &DOORS, &SERVING, &["core"]],
        "core" => &[&OUTSIDE, &DOORS, &SERVING],
        "route" | "session" | "exec" => &[&OUTSIDE, &DOORS],
        "api" => &[&OUTSIDE, &["admin"]],
        "admin" => &[&OUTSIDE],
        "cli" if may_be_without_a_node => &[&["api"], &SERVING, &["core"]],
        "cli" | "demo" | "runner" => &[&["api"], &SERVING, &["core"], &GROUND],
        _ => &[],
    };
    layers.iter().flat_map(|layer| layer.iter().copied()).collect()
}

fn uses(path: &str, text: &str) -> BTreeSet<Use> {
    let Some(from) = path.strip_prefix("node/src/").and_then(|rest| rest.split_once('/')) else {
        return BTreeSet::new();
    };
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut heads = Vec::new();
    mentions(tokens, &mut heads);
    let named = heads.into_iter().map(|(line, to)| Use { path: path.to_owned(), line, from: from.0.to_owned(), to });
    named.collect()
}

/// The names after `crate::`, wherever they stand, also inside the arguments of macros.
fn mentions(tokens: TokenStream, heads: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            mentions(group.stream(), heads);
        }
        let [TokenTree::Ident(word), rest @ ..] = &tokens[index..] else { continue };
        let Some(after) = after_colons(rest).filter(|_| word == "crate") else { continue };
        match after.first() {
            Some(TokenTree::Ident(head)) => push_unless_data(head, &after[1..], heads),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => first_names(group, heads),
            Some(TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) | None => {}
        }
    }
}

fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    match tokens {
        [one, two, rest @ ..] if is_colon(one) && is_colon(two) => Some(rest),
        _ => None,
    }
}

fn push_unless_data(head: &Ident, rest: &[TokenTree], heads: &mut Vec<(usize, String)>) {
    let second = after_colons(rest).and_then(|after| after.first());
    let is_data = head == "admin" && matches!(second, Some(TokenTree::Ident(name)) if name == "wire");
    if !is_data {
        heads.push((head.span().start().line, head.to_string()));
    }
}

/// The first name of each member of `{a::b, c, d::{e, f}}`.
fn first_names(group: &Group, heads: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    for member in tokens.split(is_comma) {
        if let [TokenTree::Ident(head), rest @ ..] = member {
            push_unless_data(head, rest, heads);
        }
    }
}
