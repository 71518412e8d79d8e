//! A model from its publisher to the nodes that run it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use hyper::Method;
use serde_json::{Value, json};

use super::fleet::{Mesh, model_file, until};

const NODES: [&str; 3] = ["a", "b", "c"];

/// Pushes the digit classifier for two nodes of the region; the bundle that was sent lies beside the data folders.
async fn push_digits(mesh: &Mesh) -> Value {
    let file = model_file("digits/model.onnx").display().to_string();
    let bundle = mesh.path("digits.bundle").display().to_string();
    let words = ["model", "push", &file, "--replicas", "2", "--bundle-out", &bundle, "-o", "json"];
    serde_json::from_str(&mesh.run("a", &words).await.ok()).expect("JSON")
}

async fn is_warm(mesh: &Mesh, name: &str) -> bool {
    mesh.status(name).await.models.iter().any(|model| model.name == "digits" && model.state == "warm")
}

/// Who holds the classifier, and who does not, once two of three nodes are warm.
async fn holders(mesh: &Mesh) -> (Vec<&'static str>, Vec<&'static str>) {
    until("the model is warm on two nodes", async || {
        let (mut warm, mut cold) = (Vec::new(), Vec::new());
        for name in NODES {
            if is_warm(mesh, name).await { warm.push(name) } else { cold.push(name) }
        }
        (warm.len() == 2).then_some((warm, cold))
    })
    .await
}

/// Classifies the first recorded picture through a node: the answer's parameters.
async fn classify(mesh: &Mesh, name: &str) -> Option<Value> {
    let text = fs::read_to_string(model_file("digits/heldout.json")).expect("the recording");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    let first = |of: &Value, count: usize| -> Vec<f64> {
        of["data"].as_array().expect("data").iter().take(count).map(|x| x.as_f64().expect("a number")).collect()
    };
    let pixels = first(&recorded["inputs"]["image"], 28 * 28);
    let body = json!({ "inputs": [{ "name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": pixels }] });
    let answer = mesh.rest(name, Method::POST, "/v2/models/digits/infer", body.to_string()).await;
    let answer: Value = answer.json_or_refusal("classify").ok()?;
    let wanted = first(&recorded["outputs"]["probabilities"], 10);
    let got = first(&answer["outputs"][0], 10);
    let furthest = got.iter().zip(&wanted).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
    assert_eq!((got.len(), furthest <= 1e-4), (10, true), "a probability is {furthest:e} away from the recorded one");
    Some(answer["parameters"].clone())
}

/// Waits until a node classifies without asking another; a node ranks itself as soon as it has told that it is warm.
async fn answers_itself(mesh: &Mesh, name: &str) -> Value {
    until("it answers itself", async || {
        classify(mesh, name).await.filter(|parameters| parameters["hedgerow_hops"] == 0)
    })
    .await
}

#[tokio::test]
async fn a_model_runs_where_it_is_placed_and_is_reached_through_every_node() {
    let mut mesh = Mesh::of(&NODES).await;
    let pushed = push_digits(&mesh).await;
    let (warm, cold) = holders(&mesh).await;
    let mut ids = Vec::new();
    for name in &warm {
        ids.push(mesh.status(name).await.node);
    }
    for name in &warm {
        let parameters = answers_itself(&mesh, name).await;
        assert_eq!(parameters["hedgerow_node"], mesh.status(name).await.node);
        assert_eq!(parameters["hedgerow_model_digest"], format!("sha256:{}", pushed["digest"].as_str().expect("hex")));
    }
    let [outside] = cold[..] else { panic!("one of three nodes has no copy: {cold:?}") };
    let parameters = until("the third node knows whom to ask", async || classify(&mesh, outside).await).await;
    assert_eq!(parameters["hedgerow_hops"], 1, "{parameters}");
    let by = parameters["hedgerow_node"].as_str().expect("an id").to_owned();
    assert!(ids.contains(&by), "{by} has no copy");
    mesh.run(warm[0], &["model", "verify", "digits"]).await.ok();

    // Alone, from its own disk: nobody is left to fetch from or to ask for the placement.
    for name in NODES {
        mesh.kill(name).await;
    }
    mesh.start_again(warm[0]).await;
    until("the model is warm again", async || is_warm(&mesh, warm[0]).await.then_some(())).await;
    let parameters = answers_itself(&mesh, warm[0]).await;
    assert_eq!(parameters["hedgerow_node"], mesh.status(warm[0]).await.node);
}

/// The artifact files of a node by name, with their bytes.
fn artifacts(mesh: &Mesh, name: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(mesh.path(&format!("{name}/artifacts"))).expect("the folder of artifacts");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let named = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.map(|path| (named(&path), fs::read(&path).expect("a file"))).collect()
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_again_from_the_others() {
    let mut mesh = Mesh::of(&NODES).await;
    push_digits(&mesh).await;
    let (warm, _) = holders(&mesh).await;
    mesh.kill(warm[0]).await;
    let before = artifacts(&mesh, warm[0]);
    let (name, weights) = before.iter().max_by_key(|(_, bytes)| bytes.len()).expect("the weights");
    let mut damaged = weights.clone();
    damaged[weights.len() / 2] ^= 1;
    fs::write(mesh.path(&format!("{}/artifacts/{name}", warm[0])), damaged).expect("its folder is ours");

    mesh.start_again(warm[0]).await;
    until("the model is warm again", async || is_warm(&mesh, warm[0]).await.then_some(())).await;
    let parameters = answers_itself(&mesh, warm[0]).await;
    assert_eq!(parameters["hedgerow_node"], mesh.status(warm[0]).await.node);
    assert!(artifacts(&mesh, warm[0]) == before, "the same files with the same bytes, and nothing else");
    assert_eq!(mesh.status(warm[0]).await.refusals.get("bulk_liar"), None);
}

#[tokio::test]
async fn a_spoiled_artifact_and_a_foreign_publisher_are_refused_and_the_model_stays() {
    let mesh = Mesh::of(&["a"]).await;
    let pushed = push_digits(&mesh).await;
    answers_itself(&mesh, "a").await;
    let kept = mesh.run("a", &["model", "ls", "-o", "json"]).await.ok();
    let bundle = fs::read(mesh.path("digits.bundle")).expect("what was sent");
    for at in [bundle.len() / 2, bundle.len() - 1, 40] {
        let mut spoiled = bundle.clone();
        spoiled[at] ^= 1;
        let headers = [("content-type", "application/octet-stream")];
        let answer = mesh.admin("a").exchange(Method::POST, "/admin/v1/models", &headers, spoiled).await;
        let answer = answer.expect("it answers");
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((answer.status, &problem["type"]), (422, &json!("artifact-refused")), "byte {at}: {problem}");
    }

    mesh.run("z", &["init"]).await.ok();
    let (key, file) = (mesh.path("z/publisher.key"), model_file("fraud/model.onnx"));
    let words = ["model", "push", &file.display().to_string(), "--key", &key.display().to_string()];
    let ran = mesh.run("a", &words).await;
    ran.refused(2, &["not signed by enough publishers of this mesh", "next: push the model again"]);

    assert_eq!(mesh.run("a", &["model", "ls", "-o", "json"]).await.ok(), kept);
    let parameters = classify(&mesh, "a").await.expect("it is still warm");
    assert_eq!(parameters["hedgerow_model_digest"], format!("sha256:{}", pushed["digest"].as_str().expect("hex")));
}
