//! A crate depends on those below it: attest, protocol, then crdt and inference side by side, node, then testnet and fuzz.

use cargo_metadata::MetadataCommand;

use super::source::{expect_none, root};

/// A dependency of one workspace package on another.
type Arrow = (String, String);

#[test]
fn crates_depend_downwards() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo knows its own workspace");
    let packages: Vec<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let mut arrows = Vec::new();
    for package in &metadata.packages {
        let inside = package.dependencies.iter().filter(|dependency| packages.contains(&dependency.name));
        arrows.extend(inside.map(|dependency| (package.name.to_string(), dependency.name.clone())));
    }
    assert!(!arrows.is_empty(), "no crate uses another: the check looks at nothing");
    expect_none(&against(&packages, &arrows));
}

#[test]
fn an_arrow_upwards_or_sideways_is_found() {
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let arrows = [
        arrow("hedgerow", "hedgerow-crdt"),
        arrow("hedgerow-attest", "hedgerow-protocol"),
        arrow("hedgerow-crdt", "hedgerow-inference"),
    ];
    assert_eq!(
        against(&named(&["hedgerow", "hedgerow-extra"]), &arrows),
        [
            "hedgerow-extra has no place in the order of the crates",
            "hedgerow-attest must not depend on hedgerow-protocol",
            "hedgerow-crdt must not depend on hedgerow-inference",
        ]
    );
}

/// Dependencies for tests and builds count as well.
fn against(packages: &[String], arrows: &[Arrow]) -> Vec<String> {
    let strangers = packages.iter().filter(|name| height(name).is_none());
    let strangers = strangers.map(|name| format!("{name} has no place in the order of the crates"));
    let reversed = arrows.iter().filter(|(from, to)| height(from) <= height(to));
    strangers.chain(reversed.map(|(from, to)| format!("{from} must not depend on {to}"))).collect()
}

fn height(package: &str) -> Option<u8> {
    match package {
        "hedgerow-attest" => Some(0),
        "hedgerow-protocol" => Some(1),
        "hedgerow-crdt" | "hedgerow-inference" => Some(2),
        "hedgerow" => Some(3),
        "hedgerow-testnet" | "hedgerow-fuzz" => Some(4),
        _ => None,
    }
}
