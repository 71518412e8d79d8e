//! What is typed or received never reaches a shell: programs are started by name, with their arguments one by one, and in few places.
//!
//! Elsewhere a message of the control plane became a command on every node.

use super::source::{expect_none, rust};

/// Where programs are started: this program itself, the container engine, cargo and Python.
const PLACES: &[&str] = &[
    "node/src/runner/process.rs",
    "node/src/demo/mesh.rs",
    "testnet/src/up.rs",
    "testnet/src/compose/engine.rs",
    "testnet/src/compose/image.rs",
    "testnet/src/bench/strangers.rs",
    "testnet/src/bench/links.rs",
    "testnet/src/bench/inference/processes.rs",
];

#[test]
fn no_message_reaches_a_shell() {
    let complaints: Vec<String> = rust().iter().flat_map(|(path, text)| against(path, text)).collect();
    expect_none(&complaints);
}

#[test]
fn a_shell_and_a_program_in_another_place_are_found() {
    let (start, shell) = (concat!("Command::", "new(program)"), concat!("\"", "sh\""));
    assert_eq!(against("node/src/runner/process.rs", start), Vec::<String>::new());
    assert_eq!(against("node/tests/mesh/fleet.rs", start), Vec::<String>::new());
    assert_eq!(
        against("node/src/admin/routes/models.rs", start),
        ["node/src/admin/routes/models.rs:1: starts a program"]
    );
    let both = format!("fn f() {{\n  {start}.arg({shell});\n}}");
    assert_eq!(against("testnet/src/up.rs", &both), ["testnet/src/up.rs:2: names a shell"]);
}

fn against(path: &str, text: &str) -> Vec<String> {
    let may_start = PLACES.contains(&path) || path.contains("/tests/");
    let shells = ["sh", "bash", "/bin/sh", "/bin/bash"].map(|shell| format!("\"{shell}\""));
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if !may_start && line.contains(concat!("Command::", "new(")) {
            complaints.push(format!("{path}:{number}: starts a program"));
        }
        if shells.iter().any(|shell| line.contains(shell)) && !path.ends_with("tidy/processes.rs") {
            complaints.push(format!("{path}:{number}: names a shell"));
        }
    }
    complaints
}
