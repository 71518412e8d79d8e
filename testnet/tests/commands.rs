//! The commands as they are typed, where no mesh comes up: what they say, their exit codes, and what they leave.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn without_a_testnet_every_question_says_how_to_start_one() {
    let place = tempfile::tempdir().expect("a folder");
    for words in [
        &["status"][..],
        &["kill", "n3"],
        &["restart", "n3"],
        &["logs", "n3"],
        &["link", "r1", "r2"],
        &["heal"],
        &["down"],
    ] {
        let said = run(place.path(), words);
        assert_eq!(said.status.code(), Some(3), "{words:?}");
        let text = text(&said);
        assert!(text.ends_with("start one with `hedgerow-testnet up`\n"), "{words:?}: {text}");
    }
    assert_eq!(names(place.path()), [""; 0], "questions make nothing");
}

#[test]
fn a_mesh_whose_nodes_end_is_told_and_taken_down() {
    let place = tempfile::tempdir().expect("a folder");
    let said = run(place.path(), &["up", "--nodes", "1", "--regions", "1", "--node-program", "/bin/false"]);
    assert_eq!(said.status.code(), Some(1));
    let text = text(&said);
    assert!(text.contains("failed to bring the mesh up: n1"), "{text}");
    assert!(text.contains("n1.log is empty"), "{text}");
    assert_eq!(names(place.path()), ["supervisor.log", "testnet.lock"]);
    assert_eq!(run(place.path(), &["status"]).status.code(), Some(3));
}

#[test]
fn a_measurement_whose_nodes_end_is_told_and_leaves_their_logs() {
    let place = tempfile::tempdir().expect("a folder");
    let said = run(place.path(), &["measure", "--nodes", "2", "--node-program", "/bin/false"]);
    assert_eq!(said.status.code(), Some(1));
    let text = text(&said);
    let by_name = |name: &str| {
        text.contains(&format!("failed to see all nodes agree within 120s: {name}"))
            && text.contains(&format!("{name}.log is empty"))
    };
    assert!(by_name("n1") || by_name("n2"), "either may be the first that is seen to have ended: {text}");
    assert_eq!(names(&place.path().join("nodes")), ["n1.log", "n2.log"]);
    assert_eq!(run(place.path(), &["down"]).status.code(), Some(0), "what is left can be removed");
    assert_eq!(names(place.path()), ["testnet.lock"]);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let place = tempfile::tempdir().expect("a folder");
    fs::create_dir(place.path().join("nodes")).expect("somebody's folder");
    let said = run(place.path(), &["up", "--nodes", "1", "--regions", "1", "--node-program", "/bin/false"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said).contains("it holds other things; name an empty folder with --state"), "{}", text(&said));
    assert!(place.path().join("nodes").exists());
}

#[test]
fn without_an_engine_the_error_names_the_local_backend() {
    let place = tempfile::tempdir().expect("a folder");
    let mut command = command(place.path(), &["up", "--backend", "compose"]);
    let said = command.env("DOCKER_HOST", "tcp://127.0.0.1:1").output().expect("it runs");
    assert_eq!(said.status.code(), Some(1));
    let text = text(&said);
    assert!(text.contains("reach a Docker engine") && text.ends_with("or use `--backend local`\n"), "{text}");
}

#[test]
fn impossible_meshes_are_refused_before_anything_starts() {
    let place = tempfile::tempdir().expect("a folder");
    let said = run(place.path(), &["up", "--nodes", "2", "--regions", "3"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said).ends_with("failed to plan 3 regions of 2 nodes: ask for 1 to 2\n"), "{}", text(&said));
    assert_eq!(names(place.path()), [""; 0]);
}

fn run(state: &Path, words: &[&str]) -> Output {
    command(state, words).output().expect("it runs")
}

fn command(state: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hedgerow-testnet"));
    command.arg("--state").arg(state).args(words);
    command
}

fn text(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
