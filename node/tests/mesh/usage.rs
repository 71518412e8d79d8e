//! Commands that cannot do what was asked say so, name what comes next and change nothing.

use std::fs;

use super::fleet::{Mesh, hedgerow, hedgerow_with};

#[tokio::test]
async fn without_a_node_a_command_says_how_to_start_one() {
    let mesh = Mesh::empty();
    for words in [&["status"][..], &["members"], &["invite"], &["nearest", "digits"]] {
        let ran = mesh.run("none", words).await;
        ran.refused(3, &["failed to reach a node at", "none/admin.sock", "next: start it with `hedgerow run`"]);
        assert_eq!(ran.stdout, "");
    }
    assert!(!mesh.path("none").exists(), "asking makes no data folder");
}

#[tokio::test]
async fn what_makes_no_sense_is_a_usage_error() {
    let mesh = Mesh::empty();
    for (words, complaint) in [
        (&["frobnicate"][..], "unrecognized subcommand 'frobnicate'"),
        (&["invite", "--ttl", "1w"], "write a number and a unit"),
        (&["infer", "digits"], "--input"),
        (&["join"], "<TICKET>"),
        (&["run", "--init", "--ticket-file", "t"], "cannot be used with"),
        (&["init", "--region", "EU west"], "names are lower-case letters"),
    ] {
        mesh.run("none", words).await.refused(2, &[complaint]);
        assert!(!mesh.path("none/identity.key").exists(), "{words:?} made keys");
    }
    mesh.run("good", &["init", "--region", "eu-west"]).await.ok();
}

#[tokio::test]
async fn a_node_without_a_mesh_does_not_run() {
    let mesh = Mesh::empty();
    mesh.run("none", &["run", "--port-base", "0"]).await.refused(1, &["hedgerow init", "hedgerow join"]);
    mesh.run("none", &["init"]).await.ok();
}

#[tokio::test]
async fn a_founded_folder_is_not_founded_again() {
    let mesh = Mesh::empty();
    mesh.run("n", &["init"]).await.ok();
    let root = fs::read(mesh.path("n/root.json")).expect("the root");
    let keys = fs::read(mesh.path("n/identity.key")).expect("the keys");
    mesh.run("n", &["init"]).await.refused(1, &["belongs to a member of a mesh already", "--data"]);
    assert_eq!(fs::read(mesh.path("n/root.json")).expect("the root"), root);
    assert_eq!(fs::read(mesh.path("n/identity.key")).expect("the keys"), keys);
}

#[tokio::test]
async fn unknown_configuration_is_named() {
    let mut mesh = Mesh::empty();
    let data = mesh.path("n");
    let run = ["run", "--port-base", "0", "--listen", "127.0.0.1:0"];

    let ran = hedgerow_with(&data, &run, Some(("HEDGEROW_PORTBASE", "0"))).await;
    ran.refused(1, &["unknown key `HEDGEROW_PORTBASE`", "environment variable HEDGEROW_PORTBASE", "docs/config.md"]);
    assert!(!data.exists(), "a refused configuration makes no data folder");

    hedgerow(&data, &["init"]).await.ok();
    let file = mesh.path("n/hedgerow.toml");
    for (text, complaint) in [
        ("[log]\nlevle = \"info\"\n", "unknown key `log.levle`"),
        ("[log]\nlevel = \"loud\"\n", "use `loud` as log.level"),
        ("listen = \"everywhere\"\n", "use `everywhere` as listen"),
        ("listen = \n", "as TOML"),
    ] {
        fs::write(&file, text).expect("the file");
        hedgerow(&data, &run).await.refused(1, &[complaint, "n/hedgerow.toml"]);
    }
    fs::remove_file(&file).expect("the file is there");
    mesh.start("n", &[]);
    mesh.ready("n").await;
}
