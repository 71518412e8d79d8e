//! Input that does not fit is refused in words, and what was there before works as before.

use std::fs;
use std::net::{TcpListener, UdpSocket};

use hyper::Method;
use serde_json::{Value, json};

use super::fleet::{Mesh, model_file, until};

/// Inputs of the fraud scorer and what they score, computed by another runtime.
struct Payments {
    features: Value,
    scores: Vec<f64>,
}

impl Payments {
    fn recorded() -> Self {
        let text = fs::read_to_string(model_file("fraud/heldout.json")).expect("the recording");
        let recorded: Value = serde_json::from_str(&text).expect("JSON");
        let scores = recorded["outputs"]["score"]["data"].as_array().expect("scores").iter();
        Self {
            features: recorded["inputs"]["features"].clone(),
            scores: scores.map(|score| score.as_f64().expect("a number")).collect(),
        }
    }

    fn request(&self) -> Value {
        let Self { features, .. } = self;
        json!({ "inputs": [
            { "name": "features", "shape": features["shape"], "datatype": "FP32", "data": features["data"] }
        ] })
    }
}

async fn infer(mesh: &Mesh, model: &str, body: String) -> (u16, Value) {
    let answer = mesh.rest("n", Method::POST, &format!("/v2/models/{model}/infer"), body).await;
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_refused_and_the_next_one_is_answered() {
    let mesh = Mesh::of(&["n"]).await;
    let file = model_file("fraud/model.onnx").display().to_string();
    mesh.run("n", &["model", "push", &file]).await.ok();
    until("the model is ready", async || {
        let ready = mesh.rest("n", Method::GET, "/v2/models/fraud/ready", String::new()).await;
        (ready.status == 200).then_some(())
    })
    .await;
    let before = mesh.status("n").await;
    let one = |name: &str, shape: &[u64], datatype: &str, data: Value| {
        json!({ "inputs": [{ "name": name, "shape": shape, "datatype": datatype, "data": data }] }).to_string()
    };
    let row = json!([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (body, complaint) in [
        (one("features", &[1, 3], "FP32", json!([1, 2, 3])), "input \"features\" has shape [1, 3], takes [batch, 16]"),
        (one("features", &[16], "FP32", row.clone()), "input \"features\" has shape [16], takes [batch, 16]"),
        (one("features", &[1, 16], "INT64", row.clone()), "input \"features\" is INT64, takes FP32"),
        (one("features", &[1, 16], "FP33", row.clone()), "input 'features' has the unknown datatype 'FP33'"),
        (
            one("features", &[2, 16], "FP32", row.clone()),
            "input 'features': shape [2, 16] of FP32 needs 128 bytes, got 64",
        ),
        (one("features", &[u64::MAX, 16], "FP32", row.clone()), "input 'features'"),
        (one("fixtures", &[1, 16], "FP32", row), "the model has no input \"fixtures\""),
        (json!({ "inputs": [] }).to_string(), "input \"features\" is missing"),
        ("{".to_owned(), "the body is no inference request"),
    ] {
        let (status, answer) = infer(&mesh, "fraud", body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert_eq!((status, error.contains(complaint)), (400, true), "`{complaint}` is not in: {answer}");
    }
    let payments = Payments::recorded();
    let mut wanting = payments.request();
    wanting["outputs"] = json!([{ "name": "scare" }]);
    assert_eq!(
        infer(&mesh, "fraud", wanting.to_string()).await,
        (400, json!({ "error": "the model has no output 'scare'" }))
    );
    assert_eq!(
        infer(&mesh, "nope", payments.request().to_string()).await,
        (404, json!({ "error": "Request for unknown model: 'nope' is not found" }))
    );

    let (status, answer) = infer(&mesh, "fraud", payments.request().to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let scores = answer["outputs"][0]["data"].as_array().expect("data").iter();
    let scores: Vec<f64> = scores.map(|score| score.as_f64().expect("a number")).collect();
    let furthest = scores.iter().zip(&payments.scores).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
    assert_eq!(scores.len(), payments.scores.len());
    assert!(furthest <= 1e-4, "a score is {furthest:e} away from the recorded one");
    let after = mesh.status("n").await;
    assert_eq!((after.pid, after.models), (before.pid, before.models), "it is the same process with the same model");
}

#[tokio::test]
async fn an_unknown_operator_is_named_with_its_node_and_nothing_is_pushed() {
    let mesh = Mesh::of(&["n"]).await;
    let mut onnx = fs::read(model_file("fraud/model.onnx")).expect("the model");
    let name = b"Sigmoid";
    let at = onnx.windows(name.len()).position(|bytes| bytes == name).expect("the scorer ends with a sigmoid");
    onnx[at + name.len() - 1] = b'x';
    fs::write(mesh.path("fraud.onnx"), onnx).expect("the file");
    let file = mesh.path("fraud.onnx").display().to_string();
    let bundle = mesh.path("fraud.bundle").display().to_string();

    let ran = mesh.run("n", &["model", "push", &file, "--bundle-out", &bundle]).await;
    ran.refused(1, &["unknown operator Sigmoix (domain ai.onnx) at node \"sigmoid_7\""]);
    fs::write(&file, b"not ONNX").expect("the file");
    mesh.run("n", &["model", "push", &file]).await.refused(1, &["file is not ONNX"]);
    mesh.run("n", &["model", "push", "absent.onnx"]).await.refused(1, &["absent.onnx", "No such file"]);
    assert!(!mesh.path("fraud.bundle").exists(), "nothing was signed");
    assert_eq!(mesh.run("n", &["model", "ls", "-o", "json"]).await.ok().trim(), "[]");
}

#[tokio::test]
async fn a_busy_port_is_named_with_the_flag_that_chooses_another() {
    let mut mesh = Mesh::empty();
    mesh.run("n", &["init"]).await.ok();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let busy_udp = udp.local_addr().expect("bound").to_string();
    let busy_tcp = tcp.local_addr().expect("bound").to_string();

    let ran = mesh.run("n", &["run", "--listen", &busy_udp, "--rest", "127.0.0.1:0"]).await;
    ran.refused(1, &["bind UDP", &busy_udp, "--port-base", "in use"]);
    let ran = mesh.run("n", &["run", "--listen", "127.0.0.1:0", "--rest", &busy_tcp]).await;
    ran.refused(1, &["REST", &busy_tcp, "--port-base", "in use"]);
    assert!(!mesh.path("n/admin.sock").exists(), "a node that did not start leaves no socket");

    mesh.start("n", &[]);
    mesh.ready("n").await;
}

#[tokio::test]
async fn a_data_folder_in_use_is_refused_with_the_process_that_uses_it() {
    let mesh = Mesh::of(&["n"]).await;
    let pid = mesh.status("n").await.pid;
    let in_use = format!("in use by another process (pid {pid})");
    let ticket = mesh.run("n", &["invite"]).await.ok();
    for words in [&["run", "--port-base", "0"][..], &["init"], &["join", &ticket]] {
        mesh.run("n", words).await.refused(1, &[&in_use, "--data"]);
    }
    assert_eq!(mesh.status("n").await.pid, pid);
}

#[tokio::test]
async fn a_data_folder_of_another_version_or_of_somebody_else_is_left_alone() {
    let mut mesh = Mesh::empty();
    mesh.run("n", &["init"]).await.ok();
    let version = mesh.path("n/VERSION");
    let own = fs::read(&version).expect("written by init");
    fs::write(&version, "hedgerow-data 999\n").expect("the file");
    let ran = mesh.run("n", &["run", "--port-base", "0"]).await;
    ran.refused(1, &["version `hedgerow-data 999`", "use the program that made it", "--data"]);
    assert_eq!(fs::read_to_string(&version).expect("the file"), "hedgerow-data 999\n");
    fs::write(&version, own).expect("the file");
    mesh.start("n", &[]);
    mesh.ready("n").await;

    fs::create_dir(mesh.path("photos")).expect("a folder");
    fs::write(mesh.path("photos/cat.png"), b"cat").expect("a file");
    mesh.run("photos", &["init"]).await.refused(1, &["`cat.png`", "name an empty folder"]);
    assert_eq!(fs::read_dir(mesh.path("photos")).expect("the folder").count(), 1, "nothing was written beside it");
}
